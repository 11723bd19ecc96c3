"""Directions that a generator's first layer moves most along (SeFa).

Shen and Zhou, 2021, arXiv:2007.06600: where the first layer is A z + b, a step n in z
changes it by A n. The unit vectors that change it most are the eigenvectors of AᵀA with
the largest eigenvalues (eq. 7 to 9), and need no data, labels or training. A norm that
follows the layer is left out of A, as in the authors' program.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import random
from jax.extend import core

from jaxgan.types import UsageError

__all__ = ["Directions", "directions", "first_layer"]

PRODUCTS = frozenset({"dot_general", "conv_general_dilated"})
OURS = "jaxgan_conv"
"""How primitives of `ops.conv` begin."""
INSIDE = "jaxpr", "call_jaxpr"
"""Parameters of a call, with what it does."""
CALLS = frozenset(
    {"pjit", "jit", "closed_call", "core_call", "remat", "checkpoint", "remat2"}
    | {"custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr"}
)


class Directions(NamedTuple):
    """Unit vectors in z, the ones of most effect first."""

    vectors: np.ndarray
    """float64 `[K, Z]`, orthonormal; the largest component of each is positive."""
    eigenvalues: np.ndarray
    """Of AᵀA, float64 `[K]`: the square of how far a step of 1 moves the layer."""


def directions(weight, count: int | None = None) -> Directions:
    """The directions of a first layer.

    Args:
        weight: A, `[D, Z]`.
        count: how many; default all Z.
    """
    a = np.asarray(weight, np.float64)
    values, vectors = np.linalg.eigh(a.T @ a)
    values, vectors = values[::-1][:count], vectors.T[::-1][:count]
    most = np.abs(vectors).argmax(1)
    signs = np.sign(vectors[np.arange(len(vectors)), most])
    return Directions(vectors * signs[:, None], np.maximum(values, 0))


def first_layer(generate: Callable, size: int) -> np.ndarray:
    """A of a generator's first layer, A z + b, float32 `[D, Z]`.

    It is the first product that z enters, whatever library the network is of, and A its
    derivative: a class beside z, or spectral norm, needs no care.

    Args:
        generate: `z [1, Z] -> images`.
        size: Z.

    Raises:
        UsageError: there is no such layer, or z is changed otherwise before it.
    """
    jaxpr = jax.make_jaxpr(generate)(jnp.zeros((1, size)))

    def layer(z):
        found = _walk(jaxpr.jaxpr, jaxpr.consts, [z], [True])
        if not isinstance(found, _Product):
            raise UsageError(
                None, None, "There is no layer that z enters by a product."
            )
        return found.value.astype(jnp.float32).ravel()

    derivative = jax.jit(jax.jacfwd(layer))
    points = random.normal(random.key(0), (2, 1, size))
    a, b = (np.asarray(derivative(z))[:, 0] for z in points)
    if not np.allclose(a, b, rtol=1e-3, atol=1e-5 * np.abs(a).max()):
        reason = "The generator changes z before its first layer, and not by a product."
        raise UsageError(None, None, reason)
    return a


class _Product(NamedTuple):
    """The first product of z, which ends the walk."""

    value: jax.Array


def _walk(jaxpr, consts, args, moved):
    """Runs a program up to the first product that z enters.

    Args:
        jaxpr, consts, args: the program and what it is given.
        moved: of each argument, whether z decides it.

    Returns:
        The `_Product`; or, where there is none, all results, and whether z decides
        each.
    """
    known = dict(zip(jaxpr.constvars, ((x, False) for x in consts), strict=True))
    known |= dict(zip(jaxpr.invars, zip(args, moved, strict=True), strict=True))

    def read(var):
        return (var.val, False) if isinstance(var, core.Literal) else known[var]

    for eqn in jaxpr.eqns:
        values, of_z = ([read(v)[k] for v in eqn.invars] for k in (0, 1))
        name = eqn.primitive.name
        inside = next((eqn.params[k] for k in INSIDE if k in eqn.params), None)
        if name in CALLS and inside is not None:
            its = inside.consts if hasattr(inside, "consts") else ()
            found = _walk(getattr(inside, "jaxpr", inside), its, values, of_z)
            if isinstance(found, _Product):
                return found
            results = found
        else:
            new = eqn.primitive.bind(*values, **eqn.params)
            new = new if eqn.primitive.multiple_results else [new]
            if any(of_z) and (name in PRODUCTS or name.startswith(OURS)):
                return _Product(new[0])
            results = [(x, any(of_z)) for x in new]
        known |= dict(zip(eqn.outvars, results, strict=True))
    return [read(var) for var in jaxpr.outvars]
