"""MNIST-style IDX files (LeCun, http://yann.lecun.com/exdb/mnist/), gzipped or not.

Big-endian: two zero bytes, a type code (8 is uint8), the number of dimensions, each
dimension as uint32, then the values.
"""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from jaxgan.data.arrays import fitted
from jaxgan.data.dataset import make
from jaxgan.data.labels import numbered
from jaxgan.data.source import Request, Source
from jaxgan.types import UsageError

__all__ = ["SOURCE", "read"]

_PREFIX = {"train": "train", "test": "t10k"}


def read(spec: str, directory: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Reads a split's images and labels.

    Args:
        spec: the spec, for messages.
        directory: holds `train-images-idx3-ubyte` and its three companions, possibly
            spelt `train-images.idx3-ubyte`, possibly with `.gz`.
        split: `"train"` or `"test"`.

    Returns:
        uint8 `[N, H, W, 1]` and uint8 `[N]`.

    Raises:
        UsageError: a file is missing, is not what its name says, or is cut short.
    """
    if not directory.is_dir():
        raise UsageError(
            "data",
            spec,
            f": there is no directory {directory}; give the directory that"
            " holds train-images-idx3-ubyte[.gz] and the other three files",
        )
    images_path = _find(spec, directory, f"{_PREFIX[split]}-images", 3)
    labels_path = _find(spec, directory, f"{_PREFIX[split]}-labels", 1)
    images = _parse(spec, images_path, 3)
    labels = _parse(spec, labels_path, 1)
    if len(images) != len(labels):
        raise UsageError(
            "data",
            spec,
            f": {images_path.name} holds {len(images)} images but"
            f" {labels_path.name} holds {len(labels)} labels; give the two files of one"
            " dataset",
        )
    if images.size == 0:
        raise UsageError("data", spec, f": {images_path.name} holds no pixels")
    return images[..., None], labels


def _find(spec, directory, stem, ndim):
    names = [f"{stem}{sep}idx{ndim}-ubyte{gz}" for gz in ("", ".gz") for sep in "-."]
    for name in names:
        if (directory / name).is_file():
            return directory / name
    raise UsageError(
        "data", spec, f": {directory} lacks {names[0]} (looked for {', '.join(names)})"
    )


def _parse(spec, path, ndim):
    try:
        data = path.read_bytes()
        # By content: browsers unpack a download and leave its .gz name, and back.
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(
            "data", spec, f": cannot read {path.name} ({error}); fetch it again"
        ) from error
    header = 4 + 4 * ndim
    if data[:4] != bytes((0, 0, 8, ndim)) or len(data) < header:
        raise UsageError(
            "data",
            spec,
            f": {path.name} is not an IDX file of uint8 in {ndim}"
            f" dimension{'s' * (ndim > 1)}, it begins with 0x{data[:4].hex()} instead"
            f" of 0x000008{ndim:02x}",
        )
    shape = struct.unpack(f">{ndim}I", data[4:header])
    if len(data) - header != math.prod(shape):
        raise UsageError(
            "data",
            spec,
            f": {path.name} holds {len(data) - header} bytes where its"
            f" header promises {math.prod(shape)}; it is damaged, fetch it again",
        )
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)


def _load(request: Request):
    spec, path = request.spec, request.path
    images, labels = read(spec, path, request.split)
    known = labels
    if request.split != "train" and _has(path, "train"):
        known = _parse(spec, _find(spec, path, f"{_PREFIX['train']}-labels", 1), 1)
    try:
        labels, names, notes = numbered(spec, labels, known)
    except ValueError as error:
        raise UsageError("data", spec, f": its test images have {error}") from None
    made = make(
        spec, lambda i: images[i], len(labels), images.shape[1:], labels, names, notes
    )
    return fitted(made, request.fit)


def _has(directory, split):
    return any(directory.glob(f"{_PREFIX[split]}-labels*"))


SOURCE = Source(
    "idx",
    "idx:DIR",
    "MNIST-style files, gzipped or not",
    lambda request: (*_PREFIX,),
    _load,
)
