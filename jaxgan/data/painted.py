"""Painted MNIST: digits in ink of their class's colour, on a textured ground.

What colourization, inpainting, super-resolution, label maps and unpaired translation
are tried on, with a right answer that is known. Of a gray copy one can tell the ink,
which is the class's, but not the ground, whose hue is anything; the ground's blots
cannot be foretold behind a hole or from a small copy, only drawn.
"""

import numpy as np

from jaxgan.data import mnist
from jaxgan.data.arrays import fitted, from_arrays
from jaxgan.data.dataset import Dataset
from jaxgan.data.fit import fitted_size
from jaxgan.data.order import hash_uint32
from jaxgan.data.source import Request, Source
from jaxgan.data.unpaired import two_domains

__all__ = [
    *("BLOT", "GROUND", "GROUND_CHROMA", "INK", "INK_CHROMA", "SIDE", "TO_YIQ"),
    *("MAPPED", "PAINTED", "UNPAIRED", "ink_hue", "paint"),
]

SIDE = 32
"""Digits of 28x28 have a margin of two pixels."""

INK, GROUND, BLOT = 0.78, 0.30, 0.11
"""Luma of ink and of ground, in 0 ... 1, and how much lighter or darker blots are."""

INK_CHROMA, GROUND_CHROMA = 0.21, 0.13
"""How far colours are from gray, in YIQ."""

TO_YIQ = np.array(
    [[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]]
)
"""Luma Y and chroma I, Q of an RGB colour (NTSC, 1953)."""


def ink_hue(label) -> np.ndarray:
    """The angle of a class's ink in the plane of I and Q."""
    return 2 * np.pi * (np.asarray(label) + 0.5) / 10


def paint(digits, labels, index):
    """Painted digits, a function of the digit and its index alone.

    Args:
        digits: uint8 `[B, 28, 28, 1]`.
        labels: int `[B]` in 0 ... 9.
        index: int `[B]`, of the image in its split: decides the ground.

    Returns:
        `image` uint8 `[B, 32, 32, 3]` and `map` uint8 `[B, 32, 32]`: 0 is ground, 1 + c
        the ink of class c, where it covers half of the pixel or more.
    """
    images = np.empty((len(index), SIDE, SIDE, 3), np.uint8)
    maps = np.empty(images.shape[:3], np.uint8)
    for i in range(0, len(index), 64):  # what fits into a core's cache
        some = slice(i, i + 64)
        images[some], maps[some] = _paint(digits[some], labels[some], index[some])
    return images, maps


def _paint(digits, labels, index):
    ink = np.pad(digits[..., 0], ((0, 0), (2, 2), (2, 2))).astype(np.float32) / 255
    noise = _uniform(index, SIDE * SIDE + 1)
    hue, noise = noise[:, 0] * 2 * np.pi, noise[:, 1:].reshape(-1, SIDE, SIDE)
    luma = GROUND + BLOT * np.tanh(12 * _smoothed(noise - 0.5))
    ground = luma[..., None] + _chroma(GROUND_CHROMA, hue)
    colour = np.float32(INK) + _chroma(INK_CHROMA, ink_hue(labels))
    mixed = ground + ink[..., None] * (colour - ground)
    images = np.rint(np.clip(mixed, 0, 1) * 255)
    return images, np.where(ink >= 0.5, 1 + np.asarray(labels)[:, None, None], 0)


def _chroma(size, hue):
    """What a hue adds to gray in R, G and B, float32 `[B, 1, 1, 3]`."""
    iq = np.stack([np.cos(hue), np.sin(hue)], -1) * size
    return (iq @ np.linalg.inv(TO_YIQ).T[1:]).astype(np.float32)[:, None, None]


def _uniform(index, n):
    """Numbers in [0, 1) that depend on the index and the place, float32 `[B, n]`."""
    rows = hash_uint32(np.asarray(index).astype(np.uint32))[:, None]
    mixed = hash_uint32(rows + np.arange(n, dtype=np.uint32) * np.uint32(0x9E3779B1))
    return (mixed >> np.uint32(8)).astype(np.float32) / 2**24


def _smoothed(x):
    """The mean of 3x3 places, around the edges as on a torus."""
    for axis in (1, 2):
        x = (x + np.roll(x, 1, axis) + np.roll(x, -1, axis)) / 3
    return x


def _load_painted(request: Request) -> Dataset:
    images, labels = _digits(request)
    painted, _ = paint(images, labels, np.arange(len(labels)))
    return _known(request, "painted_digits", painted, labels)


def _load_mapped(request: Request) -> Dataset:
    images, labels = _digits(request)
    painted, maps = paint(images, labels, np.arange(len(labels)))
    return _known(request, "painted_digits", painted, map=maps)


def _load_unpaired(request: Request) -> Dataset:
    images, labels = _digits(request)
    half, index = len(labels) // 2, np.arange(len(labels))
    board = np.pad(images[:half], ((0, 0), (2, 2), (2, 2), (0, 0))).repeat(3, -1)
    chalk = _known(request, "chalk_digits", board, labels[:half])
    painted, _ = paint(images[half:], labels[half:], index[half:])
    ink = _known(request, "painted_digits", painted, labels[half:])
    return two_domains(request.spec, chalk, ink)


def _digits(request):
    fitted_size((SIDE, SIDE), request.fit, request.spec)  # an error before the work
    return mnist.read(request.split)


def _known(request, content, images, labels=None, map=None):
    dataset = from_arrays(images, labels, map=map, name=request.spec)
    return fitted(dataset._replace(content=content), request.fit)


PAINTED = Source(
    "painted_mnist",
    "painted_mnist",
    "MNIST in coloured ink on textured grounds, 32x32x3",
    lambda request: mnist.SPLITS,
    _load_painted,
)
MAPPED = Source(
    "mapped_mnist",
    "mapped_mnist",
    "painted MNIST with label maps, ground and ten inks, without labels",
    lambda request: mnist.SPLITS,
    _load_mapped,
)
UNPAIRED = Source(
    "unpaired_mnist",
    "unpaired_mnist",
    "half of MNIST painted, the other half in chalk",
    lambda request: mnist.SPLITS,
    _load_unpaired,
)
