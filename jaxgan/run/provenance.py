"""What a run was made by: versions, device, and commit."""

import platform
import subprocess
from importlib import metadata
from pathlib import Path

from jaxgan import __version__

__all__ = ["commit", "made_by"]

PACKAGES = "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy"


def made_by(device: str) -> dict:
    """For config.json.

    Args:
        device: the kind of the devices.
    """
    versions = {name: metadata.version(name) for name in PACKAGES}
    return {
        "jaxgan": __version__,
        **versions,
        "python": platform.python_version(),
        "device": device,
        "commit": commit(Path(__file__).parents[1]),
    }


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
