"""Gradients and images between flax and torch, for tests of networks."""

import jax
import numpy as np
import torch


def from_torch(tree):
    """The gradients of `benchmarks.torch_translators.weights`, as flax has them."""

    def one(path, x):
        x = x.grad
        if path[-1].key == "kernel":
            x = x.permute(2, 3, 1, 0) if x.ndim == 4 else x.T
        return x.numpy()

    return jax.tree_util.tree_map_with_path(one, tree)


def nchw(x):
    return torch.tensor(np.array(x)).permute(0, 3, 1, 2)
