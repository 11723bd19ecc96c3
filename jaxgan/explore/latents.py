"""Paths between latents."""

import numpy as np

__all__ = ["path", "slerp"]

PARALLEL = 1e-6
"""The sine of an angle below which a great circle is a line, or is not known."""


def slerp(a, b, t) -> np.ndarray:
    """Spherical interpolation, along the great circle from a to b.

    Shoemake, 1985; of latents White, 2016, arXiv:1609.04468: what lies on a line
    between two draws of N(0, I) is nearer to 0 than draws are, and on the circle not.
    Vectors that are parallel or opposite are joined by the line.

    Args:
        a, b: `[..., Z]`.
        t: `[...]`; 0 gives a and 1 gives b, to the last bit.

    Returns:
        `[..., Z]`, of a's dtype.
    """
    a, b = np.asarray(a), np.asarray(b)
    t = np.asarray(t, np.float64)[..., None]
    wide = [x.astype(np.float64) for x in (a, b)]
    lengths = [np.linalg.norm(x, axis=-1, keepdims=True) for x in wide]
    dot = (wide[0] * wide[1]).sum(-1, keepdims=True)
    angle = np.arccos(np.clip(dot / np.maximum(lengths[0] * lengths[1], 1e-300), -1, 1))
    sine = np.sin(angle)
    line = sine < PARALLEL
    sine = np.where(line, 1, sine)
    of_a = np.where(line, 1 - t, np.sin((1 - t) * angle) / sine)
    of_b = np.where(line, t, np.sin(t * angle) / sine)
    return (of_a * wide[0] + of_b * wide[1]).astype(a.dtype)


def path(a, b, t, between=slerp) -> np.ndarray:
    """All steps of all legs, from each row of a to that of b.

    Args:
        a, b: `[L, Z]`, where legs begin and where they end.
        t: `[S]`, how far each step of a leg is.
        between: `(a, b, t) -> [N, Z]`, of N rows each.

    Returns:
        `[L S, Z]`.
    """
    a, b, t = (np.asarray(x) for x in (a, b, t))
    return between(a.repeat(len(t), 0), b.repeat(len(t), 0), np.tile(t, len(a)))
