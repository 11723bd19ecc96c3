"""A user's files, and what their translations are called and written as."""

import io
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple

import numpy as np
from PIL import Image

from jaxgan.data import outside, pictures, pixels
from jaxgan.data.tree import known_suffixes, passed_over, tree
from jaxgan.run import atomic, marks
from jaxgan.types import UsageError

__all__ = ["Given", "given", "save"]


class Given(NamedTuple):
    """The files to translate."""

    names: dict[str, Path]
    """By each one's path below the folder, what its translation is called."""
    open: Callable[[str], IO[bytes]]
    notes: tuple[str, ...]
    """What else there is in the folder."""
    root: Path
    """The folder or the archive."""


def given(source: Path, out: Path, read: dict[str, Path | None]) -> Given:
    """A file, or all in a folder and below it, or in a zip archive.

    Args:
        source: the file, the folder or the archive.
        out: the folder to write to; for a single file, also a name that ends in .png.
        read: files that other options name, which are not to be written over either.

    Raises:
        UsageError: there is nothing to translate, or something would be written over.
    """
    single = source.is_file() and source.suffix.lower() != ".zip"
    picture = out.suffix.lower() in pictures.suffixes() and not out.is_dir()
    if single and picture and out.suffix.lower() != ".png":
        raise UsageError("out", out, ": PNG files are written; end it in .png.")
    if picture and not single:
        raise UsageError("out", out, ": `input` is a folder, so give one here, too.")
    if single:
        name = out if picture else out / f"{source.stem}.png"
        found = Given(
            {source.name: name}, lambda _: outside.opened(source), (), source.parent
        )
        inputs = [source]
    else:
        found = _all(source, out)
        inputs = [source] if source.is_file() else [source / n for n in found.names]
    for name in found.names.values() if not (single and picture) else ():
        if not name.parent.resolve().is_relative_to(out.resolve()):
            reason = f"has a link, {name.parent}, that leads out of it; remove it."
            raise UsageError("out", out, reason)
    written = {name.resolve() for name in found.names.values()}
    for option, file in [("`input`", path) for path in inputs] + list(read.items()):
        if file is not None and file.resolve() in written:
            reason = f"would overwrite {option} {file}; give another folder."
            raise UsageError("out", out, reason)
    return found


def _all(source, out):
    if not source.exists():
        reason = "is not there; give an image or a folder."
        raise UsageError("input", source, reason)
    try:
        below = tree("", source)
    except UsageError as error:
        raise UsageError("input", source, error.reason) from None
    if not below.names:
        raise UsageError("input", source, f"has no images; {known_suffixes()}.")
    earlier = _within(source, out)
    if ours := [name for name in below.names if _is_in(name, earlier)]:
        below.others["images in the folder to write to"] = ours
    paths = [PurePosixPath(name) for name in below.names if not _is_in(name, earlier)]
    stems = [path.with_suffix("").as_posix() for path in paths]
    if len({*stems}) < len(stems):
        twice = next(stem for stem in stems if stems.count(stem) > 1)
        reason = f"has several images named {twice}, which would all be written to one "
        raise UsageError("input", source, f"{reason}file; rename them.")
    names = {str(p): out / f"{s}.png" for p, s in zip(paths, stems, strict=True)}
    return Given(names, below.open, passed_over(str(source), below.others), source)


def _is_in(name, folder):
    return bool(folder) and name.startswith(folder)


def _within(source, out):
    """The folder to write to as it is called below the one to read, or ""."""
    here, there = source.resolve(), out.resolve()
    inside = here != there and there.is_relative_to(here)
    return f"{there.relative_to(here).as_posix()}/" if inside else ""


def save(
    name: Path,
    image: np.ndarray,
    alpha: np.ndarray | None,
    about: dict[str, Any] | None = None,
) -> None:
    """Writes an image as PNG, whole or not at all.

    Args:
        name: the file; its folder is made.
        image: uint8 `[H, W, 1, 3 or 4]`, or uint16 `[H, W, 1]`; that becomes 16-bit
            gray unless it has alpha, which Pillow writes beside 8 bits alone.
        alpha: how opaque, uint8 `[h, w]`, brought to its size; or None.
        about: how it was made, of `provenance`.

    Raises:
        OSError: it cannot be written.
    """
    image = image if alpha is None else pixels.of_depth(image, deep=False)
    picture = pixels.from_array(image)
    if alpha is not None:
        soft = Image.fromarray(alpha).resize(picture.size, Image.Resampling.BICUBIC)
        picture.putalpha(soft)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", pnginfo=marks.png(about) if about else None)
    name.parent.mkdir(parents=True, exist_ok=True)
    with atomic.replacing(name) as file:
        file.write(buffer.getvalue())
