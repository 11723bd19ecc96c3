"""From a model and its data to one compiled program of any number of steps."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, random

from jaxgan import distributed, parallel
from jaxgan.data.feed import Feed
from jaxgan.phases import steps_between
from jaxgan.run import finite, memory, stages
from jaxgan.run.keys import root
from jaxgan.run.members import AXES, Member
from jaxgan.run.turns import of_all
from jaxgan.types import Mean, Metrics, Model, TrainState, UsageError, example

__all__ = ["Program", "Start", "check", "looped", "program", "start"]


def looped(step: Callable, batch: Callable, root, data_root) -> Callable:
    """Many steps in one dispatch.

    Args:
        step: `(state, batch, key) -> (state, metrics)`.
        batch: `(arrays, step, key) -> batch`.
        root: step k's key is `fold_in(root, k)`; its batch's, `fold_in(data_root, k)`.

    Returns:
        `run(state, totals, arrays, n) -> (state, totals)`: n steps, with the metrics
        added to `totals`, which has those of every stage. One program serves every n,
        so how a run is divided into dispatches changes no bit of it.
    """

    def run(state, totals, arrays, n):
        def body(_, carry):
            state, totals = carry
            here = batch(arrays, state.step, random.fold_in(data_root, state.step))
            key = random.fold_in(root, state.step)
            state, metrics = step(state, here, key)
            return state, totals | {n: totals[n] + metrics[n] for n in metrics}

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

    Raises:
        UsageError: a device has no room for it.
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
    _check_memory(held, distributed.local(mesh).devices.flat[0])
    made = jax.jit(first, out_shardings=_where(members, mesh))
    return Start(lambda: made(who), TrainState(*held))


def _check_memory(held, device):
    """Refuses a state that a device has no room for, before it is compiled."""
    own = (x.sharding.shard_shape(x.shape) for x in jax.tree.leaves(held))
    kinds = (x.dtype.itemsize for x in jax.tree.leaves(held))
    takes = sum(math.prod(shape) * size for shape, size in zip(own, kinds, strict=True))
    has = memory.limit(device)
    if has and takes > has:
        gigabytes = (
            f"{takes / 1e9:.0f} GB, and {device.device_kind} has {has / 1e9:.0f}"
        )
        reason = f"Networks and optimizers of these options take {gigabytes}"
        raise UsageError(None, None, f"{reason}; choose smaller ones.")


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


class Program(NamedTuple):
    """Steps of one run, or of several members at once, compiled.

    What is donated is the state and all that is summed. Of several processes all take
    the least n of theirs.
    """

    run: Callable
    """`(state, totals, arrays, n) -> (state, totals)`: n steps."""
    needs: Callable[..., memory.Needs | None]
    """`(state, totals, arrays)`: what memory `run` takes with them; compiles it, once
    for both."""
    good: Callable
    """`(state, totals) -> bool [] or [M]`: whether all is finite, of each member. A
    program of its own: within the other it changes bits of the steps, on a CPU."""
    bad: Callable
    """`(state, totals) -> names`: of each member, what is not finite, as phases report
    it one after another."""
    chosen: Callable
    """`(good, new, old) -> (state, totals)`: of the members that are good the new ones;
    of others the old ones, but for the step, and one more step that was left out."""
    begun: Callable[..., Metrics]
    """`begun()`, the totals of no steps; `begun(window)`, those that were saved as
    `hooks.window` makes them."""


def program(
    model_of: Callable,
    members: tuple[Member, ...],
    source: Feed,
    state,
    mesh,
    accumulate: int = 1,
) -> Program:
    """The steps of one run, or of several members at once, compiled.

    Args:
        model_of: as in `start`.
        members: as in `start`.
        source: their data, for the same seeds.
        state: where it starts.
        mesh: the devices, which share each batch or have members of their own (see
            `distributed.sharing`).
        accumulate: in how many parts of a batch each gradient is taken.
    """
    sharing = distributed.sharing(len(members), mesh)
    sound = finite.watch(state)
    order: list[str] = []
    ends = model_of(members[0].values).stages

    def parts(member) -> tuple:
        def batch(arrays, step, key):
            return source.batch(arrays, step, key, member["seed"])

        step = _in_parts(model_of(member["values"]), accumulate, sharing)
        return step, batch, *_roots(member)

    def steps(member, state, totals, arrays, n):
        n = n if jnp.ndim(n) == 0 else n.min()
        return looped(*parts(member))(state, totals, arrays, n)

    def metrics(member, state, arrays):
        step, batch, on_steps, on_data = parts(member)
        here = batch(arrays, state.step, on_data)
        found: Metrics = {}
        for span in stages.spans(ends):  # each stage's program reports its own alone
            with steps_between(*span):
                found |= (more := step(state, here, on_steps)[1])
            order[:] = _in_order(order, more)
        return found

    if len(members) > 1:
        steps = of_all(steps, source.axis, mesh, sharing)
        metrics = jax.vmap(metrics, (0, AXES, source.axis))
    who, where = _who(members), _where(members, mesh)
    shapes = jax.eval_shape(metrics, who, state, source.at(int(state.step))[0])
    placed = partial(_placed, mesh=mesh, where=where.params)
    count = len(members)
    run, needs = stages.compiled(steps, who, where, mesh, ends)
    return Program(
        run,
        needs,
        finite.good(sound, count),
        finite.bad(sound, order, count),
        finite.chosen((where, where.params), count),
        partial(_begun, shapes, count, placed),
    )


def _in_order(names, more):
    """Names of both, once, in an order that is that of each."""
    names, place = [*names], 0
    for name in more:
        if name not in names:
            names.insert(place, name)
        place = names.index(name) + 1
    return names


def _placed(tree, mesh, where):
    """Of each member, on its devices."""
    if where == parallel.replicated(mesh):
        return distributed.everywhere(tree, mesh)
    return jax.device_put(tree, where)


def _begun(shapes, count, placed, window: dict | None = None):
    """The metrics of no steps, or those that were saved."""
    skipped = jax.ShapeDtypeStruct(() if count == 1 else (count,), jnp.float32)
    shapes = shapes | {finite.SKIPPED: (skipped, skipped)}
    known = window or {}
    return placed({name: _mean(x, known.get(name)) for name, x in shapes.items()})


def _mean(mean, known):
    """A metric of no steps, or as it was saved."""
    if known is None or any(map(_unlike, mean, known)):
        known = [np.zeros(x.shape) for x in mean]
    found: Any = [np.asarray(k, x.dtype) for x, k in zip(mean, known, strict=True)]
    return Mean(*found)


def _unlike(shape, known):
    return np.shape(known) != shape.shape


def _roots(member):
    return root(member["seed"], "steps"), root(member["seed"], "data")


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
