"""Images as files."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from jaxgan import visual
from jaxgan.run import atomic, marks
from jaxgan.types import UsageError

__all__ = ["save_png", "write"]


def save_png(
    path: Path | str,
    image: np.ndarray,
    scale: int = 1,
    about: dict[str, Any] | None = None,
) -> None:
    """Writes uint8 `[H, W, C]` as a PNG, each pixel `scale` wide; makes its folder.

    Args:
        path: the file.
        image: the pixels.
        scale: how wide.
        about: how it was made, of `provenance`.
    """
    image = image.repeat(scale, 0).repeat(scale, 1)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
    with atomic.replacing(path) as file:
        picture.save(file, "PNG", pnginfo=marks.png(about) if about else None)


def write(
    images,
    labels,
    png: str,
    npz: str | None = None,
    about: dict[str, Any] | None = None,
) -> None:
    """A grid as a PNG, and the images as the .npz that `data` npz:FILE reads.

    Args:
        images: uint8 `[N, H, W, C]`.
        labels: int `[N]`, or None.
        png: the file of the grid, ten to a row where there are labels.
        npz: the file of `images` and `labels`, if one is wanted.
        about: how they were made, of `provenance`, for both.

    Raises:
        UsageError: a file cannot be written.
    """
    option = "out"
    try:
        columns = 10 if labels is not None else None
        save_png(png, visual.grid(images, columns), 2, about)
        if npz:
            option = "npz"
            arrays = {} if labels is None else {"labels": labels}
            arrays |= marks.npz(about) if about else {}
            Path(npz).parent.mkdir(parents=True, exist_ok=True)
            with atomic.replacing(npz) as file:
                np.savez_compressed(file, images=images, **arrays)
    except OSError as error:
        reason = f"cannot be written: {error.strerror}."
        raise UsageError(option, npz if option == "npz" else png, reason) from None
