"""The options that every experiment has, and how they are kept with a run.

An experiment's own options are a frozen dataclass on top of `Config`. Precedence is
defaults < `--config FILE` < flags.
"""

import dataclasses
import json
import math
import typing
from pathlib import Path
from typing import Literal

from jaxgan.types import UsageError

Metric = Literal[
    "fd", "kid", "score", "prdc", "classes", "diversity", "similarity", "colours"
]
"""What `evaluation.measure` knows: Fréchet and kernel distance, Inception Score,
precision, recall, density and coverage, the classes drawn, the MS-SSIM of pairs; and of
translations `comparison`: nearness to their targets, and how far from gray they are."""


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of the loop."""

    data: str = "mnist"
    """Training images: mnist, stacked_mnist, painted_mnist, idx:DIR, folder:DIR,
    npz:FILE or tfds:NAME; in pairs, pairs:DIR, maps:DIR, mapped_mnist, unpaired:A,B or
    unpaired_mnist."""
    resize: str | None = None
    """Resize images first: N for the short side, HxW for both."""
    crop: str | None = None
    """Then crop their centre: N or HxW."""
    random_crop: str | None = None
    """Then, while training, cut out this much anywhere: N or HxW."""
    flip: bool = False
    """Mirror training images left to right at random."""
    steps: int = 3000
    """How many steps to train, in all."""
    batch_size: int = 64
    """Images per step, over all devices together."""
    seed: int = 0
    """Decides weights, noise and the order of the data."""
    workdir: str | None = None
    """Where the run is kept; the same workdir continues it. Default runs/EXPERIMENT."""
    init_from: str | None = None
    """Start a new run from the weights of this other workdir's newest checkpoint."""
    platform: Literal["auto", "cpu", "gpu", "tpu"] = "auto"
    """Where to run; auto is the best that JAX finds."""
    tpu: bool = False
    """The same as --platform tpu."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """What networks compute in; weights and losses are float32 either way."""
    log_every: int = 50
    """Steps between lines of metrics.jsonl."""
    sample_every: int = 500
    """Steps between sample grids."""
    checkpoint_every: int = 1000
    """Steps between checkpoints; one is always made at the end."""
    keep: int = 2
    """How many checkpoints to keep, the newest."""
    evaluate_every: int = 0
    """Steps between evaluations, 0 for none; the state of the best first figure is
    kept besides the newest, for `sample --best` and `evaluate --best`."""
    evaluate_num: int = 5000
    """How many samples to evaluate, and at most how many real images."""
    evaluate_metrics: tuple[Metric, ...] = ("fd",)
    """What to measure of them, as in `evaluate --help`."""
    inception_weights: str | None = None
    """For evaluations: the file weights-inception-2015-12-05-6726825d.pth; without it
    digits are judged by a small classifier that comes with jaxgan."""
    tensorboard: bool = False
    """Also write metrics and samples for TensorBoard."""
    wandb: bool = False
    """Also log to Weights & Biases."""
    config: str | None = None
    """A JSON file of options, such as a run's config.json; flags override it."""


ITS_OWN = frozenset({"workdir", "init_from", "config"})
"""Options of a run that another one does not take over with its config.json."""

MAY_CHANGE = frozenset(
    "steps workdir init_from platform tpu log_every sample_every checkpoint_every keep "
    "evaluate_every evaluate_num evaluate_metrics inception_weights vgg_weights "
    "tensorboard wandb config".split()
)
"""Options that do not change what a step computes: a run may go on with others."""


def flag(name: str) -> str:
    """An option as it is typed: `batch_size` is `--batch-size`."""
    return "--" + name.replace("_", "-")


def check(config: Config) -> None:
    """Refuses values out of range.

    Raises:
        UsageError: naming the option, its value and what would be right.
    """
    check_numbers(config)
    if config.tpu and config.platform not in ("auto", "tpu"):
        raise UsageError(f"--tpu and --platform {config.platform} exclude each other.")
    check_seed(config.seed)
    if config.steps * config.batch_size >= 2**32:
        raise UsageError(
            f"--steps {config.steps} times --batch-size {config.batch_size} must be "
            "below 2**32 images."
        )


def check_seed(seed: int) -> None:
    """Refuses what is no seed.

    Raises:
        UsageError: it is negative, or too large.
    """
    if not 0 <= seed < 2**32:
        raise UsageError(f"--seed {seed} must be 0 or more, and below 2**32.")


def check_numbers(options) -> None:
    """Refuses numbers out of range, of any dataclass of options, as `check` does."""
    for field in dataclasses.fields(options):
        value, default = getattr(options, field.name), field.default
        least = field.metadata.get("least", 0 if default == 0 else 1)
        for number in value if isinstance(value, tuple) else (value,):
            _check_number(flag(field.name), number, least)


def or_none(default: int):
    """A field for a count that may also be 0, where 0 means without."""
    return dataclasses.field(default=default, metadata={"least": 0})


def _check_number(name, value, least):
    """Counts, whose default is above 0, are above 0; other numbers, not below it."""
    if isinstance(value, int) and not isinstance(value, bool) and value < least:
        raise UsageError(f"{name} {value} must be {least} or more.")
    if isinstance(value, float) and not (math.isfinite(value) and value >= 0):
        raise UsageError(f"{name} {value} must be a finite number, 0 or more.")
    averages = name.startswith("--beta") or name.endswith("-decay")
    if isinstance(value, float) and averages and value >= 1:
        raise UsageError(f"{name} {value} must be 0 or more, and below 1.")


def size(name: str, text: str | None) -> int | tuple[int, int] | None:
    """Parses "64" and "64x96" (height x width).

    Raises:
        UsageError: the text is neither.
    """
    if text is None:
        return None
    try:
        numbers = [int(n) for n in text.lower().split("x")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 2) or min(numbers) < 1:
        raise UsageError(f"{flag(name)} {text} must be N or HxW, such as 64 or 64x96.")
    return numbers[0] if len(numbers) == 1 else (numbers[0], numbers[1])


def sides(name: str, text: str | None) -> tuple[int, int] | None:
    """The same, as a height and a width."""
    both = size(name, text)
    return (both, both) if isinstance(both, int) else both


def from_file(path: str, default: Config) -> Config:
    """A config from a JSON file: its options, or a run's config.json.

    Args:
        path: the file.
        default: has the options that the file does not name.

    Raises:
        UsageError: the file cannot be read, or names an option that there is not.
    """
    try:
        values = json.loads(Path(path).read_text())
    except OSError as error:
        raise UsageError(f"--config {path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise UsageError(f"--config {path} is not JSON: {error}.") from None
    if isinstance(values, dict) and isinstance(values.get("config"), dict):
        values = {k: v for k, v in values["config"].items() if k not in ITS_OWN}
    if not isinstance(values, dict):
        raise UsageError(f"--config {path} must hold a JSON object of options.")
    return from_dict(values, default, f"--config {path}")


def from_dict(values: dict, default: Config, source: str) -> Config:
    """The default with other values, from JSON: lists become tuples.

    Raises:
        UsageError: an unknown option or a value of another type; `source` begins it.
    """
    types = typing.get_type_hints(type(default))
    values = {n.replace("-", "_"): v for n, v in values.items()}
    if unknown := sorted(values.keys() - types):
        raise UsageError(
            f"{source} has {', '.join(unknown)}, which this experiment does not know; "
            f"its options are {', '.join(types)}."
        )
    values = {n: tuple(v) if isinstance(v, list) else v for n, v in values.items()}
    for name, value in values.items():
        if not _fits(value, types[name]):
            raise UsageError(
                f"{source} has {name} = {value!r}, which should be "
                f"{_described(types[name])}."
            )
    return dataclasses.replace(default, **values)


def _fits(value, kind) -> bool:
    """Whether a value from JSON is of a type that options have."""
    args = typing.get_args(kind)
    if typing.get_origin(kind) is Literal:
        return value in args
    if typing.get_origin(kind) is tuple:
        return isinstance(value, tuple) and all(_fits(v, args[0]) for v in value)
    if args:
        return any(_fits(value, arg) for arg in args)
    if isinstance(value, bool) or kind is bool:
        return kind is bool and isinstance(value, bool)
    return isinstance(value, int | float if kind is float else kind)


def _described(kind) -> str:
    args = typing.get_args(kind)
    if typing.get_origin(kind) is Literal:
        return "one of " + ", ".join(map(str, args))
    if typing.get_origin(kind) is tuple:
        return f"a list, of each {_described(args[0])}"
    if args:
        return " or ".join(map(_described, args))
    names = {str: "a text", int: "a whole number", float: "a number"}
    return names.get(kind, "true or false" if kind is bool else "null")
