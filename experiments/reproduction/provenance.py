"""What figures were made with: versions, commit, machine."""

import platform
from pathlib import Path

from benchmarks.machine import cores

from jaxgan.run import provenance

EXPERIMENTS = Path(__file__).parents[1]


def made_by() -> dict[str, str | None]:
    """Versions, and the commit; with "+changes" where jaxgan or experiments differ."""
    made = provenance.versions()
    ours = provenance.commit(EXPERIMENTS, "reproduce.py")
    changed = ours is not None and ours.endswith("+changes")
    return made | ({"commit": ours} if changed else {})


def machine() -> dict:
    """The CPU, and how many of its cores this process may use."""
    return {"cpu": _cpu(), "cores": cores(), "system": platform.platform()}


def _cpu():
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    models = [line.partition(":")[2] for line in lines if line.startswith("model name")]
    return models[0].strip() if models else platform.processor() or platform.machine()
