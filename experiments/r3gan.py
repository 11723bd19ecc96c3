"""R3GAN on images of any kind, by name.

    python experiments/r3gan.py emoji
    python experiments/r3gan.py stacked_mnist
    python experiments/r3gan.py ffhq256 --data folder:faces --tpu

The paper's loss, networks and schedules (Huang et al., 2024, arXiv:2501.05441):
relativistic pairing with R1 and R2, ResNeXt blocks without normalization, and a burn-in
in which γ and the learning rate fall, β2 and the average's half-life rise, all along
half a cosine. `cifar10`, `imagenet32`, `imagenet64`, `ffhq64` and `ffhq256` have widths
and schedules as a public fork of the authors' program has them; batch sizes and lengths
are ours. `emoji` and `stacked_mnist` are small enough for a CPU; we have trained none
of the others.
"""

import dataclasses
from typing import Annotated, Literal

import jax.numpy as jnp

from jaxgan import augment, losses, models, recipes, run, schedules
from jaxgan import regularizers as reg
from jaxgan.run import config, presets
from jaxgan.run.idle import Only
from jaxgan.run.presets import shown
from jaxgan.run.settings import Chance, Count, Fraction, Number
from jaxgan.types import Model


@dataclasses.dataclass(frozen=True)
class Networks:
    """The networks."""

    width: Count = 768
    """Channels at the size of the images; each smaller stage has twice as many."""
    max_width: Count = 768
    """But at most so many."""
    group_width: Count = 16
    """Channels of a group of the 3x3 convolutions, which divide the widths."""
    blocks: Count = 2
    """Of each stage."""
    latent_dim: Count = 64
    """Dimension of the noise z."""
    conditional: bool = False
    """Give both networks the labels."""


@dataclasses.dataclass(frozen=True)
class Adversary:
    """What D and G play."""

    gamma: Number = 0.05
    """γ of R1 and R2 at first."""
    last_gamma: Number = 0.005
    """After the burn-in."""
    augment: Literal["none", "diff_augment", "ada"] = "none"
    """What is done to what D is shown, real and fake; ada: the paper's transforms, with
    a probability that rises from 0."""
    augment_p: Annotated[Chance, Only("augment", "ada")] = 0.3
    """That probability after the burn-in."""


@dataclasses.dataclass(frozen=True)
class Optimizers:
    """Adam for both networks, and the average of G's weights."""

    burn_in: Count = 20_000_000
    """Images in which everything goes from its first value to its last."""
    lr: Number = 2e-4
    """The learning rate at first."""
    last_lr: Number = 5e-5
    """After the burn-in."""
    beta1: Fraction = 0.0
    """Adam's decay of the gradient's mean."""
    beta2: Fraction = 0.9
    """Adam's decay of the squared gradient's mean at first."""
    last_beta2: Fraction = 0.99
    """After the burn-in."""
    ema_images: Number = 5e6
    """The half-life of G's averaged weights after the burn-in; at first it is 0."""


@dataclasses.dataclass(frozen=True)
class Config(config.Config):
    """R3GAN on CIFAR-10, or on any images."""

    networks: Networks = Networks()
    adversary: Adversary = Adversary()
    optimizers: Optimizers = Optimizers()


CIFAR10 = run.changed(
    Config(),
    data="tfds:cifar10",
    steps=200_000,
    batch_size=512,
    conditional=True,
    augment="ada",
    augment_p=0.55,
    sample_every=5000,
    checkpoint_every=5000,
)
FFHQ64 = run.changed(
    CIFAR10,
    data="folder:ffhq",
    resize="64",
    steps=400_000,
    batch_size=256,
    flip=True,
    conditional=False,
    width=384,
    augment_p=0.3,
    gamma=2.0,
    last_gamma=0.2,
    ema_images=5e5,
)
IMAGENET32 = run.changed(
    CIFAR10,
    data="folder:imagenet",
    resize="32",
    crop="32",
    flip=True,
    batch_size=4096,
    width=1536,
    max_width=1536,
    group_width=32,
    augment_p=0.5,
    gamma=0.5,
    last_gamma=0.05,
    burn_in=200_000_000,
    ema_images=5e7,
)
EMOJI = run.changed(
    Config(),
    data="emoji",
    resize="32",
    flip=True,
    steps=6000,
    batch_size=16,
    augment="diff_augment",
    width=8,
    max_width=64,
    blocks=1,
    gamma=3.0,
    last_gamma=0.3,
    lr=2e-3,
    last_lr=2e-4,
    burn_in=64_000,
    ema_images=5e3,
    sample_every=1000,
    checkpoint_every=1000,
)
PRESETS = {
    "emoji": EMOJI,
    "stacked_mnist": run.changed(
        EMOJI,
        data="stacked_mnist",
        resize=None,
        flip=False,
        augment="none",
        batch_size=64,
        gamma=0.5,
        last_gamma=0.05,
        lr=1e-3,
        burn_in=192_000,
        evaluate_every=2000,
        evaluate_num=25600,
        evaluate_metrics=("classes",),
    ),
    "cifar10": CIFAR10,
    "imagenet32": IMAGENET32,
    "imagenet64": run.changed(
        IMAGENET32, resize="64", crop="64", augment_p=0.4, gamma=1.0, last_gamma=0.1
    ),
    "ffhq64": FFHQ64,
    "ffhq256": run.changed(
        FFHQ64, resize="256", width=96, gamma=150.0, last_gamma=15.0
    ),
}


TRANSFORMS = augment.pipeline(
    *("blit", "geom", "color", "cutout"),
    **dict.fromkeys(("brightness", "contrast", "luma_flip", "hue", "saturation"), 0.5),
)
"""R3GAN's, the colours' with half the probability."""


def build(cfg: Config, shape, num_classes) -> Model:
    nets, play, tx = cfg.networks, cfg.adversary, cfg.optimizers
    if nets.conditional:
        presets.labelled(cfg, num_classes, "`conditional`")
    classes = num_classes if nets.conditional else 0
    of = nets.width, nets.max_width, nets.blocks, nets.group_width
    G, D = models.r3gan.networks(shape, *of, classes, jnp.dtype(cfg.dtype))

    def burn_in(first, last):
        return schedules.cosine(first, last, tx.burn_in / cfg.batch_size)

    gamma = burn_in(play.gamma, play.last_gamma)
    rate, beta2 = burn_in(tx.lr, tx.last_lr), burn_in(tx.beta2, tx.last_beta2)
    g_tx, d_tx = (schedules.adam(rate, tx.beta1, beta2) for _ in "GD")
    augments = {
        "none": None,
        "diff_augment": shown.SHIFTED_AND_CUT,
        "ada": augment.scheduled(burn_in(0.0, play.augment_p), TRANSFORMS),
    }
    return recipes.gan(
        models.flax_net("G", G),
        models.flax_net("D", D),
        latent_dim=nets.latent_dim,
        g_tx=g_tx,
        d_tx=d_tx,
        loss=losses.relativistic_logistic,
        penalty=reg.total(reg.r1(gamma), reg.r2(gamma)),
        augment=augments[play.augment],
        num_classes=classes,
        ema_decay=schedules.half_life(burn_in(0.0, tx.ema_images), cfg.batch_size),
    )


if __name__ == "__main__":
    run.main(PRESETS, build)
