"""Stacked MNIST: three digits as the colours of one image, which makes 1,000 classes.

Metz et al., 2017, arXiv:1611.02163; as many images as in PacGAN (Lin et al., 2018,
arXiv:1712.04086, section 4.2).
"""

import numpy as np

from jaxgan.data import mnist
from jaxgan.data.dataset import make, of_channels
from jaxgan.data.source import Request, Source

__all__ = ["SIZES", "SOURCE", "stack"]

SIZES = {"train": 128000, "test": 26000}


def stack(images, labels, split: str):
    """Triples of digits, the same at every call.

    Args:
        images: uint8 `[N, H, W, 1]`.
        labels: int `[N]` in 0 ... 9.
        split: `"train"` or `"test"`, of which there are `SIZES`.

    Returns:
        `fetch`, int indices `[B]` -> uint8 `[B, H, W, 3]`, and int labels `[SIZES]`:
        100 times red's digit, plus 10 times green's, plus blue's.
    """
    rows = np.random.default_rng(0).integers(len(images), size=(SIZES[split], 3))

    def fetch(index):
        return np.moveaxis(images[rows[index], ..., 0], 1, 3)

    return fetch, labels[rows].astype(np.int32) @ np.array([100, 10, 1], np.int32)


def _load(request: Request):
    as_they_are = request._replace(fit=request.fit._replace(channels="auto"))
    digits = mnist.SOURCE.load(as_they_are)
    every = digits.fetch(np.arange(digits.size))
    images, labels = stack(every["image"], every["label"], request.split)
    names = tuple(f"{label:03}" for label in range(1000))
    shape = (*digits.shape[:2], 3)
    stacked = make(request.spec, images, len(labels), shape, labels, names)
    stacked = stacked._replace(content="stacked_digits" if digits.content else "")
    return of_channels(stacked, request.fit.count(3))


SOURCE = Source(
    "stacked_mnist",
    "stacked_mnist",
    "three digits of MNIST as colours, 28x28x3, 1,000 classes",
    lambda request: mnist.SPLITS,
    _load,
)
