"""Kernel Inception Distance (Bińkowski et al., 2018, arXiv:1801.01401)."""

import jax.numpy as jnp
import numpy as np

from jaxgan.metrics.float64 import features, float64, same_dimensions

__all__ = ["kid"]


def kid(
    a, b, subsets: int = 100, subset_size: int = 1000, degree: int = 3, seed: int = 2020
) -> tuple[float, float]:
    """Unbiased squared MMD under k(x, y) = (x·y / D + 1)^degree, over random subsets.

    Args:
        a: features `[N, D]`.
        b: features `[M, D]`.
        subsets: how many pairs of subsets.
        subset_size: features in each, drawn without replacement.
        degree: of the polynomial.
        seed: decides the subsets, which are torch-fidelity's for the same seed.

    Returns:
        Its mean and standard deviation over subsets. It may be below 0.

    Raises:
        ValueError: a set is smaller than a subset.
    """
    a, b = features("kid: a", a), features("kid: b", b)
    if not 2 <= subset_size <= (least := min(len(a), len(b))):
        raise ValueError(
            f"kid: subset_size {subset_size} must be 2 to {least}, the samples."
        )
    if subsets < 1:
        raise ValueError(f"kid: subsets {subsets} must be 1 or more.")
    same_dimensions("kid", a, b)
    rng = np.random.RandomState(seed)

    def draw(x):
        return x[rng.choice(len(x), subset_size, replace=False)]

    values = [_mmd(draw(a), draw(b), degree) for _ in range(subsets)]
    return float(np.mean(values)), float(np.std(values))


@float64
def _mmd(x, y, degree):
    def kernel(x, y):
        return (x @ y.T / x.shape[1] + 1) ** degree

    xx, yy, xy, n = kernel(x, x), kernel(y, y), kernel(x, y), len(x)
    within = (xx.sum() - jnp.trace(xx) + yy.sum() - jnp.trace(yy)) / (n * (n - 1))
    return within - 2 * xy.mean()
