"""The best state of a run, or of one of its members, beside the newest ones.

Beside its folder a file of its name and `.json` says which it is, and by what.
"""

import json
import math
import shutil
from pathlib import Path
from typing import NamedTuple

from jaxgan.data import outside
from jaxgan.run import atomic, checkpoint, settings
from jaxgan.types import TrainState, UsageError

__all__ = ["Best", "folder", "forget", "keep", "known", "sound"]


class Best(NamedTuple):
    """What best.json says of the state in the folder `best`."""

    step: int
    figure: str
    """What states are compared by."""
    value: float


def folder(path: Path, member: int | None = None) -> Path:
    """Where a run, or one of its members, keeps its best state."""
    return path / ("best" if member is None else f"best-{member}")


def _record(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.json")


def known(folder: Path) -> Best | None:
    """What is in a best state's folder, if anything.

    Raises:
        UsageError: best.json is damaged.
    """
    file = _record(folder)
    try:
        found = Best(**outside.read_json(file))
        if type(found.step) is not int or type(found.value) not in (int, float):
            raise TypeError("a step or a value is no number")
        if not 0 <= found.step < settings.WHOLE or not isinstance(found.figure, str):
            raise TypeError("there is no such step or figure")
        return found
    except FileNotFoundError:
        return None
    except (OSError, TypeError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        reason = f"{file} is damaged: {why}; delete it."
        raise UsageError(None, None, reason) from None


def keep(
    folder: Path, state: TrainState, figure: str, value: float, lower: bool
) -> bool:
    """Keeps a state if it is better than the best, or compared by something else.

    The old one goes when the new one is safe: whenever a run is killed, best.json names
    a state that is there.

    Args:
        folder: the best state's.
        state: what to save.
        figure: what it is compared by.
        value: how it does.
        lower: whether lower is better.

    Returns:
        Whether it was kept; a value that is not finite never is.
    """
    old, step = known(folder), int(state.step)
    sign = 1 if lower else -1
    if not math.isfinite(value):
        return False
    if old and old.figure == figure and sign * old.value <= sign * value:
        return False
    with checkpoint.writer(folder) as saved:
        if step not in saved.all_steps():  # or it is there from before a kill
            checkpoint.put(saved, step, state, force=True)
            checkpoint.wait(saved)
        text = json.dumps(Best(step, figure, value)._asdict()) + "\n"
        atomic.write_text(_record(folder), text)
        for other in saved.all_steps():
            if other != step:
                saved.delete(other)
    return True


def sound(folder: Path, template: TrainState, warn) -> None:
    """Sets a best state aside that is damaged, so that a run finds another.

    Args:
        folder: the best state's.
        template: its structure.
        warn: told of it, in one sentence.

    Raises:
        UsageError: as `known`.
    """
    best = known(folder)
    if best is None:
        return
    with checkpoint.writer(folder) as saved:
        if best.step in saved.all_steps():
            if (why := checkpoint.damage(saved, best.step, template)) is None:
                return
            text = f"The best state, of step {best.step}, is damaged ({why})"
            text += checkpoint.set_aside(saved, best.step)
        else:
            text = f"The best state, of step {best.step}, is not there"
    _record(folder).unlink()
    warn(f"{text}; the next evaluation finds a new one.")


def forget(folder: Path) -> None:
    """Removes a run's best, if it has one."""
    _record(folder).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
