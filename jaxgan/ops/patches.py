"""Convolutions on CPU as one product of patches and kernel, at any geometry.

im2col: Chellapilla, Puri and Simard, 2006. The gradient in x is its transpose, a
product whose windows are added where they overlap. Sums are of float32 or wider, and
what is returned is as wide.
"""

import math

import jax.numpy as jnp
from jax import lax

from jaxgan.ops.blocks import blocks, dot, framed, out_size, place, unblocked

__all__ = ["conv", "conv_w", "conv_x"]

MANY_TERMS = 16
"""Blocks that overlap, above which they are summed along each side in turn."""


def conv(x, w, *, stride, padding):
    """`x [B, H, W, C_in], w [kh, kw, C_in, C_out] -> [B, H', W', C_out]`."""
    out = out_size(x.shape[1:3], w.shape[:2], stride, padding)
    rows = _patches(x, w.shape[:2], stride, padding)
    y = dot(rows, w.reshape(-1, w.shape[3]))
    return y.reshape(x.shape[0], *out, w.shape[3])


def conv_w(x, dy, *, stride, padding, window):
    """The gradient of `conv` in w."""
    rows = _patches(x, window, stride, padding)
    cols = dy.reshape(-1, dy.shape[3])
    # Whichever of rowsᵀ @ cols and (colsᵀ @ rows)ᵀ transposes less, and that apart: up
    # to twice as fast. The barriers keep XLA from rewriting one into the other.
    if rows.size < cols.size + rows.shape[1] * cols.shape[1]:
        dw = dot(lax.optimization_barrier(rows.T), cols)
    else:
        dw = lax.optimization_barrier(dot(lax.optimization_barrier(cols.T), rows)).T
    return dw.reshape(*window, x.shape[3], dy.shape[3])


def conv_x(dy, w, *, stride, padding, size):
    """The gradient of `conv` in x, of `size` (H, W)."""
    # Every output pixel spreads a window; windows overlap block by block, not pixel by
    # pixel, so that the sum has r² terms instead of k².
    (kh, kw, c, features), (sh, sw) = w.shape, stride
    rh, rw = blocks(w.shape[:2], stride)
    w = jnp.pad(w, ((0, rh * sh - kh), (0, rw * sw - kw), (0, 0), (0, 0)))
    w = w.reshape(rh, sh, rw, sw * c, features)
    many = rh * rw > MANY_TERMS
    order = (2, 0, 1, 3) if many else (0, 2, 1, 3)
    # The kernel is brought into the order of blocks, or what it makes if that is less.
    late = math.prod(dy.shape[:3]) < features
    w = w if late else w.transpose(*order, 4)
    spread = dot(dy.reshape(-1, features), w.reshape(-1, features).T)
    spread = spread.reshape(*dy.shape[:3], *w.shape[:4])
    spread = spread.transpose(0, 1, 2, *(3 + i for i in order)) if late else spread
    if many:
        along = (place(spread[:, :, :, j], 0, j, 0, rw - 1) for j in range(rw))
        rows = lax.optimization_barrier(sum(along))
        x = sum(place(rows[:, :, :, i], i, 0, rh - 1, 0) for i in range(rh))
    else:
        x = sum(
            place(spread[:, :, :, i, j], i, j, rh - 1, rw - 1)
            for i in range(rh)
            for j in range(rw)
        )
    return unblocked(x, (len(dy), *size, c), padding)


def _patches(x, window, stride, padding):
    """`[B, H, W, C] -> [B·H'·W', kh·kw·C]`."""
    oh, ow = out_size(x.shape[1:3], window, stride, padding)
    (rh, rw), (sh, sw), (kh, kw) = blocks(window, stride), stride, window
    x = framed(x, sh * (oh - 1 + rh), sw * (ow - 1 + rw), padding)
    # Pixels that the stride never separates are copied as one.
    together = sw if kw % sw == 0 else 1
    x = x.reshape(*x.shape[:2], x.shape[2] // together, together * x.shape[3])
    kw, sw = kw // together, sw // together
    taps = [
        x[:, i : i + sh * (oh - 1) + 1 : sh, j : j + sw * (ow - 1) + 1 : sw]
        for i in range(kh)
        for j in range(kw)
    ]
    patches = jnp.concatenate(taps, -1)
    return patches.reshape(len(x) * oh * ow, patches.shape[3])
