"""Where a run's numbers and pictures go: metrics.jsonl, TensorBoard, W&B."""

import contextlib
import hashlib
import importlib.util
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from jaxgan.data import outside
from jaxgan.run import atomic, settings
from jaxgan.types import UsageError

__all__ = [
    *("Sink", "check", "jsonl", "read", "sinks", "tensorboard", "wandb", "wandb_id"),
]


class Sink(NamedTuple):
    """A place to write to."""

    scalars: Callable
    """`(step, {name: float, or a list of one for each member}) -> None`."""
    image: Callable
    """`(step, name, uint8 [H, W, C]) -> None`: a sheet of samples."""
    close: Callable
    timings: Callable
    """As `scalars`, of what differs from one machine to another."""


def jsonl(path: Path, resume_step: int, say: Callable = print) -> Sink:
    """One JSON object a line, each with its `step`; what took time is in a file beside
    it, `timings.jsonl`, so that of two runs that are the same this file is, too.

    A resumed run writes again what came after its checkpoint, so lines past
    `resume_step` are dropped first.

    Args:
        path: the file; `timings.jsonl` lies beside it.
        resume_step: the step that the run begins from.
        say: told of lines that are no JSON objects with a step; they are kept in a file
            beside, whose name ends in `.damaged`.
    """
    with contextlib.ExitStack() as opened:
        files = []
        for one in (path, path.with_name("timings.jsonl")):
            _resume(one, resume_step, say)
            files.append(opened.enter_context(atomic.appended(one)))
        close = opened.pop_all().close

    def write(file):
        return lambda step, values: file.write(
            json.dumps({"step": step} | values) + "\n"
        )

    scalars, timings = map(write, files)
    return Sink(scalars, lambda step, name, image: None, close, timings)


def sinks(cfg, path: Path, start: int, stack, log: Callable) -> list[Sink]:
    """Those of a run.

    Args:
        cfg: its options.
        path: the workdir.
        start: the step that it begins from.
        stack: an `ExitStack`, which closes them.
        log: told of lines that are damaged.
    """
    found = [jsonl(path / "metrics.jsonl", start, log)]
    if cfg.tensorboard:
        found.append(tensorboard(path / "tensorboard", start))
    if cfg.wandb:
        found.append(wandb(path, settings.to_dict(cfg), start))
    for sink in found:
        stack.callback(sink.close)
    return found


def read(file: Path) -> tuple[list[dict], int]:
    """The lines of a file that `jsonl` writes, perhaps at this moment.

    Returns:
        `(lines, damaged)`: those that are objects with a step, and how many are not,
        but for a last one that is cut short.

    Raises:
        OSError: it cannot be read.
    """
    found, damaged, last = [], 0, b""
    with outside.opened(file) as lines:
        for last in lines:
            its = _values(last)
            damaged += its is None
            found += [] if its is None else [its]
    cut = last and not last.endswith(b"\n") and _values(last) is None
    return found, damaged - bool(cut)


def _resume(file, step, say):
    """Drops the lines past a step, and sets those aside that cannot be read."""
    lines = _lines(file)
    kept, damaged = [], []
    for line in lines:
        its = _values(line)
        if its is None:
            damaged.append(line.rstrip(b"\n") + b"\n")
        elif its["step"] <= step:
            kept.append(line.rstrip(b"\n") + b"\n")
    if damaged[-1:] and not lines[-1].endswith(b"\n"):
        damaged.pop()  # the last one, cut short by a crash, is written again
    if damaged:
        aside = file.with_name(f"{file.name}.damaged")
        with atomic.appended(aside) as more:
            more.writelines(line.decode("utf-8", "surrogateescape") for line in damaged)
        say(f"{file}: {len(damaged)} damaged lines were moved to {aside.name}.")
    if kept != lines:
        with atomic.replacing(file) as new:
            new.writelines(kept)


def _lines(file):
    try:
        with outside.opened(file) as lines:
            return lines.read().splitlines(keepends=True)
    except FileNotFoundError:
        return []
    except OSError as error:
        reason = f"{file} cannot be read: {error.strerror}."
        raise UsageError(None, None, reason) from None


def _values(line):
    """What a line holds, or None where it is no JSON object that has a step."""
    try:
        values = outside.as_json(line)
    except ValueError:
        return None
    sound = isinstance(values, dict) and type(values.get("step")) is int
    return values if sound else None


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

    return Sink(scalars, image, writer.close, scalars)


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

    def scalars(step, values):
        run.log(_flat(values), step=step)

    def image(step, name, image):
        run.log({name: wandb.Image(image)}, step=step)

    return Sink(scalars, image, run.finish, scalars)


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
            {f"{name}/{k}": v for k, v in enumerate(value) if v is not None}
            if several
            else {name: value}
        )
    return found
