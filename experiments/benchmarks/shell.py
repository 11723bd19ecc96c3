"""What the benchmarks' command lines share."""

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


def made_on() -> dict:
    """Versions and cores, as plain values."""
    versions = {name: importlib.metadata.version(name) for name in ("jax", "torch")}
    return {"versions": versions, "cores": machine.cores()}


def main(kind: type, benchmark: Callable, table: Callable) -> None:
    """Runs a benchmark as the shell asks.

    Args:
        kind: its options, with `json`, a file to write all numbers to; "-" for
            standard output, in place of the table.
        benchmark: `options -> results`, plain values.
        table: `results -> str`.
    """
    import tyro

    from jaxgan.types import UsageError

    options = tyro.cli(kind)
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
        Path(options.json).write_text(json.dumps(results, indent=2) + "\n")
