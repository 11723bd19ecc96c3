"""Batches prepared ahead of the loop that consumes them, by one background thread."""

import itertools
import queue
import threading
import weakref
from collections.abc import Callable
from typing import Any

__all__ = ["Prefetch", "prefetch"]


def prefetch(make: Callable[[int], Any], start: int, depth: int = 2) -> "Prefetch":
    """Iterates over `make(start), make(start + 1), ...`, computed ahead.

        with prefetch(make, start) as batches:
            for batch in batches: ...

    Args:
        make: step -> batch; called in order, from one background thread.
        start: the first step.
        depth: how many finished batches may wait, at least 1.

    Returns:
        An endless iterator, to be closed by `with` or `close()`. An error in `make` is
        raised at the consumer when its turn comes, with its own traceback, and ends
        the iterator.

    Raises:
        ValueError: `depth` is less than 1.
    """
    if depth < 1:
        raise ValueError(f"depth must be at least 1, not {depth}")
    return Prefetch(make, start, depth)


class Prefetch:
    """The iterator that `prefetch` returns."""

    def __init__(self, make, start, depth):
        self._ready: queue.Queue = queue.Queue(depth)
        stop = threading.Event()
        # The thread holds no reference to self, so that an iterator that is dropped
        # without being closed is collected, and the thread with it.
        thread = threading.Thread(
            target=_produce,
            args=(make, start, self._ready, stop),
            name="prefetch",
            daemon=True,
        )
        self._finalizer = weakref.finalize(self, _finish, thread, self._ready, stop)
        self._finalizer.atexit = False
        thread.start()

    def __iter__(self):
        return self

    def __next__(self):
        if not self._finalizer.alive:
            raise StopIteration
        batch, error = self._ready.get()
        if error is None:
            return batch
        self.close()
        try:
            raise error
        finally:
            # The error's traceback refers to this frame: break the cycle.
            del error

    def close(self):
        """Ends the iterator and waits for the thread, which finishes its batch."""
        self._finalizer()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _produce(make, start, ready, stop):
    for step in itertools.count(start):
        try:
            item = make(step), None
        except BaseException as error:
            item = None, _not_stop_iteration(error)
        if stop.is_set():
            return
        ready.put(item)
        if stop.is_set() or item[1] is not None:
            return


def _not_stop_iteration(error):
    """As in a generator: a stray StopIteration must not look like an orderly end."""
    if not isinstance(error, StopIteration):
        return error
    wrapped = RuntimeError("make raised StopIteration")
    wrapped.__cause__ = error
    return wrapped


def _finish(thread, ready, stop):
    stop.set()
    # After this the thread, which may be waiting to put, finds room for its last item.
    while not ready.empty():
        ready.get_nowait()
    if thread is not threading.current_thread():
        thread.join()
