"""Colourization by pix2pix (Isola et al., 2017, arXiv:1611.07004): gray to colour.

    python experiments/colorize.py
    python experiments/colorize.py --data folder:photos --resize 64 --crop 64
    python experiments/colorize.py translate --input old_photo.jpg --out coloured

Luma is kept as it is; the network adds colours. With `--regression`, without D, they
are the median of what might be: too gray.
"""

import dataclasses

import pix2pix

from jaxgan import cli, recipes, tasks
from jaxgan.types import UsageError


@dataclasses.dataclass(frozen=True)
class Config(pix2pix.Config):
    """Colourization of painted digits, or of any images in colour."""

    data: str = "painted_mnist"
    """Images in colour, as the target; their gray copies are given."""


def build(cfg: Config, shape, num_classes) -> recipes.Translator:
    if shape[-1] != 3:
        raise UsageError(f"--data {cfg.data} is gray: it has no colours to learn.")
    return pix2pix.build_for(cfg, shape, tasks.colourization())


if __name__ == "__main__":
    cli.main(Config, build, commands=cli.TRANSLATOR)
