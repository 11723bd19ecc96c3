"""A user's pictures, as a task is given them."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from PIL import ImageOps

from jaxgan import data
from jaxgan.data import fit, pictures, pixels
from jaxgan.data.decoding import reason
from jaxgan.data.files import VOID
from jaxgan.run import tiles
from jaxgan.types import UsageError

__all__ = ["Reader", "by_size", "mask", "middle", "opened", "style"]


class Reader(NamedTuple):
    """How files are read for a task."""

    open: Callable[[str], IO[bytes]]
    """A file's name -> the file."""
    kind: str
    """`Task.file`."""
    channels: int
    classes: int | None
    """How many the maps have, where files are maps."""
    inside: np.ndarray | None
    """The hole of all files, bool `[H, W]`."""
    deep: bool
    """Whether images become uint16."""
    void: int | None
    """The number in maps of pixels that belong to no class."""


def by_size(reader: Reader, names: Iterable[str]):
    """Files by (height, width), and why others cannot be read."""
    groups: dict[tuple[int, int], list[str]] = {}
    failures: dict[str, str] = {}
    for name in names:
        try:
            with tiles.opened(reader.open(name)) as image:
                groups.setdefault(pictures.upright_size(image), []).append(name)
        # Broken files meet decoders' errors of every type.
        except Exception as error:
            failures[name] = reason(error)
    return groups, failures


def opened(reader: Reader, names: Iterable[str], size):
    """By file, arrays as a data set has them and its alpha; why others failed; and
    by file what of it is passed over."""
    found, failures, notes = {}, {}, {}
    for name in names:
        try:
            rows, alpha, noted = _open(reader, name, size)
        # Decoders meet broken files with errors of every type.
        except Exception as error:
            failures[name] = reason(error)
            continue
        found[name] = rows, alpha
        if noted:
            notes[name] = noted
    return found, failures, notes


def _open(reader: Reader, name, size):
    with tiles.opened(reader.open(name)) as image:
        if reader.kind == "map":
            return {"map": _numbers(reader, pictures.to_classes(image))}, None, ()
        shown = pictures.picture(image)
    alpha = None if shown.alpha is None else pixels.of_depth(shown.alpha, deep=False)
    cut_out = reader.kind == "hole" and reader.inside is None
    drawn = reader.channels == 4
    if cut_out and drawn:
        raise ValueError("its transparency is drawn, too; mark the hole by `hole`")
    whole = shown._replace(alpha=None) if cut_out else shown
    rows = {"image": whole.array(reader.channels, reader.deep)}
    rows["input"] = rows["image"]
    alpha = None if drawn or alpha is None else alpha[..., 0]
    if reader.kind != "hole":
        return rows, alpha, shown.passed_over(reader.deep)
    inside = reader.inside
    if inside is None:
        if alpha is None or not (alpha < 128).any():
            raise ValueError(
                "nothing in it is transparent; mark the hole so, or by `hole`"
            )
        inside, alpha = alpha < 128, None
    elif inside.shape != size:
        raise ValueError(f"it is {fit.show(size)}, but `hole` {fit.show(inside.shape)}")
    rows["hole"] = inside[..., None]
    return rows, alpha, shown.passed_over(reader.deep)


def _numbers(reader: Reader, numbers):
    classes = reader.classes or 0
    void = np.zeros(numbers.shape, bool) if reader.void is None else None
    void = numbers == reader.void if void is None else void
    beyond = numbers[~void & (numbers >= classes)]
    if beyond.size:
        reason = f"it has class {beyond.max()}, beyond 0 ... {classes - 1}"
        raise ValueError(reason)
    return np.where(void, np.uint8(VOID), numbers)


def mask(path: Path) -> np.ndarray:
    """Where an image is white, and not transparent, bool `[H, W]`.

    Raises:
        UsageError: nothing in it is white, or it cannot be read.
    """
    shown = _read("hole", path)
    light = shown._replace(alpha=None).array(1, deep=True)[..., 0]
    white = light > 32767
    if shown.alpha is not None:
        white &= pixels.of_depth(shown.alpha, deep=False)[..., 0] > 127
    if not white.any():
        most = int(pixels.of_depth(light, deep=False).max())
        reason = f"has no white in it, at most {most} of 255, so there is no hole."
        raise UsageError("hole", path, reason)
    return white


def style(path: Path, shape) -> np.ndarray:
    """The middle of an image, brought to (H, W), as a batch `[1, H, W, C]` of one."""
    return middle("style", path, shape)


def middle(option: str, path: Path, shape) -> np.ndarray:
    """The same of the image that another option names.

    Raises:
        UsageError: it cannot be read.
    """
    image = pixels.from_array(_read(option, path).array(shape[2]))
    image = ImageOps.fit(image, shape[1::-1])
    return data.scaled({"image": pixels.to_array(image)[None]})["image"]


def _read(option, path):
    try:
        with tiles.opened(path) as image:
            return pictures.picture(image)
    # Broken files meet decoders' errors of every type.
    except Exception as error:
        raise UsageError(option, path, f"cannot be read: {reason(error)}.") from None
