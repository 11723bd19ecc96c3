"""The MNIST that comes with jaxgan (its source and licence: `MNIST.md` here)."""

from importlib import resources

import numpy as np

from jaxgan.data.arrays import fitted, from_arrays
from jaxgan.data.source import Request, Source
from jaxgan.types import UsageError

__all__ = ["SOURCE", "SPLITS", "read"]

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
