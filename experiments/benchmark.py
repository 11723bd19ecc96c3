"""How fast jaxgan trains beside PyTorch, on this machine.

    python experiments/benchmark.py
    python experiments/benchmark.py --models mlp ring --json -
    python experiments/benchmark.py --models plain r1 wgan_gp
    python experiments/benchmark.py --platform gpu --dtype bfloat16
    python experiments/benchmark.py --show runs/benchmark/2026-11-27-cpu-float32.json

Both sides do the same job: the same layers from the same weights, batch, Adam and
updates of D and G, with shared fakes where the recipe shares them
(`benchmarks/torch_cases.py`; that it is the same is tested); every step gathers a batch
from integers on the device and draws its noise. jaxgan runs as its users run it, many
steps in a dispatch, with its averaged generator and its metrics on top; PyTorch in
three modes (`benchmarks/torch_side.py`), the fastest of which counts. They take turns
(`benchmarks/race.py`), and the median of the rounds' ratios counts.

The share of the peak is that of the step's matrix products and convolutions, counted
as if each convolution were computed directly (`benchmarks/flops.py`); the peak is the
best product of two matrices in the same run, 2048³ on a CPU and 8192³ on a GPU.
"""

import dataclasses
import datetime
import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import tyro
from benchmarks import race, report, shell, sweep
from benchmarks.cases import CASES, PRICED
from benchmarks.race import Setting

Modes = Literal["eager", "channels_last", "compiled"]


@dataclasses.dataclass(frozen=True)
class Options:
    """Time jaxgan against the same GANs in PyTorch, in alternation."""

    models: tuple[Literal[*CASES], ...] | None = None
    """Which, see `benchmarks/cases.py`; by default, all for the platform. "plain", "r1"
    and "wgan_gp" differ in D's penalty: together they give its price; "stylegan2" and
    "stylegan2_r1", "stylegan2_path" and "stylegan2_lazy" do in their regularizers."""
    modes: tuple[Modes, ...] = Setting().modes
    """PyTorch's: as most write it, with images in the layout that its convolutions like
    and Adam in one kernel, and so through torch.compile."""
    platform: Literal["cpu", "gpu"] = "cpu"
    """Of both sides."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """What layers compute in; PyTorch's by autocast."""
    rounds: int = 9
    """How many turns each takes."""
    steps: int | None = None
    """Steps of a turn; default, enough for about half a second."""
    sweep: int = 0
    """Also time so many seeds of the ring's GAN, as one program and one by one."""
    json: str | None = None
    """Where to write all numbers; "-" for standard output; by default a file of the
    date and the platform in runs/benchmark."""
    show: Annotated[str | None, tyro.conf.arg(metavar="FILE")] = None
    """Print the tables of such a file, in Markdown; run nothing."""


def benchmark(options: Options) -> dict:
    """Runs the races.

    Returns:
        Plain values: date, device, versions, `report.summary` by model's name,
        `report.prices`, and what `sweep.race` found.

    Raises:
        UsageError: see `shell.check`.
    """
    if options.show:
        return json.loads(Path(options.show).read_text())
    shell.check(options, {"rounds": 1, "steps": 1, "sweep": 0})
    shell.warn_if_busy("times are too long, PyTorch's more than ours")
    here = [n for n, case in CASES.items() if options.platform in case.platforms]
    setting = Setting(
        options.platform, options.dtype, options.modes, options.rounds, options.steps
    )
    raced: dict[str, race.Raced] = {}
    for group in groups(options.models or tuple(here)):
        print(", ".join(CASES[n].title for n in group), "...", file=sys.stderr)
        raced |= race.race(group, setting)
    found = shell.made_on(options.platform) | {
        "dtype": options.dtype,
        "modes": options.modes,
        "models": {name: report.summary(name, of) for name, of in raced.items()},
        "prices": report.prices(raced),
    }
    if options.sweep:
        print(f"{options.sweep} seeds of {CASES['ring'].title} ...", file=sys.stderr)
        found["sweep"] = sweep.race(options.sweep, setting)
    return found


def groups(names: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Each model by itself, those that give a price together."""
    priced = [
        tuple(name for name in names if name in (base, *more))
        for base, more in PRICED.items()
    ]
    alone = [(name,) for name in names if not any(name in group for group in priced)]
    return alone + [group for group in priced if group]


def kept(options: Options) -> Options:
    """With a file for the numbers."""
    if options.json is not None or options.show is not None:
        return options
    name = f"{datetime.date.today()}-{options.platform}-{options.dtype}.json"
    return dataclasses.replace(options, json=f"runs/benchmark/{name}")


if __name__ == "__main__":
    shell.main(Options, benchmark, report.table, kept)
