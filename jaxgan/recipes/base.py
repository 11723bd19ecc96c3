"""What a noise-to-image GAN is, and how phases become one."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import random

from jaxgan import axis
from jaxgan.losses import AdversarialLoss
from jaxgan.models.net import Net, standing
from jaxgan.phases import Phase, game, refresh
from jaxgan.types import TrainState, merge


class GAN(NamedTuple):
    """A noise-to-image GAN as pure functions."""

    latent_dim: int
    """The dimension of z."""
    num_classes: int
    """0 when it is not conditioned on a class."""

    latents: Callable
    """`(key, n) -> z [n, latent_dim]`"""
    init: Callable
    """`(key, batch) -> TrainState`; of the batch only shapes and dtypes matter."""
    step: Callable
    """`(state, batch, key) -> (state, metrics)`: D, then G, then the average of G."""
    d_step: Callable
    """The update of D alone, same signature; draws fakes of its own. Neither this nor
    `g_step` moves `state.step` or G's average."""
    g_step: Callable
    """The update of G alone, same signature; draws fakes of its own."""
    sample: Callable
    """`(state, z, label=None) -> images [N, H, W, C]` in [-1, 1], of averaged G."""
    settle: Callable
    """`(state, key) -> state` with BatchNorm statistics that fit the averaged weights;
    do it once before sampling."""


def normal(latent_dim: int) -> Callable:
    """z from N(0, I): `(key, n) -> [n, latent_dim]`."""
    return lambda key, n: axis.draw(random.normal, key, (n, latent_dim))


def labels(num_classes: int) -> Callable:
    """`batch -> (label,)` of a class-conditional GAN, `()` of any other.

    Raises (the returned function):
        ValueError: the batch has no labels.
    """

    def given(batch):
        if num_classes and batch.get("label") is None:
            raise ValueError(
                f"gan: with num_classes {num_classes}, every image needs a label."
            )
        return (batch["label"],) if num_classes else ()

    return given


def images(num_classes: int = 0) -> Callable:
    """What D takes, `batch -> (image,)`, or `(image, label)` with classes."""
    given = labels(num_classes)
    return lambda batch: (batch["image"], *given(batch))


def players(G: Net, D: Net, loss: AdversarialLoss, latents: Callable) -> tuple:
    """`(d_loss, g_loss)` of the plain game, each of one batch of fakes of its own."""

    def judge(state, batch, key):
        fake = G(state, latents(key, len(batch["image"])))
        return D(state, batch["image"]), D(state, fake)

    def d_loss(state, batch, key):
        real, fake = judge(state, batch, key)
        value = loss.d(real, fake).mean()
        found = {"D(real)": loss.output(real), "D(fake)": loss.output(fake)}
        return value, {"d_loss": value} | found

    def g_loss(state, batch, key):
        value = loss.g(*judge(state, batch, key)).mean()
        return value, {"g_loss": value}

    return d_loss, g_loss


def assemble(
    G: Net,
    D: Net,
    *phases: Phase,
    alone: tuple[Phase, Phase],
    inputs: tuple[Callable, Callable],
    num_classes: int = 0,
) -> GAN:
    """A GAN of its phases.

    Args:
        G: `z [B, Z] (, label [B]) -> images [B, H, W, C]`.
        D: whatever the phases make of it.
        *phases: what a step does; spectral norm's vectors are refreshed after it.
        alone: D's update by itself, and G's.
        inputs: `latents`, `(key, n) -> z [n, Z]`, and what D takes, `batch -> tuple`.
        num_classes: above 0, G takes labels.
    """
    given, (latents, d_inputs) = labels(num_classes), inputs
    latent_dim = jax.eval_shape(lambda: latents(random.key(0), 1)).shape[1]

    def g_inputs(batch):
        z = jax.ShapeDtypeStruct((len(batch["image"]), latent_dim), "float32")
        return z, *given(batch)

    def zeros(inputs):
        def of(state, batch, key):
            return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), inputs(batch))

        return of

    init_game, step = game(
        (G, D),
        *phases,
        refresh(G, zeros(g_inputs), "spectral"),
        refresh(D, zeros(d_inputs), "spectral"),
    )

    def init(key, batch) -> TrainState:
        inputs = {G.name: g_inputs(batch), D.name: d_inputs(batch)}
        return init_game(key, inputs)

    def sample(state, z, label=None):
        averaged, stats = state.ema[G.name], state.stats[G.name]
        inputs = (z, *given({"label": label}))
        return G.apply(averaged, stats, *inputs, train=False)[0]

    def settle(state, key, batch_size=64):
        def inputs(i):
            k, k_label = random.split(random.fold_in(key, i))
            label = random.randint(k_label, (batch_size,), 0, max(num_classes, 1))
            return latents(k, batch_size), *given({"label": label})

        stats = standing(G, state.ema[G.name], state.stats[G.name], inputs)
        return merge(state, stats={G.name: stats})

    single = [phase.step for phase in alone]
    return GAN(latent_dim, num_classes, latents, init, step, *single, sample, settle)
