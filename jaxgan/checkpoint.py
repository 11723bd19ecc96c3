"""Train states on disk, through orbax."""

import logging
from pathlib import Path

import jax
import orbax.checkpoint as ocp

from jaxgan.types import TrainState, UsageError


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


def restore(
    checkpoints: ocp.CheckpointManager, template: TrainState, warn=print
) -> TrainState:
    """The newest state that can be read.

    Args:
        checkpoints: from `reader` or `writer`.
        template: the state's structure: arrays, or `ShapeDtypeStruct`s with shardings.
        warn: told, in one sentence, of each newer checkpoint that is damaged.

    Raises:
        UsageError: there is none.
    """
    for step in sorted(checkpoints.all_steps(), reverse=True):
        try:
            return checkpoints.restore(step, args=ocp.args.StandardRestore(template))
        # What a torn file raises depends on where it is torn.
        except Exception as error:
            reason = str(error).strip().splitlines()[:1] or [type(error).__name__]
            warn(
                f"Checkpoint {step} cannot be read ({reason[0]}); trying an older one."
            )
    raise UsageError(f"{checkpoints.directory} holds no checkpoint that can be read.")


def template(init, *args, sharding=None) -> TrainState:
    """The structure of `init(*args)`, without computing it, to restore into."""

    def place(x):
        return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding)

    return jax.tree.map(place, jax.eval_shape(init, *args))
