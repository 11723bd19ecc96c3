"""CycleGAN (Zhu et al., 2017, arXiv:1703.10593): between two domains, without pairs.

    python experiments/cyclegan.py
    python experiments/cyclegan.py --data unpaired:photos,art --resize 64 --crop 64
    python experiments/cyclegan.py translate --input photo.jpg --out painted
    python experiments/cyclegan.py translate --back --input painting.jpg --out photos

By default digits in chalk become painted ones, of other digits; a class keeps its shape
as nothing but shapes ties the two together.
"""

import dataclasses
from typing import Literal

import jax.numpy as jnp
import optax
import pix2pix

from jaxgan import models, recipes
from jaxgan.run import cli, config


@dataclasses.dataclass(frozen=True)
class Config(config.Config):
    """CycleGAN between chalk and painted digits, or any two folders of images."""

    data: str = "unpaired_mnist"
    """Two domains: unpaired:A,B, each a folder or another data set."""
    steps: int = 3500
    """How many steps to train, in all."""
    decay_from: int = config.or_none(1750)
    """The step from which learning rates go down, linearly."""
    decay_until: int = config.or_none(3500)
    """The step at which they are 0; 0 for never, with --decay-from 0."""
    batch_size: int = 4
    """Images of each domain per step, over all devices together."""
    sample_every: int = 1000
    """Steps between sample sheets."""
    checkpoint_every: int = 1000
    """Steps between checkpoints; one is always made at the end."""
    width: int = 16
    """Channels of the generators' first layer; 64 in the paper."""
    blocks: int = config.or_none(3)
    """Their residual blocks; 6 for images of 128 pixels, 9 for 256 in the paper."""
    d_width: int = 32
    """Channels of the discriminators' first layer."""
    patch: Literal[1, 16, 34, 70, 142, 286] = 16
    """Side of the patches that they judge; 70 in the paper."""
    norm: Literal["instance", "layer", "batch", "none"] = "instance"
    """Normalization of all networks; with "batch" images that pass together share
    their statistics: all of a step, but `translate` passes each by itself."""
    cycle: float = 5.0
    """λ of the distance after there and back; 5 is the paper's 10, where squares are
    not halved."""
    identity: float = 0.5
    """Share of λ for leaving images of the target's domain as they are."""
    pool: int = config.or_none(50)
    """Earlier fakes of each domain that the discriminators also see."""
    g_lr: float = 4e-4
    """Adam's learning rate for the generators; 2e-4 at the paper's batch of 1."""
    d_lr: float = 4e-4
    """Adam's learning rate for the discriminators."""
    beta1: float = 0.5
    """Adam's decay of the gradient's mean."""
    ema_decay: float = 0.999
    """Of the averaged weights that images are translated with."""


def build(cfg: Config, shape, num_classes) -> recipes.Translator:
    dtype = jnp.dtype(cfg.dtype)
    models.pix2pix.check_patch((1, *shape), cfg.patch)
    models.cyclegan.check_size((1, *shape))
    G = models.cyclegan.ResNetGenerator(
        shape[-1], cfg.width, cfg.blocks, cfg.norm, dtype
    )
    D = models.pix2pix.PatchGAN(cfg.d_width, cfg.patch, cfg.norm, dtype=dtype)

    def adam(rate):
        return optax.adam(pix2pix.decaying(cfg, rate), cfg.beta1)

    return recipes.cyclegan(
        models.flax_net("G", G),
        models.flax_net("F", G),
        models.flax_net("D_a", D),
        models.flax_net("D_b", D),
        shape=shape,
        g_tx=adam(cfg.g_lr),
        d_tx=adam(cfg.d_lr),
        cycle=cfg.cycle,
        identity=cfg.identity,
        pool=cfg.pool,
        ema_decay=cfg.ema_decay,
    )


if __name__ == "__main__":
    cli.main(Config, build, commands=cli.TRANSLATOR)
