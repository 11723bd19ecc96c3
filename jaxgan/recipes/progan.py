"""Progressive growing (Karras et al., 2018, arXiv:1710.10196): ProGAN, StyleGAN.

Networks begin with small images. In each later stage layers for images of twice the
size are faded in, then trained on. Where a stage begins, optimizers begin anew.
"""

from collections.abc import Sequence
from functools import partial, reduce

import jax.numpy as jnp
from jax import lax, random

from jaxgan import losses
from jaxgan.augment import Augmentation
from jaxgan.models.net import Net
from jaxgan.ops import fir
from jaxgan.phases import ema, restart, share, staged, update
from jaxgan.recipes.adversary import adversary
from jaxgan.recipes.base import assemble, averaged, shared
from jaxgan.regularizers import Term
from jaxgan.tasks import noise, normal
from jaxgan.types import Draw, Model, Schedule, at

__all__ = ["drift", "progan"]


def progan(
    G: Sequence[Net],
    D: Sequence[Net],
    *,
    latent_dim: int,
    ends: Sequence[int],
    fade: int,
    g_tx,
    d_tx,
    loss: losses.AdversarialLoss = losses.wasserstein,
    penalty: Term | None = None,
    augment: Augmentation | None = None,
    ema_decay: Schedule = 0.999,
) -> Model:
    """A GAN that grows.

    Args:
        G: of each stage, `z [B, latent_dim], alpha [] -> images [B, h, w, C]`, each
            twice as large as those of the one before; all of one name. Those that draw
            noise take `rngs={"noise": key}`.
        D: of each stage, `images, alpha -> logits [B]`, likewise.
        latent_dim: the dimension of z, drawn from N(0, I).
        ends: the step that each stage but the last ends before.
        fade: the first so many steps of each stage but the first fade its layers in.
        g_tx: G's optimizer, an optax transform.
        d_tx: D's optimizer.
        loss: what D and G minimize.
        penalty: added to D's loss; in the paper WGAN-GP's and `drift`.
        augment: what D is shown in place of images.
        ema_decay: of G's averaged weights, per step.

    Returns:
        The GAN; batches need `image` float32 [B, H, W, C], of the last stage's size. It
        draws as the stage does that a state is in, enlarged to the last one's. Batches
        are as large in each stage; the paper's are smaller in later ones.
    """
    count, task = len(G), noise(normal(latent_dim))
    ends, begins = tuple(ends), (0, *ends)

    def alpha(state, k):
        done = (state.step - begins[k] + 1) / max(fade, 1)
        return jnp.clip(done, 0, 1).astype(jnp.float32) if k else jnp.float32(1)

    def stage(k):
        """D's update and G's, of a stage."""
        judge = adversary(D[k], loss, penalty, augment)

        def generate(state, batch, key):
            on_z, on_noise = random.split(key)
            (z,) = task.given(batch, on_z)
            return G[k](state, z, alpha(state, k), rngs={"noise": on_noise})

        def verdict(state, batch, key):
            on_z, *keys = random.split(key, 4)
            a, fake = alpha(state, k), shared("fake", generate)(state, batch, on_z)
            real = reduced(batch["image"], count - 1 - k)
            if k:  # real images are faded as fakes are
                real = real + (1 - a) * (enlarged(reduced(real, 1), 1) - real)
            return judge.judge(state, real, fake, a, keys=keys)

        def d_loss(state, batch, key):
            return judge.d_loss(state, verdict(state, batch, key))

        def g_loss(state, batch, key):
            value = judge.g_loss(verdict(state, batch, key))
            return value, {"g_loss": value}

        d_step = judge.keeping(update(D[k].name, d_loss, d_tx))
        g_step = update(G[k].name, g_loss, g_tx)
        return share("fake", G[k].name, generate, d_step, g_step), d_step, g_step

    each = zip(*map(stage, range(count)), strict=True)
    both, d_step, g_step = (staged(ends, *phases) for phases in each)
    names = {G[-1].name: g_tx, D[-1].name: d_tx}
    return assemble(
        (G[-1], D[-1]),
        restart(names, ends),
        both,
        ema(G[-1].name, ema_decay),
        inputs=lambda batch: {
            G[-1].name: (*task.given(batch, random.key(0)), jnp.float32(1)),
            D[-1].name: (batch["image"], jnp.float32(1)),
        },
        draws={"sample": Draw(task, partial(_sample, G, ends, alpha))},
        parts={"D": d_step, "G": g_step},
        scores={D[-1].name: partial(_score, D, ends, alpha)},
        stages=ends,
    )


def drift(weight: Schedule = 1e-3) -> Term:
    """ε D(x)² at real images, which keeps critics near 0 (appendix A.1)."""
    return Term(lambda j, m, step: (at(weight, step) * j.real_logits**2, m))


def reduced(x, times: int):
    """Images, halved so many times: means of 2x2 pixels."""
    return reduce(lambda x, _: fir.downsample(x, (1, 1)), range(times), x)


def enlarged(x, times: int):
    """Images, doubled so many times: each pixel becomes 2x2 of it."""
    return reduce(lambda x, _: fir.upsample(x, (1, 1)), range(times), x)


def _sample(G, ends, alpha, state, given, key):
    def of(k):
        def draw(z):
            images = averaged(G[k], state, z, alpha(state, k), train=False)
            return jnp.clip(enlarged(images, len(G) - 1 - k), -1, 1)

        return draw

    return lax.switch(_stage(state, ends), [*map(of, range(len(G)))], *given)


def _score(D, ends, alpha, state, images):
    def of(k):
        def judge(x):
            return D[k](state, reduced(x, len(D) - 1 - k), alpha(state, k))

        return judge

    return lax.switch(_stage(state, ends), [*map(of, range(len(D)))], images)


def _stage(state, ends):
    return sum((state.step >= end).astype(jnp.int32) for end in ends)
