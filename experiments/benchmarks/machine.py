"""This machine's CPU: cores, how fast a matrix product is, and what a process takes."""

import multiprocessing
import os
import time
from collections.abc import Callable
from pathlib import Path


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


def cpu_seconds() -> float | None:
    """Those that this process and its live workers took; None where none can say.

    Linux alone tells those of a worker that is not done.
    """
    workers = multiprocessing.active_children()
    if workers and not Path("/proc/self/stat").exists():
        return None
    return time.process_time() + sum(_of_worker(worker.pid) for worker in workers)


def _of_worker(pid):
    """User and system time, in ticks behind the name, which may have spaces."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def quiet(most: float = 10.0):
    """Waits until this process and its workers rest, at most so many seconds."""
    end, used = time.perf_counter() + most, cpu_seconds() or 0
    while time.perf_counter() < end:
        time.sleep(0.1)
        now = cpu_seconds() or 0
        if now - used < 0.01:
            return
        used = now
