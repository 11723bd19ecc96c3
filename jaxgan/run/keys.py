"""The roots of a run's randomness: each purpose has a stream of its own.

Step k takes `fold_in(root, k)` of its purpose's root, so that nothing depends on what
was drawn before.
"""

import jax
import jax.numpy as jnp
from jax import random

__all__ = ["PURPOSES", "other_seed", "root"]

PURPOSES = (
    *("weights", "steps", "data"),
    *("sheets", "samples", "translations", "files", "codes"),
    "following",
)
"""A purpose is a number, its place here: new ones come last."""


def root(seed, purpose: str) -> jax.Array:
    """The key that a purpose's randomness comes of.

    Args:
        seed: a whole number, which may be traced.
        purpose: of `PURPOSES`.
    """
    return random.fold_in(random.key(seed), PURPOSES.index(purpose))


def other_seed(seed: int, purpose: str) -> int:
    """A seed of a purpose's own: what is drawn with it is not drawn with `seed`.

    Args:
        seed: a whole number.
        purpose: of `PURPOSES`.
    """
    return int(random.bits(root(seed, purpose), dtype=jnp.uint32))
