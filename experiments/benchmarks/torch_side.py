"""PyTorch's side: the same GANs from the same weights, eager, step after step."""

import time

import torch
from torch import nn

from benchmarks import machine, torch_translators, torch_twin


def dcgan(width, base, norm=True, penalty=None):
    nets = torch_twin.dcgan(28, width=width, latent_dim=100, base=base, norm=norm)
    return _gan(*nets, latent_dim=100, penalty=penalty)


def mlp():
    return _gan(*torch_twin.mlp(), latent_dim=100)


def ring():
    sizes = {"g_hidden": (128, 128), "d_hidden": (128, 128), "latent_dim": 2}
    nets = torch_twin.mlp((2,), **sizes, act=nn.ReLU, output=nn.Identity)
    return _gan(*nets, latent_dim=2)


def _gan(g, d, latent_dim, penalty=None):
    def build(weights):
        for name, net in (("G", g), ("D", d)):
            tensors = torch_twin.from_flax(weights[name], net)
            net.load_state_dict(tensors, strict=False)
        g_opt, d_opt = _adam(g.parameters()), _adam(d.parameters())

        def step(real):
            z = torch.randn(len(real), latent_dim)
            return torch_twin.step(g, d, g_opt, d_opt, real, z, penalty)

        return step

    return build


def pix2pix():
    def build(weights):
        nets, parameters = _trees(weights)
        opts = {name: _adam(each) for name, each in parameters.items()}

        def step(pair):
            given, target = pair.split(3, dim=1)
            return torch_translators.pix2pix_step(nets, opts, given, target)

        return step

    return build


def cyclegan():
    def build(weights):
        nets, of = _trees(weights)
        opts = {"G": _adam(of["G"] + of["F"]), "D": _adam(of["D_a"] + of["D_b"])}
        pools = {"a": torch_translators.Pool(), "b": torch_translators.Pool()}

        def step(pair):
            a, b = pair.split(3, dim=1)
            return torch_translators.cyclegan_step(nets, opts, pools, a, b)

        return step

    return build


def _adam(parameters):
    return torch.optim.Adam(parameters, 2e-4, betas=(0.5, 0.999))


def _trees(weights):
    """Weights by network, as trees and as lists."""
    trees = {name: torch_translators.weights(tree) for name, tree in weights.items()}
    return trees, {name: torch_translators.leaves(x) for name, x in trees.items()}


def start(build, case, data, weights):
    """Begins a case anew.

    Args:
        build: what `case.build` made of it here, `weights -> step(real)`.
        case: a `cases.Case`.
        data: what its `data` returned.
        weights: by network, as jaxgan has them.

    Returns:
        The weights, and `run(steps) -> (seconds, D's, G's mean loss)`.
    """
    torch.set_num_threads(machine.cores())
    step, data = build(weights), torch.from_numpy(data)
    if data.ndim == 4:
        data = data.permute(0, 3, 1, 2).contiguous()

    def run(steps):
        totals = torch.zeros(2)
        began = time.perf_counter()
        for _ in range(steps):
            real = data[torch.randint(len(data), (case.batch,))]
            if real.dtype == torch.uint8:
                real = real.float() / 127.5 - 1
            totals += torch.stack(step(real))
        seconds = time.perf_counter() - began
        return seconds, *(totals / steps).tolist()

    return weights, run


def matmul() -> float:
    """GFLOP/s of a 2048³ float32 matrix product."""
    torch.set_num_threads(machine.cores())
    a = torch.randn(2048, 2048)
    return machine.gflops(lambda: a @ a)
