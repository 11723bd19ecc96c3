"""pix2pix's networks (Isola et al., 2017, arXiv:1611.07004, appendix 6.1).

Images are in [-1, 1] and of any size. Weights from N(0, 0.02²), or, in a PatchGAN
without normalization, He et al.'s; LeakyReLU 0.2 on the way down, ReLU on the way up.
Normalization is of each image by itself, which batch norm of a single image is, so that
a translation does not depend on what it shares a batch with: `norm="affine_instance"`
is what the authors' program (phillipi/pix2pix) comes to with its batch of 1, scale and
shift included; by default, as in their later one in PyTorch, there are neither.
`norm="batch"` is the paper's for larger batches.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jax import random

from jaxgan import axis
from jaxgan.models.layers import (
    Conv,
    ConvTranspose,
    Norm,
    full_precision,
    he,
    normal002,
    normalization,
)
from jaxgan.types import UsageError

__all__ = ["LAYERS", "MultiScale", "PatchGAN", "UNet", "check_patch", "halved"]

LAYERS = {1: 0, 16: 1, 34: 2, 70: 3, 142: 4, 286: 5}
"""By the side of the patch that a logit of D sees, how many of its layers halve."""


class UNet(nn.Module):
    """`images [B, H, W, C'] -> images [B, H, W, C]`, by way of ever smaller stages.

    Each stage halves the image, rounding up, and hands what it saw to its opposite on
    the way back; `skip=False` is the plain encoder-decoder. Dropout behind the three
    smallest, in translation too, is the only noise: give `rngs={"dropout": key}`.
    """

    channels: int = 3
    width: int = 64
    """Channels of the first stage; each further one has twice as many, at most 8 x."""
    stages: int | None = None
    """How many; default until a side is one pixel, at most 8."""
    skip: bool = True
    norm: Norm = "instance"
    dropout: float = 0.5
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x, train: bool = True):
        sizes = halved(x.shape, self.stages)
        last = len(sizes) - 2
        width = [self.width * min(1 << i, 8) for i in range(last + 1)]
        down = partial(
            Conv,
            kernel_size=(4, 4),
            strides=(2, 2),
            kernel_init=normal002,
            dtype=self.dtype,
        )
        up = partial(
            ConvTranspose,
            kernel_size=(4, 4),
            strides=(2, 2),
            kernel_init=normal002,
            dtype=self.dtype,
        )
        norm = partial(normalization, self.norm, train, self.dtype)
        seen = []
        for i, channels in enumerate(width):
            x = down(channels, use_bias=i in (0, last))(
                x if i == 0 else nn.leaky_relu(x, 0.2)
            )
            x = norm()(x) if 0 < i < last else x
            seen.append(x)
        for i in range(last, 0, -1):
            x = norm()(up(width[i - 1], size=sizes[i], use_bias=False)(nn.relu(x)))
            if self.dropout and i > last - 3:
                x = dropped(self.make_rng("dropout"), x, self.dropout)
            x = jnp.concatenate([seen[i - 1], x], -1) if self.skip else x
        x = up(self.channels, size=sizes[0])(nn.relu(x))
        return jnp.tanh(full_precision(x))


class PatchGAN(nn.Module):
    """`(images [B, H, W, C], input [B, H, W, C']) -> logits [B, h, w]`, float32.

    Each logit judges one patch, of what was given beside what came of it; without
    `input` it judges images alone. `features=True` returns `(logits, [feature maps])`,
    for feature matching.
    """

    width: int = 64
    """Channels of the first layer; each further one has twice as many, at most 8 x."""
    patch: int = 70
    """Side of the patch, one of `LAYERS`."""
    norm: Norm = "instance"
    features: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, images, *given, train: bool = True):
        check_patch(images.shape, self.patch)
        x = jnp.concatenate([images, *given], -1)
        n = LAYERS[self.patch]
        kernel_init = he if self.norm == "none" else normal002
        conv = partial(Conv, kernel_init=kernel_init, dtype=self.dtype)
        pad = ((1, 1), (1, 1)) if n else ((0, 0), (0, 0))
        found = []
        for i in range(n + 1 if n else 2):
            x = conv(
                self.width * min(1 << i, 8),
                (4, 4) if n else (1, 1),
                (2, 2) if i < n else (1, 1),
                padding=pad,
                use_bias=i == 0 or self.norm == "none",
            )(x)
            if i:
                x = normalization(self.norm, train, self.dtype)(x)
            x = nn.leaky_relu(x, 0.2)
            found.append(full_precision(x))
        logits = conv(1, (4, 4) if n else (1, 1), padding=pad)(x)
        logits = full_precision(logits[..., 0])
        return (logits, found) if self.features else logits


class MultiScale(nn.Module):
    """Several `PatchGAN`s, each on images of half the size of the one before.

    `(images, input) -> ([logits], [feature maps])`, of all scales (Wang et al., 2018,
    arXiv:1711.11585, section 3.2).
    """

    scales: int = 2
    width: int = 64
    patch: int = 70
    norm: Norm = "instance"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, images, *given, train: bool = True):
        logits, features = [], []
        for i in range(self.scales):
            D = PatchGAN(self.width, self.patch, self.norm, True, self.dtype)
            one, found = D(images, *given, train=train)
            logits.append(one)
            features += found
            if i + 1 < self.scales:
                images, given = pooled(images), tuple(map(pooled, given))
        return logits, features


def dropped(key, x, rate: float):
    """Dropout, of the same elements however many devices share the batch."""

    def keep(key, shape):
        return random.bernoulli(key, 1 - rate, shape)

    kept = axis.draw(keep, key, x.shape)
    return jnp.where(kept, x / (1 - rate), 0)


def pooled(x):
    """Means of 3x3 pixels at every other pixel; of what there is at the edge."""
    pads = ((1, 1), (1, 1))
    return nn.avg_pool(x, (3, 3), (2, 2), pads, count_include_pad=False)


def halved(shape: Sequence[int], stages: int | None = None) -> list[tuple[int, int]]:
    """(H, W) of an image and of every stage of a U-Net.

    Args:
        shape: (B, H, W, C).
        stages: how many; default until a side is one pixel, at most 8.

    Raises:
        UsageError: an image of one pixel cannot be halved so often.
    """
    h, w = shape[1:3]
    if min(h, w) < 2 or (stages and min(h, w) <= 1 << (stages - 1)):
        raise UsageError(
            "stages",
            stages or 1,
            f": a U-Net halves images as often, and {h}x{w} are too small for it.",
        )
    sizes = [(h, w)]
    while len(sizes) <= (stages or 8) and (stages or min(sizes[-1]) > 1):
        h, w = sizes[-1]
        sizes.append((-(-h // 2), -(-w // 2)))
    return sizes


def check_patch(shape: Sequence[int], patch: int) -> None:
    """Refuses images [B, H, W, C] that a `PatchGAN` has no logit for.

    Raises:
        UsageError: naming the smallest that it judges.
    """
    if patch not in LAYERS:
        known = ", ".join(map(str, LAYERS))
        raise UsageError("patch", patch, f"must be one of {known} pixels.")
    halvings = LAYERS[patch]
    least = 3 << halvings if halvings else 1
    if min(shape[1:3]) < least:
        h, w = shape[1:3]
        raise UsageError(
            "patch",
            patch,
            f"needs images of {least} pixels or more each way, not {h}x{w}.",
        )
