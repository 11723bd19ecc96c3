"""Adversarial flow models against a twin in torch, and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
import torch.nn.functional as F
from jax import random

from jaxgan import recipes
from jaxgan.models import Net
from jaxgan.recipes.adversarial_flow import centered, differences
from jaxgan.regularizers import Judged

RNG = np.random.default_rng(0)
W = np.float32(RNG.normal(size=(2, 2)))
V = np.float32(RNG.normal(size=2))


def net(name, weight, apply):
    def init(key, *inputs):
        return {"w": jnp.asarray(weight)}, {}

    def run(params, stats, *inputs, train=True, rngs=None):
        return apply(params["w"], *inputs), stats

    return Net(name, init, run)


def G_of(w, z):
    return z @ w


def D_of(v, x):
    return (x**3 @ v[:, None])[:, 0] if isinstance(x, torch.Tensor) else x**3 @ v


def twin(ws, z, real, scale, squares, decay):
    """A gradient in G's weights as the paper's algorithm takes it: D's is divided on
    its way, by an average of its own size."""
    w = torch.tensor(ws, requires_grad=True)
    v, z, real = (torch.tensor(np.array(x)) for x in (V, z, real))
    fake = z @ w
    seen = fake.detach().requires_grad_()
    F.softplus(D_of(v, real) - D_of(v, seen)).mean().backward()
    square = seen.grad.square().sum() * seen.grad.numel()
    squares.append(decay * squares[-1] + (1 - decay) * float(square))
    normalized = seen.grad / (squares[-1] ** 0.5 + 1e-8)
    fake.backward(normalized, retain_graph=True)
    (scale * (fake - z).square().mean()).backward()
    return w.grad.numpy()


@pytest.mark.parametrize("decay", [0.0, 0.9])
def test_g_learns_as_torchs_twin_does_step_by_step(decay):
    noises = []

    def G_spied(w, z):
        jax.debug.callback(lambda z: noises.append(np.array(z)), z)
        return G_of(w, z)

    rate, scale = 0.1, lambda step: 0.5 / (1.0 + jnp.float32(step))
    model = recipes.adversarial_flow(
        net("G", W, G_spied),
        net("D", V, D_of),
        shape=(2,),
        g_tx=optax.sgd(rate),
        d_tx=optax.sgd(0.0),
        transport=scale,
        decay=decay,
    )
    batch = {"image": random.normal(random.key(1), (8, 2))}
    state, expected, squares = model.init(random.key(0), batch), W, [0.0]
    for t in range(3):
        noises.clear()
        state, metrics = model.step(state, batch, random.fold_in(random.key(2), t))
        jax.effects_barrier()
        z = noises[-1]
        gradient = twin(expected, z, batch["image"], float(scale(t)), squares, decay)
        distance = np.square(z @ expected - z).mean()
        np.testing.assert_allclose(metrics["transport"].value(), distance, rtol=1e-5)
        expected = expected - rate * gradient
        np.testing.assert_allclose(state.params["G"]["w"], expected, rtol=1e-5)
        np.testing.assert_allclose(state.memory["gradient"], squares[-1], rtol=1e-5)


def judged(n=40000, D=lambda x, key: x @ jnp.asarray(V)):
    real, fake = random.normal(random.key(3), (2, n, 2))
    return Judged(D, real, fake, D(real, None), D(fake, None), random.key(4))


def test_differences_are_r1_and_r2_on_average():
    """Of a linear D both are |v|²."""
    value, _ = differences(0.25).of(judged(), (), jnp.int32(0))
    np.testing.assert_allclose(value.mean(), 0.25 * 2 * (V**2).sum(), rtol=0.05)


def test_differences_look_at_every_so_manieth_image():
    bent = judged(8, lambda x, key: jnp.where(x[:, 0] > 90, 1e6, x @ jnp.asarray(V)))
    hidden = bent.real.at[1:4].add(1000.0).at[5:].add(1000.0)
    plain, _ = differences(1.0).of(bent, (), jnp.int32(0))
    same, _ = differences(1.0).of(bent._replace(real=hidden), (), jnp.int32(0))
    np.testing.assert_array_equal(plain, same)
    every, _ = differences(1.0, every=1).of(
        bent._replace(real=hidden), (), jnp.int32(0)
    )
    assert every.mean() > plain.mean()


def test_logits_are_centered():
    j = judged(4)
    value, _ = centered(0.5).of(j, (), jnp.int32(0))
    np.testing.assert_allclose(value, 0.5 * (j.real_logits + j.fake_logits) ** 2)


def test_d_s_loss_has_all_its_terms():
    """Of a D that learns nothing, whose penalties are of linear logits."""
    options = {"shape": (2,), "g_tx": optax.sgd(0.0), "d_tx": optax.sgd(0.0)}
    linear = net("D", V, lambda v, x: x @ v)
    model = recipes.adversarial_flow(
        net("G", W, G_of), linear, penalty=2.0, centering=0.5, **options
    )
    batch = {"image": random.normal(random.key(1), (20000, 2))}
    _, metrics = model.step(model.init(random.key(0), batch), batch, random.key(2))
    # x and G(z) are independent normals, so the sum of logits has this variance.
    variance = V @ V + V @ W.T @ W @ V
    expected = 2.0 * 2 * V @ V + 0.5 * variance
    np.testing.assert_allclose(metrics["d_penalty"].value(), expected, rtol=0.06)
    loss = metrics["d_loss"].value() - metrics["d_penalty"].value()
    deviation = variance**0.5
    points = deviation * np.random.default_rng(1).normal(size=200000)
    np.testing.assert_allclose(loss, np.log1p(np.exp(-points)).mean(), rtol=0.03)
