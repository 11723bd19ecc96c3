"""BigGAN (Brock et al., 2019, arXiv:1809.11096), class-conditional.

    python experiments/biggan.py emoji
    python experiments/biggan.py emoji sample --label 5 --out dark.png
    python experiments/biggan.py imagenet128 --data folder:DIR --tpu

`emoji` is a small one of emoji by tone of skin, for a CPU. `imagenet128`
has the paper's options for 128x128 pixels, of 1,000 classes and batches of 2,048: give
your images by --data. The batch's labels, which are as frequent as in the data, are
those of fakes.
"""

import dataclasses

import jax.numpy as jnp

from jaxgan import models, run
from jaxgan.run import presets
from jaxgan.run.presets import classic
from jaxgan.run.settings import Count, Number
from jaxgan.types import Model, UsageError


@dataclasses.dataclass(frozen=True)
class Networks(classic.Networks):
    """The networks; widths are what channels are multiples of, `ch` in the paper."""

    latent_dim: Count = 120
    """Dimension of the noise z, of which each stage of G has a piece."""
    d_norm: classic.Norm = "spectral"
    """D's normalization, "none" or "spectral"."""
    g_norm: classic.Norm = "spectral"
    """Of G: "spectral" beside BatchNorm, or "batch" alone."""
    shared_dim: Count = 128
    """Dimension of the embedding of classes that G's blocks share."""


@dataclasses.dataclass(frozen=True)
class Adversary(classic.Adversary):
    """What D and G play."""

    orthogonal: Number = 1e-4
    """β of orthogonal regularization of G; 0 is without."""


@dataclasses.dataclass(frozen=True)
class Config(classic.Config):
    """BigGAN of any labelled images."""

    networks: Networks = Networks()
    adversary: Adversary = Adversary()


IMAGENET128 = run.changed(
    Config(),
    data="tfds:imagenet2012",
    resize="128",
    crop="128",
    flip=True,
    loss="hinge",
    steps=300000,
    batch_size=2048,
    sample_every=5000,
    checkpoint_every=5000,
    g_width=96,
    d_width=96,
    n_critic=2,
    g_lr=5e-5,
    d_lr=2e-4,
    beta1=0.0,
    beta2=0.999,
    ema_decay=0.9999,
)
EMOJI = run.changed(
    IMAGENET128,
    data="emoji_tones",
    resize="32",
    crop=None,
    steps=8000,
    batch_size=32,
    sample_every=1000,
    checkpoint_every=1000,
    g_width=16,
    d_width=16,
    latent_dim=64,
    shared_dim=32,
    n_critic=1,
    augment="diff_augment",
    g_lr=2e-4,
    d_lr=4e-4,
    ema_decay=0.999,
)
PRESETS = {"emoji": EMOJI, "imagenet128": IMAGENET128}


def build(cfg: Config, shape, num_classes) -> Model:
    presets.labelled(cfg, num_classes, "BigGAN")
    nets = cfg.networks
    if nets.d_norm == "batch":
        reason = ": BigGAN's D has none; give none or spectral."
        raise UsageError("d_norm", "batch", reason)
    if nets.g_norm == "none":
        raise UsageError("g_norm", "none", ": BigGAN's G has BatchNorm; give another.")
    widths, dtype = (nets.g_width, nets.d_width), jnp.dtype(cfg.dtype)
    G, D = models.biggan.networks(
        shape, nets.latent_dim, *widths, num_classes, nets.shared_dim, dtype
    )
    weight = cfg.adversary.orthogonal
    regularized = models.biggan.orthogonal_regularization(weight)
    return classic.recipe(
        cfg,
        models.flax_net("G", G),
        models.flax_net("D", D),
        num_classes,
        g_penalty=regularized if classic.asked(weight) else None,
    )


if __name__ == "__main__":
    run.main(PRESETS, build)
