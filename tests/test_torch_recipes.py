"""Steps of recipes, of jaxgan and of PyTorch, from the same weights."""

import sys
from pathlib import Path

import numpy as np
from torch_steps import (
    ADAM,
    float64,  # noqa: F401
    one_torch_thread,  # noqa: F401
    same_losses,
    same_weights,
    start,
)

from jaxgan import recipes, tasks
from jaxgan.models import flax_net, srgan

sys.path.append(str(Path(__file__).parents[1] / "experiments"))

from benchmarks import torch_srgan
from benchmarks.torch_translators import Net, weights

STEPS = 3
TXS = {"g_tx": ADAM[0], "d_tx": ADAM[0]}


def named(tree, path=""):
    """A network's tensors by path."""
    if not isinstance(tree, dict):
        return {path: tree.detach().clone()}
    return {k: x for n, of in tree.items() for k, x in named(of, f"{path}/{n}").items()}


def images(*shape):
    return np.random.default_rng(len(shape)).uniform(-1, 1, shape)


def check(model, batches, functions, step, owners=None):
    """Some steps of networks that are functions of their weights.

    Args:
        model: jaxgan's.
        batches: of arrays.
        functions: the twin's networks, by name.
        step: the twin's, `(nets, opts, batch) -> losses`.
        owners: by an optimizer's name, the networks that it trains.
    """
    state = start(model, batches[0], np.random.default_rng(0))
    first = {name: named(weights(of)) for name, of in state.params.items()}
    nets = {name: Net(f, weights(state.params[name])) for name, f in functions.items()}
    opts = {
        name: ADAM[1]([x for n in of for x in nets[n].parameters()])
        for name, of in (owners or {n: (n,) for n in nets}).items()
    }
    state = same_losses(model, state, batches, lambda b: step(nets, opts, b))
    for name, net in nets.items():
        new = named(weights(state.params[name]))
        same_weights(new, named(net.tree), first[name])


def test_steps_of_srgan_are_pytorchs():
    G = flax_net("G", srgan.SRResNet(3, 4, 2, 4, "float64"))
    D = flax_net("D", srgan.Discriminator(2, 4, dtype="float64"))
    task = tasks.super_resolution(4)
    model = recipes.srgan(G, D, task, **TXS, pretrain=0)

    def step(nets, opts, batch):
        return torch_srgan.srgan_step(nets, opts, batch["image"])

    batches = [{"image": x} for x in images(STEPS, 4, 16, 16, 3)]
    check(model, batches, {"G": torch_srgan.srresnet, "D": torch_srgan.critic}, step)
