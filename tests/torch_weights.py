"""Weights and gradients between flax and torch, for tests of networks."""

import jax
import numpy as np
import torch


def to_torch(tree):
    """Weights as torch tensors that want gradients: kernels as torch has them.

    Those of transposed convolutions, `[kh, kw, out, in]` here, come to
    `[in, out, kh, kw]` by the same permutation.
    """

    def one(path, x):
        x = torch.tensor(np.array(x))
        if path[-1].key == "kernel":
            x = x.permute(3, 2, 0, 1) if x.ndim == 4 else x.T
        return x.contiguous().requires_grad_()

    return jax.tree_util.tree_map_with_path(one, tree)


def from_torch(tree):
    """Their gradients, as flax has them."""

    def one(path, x):
        x = x.grad
        if path[-1].key == "kernel":
            x = x.permute(2, 3, 1, 0) if x.ndim == 4 else x.T
        return x.numpy()

    return jax.tree_util.tree_map_with_path(one, tree)


def nchw(x):
    return torch.tensor(np.array(x)).permute(0, 3, 1, 2)
