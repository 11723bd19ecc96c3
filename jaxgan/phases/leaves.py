"""Phases that are made of losses and networks."""

import contextlib
from collections.abc import Callable
from contextvars import ContextVar

import jax
import jax.numpy as jnp
import optax

from jaxgan import axis
from jaxgan.phases.shared import Shared, opened
from jaxgan.types import Loss, Mean, Phase, Produce, Schedule, at, merge

__all__ = ["ema", "gain", "lazy_adam", "project", "refresh", "update"]

_gain: ContextVar[int] = ContextVar("jaxgan_gain", default=1)


@contextlib.contextmanager
def gain(n: int):
    """Gradients count n-fold in updates that are traced inside; see `lazy`."""
    token = _gain.set(_gain.get() * n)
    try:
        yield
    finally:
        _gain.reset(token)


def update(names: str | tuple[str, ...], loss: Loss, tx) -> Phase:
    """One optimizer step on the parameters of the named networks.

    Args:
        names: the network or networks that learn from this loss; others are constant.
        loss: `(state, batch, key) -> (scalar, metrics)` or `(scalar, metrics, memory)`,
            where `memory` has new entries of `state.memory`, as `carry` keeps them.
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
        grads, metrics, memory = _accumulated(names, loss, state, batch, key)
        grads = axis.mean(grads)
        if (times := _gain.get()) != 1:
            grads = jax.tree.map(lambda x: times * x, grads)
        params, opt = {}, {}
        for n in names:
            metrics[f"{n}_grad_norm"] = _norm(grads[n])
            with jax.numpy_dtype_promotion("standard"):  # optax needs it
                change, opt[n] = tx.update(grads[n], state.opt[n], state.params[n])
            params[n] = optax.apply_updates(state.params[n], change)
        metrics = {n: Mean.of(v) for n, v in metrics.items()}
        state = merge(state, params=params, opt=opt, memory=axis.mean(memory))
        return state, axis.mean(metrics)

    return Phase(init, step, dict.fromkeys(names, (tx,)))


def _accumulated(names, loss, state, batch, key):
    """`_gradients`, or with gradient accumulation their means over parts of the batch.

    Every part begins with the same memory, as every device does.
    """
    axis.refuse_part(f"a loss that takes steps of {', '.join(names)} itself")
    if not axis.divides():
        return _gradients(names, loss, state, batch, key)
    batch, shared = opened(batch)
    ours = {f: s for f, s in shared.items() if {*s.names} & {*names}}

    def of(part):
        again = {}
        for field, s in ours.items():
            value, pull = s.remade(state, part)
            again[field] = Shared(value, pull, None, s.names)
        grads, metrics, memory = _gradients(names, loss, state, part | again, key)
        counted = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), metrics)
        return grads, counted, memory

    return axis.over_parts(of, batch)


def _gradients(names, loss, state, batch, key):
    """`(gradients by name, metrics, memory)`, also by way of what is shared."""
    batch, shared = opened(batch)
    ours = {f: s.names for f, s in shared.items() if {*s.names} & {*names}}
    if partly := [f for f, needed in ours.items() if not {*needed} <= {*names}]:
        raise ValueError(
            f"update: {partly[0]!r} is shared by way of {ours[partly[0]]}, which "
            f"one update must train all, or none; this one trains {names}."
        )

    def objective(trained, made):
        value, metrics, *memory = loss(merge(state, params=trained), batch | made, key)
        return value, (metrics, *memory)

    trained = {n: state.params[n] for n in names}
    made = {field: batch[field] for field in ours}
    gradient = jax.grad(objective, (0, 1), has_aux=True, allow_int=True)
    (grads, to_made), (metrics, *remembered) = gradient(trained, made)
    for field, toward in to_made.items():
        (through,) = shared[field].pull(toward)
        for name, more in through.items():
            grads[name] = jax.tree.map(jnp.add, grads[name], more)
    memory = dict(*remembered)
    if unknown := memory.keys() - state.memory.keys():
        raise ValueError(
            f"update: a loss remembers {sorted(unknown)}, which no `carry` keeps."
        )
    return grads, {n: Mean.of(v) for n, v in metrics.items()}, memory


def _norm(tree):
    squares = (
        jnp.sum(jnp.square(x.astype(jnp.float32))) for x in jax.tree.leaves(tree)
    )
    return jnp.sqrt(sum(squares))


def lazy_adam(learning_rate: Schedule, b1: float, b2: float, n: int, eps: float = 1e-8):
    """Adam for a network that a main phase trains in each step and `lazy(n, ...)` too.

    With c = n / (n + 1), the rate times c and betas to the power of c, as many steps
    of the main phase do what they did without the other (Karras et al., 2020,
    arXiv:1912.04958, appendix B).

    Args:
        learning_rate: the main phase's, were it alone; optax calls a function with the
            optimizer's own count, which is of both phases.
        b1: Adam's β1 for it, likewise.
        b2: Adam's β2 for it.
        n: the period of the lazy phase.
        eps: Adam's ε.
    """
    if n < 1:
        raise ValueError(f"lazy_adam: n is {n}; it must be 1 or more.")
    c = n / (n + 1)
    rate = (
        (lambda count: c * learning_rate(count))
        if callable(learning_rate)
        else c * learning_rate
    )
    return optax.adam(rate, b1**c, b2**c, eps)


def ema(name: str, decay: Schedule) -> Phase:
    """Averages a network's weights, `e <- d · e + (1 - d) · w`.

    In `state.ema[name]`, for sampling and evaluation (Yazici et al., 2018,
    arXiv:1806.04498). On step t, d is `min(decay, (1 + t) / (10 + t))`, so that the
    average forgets the first weights at once.

    Args:
        name: the network.
        decay: in [0, 1), or a function of the step.
    """
    # A traced one, of a sweep, was looked at before.
    if isinstance(decay, int | float) and not 0 <= decay < 1:
        raise ValueError(f"ema: decay is {decay}; it must be in [0, 1).")

    def init(state):
        return merge(state, ema={name: jax.tree.map(jnp.copy, state.params[name])})

    def step(state, batch, key):
        old, new = state.ema[name], state.params[name]
        t = state.step.astype(jnp.float32)
        rate = jnp.maximum(1 - at(decay, state.step), 9 / (10 + t))
        new = jax.tree.map(lambda e, w: e + rate.astype(w.dtype) * (w - e), old, new)
        return merge(state, ema={name: new}), {}

    return Phase(init, step, writes=frozenset({("ema", name)}))


def project(name: str, fn: Callable) -> Phase:
    """`params <- fn(params)`: the weight clipping of WGAN, for one."""

    def step(state, batch, key):
        return merge(state, params={name: fn(state.params[name])}), {}

    return Phase(lambda state: state, step, writes=frozenset({("params", name)}))


def refresh(net, inputs: Produce, collection: str | None = None) -> Phase:
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
        batch, _ = opened(batch)
        _, new = net.apply(params, old, *inputs(state, batch, key))
        new = new if collection is None else {collection: new[collection]}
        return merge(state, stats={net.name: old | axis.mean(new)}), {}

    return Phase(lambda state: state, step, writes=frozenset({("stats", net.name)}))
