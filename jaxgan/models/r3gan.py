"""R3GAN's networks (Huang et al., 2024, arXiv:2501.05441, section 4 and appendix).

ResNeXt's bottlenecks turned inside out, without normalization: 1×1, grouped 3×3 and 1×1
convolutions, of which the grouped one is the widest, with biases and leaky ReLU 0.2
between them. G and D are mirror images. They resample with a low-pass filter,
[1, 3, 3, 1], and 1×1 convolutions change the number of channels. What is smallest is
made of a learned basis in G, scaled channel by channel by z, and judged by a filter of
its size in D. Weights begin as by Fix-up (Zhang et al., 2019, arXiv:1901.09321).

Images are in [-1, 1], though nothing keeps G's there. The smaller side is 4 to 7 times
a power of two; the other is as often divided by two.
"""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from jaxgan.models.layers import Conv, full_precision, one_hot, sizes
from jaxgan.ops import fir
from jaxgan.types import UsageError

__all__ = ["Block", "Discriminator", "Generator", "networks", "widths"]

SLOPE = 0.2
LAYERS = 3
"""Of a block, m in Fix-up's rule."""


def widths(shape: Sequence[int], width: int, most: int) -> tuple[int, ...]:
    """Channels of each stage, smallest image first: from `width` at the largest image,
    doubled with each halving up to `most`, as all published ones are."""
    count = len(sizes(shape))
    return tuple(min(most, width << i) for i in range(count))[::-1]


def _msr(gain: float = 1.0):
    """N(0, gain² / fan-in): of He et al., 2015, arXiv:1502.01852, whose initials it
    has."""
    return nn.initializers.variance_scaling(gain**2, "fan_in", "normal")


class Block(nn.Module):
    """x and what three convolutions make of it, `[B, H, W, C] -> [B, H, W, C]`.

    At first that is nothing, since the last of them begins at 0. The others are drawn
    with He's deviation for leaky ReLU times L^(-1 / (2m - 2)), m = 3.
    """

    depth: int
    """L, of how many blocks the network is."""
    group_width: int
    """Channels of a group of the 3×3 convolution."""
    expansion: int = 2
    """How many times as wide that one is."""
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x):
        c = x.shape[-1]
        wide = c * self.expansion
        gain = (2 / (1 + SLOPE**2)) ** 0.5 * self.depth ** (-1 / (2 * LAYERS - 2))
        init, groups = _msr(gain), wide // min(self.group_width, wide)
        y = Conv(wide, (1, 1), kernel_init=init, dtype=self.dtype)(x)
        y = nn.leaky_relu(y, SLOPE)
        y = Conv(
            wide,
            (3, 3),
            feature_group_count=groups,
            kernel_init=init,
            dtype=self.dtype,
        )(y)
        y = nn.leaky_relu(y, SLOPE)
        zeros = nn.initializers.zeros_init()
        return x + Conv(c, (1, 1), use_bias=False, kernel_init=zeros, dtype=self.dtype)(
            y
        )


class _Network(nn.Module):
    """What G and D have in common."""

    widths: tuple[int, ...]
    """Channels of each stage, smallest image first."""
    blocks: int = 2
    """Of each stage."""
    group_width: int = 16
    """Channels of a group of the 3×3 convolutions; they divide all widths."""
    num_classes: int = 0
    """Above 0, the network is given labels."""
    dtype: Any = jnp.float32
    """What it computes in; parameters are float32."""

    def stage(self, x):
        depth = self.blocks * len(self.widths)
        for _ in range(self.blocks):
            x = Block(depth, self.group_width, dtype=self.dtype)(x)
        return x

    def linear(self, features, gain=1.0):
        init = _msr(gain)
        return nn.Dense(features, use_bias=False, kernel_init=init, dtype=self.dtype)

    def mixed(self, x, features):
        """A 1×1 convolution, where the number of channels changes."""
        if x.shape[-1] == features:
            return x
        return Conv(
            features, (1, 1), use_bias=False, kernel_init=_msr(), dtype=self.dtype
        )(x)


class Generator(_Network):
    """`z [B, Z] (, label int32 [B]) -> images [B, H, W, C]`, float32.

    The label may be weights of classes, `[B, num_classes]` (`layers.one_hot`). It is
    embedded in as many dimensions as z has, beside it.
    """

    shape: tuple[int, int, int] = (32, 32, 3)

    @nn.compact
    def __call__(self, z, label=None):
        (h, w), first = sizes(self.shape)[-1], self.widths[0]
        if self.num_classes:
            given = one_hot(label, self.num_classes).astype(z.dtype)
            z = jnp.concatenate([z, self.linear(z.shape[-1])(given)], -1)
        basis = self.param("basis", nn.initializers.normal(1.0), (h, w, first))
        x = basis[None].astype(self.dtype) * self.linear(first)(z)[:, None, None]
        x = self.stage(x)
        for width in self.widths[1:]:
            x = self.stage(fir.upsample(self.mixed(x, width)))
        x = Conv(
            self.shape[2],
            (1, 1),
            use_bias=False,
            kernel_init=_msr(),
            dtype=self.dtype,
        )(x)
        return full_precision(x)


class Discriminator(_Network):
    """`images [B, H, W, C] (, label int32 [B]) -> logits [B]`, float32.

    Given labels, it makes as many numbers as its smallest stage of the image has
    channels, and the logit is their product with the label's embedding.
    """

    @nn.compact
    def __call__(self, x, label=None):
        top, *smaller = self.widths[::-1]
        x = Conv(top, (1, 1), use_bias=False, kernel_init=_msr(), dtype=self.dtype)(x)
        for width in smaller:
            x = self.mixed(fir.downsample(self.stage(x)), width)
        x = self.stage(x)
        size, width = x.shape[1:3], x.shape[3]
        # A convolution of each channel by itself that leaves one pixel: a weighted sum.
        init = nn.initializers.normal((size[0] * size[1]) ** -0.5)
        basis = self.param("basis", init, (*size, width))
        x = jnp.einsum("bhwc,hwc->bc", x, basis.astype(x.dtype))
        if not self.num_classes:
            return full_precision(self.linear(1)(x)[:, 0])
        x = full_precision(self.linear(width)(x))
        given = nn.one_hot(label, self.num_classes)
        embedded = self.linear(width, width**-0.5)(given)
        return (x * full_precision(embedded)).sum(-1)


def networks(
    shape: Sequence[int],
    width: int,
    most: int = 768,
    blocks: int = 2,
    group_width: int = 16,
    num_classes: int = 0,
    dtype=jnp.float32,
) -> tuple[Generator, Discriminator]:
    """The pair for images of one shape.

    Published are (width, most) of (768, 768) for CIFAR-10, (384, 768) for FFHQ at
    64x64, (96, 768) at 256x256, and (1536, 1536) for ImageNet at 32x32 and 64x64, there
    with groups of 32, elsewhere of 16.

    Args:
        shape: `(H, W, C)` of the images.
        width: channels at the size of the images; doubled with each halving.
        most: up to so many.
        blocks: of each stage.
        group_width: channels of a group of the 3×3 convolutions.
        num_classes: above 0, both are given labels in [0, num_classes).
        dtype: what they compute in; parameters are float32.

    Raises:
        UsageError: the images cannot be halved so (`layers.sizes`), or groups do not
            fit widths.
    """
    of = widths(shape, width, most)
    for channels in {2 * c for c in of}:
        if channels % min(group_width, channels):
            reason = f"must divide {channels}, twice the width of a stage."
            raise UsageError("group_width", group_width, reason)
    common = (of, blocks, group_width, num_classes, dtype)
    h, w, c = shape
    return Generator(*common, shape=(h, w, c)), Discriminator(*common)
