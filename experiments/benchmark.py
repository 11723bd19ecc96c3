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
import sys
from typing import Literal

from benchmarks import race, report, shell
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


def benchmark(options: Options) -> dict:
    """Runs the races.

    Returns:
        Plain values: versions, cores, the peak, `report.summary` by model's name, and
        `report.prices`.

    Raises:
        UsageError: see `shell.check`.
    """
    shell.check(options, {"rounds": 1, "steps": 1})
    shell.warn_if_busy("times are too long, PyTorch's more than ours")
    peaks, raced = [], {}
    with race.launched(race.jaxgan) as jaxgan, race.launched(race.torch) as torch:
        sides = {"jaxgan": jaxgan, "torch": torch}
        for names in groups(options.models):
            print(", ".join(CASES[n].title for n in names), "...", file=sys.stderr)
            peaks += [ask("matmul") for ask in sides.values()]
            raced |= race.race(names, sides, options.rounds, options.steps)
        peaks += [ask("matmul") for ask in sides.values()]
    peak = max(peaks)
    return shell.made_on() | {
        "peak_gflops": peak,
        "models": {n: report.summary(CASES[n], *r, peak) for n, r in raced.items()},
        "prices": report.prices(raced),
    }


def groups(names: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Each model by itself, those that give prices of penalties together."""
    alone = [(name,) for name in names if name not in PENALIZED]
    penalized = tuple(name for name in names if name in PENALIZED)
    return [*alone, penalized] if penalized else alone


if __name__ == "__main__":
    shell.main(Options, benchmark, report.table)
