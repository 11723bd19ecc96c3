"""What the benchmarks' command lines share."""

import datetime
import importlib.metadata
import importlib.util
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import machine


def check(options, least: dict[str, int]) -> None:
    """Raises: UsageError, for an option below its least, or when PyTorch is missing."""
    from jaxgan.types import UsageError

    for name, bound in least.items():
        value = getattr(options, name)
        if value is not None and value < bound:
            raise UsageError(f"--{name}", value, f"must be {bound} or more.")
    if importlib.util.find_spec("torch") is None:
        reason = "PyTorch is not installed: pip install 'jaxgan[torch]'."
        raise UsageError(None, None, reason)


def warn_if_busy(consequence: str) -> None:
    """Says so on standard error where other programs run."""
    if os.getloadavg()[0] > machine.cores() / 2:
        print(f"Other programs are busy: {consequence}.", file=sys.stderr)


def made_on(platform: str = "cpu") -> dict:
    """Date, device, versions and cores, as plain values.

    Args:
        platform: "cpu" or "gpu", of which the device is.
    """
    versions = {name: importlib.metadata.version(name) for name in ("jax", "torch")}
    device = f"{machine.cores()} cores of {machine.cpu()}"
    return {
        "date": str(datetime.date.today()),
        "device": machine.gpu() if platform == "gpu" else device,
        "versions": versions,
        "cores": machine.cores(),
    }


def main(
    kind: type, benchmark: Callable, table: Callable, kept: Callable = lambda o: o
) -> None:
    """Runs a benchmark as the shell asks.

    Args:
        kind: its options, with `json`, a file to write all numbers to; "-" for
            standard output, in place of the table.
        benchmark: `options -> results`, plain values.
        table: `results -> str`.
        kept: `options -> options`, with defaults that depend on others.
    """
    import tyro

    from jaxgan.types import UsageError

    options = kept(tyro.cli(kind))
    try:
        results = benchmark(options)
    except UsageError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    if options.json == "-":
        print(json.dumps(results, indent=2))
        return
    print(table(results))
    if options.json:
        Path(options.json).parent.mkdir(parents=True, exist_ok=True)
        Path(options.json).write_text(json.dumps(results, indent=2) + "\n")
