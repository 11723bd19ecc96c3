"""Fully connected networks, as in the first GANs (arXiv:1406.2661) and on 2-D mixtures.

The defaults are the classic MLP GAN on MNIST: 100→256→512→1024→784 with tanh against
784→512→256→1, LeakyReLU 0.2. Given labels, both take them one-hot beside their input.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgan.models.layers import full_precision, one_hot

__all__ = ["Discriminator", "Generator"]

leaky = partial(nn.leaky_relu, negative_slope=0.2)


class Generator(nn.Module):
    """`z [B, ...] (, label int32 [B]) -> [B, *shape]`, float32, through `output`."""

    shape: Sequence[int] = (28, 28, 1)
    hidden: Sequence[int] = (256, 512, 1024)
    num_classes: int = 0
    act: Callable = leaky
    output: Callable = jnp.tanh
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, z, label=None):
        z = z.reshape(z.shape[0], -1)
        if self.num_classes:
            z = jnp.concatenate([z, one_hot(label, self.num_classes)], -1)
        for width in self.hidden:
            z = self.act(nn.Dense(width, dtype=self.dtype)(z))
        x = nn.Dense(math.prod(self.shape), dtype=self.dtype)(z)
        return self.output(full_precision(x.reshape(-1, *self.shape)))


class Discriminator(nn.Module):
    """`x [B, ...] (, label int32 [B]) -> logits [B]`, float32."""

    hidden: Sequence[int] = (512, 256)
    num_classes: int = 0
    act: Callable = leaky
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x, label=None):
        x = x.reshape(x.shape[0], -1)
        if self.num_classes:
            x = jnp.concatenate([x, jax.nn.one_hot(label, self.num_classes)], -1)
        for width in self.hidden:
            x = self.act(nn.Dense(width, dtype=self.dtype)(x))
        return full_precision(nn.Dense(1, dtype=self.dtype)(x)[:, 0])
