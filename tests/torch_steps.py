"""Steps of jaxgan and of PyTorch from the same weights on the same noise, in float64.

A module of tests imports the fixtures that it is to run under.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from jax import random

from jaxgan import axis

SGD = (optax.sgd(0.005), partial(torch.optim.SGD, lr=0.005))
ADAM = (
    optax.adam(2e-4, b1=0.5),
    partial(torch.optim.Adam, lr=2e-4, betas=(0.5, 0.999)),
)


@pytest.fixture(autouse=True)
def float64():
    """In float32, ten steps of a GAN part at a ReLU whose input is nearly 0."""
    jax.config.update("jax_enable_x64", True)
    # Flax's BatchNorm compares its dtype with float32, which "strict" forbids.
    with jax.numpy_dtype_promotion("standard"):
        yield
    jax.config.update("jax_enable_x64", False)


@pytest.fixture(autouse=True)
def one_torch_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def drawn(sample, shape, *args, minval=0.0):
    """What `sample` of `jax.random` could draw, the same for the same shape."""
    rng = np.random.default_rng(math.prod(shape))
    if sample is random.normal:
        return rng.normal(size=shape)
    if sample is random.randint:
        return rng.integers(*args, size=shape)
    assert sample is random.uniform
    return rng.uniform(minval, 1, shape)


@pytest.fixture
def known_noise(monkeypatch):
    """What recipes draw is `drawn`'s, in every step."""

    def draw(sample, key, shape, *args, **kwargs):
        return jnp.asarray(drawn(sample, shape, *args, **kwargs))

    monkeypatch.setattr(axis, "draw", draw)


def start(gan, batch, rng):
    """A state shaped as `gan.init` makes it, with random weights, biases too, and
    random vectors of spectral norms."""

    def zeros(x):
        return np.zeros(x.shape, float if x.dtype == np.float32 else x.dtype)

    def weights(x):
        return rng.normal(size=x.shape) / np.sqrt(np.prod(x.shape[:-1]))

    shapes = jax.eval_shape(gan.init, jax.random.key(0), batch)
    state = jax.tree.map(zeros, shapes)
    stats = {
        name: of | {k: jax.tree.map(weights, of[k]) for k in of if k == "spectral"}
        for name, of in state.stats.items()
    }
    return state._replace(params=jax.tree.map(weights, state.params), stats=stats)


def same_losses(model, state, batches, theirs):
    """Takes both sides' steps; the state after them.

    Args:
        model: jaxgan's.
        state: where it begins.
        batches: one for each step, of arrays.
        theirs: the twin's step, `batch -> (d_loss, g_loss)`, of tensors.
    """
    ours = jax.jit(model.step)
    for i, batch in enumerate(batches):
        state, metrics = ours(state, batch, jax.random.key(i))
        given = {k: torch.tensor(np.array(x)) for k, x in batch.items()}
        pair = theirs(
            {k: x.movedim(-1, 1) if x.ndim == 4 else x for k, x in given.items()}
        )
        for name, their in zip(("d_loss", "g_loss"), pair, strict=True):
            # metrics are float32
            np.testing.assert_allclose(metrics[name].value(), their.item(), 1e-6)
    return state


def same_weights(new, theirs, first):
    """Tensors by name, of jaxgan and of the twin, which were the `first` alike."""
    assert new.keys() == theirs.keys() == first.keys()
    went = max(float((theirs[name] - w).abs().max()) for name, w in first.items())
    assert went > 1e-5
    for name, w in theirs.items():
        assert new[name].dtype == w.dtype == torch.float64
        np.testing.assert_allclose(new[name], w, rtol=0, atol=1e-6 * went, err_msg=name)
