"""Phases that run on some steps only.

Which, depends on `state.step` alone, so that a run that is continued does what it would
have done.
"""

import bisect
import contextlib
import math
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxgan.phases.combinators import chain, ran, written
from jaxgan.phases.leaves import gain
from jaxgan.types import Metrics, Phase, merge

__all__ = ["every", "lazy", "restart", "staged", "steps_between", "until"]

_steps: ContextVar[tuple[float, float]] = ContextVar(
    "jaxgan_steps", default=(-math.inf, math.inf)
)


def every(n: int, phase: Phase, at: int = 0) -> Phase:
    """The phase on every n-th step: n_critic, lazy regularization.

    It runs on steps t with `t % n == at`, by default 0, n, 2n, …; on the others its
    metrics count nothing.
    """
    if n < 1:
        raise ValueError(f"every: n is {n}; it must be 1 or more.")
    if not 0 <= at < n:
        raise ValueError(f"every: at is {at}; it must be in 0 ... {n - 1}.")
    idle = Phase(lambda state: state, lambda state, batch, key: (state, {}))
    return _one_of("every", lambda step: step % n == at, idle, phase)


def until(n: int, first: Phase, then: Phase) -> Phase:
    """One phase in the steps before the n-th, another from it on: pre-training.

    Metrics of the one that does not run count nothing; see `steps_between`, too.

    Raises:
        ValueError: n is negative, or both train a network with different optimizers.
    """
    if n < 0:
        raise ValueError(f"until: n is {n}; it must be 0 or more.")
    return staged((n,), first, then)


def staged(ends: Sequence[int], *phases: Phase) -> Phase:
    """One phase after another: a GAN that grows.

    Metrics of those that do not run count nothing; see `steps_between`, too.

    Args:
        ends: the step that each phase but the last ends before, rising.
        *phases: one more.

    Raises:
        ValueError: steps do not rise, or two phases train a network with different
            optimizers.
    """
    ends = tuple(ends)
    if len(ends) != len(phases) - 1 or list(ends) != sorted({*ends}):
        n = len(phases) - 1
        raise ValueError(f"staged: ends {ends} of {n + 1} phases must be {n}, rising.")
    one = _one_of(
        "staged",
        lambda step: sum(jnp.asarray(step >= end, jnp.int32) for end in ends),
        *phases,
    )

    def step(state, batch, key):
        begin, end = _steps.get()
        first, last = bisect.bisect(ends, begin), bisect.bisect_left(ends, end)
        if first < last:
            return one.step(state, batch, key)
        return phases[first].step(state, batch, key)

    return one._replace(step=step)


@contextlib.contextmanager
def steps_between(begin: float, end: float):
    """Declares, while a step is traced, that it will take steps from `begin` on, and
    before `end`. Where all of them are of one of the phases that are `staged`, the
    others are left out, and so are their metrics.

    So a program is compiled of what it does. What it would do on other steps is not
    defined. JAX keeps what it has traced of a function: `jit` one for each such range.
    """
    token = _steps.set((begin, end))
    try:
        yield
    finally:
        _steps.reset(token)


def _no_metrics(phases, state, batch, key):
    """The metrics of phases that do not run: they count nothing."""
    nothing: Metrics = {}
    for phase in phases:
        # Of the same function JAX would remember what it did on other steps.
        found = jax.eval_shape(partial(phase.step), state, batch, key)[1]
        nothing |= jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), found)
    return nothing


def _one_of(who, which, *phases):
    """The phase of the number `which(step)`.

    What none of them writes goes by, and keeps its identity.
    """
    joined = chain(*phases)

    def step(state, batch, key):
        nothing = _no_metrics(phases, state, batch, key)

        def run(phase):
            def branch(state, batch, key):
                new, metrics = ran(who, phase, state, batch, key)
                kept = {
                    field: {n: getattr(state, field)[n] for f, n in names if f == field}
                    for field in new
                }
                new = {field: kept[field] | new[field] for field in new}
                return new, nothing | metrics

            return branch

        number = jnp.asarray(which(state.step), jnp.int32)
        new, metrics = lax.switch(number, [*map(run, phases)], state, batch, key)
        return merge(state, **new), metrics

    names = written(joined)
    return joined._replace(step=step)


def lazy(n: int, phase: Phase, at: int = 0) -> Phase:
    """The phase on every n-th step, with its gradients n-fold: lazy regularization.

    A costly term of a loss, such as R1, as a phase of its own beside the main one, of
    which it shares the optimizer: Karras et al., 2020, arXiv:1912.04958, appendix B.
    `lazy_adam` makes up for its steps.

    Args:
        n: the period; 16 for R1 and 4 for path lengths, in the paper.
        phase: an update, or a chain of some.
        at: it runs on steps t with `t % n == at`.

    Returns:
        A phase. It reports gradient norms, n-fold, as `<name>_lazy_grad_norm`.
    """

    def step(state, batch, key):
        with gain(n):
            state, metrics = phase.step(state, batch, key)
        names = {f"{name}_grad_norm": f"{name}_lazy_grad_norm" for name in phase.trains}
        return state, {names.get(name, name): m for name, m in metrics.items()}

    return every(n, phase._replace(step=step), at)


def restart(optimizers: Mapping[str, Any], steps: Sequence[int]) -> Phase:
    """Optimizers that begin anew on some steps.

    Args:
        optimizers: by the names of networks, their optax transforms.
        steps: on which.
    """
    names = frozenset(("opt", name) for name in optimizers)

    def step(state, batch, key):
        opt = {name: tx.init(state.params[name]) for name, tx in optimizers.items()}
        return merge(state, opt=opt), {}

    def on(step):
        return jnp.any(step == jnp.asarray(steps, jnp.int32))

    idle = Phase(lambda state: state, lambda state, batch, key: (state, {}))
    if not steps:
        return idle
    return _one_of("restart", on, idle, Phase(idle.init, step, writes=names))
