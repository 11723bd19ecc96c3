"""Snapshots of a run's power-function averages, to rebuild another one from.

`snapshots/STEP.npz`, of several members `STEP-MEMBER.npz`, as `weights` has it. One is
on disk before the checkpoint of its step is begun, so that a run that is continued
misses none; those of later steps than it continues from are removed, and come again.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax

from jaxgan.phases import power_weights, reconstruct
from jaxgan.run import weights
from jaxgan.run.loop import Hook, Now
from jaxgan.run.members import member_of
from jaxgan.types import TrainState, UsageError

__all__ = ["forget", "hooks", "rebuilt", "require"]

FOLDER = "snapshots"
FAR = 0.1
"""From this part of a profile on, it is said how far the rebuilt one is from it."""


def _file(path, step, member):
    end = "" if member is None else f"-{member}"
    return path / FOLDER / f"{step:06d}{end}.npz"


def _found(path, member=None) -> dict[int, Path]:
    """By step, the files of a run of one member, or of one of several."""
    found = {}
    for file in (path / FOLDER).glob("*.npz"):
        step = file.stem.partition("-")[0]
        if step.isdecimal() and file == _file(path, int(step), member):
            found[int(step)] = file
    return dict(sorted(found.items()))


def hooks(run, streak: Callable) -> list[Hook]:
    """What writes them; none of a run that keeps no such averages.

    Args:
        run: `prepare.Prepared`.
        streak: of `guard.Guarded`: while steps are left out, nothing is written.
    """
    every, count = run.cfg.snapshot_every, len(run.members)

    def write(now: Now):
        if now.step % every or streak() is not None:  # the end is in its checkpoint
            return
        for k in range(count):
            state = now.state if count == 1 else member_of(now.state, k)
            file = _file(run.path, now.step, None if count == 1 else k)
            file.parent.mkdir(exist_ok=True)
            weights.save(file, _averages(state), {"step": str(now.step)})

    return [Hook(every, write)] if run.cfg.posthoc_ema else []


def _averages(state) -> TrainState:
    """What a snapshot holds."""
    return TrainState(state.step, {}, {}, {}, state.memory["power_ema"], {})


def forget(path: Path, step: int, count: int) -> None:
    """Removes those of later steps, of a future that is undone.

    Args:
        path: the workdir.
        step: that the run goes on from.
        count: its members.
    """
    for member in [None] if count == 1 else range(count):
        for its, file in _found(path, member).items():
            if its > step:
                file.unlink()


def require(cfg, sigma_rel: float) -> None:
    """Refuses runs of which no average can be rebuilt.

    Raises:
        UsageError: naming `sigma_rel`.
    """
    if not cfg.posthoc_ema:
        reason = "is of averages that are rebuilt: train with `posthoc_ema`."
        raise UsageError("sigma_rel", sigma_rel, reason)


def rebuilt(
    path: Path, state: TrainState, cfg, sigma_rel: float, member: int | None, warn=print
) -> tuple[TrainState, float]:
    """A state of one member with averages of this σ_rel in place of its own.

    Args:
        path: the workdir.
        state: the member's; of its own step is the average.
        cfg: the run's options.
        sigma_rel: as `phases.power_gamma` takes it.
        member: which of several; None of one.
        warn: told where its profile cannot be met.

    Returns:
        `(state, error)`, of `phases.power_weights`.

    Raises:
        UsageError: sigma_rel is out of range, the run keeps no such averages, has taken
            no step, or a snapshot cannot be read.
    """
    require(cfg, sigma_rel)
    step = int(state.step)
    if not step:
        raise UsageError("sigma_rel", sigma_rel, f": {path} has taken no step yet.")
    files = {s: file for s, file in _found(path, member).items() if s < step}
    kept = [(s, sigma) for s in (*files, step) for sigma in cfg.posthoc_ema]
    found, error = power_weights(kept, (step, sigma_rel))
    if error > FAR:
        warn(
            f"The profile of sigma_rel {sigma_rel} is rebuilt with an error of "
            f"{100 * error:.0f} %, from snapshots of {len(files)} steps: more of them, "
            f"or of a nearer one than {', '.join(map(str, cfg.posthoc_ema))}, make it "
            "smaller."
        )
    trees = _each(files.values(), _averages(state), cfg.posthoc_ema)
    where = jax.tree.map(lambda x: x.sharding, state.ema)
    ema = jax.device_put(reconstruct(trees, found), where)
    return state._replace(ema=ema), error


def _each(files, newest: TrainState, sigma_rels) -> Iterator[dict[str, Any]]:
    """Averages by network, of one sigma_rel after the other in each snapshot."""
    for file in (*files, None):
        saved = None if file is None else weights.read(file)
        try:
            state = newest if saved is None else weights.into(newest, saved)
        except UsageError as error:
            reason = f"{file} does not fit: {error} Without it, others will do."
            raise UsageError(None, None, reason) from None
        for sigma in sigma_rels:
            yield {name: each[str(sigma)] for name, each in state.ema.items()}
