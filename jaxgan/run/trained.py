"""What every command on a trained run has in common."""

import dataclasses
from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple

from jaxgan.run import evaluation
from jaxgan.run.loading import Loaded
from jaxgan.run.settings import FILE, Range
from jaxgan.types import Draw, UsageError

__all__ = ["Command", "Trained", "draw_of"]


class Command(NamedTuple):
    """One command of an experiment's command line."""

    options: type
    """A dataclass on top of `Trained`."""
    run: Callable[..., None]
    """`(options, loaded)`; of one that `loads` nothing `(options, workdir, kind)`, with
    the dataclass of the run's options."""
    of_all: Callable[[Any, list[Loaded]], None] | None = None
    """What it does with all members, where none is chosen; None where one must be."""
    check: Callable[[Any], None] = lambda options: None
    """Refuses options, before anything is loaded."""
    loads: bool = True
    """Whether it needs the run's networks."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trained:
    """Which trained run, and which of its states."""

    workdir: Annotated[str | None, FILE] = None
    """The run. Default runs/EXPERIMENT."""
    member: Annotated[int | None, Range(0)] = None
    """Which of the members of a run of --seeds or --sweep."""
    best: bool = False
    """The best state that --evaluate-every found, instead of the newest."""
    live: bool = False
    """Weights as they are, instead of their average."""
    platform: Literal["auto", "cpu", "gpu", "tpu"] = "auto"
    """Where to run."""


def draw_of(loaded: Loaded, back: bool = False) -> tuple[str, Draw]:
    """The draw that a command is about, and its name.

    Args:
        loaded: the run.
        back: the other way of two.

    Raises:
        UsageError: there is no other way.
    """
    found = loaded.model.draws
    if back and "back" not in found:
        raise UsageError("back", None, ": this run learned one way only.")
    name = "back" if back else evaluation.main_draw(loaded.model)
    return name, found[name]
