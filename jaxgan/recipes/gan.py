"""The GAN of Goodfellow et al., 2014 (arXiv:1406.2661), also class-conditional.

Algorithm 1, with k = 1: for a minibatch of noise and of data, ascend D's gradient, then
descend G's. Class-conditional as in Mirza and Osindero, 2014 (arXiv:1411.1784): both
networks also see the label.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
from jax import random

from jaxgan import axis, losses
from jaxgan.models.net import Net, standing
from jaxgan.phases import ema, game, share, update
from jaxgan.types import TrainState, merge


class GAN(NamedTuple):
    """A noise-to-image GAN as pure functions."""

    latent_dim: int
    num_classes: int
    """0 when it is not conditioned on a class."""

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


def gan(
    G: Net,
    D: Net,
    *,
    latent_dim: int,
    g_tx,
    d_tx,
    loss: losses.AdversarialLoss = losses.nonsaturating,
    num_classes: int = 0,
    ema_decay: float = 0.999,
) -> GAN:
    """A GAN of two networks.

    Args:
        G: `z [B, latent_dim] (, label [B]) -> images [B, H, W, C]`.
        D: `images (, label) -> logits [B]`.
        latent_dim: the dimension of z, drawn from N(0, I).
        g_tx: G's optimizer, an optax transform.
        d_tx: D's optimizer.
        loss: what D and G minimize.
        num_classes: above 0, both networks are also given labels, `batch["label"]`,
            int32 in [0, num_classes).
        ema_decay: of G's averaged weights, per step.

    Returns:
        The GAN; batches need `image` float32 [B, H, W, C] and, with classes, `label`.
    """

    def given(batch):
        if num_classes and batch.get("label") is None:
            raise ValueError(
                f"gan: with num_classes {num_classes}, every image needs a label."
            )
        return (batch["label"],) if num_classes else ()

    def generate(state, batch, key):
        z = axis.draw(random.normal, key, (batch["image"].shape[0], latent_dim))
        return G(state, z, *given(batch))

    def fakes(state, batch, key):
        return batch["fake"] if "fake" in batch else generate(state, batch, key)

    def judge(state, batch, key):
        real = D(state, batch["image"], *given(batch))
        return real, D(state, fakes(state, batch, key), *given(batch))

    def d_loss(state, batch, key):
        real, fake = judge(state, batch, key)
        value = loss.d(real, fake).mean()
        outputs = {"D(real)": loss.output(real), "D(fake)": loss.output(fake)}
        return value, {"d_loss": value} | outputs

    def g_loss(state, batch, key):
        value = loss.g(*judge(state, batch, key)).mean()
        return value, {"g_loss": value}

    d_step, g_step = update(D.name, d_loss, d_tx), update(G.name, g_loss, g_tx)
    init_game, step = game(
        (G, D),
        share("fake", G.name, generate, d_step, g_step),
        ema(G.name, ema_decay),
    )

    def init(key, batch) -> TrainState:
        z = jax.ShapeDtypeStruct((batch["image"].shape[0], latent_dim), "float32")
        inputs = {G.name: (z, *given(batch)), D.name: (batch["image"], *given(batch))}
        return init_game(key, inputs)

    def sample(state, z, label=None):
        averaged, stats = state.ema[G.name], state.stats[G.name]
        inputs = (z, *given({"label": label}))
        return G.apply(averaged, stats, *inputs, train=False)[0]

    def settle(state, key, batch_size=64):
        def inputs(i):
            k, k_label = random.split(random.fold_in(key, i))
            z = random.normal(k, (batch_size, latent_dim))
            label = random.randint(k_label, (batch_size,), 0, max(num_classes, 1))
            return (z, label) if num_classes else (z,)

        stats = standing(G, state.ema[G.name], state.stats[G.name], inputs)
        return merge(state, stats={G.name: stats})

    return GAN(
        latent_dim, num_classes, init, step, d_step.step, g_step.step, sample, settle
    )
