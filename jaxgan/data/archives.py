"""Zip archives and arrays that somebody else made, read without running anything.

Nothing is written. What would unpack to far more than it is, or claims to, is refused
before there is memory for it.
"""

import io
import math
import zipfile
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np

from jaxgan.data import outside
from jaxgan.data.decoding import reason

__all__ = ["archive", "array", "contents", "inside"]

LARGE = 1 << 28
"""Bytes that a member may have, however small it is packed."""
RATIO = 200
"""Of larger ones, by how much they may have been packed."""


def archive(file: Path | IO[bytes]) -> zipfile.ZipFile:
    """A zip archive; a file that is given is the caller's to close.

    Raises:
        OSError: as `outside.opened`.
        ValueError: it is none, or a damaged one.
    """
    if isinstance(file, Path):
        outside.opened(file).close()
    try:
        return zipfile.ZipFile(file)
    # Of damaged archives come errors of many types.
    except Exception as error:
        raise ValueError(reason(error)) from None


def inside(name: str) -> bool:
    """Whether a member's name stays below the folder that it would be put in."""
    path = PurePosixPath(name.replace("\\", "/"))
    return not (path.is_absolute() or ".." in path.parts or "\0" in name)


def contents(found: zipfile.ZipFile, name: str) -> bytes:
    """A member's bytes.

    Raises:
        ValueError: there is none of this name, it is damaged, encrypted or packed by
            another method than deflate, or it is far larger than what it is packed in.
    """
    try:
        info = found.getinfo(name)
        _check(info)
        with found.open(info) as file:
            # By its size: without one, zipfile unpacks all before it looks.
            content = file.read(info.file_size)
            if len(content) < info.file_size or file.read(1):
                raise ValueError(f"{name} is cut short")
    # As above.
    except Exception as error:
        raise ValueError(reason(error)) from None
    return content


def _check(info):
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{info.filename} is packed by another method than deflate")
    if info.file_size > max(LARGE, RATIO * info.compress_size):
        packed = f"{info.file_size} bytes out of {info.compress_size}"
        raise ValueError(f"{info.filename} claims to unpack to {packed}")


def array(content: bytes) -> np.ndarray:
    """The array in the bytes of a .npy file; it cannot be written to.

    Raises:
        ValueError: there is none, it is of Python objects, or not all of it is there.
    """
    file = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            shape, by_column, dtype = np.lib.format.read_array_header_1_0(file)
        else:
            shape, by_column, dtype = np.lib.format.read_array_header_2_0(file)
    # Headers are Python's words, and numpy meets others with errors of many types.
    except Exception as error:
        raise ValueError(reason(error)) from None
    if dtype.hasobject:
        raise ValueError("it holds Python objects")
    there, start = len(content) - file.tell(), file.tell()
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != there:
        claimed = f"an array {list(shape)} of {dtype}, of which there are {there} bytes"
        raise ValueError(f"it claims {claimed}")
    if not there:
        return np.empty(shape, dtype)
    flat = np.frombuffer(content, dtype, offset=start)
    return flat.reshape(shape, order="F" if by_column else "C")
