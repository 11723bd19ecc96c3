"""The sides of a GAN's steps, and the turns that they take.

Each side of each case lives in a process of its own, since the threads of one, spinning
for work, would slow the other, and since memory is a process's. They take turns, round
by round, and those that wait sleep.
"""

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from benchmarks import process
from benchmarks.cases import CASES

TURN_SECONDS = 0.5


class Setting(NamedTuple):
    """Where a race is run, and by what rules."""

    platform: str = "cpu"
    """Or "gpu"."""
    dtype: str = "float32"
    """What layers compute in; or "bfloat16"."""
    modes: tuple[str, ...] = ("eager", "channels_last", "compiled")
    """PyTorch's, see `torch_side`."""
    rounds: int = 9
    """How many turns each entrant takes."""
    steps: int | None = None
    """Of a turn; None for as many as the slowest does in half a second."""


ENTRANTS: dict[str, dict[str, Any]] = {
    "jaxgan": {},
    "dispatch of 1": {"dispatch": 1},
    "dispatch of 10": {"dispatch": 10},
    "streamed": {"fed": "streamed"},
}
"""How jaxgan takes its turns: what is given to `jaxgan_side.Run.run`."""


class Raced(NamedTuple):
    """What is known of a case when all turns are taken; by entrant or side."""

    ms: dict[str, list[float]]
    """Milliseconds a step, of each round."""
    losses: dict[str, tuple[float, float]]
    """Of D and G in the first step, which all take from the same weights."""
    first: dict[str, dict[str, float]]
    """Seconds until the first step was done: "cold", and "warm", with what compilers
    have kept on disk."""
    memory: dict[str, int]
    """The most bytes, of compiling and of the first step."""
    flops: int
    """Of a step."""
    peaks: dict[str, float]
    """GFLOP/s of a matrix product."""


def jaxgan(setting: Setting):
    """jaxgan's side; only its own process imports it."""
    os.environ["JAX_PLATFORMS"] = {"gpu": "cuda"}.get(setting.platform, "cpu")
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"  # PyTorch is there, too
    import jax

    jax.config.update("jax_compilation_cache_dir", os.environ["BENCHMARK_CACHE"])
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    from benchmarks import jaxgan_side

    return jaxgan_side.Side(setting.dtype)


def torch(setting: Setting, mode: str):
    """PyTorch's side; only its own process imports it."""
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = os.environ["BENCHMARK_CACHE"]
    from benchmarks import torch_side

    device = {"gpu": "cuda"}.get(setting.platform, "cpu")
    return torch_side.Side(setting.dtype, mode, device)


@contextlib.contextmanager
def own_cache():
    """A fresh folder for what this process's compilers keep."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["BENCHMARK_CACHE"] = folder
        yield


def _serve(side_of, connection, name, *setting):
    """The life of a side's process: it answers until its parent hangs up."""
    with own_cache():
        side, run = side_of(*setting), None
        try:
            while True:
                verb, *args = connection.recv()
                if verb == "start":
                    answer, run = _started(side, CASES[name], *args)
                else:
                    options = args.pop() if verb == "run" else {}
                    answer = getattr(run or side, verb)(*args, **options)
                connection.send(answer)
        except (EOFError, OSError, KeyboardInterrupt):
            if run is not None:
                run.close()


def _started(side, case, rows, weights):
    """Starts a case, and again with what compilers have kept; what is to be told."""
    first, memory = {}, None
    for when in ("cold", "warm"):
        run = side.start(case, rows, weights)
        began = time.perf_counter()
        _, *losses = run.run(1)
        first[when] = time.perf_counter() - began
        memory = memory or run.memory()
        if when == "cold":
            run.close()
            side.forget()
    known = {"weights": run.weights, "flops": run.flops, "losses": losses}
    return known | {"first": first, "memory": memory}, run


def launched(side_of: Callable, name: str, *setting):
    """A process with a side of a case in it, which ends with the context.

    Args:
        side_of: `jaxgan` or `torch`.
        name: of the case.
        *setting: for `side_of`.

    Yields:
        `ask(verb, *args) -> answer`: "matmul" for GFLOP/s, then "start" the case with
        `(rows, weights)`, then "run" it for `(steps, options)`.
    """
    return process.launched(_serve, side_of, name, *setting)


def race(names: Sequence[str], setting: Setting) -> dict[str, Raced]:
    """Lets cases and sides take turns.

    Args:
        names: of the cases.
        setting: the rules.

    Returns:
        What was found, by case's name.
    """
    with contextlib.ExitStack() as stack:
        asks: dict[str, dict[str, Callable]] = {}
        for name in names:
            sides = {"jaxgan": stack.enter_context(launched(jaxgan, name, setting))}
            for mode in setting.modes:
                sides[mode] = stack.enter_context(launched(torch, name, setting, mode))
            asks[name] = sides
        return raced(asks, setting)


def raced(asks: dict[str, dict[str, Callable]], setting: Setting) -> dict[str, Raced]:
    """The turns.

    Args:
        asks: `ask`, see `launched`, by case's name and side; "jaxgan" is the first.
        setting: the rules.
    """
    found = {name: _begun(name, sides) for name, sides in asks.items()}
    turns = [
        (name, entrant)
        for name, sides in asks.items()
        for entrant in _entrants(name, sides)
    ]
    pace = max(_turn(asks, *turn, 3, 1) / 3 for turn in turns)
    steps = setting.steps or max(3, int(1e3 * TURN_SECONDS / pace))
    for i in range(setting.rounds):
        for name, entrant in turns[:: -1 if i % 2 else 1]:
            period = CASES[name].period
            n, before = (-(-k // period) * period for k in (steps, max(1, steps // 8)))
            ms = _turn(asks, name, entrant, n, before)
            found[name].ms.setdefault(entrant, []).append(ms / n)
    return found


def _begun(name, sides):
    """Starts a case on all its sides."""
    rows, weights = CASES[name].data(), None
    raced = Raced({}, {}, {}, {}, 0, {})
    for side, ask in sides.items():
        raced.peaks[side] = ask("matmul")
        known = ask("start", rows, weights)
        raced.first[side], raced.memory[side] = known["first"], known["memory"]
        raced.losses[side] = known["losses"]
        if side == "jaxgan":
            weights, raced = known["weights"], raced._replace(flops=known["flops"])
    return raced


def _entrants(name, sides):
    """Who takes turns: jaxgan in its ways, as far as they are told apart, and modes."""
    points = CASES[name].points
    ways = [way for way in ENTRANTS if not (points and way == "streamed")]
    return [*ways, *(side for side in sides if side != "jaxgan")]


def _turn(asks, name, entrant, steps, before):
    """Milliseconds that so many steps take, after some that wake caches and threads."""
    ask, options = asks[name].get(entrant), {}
    if entrant in ENTRANTS:
        ask, options = asks[name]["jaxgan"], ENTRANTS[entrant]
    ask("run", before, options)
    seconds, *_ = ask("run", steps, options)
    return 1e3 * seconds
