"""SRGAN (Ledig et al., 2017, arXiv:1609.04802): super-resolution.

    python experiments/srgan.py
    python experiments/srgan.py --data folder:photos --resize 128 --crop 128 \\
        --random-crop 96 --content vgg54 --vgg-weights vgg19-dcbb9e9d.pth
    python experiments/srgan.py translate --input small.png --out large

After `--pretrain` steps of mean squared error, which alone (`--pretrain` as many as
`--steps`) is SRResNet, the content loss and the adversarial one. Without VGG's weights
the content loss is the squared error of pixels, the paper's SRGAN-MSE.
"""

import dataclasses
from typing import Literal

import jax.numpy as jnp
import optax

from jaxgan import models, recipes, tasks
from jaxgan.metrics import vgg
from jaxgan.run import cli, config
from jaxgan.types import UsageError


@dataclasses.dataclass(frozen=True)
class Config(config.Config):
    """SRGAN on painted digits, or on any images."""

    data: str = "painted_mnist"
    """Images of the full size, as the target; their sides must divide by --factor."""
    factor: Literal[2, 4, 8] = 4
    """How many times larger each side becomes."""
    steps: int = 2000
    """How many steps to train, in all."""
    pretrain: int = config.or_none(700)
    """How many of them with the mean squared error alone."""
    batch_size: int = 16
    """Images per step, over all devices together."""
    sample_every: int = 1000
    """Steps between sample sheets."""
    checkpoint_every: int = 1000
    """Steps between checkpoints; one is always made at the end."""
    width: int = 32
    """Channels of G."""
    blocks: int = 4
    """G's residual blocks; 16 in the paper."""
    d_width: int = 16
    """Channels of D's first layer, doubled three times."""
    hidden: int = 256
    """Units of D's fully connected layer."""
    content: Literal["mse", "vgg22", "vgg54"] = "mse"
    """What is compared after the pre-training: pixels, or VGG-19's features before its
    second or fifth pooling."""
    vgg_weights: str | None = None
    """For vgg22 and vgg54: torchvision's file vgg19-dcbb9e9d.pth."""
    adversarial: float = 1e-2
    """Weight of the GAN beside the content loss."""
    g_lr: float = 5e-4
    """Adam's learning rate for G."""
    d_lr: float = 2e-4
    """Adam's learning rate for D."""
    beta1: float = 0.9
    """Adam's decay of the gradient's mean."""
    ema_decay: float = 0.999
    """Of the averaged weights that images are translated with."""


def build(cfg: Config, shape, num_classes) -> recipes.Translator:
    h, w, channels = shape
    if h % cfg.factor or w % cfg.factor:
        raise UsageError(
            f"--factor {cfg.factor} does not divide images of {h}x{w}; cut them with "
            f"--crop {h - h % cfg.factor}x{w - w % cfg.factor}."
        )
    dtype = jnp.dtype(cfg.dtype)
    G = models.srgan.SRResNet(channels, cfg.width, cfg.blocks, cfg.factor, dtype)
    D = models.srgan.Discriminator(cfg.d_width, cfg.hidden, dtype=dtype)
    return recipes.srgan(
        models.flax_net("G", G),
        models.flax_net("D", D),
        tasks.super_resolution(cfg.factor),
        g_tx=optax.adam(cfg.g_lr, cfg.beta1),
        d_tx=optax.adam(cfg.d_lr, cfg.beta1),
        pretrain=cfg.pretrain,
        content=content(cfg),
        adversarial=cfg.adversarial,
        ema_decay=cfg.ema_decay,
    )


def content(cfg: Config):
    """The content loss, `(images, target) -> [B]`."""
    if cfg.content == "mse":
        if cfg.vgg_weights:
            raise UsageError("--vgg-weights goes with --content vgg54 or vgg22.")
        return recipes.translator.l2
    if not cfg.vgg_weights:
        raise UsageError(
            f"--content {cfg.content} needs --vgg-weights, torchvision's file "
            f"{vgg.FILE}; --content mse does without."
        )
    return vgg.content_loss(cfg.vgg_weights, cfg.content)


if __name__ == "__main__":
    cli.main(Config, build, commands=cli.TRANSLATOR)
