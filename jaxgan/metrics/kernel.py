"""Kernel Inception Distance (Bińkowski et al., 2018, arXiv:1801.01401)."""

import numpy as np

from jaxgan.metrics.frechet import _features


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
    a, b = _features("kid: a", a), _features("kid: b", b)
    if not 2 <= subset_size <= (least := min(len(a), len(b))):
        raise ValueError(
            f"kid: subset_size {subset_size} must be 2 to {least}, the samples."
        )
    rng = np.random.RandomState(seed)
    draw = lambda x: x[rng.choice(len(x), subset_size, replace=False)]  # noqa: E731
    values = [_mmd(draw(a), draw(b), degree) for _ in range(subsets)]
    return float(np.mean(values)), float(np.std(values))


def _mmd(x, y, degree):
    kernel = lambda x, y: (x @ y.T / x.shape[1] + 1) ** degree  # noqa: E731
    xx, yy, xy, n = kernel(x, x), kernel(y, y), kernel(x, y), len(x)
    within = (xx.sum() - np.trace(xx) + yy.sum() - np.trace(yy)) / (n * (n - 1))
    return within - 2 * xy.mean()
