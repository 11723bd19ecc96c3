"""The GAN of Goodfellow et al., 2014 (arXiv:1406.2661).

Algorithm 1, with k = 1: for a minibatch of noise and of data, ascend D's gradient, then
descend G's. Class-conditional as in Mirza and Osindero, 2014 (arXiv:1411.1784): both
networks also see the label. `jaxgan.recipes` lists the GANs that its options make.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp

from jaxgan import losses
from jaxgan.augment import Augmentation
from jaxgan.models.net import Net
from jaxgan.phases import chain, ema, every, project, share, update
from jaxgan.recipes.adversary import adversary, per_image
from jaxgan.recipes.base import from_noise, generator, of_z_and_judge, players
from jaxgan.regularizers import Term
from jaxgan.tasks import noise, normal
from jaxgan.types import Model, Phase, Schedule

__all__ = ["gan"]


def gan(
    G: Net,
    D: Net,
    *,
    latent_dim: int,
    g_tx,
    d_tx,
    loss: losses.AdversarialLoss = losses.nonsaturating,
    penalty: Term | None = None,
    g_penalty: Callable | None = None,
    n_critic: int = 1,
    clip: float | None = None,
    augment: Augmentation | None = None,
    play: Callable | None = None,
    share_fakes: bool = True,
    num_classes: int = 0,
    ema_decay: Schedule = 0.999,
) -> Model:
    """A GAN of two networks.

    Args:
        G: `z [B, latent_dim] (, label [B]) -> images [B, H, W, C]`.
        D: `images (, label) -> logits [B, ...]`, or a list of them, of several scales.
        latent_dim: the dimension of z, drawn from N(0, I).
        g_tx: G's optimizer, an optax transform.
        d_tx: D's optimizer.
        loss: what D and G minimize.
        penalty: added to D's loss, at images as they are before `augment`.
        g_penalty: `G's weights -> scalar`, added to G's loss, such as BigGAN's
            `models.biggan.orthogonal_regularization()`.
        n_critic: steps of D for one of G, which follows the last of them, on steps
            n_critic - 1, 2 n_critic - 1, … (arXiv:1701.07875, algorithm 1; its authors'
            program also gives the critic 100 steps for each of G's first 25).
        clip: D's weights are clipped to ± this after each of its updates.
        augment: what D is shown in place of images of both kinds.
        play: `(d_step, g_step) -> phase`, what a step does instead of one, then other.
        share_fakes: D and G learn from the same fakes, which saves a pass of G; else G
            draws new ones. With `n_critic` above 1, or `play`, they are never shared.
        num_classes: above 0, both networks are given `batch["label"]`, int32 [B].
        ema_decay: of G's averaged weights, per update of G.

    Returns:
        The GAN; batches need `image` float32 [B, H, W, C] and, with classes, `label`.

    Raises:
        ValueError: there is `n_critic` or `clip` beside `play`.
    """
    if play and (n_critic > 1 or clip is not None):
        raise ValueError("gan: with play there is neither n_critic nor clip.")

    judge = adversary(D, loss, penalty, augment)
    latents = normal(latent_dim)
    task = noise(latents, num_classes)
    generate = generator(G, task)
    d_loss, g_loss = players(judge, generate, task, of_z_and_judge)
    d_step = judge.keeping(update(D.name, d_loss, d_tx))
    g_step = update(G.name, _penalized(g_loss, G, g_penalty), g_tx)
    if clip is not None:
        clipped = partial(jax.tree.map, partial(jnp.clip, min=-clip, max=clip))
        d_step = chain(d_step, project(D.name, clipped))
    average = ema(G.name, ema_decay)
    phases: tuple[Phase, ...]
    if play:
        phases = play(d_step, g_step), average
    elif n_critic > 1:
        phases = d_step, every(n_critic, chain(g_step, average), n_critic - 1)
    elif share_fakes:
        phases = share("fake", G.name, generate, d_step, g_step), average
    else:
        phases = d_step, g_step, average
    parts = d_step, g_step
    return from_noise(
        G,
        D,
        *phases,
        latents=latents,
        normal=True,
        parts=parts,
        num_classes=num_classes,
        logits=per_image,
    )


def _penalized(g_loss, G, penalty):
    """G's loss, and a term of its weights."""
    if penalty is None:
        return g_loss

    def of(state, batch, key):
        value, metrics = g_loss(state, batch, key)
        term = penalty(state.params[G.name])
        return value + term, metrics | {"g_loss": value + term, "g_penalty": term}

    return of
