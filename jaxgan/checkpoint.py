"""Train states on disk, through orbax."""

import logging
from pathlib import Path

import jax
import orbax.checkpoint as ocp

from jaxgan.types import TrainState, UsageError


def manager(directory: Path | str, keep: int | None = None) -> ocp.CheckpointManager:
    """Opens a folder of checkpoints; use it in a `with`, or saves may be lost.

    Args:
        directory: it is made when it is not there.
        keep: how many of the newest to keep; None for all.
    """
    logging.getLogger("absl").setLevel(logging.ERROR)
    options = ocp.CheckpointManagerOptions(
        max_to_keep=keep, cleanup_tmp_directories=True
    )
    return ocp.CheckpointManager(Path(directory).absolute(), options=options)


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
        checkpoints: from `manager`.
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
