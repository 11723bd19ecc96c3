"""Convolutions on CPU of stride 1 as a product for each row of a kernel, all in one.

Patches are as wide as the kernel but one pixel high. One product with all rows of the
kernel makes `kh` outputs of each, and a pixel of the result is the sum of one of each
of `kh` neighbouring rows. So memory holds kh·C_out + kw·C_in numbers a pixel, where
whole patches have kh·kw·C_in: it is for large images of few channels, whose patches
leave the cache. Sums are of float32 or wider, and what is returned is as wide.
"""

import jax.numpy as jnp
from jax import lax

from jaxgan.ops.blocks import dot, framed, out_size

__all__ = ["conv", "conv_w"]


def conv(x, w, *, padding):
    """`x [B, H, W, C_in], w [kh, kw, C_in, C_out] -> [B, H', W', C_out]`."""
    kh, kw, c, features = w.shape
    out = out_size(x.shape[1:3], w.shape[:2], (1, 1), padding)
    of_rows = w.transpose(1, 2, 0, 3).reshape(kw * c, kh * features)
    made = dot(_patches(x, (kh, kw), out, padding), of_rows)
    made = made.reshape(len(x), out[0] + kh - 1, out[1], kh, features)
    return sum(made[:, i : i + out[0], :, i] for i in range(kh))


def conv_w(x, dy, *, padding, window):
    """The gradient of `conv` in w."""
    (kh, kw), (h, w), c, features = window, dy.shape[1:3], x.shape[3], dy.shape[3]
    patches = _patches(x, window, (h, w), padding)
    # A row of x met row i of the kernel where the result's row is i higher.
    above = framed(dy, h + 2 * (kh - 1), w, ((kh - 1, 0), (0, 0)))
    rows = [above[:, kh - 1 - i :][:, : h + kh - 1] for i in range(kh)]
    cols = jnp.concatenate(rows, -1).reshape(-1, kh * features)
    # The smaller one is transposed, and that apart: see `ops.patches`.
    if kw * c <= kh * features:
        dw = dot(lax.optimization_barrier(patches.T), cols)
        return dw.reshape(kw, c, kh, features).transpose(2, 0, 1, 3)
    dw = dot(lax.optimization_barrier(cols.T), patches)
    return dw.reshape(kh, features, kw, c).transpose(0, 2, 3, 1)


def _patches(x, window, out, padding):
    """`[B, H, W, C] -> [B·(H' + kh - 1)·W', kw·C]`, a pixel high."""
    (kh, kw), (h, w) = window, out
    x = framed(x, h + kh - 1, w + kw - 1, padding)
    patches = jnp.concatenate([x[:, :, j : j + w] for j in range(kw)], -1)
    return patches.reshape(-1, kw * x.shape[3])
