"""Images for people: from [-1, 1] to integers, and grids of them."""

import math

import numpy as np

__all__ = ["NotFinite", "grid", "to_uint8", "to_uint16"]


class NotFinite(ValueError):
    """Images hold NaN: a network's weights, or what it makes of them, are too large."""


def to_uint8(images) -> np.ndarray:
    """`[...]` in [-1, 1] to uint8 in [0, 255], rounded; what is outside is clipped.

    Raises:
        NotFinite: they hold NaN.
    """
    images = _sound(images)
    return np.clip(np.rint((images + 1) * 127.5), 0, 255).astype(np.uint8)


def to_uint16(images) -> np.ndarray:
    """The same to uint16 in [0, 65535]."""
    images = _sound(images)
    return np.clip(np.rint((images + 1) * 32767.5), 0, 65535).astype(np.uint16)


def _sound(images):
    images = np.asarray(images, np.float32)
    if np.isnan(images).any():
        raise NotFinite("The images that it draws hold NaN: it has diverged.")
    return images


def grid(images: np.ndarray, columns: int | None = None, gap: int = 2) -> np.ndarray:
    """Lays images out in rows.

    Args:
        images: uint8 `[N, H, W, C]`, C 1, 3 or 4.
        columns: images per row; by default as square as N allows.
        gap: pixels between images, black; of four channels transparent.

    Returns:
        uint8 `[H', W', C]`.
    """
    n, h, w, c = images.shape
    columns = columns or math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    sheet = np.zeros((rows * (h + gap) - gap, columns * (w + gap) - gap, c), np.uint8)
    for i, image in enumerate(images):
        y, x = i // columns * (h + gap), i % columns * (w + gap)
        sheet[y : y + h, x : x + w] = image
    return sheet
