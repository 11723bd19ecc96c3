"""Image files, one or two to an example, brought to one size and kind."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgan.data import decoding, fit, pixels
from jaxgan.data.source import Request
from jaxgan.types import UsageError

__all__ = [
    *("SUFFIXES", "Files", "hidden", "is_image", "is_picture", "listed", "no_images"),
    *("read", "some"),
]

SUFFIXES = (
    *(".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".pnm", ".ppm"),
    *(".tif", ".tiff", ".webp"),
)


class Files(NamedTuple):
    """What `read` found."""

    kept: np.ndarray
    """int `[n]`, the examples whose files decode, in order."""
    images: Callable
    """Positions `[B]` within `kept` -> uint8 `[B, H, W, C]`, or, of several sides to an
    example, one such array after the other along the channels."""
    shape: tuple[int, int, int]
    """(H, W, C) of a side."""
    notes: tuple[str, ...]
    map_classes: int
    """The largest number in the maps, and one; 0 without maps."""


def listed(spec: str, directory: Path) -> list[str]:
    """What is in a directory and not hidden, sorted.

    Raises:
        UsageError: there is no such directory.
    """
    if not directory.is_dir():
        raise UsageError(
            "data",
            spec,
            f": there is no directory {directory}; give the directory that"
            f" holds the images, {spec.partition(':')[0]}:DIR",
        )
    return sorted(entry for entry in os.listdir(directory) if not hidden(entry))


def hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def is_image(path: Path) -> bool:
    return is_picture(path) and path.is_file()


def is_picture(path: Path) -> bool:
    """By its name."""
    return path.suffix.lower() in SUFFIXES


def no_images(spec: str, directory: Path) -> UsageError:
    return UsageError(
        "data",
        spec,
        f": there are no images in {directory}; those with the suffixes"
        f" {' '.join(SUFFIXES)} are read",
    )


class _Sides(NamedTuple):
    """How an example's files make up its sides."""

    beside: bool  # one file shows two of them, left and right
    maps: bool  # the last is a label map
    channels: int

    def picture(self, path, last):
        """The picture in a file, 8-bit gray, colours, or numbers of classes."""
        with pixels.opened(path) as image:
            if self.maps and last:
                return pixels.to_classes(image)
            return pixels.to_uint8(image, self.channels)

    def read(self, directory, example, how):
        """An example's sides, one after the other along the channels."""
        sides = []
        for i, name in enumerate(example):
            last = i == len(example) - 1
            try:
                image = self.picture(directory / name, last)
            except (UsageError, MemoryError):
                raise
            # Decoders meet broken files with errors of every type.
            except Exception as error:
                raise ValueError(f"{name} ({decoding.reason(error)})") from error
            for part in pixels.halves(image) if self.beside else (image,):
                fitted = fit.apply(part, how, nearest=self.maps and last)
                sides.append(pixels.to_array(fitted))
        return np.concatenate(sides, -1)


def read(
    request: Request,
    examples: Sequence[tuple[str, ...]],
    *,
    beside: bool = False,
    maps: bool = False,
) -> Files:
    """Reads every file once; an example of which one does not decode is left out.

    Args:
        request: its `path` is the directory; all sides are brought to its size alike.
        examples: the files of each, in the order of their sides, below the directory.
        beside: a file shows two sides, left and right.
        maps: an example's last file is a map, whose pixels are numbers of classes: one
            channel after the images', resized to the nearest pixel.

    Raises:
        UsageError: none decodes, or sizes differ, within an example or between them.
    """
    spec, directory, how = request.spec, request.path, request.fit
    headers, failures = _headers(request, examples)
    sound = list(headers)
    if not sound:
        raise _nothing_decodes(spec, examples, failures)
    sizes = [(examples[i][0], _size_of(spec, headers[i], beside)) for i in sound]
    size = _common(spec, sizes, how)
    pictures = (list(h.values())[: -1 if maps else None] for h in headers.values())
    gray = all(is_gray for header in pictures for _, is_gray in header)
    sides = _Sides(beside, maps, how.count(1 if gray else 3))
    largest = np.full(len(sound), -1)

    def one(item):
        stacked = sides.read(directory, examples[sound[item]], how)
        if maps:
            largest[item] = stacked[..., -1].max()
        return stacked

    depth = sides.channels * (len(examples[0]) + beside - maps) + maps
    decoded = decoding.decode(one, len(sound), (*size, depth), request.progress)
    failures |= {sound[i]: why for i, why in decoded.failures.items()}
    kept = np.array(sound)[decoded.kept]
    if len(kept) == 0:
        raise _nothing_decodes(spec, examples, failures)
    notes, shape = _skipped(spec, len(examples), failures), (*size, sides.channels)
    return Files(kept, decoded.images, shape, notes, int(largest.max()) + 1)


def some(names: Sequence[str], most: int = 3) -> str:
    """The first of them, for a message."""
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def _headers(request, examples):
    """By example `{file: ((height, width), gray)}`; and why others cannot be read."""
    names = [name for files in examples for name in files]

    def header(item):
        try:
            with pixels.opened(request.path / names[item]) as image:
                return pixels.upright_size(image), pixels.is_gray(image)
        # Broken files meet decoders' errors of every type.
        except Exception as error:
            return decoding.reason(error)

    with decoding.workers() as pool:
        args = header, len(names), "reading headers", request.progress
        found = iter(list(decoding.in_order(pool, *args)))
    headers, failures = {}, {}
    for i, example in enumerate(examples):
        headers[i] = {name: next(found) for name in example}
        if bad := [name for name, h in headers[i].items() if isinstance(h, str)]:
            failures[i] = f"{bad[0]} ({headers.pop(i)[bad[0]]})"
    return headers, failures


def _size_of(spec, headers, beside):
    """Of an example's sides."""
    (name, (size, _)), *others = headers.items()
    for other, (its, _) in others:
        if its != size:
            raise UsageError(
                "data",
                spec,
                f": {name} is {fit.show(size)} and its partner {other}"
                f" {fit.show(its)} (height x width): a pair must be of one size",
            )
    if beside and size[1] % 2:
        raise UsageError(
            "data",
            spec,
            f": {name} is {fit.show(size)}: two images side by side have"
            " an even width; or give folders A and B",
        )
    return (size[0], size[1] // 2) if beside else size


def _common(spec, sizes, how):
    fitted = [(name, fit.fitted_size(size, how, spec, name)) for name, size in sizes]
    first_name, first = fitted[0]
    for name, size in fitted:
        if size != first:
            raise fit.mixed_sizes(spec, {first_name: first, name: size})
    return first


def _nothing_decodes(spec, examples, failures):
    return UsageError(
        "data",
        spec,
        f": none of its {len(examples)} files can be decoded as an image,"
        f" not even {failures[min(failures)]}; give a directory of intact images",
    )


def _skipped(spec, count, failures):
    if not failures:
        return ()
    reasons = [failures[i] for i in sorted(failures)]
    return (
        f"{spec}: skipped {len(failures)} of {count} files that cannot be decoded:"
        f" {some(reasons)}",
    )
