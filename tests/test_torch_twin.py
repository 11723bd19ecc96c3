"""Ten steps of jaxgan and of PyTorch, from the same weights on the same noise."""

import sys
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pytest
import torch
from torch_steps import ADAM, SGD, float64, one_torch_thread, start  # noqa: F401

from jaxgan import recipes, tasks
from jaxgan import regularizers as reg
from jaxgan.models import Net, cyclegan, dcgan, flax_net, mlp, pix2pix
from jaxgan.types import merge

sys.path.append(str(Path(__file__).parents[1] / "experiments"))

from benchmarks import torch_translators as twins
from benchmarks import torch_twin

STEPS, BATCH, LATENT = 10, 16, 10


def dcgans(base=4, norm=True):
    shape, norms = (28, 28, 1), (True, norm)
    pair = dcgan.networks(shape, width=8, dtype="float64", base=base, norm=norms)
    twins = torch_twin.dcgan(28, width=8, latent_dim=LATENT, base=base, norm=norm)
    return pair, twins


def dcgans_of_two_stages():
    return dcgans(base=7)


def mlps():
    pair = (
        mlp.Generator(hidden=(32, 64), dtype="float64"),
        mlp.Discriminator(hidden=(64, 32), dtype="float64"),
    )
    hidden = {"g_hidden": (32, 64), "d_hidden": (64, 32)}
    return pair, torch_twin.mlp(**hidden, latent_dim=LATENT)


def with_noise(G: Net) -> Net:
    """G, but its noise is what the test puts in its stats, not what the recipe drew."""

    def init(key, z):
        params, stats = G.init(key, z)
        return params, {"net": stats, "z": z}

    def apply(params, stats, z, **kwargs):
        assert z.shape == stats["z"].shape
        out, new = G.apply(params, stats["net"], stats["z"], **kwargs)
        return out, {"net": new, "z": stats["z"]}

    return Net(G.name, init, apply)


@pytest.mark.parametrize("optimizers", [SGD, ADAM], ids=["sgd", "adam"])
@pytest.mark.parametrize("networks", [dcgans, dcgans_of_two_stages, mlps])
def test_ten_steps_are_pytorchs(networks, optimizers):
    same_steps(networks, optimizers)


def test_ten_steps_with_r1_are_pytorchs():
    same_steps(partial(dcgans, norm=False), ADAM, "r1", reg.r1(10.0))


def test_ten_steps_with_wgan_gp_are_pytorchs(monkeypatch):
    """With one share of the real images instead of random ones."""
    monkeypatch.setattr(reg, "between", lambda real, fake, key: 0.3 * real + 0.7 * fake)
    shares = lambda *shape, dtype: torch.full(shape, 0.3, dtype=dtype)  # noqa: E731
    monkeypatch.setattr(torch_twin.torch, "rand", shares)
    same_steps(partial(dcgans, norm=False), ADAM, "wgan_gp", reg.wgan_gp(10.0))


def same_steps(networks, optimizers, called=None, penalty=None):
    (G, D), twins = networks()
    tx, optimizer = optimizers
    rng = np.random.default_rng(0)
    real = rng.uniform(-1, 1, (STEPS, BATCH, 28, 28, 1))
    noise = rng.normal(size=(STEPS, BATCH, LATENT))

    G, D = with_noise(flax_net("G", G)), flax_net("D", D)
    gan = recipes.gan(G, D, latent_dim=LATENT, g_tx=tx, d_tx=tx, penalty=penalty)
    state = start(gan, {"image": real[0]}, rng)
    step = jax.jit(gan.step)

    first = {}
    for name, twin in zip("GD", twins, strict=True):
        twin.double()
        first[name] = torch_twin.from_flax(state.params[name], twin)
        assert first[name].keys() == dict(twin.named_parameters()).keys()
        twin.load_state_dict(first[name], strict=False)
    twin_opts = [optimizer(twin.parameters()) for twin in twins]

    losses, twin_losses = [], []
    for i in range(STEPS):
        state = merge(state, stats={"G": state.stats["G"] | {"z": noise[i]}})
        state, metrics = step(state, {"image": real[i]}, jax.random.key(i))
        losses.append([metrics[n].value() for n in ("d_loss", "g_loss")])
        nchw = torch.tensor(real[i].transpose(0, 3, 1, 2))
        z = torch.tensor(noise[i])
        pair = torch_twin.step(*twins, *twin_opts, nchw, z, penalty=called)
        twin_losses.append([x.item() for x in pair])

    np.testing.assert_allclose(losses, twin_losses, 1e-6)  # metrics are float32
    for name, twin in zip("GD", twins, strict=True):
        new, want = torch_twin.from_flax(state.params[name], twin), twin.state_dict()
        for n, w in first[name].items():
            went = torch.linalg.norm(want[n] - w)
            off = torch.linalg.norm(new[n] - want[n])
            assert new[n].dtype == want[n].dtype == torch.float64
            assert went > 0 and off <= 1e-10 * went, (name, n)


def check_translator(model, step, functions, optimizers):
    """Three steps of both, from the same weights, without noise."""
    rng = np.random.default_rng(0)
    pairs = rng.uniform(-1, 1, (3, 2, 12, 12, 6))
    batches = [{"input": x[..., :3], "image": x[..., 3:]} for x in pairs]
    state = start(model, batches[0], rng)
    nets = {
        name: twins.Net(functions[name[0]], twins.weights(tree))
        for name, tree in state.params.items()
    }
    opts = {
        name: ADAM[1]([x for net in of for x in nets[net].parameters()])
        for name, of in optimizers.items()
    }
    ours = jax.jit(model.step)
    for i, batch in enumerate(batches):
        state, metrics = ours(state, batch, jax.random.key(i))
        a, b = (
            torch.tensor(batch[name].transpose(0, 3, 1, 2))
            for name in ("input", "image")
        )
        theirs = step(nets, opts, a, b)
        for name, their in zip(("d_loss", "g_loss"), theirs, strict=True):
            np.testing.assert_allclose(metrics[name].value(), their.item(), 1e-5)
    for name, net in nets.items():
        first = twins.leaves(twins.weights(state.params[name]))
        for x, y in zip(first, net.parameters(), strict=True):
            np.testing.assert_allclose(x.detach(), y.detach(), atol=1e-7)


def test_steps_of_pix2pix_are_pytorchs():
    G = flax_net("G", pix2pix.UNet(3, 4, dropout=0.0, dtype="float64"))
    D = flax_net("D", pix2pix.PatchGAN(4, 16, dtype="float64"))
    model = recipes.pix2pix(G, D, tasks.paired(), g_tx=ADAM[0], d_tx=ADAM[0])
    functions = {"G": twins.unet, "D": partial(twins.patchgan, halvings=1)}
    step = partial(twins.pix2pix_step, dropout=0.0)
    check_translator(model, step, functions, {"G": ["G"], "D": ["D"]})


def test_steps_of_cyclegan_are_pytorchs():
    G = cyclegan.ResNetGenerator(3, 2, 1, dtype="float64")
    D = pix2pix.PatchGAN(4, 16, dtype="float64")
    nets = [flax_net(n, G) for n in "GF"] + [flax_net(n, D) for n in ("D_a", "D_b")]
    txs = {"g_tx": ADAM[0], "d_tx": ADAM[0], "pool": 0}
    model = recipes.cyclegan(*nets, shape=(12, 12, 3), **txs)
    resnet, one_halving = twins.resnet, partial(twins.patchgan, halvings=1)

    def step(nets, opts, a, b):
        pools = {"a": twins.Pool(0), "b": twins.Pool(0)}
        return twins.cyclegan_step(nets, opts, pools, a, b)

    functions = {"G": resnet, "F": resnet, "D": one_halving}
    check_translator(model, step, functions, {"G": ["G", "F"], "D": ["D_a", "D_b"]})
