"""Files that are whole or not there, whenever a run is killed."""

import contextlib
import errno
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from jaxgan.types import UsageError

__all__ = [
    *("FULL", "PARTIAL", "appended", "replacing", "swept"),
    *("write_json", "write_text", "written"),
]

PARTIAL = ".partial"
"""How the name of a file ends that is being written."""
FULL = errno.ENOSPC, errno.EDQUOT
"""What a full disk, or a full quota, is called."""


@contextlib.contextmanager
def replacing(path: Path | str) -> Iterator[IO[bytes]]:
    """A file to write; it becomes `path` when all of it is on disk, and else is gone.

    A link of that name is replaced, not followed; what is no file, such as a pipe, is
    written to as it comes.

    Args:
        path: the file; its folder is there.

    Raises:
        OSError: it cannot be written; an older file of the name is as it was.
    """
    path = Path(path)
    if _is_stream(path):
        with path.open("wb") as file:
            yield file
        return
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    partial = path.with_name(f"{path.name}.{os.getpid()}{PARTIAL}")
    partial.unlink(missing_ok=True)  # of a process that was killed; never followed
    try:
        with partial.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise


def _is_stream(path):
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def appended(path: Path) -> IO[str]:
    """A file of lines to write on, made if it is not there.

    Raises:
        UsageError: it cannot be written, is a link, or is no plain file.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    kept = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK"))
    try:
        number = os.open(path, flags | kept, 0o666)
        if not stat.S_ISREG(os.fstat(number).st_mode):
            os.close(number)
            raise OSError(errno.EINVAL, "it is no plain file")
    except OSError as error:
        if error.errno in FULL:
            raise
        linked = error.errno == errno.ELOOP and path.is_symlink()
        why = "it is a link, and links are not followed" if linked else error.strerror
        raise UsageError(None, None, f"{path} cannot be written: {why}.") from None
    errors = "surrogateescape"
    return os.fdopen(number, "a", 1, encoding="utf-8", errors=errors, newline="\n")


def write_text(path: Path | str, text: str) -> None:
    """Writes UTF-8 text, whole or not at all.

    Raises:
        OSError: as `replacing`.
    """
    with replacing(path) as file:
        file.write(text.encode())


def write_json(path: Path | str, values) -> None:
    """Writes JSON for people to read, too; whole or not at all.

    Raises:
        OSError: as `replacing`.
    """
    write_text(path, json.dumps(values, indent=2) + "\n")


@contextlib.contextmanager
def written(option: str | None, path) -> Iterator[None]:
    """What is written to a file that an option names.

    Raises:
        UsageError: in place of an OSError.
    """
    try:
        yield
    except OSError as error:
        reason = f"cannot be written: {error.strerror}."
        raise UsageError(option, path, reason) from None


def swept(folder: Path) -> None:
    """Removes files of a folder that a killed process has left half-written."""
    for file in folder.glob(f"*{PARTIAL}"):
        with contextlib.suppress(OSError):
            file.unlink()
