"""pix2pix (Isola et al., 2017, arXiv:1611.07004): between images in pairs.

    python experiments/pix2pix.py
    python experiments/pix2pix.py --data pairs:DIR --direction BtoA
    python experiments/pix2pix.py translate --input edges.png --out translated

`pairs:DIR` holds A/ and B/, or files that show A and B side by side. Of other images,
such as the default's painted digits, the edges are given. `--regression` leaves
D out: what a GAN is to be compared with.
"""

import dataclasses
from typing import Literal

import jax.numpy as jnp
import optax

from jaxgan import models, recipes, tasks
from jaxgan.run import cli, config
from jaxgan.types import UsageError


@dataclasses.dataclass(frozen=True)
class Config(config.Config):
    """pix2pix from edges of painted digits, or between any images in pairs."""

    data: str = "painted_mnist"
    """Images: pairs:DIR, or any others, of which the edges are given."""
    direction: Literal["AtoB", "BtoA"] = "AtoB"
    """Which image of a pair is given, and which should come of it."""
    steps: int = 2000
    """How many steps to train, in all."""
    batch_size: int = 16
    """Images per step, over all devices together."""
    sample_every: int = 1000
    """Steps between sample sheets."""
    checkpoint_every: int = 1000
    """Steps between checkpoints; one is always made at the end."""
    width: int = 32
    """Channels of the U-Net's first stage; each smaller one has twice as many."""
    d_width: int = 32
    """Channels of D's first layer."""
    patch: Literal[1, 16, 34, 70, 142, 286] = 16
    """Side of the patches that D judges."""
    norm: Literal["instance", "layer", "batch", "none"] = "instance"
    """Normalization of both networks; with "batch" images that pass together share
    their statistics: all of a step, but `translate` passes each by itself."""
    dropout: float = 0.5
    """Of the U-Net's smallest stages: the noise."""
    encoder_decoder: bool = False
    """Leave out the U-Net's skip connections, for comparison."""
    weight: float = 100.0
    """λ of the L1 distance from the target, beside 1 of the GAN."""
    regression: bool = False
    """Do without D: the L1 distance alone, what a GAN is to be compared with."""
    g_lr: float = 2e-4
    """Adam's learning rate for G."""
    d_lr: float = 2e-4
    """Adam's learning rate for D."""
    decay_from: int = config.or_none(0)
    """The step from which learning rates go down, linearly."""
    decay_until: int = config.or_none(0)
    """The step at which they are 0; 0 for never."""
    beta1: float = 0.5
    """Adam's decay of the gradient's mean."""
    ema_decay: float = 0.999
    """Of the averaged weights that images are translated with."""


def build_for(cfg: Config, shape, task: tasks.Task) -> recipes.Translator:
    """pix2pix for a task, between images of `shape`."""
    if cfg.dropout >= 1:
        raise UsageError(f"--dropout {cfg.dropout} must be below 1.")
    if cfg.direction == "BtoA" and "input" not in task.needs:
        raise UsageError(
            "--direction BtoA is for pix2pix.py --data pairs:DIR; here what is given "
            f"is made of the images of {cfg.data}."
        )
    dtype = jnp.dtype(cfg.dtype)
    stages = len(models.pix2pix.halved((1, *shape))) - 1
    G = models.pix2pix.UNet(
        shape[-1],
        cfg.width,
        stages,
        not cfg.encoder_decoder,
        cfg.norm,
        cfg.dropout,
        dtype,
    )
    D = models.pix2pix.PatchGAN(cfg.d_width, cfg.patch, cfg.norm, dtype=dtype)
    G, g_tx = models.flax_net("G", G), optax.adam(decaying(cfg, cfg.g_lr), cfg.beta1)
    if cfg.regression:
        return recipes.regression(G, task, g_tx=g_tx, ema_decay=cfg.ema_decay)
    models.pix2pix.check_patch((1, *shape), cfg.patch)
    return recipes.pix2pix(
        G,
        models.flax_net("D", D),
        task,
        g_tx=g_tx,
        d_tx=optax.adam(decaying(cfg, cfg.d_lr), cfg.beta1),
        weight=cfg.weight,
        ema_decay=cfg.ema_decay,
    )


def decaying(cfg, rate: float):
    """A learning rate that goes down to 0 as `decay_from` and `decay_until` say."""
    start, end = cfg.decay_from, cfg.decay_until
    if not end and not start:
        return rate
    if end <= start:
        raise UsageError(f"--decay-until {end} must be above --decay-from {start}.")
    if cfg.steps > end:
        raise UsageError(
            f"--steps {cfg.steps}: learning rates are 0 from --decay-until {end} on; "
            f"a run of {cfg.steps} steps has --decay-until {cfg.steps} from its start."
        )
    return optax.linear_schedule(rate, 0.0, end - start, start)


def build(cfg: Config, shape, num_classes) -> recipes.Translator:
    paired = cfg.data.startswith("pairs:")
    task = tasks.paired(cfg.direction == "BtoA") if paired else tasks.edges()
    return build_for(cfg, shape, task)


if __name__ == "__main__":
    cli.main(Config, build, commands=cli.TRANSLATOR)
