"""How many modes samples cover (arXiv:1611.02163, 1705.07761, 1712.04086)."""

from typing import NamedTuple

import numpy as np

from jaxgan.metrics.classes import class_shares, entropy
from jaxgan.metrics.float64 import features

__all__ = ["Coverage", "coverage", "reverse_kl"]


class Coverage(NamedTuple):
    modes: int
    """How many modes have a sample of high quality."""
    high_quality: float
    """The share of samples within the radius of a mode."""
    reverse_kl: float
    """KL(samples' modes ‖ uniform), nats, each sample counted for its nearest mode."""


def coverage(samples, centers, radius: float) -> Coverage:
    """Modes covered, of a mixture.

    Args:
        samples: `[N, D]`.
        centers: of the modes, `[K, D]`.
        radius: how near its mode a good sample is: three deviations are usual.

    Raises:
        ValueError: shapes do not fit, or samples are not finite.
    """
    samples = features("coverage: samples", samples)
    centers = features("coverage: centers", centers)
    if samples.shape[1] != centers.shape[1]:
        raise ValueError(
            f"coverage: samples are of {samples.shape[1]} dimensions, centers of "
            f"{centers.shape[1]}."
        )
    distance = np.linalg.norm(samples[:, None] - centers[None], axis=2)
    nearest, good = distance.argmin(1), distance.min(1) <= radius
    shares = class_shares(nearest, len(centers))
    return Coverage(len(set(nearest[good])), float(good.mean()), reverse_kl(shares))


def reverse_kl(shares) -> float:
    """KL(shares ‖ uniform) in nats, from 0 to ln(how many)."""
    return max(0.0, float(np.log(len(shares)) - entropy(shares)))
