"""SNGAN, WGAN-GP, projection cGAN and SAGAN on CIFAR-10, by name.

    python experiments/gan_cifar10.py sngan --tpu

The protocol of mimicry (Lee and Town, 2020, arXiv:2005.02494): ResNets, 100,000 updates
of G with five of D each, batches of 64, Adam of 2e-4 and (0, 0.9), the rate falling to
0. SAGAN as its paper has it (arXiv:1805.08318): attention, spectral norm in both
networks, conditional BatchNorm, projection, one update of D each, rates of 1e-4 and
4e-4. Needs CIFAR-10 as prepared by TensorFlow Datasets, or other images by `--data`.
"""

import dataclasses

import gan_mnist
import jax.numpy as jnp

from jaxgan import models, recipes
from jaxgan.run import cli, config
from jaxgan.types import UsageError


@dataclasses.dataclass(frozen=True)
class Config(gan_mnist.Config):
    """A GAN of ResNets on CIFAR-10, or on any images."""

    data: str = "tfds:cifar10"
    """Training images, as in gan_mnist.py."""
    steps: int = 500000
    """How many updates of D, in all."""
    latent_dim: int = 128
    """Dimension of the noise z."""
    g_width: int = 256
    """G's channels at its largest stage. Above 32 pixels, where channels double with
    each halving, 64 is as published, for D as for G."""
    d_width: int = 128
    """D's channels in its first block."""
    loss: gan_mnist.Loss = "hinge"
    """What D and G minimize."""
    n_critic: int = 5
    """Updates of D for each of G."""
    d_norm: gan_mnist.Norm = "spectral"
    """D's normalization: ResNets have "none" or "spectral"."""
    g_norm: gan_mnist.Norm = "batch"
    """G's: "spectral" is beside its BatchNorm."""
    attention: bool = False
    """Self-attention in both networks."""
    conditional: bool = False
    """Give both networks the labels: conditional BatchNorm and projection."""
    g_lr: float = 2e-4
    """G's learning rate."""
    d_lr: float = 2e-4
    """D's learning rate."""
    decay_steps: int = config.or_none(500000)
    """Steps in which the learning rates fall to 0 along a line; 0: they do not."""
    beta1: float = 0.0
    """Adam's decay of the gradient's mean."""
    beta2: float = 0.9
    """The decay of the gradient's mean square."""
    sample_every: int = 5000
    """Steps between sample grids."""
    checkpoint_every: int = 10000
    """Steps between checkpoints; one is always made at the end."""


GANS = {
    "sngan": Config(),
    "wgan_gp": Config(loss="wasserstein", wgan_gp=10.0, d_norm="none"),
    "cgan_pd": Config(conditional=True),
    "sagan": Config(
        conditional=True,
        attention=True,
        g_norm="spectral",
        n_critic=1,
        g_lr=1e-4,
        d_lr=4e-4,
        decay_steps=0,
    ),
}


def build(cfg: Config, shape, num_classes) -> recipes.GAN:
    if cfg.d_norm == "batch":
        raise UsageError("--d-norm batch: ResNets' D has none; give none or spectral.")
    if cfg.g_norm == "none":
        raise UsageError("--g-norm none: ResNets' G has BatchNorm; give another.")
    if cfg.conditional and not num_classes:
        raise UsageError(f"--data {cfg.data} has no labels, which --conditional needs.")
    classes = num_classes if cfg.conditional else 0
    widths, dtype = (cfg.g_width, cfg.d_width), jnp.dtype(cfg.dtype)
    G, D = models.resnet.networks(shape, *widths, classes, cfg.attention, dtype)
    G, D = models.flax_net("G", G), models.flax_net("D", D)
    return gan_mnist.recipe(cfg, G, D, classes)


if __name__ == "__main__":
    cli.main(Config, build, named=GANS)
