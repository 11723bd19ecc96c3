"""A run's folder: config.json, metrics.jsonl, log.txt, samples, checkpoints, best."""

import contextlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from jaxgan.data import outside
from jaxgan.run import atomic, lock, settings
from jaxgan.run.config import Config
from jaxgan.run.settings import FREE
from jaxgan.text import printable, shortened
from jaxgan.types import UsageError

__all__ = [
    "FORMAT",
    "Run",
    "adopted",
    "cache",
    "default",
    "differences",
    "last_made_by",
    "logger",
    "open_run",
    "read",
    "writable",
]


FORMAT = 1
"""Of workdirs; those from before 0.4 name none. Options that an older one does not have
are told from its "config"; a newer one is refused."""


class Run(NamedTuple):
    """What config.json holds: all that is needed to rebuild the networks."""

    experiment: str
    config: Config
    shape: tuple[int, int, int]
    """(H, W, C) of an image."""
    class_names: tuple[str, ...]
    levels: int | None = None
    """The largest value of a pixel that it was trained on, 255 or 65535; None, not
    known, of a run older than 0.3."""
    held_out: int = 0
    """Training images that were held out from training, to choose the best state by."""


def default(experiment: str) -> Path:
    """`runs/EXPERIMENT`, below the current folder."""
    return Path("runs") / experiment


def cache(name: str) -> Path:
    """A folder for what later runs need not compute again."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "jaxgan" / name


def writable(path: Path, option: str = "workdir") -> None:
    """Makes the folder.

    Raises:
        UsageError: it cannot be made or written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        reason = f"cannot be written to: {error.strerror}."
        raise UsageError(option, path, reason) from None


def apart(out: Path, path: Path) -> None:
    """Refuses files that come by twos in the workdir, whose own they might replace.

    Raises:
        UsageError: naming `out`.
    """
    if out.resolve().parent == path.resolve():
        reason = "lies among the files of the run itself; choose another folder."
        raise UsageError("out", out, reason)


def open_run(path: Path, run: Run, made_by: dict | None = None, step: int = 0) -> bool:
    """Claims the folder for a run, or finds the same run in it.

    What a run is continued with, if it is not what it was last trained with, is added
    to its config.json as "continued"; "config" stays what it began with.

    Args:
        path: the folder.
        run: what config.json is to hold.
        made_by: versions and the like, beside it.
        step: that it is continued from.

    Returns:
        Whether there was a run in it already.

    Raises:
        UsageError: it holds another run, naming what differs, or other files.
    """
    file = path / "config.json"
    if not file.exists():
        writable(path)
        names = (p.name for p in path.iterdir() if p.suffix != atomic.PARTIAL)
        if others := sorted({*names} - {lock.NAME}):
            raise UsageError(
                "workdir",
                path,
                f"holds no run but other files ({others[0]}); choose a new or empty "
                "folder.",
            )
        values = run._asdict() | {"config": settings.to_dict(run.config)}
        _write(file, {"format": FORMAT} | values | {"made_by": made_by})
        return False
    old = read(path, type(run.config), run.experiment)
    if changes := differences(old, run):
        raise UsageError(
            "workdir",
            path,
            f"holds a run with another configuration: {'; '.join(changes)}. Use its "
            "options to continue it, or another `workdir` for a new run.",
        )
    writable(path)
    _continued(file, run, old, made_by, step)
    return True


def adopted(path: Path, config: Config) -> tuple[Config, list[str]]:
    """The config, with what a run in the folder did that is older than some options.

    Returns:
        `(config, names)`: options that its config.json does not name have the defaults
        of their dataclass, as `read` has them, but those that may change in a run;
        names are those that differed.
    """
    try:
        named = _dict(outside.read_json(path / "config.json")["config"])
    except (OSError, ValueError, KeyError, TypeError):
        return config, []  # there is no run, or one that `open_run` refuses
    old, every = type(config)(), settings.known(type(config))
    fixed = [n for n, option in every.items() if FREE not in option.marks]
    missing = {n: settings.of(old, n) for n in fixed if n not in named}
    changes = {n: v for n, v in missing.items() if settings.of(config, n) != v}
    return settings.changed(config, **changes), list(changes)


def last_made_by(path: Path) -> dict:
    """Versions and hardware that the run in a folder was last trained with; empty where
    nothing is known."""
    try:
        values = outside.read_json(path / "config.json")
        return _dict([values, *values.get("continued", [])][-1]["made_by"] or {})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _continued(file, run, old, made_by, step):
    """Notes what has changed since the run was last trained."""
    values = outside.read_json(file)
    both = (settings.to_dict(one.config) for one in (old, run))
    first, now = json.loads(json.dumps([*both]))  # tuples as lists, as they are kept
    changed = {name: x for name, x in now.items() if x != first[name]}
    changed.pop("workdir", None)  # where it lies, as another names it
    known = values.setdefault("continued", [])
    if not isinstance(known, list):
        raise UsageError(None, None, f"{file} is damaged: continued is no list.")
    last = known[-1] if known else {"config": {}, "made_by": values.get("made_by")}
    if not isinstance(last, dict):
        raise UsageError(None, None, f"{file} is damaged: continued has {last!r}.")
    if (last.get("config"), last.get("made_by")) != (changed, made_by):
        known.append({"step": step, "config": changed, "made_by": made_by})
        _write(file, values)


def _write(file, values):
    atomic.write_json(file, values)


def differences(old: Run, new: Run) -> list[str]:
    """What keeps `new` from continuing `old`, such as "width is 64 there, 32 here"."""
    pairs = {
        option.name: tuple(settings.of(run.config, option.name) for run in (old, new))
        for option in settings.known(type(new.config)).values()
        if FREE not in option.marks
    }
    pairs["image shape"] = (tuple(old.shape), tuple(new.shape))
    pairs["images held out"] = (old.held_out, new.held_out)
    pairs["classes"] = (len(old.class_names), len(new.class_names))
    if len(old.class_names) == len(new.class_names):
        for k, names in enumerate(zip(old.class_names, new.class_names, strict=True)):
            pairs[f"class {k}"] = names
    if old.levels:
        pairs["the largest pixel"] = (old.levels, new.levels)
    return [f"{n} is {a} there, {b} here" for n, (a, b) in pairs.items() if a != b]


def read(path: Path, kind: type[Config], experiment: str | None = None) -> Run:
    """The run that a folder holds.

    Args:
        path: the folder.
        kind: its options; those that its config.json does not name, of a run older
            than they are, have their defaults.
        experiment: refuse runs of another; None to take any.

    Raises:
        UsageError: it holds none, one of another experiment than `experiment`, one of a
            newer jaxgan, or its config.json is damaged.
    """
    file = path / "config.json"
    if not file.is_file():
        raise UsageError("workdir", path, "holds no run: it has no config.json.")
    try:
        values = _dict(outside.read_json(file))
        if type(of := values.get("format", 0)) is not int:
            raise TypeError("its format is no number")
        if of > FORMAT:
            reason = "is of a newer jaxgan; update jaxgan."
            raise UsageError("workdir", path, reason)
        if experiment not in (None, its := values["experiment"]):
            its = shortened(str(its))
            reason = f"holds a run of {its}, not of {experiment}; choose another."
            raise UsageError("workdir", path, reason)
        return _run(values, kind, file)
    except OSError as error:
        reason = f"{file} cannot be read: {error.strerror}."
        raise UsageError(None, None, reason) from None
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, UsageError):
            raise
        why = shortened(repr(error))
        raise UsageError(None, None, f"{file} is damaged: {why}.") from None


def _dict(values):
    if not isinstance(values, dict):
        raise TypeError("it is no object of names and values")
    return values


def _run(values, kind, file):
    config = settings.from_dict(_dict(values["config"]), kind(), None, str(file))
    try:
        settings.check(config)
    except UsageError as error:
        raise UsageError(None, None, f"{file} is damaged: {error}") from None
    run = Run(
        values["experiment"],
        config,
        tuple(values["shape"]),
        tuple(values["class_names"]),
        values.get("levels"),
        values.get("held_out", 0),
    )
    sides = len(run.shape) == 3 and all(_counts(side, 1) for side in run.shape)
    texts = (run.experiment, *run.class_names)
    numbers = run.levels in (None, 255, 65535) and _counts(run.held_out, 0)
    listed = isinstance(values["class_names"], list)
    if not (sides and numbers and listed and all(isinstance(t, str) for t in texts)):
        raise TypeError("a shape, a name or a number is none")
    return run


def _counts(value, least):
    return type(value) is int and least <= value < settings.WHOLE


@contextlib.contextmanager
def logger(path: Path):
    """`log(text)`: a line on stderr, above any progress bar, and in log.txt."""
    with atomic.appended(path / "log.txt") as file:

        def log(text):
            text = printable(text)
            tqdm.write(text, file=sys.stderr)
            file.write(text + "\n")

        yield log
