"""Train states on disk, through orbax, each with digests of all its arrays.

A state that is read is the one that was saved, or it is refused.
"""

import contextlib
import errno
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp

from jaxgan import distributed
from jaxgan.data import outside
from jaxgan.run import digests, quiet
from jaxgan.types import TrainState, UsageError

__all__ = [
    "DAMAGED",
    "FORMAT",
    "NEWEST",
    "NotSaved",
    "damage",
    "put",
    "reader",
    "restore",
    "save",
    "save_and_wait",
    "set_aside",
    "steps",
    "wait",
    "window",
    "writer",
]

FORMAT = 1
"""Of checkpoints; those from before 0.4 have none, and no digests."""

OTHERS = "states of other networks or optimizers than these options make"

NEWER = "of a newer jaxgan; update jaxgan"

DAMAGED = ".damaged"
"""How the folder of a checkpoint ends that was set aside."""

NEWEST = "checkpoints"
"""The folder of a run's newest states."""


class NotSaved(OSError):
    """A state could not be written; the checkpoints from before are as they were."""


def reader(directory: Path | str) -> ocp.CheckpointManager:
    """Opens a folder of checkpoints, perhaps of a run that goes on; for a `with`."""
    return _manager(directory, read_only=True, create=False)


@contextlib.contextmanager
def writer(
    directory: Path | str, keep: int | None = None
) -> Iterator[ocp.CheckpointManager]:
    """Opens a run's own folder; at the end of the `with` all is saved.

    Args:
        directory: it is made when it is not there, and rid of unfinished saves.
        keep: how many of the newest to keep; None for all.

    Raises:
        NotSaved: what was saved before could not be written.
    """
    options = {"max_to_keep": keep, "cleanup_tmp_directories": True}
    with quiet.quiet():
        with _saving(directory):
            Path(directory).mkdir(parents=True, exist_ok=True)
            saved = _manager(directory, **options)
        try:
            yield saved
        finally:
            with _saving(directory):
                saved.close()


def _manager(directory, **options):
    logging.getLogger("absl").setLevel(logging.CRITICAL)  # errors are raised, too
    if not distributed.alone():  # the others neither write nor wait for it
        one = ocp.options.MultiprocessingOptions(primary_host=0, active_processes={0})
        options |= {"multiprocessing_options": one, "create": False}
    options = ocp.CheckpointManagerOptions(**options)
    return ocp.CheckpointManager(
        Path(directory).absolute(),
        options=options,
        # Or, where the newest step lacks its state, orbax reads none of the others.
        item_handlers=ocp.StandardCheckpointHandler(),
    )


def steps(directory: Path | str) -> list[int]:
    """Of the checkpoints in a folder; of a folder that is not there, none."""
    if not Path(directory).is_dir():
        return []
    with reader(directory) as saved:
        return sorted(saved.all_steps())


def save(
    checkpoints: ocp.CheckpointManager, state: TrainState, window: dict | None = None
) -> None:
    """Saves in the background, under the state's step; does nothing if it is there.

    Args:
        checkpoints: from `writer`.
        state: what to save.
        window: beside it, what `window` gives back, as JSON takes it.
    """
    step = int(state.step)
    if step not in checkpoints.all_steps():
        put(checkpoints, step, state, window)


def wait(checkpoints: ocp.CheckpointManager) -> None:
    """Returns when all is on disk.

    Raises:
        NotSaved: it could not be written.
    """
    with _saving(checkpoints.directory):
        checkpoints.wait_until_finished()


def save_and_wait(
    checkpoints: ocp.CheckpointManager, state: TrainState, window: dict | None = None
) -> None:
    """Saves, and returns when all is on disk."""
    save(checkpoints, state, window)
    wait(checkpoints)


def put(checkpoints, step: int, state: TrainState, window=None, **options) -> None:
    """Saves under a step that is not there yet, in the background."""
    if not distributed.alone():  # orbax takes arrays of a single process for a mistake
        state = jax.tree.map(np.array, state)  # copies: it saves while steps go on
    known = {
        "format": FORMAT,
        "digests": digests.of(state),
        "window": window,
        "window digest": digests.of_json(window),
    }
    args = ocp.args.StandardSave(state)
    with _saving(checkpoints.directory):
        checkpoints.save(step, args=args, custom_metadata=known, **options)


@contextlib.contextmanager
def _saving(folder):
    """Says in one error what orbax says in many, also of an earlier save."""
    failed = None
    try:
        yield
    except Exception as error:
        text = str(error)
        full = "No space left" in text or "RESOURCE_EXHAUSTED" in text
        number = getattr(error, "errno", None) or (errno.ENOSPC if full else errno.EIO)
        failed = number, os.strerror(number) if full else _reason(error)
    if failed:
        quiet.for_good()
        raise NotSaved(*failed, str(folder))


def window(checkpoints: ocp.CheckpointManager, step: int) -> dict | None:
    """What was saved beside the state of a step that has been restored; None where
    there is none."""
    if step not in checkpoints.all_steps():
        return None
    return (checkpoints.metadata(step).custom_metadata or {}).get("window")


def restore(
    checkpoints: ocp.CheckpointManager,
    template: TrainState,
    warn=print,
    step: int | None = None,
    own: bool = False,
) -> TrainState:
    """The newest state that is what was saved.

    Args:
        checkpoints: from `reader` or `writer`.
        template: the state's structure: arrays, or `ShapeDtypeStruct`s with shardings.
        warn: told, in one sentence, of each newer checkpoint that is damaged.
        step: the state of this step and no other.
        own: of a run's own folder, rename damaged ones to `STEP.damaged` once an older
            one has been read, so that their steps are saved again.

    Raises:
        UsageError: there is none, or they are of other networks or optimizers, or of a
            newer jaxgan.
    """
    found = sorted(checkpoints.all_steps(), reverse=True) if step is None else [step]
    damaged, others = [], False
    for candidate in found:
        state, why = _tried(checkpoints, candidate, template)
        if why is not None:
            others |= why == OTHERS
            damaged.append((candidate, why))
            continue
        for bad, why in damaged:
            aside = set_aside(checkpoints, bad) if own else ""
            warn(f"Checkpoint {bad} is damaged ({why}){aside}; {candidate} is used.")
        return state
    if others:
        raise UsageError(None, None, f"{checkpoints.directory} holds {OTHERS}.")
    if any(why == NEWER for _, why in damaged):
        raise UsageError(None, None, f"{checkpoints.directory} is {NEWER}.")
    for bad, why in damaged:
        warn(f"Checkpoint {bad} is damaged ({why}).")
    reason = f"{checkpoints.directory} holds no checkpoint that can be read."
    raise UsageError(None, None, reason)


def damage(checkpoints, step: int, template: TrainState) -> str | None:
    """What is wrong with the state of a step, in a few words, if anything is."""
    return _tried(checkpoints, step, template)[1]


def _tried(checkpoints, step, template):
    """`(state, None)`, or `(None, why not)`."""
    with quiet.quiet():
        try:
            return _restored(checkpoints, step, template), None
        except (UsageError, MemoryError):
            raise
        # What a damaged file raises depends on where it is damaged.
        except Exception as error:
            why = _reason(error)
    quiet.for_good()
    return None, why


def _reason(error):
    text = str(error)
    if "tree structures do not match" in text:  # in orbax's words
        return OTHERS
    line = (text.strip().splitlines() or [type(error).__name__])[0]
    code = line.partition(":")[0]
    if code.isupper() or line.startswith("Encountered error while reading array"):
        return "an array cannot be read"
    return line if len(line) < 100 else f"{line[:100]} ..."


def _restored(checkpoints, step, template):
    """The state, verified; raises whatever is raised where something is wrong."""
    known = _known(checkpoints, step)
    if known.get("format", 0) > FORMAT:
        raise ValueError(NEWER)
    saved = known.get("digests", {})
    if saved and digests.other_networks(template, saved):
        raise ValueError(OTHERS)
    state = checkpoints.restore(step, args=ocp.args.StandardRestore(template))
    if not known:  # of a jaxgan before 0.4
        return state
    if where := digests.wrong(state, saved):
        raise ValueError(f"{where} is not what was saved")
    if known["window digest"] != digests.of_json(known["window"]):
        raise ValueError("the metrics beside it are not what was saved")
    if int(state.step) != step:
        raise ValueError(f"it holds the state of step {int(state.step)}")
    return state


def _known(checkpoints, step):
    """What was saved beside a state: nothing, by a jaxgan before 0.4."""
    file = Path(checkpoints.directory) / str(step) / "_CHECKPOINT_METADATA"
    text = file.read_bytes()  # orbax takes one that is not there for an empty one
    known = outside.as_json(text).get("custom_metadata") or {}
    if not known and b"digest" in text:
        raise ValueError("its digests cannot be read")
    return known


def set_aside(checkpoints: ocp.CheckpointManager, step: int) -> str:
    """Renames the folder of a damaged checkpoint; says so, or why not."""
    folder = Path(checkpoints.directory) / str(step)
    name, k = f"{step}{DAMAGED}", 1
    while (folder.with_name(name)).exists():
        name, k = f"{step}{DAMAGED}.{k}", k + 1
    try:
        folder.rename(folder.with_name(name))
    except OSError as error:
        return f", and could not be renamed: {error.strerror}"
    checkpoints.reload()
    return f", and is called {name} now"
