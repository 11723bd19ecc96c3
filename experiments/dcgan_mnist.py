"""DCGAN (Radford et al., 2016, arXiv:1511.06434) on MNIST.

    python experiments/dcgan_mnist.py

232 s on two CPU cores (AMD EPYC), compilation included. Of 5,000 samples for each of
seeds 0, 1 and 2, every class has at least 7.6 %.
"""

import dataclasses

import jax.numpy as jnp
import optax

from jaxgan import models, recipes
from jaxgan.run import cli, config


@dataclasses.dataclass(frozen=True)
class Config(config.Config):
    """DCGAN on MNIST, or on any images."""

    steps: int = 6000
    """How many steps to train, in all."""
    sample_every: int = 1000
    """Steps between sample grids."""
    checkpoint_every: int = 2000
    """Steps between checkpoints; one is always made at the end."""
    width: int = 32
    """Channels of D's first layer and G's last hidden one; each smaller stage has
    twice as many."""
    latent_dim: int = 100
    """Dimension of the noise z."""
    g_lr: float = 1e-3
    """Adam's learning rate for G."""
    d_lr: float = 1e-3
    """Adam's learning rate for D."""
    beta1: float = 0.5
    """Adam's decay of the gradient's mean."""
    ema_decay: float = 0.999
    """Of the averaged weights that samples are drawn with."""


def build(cfg: Config, shape, num_classes) -> recipes.GAN:
    G, D = models.dcgan.networks(shape, cfg.width, dtype=jnp.dtype(cfg.dtype))
    return recipes.gan(
        models.flax_net("G", G),
        models.flax_net("D", D),
        latent_dim=cfg.latent_dim,
        g_tx=optax.adam(cfg.g_lr, cfg.beta1),
        d_tx=optax.adam(cfg.d_lr, cfg.beta1),
        ema_decay=cfg.ema_decay,
    )


if __name__ == "__main__":
    cli.main(Config, build)
