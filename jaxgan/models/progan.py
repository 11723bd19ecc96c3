"""Networks that grow (Karras et al., 2018, arXiv:1710.10196, "ProGAN").

A network of a stage draws, or judges, images of a size; the next stage's are twice as
large. All parameters are there from the start: `stage` says which of them are used, and
`alpha` how far the newest layers are faded in (figure 2).
"""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from jaxgan.models.equalized import Conv, Dense, leaky, minibatch_deviation, pixel_norm
from jaxgan.models.layers import downsample, full_precision, sizes, upsample
from jaxgan.ops import fir

__all__ = ["Discriminator", "Generator", "blurred", "faded", "grown", "networks"]


def faded(old, new, alpha):
    """From one to the other as alpha goes from 0 to 1."""
    return old + jnp.asarray(alpha, new.dtype) * (new - old)


def grown(drawn, alpha):
    """The last of a generator's images, faded in from the one before if there is."""
    *older, new = drawn
    return faded(upsample(older[-1]), new, alpha) if older else new


def blurred(x):
    """Filtered by [1, 2, 1]."""
    return fir.upfirdn(x, (0.25, 0.5, 0.25), pad=(1, 1))


class Generator(nn.Module):
    """`z [B, Z], alpha [] -> images [B, H, W, C]`, of the stage's size."""

    shape: tuple[int, int, int]
    """Of the last stage."""
    channels: Sequence[int]
    """Of each stage, the smallest first."""
    stage: int
    """From 0 on."""
    dtype: Any = None

    @nn.compact
    def __call__(self, z, alpha):
        (h, w), first = sizes(self.shape)[-1], self.channels[0]
        x = Dense(h * w * first, use_bias=False, name="dense")(pixel_norm(z))
        bias = self.param("bias", nn.initializers.zeros_init(), (first,))
        x = pixel_norm(leaky(x.reshape(-1, h, w, first) + bias[None, None, None]))
        drawn = []
        for i, channels in enumerate(self.channels[: self.stage + 1]):
            for k in range(1 if i == 0 else 2):
                x = upsample(x) if i and not k else x
                conv = Conv(channels, dtype=self.dtype, name=f"stage{i}_conv{k}")
                x = pixel_norm(leaky(conv(x)))
            if i >= self.stage - 1 or self.is_initializing():
                head = Conv(self.shape[2], 1, dtype=self.dtype, name=f"image{i}")
                drawn.append(full_precision(head(x)))
        return grown(drawn, alpha)


class Discriminator(nn.Module):
    """`images [B, H, W, C], alpha [] -> logits [B]`, of the stage's size; float32."""

    channels: Sequence[int]
    """Of each stage, the smallest first."""
    stage: int
    """From 0 on."""
    blur: bool = False
    """Filter by [1, 2, 1] before images are halved, as StyleGAN's D does."""
    group: int = 4
    """Images whose deviation from each other is shown to the last layers."""
    dtype: Any = None

    @nn.compact
    def __call__(self, x, alpha):
        heads = [
            Conv(channels, 1, dtype=self.dtype, name=f"from_image{i}")
            for i, channels in enumerate(self.channels)
        ]
        if self.is_initializing():
            for head in heads:
                head(x)
        y = leaky(heads[self.stage](x))
        for i in range(self.stage, 0, -1):
            for k, channels in enumerate((self.channels[i], self.channels[i - 1])):
                conv = Conv(channels, dtype=self.dtype, name=f"stage{i}_conv{k}")
                y = leaky(conv(blurred(y) if k and self.blur else y))
            y = downsample(y)
            if i == self.stage:
                y = faded(leaky(heads[i - 1](downsample(x))), y, alpha)
        y = minibatch_deviation(y, self.group)
        y = leaky(Conv(self.channels[0], dtype=self.dtype, name="stage0_conv")(y))
        y = full_precision(y.reshape(len(y), -1))
        y = leaky(Dense(self.channels[0], name="dense")(y))
        return Dense(1, name="logit")(y)[:, 0]


def networks(
    shape: Sequence[int],
    width: int = 16,
    most: int = 512,
    dtype=jnp.float32,
    group: int = 4,
) -> tuple[list[Generator], list[Discriminator]]:
    """The two of each stage, the smallest first.

    Args:
        shape: `(H, W, C)` of the last stage's images, see `layers.sizes`.
        width: channels of the last stage; each before has twice as many. 16 of 1024
            pixels in the paper.
        most: channels of a stage at most.
        dtype: what convolutions compute in; parameters are float32.
        group: images that D compares; 16, a whole batch, in the paper.

    Raises:
        UsageError: the images have no such shape.
    """
    stages = len(sizes(shape))
    channels = [min(width << i, most) for i in range(stages)][::-1]
    h, w, c = shape
    each = range(stages)
    return (
        [Generator((h, w, c), channels, k, dtype) for k in each],
        [Discriminator(channels, k, group=group, dtype=dtype) for k in each],
    )
