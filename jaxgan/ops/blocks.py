"""Convolutions as sums over blocks of pixels: the geometry of `ops.cpu`.

A convolution at stride s is one at stride 1 over blocks: s×s pixels are one pixel of
s²·C channels, and a k×k kernel is r×r such blocks, r = ⌈k/s⌉.
"""

import jax.numpy as jnp
from jax import lax

__all__ = ["blocks", "dot", "framed", "out_size", "place", "unblocked"]


def out_size(size, window, stride, padding):
    """(H', W') of a convolution of an image of `size` (H, W)."""
    return tuple(
        (n + lo + hi - k) // s + 1
        for n, k, s, (lo, hi) in zip(size, window, stride, padding, strict=True)
    )


def blocks(window, stride):
    """r, for each of H and W."""
    return tuple(-(-k // s) for k, s in zip(window, stride, strict=True))


def framed(x, h, w, padding):
    """x with `padding` before it, and cut or padded to `[B, h, w, C]`."""
    (top, _), (left, _) = padding
    rows, cols = (top, h - x.shape[1] - top, 0), (left, w - x.shape[2] - left, 0)
    return lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), rows, cols, (0, 0, 0)))


def unblocked(x, shape, padding):
    """Blocks `[B, Hb, Wb, sh, sw·C]` as the image of `shape` that they frame."""
    _, height, width, c = shape
    b, h, w, sh, pixels = x.shape
    x = x.transpose(0, 1, 3, 2, 4).reshape(b, h * sh, w * pixels // c, c)
    return framed(x, height, width, [(-lo, 0) for lo, _ in padding])


def place(x, i, j, rows, cols):
    """x `[B, H, W, ...]` within `rows` more rows and `cols` more columns, at i, j."""
    rest = ((0, 0),) * (x.ndim - 3)
    return jnp.pad(x, ((0, 0), (i, rows - i), (j, cols - j), *rest))


def dot(a, b):
    """The matrix product, summed in float32 or wider, as accelerators do."""
    wide = a.dtype if jnp.finfo(a.dtype).bits >= 32 else jnp.float32
    return jnp.matmul(a, b, preferred_element_type=wide)
