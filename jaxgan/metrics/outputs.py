"""What an extractor says of many images, filled block by block: in memory, or, of very
many, in files; and found again by later runs."""

import contextlib
import os
import warnings
from pathlib import Path
from tempfile import mkstemp

import numpy as np

__all__ = ["LARGE", "Outputs"]

LARGE = 2**28
"""Bytes of an array from which on it lies in a file and is mapped, if it has one."""


class Outputs:
    """Features `[N, D]` and maybe logits `[N, K]`, None before there are any.

    Args:
        size: N.
        folder: where they are kept as files; None to keep none.
        content: what the files are called.
    """

    def __init__(self, size: int, folder: Path | None = None, content: str = ""):
        self.features: np.ndarray | None = None
        self.logits: np.ndarray | None = None
        self._size, self._filled = size, 0
        self._folder, self._content = folder, content
        self._partial: dict[str, Path] = {}

    def found_again(self) -> bool:
        """Whether an earlier run kept them."""
        features, logits = (self._file(name) for name in ("features", "logits"))
        if not features.exists():
            return False
        try:
            self.features = _read(features, self._size)
            self.logits = _read(logits, self._size) if logits.exists() else None
        except Exception:  # cut short or damaged; they are made anew
            self.features = self.logits = None
            for file in (features, logits):
                file.unlink(missing_ok=True)
            return False
        return True

    def add(self, features, logits=None) -> None:
        """Those of the next images."""
        there = slice(self._filled, self._filled + len(features))
        if self.features is None:
            self.features = self._room("features", features)
            self.logits = None if logits is None else self._room("logits", logits)
        self.features[there] = features
        if self.logits is not None:
            self.logits[there] = logits
        self._filled = there.stop

    def keep(self) -> None:
        """In files, of which that of features is the last, a sign of both."""
        found = {"logits": self.logits, "features": self.features}
        for name, array in found.items():
            if self._folder is None or array is None:
                continue
            try:
                if name not in self._partial:
                    with self._open(name) as file:
                        np.save(file, array, allow_pickle=False)
                self._partial.pop(name).replace(self._file(name))
            except OSError as error:
                self._not_kept(error)

    def _file(self, name) -> Path:
        assert self._folder is not None
        return self._folder / f"{self._content}.{name}.npy"

    def _open(self, name):
        assert self._folder is not None
        self._folder.mkdir(parents=True, exist_ok=True)
        number, path = mkstemp(".partial", dir=self._folder)
        self._partial[name] = Path(path)
        return os.fdopen(number, "wb")

    def _room(self, name, some):
        shape, dtype = (self._size, *some.shape[1:]), some.dtype
        size = some[:1].nbytes * self._size
        if self._folder is None or size < LARGE:
            return np.empty(shape, dtype)
        try:
            with self._open(name) as file:
                array = np.lib.format.open_memmap(
                    self._partial[name], "w+", dtype, shape
                )
                if hasattr(os, "posix_fallocate"):  # or a full disk would end the run
                    size = os.fstat(file.fileno()).st_size
                    os.posix_fallocate(file.fileno(), 0, size)
            return array
        except OSError as error:
            self._not_kept(error)
            return np.empty(shape, dtype)

    def _not_kept(self, error):
        folder, self._folder = self._folder, None
        for file in self._partial.values():
            with contextlib.suppress(OSError):
                file.unlink()
        self._partial = {}
        text = f"Features are not kept in {folder}: {error.strerror}."
        warnings.warn(text, stacklevel=4)


def _read(file: Path, size: int):
    large = file.stat().st_size >= LARGE
    found = np.load(file, mmap_mode="r" if large else None, allow_pickle=False)
    if len(found) != size:
        raise ValueError
    return found
