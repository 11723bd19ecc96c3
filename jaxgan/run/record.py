"""Where a run's numbers and pictures go: metrics.jsonl, TensorBoard, W&B."""

import contextlib
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from jaxgan.types import UsageError

__all__ = ["Sink", "check", "jsonl", "tensorboard", "wandb"]


class Sink(NamedTuple):
    """A place to write to."""

    scalars: Callable
    """`(step, {name: float, or a list of one for each member}) -> None`."""
    image: Callable
    """`(step, name, uint8 [H, W, C]) -> None`: a sheet of samples."""
    close: Callable


def jsonl(path: Path, resume_step: int) -> Sink:
    """One JSON object a line, each with its `step`.

    A resumed run writes again what came after its checkpoint, so lines past
    `resume_step` are dropped first.
    """
    kept = []
    if path.exists():
        for line in path.read_text().splitlines():
            with contextlib.suppress(ValueError):  # a line cut short by a crash
                if json.loads(line)["step"] <= resume_step:
                    kept.append(line + "\n")
    path.write_text("".join(kept))
    file = path.open("a", buffering=1)

    def scalars(step, values):
        file.write(json.dumps({"step": step} | values) + "\n")

    return Sink(scalars, lambda step, name, image: None, file.close)


def check(tensorboard: bool, wandb: bool) -> None:
    """Refuses a sink whose package is missing.

    Raises:
        UsageError: naming what to install.
    """
    for option, package, wanted in (
        ("tensorboard", "tensorboardX", tensorboard),
        ("wandb", "wandb", wandb),
    ):
        if wanted and importlib.util.find_spec(package) is None:
            reason = f"needs {package}: pip install 'jaxgan[{option}]'."
            raise UsageError(option, None, reason)


def tensorboard(directory: Path, resume_step: int) -> Sink:
    """Event files for TensorBoard."""
    from tensorboardX import SummaryWriter

    writer = SummaryWriter(str(directory), purge_step=resume_step + 1)

    def scalars(step, values):
        for name, value in _flat(values).items():
            writer.add_scalar(name, value, step)

    def image(step, name, image):
        writer.add_image(name, image, step, dataformats="HWC")

    return Sink(scalars, image, writer.close)


def wandb(directory: Path, config: dict) -> Sink:
    """A Weights & Biases run; continues the one of this workdir."""
    import wandb

    run = wandb.init(
        project="jaxgan",
        name=directory.name,
        dir=str(directory),
        id=directory.name,
        resume="allow",
        config=config,
    )
    return Sink(
        lambda step, values: run.log(_flat(values), step=step),
        lambda step, name, image: run.log({name: wandb.Image(image)}, step=step),
        run.finish,
    )


def _flat(values):
    """Lists as a name for each member."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        several = isinstance(value, list)
        found |= (
            {f"{name}/{k}": v for k, v in enumerate(value)}
            if several
            else {name: value}
        )
    return found
