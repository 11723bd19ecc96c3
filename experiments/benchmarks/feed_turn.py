"""What both sides feed alike, and what they say of a turn.

Nothing here imports JAX or PyTorch: each has a process of its own.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

from benchmarks import machine

BATCH = 64
SIDE = 64
"""Height and width that images are fed in."""
WORKERS = 2
"""Processes of PyTorch's DataLoader."""


class Turn(NamedTuple):
    """What a side did in a turn."""

    images: int
    seconds: float
    cpu: float | None
    """Seconds of all cores together; None where they are not known."""
    mean: float | None = None
    """Of all pixels, in [-1, 1]: that they did arrive."""


def timed(work: Callable[[], tuple[int, float | None]]) -> Turn:
    """Times some work, which returns how many images, and the mean of their pixels."""
    cpu, began = machine.cpu_seconds(), time.perf_counter()
    images, mean = work()
    seconds, after = time.perf_counter() - began, machine.cpu_seconds()
    used = None if cpu is None or after is None else after - cpu
    return Turn(images, seconds, used, mean)
