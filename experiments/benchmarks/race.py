"""The two sides of a GAN's steps, and the turns that they take.

Each framework lives in a process of its own, since the threads of one, spinning for
work, would slow the other. They take turns, round by round, and the one that waits
sleeps.
"""

import os
from collections.abc import Callable, Mapping, Sequence

from benchmarks import process
from benchmarks.cases import CASES

TURN_SECONDS = 0.5


def jaxgan():
    """The module of jaxgan's side; only its own process imports it."""
    os.environ["JAX_PLATFORMS"] = "cpu"
    from benchmarks import jaxgan_side

    return jaxgan_side


def torch():
    """The module of PyTorch's side; only its own process imports it."""
    from benchmarks import torch_side

    return torch_side


def _serve(side_of, connection):
    """The life of a side's process: it answers until its parent hangs up."""
    side, runs = side_of(), {}
    try:
        while True:
            verb, *args = connection.recv()
            if verb == "start":
                name, data, weights = args
                case = CASES[name]
                answer, runs[name] = side.start(case.build(side), case, data, weights)
            elif verb == "run":
                name, steps = args
                answer = runs[name](steps)
            else:
                answer, runs = side.matmul(), {}
            connection.send(answer)
    except (EOFError, OSError, KeyboardInterrupt):
        pass


def launched(side_of: Callable):
    """A process with a side in it, which ends with the context.

    Args:
        side_of: `jaxgan` or `torch`.

    Yields:
        `ask(verb, *args) -> answer`: "start" a case with `(name, data, weights)` for
        its weights, "run" it for `(name, steps)` as its side's `start` says, "matmul"
        for GFLOP/s, which forgets all cases.
    """
    return process.launched(_serve, side_of)


def race(
    names: Sequence[str],
    sides: Mapping[str, Callable],
    rounds: int,
    steps: int | None = None,
) -> dict:
    """Lets cases and sides take turns.

    Args:
        names: of the cases.
        sides: `ask` by name; the first makes the weights that all start from.
        rounds: how many turns each takes.
        steps: of a turn; None for as many as the slowest does in half a second.

    Returns:
        By case's name, milliseconds a step, a list over rounds, by side; and the
        losses of D and G, means over the last round, by side.
    """
    pace = _started(names, sides)
    steps = steps or max(3, int(TURN_SECONDS / pace))
    turns = [(name, side) for name in names for side in sides]
    found: dict = {name: ({side: [] for side in sides}, {}) for name in names}
    for i in range(rounds):
        for name, side in turns[:: -1 if i % 2 else 1]:
            ms, losses = found[name]
            sides[side]("run", name, max(1, steps // 8))  # wakes caches and threads
            seconds, *losses[side] = sides[side]("run", name, steps)
            ms[side].append(1e3 * seconds / steps)
    return found


def _started(names, sides):
    """Starts the cases; seconds that the slowest needs for a step."""
    pace = 0
    for name in names:
        data, weights = CASES[name].data(), None
        for ask in sides.values():
            weights = ask("start", name, data, weights)
            ask("run", name, 2)
            pace = max(pace, ask("run", name, 3)[0] / 3)
    return pace
