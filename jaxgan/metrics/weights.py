"""PyTorch's weight files without PyTorch, and without running what is in them.

A `.pth` file is a pickle, and unpickling runs whatever the pickle names. This reader
knows the few names that a state dict of tensors needs, answers them itself, and refuses
every other.
"""

import hashlib
import io
import math
import pickle
import pickletools
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np

from jaxgan.data import archives, outside
from jaxgan.text import shortened
from jaxgan.types import UsageError

__all__ = ["sha256", "state_dict"]

DTYPES = {
    "FloatStorage": np.float32,
    "DoubleStorage": np.float64,
    "HalfStorage": np.float16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
}
MAGIC = 0x1950A86A20F9469CFC6C
"""Begins files of PyTorch before 1.6."""


def sha256(path: str | Path) -> str:
    """Of the file, in hexadecimal.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        with outside.opened(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(path, error) from None


def state_dict(path: str | Path) -> dict[str, np.ndarray]:
    """The tensors of a `.pth` file, by name.

    Raises:
        UsageError: the file cannot be read, is damaged, or holds anything but tensors.
    """
    try:
        with outside.opened(path) as file:
            read = _from_zip if zipfile.is_zipfile(file) else _from_stream
            file.seek(0)
            found = read(file)
    except OSError as error:
        raise _unreadable(path, error) from None
    except Forbidden as error:
        reason = f"is refused: it asks for {error}, which no file of weights needs."
        raise UsageError("path", path, reason) from None
    # What a damaged pickle raises depends on where it is damaged.
    except Exception as error:
        reason = f"is no file of PyTorch weights ({shortened(repr(error))})."
        raise UsageError("path", path, reason) from None
    if not isinstance(found, dict) or not all(
        isinstance(k, str) and isinstance(v, np.ndarray) for k, v in found.items()
    ):
        raise UsageError("path", path, "holds something else than named tensors.")
    return dict(found)


def _unreadable(path, error):
    return UsageError("path", path, f"cannot be read: {error.strerror}.")


class Forbidden(Exception):
    """A name that the reader does not know."""


class _Storage:
    """What a tensor is a view of: its dtype and, once read, its elements."""

    def __init__(self, dtype):
        self.dtype, self.count = np.dtype(dtype), 0
        self.data: np.ndarray | None = None


class _Unpickler(pickle.Unpickler):
    def __init__(self, file, storages):
        super().__init__(file, encoding="utf-8")
        self._storages = storages

    def persistent_load(self, pid):
        return self._storages(pid)

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _View
        if module == "torch" and name in DTYPES:
            return _Kind(name)
        raise Forbidden(f"{module}.{name}")


def _unpickled(file, storages):
    """What the next pickle in a file says, if it numbers no more objects than it can
    have: for each number up to the largest, room is made."""
    start, largest = file.tell(), 0
    for code, argument, _ in pickletools.genops(file):
        if code.name.endswith("PUT"):
            largest = max(largest, int(argument or 0))
    if largest > file.tell() - start:
        raise ValueError("it numbers more objects than it has")
    file.seek(start)
    return _Unpickler(file, storages).load()


class _Kind:
    """Stands for a class such as torch.FloatStorage; it cannot be called."""

    def __init__(self, name):
        self.dtype = DTYPES[name]


class _View:
    """Stands for a tensor until its storage has been read."""

    def __init__(self, storage, offset, shape, strides, *_):
        self.storage, self.offset = storage, offset
        self.shape, self.strides = tuple(shape), tuple(strides)

    def __setstate__(self, state):
        raise Forbidden("a tensor's attributes")

    def array(self):
        data, dtype = self.storage.data, self.storage.dtype
        last = self.offset + sum(
            (n - 1) * s for n, s in zip(self.shape, self.strides, strict=True)
        )
        negative = min((self.offset, *self.shape, *self.strides)) < 0
        many = math.prod(self.shape) > len(data)
        if negative or many or (0 not in self.shape and last >= len(data)):
            raise ValueError("a tensor reaches beyond its storage")
        strides = [s * dtype.itemsize for s in self.strides]
        view = np.lib.stride_tricks.as_strided(data[self.offset :], self.shape, strides)
        return np.array(view)


def _arrays(found):
    if not isinstance(found, dict):
        return found
    return {k: v.array() if isinstance(v, _View) else v for k, v in found.items()}


def _from_zip(file):
    """A zip of PICKLE and one member for each storage."""
    with archives.archive(file) as archive:
        (pickled,) = (
            n for n in archive.namelist() if n.rsplit("/", 1)[-1] == "data.pkl"
        )
        root = pickled[: -len("data.pkl")]
        storages: dict[str, _Storage] = {}

        def load(parts):
            _, kind, key, _, count = parts
            if key not in storages:
                storage = storages[key] = _Storage(kind.dtype)
                raw = archives.contents(archive, f"{root}data/{key}")
                storage.data = np.frombuffer(
                    raw, storage.dtype.newbyteorder("<"), count
                )
            return storages[key]

        return _arrays(
            _unpickled(io.BytesIO(archives.contents(archive, pickled)), load)
        )


def _from_stream(file):
    """Pickles one after another, then each storage's count and elements."""
    storages: dict[str, _Storage] = {}

    def load(parts):
        _, kind, key, _, count, *_ = parts
        storage = storages.setdefault(key, _Storage(kind.dtype))
        storage.count = count
        return storage

    def one():
        return _unpickled(file, load)

    if one() != MAGIC:
        raise ValueError("it does not begin as one")
    one()  # the protocol
    if not one().get("little_endian"):
        raise ValueError("its numbers are big-endian")
    found = one()
    for key in one():
        storage = storages[key]
        (count,) = np.frombuffer(file.read(8), "<i8")
        if count != storage.count:
            raise ValueError(f"storage {key} has another size")
        raw = file.read(int(count) * storage.dtype.itemsize)
        storage.data = np.frombuffer(raw, storage.dtype.newbyteorder("<"), int(count))
    return _arrays(found)
