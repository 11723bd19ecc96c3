"""This machine: cores, how fast a matrix product is, and what a process takes."""

import multiprocessing
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path


def cores() -> int:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu() -> str:
    """Its maker's name for it."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    models = [line.partition(":")[2] for line in lines if line.startswith("model name")]
    return models[0].strip() if models else platform.processor() or platform.machine()


def gpu() -> str:
    """The first one's name."""
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    return subprocess.run(
        command, capture_output=True, text=True, check=True
    ).stdout.splitlines()[0]


def side(device: str) -> int:
    """Of square matrices whose product shows what a device, "cpu" or not, can do."""
    return 2048 if device == "cpu" else 8192


def gflops(product: Callable[[], object], n: int) -> float:
    """GFLOP/s of a product of two n x n matrices, the best of four."""

    def seconds():
        began = time.perf_counter()
        product()
        return time.perf_counter() - began

    product()
    return 2 * n**3 / min(seconds() for _ in range(4)) / 1e9


def peak_memory() -> int:
    """The most bytes that this process ever had in memory."""
    status = Path("/proc/self/status")  # Linux's getrusage counts the parent's, too
    if status.exists():
        words = status.read_text().split()
        return 1024 * int(words[words.index("VmHWM:") + 1])
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most


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
