"""What a run was made by: versions, device, and commit."""

import platform
import subprocess
from importlib import metadata
from pathlib import Path

import jax

from jaxgan import __version__
from jaxgan.data import decoding

__all__ = ["commit", "made_by", "moved", "versions"]

PACKAGES = "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy"
HARDWARE = "device", "devices", "processes", "cores"


def versions() -> dict:
    """Of the program and of what it is made with, and the commit."""
    return {
        "jaxgan": __version__,
        **{name: metadata.version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "commit": commit(Path(__file__).parents[1]),
    }


def made_by(devices) -> dict:
    """For config.json.

    Args:
        devices: those that a run is on, of one kind.
    """
    return {
        **versions(),
        "device": devices[0].device_kind,
        "devices": len(devices),
        "processes": jax.process_count(),
        "cores": decoding.cores(),
    }


def moved(before: dict, now: dict) -> str | None:
    """What to say of a run that goes on elsewhere; None where bits stay the same.

    Args:
        before: `made_by` of when it was last trained; what it does not know is taken to
            be the same.
        now: that of now.
    """
    seen = HARDWARE if now["device"] == "cpu" else HARDWARE[:-1]
    known = [n for n in seen if before.get(n, now[n]) != now[n]]
    if not known:
        return None
    what = ", ".join(f"{n} {before[n]} there and {now[n]} here" for n in known)
    return f"It goes on elsewhere ({what}): sums of another order may differ in bits."


def commit(folder: Path, file: str = "__init__.py") -> str | None:
    """The commit of the checkout that a package, or another folder with such a file,
    lies in, with "+changes" where what git knows of it differs from that; None where
    git knows nothing of it."""

    def git(*args):
        command = ["git", "-C", str(folder), *args]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        if not git("ls-files", file):  # installed below another's checkout
            return None
        changed = "+changes" if git("status", "--porcelain", "-uno", ".") else ""
        return git("rev-parse", "HEAD") + changed
    except (OSError, subprocess.TimeoutExpired):  # no git
        return None
