"""Where a run's numbers and pictures go: metrics.jsonl, TensorBoard, W&B."""

import contextlib
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from jaxgan.types import UsageError


class Sink(NamedTuple):
    """A place to write to."""

    scalars: Callable
    """`(step, {name: float}) -> None`."""
    image: Callable
    """`(step, uint8 [H, W, C]) -> None`: the sample grid."""
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

    return Sink(scalars, lambda step, image: None, file.close)


def check(tensorboard: bool, wandb: bool) -> None:
    """Refuses a sink whose package is missing.

    Raises:
        UsageError: naming what to install.
    """
    for flag, package, wanted in (
        ("tensorboard", "tensorboardX", tensorboard),
        ("wandb", "wandb", wandb),
    ):
        if wanted and importlib.util.find_spec(package) is None:
            raise UsageError(f"--{flag} needs {package}: pip install 'jaxgan[{flag}]'.")


def tensorboard(directory: Path, resume_step: int) -> Sink:
    """Event files for TensorBoard."""
    from tensorboardX import SummaryWriter

    writer = SummaryWriter(str(directory), purge_step=resume_step + 1)

    def scalars(step, values):
        for name, value in values.items():
            writer.add_scalar(name, value, step)

    def image(step, image):
        writer.add_image("samples", image, step, dataformats="HWC")

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
        lambda step, values: run.log(values, step=step),
        lambda step, image: run.log({"samples": wandb.Image(image)}, step=step),
        run.finish,
    )
