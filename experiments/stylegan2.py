"""StyleGAN2 (Karras et al., 2020, arXiv:1912.04958) of emoji, digits, or any images.

    python experiments/stylegan2.py emoji
    python experiments/stylegan2.py emoji sample --truncation 0.7 --out emoji.png
    python experiments/stylegan2.py mnist
    python experiments/stylegan2.py ffhq256 --data folder:~/faces --tpu

`emoji` and `mnist` are small ones of 32x32 pixels, for two CPU cores: rates are four
times StyleGAN2-ADA's, since steps are few, and path lengths are left out, as
StyleGAN2-ADA does for CIFAR-10; `--path-weight 2` has them. `config_f` and
`ffhq256` have the published networks and numbers, the latter those of StyleGAN2-ADA's
`paper256` (arXiv:2006.06676).
"""

import dataclasses
from typing import Annotated, Literal

import jax.numpy as jnp
import optax

from jaxgan import models, phases, recipes, run, schedules
from jaxgan.run import presets
from jaxgan.run.idle import Only
from jaxgan.run.presets import classic, shown
from jaxgan.run.settings import Chance, Count, Fraction, Number
from jaxgan.types import Model


@dataclasses.dataclass(frozen=True)
class Networks:
    """The networks."""

    width: Count = 64
    """Channels of the largest stage, in G and in D; each smaller one has twice as
    many."""
    max_width: Count = 512
    """Channels of a stage at most."""
    latent_dim: Count = 512
    """Dimension of the noise z."""
    w_dim: Count = 512
    """Dimension of the styles w."""
    mapping_layers: Count = 8
    """Layers of the mapping network."""
    minibatch_group: Count = 4
    """Images that D compares."""
    conditional: bool = False
    """Give both networks the labels."""


@dataclasses.dataclass(frozen=True)
class Adversary:
    """What D and G play."""

    loss: Literal[tuple(classic.LOSSES)] = "nonsaturating"  # type: ignore[valid-type]  # of the table
    """What D and G minimize."""
    r1: Number = 10.0
    """γ of R1, |∇D|² at real images; 0 is without."""
    r1_every: Annotated[Count, Only("r1")] = 16
    """Its period: every so many steps."""
    path_weight: Number = 2.0
    """Of the path length regularization; 0 is without."""
    path_every: Annotated[Count, Only("path_weight")] = 4
    """Its period."""
    mixing: Chance = 0.9
    """The share of training images that are of two styles."""
    augment: Literal[tuple(shown.AUGMENTS)] = "none"  # type: ignore[valid-type]  # of the table
    """What is done to what D is shown, real and fake."""


@dataclasses.dataclass(frozen=True)
class Optimizers:
    """The optimizers, and the average of G's weights."""

    g_lr: Number = 2e-3
    """Adam's learning rate for G; the mapping network's is a hundredth."""
    d_lr: Number = 2e-3
    """Adam's learning rate for D."""
    beta1: Fraction = 0.0
    """Adam's decay of the gradient's mean."""
    beta2: Fraction = 0.99
    """Adam's decay of the squared gradient's mean."""
    ema_images: Count = 10_000
    """The averaged weights' half-life, in images."""
    ema_ramp_up: Number = 0.0
    """If above 0, the half-life is at most this part of the images seen."""


@dataclasses.dataclass(frozen=True)
class Config(run.Config):
    """StyleGAN2."""

    networks: Networks = Networks()
    adversary: Adversary = Adversary()
    ada: shown.Ada = shown.Ada()
    optimizers: Optimizers = Optimizers()


SMALL = run.changed(
    Config(),
    resize="32",
    steps=7000,
    batch_size=32,
    sample_every=1000,
    checkpoint_every=1000,
    width=16,
    max_width=128,
    latent_dim=64,
    w_dim=64,
    mapping_layers=2,
    r1=0.05,
    path_weight=0.0,
    g_lr=0.01,
    d_lr=0.01,
    ema_ramp_up=0.05,
)

CONFIG_F = run.changed(
    Config(),
    data="folder:images",
    flip=True,
    steps=781_250,
    batch_size=32,
    sample_every=10_000,
    checkpoint_every=10_000,
    width=32,
)

PRESETS = {
    "emoji": run.changed(SMALL, data="emoji", flip=True, augment="diff_augment"),
    "mnist": run.changed(SMALL, data="mnist"),
    "config_f": CONFIG_F,
    "ffhq256": run.changed(
        CONFIG_F,
        resize="256",
        steps=390_625,
        batch_size=64,
        width=64,
        minibatch_group=8,
        r1=1.0,
        g_lr=2.5e-3,
        d_lr=2.5e-3,
        ema_images=20_000,
        dtype="bfloat16",
    ),
}


def build(cfg: Config, shape, num_classes) -> Model:
    nets, play, tx = cfg.networks, cfg.adversary, cfg.optimizers
    if nets.conditional:
        presets.labelled(cfg, num_classes, "a class-conditional GAN")
    classes = num_classes if nets.conditional else 0
    widths = nets.width, nets.max_width, nets.w_dim, nets.mapping_layers, classes
    mapping, synthesis, D = models.stylegan2.networks(
        shape, *widths, jnp.dtype(cfg.dtype), nets.minibatch_group
    )
    betas, lengths = (tx.beta1, tx.beta2), classic.asked(play.path_weight)
    r1 = classic.asked(play.r1)
    return recipes.stylegan2(
        models.flax_net("mapping", mapping),
        models.flax_net("synthesis", synthesis),
        models.flax_net("D", D),
        latent_dim=nets.latent_dim,
        g_tx=phases.lazy_adam(tx.g_lr, *betas, play.path_every)
        if lengths
        else optax.adam(tx.g_lr, *betas),
        d_tx=phases.lazy_adam(tx.d_lr, *betas, play.r1_every)
        if r1
        else optax.adam(tx.d_lr, *betas),
        loss=classic.LOSSES[play.loss],
        mixing=play.mixing,
        r1=play.r1 if r1 else None,
        r1_every=play.r1_every,
        path_weight=play.path_weight if lengths else None,
        path_every=play.path_every,
        augment=shown.AUGMENTS[play.augment](cfg.ada),
        num_classes=classes,
        ema_decay=schedules.half_life(tx.ema_images, cfg.batch_size, tx.ema_ramp_up),
    )


if __name__ == "__main__":
    run.main(PRESETS, build)
