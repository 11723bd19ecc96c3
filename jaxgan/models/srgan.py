"""SRGAN's networks (Ledig et al., 2017, arXiv:1609.04802, figure 4).

Images are in [-1, 1] and of any size. There is no batch norm in the generator, whose
artefacts ESRGAN (Wang et al., 2018, arXiv:1809.00219, section 3.1) traced to it.
"""

import math
from functools import partial
from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from jaxgan.models.layers import (
    Conv,
    Norm,
    full_precision,
    normalization,
    pixel_shuffle,
)
from jaxgan.types import UsageError

__all__ = ["Discriminator", "SRResNet", "check_factor"]

he_small = nn.initializers.variance_scaling(0.2, "fan_in", "normal")
"""He's, a tenth of its variance: residuals begin small (arXiv:1809.00219, 3.1)."""


prelu = partial(nn.PReLU, negative_slope_init=0.25)
"""One slope for all channels, from 0.25 as torch has it (He et al., 2015,
arXiv:1502.01852, section 2.2); Flax begins at 0.01."""


class SRResNet(nn.Module):
    """`images [B, H, W, C] -> images [B, factor H, factor W, C]`."""

    channels: int = 3
    width: int = 64
    blocks: int = 16
    factor: int = 4
    """A power of 2."""
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x):
        check_factor(self.factor)
        conv = partial(Conv, dtype=self.dtype)
        small = partial(conv, kernel_init=he_small)
        first = x = prelu()(conv(self.width, (9, 9))(x))
        for _ in range(self.blocks):
            y = prelu()(small(self.width, (3, 3))(x))
            x = x + small(self.width, (3, 3))(y)
        x = first + small(self.width, (3, 3))(x)
        for _ in range(self.factor.bit_length() - 1):
            x = prelu()(pixel_shuffle(conv(4 * self.width, (3, 3))(x), 2))
        x = small(self.channels, (9, 9))(x)
        return jnp.tanh(full_precision(x))


class Discriminator(nn.Module):
    """`images [B, H, W, C] -> logits [B]`, float32."""

    width: int = 64
    hidden: int = 1024
    norm: Norm = "batch"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x, train: bool = True):
        for i in range(4):
            for stride in (1, 2):
                first = i == 0 and stride == 1
                x = Conv(
                    self.width << i,
                    (3, 3),
                    (stride, stride),
                    padding=((1, 1), (1, 1)),
                    use_bias=first or self.norm == "none",
                    dtype=self.dtype,
                )(x)
                x = x if first else normalization(self.norm, train, self.dtype)(x)
                x = nn.leaky_relu(x, 0.2)
        x = x.reshape(len(x), -1)
        x = nn.leaky_relu(nn.Dense(self.hidden, dtype=self.dtype)(x), 0.2)
        return full_precision(nn.Dense(1, dtype=self.dtype)(x)[:, 0])


def check_factor(factor: int) -> None:
    """Refuses what pixel shuffles of 2 do not come to.

    Raises:
        UsageError: it is not 2, 4, 8 or a further power of 2.
    """
    if factor < 2 or math.log2(factor) % 1:
        raise UsageError("factor", factor, "must be a power of 2, such as 2 or 4.")
