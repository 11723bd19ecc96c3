"""One owner: a workdir is written by one run at a time.

The file `lock` in a workdir names its owner, and is touched while that lives. It works
on disks that several machines share, where locks of the system often do not.
"""

import contextlib
import json
import os
import socket
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from jaxgan.data import outside
from jaxgan.run.atomic import PARTIAL
from jaxgan.types import UsageError

__all__ = ["BEAT", "DEAD", "NAME", "let_go", "owned"]

NAME = "lock"
"""The file of a workdir that names its owner."""

BEAT = 30.0
"""Seconds between signs of life."""

DEAD = 300.0
"""Seconds without one after which an owner is dead, on whatever machine."""


_held: dict[Path, dict] = {}


def let_go() -> None:
    """Gives up all that this process owns, before it ends at once."""
    for file, me in _held.items():
        with contextlib.suppress(OSError):
            if _read(file) == me:
                file.unlink(missing_ok=True)


@contextlib.contextmanager
def owned(path: Path, say: Callable[[str], object]) -> Iterator[Callable[[], None]]:
    """Owns a workdir while inside.

    Args:
        path: the workdir; it is there.
        say: told, in one sentence, of a dead owner whose place is taken.

    Yields:
        `still()`, which raises `UsageError` where the workdir was removed, or another
        run has taken the place: of a process that stood still for longer than `DEAD`.

    Raises:
        UsageError: it has a living owner.
    """
    file, me = path / NAME, _me()
    _take(file, me, say)
    _held[file] = me
    over = threading.Event()
    unread = None

    def beat():
        while not over.wait(BEAT):
            with contextlib.suppress(OSError):
                if _read(file) == me:
                    os.utime(file)

    def still():
        nonlocal unread
        now = _read(file)
        if now == me:
            unread = None
            return
        if now == {}:  # a disk that fails for a while
            unread = time.monotonic() if unread is None else unread
            if time.monotonic() - unread < DEAD:
                return
        if now is None:
            reason = "was removed, or its lock, while this run was writing it."
        else:
            reason = f"was taken over by {_name(now)}: this run stood still too long."
        raise UsageError("workdir", path, reason)

    thread = threading.Thread(target=beat, daemon=True, name="jaxgan-lock")
    thread.start()
    try:
        yield still
    finally:
        over.set()
        thread.join()
        del _held[file]
        with contextlib.suppress(OSError):
            if _read(file) == me:
                file.unlink(missing_ok=True)


def _take(file, me, say):
    """Makes the file, in the place of a dead owner's if there is one."""
    while not _made(file, me):
        other = _read(file)
        if other is None:  # it has just gone
            continue
        age = _age(file)
        gone = _gone(other)
        if not gone and age < DEAD:
            reason = (
                f"is being written by {_name(other)}, which gave a sign of life "
                f"{age:.0f} seconds ago; wait for it, or choose another."
            )
            raise UsageError("workdir", file.parent, reason)
        # Of several that see it dead, one renames it; the others find a new owner.
        aside = file.with_name(f"{NAME}.{me['token']}{PARTIAL}")
        with contextlib.suppress(FileNotFoundError):
            file.rename(aside)
        taken = _read(aside)
        if taken is not None and taken != other:  # a new owner's, in between
            with contextlib.suppress(OSError):
                os.link(aside, file)
        aside.unlink(missing_ok=True)
        why = "is gone" if gone else f"gave no sign of life for {age:.0f} seconds"
        say(f"{file.parent} was left by {_name(other)}, which {why}; taking over.")


def _made(file, me):
    """Whether the file was made, at once with its words: no reader sees it empty."""
    new = file.with_name(f"{NAME}.{me['token']}{PARTIAL}")
    try:
        new.write_text(json.dumps(me))
        os.link(new, file)
    except FileExistsError:
        return False
    except OSError:  # a disk that knows no links
        try:
            with file.open("x") as made:
                made.write(json.dumps(me))
        except FileExistsError:
            return False
        except OSError as error:
            reason = f"cannot be written to: {error.strerror}."
            raise UsageError("workdir", file.parent, reason) from None
    finally:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
    return True


def _read(file):
    """Whose it is; {} where that cannot be read, None where it is not there."""
    try:
        found = outside.read_json(file)
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _age(file):
    """Seconds since the last sign of life, by the clock of the disk.

    A sign from the future, of a clock that was set back, is as old as it is far.
    """
    try:
        with tempfile.NamedTemporaryFile(dir=file.parent, suffix=PARTIAL) as now:
            return abs(os.stat(now.name).st_mtime - file.stat().st_mtime)
    except FileNotFoundError:
        return 0.0


def _me():
    pid = os.getpid()
    return {
        "host": socket.gethostname(),
        "pid": pid,
        "namespace": _namespace(),
        "started": _started(pid),
        "token": uuid.uuid4().hex,
    }


def _namespace():
    """Containers on one machine have process numbers of their own."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return None


def _started(pid):
    """When a process began, so that a later one of its number is not taken for it; None
    where the system does not say, "" where there is no such process."""
    stat = Path(f"/proc/{pid}/stat")
    if not Path("/proc/self/stat").exists():
        return None
    try:
        fields = stat.read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def _gone(other):
    """Whether the owner is known to have ended: only on this machine."""
    if not other.get("namespace") or other.get("namespace") != _namespace():
        return False
    if other.get("host") != socket.gethostname():
        return False
    pid = other.get("pid")
    return isinstance(pid, int) and _started(pid) != other.get("started")


def _name(other):
    if not other:
        return "another run"
    return f"process {other.get('pid')} on {other.get('host')}"
