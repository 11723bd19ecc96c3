"""Samples that are copies of training images.

A copy lies where no other real image does: much nearer to one training image than real
images are to one another, in pixels (Euclidean distance, as of generated copies
Carlini et al., 2023, arXiv:2301.13188). In features of a network, what is a
little off is far: of copies of MNIST's digits with noise of 2 % of white, their two
nearest in pixels tell all, in those of the packaged classifier 81 %. What is usual is
read off real images, each beside all but itself.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

__all__ = ["Limits", "Nearest", "are_copies", "limits", "nearest", "small"]

SIDE = 32
"""Pixels of a side, at most: larger images are compared made smaller."""
USUAL = 2000
"""Real images that say what is usual, at most."""
RARE = 0.001
"""The share of real images that are nearer, or nearer by comparison, than a limit."""
BLOCK_BYTES = 2**25
"""Of distances held at a time, for 64 rows or more."""


class Nearest(NamedTuple):
    """The two nearest of each of N."""

    distance: np.ndarray
    """Root mean square difference of pixels, of values in 0 ... 1, float64 `[N, 2]`,
    the nearest first."""
    index: np.ndarray  # type: ignore[assignment]  # in place of tuple's, unused here
    """int `[N, 2]`."""

    @property
    def ratio(self) -> np.ndarray:
        """The nearest's distance ÷ the second's, `[N]`, 0 ... 1; 1 where both are 0."""
        first, second = self.distance.T
        return np.where(second > 0, first / np.where(second > 0, second, 1), 1.0)


class Limits(NamedTuple):
    """What a copy lies below: see `limits`."""

    distance: float
    ratio: float


def small(images: np.ndarray) -> np.ndarray:
    """Images as they are compared: means of pixels where a side has more than 32.

    Args:
        images: uint8 `[N, H, W, C]`.

    Returns:
        uint8 `[N, P]`.
    """
    n, h, w, c = images.shape
    by = -(-max(h, w) // SIDE)
    if by > 1:
        images = np.pad(images, ((0, 0), (0, -h % by), (0, -w % by), (0, 0)), "edge")
        shape = n, images.shape[1] // by, by, images.shape[2] // by, by, c
        images = np.rint(images.reshape(shape).mean((2, 4))).astype(np.uint8)
    return images.reshape(n, -1)


def nearest(x: np.ndarray, real: np.ndarray, own=None) -> Nearest:
    """The two nearest real images of each.

    Args:
        x: uint8 `[N, P]`, as `small` has them.
        real: uint8 `[M, P]`, M of 3 or more.
        own: int `[N]`, the row of `real` that each is, and that is left out; None where
            they are others.

    Raises:
        ValueError: shapes do not fit.
    """
    if x.ndim != 2 or x.shape[1:] != real.shape[1:] or len(real) < 3:
        shapes = f"{x.shape} and {real.shape}"
        raise ValueError(f"nearest: [N, P] and [M, P], M of 3 or more; got {shapes}.")
    own = np.full(len(x), -1) if own is None else np.asarray(own)
    others = jnp.asarray(real, jnp.float32) - 128  # sums stay small
    size = max(64, BLOCK_BYTES // (4 * len(real)))
    found: list = []
    for i in range(0, len(x), size):
        rows, its = x[i : i + size], own[i : i + size].astype(np.int32)
        index = np.asarray(_two(rows, others, its))
        # What was found by products in float32 is measured exactly.
        away = rows[:, None].astype(np.float64) - real[index]
        found.append((np.sqrt((away**2).mean(2)) / 255, index))
    distance, index = (np.concatenate(part) for part in zip(*found, strict=True))
    order = distance.argsort(1, kind="stable")
    return Nearest(*(np.take_along_axis(part, order, 1) for part in (distance, index)))


@jax.jit
def _two(x, others, own):
    """Which two are the nearest, int32 `[B, 2]`."""
    x = x.astype(jnp.float32) - 128
    d = (others**2).sum(1)[None] - 2 * jnp.matmul(x, others.T, precision="highest")
    columns = jnp.arange(len(others), dtype=jnp.int32)[None]
    d = jnp.where(columns == own[:, None], jnp.inf, d)
    first = d.argmin(1).astype(jnp.int32)
    second = jnp.where(columns == first[:, None], jnp.inf, d).argmin(1)
    return jnp.stack([first, second.astype(jnp.int32)], 1)


def limits(real: np.ndarray, rare: float = RARE, most: int = USUAL) -> Limits:
    """Of real images, each beside all others, the quantile `rare` of the distance to
    the nearest, and of its ratio to that of the second. Those that are there twice, to
    the last pixel, are left out: they say nothing of what is usual.

    Args:
        real: uint8 `[M, P]`, in random order.
        rare: the share of them that lie below each limit.
        most: how many are looked at, the first.
    """
    first = np.arange(min(most, len(real)))
    found = nearest(real[: len(first)], real, first)
    once = found.distance[:, 0] > 0
    if not once.any():
        return Limits(0.0, 0.0)
    nearest_one, ratio = found.distance[once, 0], found.ratio[once]
    quantiles = (np.quantile(x, rare) for x in (nearest_one, ratio))
    return Limits(*map(float, quantiles))


def are_copies(found: Nearest, usual: Limits) -> np.ndarray:
    """Whether each is a copy, bool `[N]`.

    It is as near to one real image beside the second as a thousandth of the real images
    are; or, which tells copies of images that are there twice, half as far from one as
    a thousandth of them. (Not as far: a mean of images is nearer to each than they are
    to one another, by up to the square root of a half.)
    """
    twice = found.distance[:, 0] <= usual.distance / 2
    return twice | (found.ratio <= usual.ratio)
