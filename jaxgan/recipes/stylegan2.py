"""StyleGAN2 (Karras et al., 2020, arXiv:1912.04958), and ADA (arXiv:2006.06676).

The logistic loss, with two regularizers that have steps of their own: R1 for D on each
16th, and on each fourth path lengths for G, which are to be alike wherever w is. Some
images are of two styles, one up to a layer and another from it on.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, random

from jaxgan import axis, losses
from jaxgan.augment import Augmentation
from jaxgan.models.net import Net
from jaxgan.phases import carry, chain, ema, lazy, share, update
from jaxgan.recipes.adversary import adversary
from jaxgan.recipes.base import assemble, averaged, of_z_and_judge, players
from jaxgan.regularizers import zero_centered
from jaxgan.tasks import noise, normal
from jaxgan.types import Draw, Latent, Model, Schedule, at, merge

__all__ = ["path_lengths", "stylegan2"]

PATH_DECAY = 0.01
"""Of the average of path lengths: how much the newest counts."""


def stylegan2(
    mapping: Net,
    synthesis: Net,
    D: Net,
    *,
    latent_dim: int,
    g_tx,
    d_tx,
    loss: losses.AdversarialLoss = losses.nonsaturating,
    mixing: float = 0.9,
    r1: Schedule | None = 10.0,
    r1_every: int = 16,
    path_weight: Schedule | None = 2.0,
    path_every: int = 4,
    path_shrink: int = 2,
    augment: Augmentation | None = None,
    num_classes: int = 0,
    ema_decay: Schedule = 0.999,
) -> Model:
    """A GAN whose generator is controlled by styles.

    Args:
        mapping: `z [B, latent_dim] (, label [B]) -> w [B, layers, W]`, with the mean of
            w in its stats, `["average"]["w"]`.
        synthesis: `w -> images [B, H, W, C]`; draws noise by `rngs={"noise": key}`.
        D: `images (, label) -> logits [B]`.
        latent_dim: the dimension of z, drawn from N(0, I).
        g_tx: of both parts of G; `phases.lazy_adam` with `path_every` is the paper's.
        d_tx: D's optimizer, with `r1_every` likewise.
        loss: what D and G minimize.
        mixing: the share of images of two styles.
        r1: γ of R1, at real images as D is shown them; None for none.
        r1_every: its period in steps; 16 in the paper.
        path_weight: of path lengths; None for none, as StyleGAN2-ADA's for CIFAR-10.
        path_every: their period; 4 in the paper.
        path_shrink: they are of one image in so many of a batch; 2 in the paper.
        augment: what D is shown in place of images.
        num_classes: above 0, there are labels.
        ema_decay: of G's averaged weights, per step; see `schedules.half_life`.

    Returns:
        The GAN, whose draw `"sample"` can be truncated, by ψ in w (appendix B of
        arXiv:1812.04948), and has the latent w. D and G learn from the
        same fakes; the authors' program draws new ones, and takes G's step first.
    """
    task = noise(normal(latent_dim), num_classes)
    names = mapping.name, synthesis.name

    def styles(state, batch, key):
        """w `[B, layers, W]`, of some images another from a layer on."""
        on_z, on_other, on_layer, on_coin = random.split(key, 4)
        w, other = (mapping(state, *task.given(batch, k)) for k in (on_z, on_other))
        n, layers, _ = w.shape
        first = axis.draw(random.randint, on_layer, (n, 1, 1), 1, layers)
        mixed = axis.draw(random.uniform, on_coin, (n, 1, 1)) < mixing
        second = mixed & (jnp.arange(layers)[None, :, None] >= first)
        return jnp.where(second, other, w)

    def generate(state, batch, key):
        on_w, on_noise = random.split(key)
        return synthesis(state, styles(state, batch, on_w), rngs={"noise": on_noise})

    judge = adversary(D, loss, augment=augment)
    d_loss, g_loss = players(judge, generate, task, of_z_and_judge)

    def r1_loss(state, batch, key):
        labels = (batch["label"],) if num_classes else ()
        D_of = lambda x: judge.D(state, x, key, *labels)  # noqa: E731
        gamma = 0.0 if r1 is None else at(r1, state.step)
        value = gamma / 2 * zero_centered(D_of, batch["image"])
        return value.mean(), {"r1": value}

    def path_loss(state, batch, key):
        on_w, on_noise, on_y = random.split(key, 3)
        some = jax.tree.map(partial(axis.some, every=path_shrink), dict(batch))
        G = lambda w: synthesis(state, w, rngs={"noise": on_noise})  # noqa: E731
        lengths = path_lengths(G, styles(state, some, on_w), on_y)
        average, now = state.memory["path_length"], axis.mean(lengths.mean())
        average = average + PATH_DECAY * (lax.stop_gradient(now) - average)
        weight = 0.0 if path_weight is None else at(path_weight, state.step)
        value = weight * jnp.square(lengths - average)
        metrics = {"path_length": lengths, "path_penalty": value}
        return value.mean(), metrics, {"path_length": average}

    d_step = judge.keeping(update(D.name, d_loss, d_tx))
    g_step = update(names, g_loss, g_tx)
    d_lazy = lazy(r1_every, update(D.name, r1_loss, d_tx))
    d_lazy = chain() if r1 is None else d_lazy
    lengths = carry("path_length", np.float32(0), update(names, path_loss, g_tx))
    g_lazy = chain() if path_weight is None else lazy(path_every, lengths)
    both = share("fake", names, generate, d_step, g_step)

    return assemble(
        (mapping, synthesis, D),
        both,
        d_lazy,
        g_lazy,
        *(ema(name, ema_decay) for name in names),
        inputs=partial(_inputs, mapping, names, task, D.name),
        draws={"sample": _drawn(mapping, synthesis, task)},
        parts={"D": chain(d_step, d_lazy), "G": chain(g_step, g_lazy)},
        settle=partial(_settled, mapping, task, num_classes),
        scores={D.name: lambda state, images, *labels: D(state, images, *labels)},
    )


def path_lengths(G: Callable, w, key):
    """|J_w y|, the image's movement by a movement of w, `[B]` (eq. 4).

    Args:
        G: `w -> images [B, H, W, C]`.
        w: `[B, layers, W]`; squares are averaged over layers, as the authors do.
        key: of y, N(0, I) over the root of the number of pixels.
    """

    def toward(w):
        images = G(w)
        y = axis.draw(random.normal, key, images.shape, images.dtype)
        return (images * y).sum() / np.sqrt(images.shape[1] * images.shape[2])

    return jnp.sqrt(jnp.square(jax.grad(toward)(w)).sum(2).mean(1))


def _inputs(mapping, names, task, d_name, batch):
    """What each network takes, by its name."""
    key, given = random.key(0), task.given(batch, random.key(0))
    weights = jax.eval_shape(mapping.init, key, *given)
    w = jax.eval_shape(lambda *x: mapping.apply(*x)[0], *weights, *given)
    judged = batch["image"], *given[1:]
    return {names[0]: given, names[1]: (jnp.zeros(w.shape),), d_name: judged}


def _drawn(mapping, synthesis, task, psi=1.0) -> Draw:
    """G by its averaged weights; ψ below 1 truncates."""

    def of(state, given):
        w = averaged(mapping, state, *given)
        center = _center(mapping, state)[None, None]
        return center + psi * (w - center) if psi != 1 else w

    def run(state, w, key):
        return jnp.clip(averaged(synthesis, state, w, train=False), -1, 1)

    return Draw(
        task,
        lambda state, given, key: run(state, of(state, given), key),
        truncated=partial(_drawn, mapping, synthesis, task),
        latent=Latent(of, run),
    )


def _center(mapping, state):
    return state.stats[mapping.name]["average"]["w"]


def _settled(mapping, task, num_classes, state, key, batches=80, batch_size=128):
    """The state with the mean of w, of averaged weights, of about 10,000 draws."""

    def add(i, total):
        on_z, on_label = random.split(random.fold_in(key, i))
        label = random.randint(on_label, (batch_size,), 0, max(num_classes, 1))
        given = task.given({"label": label}, on_z, batch_size)
        return total + averaged(mapping, state, *given)[:, 0].mean(0)

    first = jnp.zeros_like(_center(mapping, state))
    w = lax.fori_loop(0, batches, add, first) / batches
    stats = state.stats[mapping.name] | {"average": {"w": w}}
    return merge(state, stats={mapping.name: stats})
