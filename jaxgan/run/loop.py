"""The loop: dispatch steps until the next hook is due.

A program runs many steps in one dispatch, and how a run is divided into dispatches
changes no bit of it. All that happens between steps is a hook: logging, samples,
evaluation, checkpoints, the guard against NaN, the progress bar.
"""

import math
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

import jax

from jaxgan import distributed
from jaxgan.types import Metrics, TrainState

__all__ = ["DISPATCH_SECONDS", "Hook", "Now", "loop"]

DISPATCH_SECONDS = 0.5
"""Steps run on the device in dispatches of about this long."""


class Now(NamedTuple):
    """Where a run is, on the devices of this process."""

    step: int
    state: TrainState
    metrics: Metrics
    """The sums since they were last begun anew."""
    seconds: float
    """What the device took for them."""
    taken: float = 0.0
    """And for all steps since the loop began."""


class Hook(NamedTuple):
    """What is done every so many steps, and after the last one."""

    every: int
    """Steps; 0: after each dispatch."""
    run: Callable[[Now], bool | None]
    """When it returns True, metrics are begun anew."""

    def due(self, step: int, steps: int) -> bool:
        return not self.every or step % self.every == 0 or step == steps


def loop(
    program: Callable,
    state: TrainState,
    metrics: Metrics,
    zeros: Callable[[], Metrics],
    arrays_at: Callable,
    steps: int,
    hooks: Iterable[Hook],
    stopped: Callable[[], bool],
) -> tuple[TrainState, Metrics]:
    """Runs a program up to a step.

    Args:
        program: `(state, metrics, arrays, n) -> (state, metrics)`, n steps; of several
            processes, the least n of theirs.
        state: where it starts; donated.
        metrics: of the steps before it that no hook has begun anew; donated.
        zeros: the metrics of no steps.
        arrays_at: `step -> (arrays, end)`, what holds the batches up to the step `end`
            (None: all).
        steps: the last step.
        hooks: in the order in which they run.
        stopped: asked before each dispatch; when one process stops, all do.

    Returns:
        The state, of `steps` steps, or of fewer when stopped, and the metrics of those
        after which none were begun anew.
    """
    step, pace, seconds, taken = int(state.step), math.inf, 0.0, 0.0
    hooks = tuple(hooks)
    while step < steps:
        arrays, end = arrays_at(step)
        due = (step - step % h.every + h.every for h in hooks if h.every)
        n = min(steps, end or steps, *due) - step
        n = 0 if stopped() else max(1, min(n, int(DISPATCH_SECONDS / pace)))
        if n == 0 and distributed.alone():
            break
        began = time.perf_counter()
        state, metrics = jax.block_until_ready(program(state, metrics, arrays, n))
        spent = time.perf_counter() - began
        n = int(state.step) - step
        if n == 0:
            break
        step, pace, seconds = step + n, spent / n, seconds + spent
        taken += spent
        own = distributed.here(state)
        for hook in hooks:
            if not hook.due(step, steps):
                continue
            now = Now(step, own, distributed.here(metrics), seconds, taken)
            if hook.run(now):
                metrics, seconds = zeros(), 0.0
    return state, metrics
