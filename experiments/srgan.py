"""SRGAN (Ledig et al., 2017, arXiv:1609.04802): super-resolution.

    python experiments/srgan.py
    python experiments/srgan.py painted
    python experiments/srgan.py --data folder:photos --resize 128 --crop 128 \\
        --random-crop 96 --content vgg54 --vgg-weights vgg19-dcbb9e9d.pth
    python experiments/srgan.py translate --input small.png --out large

After `--pretrain` steps of mean squared error, which alone (`--pretrain` as many as
`--steps`) is SRResNet, the content loss and the adversarial one. Without VGG's weights
the content loss is the squared error of pixels, the paper's SRGAN-MSE. Beyond the
paper, what comes out keeps what was given: made smaller again, it is the same; and D is
shown gray copies, since of photographs' colours it made G invent wrong ones.
"""

import dataclasses
from typing import Annotated, Literal

import jax.numpy as jnp

from jaxgan import augment, losses, models, recipes, run, tasks
from jaxgan.metrics import vgg
from jaxgan.run import presets
from jaxgan.run.settings import FILE, FREE, Count, Index, Number
from jaxgan.types import Model, UsageError


@dataclasses.dataclass(frozen=True)
class Networks:
    """The networks."""

    width: Count = 32
    """Channels of G."""
    blocks: Count = 4
    """G's residual blocks; 16 in the paper."""
    d_width: Count = 16
    """Channels of D's first layer, doubled three times."""
    hidden: Count = 256
    """Units of D's fully connected layer."""


@dataclasses.dataclass(frozen=True)
class Objective:
    """What G minimizes."""

    pretrain: Index = 700
    """How many steps with the mean squared error alone."""
    content: Literal["mse", "vgg22", "vgg54"] = "mse"
    """What is compared after the pre-training: pixels, or VGG-19's features before its
    second or fifth pooling."""
    vgg_weights: Annotated[str | None, FREE, FILE] = None
    """For vgg22 and vgg54: torchvision's file vgg19-dcbb9e9d.pth."""
    adversarial: Number = 1e-2
    """Weight of the GAN beside the content loss; the paper's is 1e-3."""
    judged: Literal["colours", "gray"] = "colours"
    """What D is shown. Of gray copies G learns to invent light and dark alone; colours
    are left to the content loss."""


@dataclasses.dataclass(frozen=True)
class Config(run.Config):
    """SRGAN on emoji, on painted digits, or on any images; sides must divide by
    --factor."""

    factor: Literal[2, 4, 8] = 4
    """How many times larger each side becomes."""
    consistent: bool = False
    """What comes out, made smaller again, is what was given; runs of before 0.3 are
    without."""
    networks: Networks = Networks()
    objective: Objective = Objective()
    optimizers: presets.Optimizers = presets.Optimizers()


def gray(images, key, step, memory):
    """The mean of the colours, over white, for D: what that asks of G moves all colours
    alike."""
    channels = images.shape[-1]
    return tasks.over_white(images).mean(-1, keepdims=True).repeat(channels, -1)


GRAY = augment.Augmentation(gray)

PRESET = run.changed(
    Config(),
    data="emoji",
    flip=True,
    steps=3000,
    batch_size=8,
    consistent=True,
    sample_every=1000,
    adversarial=1e-3,
    judged="gray",
    g_lr=5e-4,
    d_lr=2e-4,
    beta1=0.9,
)
PAINTED = run.changed(
    PRESET,
    data="painted_mnist",
    flip=False,
    steps=2000,
    batch_size=16,
    adversarial=1e-2,
)
PRESETS = {"": PRESET, "painted": PAINTED}


def build(cfg: Config, shape, num_classes) -> Model:
    h, w, channels = shape
    if h % cfg.factor or w % cfg.factor:
        cut = f"{h - h % cfg.factor}x{w - w % cfg.factor}"
        reason = f"does not divide images of {h}x{w}; cut them with `crop` {cut}."
        raise UsageError("factor", cfg.factor, reason)
    nets, objective, dtype = cfg.networks, cfg.objective, jnp.dtype(cfg.dtype)
    G = models.srgan.SRResNet(channels, nets.width, nets.blocks, cfg.factor, dtype)
    D = models.srgan.Discriminator(nets.d_width, nets.hidden, dtype=dtype)
    g_tx, d_tx = presets.adams(cfg.optimizers, cfg.steps)
    return recipes.srgan(
        models.flax_net("G", G),
        models.flax_net("D", D),
        tasks.super_resolution(cfg.factor, cfg.consistent),
        g_tx=g_tx,
        d_tx=d_tx,
        pretrain=objective.pretrain,
        content=content(objective),
        adversarial=objective.adversarial,
        augment=GRAY if objective.judged == "gray" else None,
        ema_decay=cfg.optimizers.ema_decay,
    )


def content(objective: Objective):
    """The content loss, `(images, target) -> [B]`."""
    chosen, weights = objective.content, objective.vgg_weights
    if chosen == "mse":
        if weights:
            reason = "goes with vgg54 or vgg22 as `content`."
            raise UsageError("vgg_weights", weights, reason)
        return losses.l2
    if not weights:
        reason = (
            f"needs `vgg_weights`, torchvision's file {vgg.FILE}; mse does without."
        )
        raise UsageError("content", chosen, reason)
    return vgg.content_loss(weights, chosen)


if __name__ == "__main__":
    run.main(PRESETS, build)
