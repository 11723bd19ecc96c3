"""AC-GAN (Odena, Olah and Shlens, 2017, arXiv:1610.09585) on MNIST.

    python experiments/acgan_mnist.py
    python experiments/acgan_mnist.py sample --label 3 --out threes.png

D, which also classifies, has no other way to tell G of the class.
"""

import dataclasses

import jax.numpy as jnp

from jaxgan import models, recipes, run
from jaxgan.run import presets
from jaxgan.run.settings import Number
from jaxgan.types import Model


@dataclasses.dataclass(frozen=True)
class Config(run.Config):
    """AC-GAN with DCGAN's networks, on MNIST or any labelled images."""

    class_weight: Number = 1.0
    """Of the classes' log-likelihood beside the source's."""
    networks: presets.DCGAN = presets.DCGAN()
    optimizers: presets.Optimizers = presets.Optimizers()


PRESET = Config(steps=6000, sample_every=1000, checkpoint_every=2000)


def build(cfg: Config, shape, num_classes) -> Model:
    presets.labelled(cfg, num_classes, "AC-GAN")
    width, dtype = cfg.networks.width, jnp.dtype(cfg.dtype)
    G, _ = models.dcgan.networks(shape, width, num_classes, dtype)
    _, D = models.dcgan.networks(shape, width, dtype=dtype)
    g_tx, d_tx = presets.adams(cfg.optimizers, cfg.steps)
    return recipes.acgan(
        models.flax_net("G", G),
        models.flax_net("D", D.clone(outputs=num_classes)),
        latent_dim=cfg.networks.latent_dim,
        num_classes=num_classes,
        class_weight=cfg.class_weight,
        g_tx=g_tx,
        d_tx=d_tx,
        ema_decay=cfg.optimizers.ema_decay,
    )


if __name__ == "__main__":
    run.main(PRESET, build)
