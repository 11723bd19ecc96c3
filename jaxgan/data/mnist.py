"""The MNIST that comes with jaxgan (its source and licence: `MNIST.md` here)."""

import functools
import hashlib
from importlib import resources

import numpy as np

from jaxgan.data.arrays import fitted, from_arrays
from jaxgan.data.dataset import Dataset
from jaxgan.data.source import Request, Source
from jaxgan.types import UsageError

__all__ = ["SOURCE", "SPLITS", "holds", "read"]

SPLITS = "train", "test"


def read(split: str) -> tuple[np.ndarray, np.ndarray]:
    """The digits and what they are.

    Args:
        split: `"train"` or `"test"`.

    Returns:
        uint8 `[60000 or 10000, 28, 28, 1]` and uint8 `[60000 or 10000]`.

    Raises:
        UsageError: this Python was built without LZMA.
    """
    with resources.files("jaxgan.data").joinpath("mnist.npz").open("rb") as file:
        try:
            with np.load(file, allow_pickle=False) as arrays:
                return arrays[f"x_{split}"][..., None], arrays[f"y_{split}"]
        except RuntimeError as error:
            raise UsageError(
                "data",
                "mnist",
                f": this Python cannot unpack it ({error}); use a Python built with"
                " lzma",
            ) from error


def holds(dataset: Dataset) -> bool:
    """Whether images of 28x28x1 are MNIST's: all of 64 that lie spread over them, or of
    as many as there are, are among the embedded ones, training and test.

    Raises:
        UsageError: see `read`.
    """
    index = np.linspace(0, dataset.size - 1, min(64, dataset.size)).astype(int)
    images = dataset.fetch(index)["image"]
    return images.dtype == np.uint8 and {*map(_hash, images)} <= _hashes()


def _hash(image) -> bytes:
    return hashlib.blake2b(image.tobytes(), digest_size=16).digest()


@functools.cache
def _hashes() -> frozenset[bytes]:
    return frozenset(_hash(x) for split in SPLITS for x in read(split)[0])


def _load(request: Request):
    dataset = from_arrays(*read(request.split), name=request.spec)
    return fitted(dataset._replace(content="digits"), request.fit)


SOURCE = Source(
    "mnist",
    "mnist",
    "handwritten digits, 28x28x1, embedded in the package",
    lambda request: SPLITS,
    _load,
)
