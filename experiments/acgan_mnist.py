"""AC-GAN (Odena, Olah and Shlens, 2017, arXiv:1610.09585) on MNIST.

    python experiments/acgan_mnist.py
    python experiments/acgan_mnist.py sample --label 3 --out threes.png

D, which also classifies, has no other way to tell G of the class.
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
    """AC-GAN with DCGAN's networks, on MNIST or any labelled images."""

    class_weight: float = 1.0
    """Of the classes' log-likelihood beside the source's."""


def build(cfg: Config, shape, num_classes) -> recipes.GAN:
    if not num_classes:
        raise UsageError(f"--data {cfg.data} has no labels, which AC-GAN needs.")
    dtype = jnp.dtype(cfg.dtype)
    G, _ = models.dcgan.networks(shape, cfg.width, num_classes, dtype)
    _, D = models.dcgan.networks(shape, cfg.width, dtype=dtype)
    return recipes.acgan(
        models.flax_net("G", G),
        models.flax_net("D", D.clone(outputs=num_classes)),
        latent_dim=cfg.latent_dim,
        num_classes=num_classes,
        class_weight=cfg.class_weight,
        g_tx=optax.adam(cfg.g_lr, cfg.beta1),
        d_tx=optax.adam(cfg.d_lr, cfg.beta1),
        ema_decay=cfg.ema_decay,
    )


if __name__ == "__main__":
    cli.main(Config, build)
