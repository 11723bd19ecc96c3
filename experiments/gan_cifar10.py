"""SNGAN, WGAN-GP, projection cGAN and SAGAN on CIFAR-10, by name.

    python experiments/gan_cifar10.py sngan --tpu

The protocol of mimicry (Lee and Town, 2020, arXiv:2005.02494): ResNets, 100,000 updates
of G with five of D each, batches of 64, Adam of 2e-4 and (0, 0.9), the rate falling to
0. SAGAN as its paper has it (arXiv:1805.08318): attention, spectral norm in both
networks, conditional BatchNorm, projection, one update of D each, rates of 1e-4 and
4e-4. Needs CIFAR-10 as prepared by TensorFlow Datasets, or other images by `--data`.
"""

import dataclasses
from typing import Literal

import jax.numpy as jnp

from jaxgan import models, run
from jaxgan.run.presets import classic
from jaxgan.types import Model, UsageError


@dataclasses.dataclass(frozen=True)
class Config(classic.Config):
    """A GAN of ResNets on CIFAR-10, or on any images."""

    attention: bool = False
    """Self-attention in both networks."""
    conditional: bool = False
    """Give both networks the labels: conditional BatchNorm and projection."""
    pool: Literal["sum", "mean"] = "sum"
    """How D's places become features: SNGAN's sum, or WGAN-GP's mean."""
    layer_norm: bool = False
    """LayerNorm in D's blocks, as WGAN-GP has it above 32 pixels."""


# Widths are G's channels at its largest stage, and D's in its first block. Above 32
# pixels, where channels double with each halving, 64 is as published for both.
SNGAN = run.changed(
    Config(),
    data="tfds:cifar10",
    steps=500000,
    sample_every=5000,
    checkpoint_every=10000,
    latent_dim=128,
    g_width=256,
    d_width=128,
    d_norm="spectral",
    loss="hinge",
    n_critic=5,
    g_lr=2e-4,
    d_lr=2e-4,
    decay_steps=500000,
    beta1=0.0,
    beta2=0.9,
)

PRESETS = {
    "sngan": SNGAN,
    "wgan_gp": run.changed(
        SNGAN, loss="wasserstein", wgan_gp=10.0, d_norm="none", pool="mean"
    ),
    "cgan_pd": run.changed(SNGAN, conditional=True),
    "sagan": run.changed(
        SNGAN,
        conditional=True,
        attention=True,
        g_norm="spectral",
        n_critic=1,
        g_lr=1e-4,
        d_lr=4e-4,
        decay_steps=0,
    ),
}


def build(cfg: Config, shape, num_classes) -> Model:
    nets = cfg.networks
    if nets.d_norm == "batch" and nets.d_features == "none":
        raise UsageError(
            "d_norm", "batch", ": ResNets' D has none; give none or spectral."
        )
    if nets.g_norm == "none":
        raise UsageError("g_norm", "none", ": ResNets' G has BatchNorm; give another.")
    if nets.d_features != "none" and (cfg.layer_norm or cfg.pool != "sum"):
        name = "layer_norm" if cfg.layer_norm else "pool"
        value = getattr(cfg, name)
        raise UsageError(name, value, "is of ResNets' D, which `d_features` replaces.")
    if cfg.conditional and not num_classes:
        reason = "has no labels, which `conditional` needs."
        raise UsageError("data", cfg.data, reason)
    classes = num_classes if cfg.conditional else 0
    widths, dtype = (nets.g_width, nets.d_width), jnp.dtype(cfg.dtype)
    more = {"pool": cfg.pool, "layer_norm": cfg.layer_norm}
    G, D = models.resnet.networks(shape, *widths, classes, cfg.attention, dtype, **more)
    G, D = models.flax_net("G", G), models.flax_net("D", D)
    return classic.recipe(cfg, G, D, classes)


if __name__ == "__main__":
    run.main(PRESETS, build)
