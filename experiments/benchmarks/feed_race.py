"""The processes of the two sides that feed a folder, and the turns that they take.

What a side prepares ahead while it waits for its turn is not timed, and while it is
prepared the other waits.
"""

import contextlib
import multiprocessing
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.feed_turn import BATCH, Turn

TURN_SECONDS = 1.5
WAYS = {"streamed": "jaxgan", "load": "jaxgan", "resident": "jaxgan", "loader": "torch"}
"""How images are fed, and by which side."""


def jaxgan():
    """The module of jaxgan's side; only its own process imports it."""
    os.environ["JAX_PLATFORMS"] = "cpu"
    from benchmarks import jaxgan_feed

    return jaxgan_feed


def torch():
    """The module of PyTorch's side; only its own process imports it."""
    from benchmarks import torch_feed

    return torch_feed


def _serve(side_of, connection, folder, resize):
    """The life of a side's process: it answers until its parent hangs up."""
    ways, close = side_of().start(folder, resize)
    try:
        while True:
            way, batches = connection.recv()
            connection.send(ways[way](batches))
    except (EOFError, OSError, KeyboardInterrupt):
        pass
    finally:
        close()


@contextlib.contextmanager
def launched(side_of: Callable, folder: Path, resize: int | None):
    """A process with a side in it, which ends with the context.

    Args:
        side_of: `jaxgan` or `torch`.
        folder: of images.
        resize: the side they are brought to; None as they are.

    Yields:
        `ask(way, batches) -> Turn`, a way of `WAYS`.
    """
    context = multiprocessing.get_context("spawn")  # a fork would share libraries
    here, there = context.Pipe()
    # No daemon: these may have no workers of their own.
    process = context.Process(target=_serve, args=(side_of, there, folder, resize))
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


def race(
    sides: Mapping[str, Callable], rounds: int, batches: int | None = None
) -> dict[str, list[Turn]]:
    """Lets the ways take turns.

    Args:
        sides: `ask` by name.
        rounds: how many turns each takes.
        batches: of a turn; None for as many as take a second and a half.

    Returns:
        The turns of each way.
    """
    paces = {way: batches or _pace(sides[side], way) for way, side in WAYS.items()}
    found: dict = {way: [] for way in WAYS}
    for i in range(rounds):
        for way in [*WAYS][:: -1 if i % 2 else 1]:
            found[way].append(sides[WAYS[way]](way, paces[way]))
    return found


def _pace(ask, way):
    """Batches of a turn."""
    ask(way, 8)
    turn = ask(way, 8)
    return max(1, int(TURN_SECONDS * turn.images / turn.seconds / BATCH))
