"""The options that every experiment has.

An experiment's own are groups on top of `Config`, see `settings`. Names are unique over
all groups, so the command line and config.json have them flat.
"""

import dataclasses
import itertools
from typing import Annotated, Literal

from jaxgan.data.fit import SIDE
from jaxgan.phases.posthoc import LONGEST, SHORTEST
from jaxgan.run import settings
from jaxgan.run.idle import Only
from jaxgan.run.settings import FILE, FREE, Count, Index, Range, Seed
from jaxgan.types import UsageError

__all__ = ["Config", "check", "sides", "size"]

EVALUATED = Only("evaluate_every")


@dataclasses.dataclass(frozen=True)
class Config:
    """Options of the loop."""

    data: str = "mnist"
    """Training images."""
    resize: str | None = None
    """Resize images first: N for the short side, HxW for both."""
    crop: str | None = None
    """Then crop their centre: N or HxW."""
    channels: Literal["auto", "gray", "rgb", "rgba"] = "auto"
    """Of the images: auto is as they come, of files gray where all are, RGB otherwise.
    Without rgba, what is transparent is seen over white."""
    depth: Literal[8, 16] = 8
    """Bits of gray that image files are read as: 16 keeps all of 16-bit gray, such as
    medical images, and translate then writes 16-bit gray PNG files."""
    void: Annotated[int | None, Range(0, below=256)] = None
    """The number in label maps of pixels that belong to no class, such as 255."""
    random_crop: str | None = None
    """Then, while training, cut out this much anywhere: N or HxW."""
    flip: bool = False
    """Mirror training images left to right at random."""
    subset: Annotated[int | None, Range(1)] = None
    """Train on so many of the images only, drawn at random and the same for all seeds.
    Of unpaired data, so many of each side. Evaluations compare with all images."""
    steps: Annotated[Count, FREE] = 3000
    """How many steps to train, in all."""
    batch_size: Count = 64
    """Images per step, over all devices together."""
    accumulate: Annotated[Count, FREE] = 1
    """Take each gradient in so many parts of a batch, one after another, which needs
    less memory for activations. What BatchNorm, or another mean over a batch, sees
    is then a part."""
    seed: Seed = 0
    """Decides weights, noise and the order of the data."""
    seeds: Count = 1
    """Train as many members at once, of this seed and the next ones: one program, one
    workdir. Other commands then have --member."""
    sweep: tuple[str, ...] = ()
    """Train a member for each value of an option, such as g_lr=1e-4,1e-3; of several
    options, and of several seeds, for each combination."""
    workdir: Annotated[str | None, FREE, FILE] = None
    """Where the run is kept; the same workdir continues it. Default runs/EXPERIMENT."""
    init_from: Annotated[str | None, FREE, FILE] = None
    """Start a new run from the weights of this other workdir's newest checkpoint, or of
    a .safetensors or .npz file that export has written."""
    platform: Annotated[Literal["auto", "cpu", "gpu", "tpu"], FREE] = "auto"
    """Where to run; auto is the best that JAX finds."""
    tpu: Annotated[bool, FREE] = False
    """The same as --platform tpu."""
    coordinator_address: Annotated[str | None, FREE] = None
    """Train with other processes, each started by the same command: HOST:PORT of
    process 0; auto finds it, and the next two, on TPU pods, SLURM and Open MPI."""
    num_processes: Annotated[int | None, FREE, Range(1)] = None
    """How many processes there are, if that is HOST:PORT."""
    process_id: Annotated[int | None, FREE, Range(0)] = None
    """Which of them this is, from 0, likewise."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """What networks compute in; weights and losses are float32 either way."""
    log_every: Annotated[Count, FREE] = 50
    """Steps between lines of metrics.jsonl."""
    max_bad_steps: Annotated[Count, FREE] = 10
    """A step after which a metric, a weight or an optimizer's moment is not finite is
    left out; so many in a row end the run, with the last good state kept."""
    sample_every: Annotated[Count, FREE] = 500
    """Steps between sample grids."""
    checkpoint_every: Annotated[Count, FREE] = 1000
    """Steps between checkpoints; one is always made at the end."""
    keep: Annotated[Count, FREE] = 2
    """How many checkpoints to keep, the newest."""
    posthoc_ema: Annotated[tuple[float, ...], Range(SHORTEST, LONGEST)] = ()
    """Also keep power-function averages of G's weights, of these sigma_rel, such as
    0.05 0.1, and snapshots of them, from which `--sigma-rel` of all commands rebuilds
    one of any other (post-hoc EMA, arXiv:2312.02696)."""
    snapshot_every: Annotated[Count, FREE, Only("posthoc_ema")] = 250
    """Steps between these snapshots, which are all kept: the more of them, the nearer
    is what is rebuilt."""
    evaluate_every: Annotated[Index, FREE] = 0
    """Steps between evaluations, 0 for none; the state of the best first figure is
    kept besides the newest, for `sample --best` and `evaluate --best`."""
    evaluate_num: Annotated[Count, FREE, EVALUATED] = 5000
    """How many samples to evaluate."""
    evaluate_reference_num: Annotated[int | None, FREE, Range(1), EVALUATED] = None
    """At most how many real images to compare them with; default all."""
    evaluate_metrics: Annotated[tuple[str, ...], FREE, EVALUATED] = ("fd",)
    """What to measure of them, as in `evaluate --help`; the first decides the best."""
    inception_weights: Annotated[str | None, FREE, FILE] = None
    """For evaluations: the file weights-inception-2015-12-05-6726825d.pth; without it
    digits are judged by a small classifier that comes with jaxgan."""
    report: Annotated[bool, FREE] = True
    """Write report.html, one page with all that there is to see of the run."""
    tensorboard: Annotated[bool, FREE] = False
    """Also write metrics and samples for TensorBoard."""
    wandb: Annotated[bool, FREE] = False
    """Also log to Weights & Biases."""
    config: Annotated[str | None, FREE, FILE] = None
    """A JSON file of options, such as a run's config.json; flags override it."""


def check(config: Config) -> None:
    """Refuses values out of range, and those that do not go together.

    Raises:
        UsageError: naming the option, its value and what would be right.
    """
    settings.check(config)
    if config.tpu and config.platform not in ("auto", "tpu"):
        reason = f"and `platform` {config.platform} exclude each other."
        raise UsageError("tpu", None, reason)
    kept = sorted(config.posthoc_ema)
    if any(b < 1.05 * a for a, b in itertools.pairwise(kept)):
        named = " ".join(map(str, config.posthoc_ema))
        reason = ": some are too near to each other; give such that differ by 5 %."
        raise UsageError("posthoc_ema", named, reason)
    if config.steps * config.batch_size >= 2**32:
        raise UsageError(
            "steps",
            config.steps,
            f"times `batch_size` {config.batch_size} must be below 2**32 images.",
        )


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
        raise UsageError(name, text, "must be N or HxW, such as 64 or 64x96.")
    if max(numbers) > SIDE:
        raise UsageError(name, text, f"must be {SIDE} pixels or less each way.")
    return numbers[0] if len(numbers) == 1 else (numbers[0], numbers[1])


def sides(name: str, text: str | None) -> tuple[int, int] | None:
    """The same, as a height and a width."""
    both = size(name, text)
    return (both, both) if isinstance(both, int) else both
