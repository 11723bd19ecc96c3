"""Steps of recipes, of jaxgan and of PyTorch, from the same weights."""

import itertools
import sys
from functools import partial
from pathlib import Path

import jax
import numpy as np
import optax
import torch
import torch.nn.functional as F
from jax import random
from torch import nn
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

from jaxgan import augment, losses, recipes, tasks
from jaxgan import regularizers as reg
from jaxgan.models import (
    dcgan,
    flax_net,
    mlp,
    pix2pix,
    r3gan,
    resnet,
    spade,
    spectral,
    srgan,
    stylegan2,
)
from jaxgan.recipes.infogan import codes

sys.path.append(str(Path(__file__).parents[1] / "experiments"))

from benchmarks import (
    torch_games,
    torch_heads,
    torch_r3gan,
    torch_sngan,
    torch_spade,
    torch_srgan,
    torch_stylegan2,
    torch_twin,
)
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


def check_modules(model, batches, twins, step, done=lambda nets: None):
    """The same of two modules, G and D; `done` has the last word on them."""
    state = start(model, batches[0], np.random.default_rng(0))
    twins = dict(zip("GD", (twin.double() for twin in twins), strict=True))

    def tensors(name):
        params = state.params[name]
        if f"Dense_{len(linear(twins[name]))}" in params:
            params = torch_heads.joined(params)
        return torch_twin.from_flax(params, twins[name])

    def linear(twin):
        return [layer for layer in twin if isinstance(layer, nn.Linear)]

    first = {name: tensors(name) for name in "GD"}
    for name, twin in twins.items():
        twin.load_state_dict(first[name], strict=False)
    opts = {name: ADAM[1](twin.parameters()) for name, twin in twins.items()}
    state = same_losses(model, state, batches, lambda b: step(twins, opts, b))
    done(twins)
    for name, twin in twins.items():
        theirs = {n: x.detach() for n, x in twin.named_parameters()}
        same_weights(tensors(name), theirs, first[name])


def test_steps_of_acgan_are_pytorchs(known_noise):  # noqa: F811
    G, _ = dcgan.networks((28, 28, 1), 4, 10, "float64")
    _, D = dcgan.networks((28, 28, 1), 4, dtype="float64")
    G, D = flax_net("G", G), flax_net("D", D.clone(outputs=10))
    model = recipes.acgan(G, D, latent_dim=5, num_classes=10, **TXS)

    def step(nets, opts, batch):
        real, label = batch["image"], batch["label"].long()
        return torch_heads.acgan_step(nets, opts, real, label, z(8, 5))

    batches = [
        {"image": x, "label": np.arange(8) % 5 + i}
        for i, x in enumerate(images(STEPS, 8, 28, 28, 1))
    ]
    check_modules(model, batches, torch_heads.dcgan(15, 10, 4), step)


def test_steps_of_infogan_are_pytorchs(known_noise):  # noqa: F811
    """Q sees slanted fakes."""
    G, D = dcgan.networks((28, 28, 1), 4, dtype="float64")
    G, D = G.clone(hidden=6), D.clone(hidden=6, outputs=12)
    seen = augment.diff_augment(augment.affine)
    nets = flax_net("G", G), flax_net("D", D)
    model = recipes.infogan(*nets, noise=5, augment=seen, **TXS)
    latents = torch.tensor(np.array(codes(5)(random.key(0), 8)))
    by = torch.tensor(drawn(random.uniform, (8, 3, 1, 1), minval=-1.0)).reshape(8, 3)

    def step(nets, opts, batch):
        slants = by.expand(2, 2, 8, 3)
        return torch_heads.infogan_step(nets, opts, batch["image"], latents, slants)

    batches = [{"image": x} for x in images(STEPS, 8, 28, 28, 1)]
    check_modules(model, batches, torch_heads.dcgan(17, 12, 4, 6), step)


def test_steps_of_spade_are_pytorchs(known_noise):  # noqa: F811
    G = flax_net("G", spade.Generator(3, 2, 5, dtype="float64"))
    D = flax_net("D", pix2pix.MultiScale(2, 3, 16, dtype="float64"))
    E = flax_net("E", spade.Encoder(6, 2, dtype="float64"))
    G, D, task = spectral.normalized(G), spectral.normalized(D), tasks.of_maps(4)
    options = TXS | {"latent_dim": 6, "encoder": E, "feature_matching": 2.0}
    model = recipes.spade(G, D, task, **options)

    def step(nets, opts, batch):
        label_map = F.one_hot(batch["map"].long(), 4).movedim(-1, 1).double()
        of = batch["image"], label_map, z(2, 6)
        return torch_spade.spade_step(nets, opts, *of)

    maps = np.random.default_rng(1).integers(0, 4, (STEPS, 2, 16, 16))
    pairs = zip(images(STEPS, 2, 16, 16, 3), maps, strict=True)
    batches = [{"image": x, "map": label_map} for x, label_map in pairs]
    of = {"G": torch_spade.generator, "D": torch_spade.multiscale}
    owners = {"G": ("G", "E"), "D": ("D",)}
    check(model, batches, of | {"E": torch_spade.encoder}, step, owners)


def mlps():
    sizes = {"hidden": (6, 6), "act": jax.nn.relu, "dtype": "float64"}
    G = mlp.Generator(shape=(2,), output=lambda x: x, **sizes)
    nets = flax_net("G", G), flax_net("D", mlp.Discriminator(**sizes))
    sizes = {"g_hidden": (6, 6), "d_hidden": (6, 6), "latent_dim": 2}
    twins = torch_twin.mlp((2,), **sizes, act=nn.ReLU, output=nn.Identity)
    return nets, twins, [{"image": x} for x in images(STEPS, 16, 2)]


def test_steps_of_consensus_are_pytorchs(known_noise):  # noqa: F811
    nets, twins, batches = mlps()
    model = recipes.consensus(*nets, latent_dim=2, weight=0.1, **TXS)

    def step(nets, opts, batch):
        return torch_games.consensus_step(nets, opts, batch["image"], z(16, 2))

    check_modules(model, batches, twins, step)


def test_steps_of_the_unrolled_gan_are_pytorchs(known_noise):  # noqa: F811
    nets, twins, batches = mlps()
    d_tx = optax.adam(2e-4, b1=0.5, eps_root=1e-8)
    model = recipes.unrolled(*nets, latent_dim=2, g_tx=ADAM[0], d_tx=d_tx)
    D = None

    def step(nets, opts, batch):
        nonlocal D
        D = D or torch_games.learner(nets["D"])
        real, noise = batch["image"], z(16, 2).expand(7, 16, 2)
        *losses, D = torch_games.unrolled_step(nets, D, opts["G"], real, noise)
        return losses

    def done(nets):
        nn.utils.vector_to_parameters(D.weights.detach(), nets["D"].parameters())

    check_modules(model, batches, twins, step, done)


def test_steps_of_r3gan_are_pytorchs(known_noise):  # noqa: F811
    """Relativistic pairs, R1 and R2, over blocks with kernels in groups."""
    G, D = r3gan.networks((16, 16, 3), 4, 16, 1, 4, dtype="float64")
    penalty = reg.total(reg.r1(1.0), reg.r2(1.0))
    options = {"loss": losses.relativistic_logistic, "penalty": penalty}
    G, D = flax_net("G", G), flax_net("D", D)
    model = recipes.gan(G, D, latent_dim=5, **options, **TXS)

    def step(nets, opts, batch):
        return torch_r3gan.r3gan_step(nets, opts, batch["image"], z(4, 5))

    of = {"G": torch_r3gan.generator, "D": torch_r3gan.discriminator}
    of = {name: partial(function, group_width=4) for name, function in of.items()}
    batches = [{"image": x} for x in images(STEPS, 4, 16, 16, 3)]
    check(model, batches, of, step)


class Known:
    """The same noise as jaxgan's, by shape."""

    def normal(self, *shape):
        return torch.tensor(drawn(random.normal, shape))

    def uniform(self, *shape):
        return torch.tensor(drawn(random.uniform, shape))

    def integers(self, low, high, *shape):
        return torch.tensor(drawn(random.randint, shape, low, high))


def test_steps_of_stylegan2_are_pytorchs(known_noise):  # noqa: F811
    """With R1 and path lengths on every second step, over kernels of each image."""
    nets = stylegan2.networks((16, 16, 3), 4, 8, 6, 2, dtype="float64")
    names = "mapping", "synthesis", "D"
    nets = [flax_net(name, net) for name, net in zip(names, nets, strict=True)]
    periods = {"r1_every": 2, "path_every": 2}
    model = recipes.stylegan2(*nets, latent_dim=5, **periods, **TXS)
    memory, count = {}, itertools.count()

    def step(nets, opts, batch):
        both = {"r1": 20.0, "path": 4.0} if next(count) % 2 == 0 else {}
        of = nets, opts, batch["image"], Known(), memory
        return torch_stylegan2.stylegan2_step(*of, **both)

    of = {
        "mapping": partial(torch_stylegan2.mapping, layers=6),
        "synthesis": torch_stylegan2.synthesis,
        "D": torch_stylegan2.discriminator,
    }
    apart = 30 * images(8, 1, 1, 3)
    apart[:4] = 0  # a group that is alike, and one that is not
    batches = [{"image": x + apart} for x in images(STEPS, 8, 16, 16, 3)]
    owners = {"G": names[:2], "D": ("D",)}
    check(model, batches, of, step, owners)
