"""Steps of recipes, of jaxgan and of PyTorch, from the same weights."""

import sys
from pathlib import Path

import numpy as np
import torch
from jax import random
from torch_steps import (
    ADAM,
    drawn,
    float64,  # noqa: F401
    known_noise,  # noqa: F401
    one_torch_thread,  # noqa: F401
    same_losses,
    same_weights,
    start,
)

from jaxgan import losses, recipes, tasks
from jaxgan.models import flax_net, resnet, spectral, srgan

sys.path.append(str(Path(__file__).parents[1] / "experiments"))

from benchmarks import torch_sngan, torch_srgan
from benchmarks.torch_spectral import Normalized
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


def vectors(tree):
    """Of spectral norms, as tensors; they are long as the kernels' outputs."""
    return {
        k: vectors(x) if isinstance(x, dict) else torch.tensor(np.array(x))
        for k, x in tree.items()
    }


def z(*shape):
    return torch.tensor(drawn(random.normal, shape))


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
    for name in nets:
        if "spectral" in state.stats[name]:
            u = vectors(state.stats[name]["spectral"])
            nets[name] = Normalized(nets[name].function, nets[name].tree, u)
    opts = {
        name: ADAM[1]([x for n in of for x in nets[n].parameters()])
        for name, of in (owners or {n: (n,) for n in nets}).items()
    }
    state = same_losses(model, state, batches, lambda b: step(nets, opts, b))
    for name, net in nets.items():
        new = named(weights(state.params[name]))
        same_weights(new, named(net.tree), first[name])
        if isinstance(net, Normalized):
            new = named(vectors(state.stats[name]["spectral"]))
            for path, u in named(net.vectors).items():
                np.testing.assert_allclose(u, new[path], atol=1e-9, err_msg=path)


def test_steps_of_srgan_are_pytorchs():
    G = flax_net("G", srgan.SRResNet(3, 4, 2, 4, "float64"))
    D = flax_net("D", srgan.Discriminator(2, 4, dtype="float64"))
    task = tasks.super_resolution(4)
    model = recipes.srgan(G, D, task, **TXS, pretrain=0)

    def step(nets, opts, batch):
        return torch_srgan.srgan_step(nets, opts, batch["image"])

    batches = [{"image": x} for x in images(STEPS, 4, 16, 16, 3)]
    check(model, batches, {"G": torch_srgan.srresnet, "D": torch_srgan.critic}, step)


def test_steps_of_sngan_are_pytorchs(known_noise):  # noqa: F811
    """The vectors of spectral norms, too."""
    G, D = resnet.networks((32, 32, 3), 4, 4, dtype="float64")
    G, D = flax_net("G", G), spectral.normalized(flax_net("D", D))
    model = recipes.gan(G, D, latent_dim=5, loss=losses.hinge, **TXS)

    def step(nets, opts, batch):
        return torch_sngan.sngan_step(nets, opts, batch["image"], z(4, 5))

    batches = [{"image": x} for x in images(STEPS, 4, 32, 32, 3)]
    of = {"G": torch_sngan.generator, "D": torch_sngan.discriminator}
    check(model, batches, of, step)
