"""How far something is: a bar on a terminal, elsewhere a line every half minute."""

import sys
import time
from collections.abc import Iterable
from typing import Protocol

from tqdm import tqdm

from jaxgan import distributed

__all__ = ["EVERY", "Shown", "bar", "bars", "duration"]

EVERY = 30.0
"""Seconds between lines, where there is no terminal."""


def duration(seconds: float) -> str:
    """Such as "2 h 5 min"."""
    if seconds < 0.9995:
        return f"{1000 * seconds:.3g} ms"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours:,} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.3g} s"


class Shown(Protocol):
    """What shows progress, as `tqdm` does."""

    n: int

    def update(self, n: int) -> object: ...

    def set_postfix_str(self, text: str) -> object: ...

    def close(self) -> object: ...

    def __enter__(self) -> "Shown": ...

    def __exit__(self, *exception) -> object: ...


class _Lines:
    """Lines on stderr: a log that they go to would keep every state of a bar."""

    def __init__(self, total, label, unit, initial=0):
        self.total, self.label, self.unit, self.n = total, label, unit, initial
        self.before, self.start = initial, time.monotonic()
        self.said, self.more = self.start, ""

    def update(self, n):
        self.n += n
        now = time.monotonic()
        if now - self.said < EVERY:
            return
        self.said = now
        of = f" of {self.total}" if self.total else ""
        speed = (self.n - self.before) / (now - self.start)
        parts = [f"{self.n}{of} {self.unit}s", f"{speed:.3g} a second", self.more]
        label = f"{self.label}: " if self.label else ""
        print(f"{label}{', '.join(filter(None, parts))}", file=sys.stderr, flush=True)

    def set_postfix_str(self, text):
        self.more = text

    def close(self):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()


def bar(total: int, label: str = "", unit: str = "image", initial: int = 0) -> Shown:
    """What is told of progress by `update`.

    Args:
        total: how many there are.
        label: what is done.
        unit: of what, in the singular.
        initial: how many of them are done.
    """
    if not distributed.primary():
        return tqdm(disable=True)
    if not sys.stderr.isatty():
        return _Lines(total, label, unit, initial)
    options = {"unit": unit, "initial": initial, "dynamic_ncols": True}
    return tqdm(total=total, desc=label or None, **options)


def bars(iterable: Iterable, total: int = 0, label: str = "") -> Iterable:
    """The iterable, with a bar of what takes longer than half a second; it does not
    stay."""
    if not distributed.primary():
        return iterable
    if sys.stderr.isatty():
        options = {"leave": False, "delay": 0.5}
        return tqdm(iterable, total=total or None, desc=label, **options)
    return _told(iterable, _Lines(total, label, "item"))


def _told(iterable, lines):
    for item in iterable:
        yield item
        lines.update(1)
