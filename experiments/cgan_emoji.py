"""A class-conditional GAN of emoji, an AC-GAN.

    python experiments/cgan_emoji.py
    python experiments/cgan_emoji.py sample --label 5 --out dark.png
    python experiments/cgan_emoji.py --channels rgba --workdir runs/stickers

Classes are tones of skin, none and five. D also tells the class (Odena, Olah and
Shlens, 2017, arXiv:1610.09585), with a small weight: with 1 samples are of their class,
and poor. D soon knows each of some 1,600 images by heart: DiffAugment (Zhao et al.,
2020, arXiv:2006.10738) keeps it from that.
"""

import dataclasses

from jaxgan import run
from jaxgan.run import presets
from jaxgan.run.presets import classic
from jaxgan.run.settings import Number
from jaxgan.types import Model


@dataclasses.dataclass(frozen=True)
class Adversary(classic.Adversary):
    """What D and G play."""

    class_weight: Number = 0.0
    """Of the classes' log-likelihood beside the source's; with 0, and not as one of
    several in a sweep, D is told the class instead of telling it."""


@dataclasses.dataclass(frozen=True)
class Config(classic.Config):
    """A class-conditional GAN of emoji, or of any labelled images."""

    adversary: Adversary = Adversary()


PRESET = run.changed(
    Config(),
    data="emoji_tones",
    resize="32",
    flip=True,
    steps=12000,
    batch_size=32,
    sample_every=2000,
    checkpoint_every=2000,
    loss="relativistic_logistic",
    d_norm="none",
    r1=0.1,
    r2=0.1,
    augment="diff_augment",
    class_weight=0.3,
    decay_steps=12000,
)


def build(cfg: Config, shape, num_classes) -> Model:
    presets.labelled(cfg, num_classes, "a class-conditional GAN")
    return classic.conditional(cfg, shape, num_classes, cfg.adversary.class_weight)


if __name__ == "__main__":
    run.main(PRESET, build)
