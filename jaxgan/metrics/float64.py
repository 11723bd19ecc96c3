"""Float64 on the accelerator, whatever precision the caller's programs use."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

try:
    from jax import enable_x64
except ImportError:  # jax below 0.8
    from jax.experimental import enable_x64  # type: ignore[attr-defined,no-redef]  # of older JAX

__all__ = ["enable_x64", "features", "float64", "same_dimensions", "widened"]

BLOCK = 4096
"""Rows that are looked at at a time."""


def float64(fn):
    """Compiles `fn` so that its floating-point arrays are float64.

    They are converted on the device, and what it returns comes back as NumPy's.
    """

    def wide(x):
        x = jnp.asarray(x)
        return x.astype(float) if jnp.issubdtype(x.dtype, jnp.floating) else x

    compiled = jax.jit(lambda *args: fn(*jax.tree.map(wide, args)))

    @functools.wraps(fn)
    def run(*args):
        with enable_x64(True):
            return jax.tree.map(np.asarray, compiled(*args))

    return run


def widened(x) -> jax.Array:
    """The array in float64 on the device, for those who pass it to `float64` often."""
    with enable_x64(True):
        return jnp.asarray(x).astype(jnp.float64)


def features(name: str, x) -> np.ndarray:
    """Features `[N, D]`, of floating point.

    Raises:
        ValueError: they have another shape, or some are not finite.
    """
    x = np.asarray(x)
    if x.ndim != 2:
        raise ValueError(f"{name} must be [N, D]; got shape {x.shape}.")
    blocks = (x[i : i + BLOCK] for i in range(0, len(x), BLOCK))  # x may be a file
    if bad := sum(np.size(b) - np.count_nonzero(np.isfinite(b)) for b in blocks):
        raise ValueError(f"{name}: {bad} values are not finite.")
    return x if np.issubdtype(x.dtype, np.floating) else x.astype(np.float64)


def same_dimensions(name: str, a, b) -> None:
    """Refuses features `[N, D]` and `[M, E]`.

    Raises:
        ValueError: D is not E.
    """
    if a.shape[1] != b.shape[1]:
        raise ValueError(
            f"{name}: features of {a.shape[1]} dimensions cannot be compared with "
            f"features of {b.shape[1]}."
        )
