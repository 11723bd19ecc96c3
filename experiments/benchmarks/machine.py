"""This machine's CPU: how many cores, and how fast a matrix product is."""

import os
import time
from collections.abc import Callable


def cores() -> int:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def gflops(product: Callable[[], object]) -> float:
    """GFLOP/s of a 2048³ matrix product, the best of four."""

    def seconds():
        began = time.perf_counter()
        product()
        return time.perf_counter() - began

    product()
    return 2 * 2048**3 / min(seconds() for _ in range(4)) / 1e9
