"""Precision and recall (Kynkäänniemi et al., 2019, arXiv:1904.06991), density and
coverage (Naeem et al., 2020, arXiv:2002.09797)."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxgan.metrics.float64 import features, float64, same_dimensions, widened

__all__ = ["PRDC", "prdc", "radii"]

BLOCK_BYTES = 2**23
"""Of distances held at a time, for 64 rows or more: what a cache holds."""


class PRDC(NamedTuple):
    precision: float
    """The share of samples within the k-th neighbour's distance of a real one."""
    recall: float
    """The share of real ones within the k-th neighbour's distance of a sample."""
    density: float
    """How many real neighbourhoods a sample lies in, ÷ k; above 1 in dense regions."""
    coverage: float
    """The share of real neighbourhoods that hold a sample."""


def prdc(real, fake, k: int = 5, real_radii=None) -> PRDC:
    """Nearest-neighbour measures of fidelity and variety.

    Args:
        real: features `[N, D]`.
        fake: features `[M, D]`.
        k: which neighbour makes a neighbourhood; 3 and 5 are usual.
        real_radii: `radii(real, k)`, when several sets are compared with the same.

    Raises:
        ValueError: a set has no k-th neighbour.
    """
    real, fake = features("prdc: real", real), features("prdc: fake", fake)
    same_dimensions("prdc", real, fake)
    fake_radii = radii(fake, k)
    real_radii = radii(real, k) if real_radii is None else real_radii
    near, fakes = np.zeros(len(fake), int), widened(fake)
    recalled, covered = [], []
    for x, radius in zip(_blocks(real, fake), _blocks(real_radii, fake), strict=True):
        holders, holds, held = _inside(x, radius, fakes, fake_radii)
        near += holders
        covered.append(holds)
        recalled.append(held)
    return PRDC(
        float((near > 0).mean()),
        float(np.concatenate(recalled).mean()),
        float(near.mean() / k),
        float(np.concatenate(covered).mean()),
    )


def radii(x, k: int = 5) -> np.ndarray:
    """Squared distance of each feature of x `[N, D]` to its k-th neighbour, `[N]`.

    Raises:
        ValueError: there is no k-th neighbour.
    """
    x = features("radii: x", x)
    if not 1 <= k < len(x):
        raise ValueError(f"prdc: k {k} must be 1 to {len(x) - 1}, below the samples.")
    others = widened(x)
    return np.concatenate([_radii(rows, others, k) for rows in _blocks(x, x)])


def _blocks(rows, others):
    """Rows in blocks whose distances to the others fit in BLOCK_BYTES."""
    n = max(64, BLOCK_BYTES // (8 * len(others)))
    return [rows[i : i + n] for i in range(0, len(rows), n)]


@float64
def _radii(x, others, k):
    """Squared distance of each to its k-th neighbour among others, x being among them.

    The smallest distance, then the smallest above it, and so on, until k + 1 are
    counted: `lax.top_k` sorts, which is five times slower on CPU.
    """
    d = _squared(x, others)

    def next_smallest(_, carry):
        radius, last, left = carry
        smallest = jnp.where(d > last[:, None], d, jnp.inf).min(1)
        ties = (d == smallest[:, None]).sum(1)
        return jnp.where(left > 0, smallest, radius), smallest, left - ties

    nothing = jnp.full(len(d), -jnp.inf)
    first = nothing, nothing, jnp.full(len(d), k + 1)
    return lax.fori_loop(0, k + 1, next_smallest, first)[0]


@float64
def _inside(real, real_radii, fake, fake_radii):
    """How many reals each fake is near; which are near one; which one is near."""
    d = _squared(real, fake)
    holds = d < real_radii[:, None]
    return holds.sum(0), holds.any(1), (d < fake_radii[None]).any(1)


def _squared(x, y):
    d = (x**2).sum(1)[:, None] + (y**2).sum(1)[None] - 2 * (x @ y.T)
    return jnp.maximum(d, 0)
