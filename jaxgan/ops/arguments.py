"""What convolutions are asked for, looked at before anything runs."""

from numbers import Integral

import jax.numpy as jnp
from jax import lax

__all__ = ["Pads", "checked", "pads"]

Pads = tuple[tuple[int, int], tuple[int, int]]


def pads(name, padding, size, window, stride) -> Pads:
    """The padding that is asked for, as pairs, of an image of `size` (H, W)."""
    try:
        if isinstance(padding, str):
            padding = lax.padtype_to_pads(size, window, stride, padding)
        elif isinstance(padding, Integral):
            padding = ((padding, padding),) * 2
        (top, bottom), (left, right) = padding
        return (int(top), int(bottom)), (int(left), int(right))
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(
            f'{name}: padding must be "SAME", "VALID", an int or ((top, bottom), '
            f"(left, right)); got {padding!r}."
        ) from None


def checked(name, x, w, axis, stride, groups: int):
    """Refuses what does not fit; returns the stride as a pair. `axis` of w is of x's
    channels: axis 2 has those of a group, axis 3 those of all groups."""
    if not isinstance(groups, Integral) or groups < 1:
        raise ValueError(f"{name}: groups must be an int above 0; got {groups!r}.")
    of_w = w.shape[axis] * (groups if axis == 2 else 1) if w.ndim == 4 else None
    if x.ndim != 4 or x.shape[3] != of_w:
        parts = f", in {groups} groups" if groups > 1 else ""
        raise ValueError(
            f"{name}: x must be [B, H, W, C_in] and w a kernel of as many input "
            f"channels{parts}; got x {x.shape} and w {w.shape}."
        )
    if w.shape[3] % groups:
        raise ValueError(
            f"{name}: {groups} groups must divide the last axis of w {w.shape}."
        )
    if x.dtype != w.dtype:
        raise ValueError(f"{name}: x is {x.dtype} but w is {w.dtype}; cast one.")
    if not jnp.issubdtype(x.dtype, jnp.inexact):
        raise ValueError(f"{name}: x and w must be of a float dtype; got {x.dtype}.")
    pair = stride if isinstance(stride, tuple | list) else (stride, stride)
    if len(pair) != 2 or not all(isinstance(s, Integral) and int(s) >= 1 for s in pair):
        raise ValueError(
            f"{name}: stride must be an int above 0, or one for each of H and W; got "
            f"{stride!r}."
        )
    return int(pair[0]), int(pair[1])
