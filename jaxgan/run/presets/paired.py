"""pix2pix's networks for a task: `pix2pix.py`, `colorize.py` and `inpaint.py`."""

import dataclasses
from typing import Annotated, Literal

import jax.numpy as jnp

from jaxgan import models, recipes
from jaxgan.models.layers import Norm
from jaxgan.run import config
from jaxgan.run.idle import Only
from jaxgan.run.presets.groups import Optimizers, adams
from jaxgan.run.settings import Count, Fraction, Number
from jaxgan.tasks import Task
from jaxgan.types import Model, UsageError

__all__ = ["EMOJI", "PAINTED", "Config", "Networks", "Objective", "Patch", "build"]

Patch = Literal[1, 16, 34, 70, 142, 286]
JUDGED = Only("regression", False)


@dataclasses.dataclass(frozen=True)
class Networks:
    """The networks."""

    width: Count = 32
    """Channels of the U-Net's first stage; each smaller one has twice as many."""
    d_width: Annotated[Count, JUDGED] = 32
    """Channels of D's first layer."""
    patch: Annotated[Patch, JUDGED] = 16
    """Side of the patches that D judges."""
    norm: Norm = "affine_instance"
    """Normalization of both networks: of each image, with scale and shift, as the
    paper's authors, or without; with "batch" images of a step share their statistics,
    but each that is translated has its own."""
    dropout: Fraction = 0.5
    """Of the U-Net's smallest stages: the noise."""
    encoder_decoder: bool = False
    """Leave out the U-Net's skip connections, for comparison."""


@dataclasses.dataclass(frozen=True)
class Objective:
    """What G minimizes."""

    weight: Annotated[Number, JUDGED] = 100.0
    """λ of the L1 distance from the target, beside 1 of the GAN."""
    regression: bool = False
    """Do without D: the L1 distance alone, what a GAN is to be compared with."""


@dataclasses.dataclass(frozen=True)
class Config(config.Config):
    """pix2pix between images and what is made of them."""

    direction: Literal["AtoB", "BtoA"] = "AtoB"
    """Which image of a pair is given, and which should come of it."""
    networks: Networks = Networks()
    objective: Objective = Objective()
    optimizers: Optimizers = Optimizers()


EMOJI = {
    "data": "emoji",
    "flip": True,
    "batch_size": 8,
    "sample_every": 1000,
    "dropout": 0.0,  # by its smallest stages the U-Net knows what an image shows
    "g_lr": 5e-4,
    "d_lr": 1e-4,
}
"""Options, as measured, of any task on 3,199 emoji of 64x64."""

PAINTED = {
    "data": "painted_mnist",
    "steps": 2000,
    "batch_size": 16,
    "sample_every": 1000,
    "g_lr": 2e-4,
    "d_lr": 2e-4,
}
"""Those on 60,000 painted digits of 32x32."""


def build(cfg: Config, shape, task: Task) -> Model:
    """pix2pix for a task, between images of `shape` (H, W, C).

    Raises:
        UsageError: the images do not suit the networks or the options.
    """
    nets, objective = cfg.networks, cfg.objective
    if cfg.direction == "BtoA" and "input" not in task.needs:
        raise UsageError(
            "direction",
            "BtoA",
            "is for pix2pix.py between images in pairs; here what is given is made of "
            f"the images of {cfg.data}.",
        )
    dtype = jnp.dtype(cfg.dtype)
    stages = len(models.pix2pix.halved((1, *shape))) - 1
    skips = not nets.encoder_decoder
    args = nets.width, stages, skips, nets.norm, nets.dropout, dtype
    G = models.flax_net("G", models.pix2pix.UNet(shape[-1], *args))
    patches = models.pix2pix.PatchGAN(nets.d_width, nets.patch, nets.norm, dtype=dtype)
    g_tx, d_tx = adams(cfg.optimizers, cfg.steps)
    decay = cfg.optimizers.ema_decay
    if objective.regression:
        return recipes.regression(G, task, g_tx=g_tx, ema_decay=decay)
    models.pix2pix.check_patch((1, *shape), nets.patch)
    D = models.flax_net("D", patches)
    of = {"g_tx": g_tx, "d_tx": d_tx, "weight": objective.weight}
    return recipes.pix2pix(G, D, task, **of, ema_decay=decay)
