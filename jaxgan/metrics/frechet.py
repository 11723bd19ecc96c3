"""Fréchet distance between Gaussians fitted to features (Heusel et al., 2017,
arXiv:1706.08500).

On the features of the Inception network of 2015-12-05 it is the Fréchet Inception
Distance, FID; on any others it is not.
"""

import warnings
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from jaxgan.metrics.float64 import features as checked
from jaxgan.metrics.float64 import float64

__all__ = ["Moments", "frechet_distance", "moments"]

BLOCK = 4096
"""Rows that are converted to float64 at a time."""


class Moments(NamedTuple):
    """Mean and covariance of features, float64."""

    count: int  # type: ignore[assignment]  # in place of tuple's, unused here
    mean: np.ndarray
    """[D]"""
    cov: np.ndarray
    """[D, D], divided by count - 1."""


def moments(features: np.ndarray | Iterable[np.ndarray]) -> Moments:
    """The moments of features `[N, D]`, or of blocks of them `[n, D]` one by one.

    Memory does not grow with the number of blocks (Chan, Golub and LeVeque, 1983).

    Raises:
        ValueError: fewer than two features, or features that are not finite.
    """
    blocks = [features] if hasattr(features, "shape") else features
    count, mean, scatter = 0, np.zeros(()), np.zeros(())
    for block in _split(blocks):
        here, apart_from_it = _mean_and_scatter(block)
        n = len(block)
        apart, total = here - mean, count + n
        scatter = scatter + apart_from_it
        scatter = scatter + np.outer(apart, apart) * (count * n / total)
        mean, count = mean + apart * (n / total), total
    if count < 2:
        raise ValueError(
            f"moments: {count} features have no covariance; give 2 or more."
        )
    return Moments(count, mean, scatter / (count - 1))


def _split(blocks):
    for block in blocks:
        block = checked("moments: features", block)
        for i in range(0, len(block), BLOCK):
            yield block[i : i + BLOCK]


@float64
def _mean_and_scatter(x):
    mean = x.mean(0)
    centred = x - mean[None]
    return mean, centred.T @ centred


def frechet_distance(a: Moments, b: Moments) -> float:
    """|μ_a - μ_b|² + tr(Σ_a + Σ_b - 2 (Σ_a Σ_b)^½).

    The trace of the root is the sum of the singular values of Σ_a^½ Σ_b^½, which stays
    real and exact when a covariance is degenerate. With fewer samples than dimensions
    it is, and the distance is too large: a warning says so.

    Raises:
        ValueError: their dimensions differ.
    """
    if a.mean.shape != b.mean.shape:
        raise ValueError(
            f"frechet_distance: features of {a.mean.size} dimensions cannot be "
            f"compared with features of {b.mean.size}."
        )
    if (least := min(a.count, b.count)) <= a.mean.size:
        warnings.warn(
            f"A Fréchet distance between {a.mean.size}-dimensional features needs more "
            f"than {a.mean.size} samples; from {least} it is too large.",
            stacklevel=2,
        )
    root = np.linalg.svd(_half(a.cov).T @ _half(b.cov), compute_uv=False).sum()
    apart = a.mean - b.mean
    distance = apart @ apart + np.trace(a.cov) + np.trace(b.cov) - 2 * root
    return float(max(distance, 0.0))


def _half(cov):
    """H with H Hᵀ = cov, without the directions that only rounding gave it."""
    values, vectors = np.linalg.eigh(cov)
    noise = np.finfo(cov.dtype).eps * len(cov) * max(values[-1], 0.0)
    kept = values > noise
    kept[-1] = True  # one at least, be it 0
    return vectors[:, kept] * np.sqrt(np.maximum(values[kept], 0.0))
