"""What spans the batch when a program sees less than all of it.

Under `jit` a program sees the whole batch, wherever it lies, and without parts nothing
here does anything. Under `pmap` or `shard_map` it sees one device's share: three things
must reach over the mapped axis for the result to be the same, gradients and metrics
(`mean`), the statistics of BatchNorm (`name`), and the draw of noise (`draw`). With
gradient accumulation (`accumulating`) a loss sees one part of that after another
(`over_parts`): gradients and metrics are the means over the parts, and noise is drawn
for the whole. Only `parallel` names an axis, or asks for parts.
"""

import contextlib
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxgan import window
from jaxgan.types import UsageError

__all__ = [
    *("accumulating", "devices", "divided", "divides", "draw", "gather"),
    *("mapped", "mean", "name"),
    *("over_parts", "refuse_part", "share", "some", "whole"),
]


class Parts(NamedTuple):
    """How a batch is divided for gradient accumulation."""

    number: int
    devices: int
    """That `jit` divides the batch over: each has a share of every part."""
    here: jax.Array | None = None
    """Which part a program sees; None for all of them."""


_name: ContextVar[str | None] = ContextVar("jaxgan_axis", default=None)
_devices: ContextVar[int] = ContextVar("jaxgan_devices", default=1)
_sharding: ContextVar[Any] = ContextVar("jaxgan_sharding", default=None)
_parts: ContextVar[Parts | None] = ContextVar("jaxgan_parts", default=None)


def name() -> str | None:
    """The mapped axis that this trace's batch is divided over, if any."""
    return _name.get()


@contextlib.contextmanager
def mapped(axis_name: str):
    """Declares, while a function is traced, the axis that its batch is divided over."""
    with _set(_name, axis_name):
        yield


@contextlib.contextmanager
def divided(devices: int, sharding=None):
    """Declares, while a function is traced, over how many devices `jit` divides its
    batch, and by which sharding: noise is divided so too, and what is made of it."""
    with _set(_devices, devices), _set(_sharding, sharding):
        yield


def devices() -> int:
    """Over how many devices `jit` divides this trace's batch."""
    return _devices.get()


@contextlib.contextmanager
def accumulating(number: int):
    """Declares, while a step is traced, that gradients are taken in parts."""
    with _set(_parts, Parts(number, devices()) if number > 1 else None):
        yield


@contextlib.contextmanager
def _set(variable, value):
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


def divides() -> bool:
    """Whether gradients of this trace's batch are to be taken in parts."""
    now = _parts.get()
    return now is not None and now.here is None


def refuse_part(who: str) -> None:
    """Refuses gradient accumulation, for what takes gradients of the whole batch.

    Raises:
        UsageError: this trace sees a part of its batch.
    """
    if here := _here():
        reason = f"does not go with {who}, whose gradients are of the whole batch."
        raise UsageError("accumulate", here.number, reason)


def over_parts(fn: Callable, batch, stacked: bool = False):
    """`fn(part)` for one part of a batch after another.

    Args:
        fn: of a tree like `batch`, with a part of every array.
        batch: a tree of arrays `[B, ...]`.
        stacked: fn returns arrays of a row for each example, which are put together;
            else the means over the parts are returned.
    """
    now = _parts.get()
    assert now is not None and now.here is None, "no accumulation, or inside a part"

    def one(k):
        here = now._replace(here=k)
        with _set(_parts, here):
            return fn(jax.tree.map(lambda x: _part(x, here), batch))

    if stacked:
        rows = lax.map(one, jnp.arange(now.number))
        return jax.tree.map(lambda x: _together(x, now), rows)
    shapes = jax.eval_shape(one, jnp.int32(0))
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, _wide(x.dtype)), shapes)

    def add(k, total):
        return jax.tree.map(lambda t, x: t + x.astype(t.dtype), total, one(k))

    def mean(x):
        whole_number = jnp.issubdtype(x.dtype, jnp.integer)
        return x // now.number if whole_number else x / now.number

    total = jax.tree.map(mean, lax.fori_loop(0, now.number, add, zeros))
    return jax.tree.map(lambda x, like: x.astype(like.dtype), total, shapes)


def _wide(dtype):
    """What sums are taken in: of 32 bits at least."""
    if dtype.itemsize >= 4:
        return dtype
    return jnp.float32 if jnp.issubdtype(dtype, jnp.floating) else jnp.int32


def _part(x, here):
    """A part of this program's batch, with as much of every device's share."""
    rest = x.shape[1:]
    x = x.reshape(here.devices, here.number, -1, *rest)
    return lax.dynamic_index_in_dim(x, here.here, 1, False).reshape(-1, *rest)


def _together(x, of):
    """The inverse, of `[parts, rows of a part, ...]`."""
    rest = x.shape[2:]
    x = x.reshape(of.number, of.devices, -1, *rest).swapaxes(0, 1)
    return x.reshape(-1, *rest)


def _here() -> Parts | None:
    now = _parts.get()
    return None if now is None or now.here is None else now


def whole(n: int) -> int:
    """How many examples the whole batch has, of which a program sees n."""
    here = _here()
    n = n * here.number if here else n
    return n * lax.axis_size(name()) if name() else n


def mean(tree):
    """The mean of every leaf over the mapped axis; the tree itself under `jit`."""
    if not name():
        return tree
    return jax.tree.map(lambda x: lax.pmean(x, name()).astype(x.dtype), tree)


def gather(x):
    """The whole batch, of which this device has a share."""
    return lax.all_gather(x, name(), tiled=True) if name() else x


def share(x):
    """This device's share of a whole batch."""
    if not name():
        return x
    n = len(x) // lax.axis_size(name())
    return lax.dynamic_slice_in_dim(x, lax.axis_index(name()) * n, n)


def some(x, every: int):
    """Each so many of a batch's rows, as many of every device's share.

    Args:
        x: `[B, ...]`.
        every: 1 for all.
    """
    shares = x.reshape(devices(), -1, *x.shape[1:])[:, ::every]
    return shares.reshape(-1, *x.shape[1:])


def draw(sampler, key, shape, *args, **kwargs):
    """`sampler(key, shape, ...)` for this device's share of the batch.

    Args:
        sampler: a function such as `jax.random.normal`.
        key: the same key on every device.
        shape: the local shape, batch first.

    Returns:
        The slice, along the batch, of one draw for the batch of all devices and parts:
        the same numbers that `jit` gives to the whole batch. Of a tile of an image, see
        `window`, noise `[B, h, w, C]` is the tile's part of one for the whole.
    """
    here = _here()
    if not name() and not here:
        cut = window.here() and len(shape) == 4
        drawn = (window.noise if cut else _plain)(sampler, key, shape, *args, **kwargs)
        return jax.tree.map(_spread, drawn)
    drawn = sampler(key, (whole(shape[0]), *shape[1:]), *args, **kwargs)
    drawn = jax.tree.map(lambda x: share(_spread(x)), drawn)
    return jax.tree.map(lambda x: _part(x, here), drawn) if here else drawn


def _spread(x):
    """The same, each device with its share under `jit`: of noise alone XLA would not
    know, and have every device do the work of all."""
    if _sharding.get() is None or len(x) % devices():
        return x
    return lax.with_sharding_constraint(x, _sharding.get())


def _plain(sampler, key, shape, *args, **kwargs):
    return sampler(key, shape, *args, **kwargs)
