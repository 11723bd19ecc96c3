"""Train states on disk, through orbax."""

import logging
from pathlib import Path

import jax
import orbax.checkpoint as ocp

from jaxgan import parallel
from jaxgan.types import TrainState, UsageError, example

NEWEST, BEST = "checkpoints", "best"
"""Folders of a run: of its newest states, and of its best."""


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


def best_writer(
    directory: Path | str, figure: str, lower_is_better: bool
) -> ocp.CheckpointManager:
    """Opens the folder of a run's best state, for a `with`; others are not kept.

    Args:
        directory: it is made when it is not there. What it holds as the best by
            another figure goes.
        figure: what states are compared by; `save` is given its value.
        lower_is_better: or higher.
    """
    saved = _manager(
        directory,
        max_to_keep=1,
        best_fn=lambda metrics: metrics["value"],
        best_mode="min" if lower_is_better else "max",
        cleanup_tmp_directories=True,
    )
    if any(saved.metrics(step)["figure"] != figure for step in saved.all_steps()):
        clear(saved)
    return saved


def clear(checkpoints: ocp.CheckpointManager) -> None:
    """Deletes all of them."""
    for step in checkpoints.all_steps():
        checkpoints.delete(step)


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


def save(
    checkpoints: ocp.CheckpointManager, state: TrainState, metrics: dict | None = None
) -> None:
    """Saves in the background, under the state's step; does nothing if it is there.

    Args:
        checkpoints: from `writer` or `best_writer`.
        state: what to save.
        metrics: for `best_writer`: `{"figure": its name, "value": float}`.
    """
    step = int(state.step)
    if step not in checkpoints.all_steps():
        args = ocp.args.StandardSave(state)
        checkpoints.save(step, args=args, metrics=metrics)


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
