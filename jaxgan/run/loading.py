"""Trained runs, rebuilt from their workdirs alone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from jaxgan import parallel
from jaxgan.data import SOURCES
from jaxgan.metrics import MEASURES
from jaxgan.run import (
    best_state,
    checkpoint,
    config,
    draws,
    members,
    program,
    snapshots,
    workdir,
)
from jaxgan.types import Model, TrainState, UsageError

__all__ = ["Loaded", "load", "rebuilt"]


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
    sigma_rel: float | None = None
    """Of averages that were rebuilt; None of the run's own."""
    profile_error: float | None = None
    """How far those are from that, see `phases.power_weights`."""
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
    sigma_rel: float | None = None,
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
        sigma_rel: of averages that are rebuilt from snapshots, in place of the run's
            own; see `snapshots.rebuilt`.
        platform: where to put it: a copy on each device.
        experiment: refuse runs of another; by default it is not looked at.

    Raises:
        UsageError: the folder holds no run, no such member, or no such checkpoint, or
            nothing to rebuild averages from.
    """
    path = Path(path)
    run = workdir.read(path, kind, experiment)
    if sigma_rel is not None:
        snapshots.require(run.config, sigma_rel)
        if live:
            raise UsageError("live", None, "and `sigma_rel` exclude each other.")
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
        one = Loaded(path, model_of(who[k].values), state, run, *its)
        found.append(one if sigma_rel is None else rebuilt(one, sigma_rel))
    return found


def rebuilt(loaded: Loaded, sigma_rel: float) -> Loaded:
    """The same with averages of another σ_rel, see `snapshots.rebuilt`."""
    path, cfg, member = loaded.path, loaded.run.config, loaded.member
    state, error = snapshots.rebuilt(path, loaded.state, cfg, sigma_rel, member)
    return loaded._replace(state=state, sigma_rel=sigma_rel, profile_error=error)


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
