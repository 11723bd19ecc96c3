"""Images as files."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from jaxgan import visual
from jaxgan.run import atomic, marks, workdir
from jaxgan.types import UsageError

__all__ = ["check", "save_png", "write", "write_each", "write_npz", "write_sheet"]


def check(png: str, npz: str | None = None) -> None:
    """Refuses what cannot be written, before anything is loaded.

    Raises:
        UsageError: naming the options `out` and `npz`.
    """
    if Path(png).suffix.lower() != ".png":
        raise UsageError("out", png, "must end in .png.")
    workdir.writable(Path(png).parent, "out")
    if npz:
        workdir.writable(Path(npz).parent, "npz")


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
    write_sheet(images, png, 10 if labels is not None else None, about=about)
    if npz:
        named = {} if labels is None else {"labels": labels}
        write_npz(npz, {"images": images} | named, about)


def write_sheet(
    images,
    png: str,
    columns: int | None = None,
    gap: int = 2,
    about: dict[str, Any] | None = None,
) -> None:
    """A grid as a PNG, each pixel two wide.

    Args:
        images: uint8 `[N, H, W, C]`.
        png: the file.
        columns: how many to a row; by default as square as N allows.
        gap: pixels between them.
        about: how they were made, of `provenance`.

    Raises:
        UsageError: it cannot be written.
    """
    with atomic.written("out", png):
        save_png(png, visual.grid(images, columns, gap), 2, about)


def write_npz(npz: str, arrays: dict, about: dict[str, Any] | None = None) -> None:
    """Arrays by name as an .npz, and how they were made, of `provenance`.

    Raises:
        UsageError: it cannot be written.
    """
    arrays = arrays | (marks.npz(about) if about else {})
    with atomic.written("npz", npz):
        Path(npz).parent.mkdir(parents=True, exist_ok=True)
        with atomic.replacing(npz) as file:
            np.savez_compressed(file, **arrays)


def write_each(images, names, folder: str, about: dict[str, Any] | None = None) -> None:
    """Each image as a PNG of its own.

    Args:
        images: uint8 `[N, H, W, C]`.
        names: N of them, without their ending.
        folder: is made.
        about: how they were made, of `provenance`; each says its name, too.

    Raises:
        UsageError: a file cannot be written.
    """
    with atomic.written("folder", folder):
        for name, image in zip(names, images, strict=True):
            own = about and about | {"image": name}
            save_png(Path(folder) / f"{name}.png", image, about=own)
