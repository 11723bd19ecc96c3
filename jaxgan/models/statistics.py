"""Normalization of a tile by statistics of the whole image that it is of.

Instance, group and batch normalization (in training) of Flax linen take their mean and
variance of what they see. Here they are told them instead, and what they see is
measured, so that the whole's can be put together of its tiles'.
"""

import contextlib
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jaxgan import window

__all__ = ["Seen", "combined", "traced"]


class Seen(NamedTuple):
    """What a pass came by."""

    sums: list
    """For each layer that normalizes: `[3, groups]`, of features, of their squares, and
    how many there were."""
    sides: list
    """(h, w) of what each layer of the network made."""


@contextlib.contextmanager
def traced(core, known=None):
    """While a pass through a tile is traced: `Seen`, which it fills.

    Args:
        core: (top, bottom, left, right) of the part of the tile that is measured, in
            its pixels, int32 `[4]`.
        known: how many of the first layers are told theirs, and for each layer
            `[2, groups]`, mean and variance; by default each, as the others, normalizes
            by what it sees.
    """
    seen = Seen([], [])

    def layer(call, args, kwargs, context):
        module = context.module
        if context.method_name != "__call__":
            return call(*args, **kwargs)
        groups = _groups(module, *args, **kwargs)
        if groups is None:
            made = call(*args, **kwargs)
        else:
            x = args[0].astype(jnp.float32).reshape(*args[0].shape[:3], groups, -1)
            sums = _sums(x, core)
            mean, variance = combined(sums)
            if known is not None:
                told, i = known[0] > len(seen.sums), len(seen.sums)
                mean, variance = jnp.where(told, known[1][i], combined(sums))
            seen.sums.append(sums)
            made = _normalized(module, args[0], x, mean, variance)
        if getattr(made, "ndim", 0) == 4:
            seen.sides.append(made.shape[1:3])
        return made

    with nn.intercept_methods(layer):
        yield seen


def combined(sums):
    """`[3, groups]`, added up over tiles, as `[2, groups]`: mean and variance."""
    np_or_jnp: Any = np if isinstance(sums, np.ndarray) else jnp
    mean, square = sums[0] / sums[2], sums[1] / sums[2]
    return np_or_jnp.stack([mean, (square - mean**2).clip(0)])


def _groups(module, x=None, *args, **kwargs):
    """In how many groups of channels a layer takes statistics over an image; None of
    one that takes none, or others."""
    if getattr(x, "ndim", 0) != 4 or kwargs.get("mask") is not None:
        return None
    if isinstance(module, nn.BatchNorm):
        # Those of training: of the images at hand.
        standing = nn.merge_param(
            "use_running_average",
            module.use_running_average,
            kwargs.get("use_running_average", args[0] if args else None),
        )
        return None if standing or module.axis != -1 else x.shape[3]
    if isinstance(module, nn.InstanceNorm):
        return x.shape[3] if module.feature_axes == -1 else None
    if isinstance(module, nn.GroupNorm) and module.reduction_axes is None:
        return module.num_groups or x.shape[3] // module.group_size
    return None


def _sums(x, core):
    """Over the core of `[B, h, w, groups, C]`."""
    tile = window.here()
    assert tile, "statistics: no tile is being traced"
    inside = jnp.ones(x.shape[:3], jnp.float32)
    for dim, (low, high) in enumerate((core[:2], core[2:])):
        n = x.shape[1 + dim]
        k = window.halvings(tile.size[dim], n)
        place = jnp.arange(n)
        place = place << k if k >= 0 else place >> -k
        shape = [1, 1, 1]
        shape[1 + dim] = n
        here = (place >= low) & (place < high)
        inside = inside * here.reshape(shape).astype(jnp.float32)
    weights = inside[..., None, None]
    count = inside.sum() * x.shape[4]
    sums = [(x**power * weights).sum((0, 1, 2, 4)) for power in (1, 2)]
    return jnp.stack([*sums, jnp.full_like(sums[0], 1) * count])


def _normalized(module, given, x, mean, variance):
    mean, variance = (v.reshape(1, 1, 1, -1, 1) for v in (mean, variance))
    y = (x - mean) / jnp.sqrt(variance + module.epsilon)
    y = y.reshape(given.shape)
    for name, use in (("scale", module.use_scale), ("bias", module.use_bias)):
        if use:
            value = module.get_variable("params", name).reshape(1, 1, 1, -1)
            y = y * value if name == "scale" else y + value
    return y.astype(module.dtype or given.dtype)
