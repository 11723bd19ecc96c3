"""What spans an image when a program sees one tile of it.

Of a whole image nothing here does anything. Of a tile two things must reach beyond it
for the tiles to fit: places (`places`, of what is stretched over the image) and noise
(`noise`, to which `axis.draw` comes here). Statistics of normalization are the third,
see `models.statistics`. Features of a tile stand on the whole's grid where it begins at
a multiple of the network's stride.
"""

import contextlib
import math
from contextvars import ContextVar
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import random

__all__ = ["Window", "halvings", "here", "noise", "places", "tile"]


class Window(NamedTuple):
    """Where a tile is, in pixels of what the network is given."""

    whole: jax.Array
    """(H, W) of the image, int32 `[2]`."""
    start: jax.Array
    """(y, x) of the tile's first pixel, int32 `[2]`."""
    size: tuple[int, int]
    """(h, w) of the tile, static."""


_window: ContextVar[Window | None] = ContextVar("jaxgan_window", default=None)


def here() -> Window | None:
    """The tile that is being traced, if any."""
    return _window.get()


@contextlib.contextmanager
def tile(window: Window):
    """Declares, while a function is traced, that its image is a tile."""
    token = _window.set(window)
    try:
        yield
    finally:
        _window.reset(token)


def halvings(size: int, length: int) -> int:
    """How often a side was halved, rounding up; below 0, how often it was doubled.

    Args:
        size: of the tile.
        length: of its features.
    """
    return math.ceil(math.log2(size / length))


def places(length: int, dim: int):
    """Where features of a tile are on the whole's grid of such features.

    Args:
        length: how many rows (dim 0) or columns (dim 1) of features the tile has.
        dim: 0 or 1.

    Returns:
        `(int32 [length], how many the whole has)`; of a whole image all of them.
    """
    window = here()
    index = jnp.arange(length)
    if window is None:
        return index, length
    k = halvings(window.size[dim], length)
    start, whole = window.start[dim], window.whole[dim]
    if k < 0:
        return index + (start << -k), whole << -k
    return index + (start >> k), (whole + (1 << k) - 1) >> k


def noise(sampler, key, shape, *args, **kwargs):
    """`sampler(key, shape, ...)`, shape `(B, h, w, C)`, the same at each place of the
    whole in whatever tile it is: a place has a key of its own."""
    b, h, w, c = shape
    rows, columns = (places(n, i)[0] for i, n in enumerate((h, w)))

    def at(row, column):
        own = random.fold_in(random.fold_in(key, row), column)
        return sampler(own, (b, c), *args, **kwargs)

    along = jax.vmap(jax.vmap(at, (None, 0), 1), (0, None), 1)
    return along(rows, columns)
