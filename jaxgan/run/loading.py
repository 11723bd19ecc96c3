"""Trained runs, rebuilt from their workdirs alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from jaxgan import parallel
from jaxgan.data import SOURCES
from jaxgan.metrics import MEASURES
from jaxgan.run import best_state, checkpoint, config, draws, members, program, workdir
from jaxgan.types import Model, TrainState, UsageError

__all__ = ["Loaded", "load"]


class Loaded(NamedTuple):
    """A trained run, or one of its members."""

    path: Path
    model: Model
    state: TrainState
    run: workdir.Run
    member: int | None = None
    """None of a run that has but one."""
    name: str = ""
    """Of the member."""
    measures: tuple = MEASURES
    sources: tuple = SOURCES

    @property
    def num_classes(self) -> int:
        """Of the data."""
        return len(self.run.class_names)


def load(
    path: Path | str,
    kind: type[config.Config],
    build: Callable,
    *,
    member: int | None = None,
    best: bool = False,
    live: bool = False,
    platform: str = "auto",
    experiment: str | None = None,
) -> list[Loaded]:
    """All members of a run, most often one, or the one that is asked for.

    Args:
        path: its workdir.
        kind: its options' dataclass.
        build: `(config, shape, num_classes) -> Model`.
        member: which of several.
        best: the state that `evaluate_every` found best, instead of the newest.
        live: weights as they are, in place of their averages.
        platform: where to put it: a copy on each device.
        experiment: refuse runs of another; by default it is not looked at.

    Raises:
        UsageError: the folder holds no run, no such member, or no such checkpoint.
    """
    path = Path(path)
    run = workdir.read(path, kind, experiment)
    who = members.members(run.config)
    if member is not None and not (0 <= member < len(who) > 1):
        has = f"0 ... {len(who) - 1}" if len(who) > 1 else "but one run"
        raise UsageError("member", member, f": {path} has {has}.")
    mesh = parallel.mesh(parallel.devices(platform))
    shape, classes = run.shape, len(run.class_names)
    model_of = members.varied(build, run.config, shape, classes)
    chosen = range(len(who)) if member is None else [member]
    several, found = len(who) > 1, []
    stack: Any = None
    if not best:
        stack = _newest(path, program.start(model_of, who, shape, mesh))
    for k in chosen:
        if best:
            folder = best_state.folder(path, k if several else None)
            state = _best(folder, program.start(model_of, who[k : k + 1], shape, mesh))
        else:
            state = members.member_of(stack, k) if several else stack
        state = draws.live(state) if live else state
        its = (k, who[k].name) if several else (None, "")
        found.append(Loaded(path, model_of(who[k].values), state, run, *its))
    return found


def _newest(path, start):
    folder = path / checkpoint.NEWEST
    if not checkpoint.steps(folder):
        raise UsageError("workdir", path, "holds no checkpoint yet.")
    with checkpoint.reader(folder) as saved:
        return checkpoint.restore(saved, start.template)


def _best(folder, start):
    known = best_state.known(folder)
    if not known:
        reason = f": {folder.parent} holds no best state; train with `evaluate_every`."
        raise UsageError("best", None, reason)
    with checkpoint.reader(folder) as saved:
        return checkpoint.restore(saved, start.template, step=known.step)
