"""What a workdir holds, for its report; what is missing or damaged is said there."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from jaxgan.data import outside
from jaxgan.run import record
from jaxgan.run.report.values import as_dict

__all__ = ["Contents", "Sheet", "read"]

SHEET = re.compile(r"([0-9]{1,10})(?:-([0-9]{1,5}))?\.png")
EVALUATION = re.compile(r"evaluation\w*\.json")
BEST = re.compile(r"best(?:-[0-9]+)?\.json")
EXACT = 2**53
"""Steps are below: larger ones a browser cannot tell apart."""
LOG = 1 << 20
"""Bytes of the log that are read, its last ones."""


class Sheet(NamedTuple):
    """A file of samples."""

    step: int
    member: int
    file: Path


class Contents(NamedTuple):
    """What there is to report; empty where there is nothing."""

    name: str
    """Of the folder."""
    run: dict[str, Any]
    """config.json."""
    metrics: list[dict]
    timings: list[dict]
    sheets: list[Sheet]
    evaluations: dict[str, dict]
    """By the name of their file."""
    best: dict[str, dict]
    """Likewise."""
    log: list[str]
    """Its lines."""
    missing: list[str]
    """Sentences on what is not there or cannot be read."""

    @property
    def config(self) -> dict[str, Any]:
        """The options that it is trained with."""
        return as_dict(self.run.get("config"))

    @property
    def continued(self) -> list[dict]:
        """What it was continued with, each time that this changed."""
        found = self.run.get("continued")
        return [*map(as_dict, found)] if isinstance(found, list) else []

    @property
    def step(self) -> int:
        """The last one that something is known of."""
        lines = [line["step"] for line in self.metrics[-1:]]
        return max([0, *lines, *(sheet.step for sheet in self.sheets)])

    @property
    def warnings(self) -> list[str]:
        """Of the log, each once."""
        return [*dict.fromkeys(x for x in self.log if x.startswith("Warning"))]


def read(path: Path) -> Contents:
    """What is in a workdir, whatever state it is in."""
    missing: list[str] = []
    run = _json(path / "config.json", missing)
    metrics = _lines(path / "metrics.jsonl", missing)
    timings = _lines(path / "timings.jsonl", missing)
    sheets = [*_sheets(path / "samples")]
    if not sheets:
        missing.append("There are no samples yet.")
    found = {n: _json(path / n, missing) for n in _named(path, EVALUATION)}
    if not found:
        missing.append(
            "There is no evaluation.json yet; the command evaluate makes it."
        )
    best = {n: _json(path / n, missing) for n in _named(path, BEST)}
    log = _log(path / "log.txt", missing)
    name = path.resolve().name
    return Contents(
        name, run, metrics, timings, sorted(sheets), found, best, log, missing
    )


def _json(file, missing) -> dict:
    try:
        found = outside.read_json(file)
    except FileNotFoundError:
        missing.append(f"There is no {file.name}.")
        return {}
    except (OSError, ValueError) as error:
        missing.append(_damaged(file, error))
        return {}
    if not isinstance(found, dict):
        missing.append(f"{file.name} is damaged: it is no object of names and values.")
    return as_dict(found)


def _damaged(file, error):
    why = error.strerror if isinstance(error, OSError) else error
    return f"{file.name} cannot be read: {why}."


def _lines(file, missing) -> list[dict]:
    """In the order of steps."""
    try:
        found, damaged = record.read(file)
    except FileNotFoundError:
        missing.append(f"There is no {file.name} yet.")
        return []
    except OSError as error:
        missing.append(_damaged(file, error))
        return []
    kept = [line for line in found if 0 <= line["step"] < EXACT]
    if damaged := damaged + len(found) - len(kept):
        missing.append(f"{file.name}: {damaged} damaged lines left out.")
    return sorted(kept, key=lambda line: line["step"])


def _named(path, pattern) -> list[str]:
    try:
        return sorted(p.name for p in path.iterdir() if pattern.fullmatch(p.name))
    except OSError:
        return []


def _sheets(folder) -> Iterator[Sheet]:
    for name in _named(folder, SHEET):
        if match := SHEET.fullmatch(name):
            yield Sheet(int(match[1]), int(match[2] or 0), folder / name)


def _log(file, missing) -> list[str]:
    try:
        with outside.opened(file) as opened:
            size = opened.seek(0, 2)
            opened.seek(max(0, size - LOG))
            lines = opened.read().decode("utf-8", "replace").splitlines()
    except FileNotFoundError:
        missing.append("There is no log.txt yet.")
        return []
    except OSError as error:
        missing.append(_damaged(file, error))
        return []
    return lines if size <= LOG else ["...", *lines[1:]]
