"""From a dataset to the batches of a compiled loop.

The loop runs many steps in one dispatch, so a batch is made inside it, as a function of
arrays on the device and the step. The whole dataset lies there as uint8 when it fits;
otherwise a background thread brings the batches of the next steps. Either way step k's
batch depends on (seed, k) alone.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, random
from jax.sharding import Mesh

from jaxgan import parallel
from jaxgan.data import Dataset, indices, prefetch

AHEAD = 16
"""Steps that a streamed dataset brings at a time."""

HOST_BUDGET = 4 * 2**30
"""Bytes that a resident dataset may take on a CPU; on others, a quarter of theirs."""


class Feed(NamedTuple):
    """Batches for a loop on the device."""

    at: Callable
    """`step -> (arrays, end)`: on the device, the arrays that hold the batches of the
    steps from this one up to `end` (None: of all)."""
    batch: Callable
    """`(arrays, step, key) -> batch`, traced; images are float32 in [-1, 1]."""
    close: Callable


def feed(dataset: Dataset, seed: int, batch_size: int, flip: bool, mesh: Mesh) -> Feed:
    """Resident if the dataset fits, streamed if not."""
    make = resident if dataset.nbytes <= budget(mesh) else streamed
    return make(dataset, seed, batch_size, flip, mesh)


def budget(mesh: Mesh) -> int:
    """Bytes that a resident dataset may take on each device."""
    stats = mesh.devices.flat[0].memory_stats() or {}
    return stats.get("bytes_limit", 4 * HOST_BUDGET) // 4


def resident(dataset, seed, batch_size, flip, mesh) -> Feed:
    """All images on every device; batches are gathered there."""
    arrays = dataset.fetch(np.arange(dataset.size))
    arrays = jax.device_put(arrays, parallel.replicated(mesh))

    def batch(arrays, step, key):
        index = indices(seed, step, batch_size, dataset.size, xp=jnp)
        rows = jax.tree.map(lambda x: x.at[index].get(mode="clip"), arrays)
        return prepare(rows, key, flip, mesh)

    return Feed(lambda step: (arrays, None), batch, lambda: None)


def streamed(dataset, seed, batch_size, flip, mesh) -> Feed:
    """Blocks of `AHEAD` batches, fetched by a thread while the device computes."""
    sharding = parallel.divided(mesh, dim=1)
    source = current = None

    def make(block):
        first = block * AHEAD
        index = [
            indices(seed, s, batch_size, dataset.size)
            for s in range(first, first + AHEAD)
        ]
        rows = dataset.fetch(np.concatenate(index))
        stacked = {k: v.reshape(AHEAD, -1, *v.shape[1:]) for k, v in rows.items()}
        return block, jax.device_put(stacked, sharding)

    def at(step):
        nonlocal source, current
        block = step // AHEAD
        if source is None:
            source = prefetch(make, block)
        while current is None or current[0] < block:
            current = next(source)
        return current[1], (block + 1) * AHEAD

    def batch(arrays, step, key):
        rows = jax.tree.map(lambda x: x[step % AHEAD], arrays)
        return prepare(rows, key, flip, mesh)

    return Feed(at, batch, lambda: source and source.close())


def prepare(rows, key, flip: bool, mesh: Mesh):
    """uint8 images to float32 in [-1, 1], mirrored at random if asked, and divided."""
    x = rows["image"].astype(jnp.float32) / 127.5 - 1
    if flip:
        mirror = random.bernoulli(key, 0.5, (x.shape[0], 1, 1, 1))
        x = jnp.where(mirror, x[:, :, ::-1], x)
    return lax.with_sharding_constraint(rows | {"image": x}, parallel.divided(mesh))
