"""The GAN of Goodfellow et al., 2014 (arXiv:1406.2661).

Algorithm 1, with k = 1: for a minibatch of noise and of data, ascend D's gradient, then
descend G's. Class-conditional as in Mirza and Osindero, 2014 (arXiv:1411.1784): both
networks also see the label. `jaxgan.recipes` lists the GANs that its options make.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jax import random

from jaxgan import losses
from jaxgan.models.net import Net
from jaxgan.phases import carry, chain, ema, every, project, share, update
from jaxgan.recipes.base import GAN, assemble, images, labels, normal
from jaxgan.regularizers import Judged, Penalty


def gan(
    G: Net,
    D: Net,
    *,
    latent_dim: int,
    g_tx,
    d_tx,
    loss: losses.AdversarialLoss = losses.nonsaturating,
    penalty: Penalty | None = None,
    n_critic: int = 1,
    clip: float | None = None,
    augment: Callable | None = None,
    play: Callable | None = None,
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
        penalty: added to D's loss.
        n_critic: steps of D for one of G, which is on steps 0, n_critic, 2 n_critic, …
        clip: D's weights are clipped to ± this after each of its updates.
        augment: `(images, key, step) -> images`, what D is shown of both kinds.
        play: `(d_step, g_step) -> phase`, what a step does instead of one, then other.
        num_classes: above 0, both networks are given `batch["label"]`, int32 [B].
        ema_decay: of G's averaged weights, per update of G.

    Returns:
        The GAN; batches need `image` float32 [B, H, W, C] and, with classes, `label`.

    Raises:
        ValueError: there is `n_critic` or `clip` beside `play`.
    """
    if play and (n_critic > 1 or clip is not None):
        raise ValueError("gan: with play there is neither n_critic nor clip.")
    given, latents = labels(num_classes), normal(latent_dim)

    def generate(state, batch, key):
        return G(state, latents(key, len(batch["image"])), *given(batch))

    def judge(state, batch, key) -> Judged:
        on_z, on_real, on_fake, rest = random.split(key, 4)
        real = batch["image"]
        fake = batch["fake"] if "fake" in batch else generate(state, batch, on_z)
        if augment:
            real = augment(real, on_real, state.step)
            fake = augment(fake, on_fake, state.step)
        D_of = lambda images: D(state, images, *given(batch))  # noqa: E731
        return Judged(D_of, real, fake, D_of(real), D_of(fake), rest)

    def d_loss(state, batch, key):
        judged = judge(state, batch, key)
        real, fake = judged.real_logits, judged.fake_logits
        value = loss.d(real, fake).mean()
        metrics = {"D(real)": loss.output(real), "D(fake)": loss.output(fake)}
        if penalty:
            term, memory = penalty.of(judged, state.memory["penalty"])
            value = value + term.mean()
            metrics |= {"d_penalty": term, "penalty": memory}
        return value, {"d_loss": value} | metrics

    def g_loss(state, batch, key):
        judged = judge(state, batch, key)
        value = loss.g(judged.real_logits, judged.fake_logits).mean()
        return value, {"g_loss": value}

    d_step, g_step = update(D.name, d_loss, d_tx), update(G.name, g_loss, g_tx)
    if penalty:
        d_step = carry("penalty", penalty.memory, d_step)
    if clip is not None:
        clipped = partial(jax.tree.map, partial(jnp.clip, min=-clip, max=clip))
        d_step = chain(d_step, project(D.name, clipped))
    average = ema(G.name, ema_decay)
    if play:
        phases = play(d_step, g_step), average
    elif n_critic > 1:
        phases = d_step, every(n_critic, chain(g_step, average))
    else:
        phases = share("fake", G.name, generate, d_step, g_step), average
    alone, inputs = (d_step, g_step), (latents, images(num_classes))
    return assemble(G, D, *phases, alone=alone, inputs=inputs, num_classes=num_classes)
