"""From a dataset to the batches of a compiled loop.

The loop runs many steps in one dispatch, so a batch is made inside it, as a function of
arrays on the device and the step. The whole dataset lies there as integers when it
fits; otherwise a background thread brings the batches of the next steps. Either way
step k's batch depends on (seed, k) alone.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, random
from jax.sharding import Mesh

from jaxgan import distributed, parallel
from jaxgan.data.dataset import Dataset, other_seed, scaled
from jaxgan.data.order import indices
from jaxgan.data.stream import prefetch

__all__ = [
    *("AHEAD", "HOST_BUDGET", "Change", "Feed"),
    *("budget", "feed", "prepare", "resident", "streamed"),
]

AHEAD = 16
"""Steps that a streamed dataset brings at a time."""

HOST_BUDGET = 4 * 2**30
"""Bytes that a resident dataset may take on a CPU, on all of its devices together; on
others, a quarter of each one's."""


class Feed(NamedTuple):
    """Batches for a loop on the device, of one run or of members of a program.

    Members take theirs by `jax.vmap(feed.batch, in_axes=(feed.axis, None, 0, 0))`, or
    one after another.
    """

    at: Callable
    """`step -> (arrays, end)`: on the device, the arrays that hold the batches of the
    steps from this one up to `end` (None: of all)."""
    batch: Callable
    """`(arrays, step, key, seed) -> batch`, traced; images are float32 in [-1, 1]. The
    key decides the changes, the seed, uint32, the order: of streamed data it is one of
    those that the feed was made for."""
    close: Callable
    axis: int | None = None
    """Where the arrays have the members: 0, or None where they are shared by all."""


class Change(NamedTuple):
    """What is done at random to the images of a batch, alike to all that is of one."""

    flip: bool = False
    """Mirror them left to right, or not."""
    crop: tuple[int, int] | None = None
    """Cut out this height and width somewhere."""


def feed(
    dataset: Dataset,
    seeds: tuple[int, ...],
    batch_size: int,
    change: Change,
    mesh: Mesh,
) -> Feed:
    """Resident if the dataset fits, streamed if not.

    Args:
        dataset: the dataset; each of its groups goes in an order of its own.
        seeds: of each member, what orders its batches; of a single run, just one.
        batch_size: B, over all devices together.
        change: what is done at random to its images.
        mesh: the devices.
    """
    if dataset.nbytes <= budget(mesh):
        return resident(dataset, batch_size, change, mesh, len(seeds))
    return streamed(dataset, seeds, batch_size, change, mesh)


def budget(mesh: Mesh) -> int:
    """Bytes that a resident dataset may take on each device."""
    here = distributed.local(mesh)
    stats = here.devices.flat[0].memory_stats() or {}
    found = stats["bytes_limit"] // 4 if stats else HOST_BUDGET // here.size
    return distributed.least(found)


def resident(dataset, batch_size, change, mesh, members: int = 1) -> Feed:
    """All images on every device; batches are gathered there, for so many members."""
    sharing = distributed.sharing(members, mesh)
    groups = dataset.groups
    arrays = tuple(group.fetch(np.arange(group.size)) for group in groups)
    arrays = distributed.everywhere(arrays, mesh)

    def batch(arrays, step, key, seed):
        rows = []
        for i, (group, of_group) in enumerate(zip(groups, arrays, strict=True)):
            seed_of = other_seed(seed, i)
            index = indices(seed_of, step, batch_size, group.size, xp=jnp)
            take = partial(_take, index=index)
            rows.append(jax.tree.map(take, of_group))
        return _together(rows, key, change, sharing)

    return Feed(lambda step: (arrays, None), batch, lambda: None)


def streamed(dataset, seeds, batch_size, change, mesh) -> Feed:
    """Blocks of `AHEAD` batches, fetched by a thread while the device computes; of
    several processes each fetches the rows of its own devices."""
    members, sharing = len(seeds) > 1, distributed.sharing(len(seeds), mesh)
    apart = sharing.size < mesh.size
    mine = distributed.rows_here(sharing, batch_size)
    # Of what is divided over the devices, members or their batches, axis and length.
    dim, length = (0, len(seeds)) if apart else (1 + members, batch_size)
    source = current = None

    def block_of(group, number, seed, first):
        seed_of, steps = other_seed(seed, number), range(first, first + AHEAD)
        index = [indices(seed_of, step, batch_size, group.size) for step in steps]
        rows = group.fetch(np.concatenate([rows[mine] for rows in index]))
        return {k: v.reshape(AHEAD, -1, *v.shape[1:]) for k, v in rows.items()}

    def make(block):
        first, found = block * AHEAD, []
        for i, group in enumerate(dataset.groups):
            of_each = [block_of(group, i, seed, first) for seed in seeds]
            stacked = jax.tree.map(lambda *x: np.stack(x), *of_each)
            found.append(stacked if members else of_each[0])
        return block, distributed.shared_rows(tuple(found), mesh, length, dim)

    def at(step):
        nonlocal source, current
        block = step // AHEAD
        if current is not None and block < current[0]:  # steps that are taken again
            source.close()
            source = current = None
        if source is None:
            source = prefetch(make, block)
        while current is None or current[0] < block:
            current = next(source)
        return current[1], (block + 1) * AHEAD

    def batch(arrays, step, key, seed):
        rows = [jax.tree.map(lambda x: x[step % AHEAD], x) for x in arrays]
        return _together(rows, key, change, sharing)

    def close():
        if source is not None:
            source.close()

    return Feed(at, batch, close, 0 if members else None)


def _take(x, index):
    return x.at[index].get(mode="clip")


def _together(rows, key, change, sharing):
    """The batch that rows of each group make up, each changed by a key of its own."""
    keys = random.split(key, len(rows)) if len(rows) > 1 else [key]
    batch: dict[str, jax.Array] = {}
    for of_group, group_key in zip(rows, keys, strict=True):
        batch |= prepare(of_group, group_key, change, sharing)
    return batch


def prepare(rows, key, change: Change, sharing: Mesh):
    """Integer images to float32 in [-1, 1], changed at random if asked, and divided
    over the devices that share them."""
    on_flip, on_crop = random.split(key)
    n, h, w = next(x.shape[:3] for x in rows.values() if x.ndim == 4)
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
    if sharing.size == 1:
        return batch
    return lax.with_sharding_constraint(batch, parallel.divided(sharing))


def _cut(x, corner, size):
    start = (*corner, *[0] * (x.ndim - 2))
    return lax.dynamic_slice(x, start, (*size, *x.shape[2:]))
