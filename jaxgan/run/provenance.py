"""What a run was made by: versions, device and commit; and what an image was."""

import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import jax

from jaxgan import __version__
from jaxgan.data import decoding
from jaxgan.run import digests, marks, settings
from jaxgan.run.marks import read

__all__ = ["by_command", "commit", "drawn", "made_by", "moved", "read", "versions"]

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


def drawn(state, draw: str, seed: int | None, **more: Any) -> dict[str, Any]:
    """What an image says of how it was made, for `marks`: nothing of when or where, so
    that the same draw makes the same file.

    Args:
        state: it was drawn with, of one member.
        draw: what was done: a command, or "training", which shows samples.
        seed: of the draw, if it has one.
        more: "source", if it is another word of the IPTC than `marks.TRAINED`;
            "weights", if they are not to be looked at; what else it depends on.

    Returns:
        These, and "jaxgan", the version; "step"; "weights", their SHA-256.
    """
    known = {
        "jaxgan": __version__,
        "source": marks.TRAINED,
        "draw": draw,
        "step": int(state.step),
        **({} if seed is None else {"seed": seed}),
    } | more
    if "weights" not in more:
        known["weights"] = digests.of_weights(state)
    return known


def by_command(draw: str, options, loaded, **more: Any) -> dict[str, Any]:
    """The same of a command on a trained run, with the run's experiment and all of the
    command's options but names of files, and data, which may lie in a folder.

    Args:
        draw: the command.
        options: of it.
        loaded: `loading.Loaded`.
        more: as `drawn`.
    """
    known = settings.known(type(options)).values()
    out = "seed", "data", "reference"
    kept = [o.name for o in known if settings.FILE not in o.marks and o.name not in out]
    values = {name: settings.of(options, name) for name in kept}
    its = {"experiment": loaded.run.experiment, "options": values}
    seed = getattr(options, "seed", None)
    return drawn(loaded.state, draw, seed, **its, **more)


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
