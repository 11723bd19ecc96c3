"""From a model and its data to one compiled program of any number of steps."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, random
from jax.sharding import PartitionSpec

from jaxgan import distributed, parallel
from jaxgan.data.feed import Feed
from jaxgan.run.keys import root
from jaxgan.run.members import AXES, Member
from jaxgan.types import Metrics, Model, TrainState, UsageError, example

__all__ = ["Start", "check", "looped", "program", "start"]


def looped(step: Callable, batch: Callable, root, data_root) -> Callable:
    """Many steps in one dispatch.

    Args:
        step: `(state, batch, key) -> (state, metrics)`.
        batch: `(arrays, step, key) -> batch`.
        root: step k's key is `fold_in(root, k)`; its batch's, `fold_in(data_root, k)`.

    Returns:
        `run(state, totals, arrays, n) -> (state, totals)`: n steps, with the metrics
        added to `totals`. One program serves every n, so how a run is divided into
        dispatches changes no bit of it.
    """

    def run(state, totals, arrays, n):
        def body(_, carry):
            state, totals = carry
            here = batch(arrays, state.step, random.fold_in(data_root, state.step))
            key = random.fold_in(root, state.step)
            state, metrics = step(state, here, key)
            return state, {name: totals[name] + metrics[name] for name in totals}

        return lax.fori_loop(0, n, body, (state, totals))

    return run


class Start(NamedTuple):
    """How a run begins."""

    init: Callable[[], TrainState]
    """The first state."""
    template: TrainState
    """Its structure, as `ShapeDtypeStruct`s with shardings, to restore into."""


def start(model_of: Callable, members: tuple[Member, ...], shape, mesh) -> Start:
    """The first state of one run, or of several members at once.

    Args:
        model_of: `values -> model`, of swept options.
        members: one for each; of several, all arrays but `step` have a leading axis.
        shape: (H, W, C) of a batch's images.
        mesh: the devices that hold copies of the state, or members of it (see
            `distributed.sharing`); a state is restored to those of this process.
    """

    def first(member):
        model = model_of(member["values"])
        return model.init(root(member["seed"], "weights"), example(shape))

    if len(members) > 1:
        first = jax.vmap(first, out_axes=AXES)
    who, where = _who(members), _where(members, distributed.local(mesh))
    held = [
        jax.tree.map(partial(_held, where=at), field)
        for field, at in zip(jax.eval_shape(first, who), where, strict=True)
    ]
    made = jax.jit(first, out_shardings=_where(members, mesh))
    return Start(lambda: made(who), TrainState(*held))


def _held(x, where):
    return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=where)


def _where(members, mesh):
    """The sharding of each field of a state: copies, or members on their devices."""
    whole = own = parallel.replicated(mesh)
    if distributed.sharing(len(members), mesh).size < mesh.size:
        own = parallel.divided(mesh)
    places: list[Any] = [whole if axis is None else own for axis in AXES]
    return TrainState(*places)


def check(model: Model, shape, batch_size: int, mesh, accumulate: int) -> None:
    """Refuses parts of a batch that there cannot be, or that a loss has no use for.

    Args:
        model: of one member.
        shape: (H, W, C) of a batch's images.
        batch_size: over all devices.
        mesh: the devices that share a batch.
        accumulate: in how many parts of a batch each gradient is taken.

    Raises:
        UsageError: naming `accumulate`.
    """
    parallel.check_parts(batch_size, accumulate, mesh.size)
    if accumulate > 1:  # losses find out as they are traced
        batch, key = example(shape, batch_size), root(0, "steps")
        state = jax.eval_shape(model.init, key, batch)
        step = _in_parts(model, accumulate, mesh)
        try:
            jax.eval_shape(step, state, batch, key)
        except UsageError:
            raise
        except ValueError as error:  # such as `packed`'s, of a part
            reason = f"leaves {batch_size // accumulate} images a part: {error}"
            raise UsageError("accumulate", accumulate, reason) from None


def _in_parts(model, accumulate, mesh):
    """The step, of a batch that `jit` divides over the mesh, with accumulation."""
    return parallel.over(parallel.accumulated(model.step, accumulate), mesh)


def program(
    model_of: Callable,
    members: tuple[Member, ...],
    source: Feed,
    state,
    mesh,
    accumulate: int = 1,
) -> tuple[Callable, Callable[[], Metrics]]:
    """The steps of one run, or of several members at once, compiled.

    Args:
        model_of: as in `start`.
        members: as in `start`.
        source: their data, for the same seeds.
        state: where it starts.
        mesh: the devices, which share each batch or have members of their own (see
            `distributed.sharing`).
        accumulate: in how many parts of a batch each gradient is taken.

    Returns:
        `run(state, totals, arrays, n) -> (state, totals)`, which donates state and
        totals, and `zeros()`, the totals of no steps. Of several processes all take the
        least n of theirs.
    """
    sharing = distributed.sharing(len(members), mesh)

    def step_of(member):
        return _in_parts(model_of(member["values"]), accumulate, sharing)

    def steps(member, state, totals, arrays, n):
        on_steps, on_data = _roots(member)

        def batch(arrays, step, key):
            return source.batch(arrays, step, key, member["seed"])

        step, n = step_of(member), n if jnp.ndim(n) == 0 else n.min()
        return looped(step, batch, on_steps, on_data)(state, totals, arrays, n)

    def metrics(member, state, arrays):
        on_steps, on_data = _roots(member)
        batch = source.batch(arrays, state.step, on_data, member["seed"])
        return step_of(member)(state, batch, on_steps)[1]

    if len(members) > 1:
        steps = _of_all(steps, source.axis, mesh, sharing)
        metrics = jax.vmap(metrics, (0, AXES, source.axis))
    who, where = _who(members), _where(members, mesh)
    shapes = jax.eval_shape(metrics, who, state, source.at(int(state.step))[0])

    def zeros():
        empty = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes)
        if sharing.size < mesh.size:
            return jax.device_put(empty, where.params)
        return distributed.everywhere(empty, mesh)

    compiled = jax.jit(
        lambda state, totals, arrays, n: steps(who, state, totals, arrays, n),
        donate_argnums=(0, 1),
        out_shardings=(where, where.params),  # totals as all fields but the step
    )

    def run(state, totals, arrays, n):
        return compiled(state, totals, arrays, distributed.shared_number(n, mesh))

    return run, zeros


def _roots(member):
    return (root(member["seed"], purpose) for purpose in ("steps", "data"))


def _of_all(steps, of_data, mesh, sharing):
    """The steps of all members; each device takes those of its own, if there are such.

    A CPU takes one member after another. It is faster at one product than at many small
    ones together, and a member has every bit of its single run.

    Args:
        steps: of one member.
        of_data: the axis of members of its data, or None.
        mesh: the devices.
        sharing: those that share a batch.
    """
    axes = (0, AXES, 0, of_data, None), (AXES, 0)
    on_cpu = mesh.devices.flat[0].platform == "cpu"
    every = _in_turn(steps, of_data) if on_cpu else jax.vmap(steps, *axes)
    if sharing.size == mesh.size:
        return every
    ins, outs = jax.tree.map(
        lambda axis: PartitionSpec(*[] if axis is None else [parallel.AXIS]),
        axes,
        is_leaf=lambda axis: axis is None,
    )
    return jax.shard_map(
        every, mesh=mesh, in_specs=ins, out_specs=outs, check_vma=False
    )


def _in_turn(steps, of_data):
    """What `vmap` of the steps is, by a loop over members."""

    def run(who, state, totals, arrays, n):
        def one(own):
            member, fields, totals, rows = own
            here = arrays if of_data is None else rows
            return steps(member, TrainState(state.step, *fields), totals, here, n)

        rows = None if of_data is None else arrays
        new, totals = lax.map(one, (who, tuple(state[1:]), totals, rows))
        return new._replace(step=new.step[0]), totals

    return run


def _who(members):
    """Seeds and swept values, of several members as arrays."""
    if len(members) == 1:
        return {"seed": np.uint32(members[0].seed), "values": members[0].values}
    names = members[0].values
    return {
        "seed": np.array([m.seed for m in members], np.uint32),
        "values": {n: _array([m.values[n] for m in members]) for n in names},
    }


def _array(values):
    """As JAX would have it, but of no device: each process puts it on its own."""
    return np.asarray(jnp.array(values))
