"""A run's folder: config.json, metrics.jsonl, log.txt, samples, checkpoints, best."""

import contextlib
import dataclasses
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from jaxgan.run.config import MAY_CHANGE, Config, from_dict
from jaxgan.types import UsageError


class Run(NamedTuple):
    """What config.json holds: all that is needed to rebuild the networks."""

    experiment: str
    config: Config
    shape: tuple[int, int, int]
    """(H, W, C) of an image."""
    class_names: tuple[str, ...]


def default(experiment: str) -> Path:
    """`runs/EXPERIMENT`, below the current folder."""
    return Path("runs") / experiment


def cache(name: str) -> Path:
    """A folder for what later runs need not compute again."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "jaxgan" / name


def writable(path: Path, option: str = "--workdir") -> None:
    """Makes the folder.

    Raises:
        UsageError: it cannot be made or written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise UsageError(
            f"{option} {path} cannot be written to: {error.strerror}."
        ) from None


def open_run(path: Path, run: Run) -> bool:
    """Claims the folder for a run, or finds the same run in it.

    Returns:
        Whether there was a run in it already.

    Raises:
        UsageError: it holds another run, naming what differs, or other files.
    """
    file = path / "config.json"
    if not file.exists():
        writable(path)
        if others := sorted(p.name for p in path.iterdir()):
            raise UsageError(
                f"--workdir {path} holds no run but other files ({others[0]}); choose "
                "a new or empty folder."
            )
        values = run._replace(config=dataclasses.asdict(run.config))._asdict()
        file.write_text(json.dumps(values, indent=2) + "\n")
        return False
    old = read(path, type(run.config), run.experiment)
    if changes := differences(old, run):
        raise UsageError(
            f"--workdir {path} holds a run with another configuration: "
            f"{'; '.join(changes)}. Use its options to continue it, or another "
            "--workdir for a new run."
        )
    writable(path)
    return True


def differences(old: Run, new: Run) -> list[str]:
    """What keeps `new` from continuing `old`, such as "width is 64 there, 32 here"."""
    pairs = {
        f.name: (getattr(old.config, f.name), getattr(new.config, f.name))
        for f in dataclasses.fields(new.config)
        if f.name not in MAY_CHANGE
    }
    pairs["image shape"] = (tuple(old.shape), tuple(new.shape))
    pairs["classes"] = (len(old.class_names), len(new.class_names))
    return [f"{n} is {a} there, {b} here" for n, (a, b) in pairs.items() if a != b]


def read(path: Path, kind: type[Config], experiment: str | None = None) -> Run:
    """The run that a folder holds.

    Raises:
        UsageError: it holds none, one of another experiment than `experiment`, or its
            config.json is damaged.
    """
    file = path / "config.json"
    if not file.is_file():
        raise UsageError(f"--workdir {path} holds no run: it has no config.json.")
    try:
        values = json.loads(file.read_text())
        if experiment not in (None, values["experiment"]):
            raise UsageError(
                f"--workdir {path} holds a run of {values['experiment']}, not of "
                f"{experiment}; choose another."
            )
        config = from_dict(values["config"], kind(), str(file))
        shape, names = tuple(values["shape"]), tuple(values["class_names"])
        return Run(values["experiment"], config, shape, names)
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise UsageError(f"{file} is damaged: {error!r}.") from None


@contextlib.contextmanager
def logger(path: Path):
    """`log(text)`: a line on stderr, above any progress bar, and in log.txt."""
    with (path / "log.txt").open("a", buffering=1) as file:

        def log(text):
            tqdm.write(text, file=sys.stderr)
            file.write(text + "\n")

        yield log
