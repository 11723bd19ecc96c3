"""From a dataset to the batches of a compiled loop.

The loop runs many steps in one dispatch, so a batch is made inside it, as a function of
arrays on the device and the step. The whole dataset lies there as uint8 when it fits;
otherwise a background thread brings the batches of the next steps. Either way step k's
batch depends on (seed, k) alone.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, random
from jax.sharding import Mesh

from jaxgan import parallel
from jaxgan.data import Dataset, indices, other_seed, prefetch, scaled

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


class Change(NamedTuple):
    """What is done at random to the images of a batch, alike to all that is of one."""

    flip: bool = False
    """Mirror them left to right, or not."""
    crop: tuple[int, int] | None = None
    """Cut out this height and width somewhere."""


def feed(
    dataset: Dataset, seed: int, batch_size: int, change: Change, mesh: Mesh
) -> Feed:
    """Resident if the dataset fits, streamed if not."""
    if dataset.unpaired:
        alone = dataset._replace(unpaired=None)
        images = feed(alone, seed, batch_size, change, mesh)
        args = other_seed(seed), batch_size, change, mesh
        return _joined(images, feed(dataset.unpaired, *args))
    make = resident if dataset.nbytes <= budget(mesh) else streamed
    return make(dataset, seed, batch_size, change, mesh)


def _joined(images: Feed, others: Feed) -> Feed:
    """Both, the others' images as "input"."""

    def at(step):
        (a, end_a), (b, end_b) = images.at(step), others.at(step)
        return (a, b), min((e for e in (end_a, end_b) if e), default=None)

    def batch(arrays, step, key):
        here, there = random.split(key)
        rows = images.batch(arrays[0], step, here)
        return rows | {"input": others.batch(arrays[1], step, there)["image"]}

    def close():
        images.close()
        others.close()

    return Feed(at, batch, close)


def budget(mesh: Mesh) -> int:
    """Bytes that a resident dataset may take on each device."""
    stats = mesh.devices.flat[0].memory_stats() or {}
    return stats.get("bytes_limit", 4 * HOST_BUDGET) // 4


def resident(dataset, seed, batch_size, change, mesh) -> Feed:
    """All images on every device; batches are gathered there."""
    arrays = dataset.fetch(np.arange(dataset.size))
    arrays = jax.device_put(arrays, parallel.replicated(mesh))

    def batch(arrays, step, key):
        index = indices(seed, step, batch_size, dataset.size, xp=jnp)
        rows = jax.tree.map(lambda x: x.at[index].get(mode="clip"), arrays)
        return prepare(rows, key, change, mesh)

    return Feed(lambda step: (arrays, None), batch, lambda: None)


def streamed(dataset, seed, batch_size, change, mesh) -> Feed:
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
        return prepare(rows, key, change, mesh)

    return Feed(at, batch, lambda: source and source.close())


def prepare(rows, key, change: Change, mesh: Mesh):
    """uint8 images to float32 in [-1, 1], changed at random if asked, and divided."""
    on_flip, on_crop = random.split(key)
    n, h, w = rows["image"].shape[:3]
    mirror = random.bernoulli(on_flip, 0.5, (n,))
    if change.crop:
        room = h - change.crop[0], w - change.crop[1]
        keys = random.split(on_crop)
        places = [
            random.randint(k, (n,), 0, r + 1) for k, r in zip(keys, room, strict=True)
        ]
        corner = jnp.stack(places, 1)

    def one(x):
        if x.ndim < 3:
            return x
        if change.flip:
            across = mirror.reshape(n, *[1] * (x.ndim - 1))
            x = jnp.where(across, x[:, :, ::-1], x)
        if change.crop:
            x = jax.vmap(partial(_cut, size=change.crop))(x, corner)
        return x

    batch = {name: one(x) for name, x in scaled(rows).items()}
    return lax.with_sharding_constraint(batch, parallel.divided(mesh))


def _cut(x, corner, size):
    start = (*corner, *[0] * (x.ndim - 2))
    return lax.dynamic_slice(x, start, (*size, *x.shape[2:]))
