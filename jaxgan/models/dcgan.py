"""DCGAN's networks (Radford, Metz and Chintala, 2016, arXiv:1511.06434).

All strided convolutions; BatchNorm in both networks except G's output and D's input;
ReLU and tanh in G, LeakyReLU 0.2 in D; weights from N(0, 0.02²). Images are in [-1, 1]
and of 28×28 (two doublings of 7×7) or of 32, 64, 128, … (doublings of 4×4). Given
labels, G takes them one-hot beside `z` and D as an embedded extra channel.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgan.models.layers import (
    Conv,
    ConvTranspose,
    batch_norm,
    dcgan_scale,
    full_precision,
    normal002,
)
from jaxgan.types import UsageError


def stages(size: int) -> tuple[int, int]:
    """`(base, doublings)` of an image size: 28 is (7, 2), 64 is (4, 4).

    Raises:
        UsageError: no such pair exists.
    """
    for base in (4, 7):
        doublings = (size // base).bit_length() - 1
        if doublings > 0 and base << doublings == size:
            return base, doublings
    raise UsageError(
        f"DCGAN draws images of 28x28, 32x32, 64x64, 128x128 (4 or 7 times a power of "
        f"two), not {size}x{size}; resize them, such as --resize 32x32."
    )


class Generator(nn.Module):
    """`z [B, Z] (, label int32 [B]) -> images [B, size, size, channels]` in [-1, 1]."""

    size: int = 28
    channels: int = 1
    width: int = 64
    num_classes: int = 0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, z, label=None, train: bool = True):
        base, doublings = stages(self.size)
        norm = partial(batch_norm, train, dtype=self.dtype, scale_init=dcgan_scale)
        if self.num_classes:
            z = jnp.concatenate([z, jax.nn.one_hot(label, self.num_classes)], -1)
        c = self.width << (doublings - 1)
        x = nn.Dense(
            base * base * c, use_bias=False, kernel_init=normal002, dtype=self.dtype
        )(z)
        x = nn.relu(norm()(x.reshape(-1, base, base, c)))
        for _ in range(doublings - 1):
            c //= 2
            x = nn.relu(norm()(self.up(c, use_bias=False)(x)))
        return jnp.tanh(full_precision(self.up(self.channels)(x)))

    def up(self, features, use_bias=True):
        return ConvTranspose(
            features,
            (4, 4),
            (2, 2),
            use_bias=use_bias,
            kernel_init=normal002,
            dtype=self.dtype,
        )


class Discriminator(nn.Module):
    """`images [B, S, S, C] (, label int32 [B]) -> logits [B]`, float32."""

    width: int = 64
    num_classes: int = 0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x, label=None, train: bool = True):
        _, doublings = stages(x.shape[1])
        if self.num_classes:
            plane = nn.Embed(self.num_classes, x.shape[1] * x.shape[2])(label)
            x = jnp.concatenate([x, plane.reshape(*x.shape[:3], 1)], -1)
        for i in range(doublings):
            x = Conv(
                self.width << i,
                (4, 4),
                (2, 2),
                use_bias=i == 0,
                kernel_init=normal002,
                dtype=self.dtype,
            )(x)
            if i:
                x = batch_norm(train, dtype=self.dtype, scale_init=dcgan_scale)(x)
            x = nn.leaky_relu(x, 0.2)
        x = x.reshape(x.shape[0], -1)
        logits = nn.Dense(1, kernel_init=normal002, dtype=self.dtype)(x)
        return full_precision(logits[:, 0])


def networks(
    shape: Sequence[int], width: int = 64, num_classes: int = 0, dtype=jnp.float32
) -> tuple[Generator, Discriminator]:
    """The pair for images of `shape` `(H, W, C)`, H = W."""
    if shape[0] != shape[1]:
        raise UsageError(
            f"DCGAN's images are square, not {shape[0]}x{shape[1]}; crop or resize "
            "them, such as --resize 64 --crop 64."
        )
    stages(shape[0])
    return (
        Generator(shape[0], shape[2], width, num_classes, dtype),
        Discriminator(width, num_classes, dtype),
    )
