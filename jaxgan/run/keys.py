"""The roots of a run's randomness: each purpose has a stream of its own.

Step k takes `fold_in(root, k)` of its purpose's root, so that nothing depends on what
was drawn before.
"""

import jax
from jax import random

__all__ = ["PURPOSES", "root"]

PURPOSES = (
    *("weights", "steps", "data"),
    *("sheets", "samples", "translations", "files", "codes"),
)
"""A purpose is a number, its place here: new ones come last."""


def root(seed, purpose: str) -> jax.Array:
    """The key that a purpose's randomness comes of.

    Args:
        seed: a whole number, which may be traced.
        purpose: of `PURPOSES`.
    """
    return random.fold_in(random.key(seed), PURPOSES.index(purpose))
