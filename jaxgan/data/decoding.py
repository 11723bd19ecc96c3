"""Decoding many images, in parallel, into memory where they fit."""

import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from jaxgan.types import UsageError, silent

__all__ = [
    *("MEMORY_BUDGET", "Decoded", "cores", "decode", "in_order", "reason"),
    "workers",
]

MEMORY_BUDGET = 8 * 2**30
"""Decoded bytes up to which images stay in memory; beyond it they decode on fetch."""

_BLOCK = 4096
_PIECE = 8
"""Items that a thread takes at a time: to hand over each costs half a small picture."""


class Decoded(NamedTuple):
    """The outcome of `decode`.

    Attributes:
        kept: int `[n]`, the items that decoded, in order.
        images: positions `[B]` within `kept` -> `[B, H, W, C]`.
        failures: for each item that did not decode, why.
    """

    kept: np.ndarray
    images: Callable[[np.ndarray], np.ndarray]
    failures: dict[int, str]


def decode(
    read: Callable[[int], np.ndarray],
    count: int,
    shape: tuple[int, int, int],
    progress=silent,
    dtype=np.uint8,
) -> Decoded:
    """Decodes every item once, in parallel, and keeps the pixels if they fit.

    Args:
        read: item in `[0, count)` -> `[H, W, C]`; called from several threads.
            A `UsageError` from it ends the load, any other error skips the item.
        count: the number of items.
        shape: the `(H, W, C)` that `read` returns.
        progress: shows it, as `types.silent` does not.
        dtype: that `read` returns, uint8 or uint16.

    Returns:
        A `Decoded`. Above `MEMORY_BUDGET` its `images` calls `read` again.
    """
    in_memory = count * math.prod(shape) * np.dtype(dtype).itemsize <= MEMORY_BUDGET
    pixels = np.empty((count, *shape), dtype) if in_memory else None
    pool = workers()

    def attempt(item):
        try:
            image = read(item)
        except (UsageError, MemoryError):
            raise
        # Decoders meet broken files with errors of every type.
        except Exception as error:
            return reason(error)
        if pixels is not None:
            pixels[item] = image

    outcomes = enumerate(in_order(pool, attempt, count, "decoding", progress))
    failures = {item: why for item, why in outcomes if why is not None}
    kept = np.array([i for i in range(count) if i not in failures], np.int64)
    if pixels is not None:
        pool.shutdown()
        decoded = pixels[kept] if failures else pixels
        return Decoded(kept, lambda index: decoded[index], failures)

    def images(index):
        items = kept[index]
        found = np.empty((len(items), *shape), dtype)

        def put(i):
            image = read(items[i])
            assert image.shape == shape, (image.shape, shape)  # it would broadcast
            found[i] = image

        for _ in _pieces(pool, put, 0, len(items)):
            pass
        return found

    return Decoded(kept, images, failures)


def workers() -> ThreadPoolExecutor:
    """A thread for each core."""
    return ThreadPoolExecutor(cores(), thread_name_prefix="decode")


def cores() -> int:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_order(pool, function, count: int, label: str, progress=silent) -> Iterator:
    """Yields `function(0) ... function(count - 1)`, computed by the pool's threads."""

    def results():
        # In blocks: a future per item of a large dataset would take gigabytes.
        for start in range(0, count, _BLOCK):
            for piece in _pieces(pool, function, start, min(start + _BLOCK, count)):
                yield from piece

    yield from progress(results(), count, label)


def _pieces(pool, function, start, end):
    """Results in lists; pieces of few items are smaller, so that no thread rests."""
    size = max(1, min(_PIECE, (end - start) // (4 * cores())))

    def piece(first):
        return [function(i) for i in range(first, min(first + size, end))]

    return pool.map(piece, range(start, end, size))


def reason(error: Exception) -> str:
    """The first line of what an error says, without a full stop."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
