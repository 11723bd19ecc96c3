"""Runs of a second, of tiny networks and random images, for tests."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan import models, recipes
from jaxgan.run import Config, train

DATA_SIZE = 40


ADAM = optax.adam(1e-3)


def build(cfg, shape, num_classes, tx=ADAM):
    G, D = models.mlp.Generator(shape, (4,)), models.mlp.Discriminator((4,))
    G, D = models.flax_net("G", G), models.flax_net("D", D)
    return recipes.gan(G, D, latent_dim=3, g_tx=tx, d_tx=tx)


def build_dcgan(cfg, shape, num_classes, tx=ADAM):
    G, D = models.dcgan.networks(shape, width=2)
    G, D = models.flax_net("G", G), models.flax_net("D", D)
    return recipes.gan(G, D, latent_dim=3, g_tx=tx, d_tx=tx)


def build_diverging(cfg, shape, num_classes):
    """G's fifth update, the last thing in that step, is far too large."""
    G, D = models.mlp.Generator(shape, (4,)), models.mlp.Discriminator((4,))
    G, D = models.flax_net("G", G), models.flax_net("D", D)
    g_tx = optax.sgd(lambda n: jnp.where(n == 4, jnp.inf, 1e-3))
    return recipes.gan(G, D, latent_dim=3, g_tx=g_tx, d_tx=ADAM)


@pytest.fixture
def options(tmp_path):
    """Makes a config: tiny data, tiny run, in a folder of its own."""
    images = np.random.default_rng(0).integers(0, 256, (DATA_SIZE, 28, 28, 1), np.uint8)
    np.savez(tmp_path / "data.npz", images=images)

    def make(name, **changes):
        defaults = {
            "data": f"npz:{tmp_path / 'data.npz'}",
            "workdir": str(tmp_path / name),
            "steps": 7,
            "batch_size": 8,
            "log_every": 2,
            "sample_every": 4,
            "checkpoint_every": 3,
        }
        return Config(**(defaults | changes))

    return make


def go(cfg, build=build):
    return jax.device_get(train(cfg, build, "test")[1])


def rows(cfg):
    lines = (Path(cfg.workdir) / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def assert_same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)
