"""Inpainting by pix2pix's networks (Isola et al., 2017, arXiv:1611.07004).

    python experiments/inpaint.py
    python experiments/inpaint.py --holes free_form --workdir runs/brush
    python experiments/inpaint.py translate --input torn.png --out whole

Conditional GANs for holes are Pathak et al.'s (2016, arXiv:1604.07379). What is around
a hole is kept. With `--regression`, without D, the hole is filled with the median of
what might be there: blurred.
"""

import dataclasses
from typing import Literal

import pix2pix

from jaxgan import recipes, tasks
from jaxgan.run import cli
from jaxgan.types import UsageError


@dataclasses.dataclass(frozen=True)
class Config(pix2pix.Config):
    """Inpainting of painted digits, or of any images."""

    data: str = "painted_mnist"
    """Whole images, as the target."""
    holes: Literal["square", "free_form"] = "square"
    """A square anywhere, or strokes as of a brush."""
    share: float = 0.25
    """Of the image's area, that a square takes; a brush's strokes vary."""


def build(cfg: Config, shape, num_classes) -> recipes.Translator:
    if not 0 < cfg.share < 1:
        raise UsageError(f"--share {cfg.share} must be above 0 and below 1.")
    holes = tasks.square(cfg.share) if cfg.holes == "square" else tasks.free_form()
    return pix2pix.build_for(cfg, shape, tasks.inpainting(holes))


if __name__ == "__main__":
    cli.main(Config, build, commands=cli.TRANSLATOR)
