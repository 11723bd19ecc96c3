"""Running a step on one device or many. All knowledge of devices is here.

A step is `step(state, batch, key) -> (state, metrics)` and knows nothing of devices.

- `jitted(step)`: one device.
- `sharded(step, mesh)`: the batch divided over a mesh, everything else replicated; XLA
  places the communication. BatchNorm, noise and losses see the whole batch, so the
  result is that of one device. The default, for one host or many.
- `shard_mapped(step, mesh)`: the same result with one program per device, by
  `jax.shard_map`; all communication is the means that the step takes itself.
- `pmapped(step)`: likewise, for code built on `jax.pmap`; the state's arrays carry a
  leading device axis (`replicate`, `unreplicate`).

`accumulated(step, n)` is a step that takes its gradients in n parts of the batch, one
after another, to be run in any of these ways.

All donate the state: use the returned one, the one passed in is gone.
"""

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxgan import axis
from jaxgan.types import UsageError

__all__ = [
    *("AXIS", "accumulated", "check_batch_size", "check_parts", "devices"),
    *("divided", "jitted", "mesh", "mesh_of", "over", "pmapped", "replicate"),
    *("replicated", "rounded", "shard_mapped", "sharded", "unreplicate"),
]

AXIS = "data"


def devices(platform: str = "auto") -> list:
    """The devices to run on.

    Args:
        platform: "auto" (the best that JAX finds), "cpu", "gpu" or "tpu".

    Raises:
        UsageError: JAX sees none of that platform.
    """
    if platform == "cpu":
        jax.config.update("jax_platforms", "cpu")
    try:
        every = jax.devices()
    except RuntimeError as error:
        why = str(error).splitlines()[0]
        reason = f"JAX finds no device to run on: {why}"
        raise UsageError(None, None, reason) from None
    try:
        return every if platform == "auto" else jax.devices(platform)
    except RuntimeError:
        seen = sorted({f"{d.platform} ({d.device_kind})" for d in every})
        extra = {"tpu": "tpu", "gpu": "cuda13"}[platform]
        raise UsageError(
            "platform",
            platform,
            f": JAX sees no {platform.upper()} here, only "
            f"{', '.join(seen)}; on a machine that has one, "
            f"pip install 'jaxgan[{extra}]'.",
        ) from None


def mesh(devices=None) -> Mesh:
    """A one-dimensional mesh named "data" over the devices (default: all of them)."""
    devices = jax.devices() if devices is None else devices
    return jax.make_mesh(
        (len(devices),), (AXIS,), axis_types=(AxisType.Auto,), devices=devices
    )


def mesh_of(array) -> Mesh:
    """A mesh over the devices that hold an array."""
    return mesh(sorted(array.devices(), key=lambda device: device.id))


def replicated(mesh: Mesh) -> NamedSharding:
    """A copy on every device: states, keys."""
    return NamedSharding(mesh, PartitionSpec())


def divided(mesh: Mesh, dim: int = 0) -> NamedSharding:
    """Divided over the devices along one dimension: batches."""
    return NamedSharding(mesh, PartitionSpec(*[None] * dim, AXIS))


def rounded(n: int, mesh: Mesh) -> int:
    """The next number from n up that the mesh's devices can share."""
    return -(-n // mesh.size) * mesh.size


def check_batch_size(batch_size: int, num_devices: int) -> None:
    """Refuses a batch that the devices cannot share equally.

    Raises:
        UsageError: it is not a positive multiple of `num_devices`.
    """
    if batch_size < 1 and num_devices == 1:
        raise UsageError("batch_size", batch_size, "must be 1 or more.")
    if batch_size < 1 or batch_size % num_devices:
        below = max(batch_size // num_devices, 1) * num_devices
        raise UsageError(
            "batch_size",
            batch_size,
            f"must be a positive multiple of the {num_devices} devices that share it, "
            f"such as {below} or {below + num_devices}.",
        )


def over(step, mesh: Mesh):
    """The step, told that `jit` divides its batch over a mesh's devices."""

    sharding = divided(mesh) if mesh.size > 1 else None

    def program(state, batch, key):
        with axis.divided(mesh.size, sharding):
            return step(state, batch, key)

    return program


def jitted(step):
    """The step, compiled for one device."""
    return jax.jit(step, donate_argnums=0)


def sharded(step, mesh: Mesh):
    """The step, compiled for all devices of a mesh.

    Args:
        step: `(state, batch, key) -> (state, metrics)`.
        mesh: from `mesh()`.

    Returns:
        The same function. Batches may come from the host: they are divided over the
        devices along their first axis; state and key are copied to each. It raises a
        UsageError when the devices do not divide the batch.
    """
    whole, parts = replicated(mesh), divided(mesh)

    compiled = jax.jit(
        over(step, mesh),
        in_shardings=(whole, parts, whole),
        out_shardings=(whole, whole),
        donate_argnums=0,
    )

    def run(state, batch, key):
        for x in jax.tree.leaves(batch):
            check_batch_size(x.shape[0], mesh.size)
        return compiled(state, batch, key)

    return run


def shard_mapped(step, mesh: Mesh):
    """The step as one program per device of a mesh, by `jax.shard_map`.

    Args:
        step: `(state, batch, key) -> (state, metrics)`.
        mesh: from `mesh()`.

    Returns:
        As `sharded` does, a function of the whole batch. All that devices tell each
        other are the means of gradients, metrics and BatchNorm's statistics.
    """
    whole, parts = PartitionSpec(), PartitionSpec(AXIS)
    # Unchecked: the means below are ours, and checked gradients would be sums.
    run = jax.shard_map(
        _of_a_device(step),
        mesh=mesh,
        in_specs=(whole, parts, whole),
        out_specs=(whole, whole),
        check_vma=False,
    )
    return sharded(run, mesh)


def _of_a_device(step):
    """The step of one device's share of the batch, by means over the mapped axis."""

    def program(state, batch, key):
        with axis.mapped(AXIS), axis.divided(1):
            state, metrics = step(state, batch, key)
            return state, axis.mean(metrics)

    return program


def accumulated(step, n: int):
    """The step with gradient accumulation: each gradient is the mean of n parts' of the
    batch, taken one after another, so that activations take an n-th of the memory.

    The result is that of the whole batch, but where examples meet: BatchNorm's
    statistics, a relativistic average, DRAGAN's deviation, LeCam's and ADA's means are
    of a part. What a loss remembers is the mean of what it would after each part. Noise
    is that of the whole batch if it is drawn with `axis.draw`, as here it is everywhere
    but in Flax's own Dropout; what a loss draws otherwise is the same for each part.
    Fakes that D and G share are made once more for G's gradient. Losses that take steps
    of their own, as of `recipes.unrolled`, cannot be accumulated; nor can those that
    are under `jit` themselves, which would keep the trace of one part: `jit` the step.

    Args:
        step: `(state, batch, key) -> (state, metrics)`, made of phases.
        n: how many parts; 1 is the step itself.

    Returns:
        The same kind of function, to be put through `sharded` or one of the others. It
        raises a UsageError where the batch cannot be divided.
    """
    if n < 1:
        raise UsageError("accumulate", n, "must be 1 or more.")

    def run(state, batch, key):
        for x in jax.tree.leaves(batch):
            check_parts(len(x), n, axis.devices())
        with axis.accumulating(n):
            return step(state, batch, key)

    return run


def check_parts(batch_size: int, n: int, devices: int = 1) -> None:
    """Refuses a batch of which devices cannot take n equal parts.

    Raises:
        UsageError: it is not a multiple of n times `devices`.
    """
    if batch_size < 1 or batch_size % (n * devices):
        each = "" if devices == 1 else f" on each of {devices} devices"
        reason = f"parts{each} do not divide a batch of {batch_size}."
        raise UsageError("accumulate", n, reason)


def pmapped(step, devices=None):
    """The step as one program per device.

    Args:
        step: `(state, batch, key) -> (state, metrics)`.
        devices: the devices, default all local ones.

    Returns:
        A function of `(replicated state, batch [B, ...], key)`: the batch is divided
        over the devices, the key is the same for all. The metrics are plain.

    Raises (the returned function):
        UsageError: the devices do not divide the batch.
    """
    devices = jax.local_devices() if devices is None else devices

    run = jax.pmap(
        _of_a_device(step),
        axis_name=AXIS,
        in_axes=(0, 0, None),
        out_axes=(0, None),
        devices=devices,
        donate_argnums=0,
    )

    def divide(x):
        check_batch_size(x.shape[0], len(devices))
        return x.reshape(len(devices), -1, *x.shape[1:])

    return lambda state, batch, key: run(state, jax.tree.map(divide, batch), key)


def replicate(state, devices=None):
    """A state for `pmapped`: every array with a leading axis over the devices."""
    devices = jax.local_devices() if devices is None else devices
    sharding = NamedSharding(mesh(devices), PartitionSpec(AXIS))

    def copy(x):
        stacked = np.broadcast_to(np.asarray(x), (len(devices), *x.shape))
        return jax.device_put(stacked, sharding)

    return jax.tree.map(copy, state)


def unreplicate(state):
    """The state that a `pmapped` one holds copies of."""
    return jax.tree.map(lambda x: x.addressable_shards[0].data[0], state)
