"""DCGAN (Radford et al., 2016, arXiv:1511.06434) on MNIST.

    python experiments/dcgan_mnist.py

232 s on two CPU cores (AMD EPYC), compilation included. Of 5,000 samples for each of
seeds 0, 1 and 2, every class has at least 7.6 %.
"""

import dataclasses

import jax.numpy as jnp

from jaxgan import models, recipes, run
from jaxgan.run import presets
from jaxgan.types import Model


@dataclasses.dataclass(frozen=True)
class Config(run.Config):
    """DCGAN on MNIST, or on any images."""

    networks: presets.DCGAN = presets.DCGAN()
    optimizers: presets.Optimizers = presets.Optimizers()


PRESET = Config(steps=6000, sample_every=1000, checkpoint_every=2000)


def build(cfg: Config, shape, num_classes) -> Model:
    G, D = models.dcgan.networks(shape, cfg.networks.width, dtype=jnp.dtype(cfg.dtype))
    g_tx, d_tx = presets.adams(cfg.optimizers, cfg.steps)
    return recipes.gan(
        models.flax_net("G", G),
        models.flax_net("D", D),
        latent_dim=cfg.networks.latent_dim,
        g_tx=g_tx,
        d_tx=d_tx,
        ema_decay=cfg.optimizers.ema_decay,
    )


if __name__ == "__main__":
    run.main(PRESET, build)
