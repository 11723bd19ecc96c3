"""SPADE, or GauGAN (Park et al., 2019, arXiv:1903.07291): from label maps to images.

    python experiments/spade.py
    python experiments/spade.py --data maps:DIR --map-classes 20 --resize 64x64
    python experiments/spade.py translate --input map.png --out drawn
    python experiments/spade.py translate --input map.png --style photo.png

`maps:DIR` holds images/ and maps/, whose files match by name; a map's pixels are
numbers of classes. The default's are the ground and the ink of each digit.
"""

import dataclasses
from typing import Literal

import jax.numpy as jnp
import optax

from jaxgan import models, recipes, tasks
from jaxgan.models import spectral
from jaxgan.run import cli, config
from jaxgan.types import UsageError


@dataclasses.dataclass(frozen=True)
class Config(config.Config):
    """SPADE on label maps of painted digits, or on any."""

    data: str = "mapped_mnist"
    """Images with label maps: maps:DIR, or mapped_mnist."""
    map_classes: int = 11
    """How many classes there are in the maps, 0 included."""
    steps: int = 1500
    """How many steps to train, in all."""
    batch_size: int = 8
    """Images per step, over all devices together."""
    sample_every: int = 1000
    """Steps between sample sheets."""
    checkpoint_every: int = 1000
    """Steps between checkpoints; one is always made at the end."""
    latent_dim: int = 64
    """Dimension of the noise z; 256 in the paper."""
    width: int = 16
    """Channels of G's last block; each smaller one has twice as many."""
    hidden: int = 16
    """Channels between a map and its scales and shifts; 128 in the paper."""
    encoder: bool = True
    """An encoder makes z of the target while training, and of translate --style; by
    --no-encoder z is noise."""
    d_width: int = 32
    """Channels of D's first layer."""
    scales: int = 2
    """Discriminators, each on images of half the size."""
    patch: Literal[1, 16, 34, 70, 142, 286] = 16
    """Side of the patches that they judge; 70 in the paper."""
    matching: float = 2.0
    """Weight of the distance of D's features; 10 in the paper."""
    divergence: float = 0.001
    """Weight of the encoder's KL divergence; 0.05 in the paper."""
    g_lr: float = 4e-4
    """Adam's learning rate for G."""
    d_lr: float = 4e-4
    """Adam's learning rate for D."""
    beta1: float = 0.0
    """Adam's decay of the gradient's mean."""
    beta2: float = 0.999
    """Adam's decay of the squared gradient's mean."""
    ema_decay: float = 0.999
    """Of the averaged weights that images are translated with."""


def build(cfg: Config, shape, num_classes) -> recipes.Translator:
    if not cfg.encoder and cfg.divergence != Config.divergence:
        raise UsageError(
            f"--divergence {cfg.divergence} is of the encoder, which --no-encoder "
            "leaves out."
        )
    dtype = jnp.dtype(cfg.dtype)
    G = models.spade.Generator(shape[-1], cfg.width, cfg.hidden, shape[:2], dtype=dtype)
    D = models.pix2pix.MultiScale(cfg.scales, cfg.d_width, cfg.patch, dtype=dtype)
    E = models.spade.Encoder(cfg.latent_dim, cfg.width, dtype=dtype)
    smallest = [-(-side >> (cfg.scales - 1)) for side in shape[:2]]
    models.pix2pix.check_patch((1, *smallest), cfg.patch)
    return recipes.spade(
        spectral.normalized(models.flax_net("G", G)),
        spectral.normalized(models.flax_net("D", D)),
        tasks.of_maps(cfg.map_classes),
        latent_dim=cfg.latent_dim,
        encoder=models.flax_net("E", E) if cfg.encoder else None,
        g_tx=optax.adam(cfg.g_lr, cfg.beta1, cfg.beta2),
        d_tx=optax.adam(cfg.d_lr, cfg.beta1, cfg.beta2),
        matching=cfg.matching,
        divergence=cfg.divergence,
        ema_decay=cfg.ema_decay,
    )


if __name__ == "__main__":
    cli.main(Config, build, commands=cli.TRANSLATOR)
