"""The residual networks of WGAN-GP, SNGAN, projection cGAN and SAGAN.

Gulrajani et al., 2017, arXiv:1704.00028; Miyato et al., 2018, arXiv:1802.05957, tables
3 to 6; Miyato and Koyama, 2018, arXiv:1802.05637; Zhang et al., 2019, arXiv:1805.08318.
Images are in [-1, 1] and of any size, halved as by DCGAN's (`dcgan.stages`), in G until
a side is 6 or less: 48x48 images begin at 6x6, as SNGAN's of STL-10 do. Given labels, G
has conditional BatchNorm and D a projection head. D is without normalization:
`spectral.normalized(D)` is SNGAN's.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import jax.numpy as jnp
from flax import linen as nn

from jaxgan.models.dcgan import stages
from jaxgan.models.layers import (
    ConditionalBatchNorm,
    Conv,
    Norm,
    SelfAttention,
    batch_norm,
    downsample,
    full_precision,
    normalization,
    upsample,
)
from jaxgan.types import UsageError

__all__ = [
    "Discriminator",
    "DiscriminatorBlock",
    "Generator",
    "GeneratorBlock",
    "networks",
]

BASE = 6
"""The longest short side that G begins with."""

xavier = nn.initializers.xavier_uniform()
xavier_relu = nn.initializers.variance_scaling(2.0, "fan_avg", "uniform")


class GeneratorBlock(nn.Module):
    """norm, ReLU, up, 3x3, norm, ReLU, 3x3, beside up, 1x1."""

    channels: int
    size: tuple[int, int]
    norm: Callable
    dtype: Any = jnp.float32
    kernel_init: nn.initializers.Initializer | None = None
    """Of all kernels; by default Xavier's."""

    @nn.compact
    def __call__(self, x):
        conv = partial(Conv, self.channels, dtype=self.dtype)
        inner = partial(conv, (3, 3), kernel_init=self.kernel_init or xavier_relu)
        y = upsample(nn.relu(self.norm()(x)), self.size)
        y = inner()(y)
        y = nn.relu(self.norm()(y))
        y = inner()(y)
        # A 1x1 convolution commutes with `upsample`, and is cheaper before it.
        beside = conv((1, 1), kernel_init=self.kernel_init or xavier)
        return y + upsample(beside(x), self.size)


class DiscriminatorBlock(nn.Module):
    """ReLU, 3x3, ReLU, 3x3, down, beside 1x1, down."""

    channels: int
    down: bool
    first: bool = False
    dtype: Any = jnp.float32
    norm: Norm = "none"
    """Before each ReLU; "layer" or "none". The first block has none."""
    wide: bool = False
    """Whether all layers have as many channels as the last, as BigGAN's; else those
    before have as many as the input, but in the first block."""
    kernel_init: nn.initializers.Initializer | None = None
    """Of all kernels; by default Xavier's."""

    @nn.compact
    def __call__(self, x):
        conv = partial(Conv, self.channels, dtype=self.dtype)

        def act(x):
            kind: Norm = "none" if self.first else self.norm
            return nn.relu(normalization(kind, True, self.dtype)(x))

        init = self.kernel_init or xavier_relu
        inner = Conv(
            self.channels if self.first or self.wide else x.shape[-1],
            (3, 3),
            kernel_init=init,
            dtype=self.dtype,
        )
        y = act(inner(x if self.first else act(x)))
        y = conv((3, 3), kernel_init=init)(y)
        if self.down:
            x, y = downsample(x), downsample(y)
        if self.down or x.shape[-1] != self.channels:
            x = conv((1, 1), kernel_init=self.kernel_init or xavier)(x)
        return x + y


class Generator(nn.Module):
    """`z [B, Z] (, label int32 [B]) -> images [B, H, W, C]` in [-1, 1]."""

    shape: tuple[int, int, int]
    channels: Sequence[int]
    """Of the smallest stage, and after each doubling."""
    num_classes: int = 0
    attention: int = 0
    """The height of the stage that has self-attention; 0 for none."""
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, z, label=None, train: bool = True):
        *larger, (h, w) = stages(self.shape, BASE)

        def norm():
            if not self.num_classes:
                return batch_norm(train, dtype=self.dtype)
            layer = ConditionalBatchNorm(self.num_classes, dtype=self.dtype)
            return lambda x: layer(x, label, train)

        first, *rest = self.channels
        x = nn.Dense(h * w * first, kernel_init=xavier, dtype=self.dtype)(z)
        x = x.reshape(-1, h, w, first)
        x = SelfAttention(dtype=self.dtype)(x) if h == self.attention else x
        for channels, size in zip(rest, larger[::-1], strict=True):
            x = GeneratorBlock(channels, size, norm, dtype=self.dtype)(x)
            if size[0] == self.attention:
                x = SelfAttention(dtype=self.dtype)(x)
        x = nn.relu(batch_norm(train, dtype=self.dtype)(x))
        conv = Conv(self.shape[2], (3, 3), kernel_init=xavier, dtype=self.dtype)
        return jnp.tanh(full_precision(conv(x)))


class Discriminator(nn.Module):
    """`images [B, H, W, C] (, label int32 [B]) -> logits [B]`, float32.

    With classes, w·φ(x) + b + v_y·φ(x): the projection of arXiv:1802.05637, eq. 3.
    With `outputs` it returns `(logits [B], [B, outputs])`, a second layer on φ.
    """

    channels: Sequence[int]
    """Of each block."""
    downs: int
    """The first so many blocks halve the image."""
    num_classes: int = 0
    attention: int = 0
    """The height of the stage that has self-attention; 0 for none."""
    dtype: Any = jnp.float32
    outputs: int = 0
    pool: Literal["sum", "mean"] = "sum"
    """How places become features: the sum of SNGAN, or the mean of WGAN-GP."""
    norm: Norm = "none"
    """Of the blocks: "none", or "layer", as WGAN-GP's of 64x64 images."""

    @nn.compact
    def __call__(self, x, label=None):
        for i, channels in enumerate(self.channels):
            down = i < self.downs
            x = DiscriminatorBlock(channels, down, i == 0, self.dtype, self.norm)(x)
            if down and x.shape[1] == self.attention:
                x = SelfAttention(dtype=self.dtype)(x)
        x = nn.relu(x)
        features = x.sum((1, 2)) if self.pool == "sum" else x.mean((1, 2))
        dense = partial(nn.Dense, kernel_init=xavier, dtype=self.dtype)
        logits = full_precision(dense(1)(features)[:, 0])
        if self.num_classes:
            embed = nn.Embed(
                self.num_classes,
                features.shape[-1],
                embedding_init=xavier,
                dtype=self.dtype,
            )
            logits += full_precision((embed(label) * features).sum(-1))
        if not self.outputs:
            return logits
        return logits, full_precision(dense(self.outputs)(features))


def networks(
    shape: Sequence[int],
    g_width: int | None = None,
    d_width: int | None = None,
    num_classes: int = 0,
    attention: bool = False,
    dtype=jnp.float32,
    pool: Literal["sum", "mean"] = "sum",
    layer_norm: bool = False,
) -> tuple[Generator, Discriminator]:
    """The pair for images of one shape, from 28x28x1 up.

    Up to 32 pixels G has as many channels at every stage, and so has D, in two blocks
    that halve the image and two that do not; above, channels double with each halving,
    up to 16 times the width, and D's last block, where 4x4 are left, does not halve.

    Args:
        shape: `(H, W, C)` of the images.
        g_width: G's channels at its largest stage; default as published: 256 up to 32
            pixels, 64 above.
        d_width: D's in its first block; 128 and 64.
        num_classes: above 0, both are given labels in [0, num_classes).
        attention: self-attention where a quarter of the height is left, half up to 32
            pixels (SAGAN; 32 of 128).
        dtype: what they compute in; parameters are float32.
        pool: how D's places become features: "sum" is SNGAN's, "mean" WGAN-GP's (its
            authors' `gan_cifar_resnet.py`; D's of 64x64 there has every place's own).
        layer_norm: LayerNorm in D's blocks, WGAN-GP's of 64x64 (`gan_64x64.py`; that of
            CIFAR-10 has none). Layer norm here has one scale for a channel, as theirs.

    Raises:
        UsageError: the images are not larger than 6x6, with attention 8x8.
    """
    sizes = stages(shape)
    ups = len(stages(shape, BASE)) - 1
    downs, small = len(sizes) - 1, max(shape[:2]) <= 32
    if attention and downs < 2:
        size = f"{shape[0]}x{shape[1]}"
        raise UsageError(
            "attention", None, f"needs images higher and wider than 8, not {size}."
        )
    at = sizes[1 if small else 2][0] if attention else 0
    if small:
        g_width, d_width = g_width or 256, d_width or 128
        g, d, downs = [g_width] * (ups + 1), [d_width] * 4, min(2, downs)
    else:
        g_width, d_width = g_width or 64, d_width or 64
        g = [g_width << min(i, 4) for i in range(ups + 1)][::-1]
        d = [d_width << min(i, 4) for i in range(downs + 1)]
    h, w, c = shape
    return (
        Generator((h, w, c), tuple(g), num_classes, at, dtype),
        Discriminator(
            tuple(d),
            downs,
            num_classes,
            at,
            dtype,
            pool=pool,
            norm="layer" if layer_norm else "none",
        ),
    )
