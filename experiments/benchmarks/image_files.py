"""The folders of image files that are fed: emoji in both styles, over white.

Nothing here imports JAX before it is called: PyTorch's side must not have it.
"""

from pathlib import Path

import numpy as np
from PIL import Image

KINDS = {"png": {}, "jpeg": {"quality": 90}}
"""What Pillow is told of each as it writes."""


def write(folder: Path, kind: str, count: int, side: int):
    """Writes so many images, no two the same while there are others.

    Args:
        folder: where to; it is made.
        kind: of `KINDS`.
        count: how many.
        side: their height and width.
    """
    from jaxgan.data import emoji, pixels

    folder.mkdir()
    images = np.concatenate([emoji.read(style) for style in ("noto", "twemoji")])
    for i in range(count):
        image = Image.fromarray(pixels.over_white(images[i % len(images)]))
        if side != emoji.SIDE:
            image = image.resize((side, side), Image.Resampling.BICUBIC)
        image.save(folder / f"{i:06}.{kind}", **KINDS[kind])
