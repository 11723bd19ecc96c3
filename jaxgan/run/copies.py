"""Copies of arrays on the host, whose devices may be those of many processes."""

import jax
import numpy as np

__all__ = ["back", "copied", "host", "parts"]


def copied(tree, into=None):
    """Arrays on the host, one of each part that this process has of them.

    Args:
        tree: arrays on devices.
        into: an older copy of the like, which is written over.
    """
    if into is not None:
        for x, (_, held) in zip(jax.tree.leaves(tree), into[1], strict=True):
            for index, part in parts(x).items():
                np.copyto(held[index], part)
        return into
    leaves, structure = jax.tree.flatten(tree)
    copies = [
        (x.sharding, {index: np.array(part) for index, part in parts(x).items()})
        for x in leaves
    ]
    return structure, copies, [x.shape for x in leaves]


def parts(x: jax.Array) -> dict[str, jax.Array]:
    """What this process has of an array, each part once, by where it lies in it."""
    return {str(shard.index): shard.data for shard in x.addressable_shards}


def back(copy):
    """The arrays of a copy, on their devices; they may be donated."""
    structure, copies, shapes = copy

    def one(sharding, held, shape):
        places = sharding.addressable_devices_indices_map(shape)
        # A copy: on a CPU, an array may be the very memory that it is made of.
        own = [jax.device_put(np.array(held[str(i)]), d) for d, i in places.items()]
        return jax.make_array_from_single_device_arrays(shape, sharding, own)

    leaves = [
        one(where, held, shape)
        for (where, held), shape in zip(copies, shapes, strict=True)
    ]
    return jax.tree.unflatten(structure, leaves)


def host(copy):
    """The arrays of a copy as numpy's, of which this process has the whole in one part,
    or in parts one after another."""
    structure, copies, _ = copy
    leaves = [
        np.concatenate([*map(np.atleast_1d, held.values())]) for _, held in copies
    ]
    return jax.tree.unflatten(structure, leaves)
