"""What figures were made with: versions, commit, machine."""

import platform
import subprocess
from importlib import metadata
from pathlib import Path

from benchmarks.machine import cores

import jaxgan

PACKAGES = "jax", "flax", "optax", "numpy"


def made_by() -> dict[str, str | None]:
    """Versions, and the commit."""
    versions = {name: metadata.version(name) for name in PACKAGES}
    python = platform.python_version()
    return {
        "jaxgan": jaxgan.__version__,
        **versions,
        "python": python,
        "commit": commit(),
    }


def commit() -> str | None:
    """Of the checkout that jaxgan is in, with "+changes" where it or experiments
    differ from it; None without git."""
    folder = Path(jaxgan.__file__).parents[1]

    def git(*args):
        command = ["git", "-C", str(folder), *args]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=10, check=True
        )
        return done.stdout.strip()

    try:
        changed = git("status", "--porcelain", "-uno", "experiments/*.py", "jaxgan")
        return git("rev-parse", "HEAD") + ("+changes" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return None


def machine() -> dict:
    """The CPU, and how many of its cores this process may use."""
    return {"cpu": _cpu(), "cores": cores(), "system": platform.platform()}


def _cpu():
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    models = [line.partition(":")[2] for line in lines if line.startswith("model name")]
    return models[0].strip() if models else platform.processor() or platform.machine()
