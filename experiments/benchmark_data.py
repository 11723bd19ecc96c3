"""How fast jaxgan feeds image files beside PyTorch's DataLoader, on this machine's CPU.

    python experiments/benchmark_data.py
    python experiments/benchmark_data.py --kinds jpeg --side 256 --json -

Both sides do the same job: files from a folder, decoded by Pillow, RGB, float32 in
[-1, 1], batches of 64 in random order, each consumed by taking its mean. Files are
emoji, as PNG and as JPEG, 64x64; of another `--side` they are resized to that as they
are read, by Lanczos' filter. They were just written, so the disk plays no part.

jaxgan feeds them in two ways. What is larger than memory it decodes as it is fed, by a
thread a core. All else it decodes once, when it is loaded, and feeds from memory inside
the compiled loop. PyTorch has two worker processes, which stay from epoch to epoch.
Sides take turns (`benchmarks/feed_race.py`), and the median of the rounds' ratios
counts. Cores are the CPU seconds of a side's process and its workers, a second.
"""

import dataclasses
import sys
import tempfile
from pathlib import Path
from typing import Literal

from benchmarks import feed_race, feed_report, image_files, shell
from benchmarks.feed_turn import BATCH, SIDE

LEAST = {"images": BATCH, "side": SIDE, "rounds": 1, "batches": 1}
"""Of options."""


@dataclasses.dataclass(frozen=True)
class Options:
    """Time jaxgan's feeds against PyTorch's DataLoader, in alternation."""

    kinds: tuple[Literal[*image_files.KINDS], ...] = tuple(image_files.KINDS)
    """Of the files."""
    images: int = 4096
    """How many files there are."""
    side: int = SIDE
    """Height and width of the files; they are fed as 64x64."""
    rounds: int = 5
    """How many turns each way takes."""
    batches: int | None = None
    """Batches of a turn; default, enough for about a second and a half."""
    json: str | None = None
    """Also write all numbers to this file; "-" for standard output."""


def benchmark(options: Options) -> dict:
    """Runs the races.

    Returns:
        Plain values: versions, cores, images, side, and `feed_report.summary` by kind.

    Raises:
        UsageError: see `shell.check`.
    """
    shell.check(options, LEAST)
    shell.warn_if_busy("speeds are too low, and ratios uncertain")
    kinds = {}
    with tempfile.TemporaryDirectory(prefix="jaxgan-benchmark-") as folder:
        for kind in options.kinds:
            print(f"{kind} ...", file=sys.stderr)
            at = Path(folder) / kind
            image_files.write(at, kind, options.images, options.side)
            kinds[kind] = feed_report.summary(fed(at, options))
    known = {"images": options.images, "side": options.side, "kinds": kinds}
    return shell.made_on() | known


def fed(folder: Path, options: Options) -> dict:
    """The turns of each way with the files of one folder."""
    args = folder, None if options.side == SIDE else SIDE
    with (
        feed_race.launched(feed_race.jaxgan, *args) as jaxgan,
        feed_race.launched(feed_race.torch, *args) as torch,
    ):
        sides = {"jaxgan": jaxgan, "torch": torch}
        return feed_race.race(sides, options.rounds, options.batches)


if __name__ == "__main__":
    shell.main(Options, benchmark, feed_report.table)
