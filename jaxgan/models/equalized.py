"""Layers of progressive growing and StyleGAN2: equalized rates, modulated convolution.

Equalized rates: weights are drawn from N(0, 1) and multiplied by He's constant when
they are used, so that Adam, which heeds no scale, moves all layers alike (Karras et
al., 2018, arXiv:1710.10196, section 4.1).
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import lax

from jaxgan import axis, ops
from jaxgan.models.layers import full_precision
from jaxgan.ops import fir

__all__ = [
    "Conv",
    "Dense",
    "ModulatedConv",
    "leaky",
    "minibatch_deviation",
    "modulated_conv",
    "pixel_norm",
]

EPSILON = 1e-8
GAIN = np.float32(np.sqrt(2))
"""Of `leaky`, which keeps the variance of what comes after it, nearly."""


def leaky(x):
    """Leaky ReLU of slope 0.2, times √2, as StyleGAN2's."""
    return jax.nn.leaky_relu(x, 0.2) * jnp.asarray(GAIN, x.dtype)


def pixel_norm(x):
    """Divides each vector of channels by its root mean square (arXiv:1710.10196, 4.2).

    Args:
        x: `[..., C]`.
    """
    return x * lax.rsqrt(jnp.mean(x**2, -1, keepdims=True) + EPSILON)


def minibatch_deviation(x, group: int = 4, channels: int = 1):
    """How much images of a group differ, as channels beside theirs (arXiv:1710.10196,
    section 3; in groups, StyleGAN2's authors' program): D sees it if G draws few modes.

    A group is of neighbours. So it lies on one device, if its size divides the number
    of each device's images. The authors group images at equal distances.

    Args:
        x: `[B, H, W, C]`, a batch, or with gradient accumulation a part of one.
        group: how many images are compared; the largest divisor of B up to this one,
            where B is of all devices.
        channels: how many deviations; each is the mean over places and over
            C / channels of the channels.

    Returns:
        `[B, H, W, C + channels]`.

    Raises:
        ValueError: `channels` does not divide C.
    """
    apart = len(x) % group == 0
    every = x if apart else axis.gather(x)
    b, h, w, c = every.shape
    if c % channels:
        raise ValueError(f"minibatch_deviation: {channels} channels do not divide {c}.")
    size = max(n for n in range(1, min(group, b) + 1) if b % n == 0)
    y = full_precision(every)
    y = y.reshape(b // size, size, h, w, channels, c // channels)
    y = jnp.sqrt(jnp.var(y, 1) + EPSILON).mean((1, 2, 4))
    y = jnp.broadcast_to(y[:, None, None, None], (b // size, size, h, w, channels))
    y = y.reshape(b, h, w, channels).astype(x.dtype)
    return jnp.concatenate([x, y if apart else axis.share(y)], -1)


def modulated_conv(x, w, style, demodulate: bool = True, up: int = 1):
    """A convolution whose kernel is scaled for each image (arXiv:1912.04958, 2.2).

    The kernel is one for all images: inputs are scaled instead, and outputs are
    demodulated, which is the same and needs no convolution in groups.

    Args:
        x: `[B, H, W, C]`.
        w: `[k, k, C, D]`, k odd.
        style: s, `[B, C]`: what the kernel's inputs are multiplied by.
        demodulate: outputs are divided by the norm of the scaled kernel, which brings
            their deviation to that of the inputs.
        up: 2 doubles the sides, filtered by [1, 3, 3, 1].

    Returns:
        `[B, up H, up W, D]`.
    """
    y = x * style[:, None, None].astype(x.dtype)
    if up == 1:
        y = ops.conv(y, w)
    else:
        k, n = w.shape[0], len(fir.BINOMIAL)
        size = tuple(up * (side - 1) + k for side in x.shape[1:3])
        y = ops.conv_transpose(y, w[::-1, ::-1].swapaxes(2, 3), up, 0, size)
        low = (n + up - 1) // 2 - (k - 1) // 2
        high = (n - up) // 2 - (k - up) + (k - 1) // 2
        taps = np.asarray(fir.BINOMIAL) / sum(fir.BINOMIAL) * up
        y = fir.upfirdn(y, taps, pad=(low, high))
    if demodulate:
        squares = jnp.square(full_precision(w)).sum((0, 1))
        norm = jnp.square(full_precision(style)) @ squares
        y = y * lax.rsqrt(norm + EPSILON)[:, None, None].astype(y.dtype)
    return y


class Dense(nn.Module):
    """A dense layer of equalized rate, `[B, N] -> [B, features]`."""

    features: int
    rate: float = 1.0
    """What its learning rate is multiplied by: 0.01 in StyleGAN's mapping network."""
    bias: float = 0.0
    """At first."""
    use_bias: bool = True
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        init = nn.initializers.normal(1 / self.rate)
        w = self.param("kernel", init, (x.shape[-1], self.features))
        x, w = nn.dtypes.promote_dtype(x, w, dtype=self.dtype)
        y = x @ (w * jnp.asarray(self.rate / np.sqrt(w.shape[0]), w.dtype))
        if not self.use_bias:
            return y
        first = nn.initializers.constant(self.bias / self.rate)
        b = self.param("bias", first, (self.features,)).astype(y.dtype)
        return y + (b * jnp.asarray(self.rate, b.dtype))[None]


class Conv(nn.Module):
    """A convolution of equalized rate, `[B, H, W, C] -> [B, H', W', features]`."""

    features: int
    kernel: int = 3
    down: int = 1
    """2 halves the sides, filtered by [1, 3, 3, 1] before."""
    use_bias: bool = True
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        k = self.kernel
        x, w = _with_kernel(self, x)
        if self.down == 1:
            x = ops.conv(x, w)
        else:
            n, p = len(fir.BINOMIAL), (k - 1) // 2
            low, high = (n - self.down + 1) // 2 + p, (n - self.down) // 2 + p
            taps = np.asarray(fir.BINOMIAL) / sum(fir.BINOMIAL)
            x = ops.conv(fir.upfirdn(x, taps, pad=(low, high)), w, self.down, "VALID")
        if not self.use_bias:
            return x
        b = self.param("bias", nn.initializers.zeros_init(), (self.features,))
        return x + b.astype(x.dtype)[None, None, None]


class ModulatedConv(nn.Module):
    """StyleGAN2's convolution, of equalized rate, scaled by a style.

    `(x [B, H, W, C], w [B, N]) -> [B, up H, up W, features]`; see `modulated_conv`. It
    has no bias: noise comes before.
    """

    features: int
    kernel: int = 3
    up: int = 1
    demodulate: bool = True
    dtype: Any = None

    @nn.compact
    def __call__(self, x, w):
        style = Dense(x.shape[-1], bias=1.0, name="style")(w)
        x, kernel = _with_kernel(self, x)
        return modulated_conv(x, kernel, style, self.demodulate, self.up)


def _with_kernel(layer, x):
    """x, and the kernel of a layer of equalized rate, of the layer's dtype."""
    shape = layer.kernel, layer.kernel, x.shape[-1], layer.features
    w = layer.param("kernel", nn.initializers.normal(1.0), shape)
    x, w = nn.dtypes.promote_dtype(x, w, dtype=layer.dtype)
    return x, w * jnp.asarray(1 / np.sqrt(np.prod(shape[:3])), w.dtype)
