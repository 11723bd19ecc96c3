"""jaxgan's spectral normalization once more in PyTorch.

As `models.spectral` has it, from a vector for each kernel that advances once in a step:
PyTorch's own parametrization would advance it in every pass.
"""

import torch
import torch.nn.functional as F

from benchmarks.torch_translators import Net

EPSILON = 1e-12


def vectors(tree):
    """A first vector for each kernel of a tree of weights, at random."""
    found = {}
    for name, x in tree.items():
        if isinstance(x, dict):
            found[name] = vectors(x)
        elif name == "kernel":
            found[name] = F.normalize(torch.randn(len(x), device=x.device), dim=0)
    return found


def normalized(tree, vectors):
    """The weights, kernels divided by their spectral norms, and the vectors one step
    of power iteration on."""
    divided, new = {}, {}
    for name, x in tree.items():
        if isinstance(x, dict):
            divided[name], new[name] = normalized(x, vectors.get(name, {}))
        elif name in vectors:
            divided[name], new[name] = _divided(x, vectors[name])
        else:
            divided[name] = x
    return divided, new


def _divided(kernel, u):
    w = kernel.flatten(1)
    with torch.autocast(w.device.type, enabled=False):
        with torch.no_grad():
            v = F.normalize(torch.mv(w.t(), u), dim=0, eps=EPSILON)
            u = F.normalize(torch.mv(w, v), dim=0, eps=EPSILON)
        return kernel / torch.dot(u, torch.mv(w, v)), u


class Normalized(Net):
    """A network with spectral normalization of its kernels.

    Args:
        function: the network.
        tree: its weights.
        vectors: for each kernel.
        normalize: `normalized`, or that compiled.
    """

    def __init__(self, function, tree, vectors, normalize=normalized):
        super().__init__(function, tree)
        self.vectors, self.normalize = vectors, normalize

    def divided(self, advance=False) -> Net:
        """The network of divided weights, for as long as the weights stay.

        Args:
            advance: whether the vectors of this iteration are kept.
        """
        tree, new = self.normalize(self.tree, self.vectors)
        self.vectors = new if advance else self.vectors
        return Net(self.function, tree)
