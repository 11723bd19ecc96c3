"""Members: many runs of one experiment as one program, `vmap` over its state.

A member has a seed of its own and values of its own of some options. Everything about
it is that of the single run with these: weights, noise and order of the data. Only
`TrainState.step` is shared, or a phase that runs on every n-th step would run on all.
"""

import contextlib
import itertools
import math
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxgan import parallel, phases
from jaxgan.data import decoding
from jaxgan.run import config, settings
from jaxgan.types import TrainState, UsageError

__all__ = [
    *("AXES", "Member", "chosen", "divide_cpu", "member_of", "members", "stacked"),
    "varied",
]

AXES = TrainState(None, 0, 0, 0, 0, 0)  # type: ignore[arg-type]  # axes, not arrays
"""Over which axis of its fields members of a state are stacked."""


MOST = 10_000
"""Members of a run."""


class Member(NamedTuple):
    """One of the runs."""

    seed: int
    values: dict[str, float]
    """Swept options."""

    @property
    def name(self) -> str:
        """What tables call it."""
        swept = (f"{name} {value:g}" for name, value in self.values.items())
        return ", ".join([f"seed {self.seed}", *swept])


def members(cfg: config.Config) -> tuple[Member, ...]:
    """The members of a run, one or more; each combination of value and seed.

    Raises:
        UsageError: what is swept is no such option, no number, or out of range.
    """
    swept = [_values(cfg, text) for text in cfg.sweep]
    names = [name for name, _ in swept]
    if len(set(names)) < len(names):
        raise UsageError("sweep", " ".join(cfg.sweep), "names an option twice.")
    count = cfg.seeds * math.prod(len(values) for _, values in swept)
    if count > MOST:
        many = f": {count} members are more than {MOST}."
        if swept:
            raise UsageError("sweep", " ".join(cfg.sweep), many)
        raise UsageError("seeds", cfg.seeds, many)
    found = []
    for combination in itertools.product(*(values for _, values in swept)):
        values = dict(zip(names, combination, strict=True))
        config.check(settings.changed(cfg, **values))
        for i in range(cfg.seeds):
            found.append(Member((cfg.seed + i) % 2**32, values))
    return tuple(found)


def _values(cfg, text):
    name, _, listed = text.partition("=")
    name = name.strip("-").replace("-", "_")
    known = settings.known(type(cfg))
    floats = [o.name for o in known.values() if o.type is float]
    if name not in floats:
        raise UsageError(
            "sweep",
            text,
            f": it is NAME=VALUE,VALUE,... of one of {', '.join(floats)}.",
        )
    try:
        values = [float(value) for value in listed.split(",")]
    except ValueError:
        reason = f": give numbers, such as {name}=0.001,0.01."
        raise UsageError("sweep", text, reason) from None
    if len(set(values)) < len(values):
        raise UsageError("sweep", text, "gives a value twice.")
    return name, values


_divided = False
"""Whether `divide_cpu` decided how many devices the CPU is."""


def divide_cpu(count: int) -> None:
    """Has JAX see the CPU as several devices, each with as many of so many members.

    They have a core each, or more. Nothing is done where JAX has looked for its devices
    already, or how many they are has been decided by XLA_FLAGS or jax_num_cpu_devices.
    """
    global _divided
    decided = jax.config.jax_num_cpu_devices  # type: ignore[attr-defined]  # as below
    flags = os.environ.get("XLA_FLAGS", "")
    by_flag = "xla_force_host_platform_device_count" in flags
    if by_flag or (decided > 0 and not _divided):
        return
    with contextlib.suppress(RuntimeError):  # JAX knows its devices
        jax.config.update("jax_num_cpu_devices", _equal(count, decoding.cores()))
        _divided = True


def chosen(devices: list, count: int) -> list:
    """The devices that so many members use: all, or of a CPU that `divide_cpu` has
    divided, perhaps for another run, as many as have equally many members; a single run
    has one."""
    divided = _divided and devices[0].platform == "cpu"
    return devices[: _equal(count, len(devices))] if divided else devices


def _equal(count, most):
    """The largest number of devices up to `most` with equally many members."""
    return next(n for n in range(min(count, most), 0, -1) if count % n == 0)


def varied(build: Callable, cfg, shape, num_classes: int) -> Callable:
    """`values -> model`, the model of a member, whose swept options may be traced.

    Args:
        build: `(config, shape, num_classes) -> Model`.
        cfg: the options that are the same for all.
        shape: (H, W, C).
        num_classes: of the data.

    Raises (the returned function):
        UsageError: the experiment decides by a swept option what is built.
    """

    def model(values: dict[str, Any]):
        try:
            model = build(settings.changed(cfg, **values), shape, num_classes)
        except jax.errors.ConcretizationTypeError:
            raise UsageError(
                "sweep",
                " ".join(cfg.sweep),
                ": this experiment builds other networks or phases for other values of "
                "it; run one after the other.",
            ) from None
        kept = cfg.posthoc_ema
        return phases.with_power_ema(model, kept) if kept else model

    return model


def stacked(states) -> TrainState:
    """One state of many, whose arrays but the step have a leading axis of members."""
    fields = TrainState(*(s for s in states[0]))
    rest = [jax.tree.map(lambda *x: jnp.stack(x), *(s[1:] for s in states))]
    return TrainState(fields.step, *rest[0])


def template_of(stack: TrainState, where) -> TrainState:
    """The structure of one member of a stack's.

    Args:
        stack: `ShapeDtypeStruct`s.
        where: the member's sharding.
    """

    def row(x):
        return jax.ShapeDtypeStruct(x.shape[1:], x.dtype, sharding=where)

    return TrainState(stack.step, *jax.tree.map(row, tuple(stack[1:])))


def member_of(state: TrainState, k: int) -> TrainState:
    """One member of a stack; where members are divided over devices, on all of them."""
    return TrainState(state.step, *jax.tree.map(lambda x: _row(x, k), tuple(state[1:])))


def _row(x, k):
    """Row k; of an array that is divided over devices, from the one that holds it: to
    index it would gather all of it on each."""
    if not isinstance(x, jax.Array) or x.sharding.is_fully_replicated:
        return x[k]
    for shard in x.addressable_shards:
        start = shard.index[0].start or 0
        if start <= k < start + len(shard.data):
            mesh = x.sharding.mesh  # type: ignore[attr-defined]  # it has one
            where = parallel.replicated(mesh)
            return jax.device_put(shard.data[k - start], where)
    raise IndexError(f"There is no member {k} of {len(x)}.")
