"""What every command on a trained run has in common."""

import dataclasses
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple

from jaxgan.data.tree import some
from jaxgan.phases.posthoc import LONGEST, SHORTEST
from jaxgan.run import draws, evaluation
from jaxgan.run.loading import Loaded
from jaxgan.run.settings import FILE, Range
from jaxgan.types import Draw, UsageError

__all__ = ["Command", "Trained", "class_of", "draw_of", "numbers", "of_noise"]


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
    sigma_rel: Annotated[float | None, Range(SHORTEST, LONGEST)] = None
    """The power-function average of this sigma_rel, rebuilt from the snapshots of a run
    of --posthoc-ema, instead of the run's own average."""
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


def of_noise(loaded: Loaded, noise: bool = True, back: bool = False):
    """The same, where it draws from noise, or where it does not.

    Raises:
        UsageError: it is the other; or there is no other way.
    """
    name, found = draw_of(loaded, back)
    if draws.from_noise(found) != noise:
        does = "draws from noise" if not noise else "translates images"
        other = "draw from noise" if noise else "translate images"
        reason = f"holds a run that {does}; this command is for runs that {other}."
        raise UsageError("workdir", loaded.path, reason)
    return name, found


def class_of(loaded: Loaded, label: str | None) -> int | None:
    """The number of a class that is asked for, by its name or, where none is called so,
    its number; None where none is.

    Raises:
        UsageError: there is no such class.
    """
    names = loaded.run.class_names
    if label is None or label in names:
        return None if label is None else names.index(label)
    counted = names == tuple(map(str, range(len(names))))
    whole = re.fullmatch("-?[0-9]+", label)
    if whole and (counted or not all(name.isdecimal() for name in names)):
        return int(label)  # `samples` knows which there are
    if not names:
        raise UsageError("label", label, ": this run is not class-conditional.")
    raise UsageError("label", label, f"must be one of {some(list(names), 20)}.")


def numbers(option: str, text: str | None, most: int = 10_000) -> list[int]:
    """Whole numbers from 0 on, of text such as 3,7,20-25; of None none.

    Raises:
        UsageError: it is not such text, or names more than `most`.
    """
    found: list[int] = []
    for part in text.split(",") if text is not None else ():
        ends = re.fullmatch(r"\s*([0-9]{1,10})(?:-([0-9]{1,10}))?\s*", part)
        first, last = (
            (int(x) for x in (ends[1], ends[2] or ends[1])) if ends else (1, 0)
        )
        if not first <= last < 2**32:
            reason = "must be whole numbers below 2**32, such as 1-50 or 3,7,20-25."
            raise UsageError(option, text, reason)
        if len(found) + last - first >= most:
            raise UsageError(option, text, f"names more than {most}.")
        found += range(first, last + 1)
    return found
