"""Spectral normalization against the SVD and against torch."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from flax import linen as nn
from jax import random

from jaxgan import losses, phases, recipes
from jaxgan.metrics.float64 import enable_x64
from jaxgan.models import flax_net, mlp, spectral
from jaxgan.models.layers import Conv
from jaxgan.types import TrainState

torch.set_num_threads(1)
KEY = random.key(0)


def test_power_iteration_finds_the_largest_singular_value():
    with enable_x64(True):
        w = random.normal(KEY, (30, 20), "float64")
        u = random.normal(random.key(1), (20,), "float64")
        for _ in range(500):
            norm, u = spectral.power_iteration(w, u)
        _, values, right = np.linalg.svd(np.array(w))
        assert float(norm) == pytest.approx(values[0], rel=1e-10)
        assert abs(right[0] @ np.array(u)) == pytest.approx(1)


class Net(nn.Module):
    """A convolution, an embedding and a dense layer, all with biases."""

    @nn.compact
    def __call__(self, x, label):
        x = jnp.tanh(Conv(5, (3, 3))(x)).reshape(len(x), -1)
        return nn.Dense(4)(x) + nn.Embed(3, 4)(label)


@pytest.fixture(scope="module")
def net():
    """The network, its variables and inputs."""
    net = spectral.normalized(flax_net("D", Net()))
    x, label = random.normal(KEY, (2, 6, 6, 2)), jnp.array([0, 2])
    return net, *net.init(KEY, x, label), (x, label)


def test_the_norm_of_every_kernel_becomes_1(net):
    net, params, stats, inputs = net
    for _ in range(300):
        _, stats = net.apply(params, stats, *inputs)
    divided, _ = spectral.normalize(params, stats["spectral"])
    kernels = {
        "conv": divided["Conv_0"]["kernel"].reshape(-1, 5),
        "dense": divided["Dense_0"]["kernel"],
        "embedding": divided["Embed_0"]["embedding"],
    }
    for name, w in kernels.items():
        norm = np.linalg.svd(np.array(w), compute_uv=False)[0]
        assert norm == pytest.approx(1, rel=1e-4), name
    for layer in ("Conv_0", "Dense_0"):
        np.testing.assert_array_equal(divided[layer]["bias"], params[layer]["bias"])


def torch_order(name, v):
    """A kernel's inputs, (h, w, c) in Flax, as torch has them, (c, h, w)."""
    if name != "Conv_0":
        return v
    return v.reshape(3, 3, 2).transpose(2, 0, 1).ravel()


def test_values_and_gradients_are_torch_s(net):
    """With the paper's step of power iteration; torch's begins with the other half."""
    net, params, stats, (x, label) = net
    conv = torch.nn.Conv2d(2, 5, 3, padding=1)
    dense = torch.nn.Linear(180, 4)
    embed = torch.nn.Embedding(3, 4)
    kernel = params["Conv_0"]["kernel"]
    with torch.no_grad():
        conv.weight[:] = torch.tensor(np.array(kernel.transpose(3, 2, 0, 1)))
        conv.bias[:] = torch.tensor(np.array(params["Conv_0"]["bias"]))
        dense.weight[:] = torch.tensor(np.array(params["Dense_0"]["kernel"].T))
        dense.bias[:] = torch.tensor(np.array(params["Dense_0"]["bias"]))
        embed.weight[:] = torch.tensor(np.array(params["Embed_0"]["embedding"]))
    normed = {}
    for name, layer, kernel in (
        ("Conv_0", conv, "kernel"),
        ("Dense_0", dense, "kernel"),
        ("Embed_0", embed, "embedding"),
    ):
        # Embeddings have their outputs in columns.
        dim = 1 if name == "Embed_0" else 0
        torch.nn.utils.parametrizations.spectral_norm(layer, dim=dim)
        power = layer.parametrizations.weight[0]
        layer.eval()
        w = np.array(params[name][kernel])
        w = w.reshape(-1, w.shape[-1])
        v = w @ np.array(stats["spectral"][name][kernel])
        v /= np.linalg.norm(v)
        u = v @ w / np.linalg.norm(v @ w)
        power._u[:], power._v[:] = torch.tensor(u), torch.tensor(torch_order(name, v))
        normed[name] = u
    image = torch.tensor(np.array(x)).permute(0, 3, 1, 2)
    hidden = torch.tanh(conv(image)).permute(0, 2, 3, 1).flatten(1)
    expected = dense(hidden) + embed(torch.tensor(np.array(label)))
    got, new = net.apply(params, stats, x, label)
    np.testing.assert_allclose(got, expected.detach(), rtol=1e-4, atol=1e-5)
    for name, u in normed.items():
        (ours,) = jax.tree.leaves(new["spectral"][name])
        np.testing.assert_allclose(ours, u, rtol=1e-4, atol=1e-5)
    (expected**2).sum().backward()
    grads = jax.grad(lambda p: (net.apply(p, stats, x, label)[0] ** 2).sum())(params)
    theirs = conv.parametrizations.weight.original.grad.permute(2, 3, 1, 0)
    ours = grads["Conv_0"]["kernel"]
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)


def test_sampling_leaves_the_vectors_alone(net):
    net, params, stats, inputs = net
    _, trained = net.apply(params, stats, *inputs)
    _, sampled = net.apply(params, stats, *inputs, train=False)
    jax.tree.map(np.testing.assert_array_equal, sampled, stats)
    leaves = zip(*map(jax.tree.leaves, (trained, stats)), strict=True)
    assert any((a != b).any() for a, b in leaves)


def test_a_recipe_carries_the_vectors_on():
    G = flax_net("G", mlp.Generator((3,), (5,), output=lambda x: x))
    D = spectral.normalized(flax_net("D", mlp.Discriminator((7,))))
    gan = recipes.gan(
        G,
        D,
        latent_dim=2,
        g_tx=optax.sgd(0.0),
        d_tx=optax.sgd(0.0),
        loss=losses.hinge,
    )
    batch = {"image": random.normal(KEY, (8, 3))}
    state, step = gan.init(KEY, batch), jax.jit(gan.step)
    assert "spectral" not in state.stats["G"]
    for i in range(200):
        state, _ = step(state, batch, random.fold_in(KEY, i))
    for layer, vectors in state.stats["D"]["spectral"].items():
        w = state.params["D"][layer]["kernel"]
        norm, _ = spectral.power_iteration(w, vectors["kernel"])
        largest = np.linalg.svd(np.array(w), compute_uv=False)[0]
        assert float(norm) == pytest.approx(largest, rel=1e-4)


def test_refreshing_one_collection_leaves_the_others(net):
    net, params, stats, inputs = net
    state = TrainState(jnp.int32(0), {"D": params}, {"D": stats}, {}, {}, {})
    state = state._replace(stats={"D": stats | {"other": {"x": jnp.ones(2)}}})
    whole = phases.refresh(net, lambda state, batch, key: inputs, "absent")
    same, _ = whole.step(state, {}, KEY)
    assert same is state
    one = phases.refresh(net, lambda state, batch, key: inputs, "spectral")
    new, _ = one.step(state, {}, KEY)
    np.testing.assert_array_equal(new.stats["D"]["other"]["x"], np.ones(2))
    assert (
        new.stats["D"]["spectral"]["Dense_0"]["kernel"]
        != stats["spectral"]["Dense_0"]["kernel"]
    ).any()
