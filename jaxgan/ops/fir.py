"""Resampling by finite impulse responses: `upfirdn`, as StyleGAN2 has it.

To halve or double images without a low-pass filter folds high frequencies onto low
ones (Zhang, 2019, arXiv:1904.11486). StyleGAN2 (Karras et al., 2020, arXiv:1912.04958)
filters by [1, 3, 3, 1] wherever it resamples. Filters are of one axis, used on both.

It is written as sums of slices, without convolutions: each channel is filtered by
itself, which XLA's grouped convolutions are slow at on CPU, and zeros that `up` puts
between pixels are never multiplied.
"""

import jax.numpy as jnp
import numpy as np
from jax import lax

__all__ = ["BINOMIAL", "downsample", "upfirdn", "upsample"]

BINOMIAL = (1, 3, 3, 1)
"""StyleGAN2's filter."""


def upfirdn(x, taps, up: int = 1, down: int = 1, pad: tuple[int, int] = (0, 0)):
    """Puts zeros between pixels, pads, filters, and takes every so many.

    Args:
        x: `[B, H, W, C]`.
        taps: `[K]`, the filter of an axis; a convolution, so it is turned around.
        up: each pixel becomes it and `up - 1` zeros behind it, on both axes.
        pad: zeros before and behind, on both axes, of what there is then; negative
            numbers cut off.
        down: of what is filtered every so many are kept, the first of them.

    Returns:
        `[B, H', W', C]`, with `H' = (H up + pad[0] + pad[1] - K) // down + 1`.

    Raises:
        ValueError: nothing would be left.
    """
    taps = np.asarray(taps, np.float64)
    for axis in (1, 2):
        x = _along(x, taps, up, down, pad, axis)
    return x


def upsample(x, taps=BINOMIAL, factor: int = 2):
    """Images `factor` times as large; their mean stays.

    Args:
        x: `[B, H, W, C]`.
        taps: `[K]`, of any sum.
        factor: how many times.
    """
    taps, k = _normalized(taps) * factor, len(taps)
    pad = (k + factor - 1) // 2, (k - factor) // 2
    return upfirdn(x, taps, up=factor, pad=pad)


def downsample(x, taps=BINOMIAL, factor: int = 2):
    """Images a `factor`-th as large; their mean stays.

    Args:
        x: `[B, H, W, C]`.
        taps: `[K]`, of any sum.
        factor: what sides are divided by.
    """
    k = len(taps)
    pad = (k - factor + 1) // 2, (k - factor) // 2
    return upfirdn(x, _normalized(taps), down=factor, pad=pad)


def _normalized(taps):
    taps = np.asarray(taps, np.float64)
    return taps / taps.sum()


def _along(x, taps, up, down, pad, axis):
    size, k = x.shape[axis], len(taps)
    length = size * up + sum(pad) - k + 1
    if length < 1:
        raise ValueError(
            f"upfirdn: of {size} pixels, up {up} and padded by {pad}, a filter of {k} "
            "leaves none."
        )
    # Filtered pixel q up + r is the sum over k of taps[-1 - k] x[q + offset].
    phases = [
        [
            (float(tap), (r + i - pad[0]) // up)
            for i, tap in enumerate(taps[::-1])
            if (r + i - pad[0]) % up == 0
        ]
        for r in range(up)
    ]
    offsets = [offset for phase in phases for _, offset in phase]
    low, count = min([0, *offsets]), -(-length // up)
    high = max([0, *offsets]) + count - size
    x = _padded(x, (-low, max(high, 0)), axis)
    stride = down if up == 1 else 1
    kept = (count - 1) // stride + 1

    def summed(phase):
        total = jnp.zeros_like(lax.slice_in_dim(x, 0, kept, axis=axis))
        for tap, offset in phase:
            begin = offset - low
            end = begin + (kept - 1) * stride + 1
            part = lax.slice_in_dim(x, begin, end, stride, axis)
            total = total + part * jnp.asarray(tap, x.dtype)
        return total

    if up == 1:
        return summed(phases[0])
    y = jnp.stack([summed(phase) for phase in phases], axis + 1)
    shape = *x.shape[:axis], count * up, *x.shape[axis + 1 :]
    return lax.slice_in_dim(y.reshape(shape), 0, length, down, axis)


def _padded(x, pad, axis):
    return jnp.pad(x, [pad if i == axis else (0, 0) for i in range(x.ndim)])
