"""Spectral normalization (Miyato et al., 2018, arXiv:1802.05957), of any network.

    D = normalized(flax_net("D", Discriminator()))

Every kernel and every embedding, as a matrix with its last axis (the outputs, or the
inputs of a transposed convolution) for columns, is divided by its largest singular
value. One step of power iteration per pass finds it, from a vector `u` for each kernel,
in `state.stats[name]["spectral"]`, that `phases.refresh` carries from step to step;
`recipes.gan` does so by itself.
"""

from dataclasses import replace

import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict
from jax import lax, random

from jaxgan.models.net import Net, path_keys

__all__ = ["normalize", "normalized", "power_iteration"]

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


def normalized(
    net: Net, names: tuple[str, ...] = ("kernel", "embedding"), outputs: int = -1
) -> Net:
    """The network with every kernel divided by its spectral norm.

    Args:
        net: the network. Its params may be any pytree.
        names: what its kernels are called, default as in Flax; leaves of these names
            with two axes or more are divided. Equinox's are `("weight",)`.
        outputs: the axis of kernels that holds the outputs, 0 in Equinox and torch.

    Raises (the returned network's `init`):
        ValueError: no leaf of the params is such a kernel.
    """

    def init(key, *inputs):
        here, rest = random.split(key)
        params, stats = net.init(rest, *inputs)
        kernels = _kernels(net.name, params, names)
        splits = random.split(here, len(kernels))
        u = {
            path: _unit(random.normal(k, (w.shape[outputs],), w.dtype))
            for (path, w), k in zip(kernels.items(), splits, strict=True)
        }
        return params, stats | {"spectral": unflatten_dict(u)}

    def apply(params, stats, *inputs, train=True, **kwargs):
        divided, new = normalize(params, stats["spectral"], outputs)
        rest = {name: value for name, value in stats.items() if name != "spectral"}
        out, rest = net.apply(divided, rest, *inputs, train=train, **kwargs)
        return out, rest | {"spectral": new if train else stats["spectral"]}

    return replace(net, init=init, apply=apply)


def _kernels(name, params, names) -> dict:
    """The kernels by path."""
    leaves = jax.tree_util.tree_leaves_with_path(params)
    flat = {path_keys(path): leaf for path, leaf in leaves}
    kernels = {p: w for p, w in flat.items() if p and p[-1] in names and w.ndim > 1}
    if kernels:
        return kernels
    found = ", ".join(sorted({str(p[-1]) for p in flat if p})) or "nothing"
    raise ValueError(
        f"normalized: {name!r} has no leaf of two axes or more called "
        f"{' or '.join(names)}; its leaves are called {found}: give `names`."
    )


def normalize(params, vectors, outputs: int = -1):
    """Kernels divided by their spectral norms, and the vectors one step on.

    Args:
        params: any pytree of arrays.
        vectors: for each kernel its `u`, in nested dicts by the kernel's path.
        outputs: the axis of kernels that is as long as `u`.
    """
    vectors, new = flatten_dict(vectors), {}

    def divided(path, w):
        if (path := path_keys(path)) not in vectors:
            return w
        matrix = jnp.moveaxis(w, outputs, -1)
        matrix = matrix.reshape(-1, matrix.shape[-1])
        norm, new[path] = power_iteration(matrix, vectors[path])
        return w / norm

    params = jax.tree_util.tree_map_with_path(divided, params)
    return params, unflatten_dict(new)
