"""SPADE, or GauGAN (Park et al., 2019, arXiv:1903.07291): from label maps to images.

    python experiments/spade.py
    python experiments/spade.py --data maps:DIR --map-classes 20 --resize 64x64
    python experiments/spade.py translate --input map.png --out drawn
    python experiments/spade.py translate --input map.png --style photo.png

`maps:DIR` holds images/ and maps/, whose files match by name; a map's pixels are
numbers of classes. The default's are the ground and the ink of each digit.
"""

import dataclasses

import jax.numpy as jnp

from jaxgan import models, recipes, run, tasks
from jaxgan.models import spectral
from jaxgan.run import presets
from jaxgan.run.settings import Count, Number
from jaxgan.types import Model, UsageError


@dataclasses.dataclass(frozen=True)
class Networks:
    """The networks."""

    latent_dim: Count = 64
    """Dimension of the noise z; 256 in the paper."""
    width: Count = 16
    """Channels of G's last block; each smaller one has twice as many."""
    hidden: Count = 16
    """Channels between a map and its scales and shifts; 128 in the paper."""
    encoder: bool = True
    """An encoder makes z of the target while training, and of translate --style; by
    --no-encoder z is noise."""
    d_width: Count = 32
    """Channels of D's first layer."""
    scales: Count = 2
    """Discriminators, each on images of half the size."""
    patch: presets.paired.Patch = 16
    """Side of the patches that they judge; 70 in the paper."""


@dataclasses.dataclass(frozen=True)
class Objective:
    """What G and its encoder minimize beside the GAN."""

    matching: Number = 2.0
    """Weight of feature matching, the distance of D's features; 10 in the paper."""
    divergence: Number = 0.001
    """Weight of the encoder's KL divergence; 0.05 in the paper."""


@dataclasses.dataclass(frozen=True)
class Config(run.Config):
    """SPADE on label maps of painted digits, or on any."""

    map_classes: Count = 11
    """How many classes there are in the maps, 0 included."""
    networks: Networks = Networks()
    objective: Objective = Objective()
    optimizers: presets.Optimizers = presets.Optimizers()


PRESET = run.changed(
    Config(),
    data="mapped_mnist",
    steps=1500,
    batch_size=8,
    sample_every=1000,
    g_lr=4e-4,
    d_lr=4e-4,
    beta1=0.0,
)


def build(cfg: Config, shape, num_classes) -> Model:
    nets, objective, dtype = cfg.networks, cfg.objective, jnp.dtype(cfg.dtype)
    if not nets.encoder and objective.divergence != Objective.divergence:
        reason = "is of the encoder, which `no_encoder` leaves out."
        raise UsageError("divergence", objective.divergence, reason)
    args = shape[-1], nets.width, nets.hidden, shape[:2]
    G = models.spade.Generator(*args, dtype=dtype)
    D = models.pix2pix.MultiScale(nets.scales, nets.d_width, nets.patch, dtype=dtype)
    E = models.spade.Encoder(nets.latent_dim, nets.width, dtype=dtype)
    smallest = [-(-side >> (nets.scales - 1)) for side in shape[:2]]
    models.pix2pix.check_patch((1, *smallest), nets.patch)
    g_tx, d_tx = presets.adams(cfg.optimizers, cfg.steps)
    return recipes.spade(
        spectral.normalized(models.flax_net("G", G)),
        spectral.normalized(models.flax_net("D", D)),
        tasks.of_maps(cfg.map_classes),
        latent_dim=nets.latent_dim,
        encoder=models.flax_net("E", E) if nets.encoder else None,
        g_tx=g_tx,
        d_tx=d_tx,
        feature_matching=objective.matching,
        kl_divergence=objective.divergence,
        ema_decay=cfg.optimizers.ema_decay,
    )


if __name__ == "__main__":
    run.main(PRESET, build)
