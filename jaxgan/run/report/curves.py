"""Which curves a run's numbers make, and which of them share a chart."""

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["Curve", "Plot", "plots", "thinned", "training_seconds"]

MOST = 8
"""Curves of a chart, where they are not members of one figure."""

POINTS = 300
"""Of a curve, at most: what lies close is thinned to its least and its largest."""

GROUPS = (
    ("Losses", re.compile(r".*_loss|loss|distance")),
    ("Scores", re.compile(r".*\((real|fake)\)")),
    ("How often real scores above fake", re.compile(r".*\(real>fake\)")),
    ("Norms of gradients", re.compile(r".*_grad_norm")),
)
"""Names that share a chart."""

NO_CURVE = frozenset({"step", "kimg"})
"""Names whose curve would be a straight line."""

LARGEST = 1e300

Points = list[tuple[int, float]]


class Curve(NamedTuple):
    """A line, perhaps with gaps where there was no finite number."""

    name: str
    number: int
    """Decides its colour, of so many."""
    of: int
    points: Points
    """By step; NaN is a gap."""
    last: float
    """The last finite value."""


class Plot(NamedTuple):
    """Curves that share axes."""

    title: str
    curves: tuple[Curve, ...]
    of_members: bool
    """The curves are members, in their order, of the figure that is the title."""

    def named(self, title: str) -> "Plot":
        """The same of one curve, by another name."""
        (curve,) = self.curves
        return self._replace(title=title, curves=(curve._replace(name=title),))


def plots(lines: list[dict], members: tuple[str, ...]) -> tuple[list[Plot], list[Plot]]:
    """The charts that lines of metrics.jsonl or timings.jsonl make.

    Args:
        lines: objects with a step, in its order.
        members: what they are called; one or more.

    Returns:
        `(evaluated, others)`: evaluations have lines of their own, without "kimg".
    """
    found: dict[str, dict[int, Points]] = {}
    evaluated: set[str] = set()
    apart = any("kimg" in line for line in lines)
    for line in lines:
        for name in line.keys() - NO_CURVE:
            if apart and "kimg" not in line:
                evaluated.add(name)
            value = line[name]
            for k, x in enumerate(value if isinstance(value, list) else [value]):
                if k < len(members):
                    own = found.setdefault(name, {}).setdefault(k, [])
                    own.append((line["step"], _number(x)))
    for each in found.values():
        for k in [k for k in each if all(math.isnan(y) for _, y in each[k])]:
            del each[k]
    names = sorted((name for name, own in found.items() if own), key=_order)
    both = (
        [n for n in names if n in evaluated],
        [n for n in names if n not in evaluated],
    )
    first, rest = ([*_plots({n: found[n] for n in its}, members)] for its in both)
    return first, rest


def _number(value) -> float:
    """A finite number as it is, but none that is too large or too small to draw."""
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    if not numeric or not -LARGEST < value < LARGEST:  # so is NaN
        return math.nan
    return float(value) if abs(value) > 1 / LARGEST else 0.0


def _order(name):
    """Groups first, in their order."""
    ranks = [i for i, (_, its) in enumerate(GROUPS) if its.fullmatch(name)]
    return (ranks or [len(GROUPS)])[0], name


def _plots(found, members) -> Iterator[Plot]:
    if len(members) > 1:
        for title, own in found.items():
            each = [_curve(members[k], k, len(members), own[k]) for k in own]
            yield Plot(title, tuple(each), True)
        return
    grouped: dict[str, list[str]] = {}
    for name in found:
        title = next((t for t, its in GROUPS if its.fullmatch(name)), name)
        grouped.setdefault(title, []).append(name)
    for title, names in grouped.items():
        for i in range(0, len(names), MOST):
            part = names[i : i + MOST]
            each = [_curve(n, k, len(part), found[n][0]) for k, n in enumerate(part)]
            yield Plot(title, tuple(each), False)


def _curve(name, number, count, points) -> Curve:
    last = next(y for _, y in reversed(points) if not math.isnan(y))
    return Curve(name, number, count, thinned(points), last)


def thinned(points: Points) -> Points:
    """At most `POINTS` of them: of each stretch the least and the largest."""
    if len(points) <= POINTS:
        return points
    kept, half = [], POINTS // 2
    for i in range(half):
        part = points[i * len(points) // half : (i + 1) * len(points) // half]
        known = [p for p in part if not math.isnan(p[1])] or part[:1]
        ends = min(known, key=lambda p: p[1]), max(known, key=lambda p: p[1])
        kept += sorted(dict.fromkeys(ends))
    return kept


def training_seconds(timings: list[dict], batch_size: object) -> float | None:
    """What steps have taken, by images per second; None where that is not known."""
    if not isinstance(batch_size, int) or not 0 < batch_size < 2**32:
        return None
    spent, before = 0.0, 0
    for line in timings:
        speed = _number(line.get("images_per_s"))
        if speed > 0:
            spent += (line["step"] - before) * batch_size / speed
            before = line["step"]
    return spent or None
