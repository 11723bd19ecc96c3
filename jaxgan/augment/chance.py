"""What ADA's groups draw for each image: whether a transform applies, and how."""

import jax.numpy as jnp
from jax import random

from jaxgan import axis

__all__ = ["applied", "normals", "only", "uniforms"]


def uniforms(key, x, n: int):
    """n arrays float32 `[B]` of U(0, 1), for images x `[B, ...]`."""
    return _columns(axis.draw(random.uniform, key, (len(x), n), jnp.float32))


def normals(key, x, n: int):
    """n arrays float32 `[B]` of N(0, 1)."""
    return _columns(axis.draw(random.normal, key, (len(x), n), jnp.float32))


def _columns(drawn):
    return [drawn[:, i] for i in range(drawn.shape[1])]


def applied(key, x, chances):
    """By name, bool `[B]`: whether a transform applies to each image.

    Args:
        key: of the coins.
        x: images `[B, ...]`.
        chances: by name, its probability.
    """
    coins = uniforms(key, x, len(chances))
    return {n: c < p for c, (n, p) in zip(coins, chances.items(), strict=True)}


def only(applies, new, x):
    """New images where any of some transforms applies, and images as they are."""
    anything = sum(applies[1:], start=applies[0])
    return jnp.where(anything.reshape(-1, 1, 1, 1), new, x)
