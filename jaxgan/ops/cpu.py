"""The three bilinear forms of a convolution as matrix products, for CPU.

Which product is the fastest depends on the numbers that it has to hold for each pixel,
since what leaves the cache waits for memory. Those of a k×k kernel at stride 1:

- `ops.patches`: k²·C_in, or by its transpose, of a flipped kernel, k²·C_out. Those are
  few where few channels go in or come out, as in first and last layers.
- `ops.rows`: k·(C_in + C_out), for large images of few channels in and out.
- `ops.winograd`: 4·(C_in + C_out), and fewer multiplications, for many channels.

What is larger than a cache is computed in pieces of the batch, one after another.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

from jaxgan.ops import patches, rows, winograd
from jaxgan.ops.blocks import out_size

__all__ = ["conv", "conv_w", "conv_x", "in_pieces", "undivided"]

# Measured in November 2026 on two cores with 1 MB of cache each, and 32 MB for both.

CUT = 16 << 20
"""Bytes above which a convolution is cut into pieces, and rows may be faster. Smaller
ones are not: XLA computes their sums once more wherever they are used, but stores what
a loop over pieces makes."""

PIECE = 8 << 20
"""Bytes of a piece, at most, where the batch can be divided so."""

FEW = 2
"""How many times more channels go in than come out, for the swapped form."""

COPIED = 6
"""A pixel of fewer channels takes as long to copy as one of so many."""


def conv(x, w, *, stride, padding, cut=True):
    """`x [B, H, W, C_in], w [kh, kw, C_in, C_out] -> [B, H', W', C_out]`.

    Args:
        x: images.
        w: the kernel.
        stride: (H, W).
        padding: ((top, bottom), (left, right)).
        cut: whether pieces of the batch may be taken one after another; not where it is
            divided over devices, which would pass them around.
    """
    out = out_size(x.shape[1:3], w.shape[:2], stride, padding)
    made = jax.ShapeDtypeStruct((len(x), *out), x.dtype)
    name, pieces = _choice(w.shape, stride, padding, made, cut)
    params = {"stride": stride, "padding": padding}
    match name:
        case "minimal":
            form = partial(winograd.conv, w=w, **params)
        case "rows":
            form = partial(rows.conv, w=w, padding=padding)
        case "spread":
            params["padding"] = _rest(w.shape, padding)
            form = partial(patches.conv_x, w=_swapped(w), **params, size=out)
        case _:
            form = partial(patches.conv, w=w, **params)
    return in_pieces(form, x, pieces).astype(x.dtype)


def conv_x(dy, w, *, stride, padding, size, cut=True):
    """The gradient of `conv` in x, of `size` (H, W)."""
    kh, kw, c, features = w.shape
    pixels, flipped = math.prod(dy.shape[:3]), (kh, kw, features, c)
    params = {"stride": stride, "padding": padding, "size": size}
    if _swaps(w.shape, stride, padding):
        # It is the convolution of another kernel. Where that is large, flipping it
        # takes longer than what it saves.
        rest = _rest(w.shape, padding)
        made = jax.ShapeDtypeStruct((len(dy), *size), dy.dtype)
        name, _ = _choice(flipped, stride, rest, made, cut)
        if name != "spread" and (w.size < dy.size or FEW * features <= c):
            return conv(dy, _swapped(w), stride=stride, padding=rest, cut=cut)
    if winograd.pays(w.shape, stride, dy.dtype, pixels):
        form, pieces = winograd.conv_x, 1  # of which more are slower
    else:
        form, pieces = patches.conv_x, _pieces(dy, kh * kw * c * pixels, cut)
    return in_pieces(partial(form, w=w, **params), dy, pieces).astype(dy.dtype)


def conv_w(x, dy, *, stride, padding, window, cut=True):
    """The gradient of `conv` in w."""
    shape = (*window, x.shape[3], dy.shape[3])
    if FEW * dy.shape[3] <= x.shape[3] and _swaps(shape, stride, padding):
        params = {"stride": stride, "padding": _rest(shape, padding)}
        return _swapped(conv_w(dy, x, **params, window=window, cut=cut))
    name, pieces = _choice(shape, stride, padding, dy, cut, weight=True)
    params = {"stride": stride, "padding": padding, "window": window}
    match name:
        case "minimal":
            form = partial(winograd.conv_w, **params)
        case "rows":
            form = partial(rows.conv_w, padding=padding, window=window)
        case _:
            form = partial(patches.conv_w, **params)
    return _sum_of_pieces(form, x, dy, pieces).astype(x.dtype)


# --- the choice


def _choice(kernel, stride, padding, made, cut, weight=False):
    """The fastest form, and into how many pieces the batch is cut for it.

    Args:
        kernel: its shape.
        stride: (H, W).
        padding: pairs.
        made: of the batch, height, width and dtype that come out.
        cut: whether more than one piece may be.
        weight: of the gradient in the kernel.
    """
    kh, kw, c, features = kernel
    pixels = math.prod(made.shape[:3])
    if winograd.pays(kernel, stride, made.dtype, pixels):
        numbers = winograd.numbers(kernel, stride)
        pieces = _pieces(made, numbers * pixels, cut)
        small = pixels // pieces < winograd.POSITIONS  # of a batch of a prime size
        return "minimal", 1 if small else pieces
    swaps = _swaps(kernel, stride, padding)
    # What patches hold is written and read; what they spread is only read.
    name, numbers, moved = "patches", kh * kw * c, kh * kw * max(c, COPIED) * 2
    if swaps and FEW * features <= c and not weight:
        name, numbers, moved = "spread", kh * kw * features, kh * kw * features
    along = kw * max(c, COPIED) + kh * features
    fewer = along * pixels + math.prod(kernel) < moved * pixels
    if swaps and fewer and numbers * pixels * made.dtype.itemsize > CUT:
        held = (kw * c + kh * features) * pixels
        return "rows", _divisor(made, held) if cut else 1
    return name, _pieces(made, numbers * pixels, cut)


def _swaps(kernel, stride, padding):
    """Whether a convolution is the transpose of another one of stride 1."""
    same = tuple(stride) == (1, 1) and math.prod(kernel[:2]) > 1
    return same and min(map(min, _rest(kernel, padding))) >= 0


def _rest(kernel, padding):
    """The padding that a transposed convolution of stride 1 has as a convolution."""
    return tuple(
        (k - 1 - lo, k - 1 - hi)
        for k, (lo, hi) in zip(kernel[:2], padding, strict=True)
    )


def _swapped(w):
    """The kernel of the transposed convolution of stride 1."""
    return w[::-1, ::-1].swapaxes(2, 3)


# --- pieces


def undivided(context):
    """Whether a batch may be cut in what is being compiled: `jit` does not divide it
    over devices. It is of one, or of one device's share under `shard_map` or `pmap`.

    Args:
        context: of a primitive's lowering.
    """
    axes = context.module_context.axis_context
    if hasattr(axes, "num_devices"):
        return axes.num_devices == 1
    if hasattr(axes, "manual_axes"):  # by jit, over the axes that shard_map leaves it
        sizes = axes.mesh.shape.items()
        return all(size == 1 for name, size in sizes if name not in axes.manual_axes)
    return True


def _pieces(x, numbers, cut):
    """Into how many pieces x's batch is cut for a form that holds `numbers`."""
    large = numbers * x.dtype.itemsize > CUT
    return _divisor(x, numbers) if cut and large else 1


def _divisor(x, numbers):
    """The least number of equal pieces of x's batch that are no larger than PIECE, or
    one for each image."""
    least = max(math.ceil(numbers * x.dtype.itemsize / PIECE), 1)
    batch = x.shape[0]
    return next((n for n in range(least, batch + 1) if batch % n == 0), max(batch, 1))


def in_pieces(form, x, n):
    """`form(x)`, `[B, ...]`, of n pieces of the batch."""
    if n == 1:
        return form(x)
    y = lax.map(form, x.reshape(n, -1, *x.shape[1:]))
    return y.reshape(-1, *y.shape[2:])


def _sum_of_pieces(form, x, dy, n):
    """`form(x, dy)`, a sum over the batch, of n pieces of it."""
    if n == 1:
        return form(x, dy)
    pieces = [v.reshape(n, -1, *v.shape[1:]) for v in (x, dy)]
    made = jax.eval_shape(form, *(v[0] for v in pieces))
    zeros = jnp.zeros(made.shape, made.dtype)
    add = lambda total, piece: (total + form(*piece), None)  # noqa: E731
    return lax.scan(add, zeros, pieces)[0]
