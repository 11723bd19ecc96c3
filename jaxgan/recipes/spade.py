"""SPADE, or GauGAN (Park et al., 2019, arXiv:1903.07291): label maps to images.

The hinge loss of a multi-scale D, whose features of fakes should also match those of
real images (Wang et al., 2018, arXiv:1711.11585, equation 4). With an encoder, z comes
of the real image, and is kept near N(0, I) by a KL divergence (section 3.1).
"""

import jax.numpy as jnp
from jax import random

from jaxgan import losses
from jaxgan.augment import Augmentation
from jaxgan.models.net import Net
from jaxgan.phases import ema, share, update
from jaxgan.recipes.adversary import adversary
from jaxgan.recipes.base import assemble, averaged, prepare, shared
from jaxgan.regularizers import Term
from jaxgan.tasks import Task, normal, with_noise
from jaxgan.types import Draw, Model, Schedule

__all__ = ["spade"]


def spade(
    G: Net,
    D: Net,
    task: Task,
    *,
    latent_dim: int,
    g_tx,
    d_tx,
    encoder: Net | None = None,
    loss: losses.AdversarialLoss = losses.hinge,
    feature_matching: float = 10.0,
    kl_divergence: float = 0.001,
    penalty: Term | None = None,
    augment: Augmentation | None = None,
    ema_decay: Schedule = 0.999,
) -> Model:
    """A GAN from label maps, and noise, to images.

    Args:
        G: `(z [B, latent_dim], map [B, H, W, K]) -> images [B, H, W, C]`.
        D: `(images, map) -> ([logits], [features])`, as `models.pix2pix.MultiScale`.
        task: `tasks.of_maps`.
        latent_dim: the dimension of z.
        g_tx: the optimizer of G and of the encoder.
        d_tx: D's optimizer.
        encoder: `images -> (mean, log variance)` of z, with which images can be drawn
            in the `"style"` of others; without, z is noise in training too.
        loss: what D and G minimize.
        feature_matching: weight of the features' distance, summed over D's layers, the
            mean over its scales.
        kl_divergence: weight of the encoder's KL divergence, summed over z. With the
            paper's 0.05, or a tenth of it, small networks took no notice of z.
        penalty: added to D's loss, of the mean of an image's patches and scales.
        augment: what D is shown in place of images; the map stays, so what moves images
            takes them from their place on it.
        ema_decay: of the averaged weights of G and of the encoder, per step.
    """
    latents = normal(latent_dim)
    judge = adversary(D, loss, penalty, augment, logits=lambda output: output[0])

    def generate(state, batch, key):
        n = len(batch["target"])
        z, kl = latents(key, n), jnp.zeros(n)
        if encoder:
            mean, log_variance = encoder(state, batch["target"])
            z = mean + jnp.exp(log_variance / 2) * z
            squares = mean**2 + jnp.exp(log_variance) - 1 - log_variance
            kl = squares.sum(1) / 2
        return G(state, z, *batch["given"]), kl

    fakes = shared("fake", generate)

    def verdict(state, batch, key):
        on_z, *keys = random.split(key, 4)
        fake, kl = fakes(state, batch, on_z)
        seen = judge.judge(state, batch["target"], fake, *batch["given"], keys=keys)
        return seen, kl

    def d_loss(state, batch, key):
        return judge.d_loss(state, verdict(state, batch, key)[0])

    def g_loss(state, batch, key):
        seen, kl = verdict(state, batch, key)
        value, kl = judge.g_loss(seen), kl.mean()
        (scales, real), (_, fake) = seen.real, seen.fake
        distances = [jnp.abs(r - f).mean() for r, f in zip(real, fake, strict=True)]
        distance = sum(distances) / len(scales)
        total = value + feature_matching * distance + kl_divergence * kl
        metrics = {"g_loss": value, "feature_matching": distance}
        return total, metrics | ({"kl_divergence": kl} if encoder else {})

    drawers = (G, encoder) if encoder else (G,)
    names = tuple(net.name for net in drawers)
    d_step = judge.keeping(update(D.name, d_loss, d_tx))
    g_step = update(names, g_loss, g_tx)
    both = share("fake", names, generate, d_step, g_step)

    def inputs(batch):
        given, target = batch["given"], batch["target"]
        z = jnp.zeros((len(target), latent_dim))
        found = {G.name: (z, *given), D.name: (target, *given)}
        return found | ({encoder.name: (target,)} if encoder else {})

    def translate(state, given, key):
        return averaged(G, state, *given)

    encode = {"style": _style(encoder)} if encoder else {}
    return assemble(
        (*drawers, D),
        both,
        *(ema(name, ema_decay) for name in names),
        inputs=inputs,
        draws={"translate": Draw(with_noise(latents, task), translate, encode)},
        parts={"D": d_step, "G": g_step},
        prepare=prepare(task),
    )


def _style(encoder: Net):
    """`Draw.encode`, by the encoder's averaged weights."""

    def style(state, given, images):
        mean, _ = averaged(encoder, state, images)
        return mean, *given[1:]

    return style
