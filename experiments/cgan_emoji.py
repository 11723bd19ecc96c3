"""A class-conditional GAN (Mirza and Osindero, 2014, arXiv:1411.1784) of emoji.

    python experiments/cgan_emoji.py
    python experiments/cgan_emoji.py sample --label 5 --out dark.png
    python experiments/cgan_emoji.py --channels rgba --workdir runs/stickers

Classes are tones of skin, none and five. A D soon knows each of some 1,600 images by
heart: DiffAugment (Zhao et al., 2020, arXiv:2006.10738) keeps it from that.
"""

import dataclasses

from jaxgan import run
from jaxgan.run import presets
from jaxgan.run.presets import classic
from jaxgan.types import Model


@dataclasses.dataclass(frozen=True)
class Config(classic.Config):
    """A class-conditional GAN of emoji, or of any labelled images."""


PRESET = run.changed(
    Config(),
    data="emoji_tones",
    resize="32",
    flip=True,
    steps=6000,
    sample_every=1000,
    checkpoint_every=2000,
    loss="relativistic_logistic",
    d_norm="none",
    r1=1.0,
    r2=1.0,
    augment="diff_augment",
)


def build(cfg: Config, shape, num_classes) -> Model:
    presets.labelled(cfg, num_classes, "a class-conditional GAN")
    return classic.conditional(cfg, shape, num_classes, projection=True)


if __name__ == "__main__":
    run.main(PRESET, build)
