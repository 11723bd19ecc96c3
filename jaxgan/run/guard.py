"""Numbers that go wrong are seen, and the step in which they do is left out.

A step is bad if after it a metric, or any array of the state, optimizers' moments
included, is not finite. All of the state but the step counter then stays as it was.

To look at all arrays after each step would cost a tenth of it. So a dispatch looks
once, at its end. If that finds something, its steps are taken again from a copy of the
state, one by one by the same program, and what is bad is undone. A step depends on
(seed, step) alone, so not a bit depends on when a dispatch looked. (What is written
anew in the next step, as LeCam's anchors are before its penalty starts, is not seen.)
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from jaxgan.run import copies
from jaxgan.run.finite import SKIPPED, host
from jaxgan.run.members import Member
from jaxgan.types import Metrics, TrainState

__all__ = ["SKIPPED", "Diverged", "Streak", "guarded"]

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

    @classmethod
    def of(cls, kept: dict | None, none: "Streak") -> "Streak":
        """What `kept` gave."""
        if not kept or len(kept["length"]) != len(none.length):
            return none
        return cls(np.array(kept["length"]), np.array(kept["first"]), kept["bad"])

    def kept(self) -> dict:
        """As JSON takes it."""
        return {
            "length": self.length.tolist(),
            "first": self.first.tolist(),
            "bad": self.bad,
        }

    def grown(self, step: int, good: np.ndarray, bad: list[list[str]]) -> "Streak":
        """After another step, which was good or not."""
        begins = ~good & (self.length == 0)
        pairs = zip(begins, bad, self.bad, strict=True)
        return Streak(
            np.where(good, 0, self.length + 1),
            np.where(begins, step, self.first),
            [new if begun else old for begun, new, old in pairs],
        )


class Guarded(NamedTuple):
    """Steps of which bad ones are left out."""

    run: Callable
    """`(state, totals, arrays, n) -> (state, totals)`."""
    streak: Callable[[], dict | None]
    """The bad steps in a row up to the last one, as JSON takes them; None without."""


def guarded(
    program,
    arrays_at: Callable,
    members: tuple[Member, ...],
    limit: int,
    say: Callable,
    known: dict | None = None,
) -> Guarded:
    """A program's steps, of which bad ones are left out.

    Args:
        program: a `program.Program`.
        arrays_at: of its feed; it is asked for earlier steps, too.
        members: what errors call them.
        limit: how many bad steps in a row end the run.
        say: told of steps that are left out.
        known: of a run that is continued, its streak as `Guarded.streak` gave it.

    Raises (its `run`):
        Diverged: with the last good state.
    """
    none = Streak.none(len(members))
    streak = Streak.of(known, none)
    copy, gap, due = None, 1, 0
    good_ones: dict = {}
    """Of members whose last steps were bad, copies of state and sums from before."""

    def run(state, totals, arrays, n):
        nonlocal copy, streak, gap, due
        for k in {*np.flatnonzero(streak.length)} - {*good_ones}:
            good_ones[k] = copies.copied((state, totals))  # of a run that is continued
        if due <= 0:
            copy = copies.copied(state, copy)
            gap, due = min(2 * gap, COPY_EVERY), gap
        begin, before = int(state.step), copies.copied(totals)
        state, totals = program.run(state, totals, arrays, n)
        end, due = int(state.step), due - 1
        if host(program.good(state, totals)).all():
            if end > begin:
                streak = none
                good_ones.clear()
            return state, totals
        if end == begin:
            raise Diverged(_no_beginning(program.bad(state, totals), begin))
        again = partial(_again, program, arrays_at, copy, begin, before, streak, limit)
        state, totals, streak = again(end)
        gap, due = 1, 0
        for k in np.flatnonzero(streak.length):
            if (last := int(streak.first[k]) - 1) >= begin:
                good_ones[k] = copies.copied(again(last)[:2])
        if (lost := streak.length >= limit).any():
            state, totals = copies.back(good_ones[int(np.flatnonzero(lost)[0])])
            error = Diverged(_lost(streak, lost, limit, members, int(state.step)))
            error.state, error.metrics = state, totals
            raise error
        skipped = host(totals[SKIPPED].total) - copies.host(before)[SKIPPED].total
        say(_left_out(streak, np.atleast_1d(skipped), begin, end, members))
        return state, totals

    def now() -> dict | None:
        return streak.kept() if streak.length.any() else None

    return Guarded(run, now)


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
        state, totals = program.run(state, totals, arrays, n)
    totals = copies.back(before)
    while (step := int(state.step)) < end and streak.length.max() < limit:
        old = copies.copied((state, totals))
        state, totals = program.run(state, totals, arrays_at(step)[0], 1)
        good = program.good(state, totals)
        which = np.atleast_1d(host(good))
        names: list = [[]] * len(which)
        if not which.all():
            names = program.bad(state, totals)
            state, totals = program.chosen(good, (state, totals), copies.back(old))
        streak = streak.grown(step + 1, which, names)
    return state, totals, streak


def _no_beginning(bad, step):
    names = sorted({name for of_one in bad for name in of_one})
    what = ", ".join(names[:4])
    return f"Training diverged by step {step}: {what} are not finite to begin with."


def _left_out(streak, skipped, begin, end, members):
    k = int(np.flatnonzero(skipped)[0])
    return (
        f"Left out: {int(skipped.max())} of steps {begin + 1} to {end}"
        f"{_who(skipped > 0, members)}. At step {streak.first[k]}, "
        f"{_what(streak.bad[k])} not finite."
    )


def _lost(streak, lost, limit, members, last):
    k = int(np.flatnonzero(lost)[0])
    return (
        f"Training{_who(lost, members)} diverged at step {streak.first[k]}: "
        f"{_what(streak.bad[k])} not finite, and so on for {limit} "
        f"step{'s' * (limit > 1)} in a row. The state of step {last} is from "
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
    one = len(bad) == 1 and " of " not in bad[0]  # "moments of G are"
    return f"{phase}{', '.join(bad[:4])}{more} {'is' if one else 'are'}"
