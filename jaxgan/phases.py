"""The algebra of GANs: a loss reads, a phase writes.

Every GAN here is `game(networks, phase, phase, ...)`. A phase is a pair of pure
functions, `init(state) -> state` and `step(state, batch, key) -> (state, metrics)`, and
every combinator below makes phases out of losses or of other phases. Losses have one
signature, `loss(state, batch, key) -> (scalar, metrics)`. All of it can be put through
`jit`, `pmap`, `vmap`, `scan` and `grad`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import lax, random

from jaxgan import axis
from jaxgan.types import Loss, Mean, Phase, TrainState, merge


def update(names: str | tuple[str, ...], loss: Loss, tx) -> Phase:
    """One optimizer step on the parameters of the named networks.

    Args:
        names: the network or networks that learn from this loss; others are constant.
        loss: `loss(state, batch, key) -> (scalar, metrics)`. A metric that is named as
            an entry of `state.memory` becomes that entry.
        tx: an optax transform. Networks that several phases train share one optimizer
            state each, so those phases must be given the same `tx` object.

    Returns:
        A phase. Besides the loss's metrics it reports `<name>_grad_norm`.
    """
    names = (names,) if isinstance(names, str) else tuple(names)

    def init(state):
        # A copy: some optimizers keep the weights themselves, and steps donate both.
        new = {n: tx.init(state.params[n]) for n in names if n not in state.opt}
        return merge(state, opt=jax.tree.map(jnp.array, new))

    def step(state, batch, key):
        batch, shared = _open(batch)

        def objective(trained, made):
            return loss(merge(state, params=trained), batch | made, key)

        trained = {n: state.params[n] for n in names}
        ours = {f: s.names for f, s in shared.items() if {*s.names} & {*names}}
        if partly := [f for f, needed in ours.items() if not {*needed} <= {*names}]:
            raise ValueError(
                f"update: {partly[0]!r} is shared by way of {ours[partly[0]]}, which "
                f"one update must train all, or none; this one trains {names}."
            )
        made = {field: batch[field] for field in ours}
        gradient = jax.grad(objective, (0, 1), has_aux=True, allow_int=True)
        (grads, to_made), metrics = gradient(trained, made)
        for field, toward in to_made.items():
            (through,) = shared[field].pull(toward)
            for name, more in through.items():
                grads[name] = jax.tree.map(jnp.add, grads[name], more)
        grads = axis.mean(grads)
        params, opt = {}, {}
        for n in names:
            metrics[f"{n}_grad_norm"] = _norm(grads[n])
            with jax.numpy_dtype_promotion("standard"):  # optax needs it
                change, opt[n] = tx.update(grads[n], state.opt[n], state.params[n])
            params[n] = optax.apply_updates(state.params[n], change)
        memory = {n: metrics.pop(n) for n in state.memory if n in metrics}
        metrics = {n: Mean.of(v) for n, v in metrics.items()}
        state = merge(state, params=params, opt=opt, memory=axis.mean(memory))
        return state, axis.mean(metrics)

    return Phase(init, step, dict.fromkeys(names, (tx,)))


def _norm(tree):
    squares = (
        jnp.sum(jnp.square(x.astype(jnp.float32))) for x in jax.tree.leaves(tree)
    )
    return jnp.sqrt(sum(squares))


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
        metrics = {}
        for phase, k in zip(phases, random.split(key, len(phases)), strict=True):
            state, new = phase.step(state, batch, k)
            both = {n: metrics[n] + new[n] for n in metrics.keys() & new.keys()}
            metrics = metrics | new | both
        return state, metrics

    return Phase(init, step, trains)


def every(n: int, phase: Phase) -> Phase:
    """The phase on every n-th step: n_critic, lazy regularization.

    It runs on steps 0, n, 2n, …; on the others its metrics count nothing.
    """
    if n < 1:
        raise ValueError(f"every: n is {n}; it must be 1 or more.")

    def step(state, batch, key):
        _, metrics = jax.eval_shape(phase.step, state, batch, key)

        def skip(state, batch, key):
            return state, jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), metrics)

        return lax.cond(state.step % n == 0, phase.step, skip, state, batch, key)

    return Phase(phase.init, step, phase.trains)


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
    fields = TrainState._fields[1:]
    joined = chain(*phases)
    for n in joined.trains:
        if (times := sum(n in phase.trains for phase in phases)) > 1:
            raise ValueError(f"together: {n!r} is trained by {times} phases.")

    def step(state, batch, key):
        new, metrics = {field: {} for field in fields}, {}
        for phase in phases:
            after, found = phase.step(state, batch, key)
            both = {n: metrics[n] + found[n] for n in metrics.keys() & found.keys()}
            metrics = metrics | found | both
            for field in fields:
                old, entries = getattr(state, field), getattr(after, field)
                written = {n: e for n, e in entries.items() if e is not old.get(n)}
                if twice := written.keys() & new[field].keys():
                    raise ValueError(f"together: two phases write {field}{[*twice]}.")
                new[field] |= written
        return merge(state, **new), metrics

    return Phase(joined.init, step, joined.trains)


def share(field: str, names: str | tuple, produce: Callable, *phases: Phase) -> Phase:
    """Runs a network, or several, once for several phases.

    `produce(state, batch, key)` is evaluated once, and the losses find its value in
    their batch, `batch[field]`. Where a phase trains the networks, the value's gradient
    flows on into their weights. That saves a generator's forward pass when D and G
    learn from the same fakes, as is usual in other frameworks.

    Args:
        field: the entry of the batch.
        names: the network or networks whose gradients flow.
        produce: `(state, batch, key) -> arrays`, by way of those networks.
        *phases: the phases that share it.

    Raises:
        ValueError: a phase would see a value that was made with older weights: the
            networks may be trained once, by one update of the last of the phases.
    """
    names = (names,) if isinstance(names, str) else tuple(names)
    *first, last = phases
    early = {n for phase in first for n in phase.trains}
    if early & {*names} or any(len(last.trains.get(n, ())) > 1 for n in names):
        raise ValueError(
            f"share: only the last phase may train {', '.join(map(repr, names))}, and "
            f"once, since {field!r} would then be of older weights."
        )
    inner = chain(*phases)

    def step(state, batch, key):
        if others := [*_open(batch)[1]]:
            raise ValueError(f"share: {field!r} cannot be shared inside {others}.")
        here, rest = random.split(key)

        def made(params):
            return produce(merge(state, params=params), batch, here)

        params = {n: state.params[n] for n in names}
        shared = Shared(*jax.vjp(made, params), names)
        return inner.step(state, dict(batch) | {field: shared}, rest)

    return Phase(inner.init, step, inner.trains)


def prepared(prepare: Callable, *phases: Phase) -> Phase:
    """Phases on a batch that is made of the loop's, once for all of them.

    Args:
        prepare: `(batch, key) -> batch`.
        *phases: what goes on with it.
    """
    inner = chain(*phases)

    def step(state, batch, key):
        here, rest = random.split(key)
        return inner.step(state, prepare(batch, here), rest)

    return Phase(inner.init, step, inner.trains)


def until(n: int, first: Phase, then: Phase) -> Phase:
    """One phase in the steps before the n-th, another from it on: pre-training.

    Metrics of the one that does not run count nothing.

    Raises:
        ValueError: n is negative, or both train a network with different optimizers.
    """
    if n < 0:
        raise ValueError(f"until: n is {n}; it must be 0 or more.")
    both = chain(first, then)

    def step(state, batch, key):
        found = [jax.eval_shape(p.step, state, batch, key)[1] for p in (first, then)]
        nothing = jax.tree.map(
            lambda x: jnp.zeros(x.shape, x.dtype), found[0] | found[1]
        )

        def run(phase):
            def branch(state, batch, key):
                state, metrics = phase.step(state, batch, key)
                return state, nothing | metrics

            return branch

        now = state.step < n
        return lax.cond(now, run(first), run(then), state, batch, key)

    return Phase(both.init, step, both.trains)


@partial(
    jax.tree_util.register_dataclass,
    data_fields=("value", "pull"),
    meta_fields=("names",),
)
@dataclass(frozen=True)
class Shared:
    """A value on its way through a batch, and its gradient's way back."""

    value: Any
    pull: Callable
    """From the value's gradient to `{name: that of the network's weights}`."""
    names: tuple[str, ...]


def _open(batch):
    """The batch as losses see it, and the `Shared` entries in it."""
    shared = {k: v for k, v in batch.items() if isinstance(v, Shared)}
    return dict(batch) | {k: s.value for k, s in shared.items()}, shared


def ema(name: str, decay: float) -> Phase:
    """Averages a network's weights, `e <- d · e + (1 - d) · w`.

    In `state.ema[name]`, for sampling and evaluation (Yazici et al., 2018,
    arXiv:1806.04498). On step t, d is `min(decay, (1 + t) / (10 + t))`, so that the
    average forgets the first weights at once.
    """
    if not 0 <= decay < 1:
        raise ValueError(f"ema: decay is {decay}; it must be in [0, 1).")

    def init(state):
        return merge(state, ema={name: jax.tree.map(jnp.copy, state.params[name])})

    def step(state, batch, key):
        old, new = state.ema[name], state.params[name]
        t = state.step.astype(jnp.float32)
        rate = jnp.maximum(1 - decay, 9 / (10 + t))
        new = jax.tree.map(lambda e, w: e + rate.astype(w.dtype) * (w - e), old, new)
        return merge(state, ema={name: new}), {}

    return Phase(init, step)


def project(name: str, fn: Callable) -> Phase:
    """`params <- fn(params)`: the weight clipping of WGAN, for one."""

    def step(state, batch, key):
        return merge(state, params={name: fn(state.params[name])}), {}

    return Phase(lambda state: state, step)


def refresh(net, inputs: Callable, collection: str | None = None) -> Phase:
    """Advances what no gradient trains: spectral-norm `u`, BatchNorm averages.

    Args:
        net: the network, as `game` was given it.
        inputs: `(state, batch, key) -> tuple`, what to run the network on.
        collection: advance this one alone, if the network has it. Under `jit` what is
            computed for the others is left out: `"spectral"` costs next to nothing.
    """

    def step(state, batch, key):
        params, old = state.params[net.name], state.stats[net.name]
        if collection not in (None, *old):
            return state, {}
        batch, _ = _open(batch)
        _, new = net.apply(params, old, *inputs(state, batch, key))
        new = new if collection is None else old | {collection: new[collection]}
        return merge(state, stats={net.name: axis.mean(new)}), {}

    return Phase(lambda state: state, step)


def carry(name: str, value: Any, phase: Phase) -> Phase:
    """Keeps something from one step to the next: path-length means, image pools.

    The phase's losses read `state.memory[name]`. What they return as `name` among their
    metrics is its new value, any tree of arrays shaped as `value`, its first value.
    """

    def init(state):
        first = jax.tree.map(jnp.array, value)
        return phase.init(merge(state, memory={name: first}))

    def step(state, batch, key):
        new, metrics = phase.step(state, batch, key)
        forgotten = new.memory[name] is state.memory[name]
        if forgotten and jax.tree.leaves(value):
            raise ValueError(f"carry: no loss of the phase reported {name!r}.")
        return new, metrics

    return Phase(init, step, phase.trains)


def game(nets, *phases: Phase):
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
