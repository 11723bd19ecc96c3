"""All that jaxgan promises of a device, checked and timed in eight minutes.

    python experiments/device_check.py --out checked
    python experiments/device_check.py --out rehearsed --platform cpu --tiny

In order: README's main job, and its samples measured; a few steps of every recipe, on
the device and on its host's CPU; the same run twice, with XLA's deterministic forms,
to the last bit; rows of `benchmark.py`, in bfloat16 and float32, R1's price and a sweep
of 64 seeds among them. What has been found is in OUT/device_check.json after each part;
a part that fails, or for which no time is left, is a line there, and the rest goes on.
"""

import dataclasses
import datetime
import importlib.metadata
import json
import sys
import time
from pathlib import Path
from typing import Literal

import tyro
from benchmarks import device_parts, machine

PACKAGES = "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "torch", "numpy"
NEAR = 1e-4
"""How far float32 weights may be from the CPU's, as a share of how far they went."""


@dataclasses.dataclass(frozen=True)
class Options:
    """Check and time jaxgan on this machine's device."""

    out: str
    """The folder for results."""
    platform: Literal["gpu", "cpu"] = "gpu"
    """Of the device."""
    minutes: float = 8.0
    """After which nothing more is begun, and what runs is ended."""
    tiny: bool = False
    """A few steps of each part, to see that all of them run."""


def main(options: Options) -> dict:
    """Runs all parts; returns what is in OUT/device_check.json."""
    folder = Path(options.out).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + 60 * options.minutes
    found = {"date": str(datetime.date.today()), **made_on(options.platform)}
    found["parts"] = {}
    for part in device_parts.parts(options.platform, folder, options.tiny):
        left = end - time.monotonic()
        print(f"{part.name} ... ({left:.0f} s left)", file=sys.stderr, flush=True)
        known = {"error": "not begun: no time was left"}
        if left > 1:
            known = device_parts.done(part, left)
        found["parts"][part.name] = known
        (folder / "device_check.json").write_text(json.dumps(found, indent=2) + "\n")
    return found


def made_on(platform: str) -> dict:
    """The device, and versions of what is installed."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    device = machine.gpu() if platform == "gpu" else machine.cpu()
    python = sys.version.split()[0]
    return {"device": device, "python": python, "versions": versions}


def table(found: dict) -> str:
    """What was found, in lines."""
    versions = ", ".join(f"{n} {v}" for n, v in found["versions"].items())
    lines = [f"{found['date']}, {found['device']}, {versions}"]
    for name, part in found["parts"].items():
        lines.append(f"{name}: {part.get('error') or said(name, part, found['parts'])}")
    return "\n".join(lines)


def said(name: str, part: dict, parts: dict) -> str:
    """Of a part that was done."""
    of = part["found"]
    if name == "train":
        return f"{part['seconds']} s from the command to the last sample"
    if name == "evaluate":
        measured = of["metrics"].items()
        return ", ".join(f"{k} {v['value']:.3g}" for k, v in measured if "value" in v)
    if name == "numbers":
        far = max(of, key=lambda recipe: of[recipe]["float32"])
        rough = max(of, key=lambda recipe: of[recipe]["bfloat16"])
        bad = [recipe for recipe in of if not of[recipe]["float32"] <= NEAR]
        return (
            f"{len(of)} recipes; float32 off by {of[far]['float32']:.1e} at most ({far}"
            f"), bfloat16 by {of[rough]['bfloat16']:.1e} ({rough})"
            + (f"; FAR OFF: {', '.join(bad)}" if bad else "")
        )
    if name == "deterministic again":
        first = parts["deterministic"].get("found", {})
        return "the same bits" if first.get("digest") == of["digest"] else "OTHER BITS"
    if "digest" in of:
        return f"{of['seconds']:.3f} s"
    rows = [
        f"{row['title']} {row['ms']['jaxgan']:.3g} ms, {row['ratio']:.2f}x PyTorch "
        f"{row['best']}, {row['share_of_peak']['jaxgan']:.0%} of the peak"
        for row in of["models"].values()
    ]
    rows += [f"{n} costs {price['jaxgan']:.2f}x" for n, price in of["prices"].items()]
    if "sweep" in of:
        rows.append(f"{of['sweep']['members']} seeds {of['sweep']['ratio']:.1f}x")
    return "; ".join(rows)


if __name__ == "__main__":
    print(table(main(tyro.cli(Options))))
