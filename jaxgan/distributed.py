"""Several processes that train together, as on a TPU pod or a GPU cluster.

Each process runs the same program, after `jax.distributed.initialize`, and sees its own
devices as `jax.local_devices()` and all as `jax.devices()`. A mesh over all of them
makes `parallel.sharded` one step of the whole cluster:

    mesh = parallel.mesh()
    step = parallel.sharded(gan.step, mesh)
    state = distributed.everywhere(gan.init(key, example), mesh)
    for mine in batches:  # B / jax.process_count() rows of this process's own
        state, metrics = step(state, distributed.from_each(mine, mesh), key)

With one process all of this is what it is without. Where processes are to agree, each
calls the same function in the same order.
"""

import functools

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxgan import parallel
from jaxgan.types import UsageError

__all__ = [
    *("alone", "broadcast", "everywhere", "from_each", "gathered", "here", "least"),
    *("local", "meet", "primary", "rows_here", "shared_rows", "sharing"),
]


def alone() -> bool:
    """Whether this is the only process."""
    return jax.process_count() == 1


def primary() -> bool:
    """Whether this is process 0, the one that writes files."""
    return jax.process_index() == 0


def local(mesh: Mesh) -> Mesh:
    """Those devices of a mesh that are this process's own; of one process, the mesh."""
    own = [d for d in mesh.devices.flat if d.process_index == jax.process_index()]
    return mesh if len(own) == mesh.size else parallel.mesh(own)


def sharing(members: int, mesh: Mesh) -> Mesh:
    """The devices that share each batch: all, or where members of a program can be
    divided over them, one. Then no device waits for another.

    Args:
        members: how many runs are one program. They are divided where there are as
            many on each device, which are all of this process.
        mesh: all devices.
    """
    divided = members > 1 and members % mesh.size == 0 and alone()
    return parallel.mesh(mesh.devices.flat[:1]) if divided else mesh


def everywhere(tree, mesh: Mesh):
    """Arrays that are the same in every process, as copies on each device of a mesh.

    Args:
        tree: arrays of this process, whole; that the others have the same is not
            looked at.
        mesh: over the devices of all processes.
    """
    whole = parallel.replicated(mesh)
    if alone():
        return jax.device_put(tree, whole)

    def copied(x):
        x = np.asarray(x)
        return jax.make_array_from_callback(x.shape, whole, lambda index: x[index])

    return jax.tree.map(copied, tree)


def here(tree):
    """Arrays that are copied on each device, as arrays of this process's devices.

    Such are states and metrics that a step returns. Nothing is copied or moved.
    """
    if alone():
        return tree

    def own(x):
        parts = [shard.data for shard in x.addressable_shards]
        sharding = _whole(tuple(part.device for part in parts))
        return jax.make_array_from_single_device_arrays(x.shape, sharding, parts)

    return jax.tree.map(own, tree)


@functools.cache
def _whole(devices):
    return parallel.replicated(parallel.mesh(devices))


def meet(mesh: Mesh) -> None:
    """All processes tell one another of all devices of a mesh.

    What they need for that is made here, where none is late: of CPUs, half a minute is
    all that one waits for another, such as for one that compiles longer.
    """
    if not alone():
        least = jax.jit(lambda n: n.min(), out_shardings=parallel.replicated(mesh))
        jax.block_until_ready(least(shared_number(0, mesh)))


def from_each(batch, mesh: Mesh):
    """A batch of which each process has its own part.

    Args:
        batch: arrays `[B / processes, ...]`; the whole is theirs in the order of the
            mesh's devices.
        mesh: over the devices of all processes.

    Raises:
        UsageError: this process's devices do not divide its part.
    """
    sharding, own = parallel.divided(mesh), local(mesh).size

    def whole(x):
        if len(x) % own or not len(x):
            reason = f"rows of a process are not divided by its {own} devices."
            raise UsageError("batch", len(x), reason)
        return jax.make_array_from_process_local_data(sharding, np.asarray(x))

    return jax.tree.map(whole, batch)


def rows_here(mesh: Mesh, size: int) -> np.ndarray:
    """Which rows of a batch of `size` the devices of this process take: int `[n]`, in
    the order of `shared_rows`."""
    places = parallel.divided(mesh).addressable_devices_indices_map((size,))
    return np.concatenate([np.arange(size)[index] for index in places.values()])


def shared_rows(tree, mesh: Mesh, size: int, dim: int = 0):
    """The batches of all processes as arrays over all devices.

    Args:
        tree: arrays whose dimension `dim` has this process's rows, of `rows_here`.
        mesh: over the devices of all processes.
        size: of the whole batch.
        dim: which dimension that is.
    """
    if alone():
        return jax.device_put(tree, parallel.divided(mesh, dim))
    sharding = parallel.divided(mesh, dim)

    def whole(x):
        shape = (*x.shape[:dim], size, *x.shape[dim + 1 :])
        devices = parallel.divided(mesh).addressable_devices_indices_map((size,))
        each = np.split(x, len(devices), dim)
        parts = [jax.device_put(*one) for one in zip(each, devices, strict=True)]
        return jax.make_array_from_single_device_arrays(shape, sharding, parts)

    return jax.tree.map(whole, tree)


def shared_number(value: int, mesh: Mesh):
    """A number of this process's own, for a compiled program of all: int32 `[devices]`.

    Such as how many steps it would take; of their least, all know the same. Of one
    process it is the number itself.
    """
    if alone():
        return value
    one = np.full(1, value, np.int32)
    sharding = NamedSharding(mesh, PartitionSpec(parallel.AXIS))
    return jax.make_array_from_callback((mesh.size,), sharding, lambda index: one)


def broadcast(data: bytes | None) -> bytes:
    """What process 0 has, in every process.

    Args:
        data: read of process 0 alone.
    """
    if alone():
        return data or b""
    data = data if data is not None and primary() else b""
    size = np.array(divmod(len(data), 2**30), np.int32)  # a state may have 2 GiB
    high, low = multihost_utils.broadcast_one_to_all(size).tolist()
    padded = np.zeros(high * 2**30 + low, np.uint8)
    padded[: len(data)] = np.frombuffer(data, np.uint8)
    return np.asarray(multihost_utils.broadcast_one_to_all(padded)).tobytes()


def gathered(data: bytes) -> list[bytes]:
    """What each process has, in every process, in their order."""
    if alone():
        return [data]
    size = np.ravel(multihost_utils.process_allgather(np.int32(len(data))))
    padded = np.zeros(max(1, *size), np.uint8)
    padded[: len(data)] = np.frombuffer(data, np.uint8)
    rows = np.asarray(multihost_utils.process_allgather(padded)).reshape(len(size), -1)
    return [row[:n].tobytes() for row, n in zip(rows, size, strict=True)]


def least(value: int) -> int:
    """The least of what the processes have."""
    return min(int(one) for one in gathered(str(value).encode()))
