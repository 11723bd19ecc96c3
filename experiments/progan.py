"""Progressive growing (Karras et al., 2018, arXiv:1710.10196), and StyleGAN of 2019.

    python experiments/progan.py emoji
    python experiments/progan.py stylegan --data mnist
    python experiments/progan.py celebahq --data folder:~/celeba_hq --tpu

`emoji` and `stylegan` are small ones of 32x32 pixels, for two CPU cores: four stages,
of 4, 8, 16 and 32 pixels. `celebahq` has the published networks and numbers of one
GPU, and `ffhq` StyleGAN's (arXiv:1812.04948, config F: it begins with 8x8 pixels), but
for its learning rate, which rises with the stages there.
"""

import dataclasses
from typing import Annotated, Literal

import jax.numpy as jnp
import optax

from jaxgan import models, recipes, run, schedules
from jaxgan import regularizers as reg
from jaxgan.recipes.progan import drift
from jaxgan.run.idle import Only
from jaxgan.run.presets import classic, shown
from jaxgan.run.settings import Count, Fraction, Index, Number
from jaxgan.types import Model, UsageError


@dataclasses.dataclass(frozen=True)
class Networks:
    """The networks."""

    generator: Literal["progan", "stylegan"] = "progan"
    """ProGAN's, or StyleGAN's: constant input, AdaIN, noise."""
    width: Count = 16
    """Channels of the last stage; each before has twice as many."""
    max_width: Count = 512
    """Channels of a stage at most."""
    latent_dim: Count = 512
    """Dimension of the noise z."""
    minibatch_group: Count = 4
    """Images that D compares."""
    w_dim: Annotated[Count, Only("generator", "stylegan")] = 512
    """Dimension of StyleGAN's styles w."""
    mapping_layers: Annotated[Count, Only("generator", "stylegan")] = 8
    """Layers of StyleGAN's mapping network."""


@dataclasses.dataclass(frozen=True)
class Growth:
    """How the networks grow."""

    fade_images: Count = 800_000
    """Images in which each stage but the first fades its layers in."""
    stable_images: Count = 800_000
    """Images of each stage but the last beside those; the last has what is left."""
    first_stage: Index = 0
    """The stage to begin with: 0 is of 4 to 7 pixels, 1 of twice as many."""


@dataclasses.dataclass(frozen=True)
class Adversary:
    """What D and G play."""

    loss: Literal[tuple(classic.LOSSES)] = "wasserstein"  # type: ignore[valid-type]  # of the table
    """What D and G minimize."""
    wgan_gp: Number = 10.0
    """λ of (|∇D| - 1)² between real images and fakes; 0 is without."""
    drift: Number = 1e-3
    """ε of D² at real images; 0 is without."""
    r1: Number = 0.0
    """γ of R1, |∇D|² at real images; 0 is without."""
    augment: Literal[tuple(shown.AUGMENTS)] = "none"  # type: ignore[valid-type]  # of the table
    """What is done to what D is shown, real and fake."""


@dataclasses.dataclass(frozen=True)
class Optimizers:
    """The optimizers, and the average of G's weights."""

    g_lr: Number = 1e-3
    """Adam's learning rate for G."""
    d_lr: Number = 1e-3
    """Adam's learning rate for D."""
    beta1: Fraction = 0.0
    """Adam's decay of the gradient's mean."""
    beta2: Fraction = 0.99
    """Adam's decay of the squared gradient's mean."""
    ema_images: Count = 10_000
    """The averaged weights' half-life, in images."""


@dataclasses.dataclass(frozen=True)
class Config(run.Config):
    """A GAN that grows."""

    networks: Networks = Networks()
    growth: Growth = Growth()
    adversary: Adversary = Adversary()
    ada: shown.Ada = shown.Ada()
    optimizers: Optimizers = Optimizers()


EMOJI = run.changed(
    Config(),
    data="emoji",
    resize="32",
    flip=True,
    steps=4000,
    batch_size=32,
    sample_every=1000,
    checkpoint_every=1000,
    width=16,
    max_width=128,
    latent_dim=64,
    fade_images=12_000,
    stable_images=12_000,
    g_lr=3e-3,
    d_lr=3e-3,
)
CELEBA_HQ = run.changed(
    Config(),
    data="folder:images",
    flip=True,
    steps=1_187_500,
    batch_size=16,
    minibatch_group=16,
    sample_every=10_000,
    checkpoint_every=10_000,
)
STYLED = {
    "generator": "stylegan",
    "loss": "nonsaturating",
    "wgan_gp": 0.0,
    "drift": 0.0,
}

PRESETS = {
    "emoji": EMOJI,
    "stylegan": run.changed(
        EMOJI, **STYLED, r1=0.1, w_dim=64, mapping_layers=4, g_lr=2e-3, d_lr=2e-3
    ),
    "celebahq": CELEBA_HQ,
    "ffhq": run.changed(
        CELEBA_HQ,
        **STYLED,
        r1=10.0,
        first_stage=1,
        minibatch_group=4,
        fade_images=600_000,
        stable_images=600_000,
        steps=1_562_500,
    ),
}


def build(cfg: Config, shape, num_classes) -> Model:
    nets, growth, play, tx = cfg.networks, cfg.growth, cfg.adversary, cfg.optimizers
    widths, dtype = (nets.width, nets.max_width), jnp.dtype(cfg.dtype)
    if nets.generator == "stylegan":
        styles = nets.w_dim, nets.mapping_layers
        G, D = models.stylegan.networks(shape, *widths, *styles, dtype)
    else:
        G, D = models.progan.networks(shape, *widths, dtype)
    D = [net.clone(group=nets.minibatch_group) for net in D]
    G, D = (net[growth.first_stage :] for net in (G, D))
    if not G:
        reason = "leaves no stage of such images."
        raise UsageError("first_stage", growth.first_stage, reason)
    each, fade = (
        -(-images // cfg.batch_size)
        for images in (growth.fade_images + growth.stable_images, growth.fade_images)
    )
    first = -(-growth.stable_images // cfg.batch_size)
    ends = [first + each * k for k in range(len(G) - 1)]
    if ends and ends[-1] >= cfg.steps:
        reason = (
            f"ends before the last stage begins, at step {ends[-1]}; give more, "
            "or fewer `fade_images` and `stable_images`."
        )
        raise UsageError("steps", cfg.steps, reason)
    penalties = {
        "wgan_gp": reg.wgan_gp(play.wgan_gp),
        "drift": drift(play.drift),
        "r1": reg.r1(play.r1),
    }
    asked = [term for n, term in penalties.items() if classic.asked(getattr(play, n))]
    return recipes.progan(
        [models.flax_net("G", net) for net in G],
        [models.flax_net("D", net) for net in D],
        latent_dim=nets.latent_dim,
        ends=ends,
        fade=fade,
        g_tx=optax.adam(tx.g_lr, tx.beta1, tx.beta2),
        d_tx=optax.adam(tx.d_lr, tx.beta1, tx.beta2),
        loss=classic.LOSSES[play.loss],
        penalty=reg.total(*asked) if asked else None,
        augment=shown.AUGMENTS[play.augment](cfg.ada),
        ema_decay=schedules.half_life(tx.ema_images, cfg.batch_size),
    )


if __name__ == "__main__":
    run.main(PRESETS, build)
