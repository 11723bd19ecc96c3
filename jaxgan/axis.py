"""What spans devices when a program sees one device's share of the batch.

Under `jit` a program sees the whole batch, wherever it lies, and nothing here does
anything. Under `pmap` or `shard_map` three things must reach over the mapped axis for
the result to be the same: gradients and metrics (`mean`), the statistics of BatchNorm
(`name`), and the draw of noise (`draw`). Only `parallel` names an axis.
"""

import contextlib
from contextvars import ContextVar

import jax
from jax import lax

from jaxgan import window

__all__ = ["draw", "gather", "mapped", "mean", "name", "share"]

_name: ContextVar[str | None] = ContextVar("jaxgan_axis", default=None)


def name() -> str | None:
    """The mapped axis that this trace's batch is divided over, if any."""
    return _name.get()


@contextlib.contextmanager
def mapped(axis_name: str):
    """Declares, while a function is traced, the axis that its batch is divided over."""
    token = _name.set(axis_name)
    try:
        yield
    finally:
        _name.reset(token)


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


def draw(sampler, key, shape, *args, **kwargs):
    """`sampler(key, shape, ...)` for this device's share of the batch.

    Args:
        sampler: a function such as `jax.random.normal`.
        key: the same key on every device.
        shape: the local shape, batch first.

    Returns:
        The slice, along the batch, of one draw for the batch of all devices: the same
        numbers that `jit` gives to the whole batch. Of a tile of an image, see
        `window`, noise `[B, h, w, C]` is the tile's part of one for the whole.
    """
    if not name():
        cut = window.here() and len(shape) == 4
        return (window.noise if cut else _plain)(sampler, key, shape, *args, **kwargs)
    whole = (lax.axis_size(name()) * shape[0], *shape[1:])
    return jax.tree.map(share, sampler(key, whole, *args, **kwargs))


def _plain(sampler, key, shape, *args, **kwargs):
    return sampler(key, shape, *args, **kwargs)
