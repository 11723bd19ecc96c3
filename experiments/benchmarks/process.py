"""A process for a side, which answers what it is asked."""

import contextlib
import multiprocessing
import sys
from collections.abc import Callable


@contextlib.contextmanager
def launched(serve: Callable, side_of: Callable, *args):
    """A process with a side in it, which ends with the context.

    Args:
        serve: `(side_of, connection, *args)`, the life of the process: it answers until
            its parent hangs up.
        side_of: the function that imports the side.
        *args: for `serve`.

    Yields:
        `ask(*message) -> answer`.
    """
    context = multiprocessing.get_context("spawn")  # a fork would share libraries
    here, there = context.Pipe()
    # No daemon: these may have no workers of their own.
    process = context.Process(target=serve, args=(side_of, there, *args))
    process.start()
    there.close()

    def ask(*message):
        try:
            here.send(message)
            return here.recv()
        except (EOFError, OSError):
            sys.exit(f"{side_of.__name__} died; its last words are above.")

    try:
        yield ask
    finally:
        here.close()
        process.join(30)
        process.terminate()
        process.join()
