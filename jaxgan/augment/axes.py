"""Rows and columns of images as products with matrices, and mirrored borders."""

import jax.numpy as jnp
import numpy as np
from jax import lax

__all__ = ["along", "reflected"]


def along(x, matrices):
    """New rows, and new columns, as sums of those that are.

    Args:
        x: `[B, H, W, C]`.
        matrices: `[H', H]` and `[W', W]`, or one for each image, `[B, H', H]`.

    Returns:
        `[B, H', W', C]`, of x's dtype.
    """
    for matrix, product in zip(
        matrices, ("ij,bjwc->biwc", "ij,bhjc->bhic"), strict=True
    ):
        product = product if matrix.ndim == 2 else f"b{product}"
        matrix = matrix.astype(x.dtype)
        x = jnp.einsum(product, matrix, x, precision=lax.Precision.HIGHEST)
    return x


def reflected(place, n: int):
    """The pixel at a place, in an image that is mirrored at its border without end.

    Args:
        place: integers, of any size and sign.
        n: how many pixels there are.

    Returns:
        Integers from 0 to n - 1. The border's pixel is not repeated.
    """
    xp = np if isinstance(place, np.ndarray) else jnp
    period = max(2 * (n - 1), 1)
    place = xp.mod(place, period)
    return xp.minimum(place, period - place) if n > 1 else place
