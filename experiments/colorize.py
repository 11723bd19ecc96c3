"""Colourization by pix2pix (Isola et al., 2017, arXiv:1611.07004): gray to colour.

    python experiments/colorize.py
    python experiments/colorize.py --data folder:photos --resize 64 --crop 64
    python experiments/colorize.py translate --input old_photo.jpg --out coloured

Luma is kept, as far as such colours exist; the network adds these. With
`--regression`, without D, they are the median of what might be: too gray.
"""

import dataclasses

import pix2pix

from jaxgan import recipes, tasks
from jaxgan.run import cli, config
from jaxgan.types import UsageError


@dataclasses.dataclass(frozen=True)
class Config(pix2pix.Config):
    """Colourization of painted digits, or of any images in colour."""

    data: str = "painted_mnist"
    """Images in colour, as the target; their gray copies are given."""
    steps: int = 2500
    """How many steps to train, in all."""
    batch_size: int = 32
    """Images per step, over all devices together."""
    dropout: float = 0.0
    """Of the U-Net's smallest stages, by which it knows what an image shows."""
    g_lr: float = 5e-4
    """Adam's learning rate for G."""
    d_lr: float = 1e-4
    """Adam's learning rate for D."""
    decay_from: int = config.or_none(1250)
    """The step from which learning rates go down, linearly."""
    decay_until: int = config.or_none(2500)
    """The step at which they are 0; 0 for never, with --decay-from 0."""


def build(cfg: Config, shape, num_classes) -> recipes.Translator:
    if shape[-1] != 3:
        raise UsageError(f"--data {cfg.data} is gray: it has no colours to learn.")
    return pix2pix.build_for(cfg, shape, tasks.colourization())


if __name__ == "__main__":
    cli.main(Config, build, commands=cli.TRANSLATOR)
