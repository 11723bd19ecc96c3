"""CycleGAN (Zhu et al., 2017, arXiv:1703.10593): between two domains, without pairs.

    python experiments/cyclegan.py
    python experiments/cyclegan.py tones
    python experiments/cyclegan.py --data unpaired:photos,art --resize 64 --crop 64
    python experiments/cyclegan.py translate --input photo.jpg --out painted
    python experiments/cyclegan.py translate --back --input painting.jpg --out photos

By default digits in chalk become painted ones, of other digits; a class keeps its shape
as nothing but shapes ties the two together. `tones` is from light skin to dark, of
emoji in one tone and others in another, a hundred of each: by generators that see a
pixel at a time, and DiffAugment.
"""

import dataclasses
from typing import Any, Literal

import jax
import jax.numpy as jnp

from jaxgan import models, recipes, regularizers, run
from jaxgan.models.layers import Norm
from jaxgan.run import presets
from jaxgan.run.presets import classic
from jaxgan.run.settings import Count, Index, Number
from jaxgan.types import Model, UsageError

GENERATORS: dict[str, Any] = {
    "resnet": models.cyclegan.ResNetGenerator,
    "pixel": models.cyclegan.PixelGenerator,
}


@dataclasses.dataclass(frozen=True)
class Networks:
    """The networks."""

    generator: Literal[tuple(GENERATORS)] = "resnet"  # type: ignore[valid-type]  # of the table
    """The paper's, or one that changes each pixel's colour by itself, and no shapes;
    with a norm, by what colours an image has, too."""
    width: Count = 16
    """Channels of the generators' first layer; 64 in the paper."""
    blocks: Index = 3
    """Their residual blocks; 6 for images of 128 pixels, 9 for 256 in the paper."""
    d_width: Count = 32
    """Channels of the discriminators' first layer."""
    patch: presets.paired.Patch = 16
    """Side of the patches that they judge; 70 in the paper."""
    norm: Norm = "instance"
    """Normalization of all networks; with "batch" images of a step share their
    statistics, but each that is translated has its own."""
    residual: bool = False
    """Let the generators draw what is added to what is given, instead of all anew."""


@dataclasses.dataclass(frozen=True)
class Objective:
    """What the generators minimize, and what the discriminators see."""

    cycle: Number = 5.0
    """λ of the cycle loss, the distance after there and back; 5 is the paper's 10,
    where squares are not halved."""
    identity: Number = 0.5
    """Share of λ of the identity loss, for leaving images of the target's domain as
    they are."""
    pool: Index = 50
    """Earlier fakes of each domain that the discriminators also see."""
    loss: Literal[tuple(classic.LOSSES)] = "least_squares"  # type: ignore[valid-type]  # of the table
    """What generators and discriminators minimize."""
    r1: Number = 0.0
    """γ of R1 of both discriminators, of the mean of an image's patches; 0 is
    without."""
    augment: Literal[tuple(classic.AUGMENTS)] = "none"  # type: ignore[valid-type]  # of the table
    """What is done to what the discriminators are shown, for domains of few images."""


@dataclasses.dataclass(frozen=True)
class Config(run.Config):
    """CycleGAN between chalk and painted digits, tones of skin, or any two folders of
    images."""

    networks: Networks = Networks()
    objective: Objective = Objective()
    ada: classic.Ada = classic.Ada()
    optimizers: presets.Optimizers = presets.Optimizers()


# Adam's 2e-4 is for the paper's batch of 1.
PAINTED = run.changed(
    Config(),
    data="unpaired_mnist",
    steps=3500,
    decay_from=1750,
    decay_until=3500,
    batch_size=4,
    sample_every=1000,
    g_lr=4e-4,
    d_lr=4e-4,
)
# A hundred images of each: what sees whole figures learns them by heart.
TONES = run.changed(
    Config(),
    data="emoji_tones:1,5",
    resize="32",
    flip=True,
    generator="pixel",
    residual=True,
    width=32,
    blocks=2,
    norm="none",
    cycle=1.0,
    identity=1.0,
    loss="nonsaturating",
    augment="diff_augment",
    steps=2000,
    batch_size=16,
    sample_every=500,
    g_lr=1e-3,
    d_lr=1e-3,
    decay_from=1000,
    decay_until=2000,
)
PRESET = PAINTED
PRESETS = {"": PRESET, "painted": PAINTED, "tones": TONES}


def build(cfg: Config, shape, num_classes) -> Model:
    nets, objective, dtype = cfg.networks, cfg.objective, jnp.dtype(cfg.dtype)
    models.pix2pix.check_patch((1, *shape), nets.patch)
    if nets.generator == "resnet":
        models.cyclegan.check_size((1, *shape))
    penalized = classic.asked(objective.r1)
    if penalized and nets.norm == "batch":
        reason = "is of D's gradient at each image, which BatchNorm mixes"
        value = None if isinstance(objective.r1, jax.core.Tracer) else objective.r1
        raise UsageError("r1", value, f"{reason}; give another `norm`.")
    args = nets.width, nets.blocks, nets.norm, dtype, nets.residual
    G = GENERATORS[nets.generator](shape[-1], *args)
    D = models.pix2pix.PatchGAN(nets.d_width, nets.patch, nets.norm, dtype=dtype)
    g_tx, d_tx = presets.adams(cfg.optimizers, cfg.steps)
    return recipes.cyclegan(
        models.flax_net("G", G),
        models.flax_net("F", G),
        models.flax_net("D_a", D),
        models.flax_net("D_b", D),
        shape=shape,
        g_tx=g_tx,
        d_tx=d_tx,
        cycle=objective.cycle,
        identity=objective.identity,
        pool=objective.pool,
        loss=classic.LOSSES[objective.loss],
        penalty=regularizers.r1(objective.r1) if penalized else None,
        augment=classic.AUGMENTS[objective.augment](cfg.ada),
        ema_decay=cfg.optimizers.ema_decay,
    )


if __name__ == "__main__":
    run.main(PRESETS, build)
