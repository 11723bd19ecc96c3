"""How a run is asked to stop: SIGINT (Ctrl-C), SIGTERM and, where there is one, SIGHUP.

Once steps are taken, the first signal has the run save and end. Before, there is
nothing to save, and a command line ends at once, though it may be deep in a
compilation.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator

from jaxgan import distributed

__all__ = ["Stop", "ending_early", "stopping"]

SIGNALS = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP")
    if hasattr(signal, name)
)

_saves = threading.Event()
"""Set while a run takes steps, and would save."""


class Stop:
    """Whether a run is to stop."""

    def __init__(self):
        self._asked = threading.Event()

    def asked(self) -> bool:
        return self._asked.is_set()

    def ask(self) -> None:
        self._asked.set()

    def steps_begin(self) -> None:
        """From here on there is something to save."""
        _saves.set()


def _heeded():
    """The signals, but those that the process was begun without, as by `nohup`."""
    return [one for one in SIGNALS if signal.getsignal(one) != signal.SIG_IGN]


@contextlib.contextmanager
def stopping() -> Iterator[Stop]:
    """A `Stop` that any of the signals asks; a second SIGINT ends at once."""
    stop = Stop()

    def handle(number, frame):
        if stop.asked():
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            return
        stop.ask()
        _say("Stopping after this step; Ctrl-C again: at once, without saving.")

    # Only the main thread may; elsewhere (a notebook's executor) signals stay theirs.
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    old = {one: signal.signal(one, handle) for one in _heeded()}
    try:
        yield stop
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def ending_early(leave: Callable[[], object]) -> Iterator[None]:
    """Ends the process by a signal that comes while there is nothing to save.

    Python answers a signal when what it is in returns, and a compilation may take a
    minute. Here a thread hears of it at once.

    Args:
        leave: called before the process ends.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or os.name == "nt":  # where a pipe cannot be listened to
        yield
        return
    if (other := signal.set_wakeup_fd(-1)) != -1:  # another loop listens
        signal.set_wakeup_fd(other)
        yield
        return
    _saves.clear()
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    old = {one: signal.signal(one, lambda number, frame: None) for one in _heeded()}

    def listen():
        while number := os.read(read, 1)[0]:
            # Of several processes none leaves while others wait for it.
            if number in old and not _saves.is_set() and distributed.alone():
                leave()
                _say("Stopped; nothing was begun that could be saved.")
                os._exit(128 + number)

    thread = threading.Thread(target=listen, daemon=True, name="jaxgan-signals")
    thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(-1)
        for number, handler in old.items():
            signal.signal(number, handler)
        os.write(write, b"\0")
        thread.join()
        os.close(read)
        os.close(write)


def _say(text):
    with contextlib.suppress(RuntimeError, OSError, ValueError):  # amid another
        print(text, file=sys.stderr, flush=True)
