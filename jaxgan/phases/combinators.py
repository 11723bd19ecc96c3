"""Phases that are made of other phases.

Where a phase runs beside others, or may not run (`conditions`), what it writes must be
known: that is what `Phase.writes` declares, beside what follows from `Phase.trains`.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import random

from jaxgan.types import Metrics, Phase, TrainState, merge

__all__ = [
    "carry",
    "chain",
    "game",
    "ran",
    "repeat",
    "together",
    "written",
]


def chain(*phases: Phase) -> Phase:
    """Phases from left to right, each with a key of its own.

    Raises:
        ValueError: two of them train one network with different optimizers.
    """
    trains: dict[str, tuple] = {}
    for phase in phases:
        for n, updates in phase.trains.items():
            trains[n] = trains.get(n, ()) + updates
            if any(tx is not trains[n][0] for tx in updates):
                raise ValueError(
                    f"chain: two phases train {n!r} with different optimizers, but a "
                    "network has one optimizer state; pass both the same tx object."
                )

    def init(state):
        for phase in phases:
            state = phase.init(state)
        return state

    def step(state, batch, key):
        metrics: Metrics = {}
        for phase, k in zip(phases, random.split(key, len(phases)), strict=True):
            state, new = phase.step(state, batch, k)
            metrics = _joined(metrics, new)
        return state, metrics

    writes = frozenset().union(*(phase.writes for phase in phases))
    return Phase(init, step, trains, writes)


def _joined(metrics, new):
    """Metrics of both; of one name, their mean."""
    both = {n: metrics[n] + new[n] for n in metrics.keys() & new.keys()}
    return metrics | new | both


def written(phase: Phase) -> frozenset:
    """`(field, name)` of every entry of the state that a phase writes."""
    trained = {(field, n) for n in phase.trains for field in ("params", "opt")}
    return phase.writes | trained


def ran(who, phase, state, batch, key):
    """A phase's step: what it wrote, `{field: {name: entry}}`, and its metrics.

    Raises:
        ValueError: it wrote what it does not declare.
    """
    after, metrics = phase.step(state, batch, key)
    declared = written(phase)
    found: dict[str, dict] = {field: {} for field in TrainState._fields[1:]}
    if after.step is not state.step:
        raise ValueError(f"{who}: a phase counts `step`, which only `game` may do.")
    for field, entries in found.items():
        old = getattr(state, field)
        for n, entry in getattr(after, field).items():
            if (field, n) in declared:
                entries[n] = entry
            elif n not in old or not _same(old[n], entry):
                hint = ", as `carry` does" if field == "memory" else ""
                raise ValueError(
                    f"{who}: a phase writes {field}[{n!r}], which it does not declare; "
                    f"add {(field, n)} to its `writes`{hint}."
                )
    return found, metrics


def _same(old, new):
    a, b = jax.tree.leaves(old), jax.tree.leaves(new)
    return len(a) == len(b) and all(x is y for x, y in zip(a, b, strict=True))


def repeat(n: int, phase: Phase) -> Phase:
    """The phase n times in one step, on the same batch, each time with a new key."""
    return chain(*[phase] * n)


def together(*phases: Phase) -> Phase:
    """Phases that all start from the same state; `chain` goes from one to the next.

    Simultaneous updates, which theory is of: each player answers what the others were,
    on the same noise, since all are given the same key.

    Args:
        *phases: each trains networks of its own.

    Raises:
        ValueError: two of them train one network, or write one entry of the state.
    """
    joined = chain(*phases)
    for n in joined.trains:
        if (times := sum(n in phase.trains for phase in phases)) > 1:
            raise ValueError(f"together: {n!r} is trained by {times} phases.")
    seen: frozenset = frozenset()
    for phase in phases:
        for field, n in sorted(seen & written(phase)):
            raise ValueError(f"together: two phases write {field}[{n!r}].")
        seen |= written(phase)

    def step(state, batch, key):
        new: dict[str, dict] = {field: {} for field in TrainState._fields[1:]}
        metrics: Metrics = {}
        for phase in phases:
            entries, found = ran("together", phase, state, batch, key)
            new = {field: new[field] | entries[field] for field in new}
            metrics = _joined(metrics, found)
        return merge(state, **new), metrics

    return joined._replace(step=step)


def carry(name: str, value: Any, phase: Phase) -> Phase:
    """Keeps something from one step to the next: path-length means, LeCam's anchors.

    The phase's losses read `state.memory[name]`. What they return as `name` in their
    memory, beside value and metrics, is its new value, any tree of arrays shaped as
    `value`, its first value. Where devices, or parts of a batch, return one each, their
    mean is kept.
    """

    def init(state):
        first = jax.tree.map(jnp.array, value)
        return phase.init(merge(state, memory={name: first}))

    def step(state, batch, key):
        new, metrics = phase.step(state, batch, key)
        forgotten = new.memory[name] is state.memory[name]
        if forgotten and jax.tree.leaves(value):
            raise ValueError(f"carry: no loss of the phase returns a memory {name!r}.")
        return new, metrics

    writes = phase.writes | {("memory", name)}
    return Phase(init, step, phase.trains, writes)


def game(nets, *phases: Phase) -> tuple[Callable, Callable]:
    """A whole GAN: its networks, its phases in order, and the step counter.

    Args:
        nets: the networks (`models.net.Net`), each of a name of its own.
        *phases: what one step does.

    Returns:
        `(init, step)`: `init(key, inputs)` makes the first `TrainState`, `inputs[n]` is
        the tuple of example inputs (or `ShapeDtypeStruct`s) of network n; `step` is a
        phase's.
    """
    inner = chain(*phases)
    names = [net.name for net in nets]
    if len(set(names)) < len(names):
        raise ValueError(f"game: networks need names of their own; got {names}.")
    if unknown := set(inner.trains) - set(names):
        raise ValueError(f"game: {sorted(unknown)} is trained but not among {names}.")

    def init(key, inputs) -> TrainState:
        params, stats = {}, {}
        for net, k in zip(nets, random.split(key, len(nets)), strict=True):
            params[net.name], stats[net.name] = net.init(k, *inputs[net.name])
        return inner.init(TrainState(jnp.int32(0), params, stats, {}, {}, {}))

    def step(state, batch, key):
        state, metrics = inner.step(state, batch, key)
        return state._replace(step=state.step + 1), metrics

    return init, step
