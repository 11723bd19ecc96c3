"""Train states on disk, through orbax."""

import json
import logging
import shutil
from pathlib import Path
from typing import NamedTuple

import jax
import orbax.checkpoint as ocp

from jaxgan import parallel
from jaxgan.types import TrainState, UsageError, example

NEWEST, BEST = "checkpoints", "best"
"""Folders of a run: of its newest states, and of its best."""
RECORD = "best.json"
"""Which state is the best, and by what."""


def reader(directory: Path | str) -> ocp.CheckpointManager:
    """Opens a folder of checkpoints, perhaps of a run that goes on; for a `with`."""
    return _manager(directory, read_only=True, create=False)


def writer(directory: Path | str, keep: int | None = None) -> ocp.CheckpointManager:
    """Opens a run's own folder; use it in a `with`, or saves may be lost.

    Args:
        directory: it is made when it is not there, and rid of unfinished saves.
        keep: how many of the newest to keep; None for all.
    """
    return _manager(directory, max_to_keep=keep, cleanup_tmp_directories=True)


def _manager(directory, **options):
    logging.getLogger("absl").setLevel(logging.ERROR)
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
        checkpoints.save(step, args=ocp.args.StandardSave(state))


class Best(NamedTuple):
    """What best.json says of the state in the folder `best`."""

    step: int
    figure: str
    """What states are compared by."""
    value: float


def best(path: Path) -> Best | None:
    """The best of a run, if it has one.

    Raises:
        UsageError: best.json is damaged.
    """
    file = path / RECORD
    try:
        return Best(**json.loads(file.read_text()))
    except FileNotFoundError:
        return None
    except (TypeError, ValueError) as error:
        raise UsageError(f"{file} is damaged: {error}; delete it.") from None


def save_best(path: Path, state: TrainState, figure: str, value: float, lower: bool):
    """Keeps a state if it is better than the best, or compared by something else.

    The old one goes when the new one is safe: whenever a run is killed, best.json names
    a state that is there.

    Args:
        path: the run's workdir.
        state: what to save.
        figure: what it is compared by.
        value: how it does.
        lower: whether lower is better.

    Returns:
        Whether it was kept.
    """
    old, step = best(path), int(state.step)
    sign = 1 if lower else -1
    if old and old.figure == figure and sign * old.value <= sign * value:
        return False
    with writer(path / BEST) as saved:
        if step not in saved.all_steps():  # or it is there from before a kill
            saved.save(step, args=ocp.args.StandardSave(state), force=True)
            saved.wait_until_finished()
        new = path / f"{RECORD}.partial"
        new.write_text(json.dumps(Best(step, figure, value)._asdict()) + "\n")
        new.replace(path / RECORD)
        for other in saved.all_steps():
            if other != step:
                saved.delete(other)
    return True


def forget_best(path: Path) -> None:
    """Removes a run's best, if it has one."""
    (path / RECORD).unlink(missing_ok=True)
    shutil.rmtree(path / BEST, ignore_errors=True)


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
                raise UsageError(
                    f"{checkpoints.directory} holds states of other networks or "
                    "optimizers than these options make."
                ) from None
            reason = str(error).strip().splitlines()[:1] or [type(error).__name__]
            text = f"Checkpoint {candidate} cannot be read ({reason[0]})"
            warn(f"{text}; trying an older one." if step is None else f"{text}.")
    raise UsageError(f"{checkpoints.directory} holds no checkpoint that can be read.")


def template(gan, shape, mesh) -> TrainState:
    """The structure of a GAN's states, without computing one, to restore into.

    Args:
        gan: from a recipe.
        shape: (H, W, C) of its images.
        mesh: the devices to restore copies to.
    """
    whole = parallel.replicated(mesh)

    def place(x):
        return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=whole)

    states = jax.eval_shape(gan.init, jax.random.key(0), example(shape))
    return jax.tree.map(place, states)
