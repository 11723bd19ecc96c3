"""What figures were made with: versions, commit, machine."""

import platform
from pathlib import Path

from benchmarks.machine import cores, cpu

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
    return {"cpu": cpu(), "cores": cores(), "system": platform.platform()}
