"""Spectral normalization (Miyato et al., 2018, arXiv:1802.05957), of any network.

    D = normalized(flax_net("D", Discriminator()))

Every kernel and every embedding, as a matrix with its last axis (the outputs, or the
inputs of a transposed convolution) for columns, is divided by its largest singular
value. One step of power iteration per pass finds it, from a vector `u` for each kernel,
in `state.stats[name]["spectral"]`, that `phases.refresh` carries from step to step;
`recipes.gan` does so by itself.
"""

import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict
from jax import lax, random

from jaxgan.models.net import Net

KERNELS = ("kernel", "embedding")
EPSILON = 1e-12


def power_iteration(w, u):
    """One step towards the largest singular value of a matrix.

    Args:
        w: `[N, M]`.
        u: `[M]`, a guess at the right singular vector.

    Returns:
        `(σ, u)`, with a gradient by w: that of vᵀ W u at fixed v and u.
    """
    v = _unit(lax.stop_gradient(w) @ u)
    u = _unit(v @ lax.stop_gradient(w))
    return v @ w @ u, u


def _unit(x):
    return x / (jnp.sqrt(jnp.square(x).sum()) + EPSILON)


def normalized(net: Net) -> Net:
    """The network with every kernel divided by its spectral norm."""

    def init(key, *inputs):
        here, rest = random.split(key)
        params, stats = net.init(rest, *inputs)
        kernels = _kernels(params)
        keys = random.split(here, len(kernels))
        u = {
            path: _unit(random.normal(k, w.shape[-1:], w.dtype))
            for (path, w), k in zip(kernels.items(), keys, strict=True)
        }
        return params, stats | {"spectral": unflatten_dict(u)}

    def apply(params, stats, *inputs, train=True, **kwargs):
        divided, new = normalize(params, stats["spectral"])
        rest = {name: value for name, value in stats.items() if name != "spectral"}
        out, rest = net.apply(divided, rest, *inputs, train=train, **kwargs)
        return out, rest | {"spectral": new if train else stats["spectral"]}

    return Net(net.name, init, apply)


def normalize(params, vectors):
    """Kernels divided by their spectral norms, and the vectors one step on."""
    flat, vectors, new = flatten_dict(params), flatten_dict(vectors), {}
    for path, w in _kernels(params).items():
        norm, new[path] = power_iteration(w.reshape(-1, w.shape[-1]), vectors[path])
        flat[path] = w / norm
    return unflatten_dict(flat), unflatten_dict(new)


def _kernels(params):
    flat = flatten_dict(params)
    return {path: w for path, w in flat.items() if path[-1] in KERNELS and w.ndim > 1}
