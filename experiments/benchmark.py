"""How fast jaxgan trains beside PyTorch, on this machine's CPU.

    python experiments/benchmark.py
    python experiments/benchmark.py --models mlp ring --json -
    python experiments/benchmark.py --models plain r1 wgan_gp

Both sides do the same job: the same layers from the same weights, batch, Adam and
sequential update of D and G with shared fakes (`benchmarks/torch_twin.py`; that it is
the same is tested); every step gathers a batch from uint8 images in memory and draws
its noise. Each side runs as its users run it: PyTorch eager, jaxgan many steps in a
dispatch, with its averaged generator and its metrics on top. They take turns
(`benchmarks/race.py`), and the median of the rounds' ratios counts.

GFLOP/s are those of the step's matrix products and convolutions, 3·F_G + 8·F_D an
image (F: one forward pass), against a 2048³ matrix product measured in the same run.
They are counted as if each convolution were computed directly, on both sides; jaxgan
does some with fewer multiplications, and its GFLOP/s are higher for it.
"""

import dataclasses
import importlib.metadata
import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Literal

from benchmarks import machine, race, report
from benchmarks.cases import CASES, PENALIZED


@dataclasses.dataclass(frozen=True)
class Options:
    """Time jaxgan against the same GANs in PyTorch, in alternation."""

    models: tuple[Literal[*CASES], ...] = tuple(n for n in CASES if n not in PENALIZED)
    """DCGAN of two stages and width 64; what dcgan_mnist.py trains, of three stages and
    width 32; MLP GAN on MNIST; MLP GAN on a ring of 2-D Gaussians; pix2pix and CycleGAN
    of the papers' widths, at 64x64, an image a step as there. "plain", "r1" and
    "wgan_gp" are the second of these with a D without BatchNorm, and each penalty:
    together they give its price, interleaved like the two sides."""
    rounds: int = 9
    """How many turns each side takes."""
    steps: int | None = None
    """Steps of a turn; default, enough for about half a second."""
    json: str | None = None
    """Also write all numbers to this file; "-" for standard output."""


def check(options: Options) -> None:
    """Raises: UsageError, for an option out of range or when PyTorch is missing."""
    from jaxgan.types import UsageError

    for name in ("rounds", "steps"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise UsageError(f"--{name}", value, "must be 1 or more.")
    if importlib.util.find_spec("torch") is None:
        reason = "PyTorch is not installed: pip install 'jaxgan[torch]'."
        raise UsageError(None, None, reason)


def benchmark(options: Options) -> dict:
    """Runs the races.

    Returns:
        Plain values: versions, cores, the peak, `report.summary` by model's name, and
        `report.prices`.

    Raises:
        UsageError: see `check`.
    """
    check(options)
    if os.getloadavg()[0] > machine.cores() / 2:
        busy = "Other programs are busy: times are too long, PyTorch's more than ours."
        print(busy, file=sys.stderr)
    sides = {"jaxgan": race.launch(race.jaxgan), "torch": race.launch(race.torch)}
    peaks, raced = [], {}
    for names in groups(options.models):
        print(", ".join(CASES[n].title for n in names), "...", file=sys.stderr)
        peaks += [ask("matmul") for ask in sides.values()]
        raced |= race.race(names, sides, options.rounds, options.steps)
    peaks += [ask("matmul") for ask in sides.values()]
    peak = max(peaks)
    return {
        "versions": {n: importlib.metadata.version(n) for n in ("jax", "torch")},
        "cores": machine.cores(),
        "peak_gflops": peak,
        "models": {n: report.summary(CASES[n], *r, peak) for n, r in raced.items()},
        "prices": report.prices(raced),
    }


def groups(names: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Each model by itself, those that give prices of penalties together."""
    alone = [(name,) for name in names if name not in PENALIZED]
    penalized = tuple(name for name in names if name in PENALIZED)
    return [*alone, penalized] if penalized else alone


def main():
    import tyro

    from jaxgan.types import UsageError

    options = tyro.cli(Options)
    try:
        results = benchmark(options)
    except UsageError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    if options.json == "-":
        print(json.dumps(results, indent=2))
        return
    print(report.table(results))
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
