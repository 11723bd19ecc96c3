"""Images for people: from [-1, 1] to uint8, grids, PNG files."""

import math
from pathlib import Path

import numpy as np
from PIL import Image


def to_uint8(images) -> np.ndarray:
    """`[...]` in [-1, 1] to uint8 in [0, 255], rounded; what is outside is clipped."""
    images = np.asarray(images, np.float32)
    return np.clip(np.rint((images + 1) * 127.5), 0, 255).astype(np.uint8)


def grid(images: np.ndarray, columns: int | None = None, gap: int = 2) -> np.ndarray:
    """Lays images out in rows.

    Args:
        images: uint8 `[N, H, W, C]`, C 1 or 3.
        columns: images per row; by default as square as N allows.
        gap: pixels between images, black.

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


def save_png(path: Path | str, image: np.ndarray, scale: int = 1) -> None:
    """Writes uint8 `[H, W, C]` as a PNG, each pixel `scale` wide; makes its folder."""
    image = image.repeat(scale, 0).repeat(scale, 1)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(path, "PNG")
