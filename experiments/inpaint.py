"""Inpainting by pix2pix's networks (Isola et al., 2017, arXiv:1611.07004).

    python experiments/inpaint.py
    python experiments/inpaint.py painted
    python experiments/inpaint.py --holes free_form --workdir runs/brush
    python experiments/inpaint.py translate --input torn.png --out whole

Conditional GANs for holes are Pathak et al.'s (2016, arXiv:1604.07379). What is around
a hole is kept. With `--regression`, without D, the hole is filled with the median of
what might be there: blurred.
"""

import dataclasses
from typing import Annotated, Literal

from jaxgan import run, tasks
from jaxgan.run import settings
from jaxgan.run.idle import Only
from jaxgan.run.presets import paired
from jaxgan.types import Model


@dataclasses.dataclass(frozen=True)
class Config(paired.Config):
    """Inpainting of emoji, of painted digits, or of any images."""

    holes: Literal["square", "free_form"] = "square"
    """A square anywhere, or strokes as of a brush."""
    share: Annotated[settings.Share, Only("holes", "square")] = 0.25
    """Of the image's area, that a square takes; a brush's strokes vary."""


INSTANCE = {"norm": "instance"}  # as measured
PRESET = run.changed(
    Config(), **paired.EMOJI, **INSTANCE, steps=5000, decay_from=2500, decay_until=5000
)
PAINTED = run.changed(Config(), **paired.PAINTED, **INSTANCE)
PRESETS = {"": PRESET, "painted": PAINTED}


def build(cfg: Config, shape, num_classes) -> Model:
    holes = tasks.square(cfg.share) if cfg.holes == "square" else tasks.free_form()
    return paired.build(cfg, shape, tasks.inpainting(holes))


if __name__ == "__main__":
    run.main(PRESETS, build)
