"""Colourization by pix2pix (Isola et al., 2017, arXiv:1611.07004): gray to colour.

    python experiments/colorize.py
    python experiments/colorize.py painted
    python experiments/colorize.py --data folder:photos --resize 64 --crop 64
    python experiments/colorize.py translate --input old_photo.jpg --out coloured

Luma is kept, as far as such colours exist; the network adds these. With
`--regression`, without D, they are the median of what might be: too gray. Emoji by
default, or painted digits, whose right colours are known.
"""

import dataclasses

from jaxgan import run, tasks
from jaxgan.run.presets import paired
from jaxgan.types import Model, UsageError


@dataclasses.dataclass(frozen=True)
class Config(paired.Config):
    """Colourization of emoji, of painted digits, or of any images in colour."""


PRESET = run.changed(
    Config(),
    **paired.EMOJI,
    norm="instance",  # as measured
    steps=2500,
    decay_from=1250,
    decay_until=2500,
)
PAINTED = run.changed(PRESET, data="painted_mnist", flip=False, batch_size=32)
PRESETS = {"": PRESET, "painted": PAINTED}


def build(cfg: Config, shape, num_classes) -> Model:
    if shape[-1] < 3:
        raise UsageError("data", cfg.data, "is gray: it has no colours to learn.")
    return paired.build(cfg, shape, tasks.colourization())


if __name__ == "__main__":
    run.main(PRESETS, build)
