"""Where a run's numbers and pictures go: metrics.jsonl, TensorBoard, W&B."""

import contextlib
import hashlib
import importlib.util
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from jaxgan.types import UsageError

__all__ = ["Sink", "check", "jsonl", "tensorboard", "wandb", "wandb_id"]


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


def wandb(directory: Path, config: dict, resume_step: int = 0) -> Sink:
    """A Weights & Biases run; continues the one of this workdir.

    Runs are told apart by the whole path of the workdir. A continued one goes back to
    its checkpoint's step, so that what came after is not there twice; where W&B cannot
    do that, a warning says so, and it keeps what it has of those steps.
    """
    import wandb

    name = wandb_id(directory)
    common = {
        "project": "jaxgan",
        "name": directory.name,
        "dir": str(directory),
        "config": config,
    }
    try:
        if not resume_step:
            run = wandb.init(id=name, resume="allow", **common)
        else:
            run = wandb.init(resume_from=f"{name}?_step={resume_step}", **common)
    except wandb.errors.Error as error:
        if not resume_step:
            raise
        text = (
            f"W&B cannot take run {name} back to step {resume_step} ({error}): it "
            "keeps what it has of later steps."
        )
        warnings.warn(text, stacklevel=2)
        run = wandb.init(id=name, resume="allow", **common)
    return Sink(
        lambda step, values: run.log(_flat(values), step=step),
        lambda step, name, image: run.log({name: wandb.Image(image)}, step=step),
        run.finish,
    )


def wandb_id(directory: Path) -> str:
    """What W&B knows the run of a workdir by: its name, and a hash of its path."""
    digest = hashlib.sha256(str(directory.resolve()).encode()).hexdigest()
    return f"{directory.name}-{digest[:12]}"


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
