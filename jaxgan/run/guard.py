"""Numbers that go wrong are seen, and the step in which they do is left out.

A step is bad if after it a metric, or any array of the state, optimizers' moments
included, is not finite. All of the state but the step counter then stays as it was.

To look at all arrays after each step would cost a tenth of it. So a dispatch looks
once, at its end. If that finds something, its steps are taken again from a copy of the
state, one by one by the same program, and what is bad is undone. A step depends on
(seed, step) alone, so not a bit depends on when a dispatch looked.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import distributed
from jaxgan.run import copies
from jaxgan.run.members import AXES, Member
from jaxgan.types import Metrics, TrainState

__all__ = ["SKIPPED", "Diverged", "Streak", "bad", "chosen", "guarded", "watch"]

SKIPPED = "skipped_steps"
"""Among the metrics: how many steps were left out."""

NAMES = {
    "params": "weights",
    "stats": "statistics",
    "opt": "moments",
    "ema": "averaged weights",
    "memory": "memory",
}
"""What the fields of a state hold."""

COPY_EVERY = 32
"""Dispatches between copies of the state, at most; after a bad step, at first 1."""


class Diverged(Exception):
    """Too many bad steps in a row; its text, also logged, says what was not finite."""

    state: TrainState | None = None
    """The last good one, unless there was none."""
    metrics: Metrics | None = None
    """The sums since the last line that go with it."""


class Streak(NamedTuple):
    """Bad steps in a row, up to the last that was taken, of each member."""

    length: np.ndarray
    """int [M]."""
    first: np.ndarray
    """int [M], the number of the first, from 1; where there is none, of an older."""
    bad: list[list[str]]
    """What was not finite after it."""

    @classmethod
    def none(cls, members: int) -> "Streak":
        zeros = np.zeros(members, int)
        return cls(zeros, zeros, [[]] * members)

    def grown(self, step: int, good: np.ndarray, bad: list[list[str]]) -> "Streak":
        """After another step, which was good or not."""
        begins = ~good & (self.length == 0)
        pairs = zip(begins, bad, self.bad, strict=True)
        return Streak(
            np.where(good, 0, self.length + 1),
            np.where(begins, step, self.first),
            [new if begun else old for begun, new, old in pairs],
        )


def watch(state: TrainState) -> Callable[[TrainState], dict[str, jax.Array]]:
    """`sound(state)`: by name, such as "weights of G", whether all of it is finite.

    An infinity that an optimizer, or a memory, begins with is no harm.

    Args:
        state: how the run begins, or goes on.
    """
    fields = {name: getattr(state, name) for name in NAMES}

    def chosen(field, leaves):
        return [
            i
            for i, x in enumerate(leaves)
            if jnp.issubdtype(x.dtype, jnp.inexact)
            and not (field in ("opt", "memory") and _infinite(x))
        ]

    which = {
        (field, name): chosen(field, jax.tree.leaves(entry))
        for field, entries in fields.items()
        for name, entry in entries.items()
    }

    def sound(state):
        found = {}
        for (field, name), index in which.items():
            leaves = jax.tree.leaves(getattr(state, field)[name])
            if index:
                finite = [jnp.isfinite(leaves[i]).all() for i in index]
                found[f"{NAMES[field]} of {name}"] = jnp.stack(finite).all()
        return found

    return sound


def _infinite(x):
    return any(np.isinf(np.asarray(shard.data)).any() for shard in x.addressable_shards)


def bad(sound, order, count, state, totals):
    """The names of what is not finite, of each member."""
    totals = {n: totals[n] for n in [*order, *(n for n in totals if n not in order)]}
    names = [*totals]
    look = jax.vmap(sound, (AXES,)) if count > 1 else sound
    found = _host(jax.jit(look)(state))
    for name, mean in _host(totals).items():
        found[name] = np.isfinite(mean.total) & np.isfinite(mean.count)
    names += [name for name in found if name not in names]
    return [
        [name for name in names if not np.atleast_1d(found[name])[k]]
        for k in range(count)
    ]


def chosen(where, count, good, new, old):
    """The new state and sums of members that are good, and the old ones of others."""

    def choose(good, new, old):
        def one(a, b):
            mark = good.reshape(*good.shape, *[1] * (a.ndim - 1)) if count > 1 else good
            return jnp.where(mark, a, b)

        state = jax.tree.map(one, tuple(new[0][1:]), tuple(old[0][1:]))
        totals = jax.tree.map(one, new[1], old[1])
        skipped = totals[SKIPPED]
        total = skipped.total + (~good).astype(jnp.float32)
        totals[SKIPPED] = skipped._replace(total=total)
        return TrainState(new[0].step, *state), totals

    return jax.jit(choose, out_shardings=where)(good, new, old)


def guarded(
    program, arrays_at: Callable, members: tuple[Member, ...], limit: int, say: Callable
) -> Callable:
    """A program's steps, of which bad ones are left out.

    Args:
        program: a `program.Program`.
        arrays_at: of its feed; it is asked for earlier steps, too.
        members: what errors call them.
        limit: how many bad steps in a row end the run.
        say: told of steps that are left out.

    Returns:
        `run(state, totals, arrays, n) -> (state, totals)`.

    Raises (the returned function):
        Diverged: with the last good state.
    """
    none = streak = Streak.none(len(members))
    copy, gap, due = None, 1, 0
    good_ones: dict = {}
    """Of members whose last steps were bad, copies of state and sums from before."""

    def run(state, totals, arrays, n):
        nonlocal copy, streak, gap, due
        if due <= 0:
            copy = copies.copied(state, copy)
            gap, due = min(2 * gap, COPY_EVERY), gap
        begin, before = int(state.step), copies.copied(totals)
        state, (totals, good) = program.run(state, totals, arrays, n)
        end, due = int(state.step), due - 1
        if _host(good).all():
            streak = none if end > begin else streak
            return state, totals
        if end == begin:
            text = f"Training diverged by step {begin}: weights are not finite."
            raise Diverged(text)
        again = partial(_again, program, arrays_at, copy, begin, before, streak, limit)
        state, totals, streak = again(end)
        gap, due = 1, 0
        for k in np.flatnonzero(streak.length):
            if (last := int(streak.first[k]) - 1) >= begin:
                good_ones[k] = copies.copied(again(last)[:2])
        if (lost := streak.length >= limit).any():
            error = Diverged(_lost(streak, lost, limit, members))
            last_good = good_ones[int(np.flatnonzero(lost)[0])]
            error.state, error.metrics = copies.back(last_good)
            raise error
        skipped = _host(totals[SKIPPED].total) - copies.host(before)[SKIPPED].total
        say(_left_out(streak, np.atleast_1d(skipped), begin, end, members))
        return state, totals

    return run


def _again(program, arrays_at, copy, begin, before, streak, limit, end):
    """Takes steps from a copy on again, those after `begin` one by one.

    Args:
        program: a `program.Program`.
        arrays_at: of its feed.
        copy: of a state; the steps from there to `begin` are known to be good.
        begin: from this step on, metrics are summed.
        before: a copy of the sums of earlier ones.
        streak: at `begin`.
        limit: how long no streak may be: there it ends.
        end: the last step.

    Returns:
        The state, the sums and the streak.
    """
    state, totals = copies.back(copy), program.begun()
    while (step := int(state.step)) < begin:
        arrays, bound = arrays_at(step)
        n = min(begin, bound or begin) - step
        state, (totals, _) = program.run(state, totals, arrays, n)
    totals = copies.back(before)
    while (step := int(state.step)) < end and streak.length.max() < limit:
        old = copies.copied((state, totals))
        state, (totals, good) = program.run(state, totals, arrays_at(step)[0], 1)
        which = np.atleast_1d(_host(good))
        names: list = [[]] * len(which)
        if not which.all():
            names = program.bad(state, totals)
            state, totals = program.chosen(good, (state, totals), copies.back(old))
        streak = streak.grown(step + 1, which, names)
    return state, totals, streak


def _host(tree):
    return jax.tree.map(np.asarray, distributed.here(tree))


def _left_out(streak, skipped, begin, end, members):
    k = int(np.flatnonzero(skipped)[0])
    return (
        f"Left out: {int(skipped.max())} of steps {begin + 1} to {end}"
        f"{_who(skipped > 0, members)}. At step {streak.first[k]}, "
        f"{_what(streak.bad[k])} not finite."
    )


def _lost(streak, lost, limit, members):
    k = int(np.flatnonzero(lost)[0])
    first = streak.first[k]
    return (
        f"Training{_who(lost, members)} diverged at step {first}: "
        f"{_what(streak.bad[k])} not finite, and so on for {limit} "
        f"step{'s' * (limit > 1)} in a row. The state of step {first - 1} is from "
        "before."
    )


def _who(hit, members):
    if len(members) == 1:
        return ""
    named = (f"member {k} ({members[k].name})" for k in np.flatnonzero(hit))
    return f" of {'; '.join(named)}"


def _what(bad):
    """The network in whose update it began, and what was not finite."""
    nets = [name.removesuffix("_grad_norm") for name in bad if "_grad_norm" in name]
    nets += [name.rpartition(" ")[2] for name in bad if name.startswith(("w", "mo"))]
    phase = f"in {nets[0]}'s update, " if nets else ""
    more = f" and {len(bad) - 4} more" if len(bad) > 4 else ""
    return f"{phase}{', '.join(bad[:4])}{more} {'is' if len(bad) == 1 else 'are'}"
