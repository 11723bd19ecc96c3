"""Convolutions that are fast on every platform, and differentiable to any order.

XLA's own convolutions are excellent on GPU and TPU. On CPU the gradients that a GAN
needs are many times slower than the matrix products they amount to, so there a
convolution is written as matrix products, in `ops.cpu`. The choice is made when a
function is compiled, by platform.

A convolution is bilinear in its input `x` and kernel `w`, and so are its two
transposes. The three are primitives, each with a lowering for each platform:

    y  = conv(x, w)      w-transpose: conv_w(x, ct)   x-transpose: conv_x(ct, w)
    dx = conv_x(dy, w)   w-transpose: conv_w(ct, dy)  dy-transpose: conv(ct, w)
    dw = conv_w(x, dy)   x-transpose: conv_x(dy, ct)  dy-transpose: conv(x, ct)

The set is closed under transposition, so `grad`, `jvp`, `vmap`, `scan` and any nesting
of them stay inside it, and the only residuals are `x` and `w`. `conv_x` is what other
libraries call a transposed convolution.

A grouped convolution is one of each group by a kernel of its own, which is `vmap` over
groups. Many kernels are one grouped convolution on GPU and TPU, and on CPU products one
after another, where XLA's gradients of a grouped one take many times as long. Of a
batch that `jit` divides over GPUs or TPUs, XLA gathers all images for it; with
`shard_map` each device keeps its own.

Layouts: images `[B, H, W, C]`, kernels `[kh, kw, C_in, C_out]`.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from jaxgan.ops import cpu
from jaxgan.ops.arguments import checked, pads
from jaxgan.ops.blocks import out_size

__all__ = ["conv", "conv_general_dilated", "conv_transpose"]

LAYOUT = ("NHWC", "HWIO", "NHWC")


def conv(x, w, stride=1, padding="SAME", groups=1):
    """Convolves images with a kernel (cross-correlation, as everywhere in the field).

    Args:
        x: `[B, H, W, C_in]`.
        w: `[kh, kw, C_in / groups, C_out]`, of x's dtype.
        stride: an int, or one for each of H and W.
        padding: `"SAME"`, `"VALID"`, an int for all sides, or
            `((top, bottom), (left, right))`.
        groups: channels in and out are in as many groups, each of which sees its own
            alone, as in `torch.nn.functional.conv2d`.

    Returns:
        `[B, H', W', C_out]`, with `H' = (H + top + bottom - kh) // stride + 1`.

    Raises:
        ValueError: the shapes or dtypes do not fit one another.
    """
    stride = checked("conv", x, w, 2, stride, groups)
    padding = pads("conv", padding, x.shape[1:3], w.shape[:2], stride)
    if min(out_size(x.shape[1:3], w.shape[:2], stride, padding)) < 1:
        raise ValueError(
            f"conv: an input of {x.shape[1]}x{x.shape[2]} is smaller than the "
            f"{w.shape[0]}x{w.shape[1]} kernel with padding {padding}."
        )
    form = partial(conv_p.bind, stride=stride, padding=padding)
    return _in_groups(form, x, w, groups)


def conv_transpose(x, w, stride=1, padding="SAME", size=None, groups=1):
    """Transposed convolution: the gradient of `conv` in its input.

    Equal to `torch.nn.functional.conv_transpose2d` with `w` permuted to
    `[C_in, C_out / groups, kh, kw]`.

    Args:
        x: `[B, H, W, C_in]`.
        w: `[kh, kw, C_out / groups, C_in]`, the kernel of the convolution that maps the
            result's shape back to x's.
        stride: an int, or one for each of H and W; the factor of upsampling.
        padding: `"SAME"`, an int, or pairs, as that convolution's.
        size: `(H', W')` of the result. Of the `stride` sizes that the convolution maps
            back to x's, the default is the largest with `"SAME"`, `H · stride`, and
            otherwise the smallest.
        groups: as that convolution's.

    Returns:
        `[B, H', W', C_out]`, by default with `H' = H · stride` for `"SAME"` and
        `(H - 1) · stride + kh - top - bottom` otherwise.

    Raises:
        ValueError: the shapes or dtypes do not fit one another.
    """
    name = "conv_transpose"
    stride = checked(name, x, w, 3, stride, groups)
    if not (size is None or (isinstance(size, tuple | list) and len(size) == 2)):
        raise ValueError(f"{name}: size must be (H', W'); got {size!r}.")
    size, window = size and tuple(map(int, size)), w.shape[:2]
    full = tuple(
        (n - 1) * s + k for n, s, k in zip(x.shape[1:3], stride, window, strict=True)
    )
    same = isinstance(padding, str) and padding.upper().startswith("SAME")
    if size is None and same:
        size = tuple(n * s for n, s in zip(x.shape[1:3], stride, strict=True))
    around = pads(name, padding, size or full, window, stride)
    if size is None:
        size = tuple(n - lo - hi for n, (lo, hi) in zip(full, around, strict=True))
        if min(size) < 1:
            raise ValueError(
                f"conv_transpose: padding {around} leaves nothing of a "
                f"{full[0]}x{full[1]} output."
            )
    if out_size(size, window, stride, around) != x.shape[1:3]:
        raise ValueError(
            f"conv_transpose: size {size} is not one that a convolution with padding "
            f"{padding!r} takes to {x.shape[1]}x{x.shape[2]}."
        )
    form = partial(conv_x_p.bind, stride=stride, padding=around, size=size)
    return _in_groups(form, x, w, groups)


def conv_general_dilated(
    lhs, rhs, window_strides, padding, lhs_dilation=None, rhs_dilation=None, **kwargs
):
    """`jax.lax.conv_general_dilated` through `conv` where `conv` can do it.

    For `flax.linen.Conv(conv_general_dilated=...)`. Dilated, batch-grouped or one- and
    three-dimensional convolutions go to XLA on every platform.
    """
    numbers = kwargs.get("dimension_numbers")
    plain = (
        lhs.ndim == 4
        and all(d == 1 for d in (*(lhs_dilation or ()), *(rhs_dilation or ())))
        and kwargs.get("batch_group_count", 1) == 1
        and numbers is not None
        and lax.conv_dimension_numbers(lhs.shape, rhs.shape, numbers)
        == lax.conv_dimension_numbers(lhs.shape, rhs.shape, LAYOUT)
        and kwargs.get("precision") is None
        and kwargs.get("preferred_element_type") is None
    )
    if plain:
        groups = kwargs.get("feature_group_count", 1)
        return conv(lhs, rhs, tuple(window_strides), padding, groups)
    return lax.conv_general_dilated(
        lhs, rhs, window_strides, padding, lhs_dilation, rhs_dilation, **kwargs
    )


# --- groups


def _in_groups(form, x, w, groups):
    """`form(x, w)` of each group of channels, `[B, H, W, C]`."""
    if groups == 1:
        return form(x, w)
    x, w = (v.reshape(*v.shape[:3], groups, -1) for v in (x, w))
    y = jax.vmap(form, (3, 3), 3)(x, w)
    return y.reshape(*y.shape[:3], -1)


# --- XLA's own convolutions: GPU, TPU


def _conv_xla(x, w, *, stride, padding):
    return lax.conv_general_dilated(x, w, stride, padding, dimension_numbers=LAYOUT)


def _conv_x_xla(dy, w, *, stride, padding, size):
    x = jax.ShapeDtypeStruct((dy.shape[0], *size, w.shape[2]), dy.dtype)
    forward = lambda x: _conv_xla(x, w, stride=stride, padding=padding)  # noqa: E731
    return jax.linear_transpose(forward, x)(dy)[0]


def _conv_w_xla(x, dy, *, stride, padding, window):
    w = jax.ShapeDtypeStruct((*window, x.shape[3], dy.shape[3]), dy.dtype)
    forward = lambda w: _conv_xla(x, w, stride=stride, padding=padding)  # noqa: E731
    return jax.linear_transpose(forward, w)(dy)[0]


# --- the primitives


def _grouped(form, over):
    """`form`, or `over(form)` when operands carry a leading axis of many kernels."""

    def lowered(a, b, **params):
        one = lambda a, b: form(a, b, **params)  # noqa: E731
        return over(one)(a, b) if a.ndim == 5 else one(a, b)

    return lowered


def _one_by_one(one):
    return lambda a, b: lax.map(lambda ab: one(*ab), (a, b))


def _batch(primitive, foldable):
    """vmap: examples fold into B; kernels make a leading axis, and nest into one."""

    def rule(args, dims, **params):
        (a, b), (da, db) = args, dims
        n = a.shape[da] if da is not None else b.shape[db]
        if foldable and db is None:
            at = b.ndim - 4  # behind the axis of many kernels
            a = jnp.moveaxis(a, da, at)
            folded = a.reshape(*a.shape[:at], n * a.shape[at + 1], *a.shape[at + 2 :])
            out = primitive.bind(folded, b, **params)
            return out.reshape(*a.shape[: at + 2], *out.shape[at + 1 :]), at
        lead = lambda v, d: (  # noqa: E731
            jnp.broadcast_to(v, (n, *v.shape)) if d is None else jnp.moveaxis(v, d, 0)
        )
        a, b = lead(a, da), lead(b, db)
        groups = a.shape[:-4]
        count = math.prod(groups)
        out = primitive.bind(
            a.reshape(count, *a.shape[-4:]), b.reshape(count, *b.shape[-4:]), **params
        )
        return out.reshape(*groups, *out.shape[1:]), 0

    return rule


def _primitive(name, xla, on_cpu, foldable):
    primitive = Primitive(name)

    def abstract(a, b, **params):
        shape = jax.eval_shape(
            _grouped(lambda a, b: xla(a, b, **params), jax.vmap),
            *(jax.ShapeDtypeStruct(v.shape, v.dtype) for v in (a, b)),
        ).shape
        return a.update(shape=shape, weak_type=False)

    primitive.def_abstract_eval(abstract)
    jitted = jax.jit(
        lambda a, b, params: primitive.bind(a, b, **dict(params)), static_argnums=2
    )

    def run(a, b, **params):
        if jax.config.jax_disable_jit:  # type: ignore[attr-defined]  # JAX adds it on import
            return _grouped(on_cpu, _one_by_one)(a, b, **params)
        return jitted(a, b, tuple(params.items()))

    primitive.def_impl(run)
    lower = lambda f: mlir.lower_fun(f, multiple_results=False)  # noqa: E731

    def lower_on_cpu(context, a, b, **params):
        sizes = [n for aval in context.avals_in for n in aval.shape]
        if not all(isinstance(n, int) for n in sizes):
            # Exported for batches of any size: which form is fast, none can tell.
            return lower(_grouped(xla, jax.vmap))(context, a, b, **params)
        form = partial(on_cpu, cut=cpu.undivided(context))
        return lower(_grouped(form, _one_by_one))(context, a, b, **params)

    mlir.register_lowering(primitive, lower(_grouped(xla, jax.vmap)))
    mlir.register_lowering(primitive, lower_on_cpu, platform="cpu")
    batching.primitive_batchers[primitive] = _batch(primitive, foldable)
    return primitive


conv_p = _primitive("jaxgan_conv", _conv_xla, cpu.conv, foldable=True)
conv_x_p = _primitive("jaxgan_conv_x", _conv_x_xla, cpu.conv_x, foldable=True)
conv_w_p = _primitive("jaxgan_conv_w", _conv_w_xla, cpu.conv_w, foldable=False)

ad.defbilinear(
    conv_p,
    lambda ct, x, w, **p: conv_x_p.bind(ct, w, size=x.aval.shape[-3:-1], **p),
    lambda ct, x, w, **p: conv_w_p.bind(x, ct, window=w.aval.shape[-4:-2], **p),
)
ad.defbilinear(
    conv_x_p,
    lambda ct, dy, w, size, **p: conv_p.bind(ct, w, **p),
    lambda ct, dy, w, size, **p: conv_w_p.bind(ct, dy, window=w.aval.shape[-4:-2], **p),
)
ad.defbilinear(
    conv_w_p,
    lambda ct, x, dy, window, **p: conv_x_p.bind(dy, ct, size=x.aval.shape[-3:-1], **p),
    lambda ct, x, dy, window, **p: conv_p.bind(x, ct, **p),
)
