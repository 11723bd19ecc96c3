"""pix2pix (Isola et al., 2017, arXiv:1611.07004): between images in pairs.

    python experiments/pix2pix.py
    python experiments/pix2pix.py painted
    python experiments/pix2pix.py --data pairs:DIR --direction BtoA
    python experiments/pix2pix.py translate --input edges.png --out translated

`pairs:DIR` holds A/ and B/, or files that show A and B side by side. Of other images,
such as the default's emoji, the edges are given. `--regression` leaves D out: what a
GAN is to be compared with.
"""

import dataclasses
from typing import Literal

from jaxgan import run, tasks
from jaxgan.run.presets import paired
from jaxgan.types import Model

PAIRS = "pairs", "emoji_pairs"
"""Sources of pairs."""


@dataclasses.dataclass(frozen=True)
class Config(paired.Config):
    """pix2pix from edges of emoji, or between any images in pairs."""

    given: Literal["auto", "pair"] = "auto"
    """What is given: the other image of a pair; or, with auto, that of pairs:DIR and
    emoji_pairs, and of all other data an image's edges."""


PRESET = run.changed(
    Config(), **paired.EMOJI, steps=5000, decay_from=2500, decay_until=5000
)
PAINTED = run.changed(Config(), **paired.PAINTED)
PRESETS = {"": PRESET, "painted": PAINTED}


def build(cfg: Config, shape, num_classes) -> Model:
    in_pairs = cfg.given == "pair" or cfg.data.partition(":")[0] in PAIRS
    task = tasks.paired(cfg.direction == "BtoA") if in_pairs else tasks.edges()
    return paired.build(cfg, shape, task)


if __name__ == "__main__":
    run.main(PRESETS, build)
