"""Precision and recall (Kynkäänniemi et al., 2019, arXiv:1904.06991), density and
coverage (Naeem et al., 2020, arXiv:2002.09797)."""

from typing import NamedTuple

import numpy as np

from jaxgan.metrics.frechet import _features


class PRDC(NamedTuple):
    precision: float
    """The share of samples within the k-th neighbour's distance of a real one."""
    recall: float
    """The share of real ones within the k-th neighbour's distance of a sample."""
    density: float
    """How many real neighbourhoods a sample lies in, ÷ k; above 1 in dense regions."""
    coverage: float
    """The share of real neighbourhoods that hold a sample."""


def prdc(real, fake, k: int = 5, block: int = 2048) -> PRDC:
    """Nearest-neighbour measures of fidelity and variety.

    Args:
        real: features `[N, D]`.
        fake: features `[M, D]`.
        k: which neighbour makes a neighbourhood; 3 and 5 are usual.
        block: rows of distances held at a time.

    Raises:
        ValueError: a set has no k-th neighbour.
    """
    real, fake = _features("prdc: real", real), _features("prdc: fake", fake)
    if not 1 <= k < (least := min(len(real), len(fake))):
        raise ValueError(f"prdc: k {k} must be 1 to {least - 1}, below the samples.")
    real_radii, fake_radii = _radii(real, k, block), _radii(fake, k, block)
    near = np.zeros(len(fake), np.int64)
    recalled = np.zeros(len(real), bool)
    covered = np.zeros(len(real), bool)
    for i in range(0, len(real), block):
        d = _squared(real[i : i + block], fake)
        inside = d < real_radii[i : i + block, None]
        near += inside.sum(0)
        covered[i : i + block] = inside.any(1)
        recalled[i : i + block] = (d < fake_radii[None]).any(1)
    return PRDC(
        float((near > 0).mean()),
        float(recalled.mean()),
        float(near.mean() / k),
        float(covered.mean()),
    )


def _radii(x, k, block):
    """Squared distance of each to its k-th neighbour, itself not counted."""
    rows = range(0, len(x), block)
    return np.concatenate(
        [np.partition(_squared(x[i : i + block], x), k, 1)[:, k] for i in rows]
    )


def _squared(x, y):
    d = (x**2).sum(1)[:, None] + (y**2).sum(1)[None] - 2 * (x @ y.T)
    return np.maximum(d, 0)
