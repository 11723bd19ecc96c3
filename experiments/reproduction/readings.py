"""What is read out of a run: its folder, what its commands print, its samples."""

import json
import re
import statistics
from pathlib import Path

import numpy as np


def of_folder(folder: Path) -> dict:
    """Values by name, of whatever files a run has left.

    Returns:
        The figures of evaluation.json, each with "value", "error" and columns;
        "step_ms", the median over lines of timings.jsonl; "compile_seconds".
    """
    found: dict = {}
    if (file := folder / "evaluation.json").is_file():
        found |= json.loads(file.read_text())["metrics"]
    if (file := folder / "log.txt").is_file():
        compiled = re.search(r"Compiled in ([\d.]+) s", file.read_text())
        found |= {"compile_seconds": float(compiled[1])} if compiled else {}
    if (file := folder / "timings.jsonl").is_file():
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        speeds = [line["images_per_s"] for line in lines if "images_per_s" in line]
        batch = json.loads((folder / "config.json").read_text())["config"]["batch_size"]
        times = [1000 * batch / speed for speed in speeds]
        found |= {"step_ms": statistics.median(times)} if times else {}
    return found


def of_output(pattern: str, text: str, seed: int) -> dict[str, float]:
    """The named groups of a pattern, as numbers.

    Raises:
        ValueError: the text has nothing of the kind.
    """
    found = re.search(pattern.replace("{seed}", str(seed)), text)
    if not found:
        raise ValueError(f"nothing printed is like {pattern}")
    return {name: float(value) for name, value in found.groupdict().items()}


def class_asked_for(folder: Path) -> dict[str, float]:
    """Of how many samples of asked.npz the classifier of digits sees the class that
    was asked for."""
    from jaxgan import data
    from jaxgan.metrics import extractors

    digits = extractors.of_digits()
    with np.load(folder / "asked.npz") as file:
        images, labels = file["images"], file["labels"]
    right = [
        (np.argmax(digits.run(images[rows])[1], 1) == labels[rows])[:n]
        for rows, n in data.blocks(np.arange(len(images)), digits.block)
    ]
    return {"asked_for": float(np.concatenate(right).mean())}
