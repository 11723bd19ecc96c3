"""Resampling by finite impulse responses: `upfirdn`, as StyleGAN2 has it.

To halve or double images without a low-pass filter folds high frequencies onto low
ones (Zhang, 2019, arXiv:1904.11486). StyleGAN2 (Karras et al., 2020, arXiv:1912.04958)
filters by [1, 3, 3, 1] wherever it resamples. Filters are of one axis, used on both.

It is written as sums of slices, without convolutions: each channel is filtered by
itself, which XLA's grouped convolutions are slow at on CPU, and zeros that `up` puts
between pixels are never multiplied. It is a primitive, since it is linear, its
transpose is one of its kind, and on CPU it is lowered in another way.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from jaxgan.ops import cpu

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
    taps = tuple(np.asarray(taps, np.float64).tolist())
    for size in x.shape[1:3]:
        if size * up + sum(pad) < len(taps):
            raise ValueError(
                f"upfirdn: of {size} pixels, up {up} and padded by {pad}, a filter of "
                f"{len(taps)} leaves none."
            )
    pads = ((*map(int, pad),),) * 2
    return upfirdn_p.bind(x, taps=taps, up=int(up), down=int(down), pads=pads)


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


# --- the primitive


def _filtered(x, *, taps, up, down, pads):
    for axis, pad in enumerate(pads, 1):
        x = _along(x, taps, up, down, pad, axis)
    return x


def _along(x, taps, up, down, pad, axis):
    size, k = x.shape[axis], len(taps)
    length = size * up + sum(pad) - k + 1
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


def _transpose(ct, x, *, taps, up, down, pads):
    """The same of the filter turned around, up where it was down."""
    k, found = len(taps), []
    for n, made, (low, _) in zip(x.aval.shape[1:3], ct.shape[1:3], pads, strict=True):
        before = k - 1 - low
        found.append((before, (n - 1) * up + k - made * down - before))
    params = {"taps": taps[::-1], "up": down, "down": up, "pads": tuple(found)}
    return [upfirdn_p.bind(ct, **params)]


def _batch(args, dims, **params):
    """vmap: examples fold into B."""
    x = jnp.moveaxis(args[0], dims[0], 0)
    y = upfirdn_p.bind(x.reshape(-1, *x.shape[2:]), **params)
    return y.reshape(*x.shape[:2], *y.shape[1:]), 0


def _lower_on_cpu(context, x, **params):
    """In two pieces of the batch, one after the other: XLA computes what a sum of
    slices is made of, such as a convolution's own sums, once more for each slice, but
    stores what a loop is given."""
    form, (aval,) = partial(_filtered, **params), context.avals_in
    whole = all(isinstance(n, int) for n in aval.shape)
    if whole and aval.shape[0] % 2 == 0 and cpu.undivided(context):
        form = partial(cpu.in_pieces, form, n=2)
    return mlir.lower_fun(form, multiple_results=False)(context, x)


upfirdn_p = Primitive("jaxgan_upfirdn")
upfirdn_p.def_abstract_eval(
    lambda x, **params: x.update(
        shape=jax.eval_shape(
            partial(_filtered, **params), jax.ShapeDtypeStruct(x.shape, x.dtype)
        ).shape,
        weak_type=False,
    )
)
upfirdn_p.def_impl(lambda x, **params: jax.jit(partial(_filtered, **params))(x))
ad.deflinear2(upfirdn_p, _transpose)
batching.primitive_batchers[upfirdn_p] = _batch
mlir.register_lowering(
    upfirdn_p,
    lambda context, x, **params: mlir.lower_fun(
        partial(_filtered, **params), multiple_results=False
    )(context, x),
)
mlir.register_lowering(upfirdn_p, _lower_on_cpu, platform="cpu")
