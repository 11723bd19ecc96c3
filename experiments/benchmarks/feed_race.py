"""The two sides that feed a folder, and the turns that they take.

What a side prepares ahead while it waits for its turn is not timed, and while it is
prepared the other waits.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks import process
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


def launched(side_of: Callable, folder: Path, resize: int | None):
    """A process with a side in it, which ends with the context.

    Args:
        side_of: `jaxgan` or `torch`.
        folder: of images.
        resize: the side they are brought to; None as they are.

    Yields:
        `ask(way, batches) -> Turn`, a way of `WAYS`.
    """
    return process.launched(_serve, side_of, folder, resize)


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
