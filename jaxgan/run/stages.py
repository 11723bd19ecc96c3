"""Programs of a model that goes through stages, such as one that grows."""

import bisect
import itertools
import math
from collections.abc import Callable

import jax

from jaxgan import distributed
from jaxgan.phases import steps_between
from jaxgan.run import memory
from jaxgan.types import TrainState

__all__ = ["compiled", "span_of", "spans", "within"]


def compiled(steps: Callable, who, where: TrainState, mesh, stages: tuple[int, ...]):
    """Steps of all members, jitted, a program for each stage when it is met.

    Args:
        steps: `(who, state, totals, arrays, n) -> (state, totals)`.
        who: the members' seeds and values.
        where: the sharding of each field of a state.
        mesh: the devices of all processes, of which n is the least.
        stages: of the model.

    Returns:
        `(run, needs)`, as of `program.Program`.
    """

    def of(begin, end):
        def traced(state, carried, arrays, n):
            with steps_between(begin, end):
                return steps(who, state, carried, arrays, n)

        # The others lie as all fields but the step.
        out = where, where.params
        return jax.jit(traced, donate_argnums=(0, 1), out_shardings=out)

    programs = {span: of(*span) for span in spans(stages)}

    def here(state):
        return programs[span_of(int(state.step), stages)]

    def run(state, carried, arrays, n):
        n = distributed.shared_number(n, mesh)
        return here(state)(state, carried, arrays, n)

    def needs(state, carried, arrays):
        n = distributed.shared_number(0, mesh)
        lowered = here(state).lower(state, carried, arrays, n)
        return memory.needs(lowered.compile())

    return run, needs


def spans(stages: tuple[int, ...]) -> list[tuple[float, float]]:
    """`(begin, end)` of each stage, for `steps_between`; the first begins at -inf."""
    return [*itertools.pairwise((-math.inf, *stages, math.inf))]


def span_of(step: int, stages: tuple[int, ...]) -> tuple[float, float]:
    """`(begin, end)` of the stage that takes a step."""
    return spans(stages)[bisect.bisect(stages, step)]


def within(arrays_at: Callable, stages: tuple[int, ...]) -> Callable:
    """`step -> (arrays, end)` of a feed, of batches no further than to the stage's end.

    Args:
        arrays_at: likewise.
        stages: of the model.
    """

    def at(step):
        arrays, end = arrays_at(step)
        later = [stage for stage in (*stages, end) if stage and stage > step]
        return arrays, min(later, default=end)

    return at
