"""What can be read off painted digits (`data.painted`), for there the answer is known.

Of real images the class of the ink is read right of 99.99 %, the digit of 99.4 % and
the label map of 99 % of the pixels.
"""

from typing import NamedTuple

import numpy as np

from jaxgan.data import blocks
from jaxgan.data.files import VOID
from jaxgan.data.painted import GROUND, INK, SIDE, TO_YIQ
from jaxgan.metrics import extractors, mnist

__all__ = [
    "SHAPE",
    "Reading",
    "chalk",
    "chalk_accuracy",
    "label_accuracy",
    "map_accuracy",
    "read",
]

SHAPE = SIDE, SIDE, 3
MARGIN = (SIDE - mnist.SHAPE[0]) // 2


class Reading(NamedTuple):
    """Of each image."""

    ink: np.ndarray
    """int `[B]`, the class whose ink the digit is drawn in; -1 where there is none."""
    digit: np.ndarray
    """uint8 `[B, 28, 28, 1]`, in white on black, for a classifier of digits."""
    map: np.ndarray
    """int `[B, 32, 32]`, 0 for ground, 1 + c for the ink of class c."""


def read(images: np.ndarray) -> Reading:
    """Reads painted digits, uint8 `[B, 32, 32, 3]`."""
    luma, i, q = np.moveaxis(images / 255 @ TO_YIQ.T, -1, 0)
    ink = luma > (INK + GROUND) / 2
    of_pixels = _class_of(i, q)
    of_images = _class_of((i * ink).sum((1, 2)), (q * ink).sum((1, 2)))
    of_images = np.where(ink.any((1, 2)), of_images, -1)
    dark = GROUND + (INK - GROUND) / 4  # lighter than all blots
    return Reading(
        of_images, _digit((luma - dark) / (INK - dark)), (1 + of_pixels) * ink
    )


def chalk(images: np.ndarray) -> np.ndarray:
    """Digits in chalk, uint8 `[B, 32, 32, 3]`, as a classifier of digits takes them."""
    return _digit(images.mean(-1) / 255)


def label_accuracy(images: np.ndarray, label: np.ndarray) -> dict[str, np.ndarray]:
    """Whether painted digits, uint8 `[B, 32, 32, 3]`, and their ink are of class
    `label [B]`; bool `[B]` each."""
    reading = read(images)
    return {
        "digit_accuracy": _digit_class(reading.digit) == label,
        "colour_accuracy": reading.ink == label,
    }


def chalk_accuracy(images: np.ndarray, label: np.ndarray) -> dict[str, np.ndarray]:
    """Whether digits in chalk, uint8 `[B, 32, 32, 3]`, are of class `label [B]`."""
    return {"digit_accuracy": _digit_class(chalk(images)) == label}


def map_accuracy(images: np.ndarray, label_map: np.ndarray) -> dict[str, np.ndarray]:
    """How well painted digits keep to a label map.

    Args:
        images: uint8 `[B, 32, 32, 3]`.
        label_map: int `[B, 32, 32]`, 0 for ground, 1 + c for the ink of class c, 255
            for pixels of no class, which do not count.

    Returns:
        Float `[B]` each: the share of pixels that are as in the map, and, of those that
        are ink in either, the share that are ink of one class in both.
    """
    found, known = read(images).map, label_map != VOID
    right = known & (found == label_map)
    ink = known & ((found > 0) | (label_map > 0))
    return {
        "map_accuracy": right.sum((1, 2)) / known.sum((1, 2)).clip(1),
        "ink_iou": (right & ink).sum((1, 2)) / ink.sum((1, 2)).clip(1),
    }


def _digit_class(digits):
    """What the classifier of digits takes uint8 `[B, 28, 28, 1]` for, int `[B]`."""
    classifier = extractors.of_digits()
    found = [
        np.argmax(classifier.run(digits[rows])[1], 1)[:n]
        for rows, n in blocks(np.arange(len(digits)), classifier.block)
    ]
    return np.concatenate(found)


def _class_of(i, q):
    turn = np.arctan2(q, i) / (2 * np.pi) % 1
    return np.minimum((turn * 10).astype(np.int64), 9)  # a turn may round to 1


def _digit(light):
    inner = light[:, MARGIN:-MARGIN, MARGIN:-MARGIN, None]
    return np.rint(np.clip(inner, 0, 1) * 255).astype(np.uint8)
