"""Files that are whole or not there, whenever a run is killed."""

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO

__all__ = ["PARTIAL", "replacing", "swept", "write_text"]

PARTIAL = ".partial"
"""How the name of a file ends that is being written."""


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


def write_text(path: Path | str, text: str) -> None:
    """Writes UTF-8 text, whole or not at all.

    Raises:
        OSError: as `replacing`.
    """
    with replacing(path) as file:
        file.write(text.encode())


def swept(folder: Path) -> None:
    """Removes files of a folder that a killed process has left half-written."""
    for file in folder.glob(f"*{PARTIAL}"):
        with contextlib.suppress(OSError):
            file.unlink()
