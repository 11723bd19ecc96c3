"""Files that somebody else made: plain ones alone are opened; JSON is read strictly.

Nothing here waits, as to open a pipe would, or reads what never ends, as a device.
"""

import errno
import io
import json
import os
import stat
from pathlib import Path
from typing import Any

__all__ = ["as_json", "opened", "read_json"]

MOST = 1 << 26
"""Bytes of a file of JSON."""


def opened(path: Path | str) -> io.BufferedReader:
    """A file to read.

    Raises:
        OSError: it is not there, cannot be read, or is no plain file.
    """
    flags = sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_BINARY", "O_NOCTTY"))
    try:
        number = os.open(path, os.O_RDONLY | flags)
    except ValueError:  # of characters that no name has
        raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), str(path)) from None
    file = os.fdopen(number, "rb") if _is_plain(number) else None
    if file is None:
        kind = "a folder" if stat.S_ISDIR(os.fstat(number).st_mode) else "no plain file"
        os.close(number)
        raise OSError(errno.EINVAL, f"it is {kind}", str(path))
    return file


def _is_plain(number):
    return stat.S_ISREG(os.fstat(number).st_mode)


def read_json(path: Path | str) -> Any:
    """What a file of JSON holds.

    Raises:
        OSError: as `opened`.
        ValueError: as `as_json`, or it is longer than any such file.
    """
    with opened(path) as file:
        text = file.read(MOST + 1)
    if len(text) > MOST:
        raise ValueError(f"it is longer than {MOST >> 20} MiB")
    return as_json(text)


def as_json(text: bytes) -> Any:
    """What JSON says.

    Raises:
        ValueError: it is no JSON in UTF-8, is nested too deep, or names a thing twice.
    """
    try:
        return json.loads(text.decode(), object_pairs_hook=_once)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def _once(pairs):
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"it has {name[:80]!r} twice")
        found[name] = value
    return found
