"""Train states on disk, through orbax."""

import json
import logging
import shutil
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp

from jaxgan import distributed
from jaxgan.types import TrainState, UsageError

__all__ = [
    "NEWEST",
    "Best",
    "best",
    "best_folder",
    "forget_best",
    "reader",
    "restore",
    "save",
    "save_and_wait",
    "save_best",
    "steps",
    "writer",
]

NEWEST = "checkpoints"
"""The folder of a run's newest states."""


def best_folder(path: Path, member: int | None = None) -> Path:
    """Where a run, or one of its members, keeps the best state.

    Beside it a file of its name and `.json` says which it is, and by what.
    """
    return path / ("best" if member is None else f"best-{member}")


def _record(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.json")


def reader(directory: Path | str) -> ocp.CheckpointManager:
    """Opens a folder of checkpoints, perhaps of a run that goes on; for a `with`."""
    return _manager(directory, read_only=True, create=False)


def writer(directory: Path | str, keep: int | None = None) -> ocp.CheckpointManager:
    """Opens a run's own folder; use it in a `with`, or saves may be lost.

    Args:
        directory: it is made when it is not there, and rid of unfinished saves.
        keep: how many of the newest to keep; None for all.
    """
    Path(directory).mkdir(parents=True, exist_ok=True)
    return _manager(directory, max_to_keep=keep, cleanup_tmp_directories=True)


def _manager(directory, **options):
    logging.getLogger("absl").setLevel(logging.ERROR)
    if not distributed.alone():  # the others neither write nor wait for it
        one = ocp.options.MultiprocessingOptions(primary_host=0, active_processes={0})
        options |= {"multiprocessing_options": one, "create": False}
    options = ocp.CheckpointManagerOptions(**options)
    return ocp.CheckpointManager(Path(directory).absolute(), options=options)


def steps(directory: Path | str) -> list[int]:
    """Of the checkpoints in a folder; of a folder that is not there, none."""
    if not Path(directory).is_dir():
        return []
    with reader(directory) as saved:
        return sorted(saved.all_steps())


def save(checkpoints: ocp.CheckpointManager, state: TrainState) -> None:
    """Saves in the background, under the state's step; does nothing if it is there."""
    step = int(state.step)
    if step not in checkpoints.all_steps():
        checkpoints.save(step, args=_saved(state))


def save_and_wait(checkpoints: ocp.CheckpointManager, state: TrainState) -> None:
    """Saves, and returns when all is on disk."""
    save(checkpoints, state)
    checkpoints.wait_until_finished()


def _saved(state):
    if not distributed.alone():  # orbax takes arrays of a single process for a mistake
        state = jax.tree.map(np.array, state)  # copies: it saves while steps go on
    return ocp.args.StandardSave(state)


class Best(NamedTuple):
    """What best.json says of the state in the folder `best`."""

    step: int
    figure: str
    """What states are compared by."""
    value: float


def best(folder: Path) -> Best | None:
    """What is in a `best_folder`, if anything.

    Raises:
        UsageError: best.json is damaged.
    """
    file = _record(folder)
    try:
        return Best(**json.loads(file.read_text()))
    except FileNotFoundError:
        return None
    except (TypeError, ValueError) as error:
        reason = f"{file} is damaged: {error}; delete it."
        raise UsageError(None, None, reason) from None


def save_best(
    folder: Path, state: TrainState, figure: str, value: float, lower: bool
) -> bool:
    """Keeps a state if it is better than the best, or compared by something else.

    The old one goes when the new one is safe: whenever a run is killed, best.json names
    a state that is there.

    Args:
        folder: `best_folder`.
        state: what to save.
        figure: what it is compared by.
        value: how it does.
        lower: whether lower is better.

    Returns:
        Whether it was kept.
    """
    old, step = best(folder), int(state.step)
    sign = 1 if lower else -1
    if old and old.figure == figure and sign * old.value <= sign * value:
        return False
    with writer(folder) as saved:
        if step not in saved.all_steps():  # or it is there from before a kill
            saved.save(step, args=_saved(state), force=True)
            saved.wait_until_finished()
        file = _record(folder)
        new = file.with_name(f"{file.name}.partial")
        new.write_text(json.dumps(Best(step, figure, value)._asdict()) + "\n")
        new.replace(file)
        for other in saved.all_steps():
            if other != step:
                saved.delete(other)
    return True


def forget_best(folder: Path) -> None:
    """Removes a run's best, if it has one."""
    _record(folder).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def restore(
    checkpoints: ocp.CheckpointManager,
    template: TrainState,
    warn=print,
    step: int | None = None,
) -> TrainState:
    """The newest state that can be read.

    Args:
        checkpoints: from `reader` or `writer`.
        template: the state's structure: arrays, or `ShapeDtypeStruct`s with shardings.
        warn: told, in one sentence, of each newer checkpoint that is damaged.
        step: the state of this step and no other.

    Raises:
        UsageError: there is none, or they are of other networks or optimizers.
    """
    candidates = sorted(checkpoints.all_steps(), reverse=True)
    for candidate in candidates if step is None else [step]:
        try:
            args = ocp.args.StandardRestore(template)
            return checkpoints.restore(candidate, args=args)
        # What a torn file raises depends on where it is torn.
        except Exception as error:
            if "tree structures do not match" in str(error):
                where = f"{checkpoints.directory} holds states of other networks or "
                reason = f"{where}optimizers than these options make."
                raise UsageError(None, None, reason) from None
            lines = str(error).strip().splitlines() or [type(error).__name__]
            text = f"Checkpoint {candidate} cannot be read ({lines[0]})"
            warn(f"{text}; trying an older one." if step is None else f"{text}.")
    reason = f"{checkpoints.directory} holds no checkpoint that can be read."
    raise UsageError(None, None, reason)
