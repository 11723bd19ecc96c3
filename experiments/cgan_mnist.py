"""Class-conditional DCGAN (Mirza and Osindero, 2014, arXiv:1411.1784) on MNIST.

    python experiments/cgan_mnist.py
    python experiments/cgan_mnist.py sample --label 3 --out threes.png

About four minutes on two CPU cores (AMD EPYC); 98 % of 5,000 samples are of the class
asked for.
"""

import dataclasses

import dcgan_mnist
import jax.numpy as jnp
import optax

from jaxgan import models, recipes
from jaxgan.run import cli
from jaxgan.types import UsageError


@dataclasses.dataclass(frozen=True)
class Config(dcgan_mnist.Config):
    """DCGAN conditioned on the class, on MNIST or any labelled images."""


def build(cfg: Config, shape, num_classes) -> recipes.GAN:
    if not num_classes:
        raise UsageError(
            f"--data {cfg.data} has no labels, which a class-conditional GAN needs."
        )
    G, D = models.dcgan.networks(shape, cfg.width, num_classes, jnp.dtype(cfg.dtype))
    return recipes.gan(
        models.flax_net("G", G),
        models.flax_net("D", D),
        latent_dim=cfg.latent_dim,
        num_classes=num_classes,
        g_tx=optax.adam(cfg.g_lr, cfg.beta1),
        d_tx=optax.adam(cfg.d_lr, cfg.beta1),
        ema_decay=cfg.ema_decay,
    )


if __name__ == "__main__":
    cli.main(Config, build)
