"""Image files, one or two to an example, brought to one size and kind."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgan.data import dataset, fit, pixels
from jaxgan.types import UsageError

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
            f"--data {spec}: there is no directory {directory}; give the directory that"
            f" holds the images, {spec.partition(':')[0]}:DIR"
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
        f"--data {spec}: there are no images in {directory}; those with the suffixes"
        f" {' '.join(SUFFIXES)} are read"
    )


def read(
    spec: str,
    directory: Path,
    examples: Sequence[tuple[str, ...]],
    how: fit.Fit,
    *,
    beside: bool = False,
    maps: bool = False,
) -> Files:
    """Reads every file once; an example of which one does not decode is left out.

    Args:
        spec: for messages.
        directory: what names of files are relative to.
        examples: the files of each, in the order of their sides.
        how: brings all sides to one size alike.
        beside: a file shows two sides, left and right.
        maps: an example's last file is a map, whose pixels are numbers of classes: one
            channel after the images', resized to the nearest pixel.

    Raises:
        UsageError: none decodes, or sizes differ, within an example or between them.
    """
    failures, sizes, gray = {}, [], True
    names = [name for files in examples for name in files]
    found = iter(_headers(directory, names))
    for i, example in enumerate(examples):
        headers = {name: next(found) for name in example}
        if bad := [name for name, h in headers.items() if isinstance(h, str)]:
            failures[i] = f"{bad[0]} ({headers[bad[0]]})"
            continue
        sizes.append((i, _size_of(spec, headers, beside)))
        pictures = [*headers.values()][: -1 if maps else None]
        gray = gray and all(h[1] for h in pictures)
    sound = [i for i, _ in sizes]
    if not sound:
        raise _nothing_decodes(spec, examples, failures)
    size = _common(spec, [(examples[i][0], size) for i, size in sizes], how)
    channels = 1 if gray else 3
    sides = len(examples[0]) + beside

    def picture(name, is_map):
        with pixels.opened(directory / name) as image:
            if is_map:
                return pixels.to_classes(image)
            return pixels.to_uint8(image, channels)

    largest = np.full(len(sound), -1)

    def one(item):
        example = examples[sound[item]]
        opened = []
        for i, name in enumerate(example):
            is_map = maps and i == len(example) - 1
            try:
                image = picture(name, is_map)
            except (UsageError, MemoryError):
                raise
            # Decoders meet broken files with errors of every type.
            except Exception as error:
                raise ValueError(f"{name} ({dataset.reason(error)})") from error
            for part in pixels.halves(image) if beside else (image,):
                fitted = pixels.to_array(fit.apply(part, how, nearest=is_map))
                opened.append(fitted)
            if maps:  # of the last file's
                largest[item] = fitted.max()
        return np.concatenate(opened, -1)

    depth = channels * (sides - maps) + maps
    decoded = dataset.decode(one, len(sound), (*size, depth))
    failures |= {sound[i]: why for i, why in decoded.failures.items()}
    kept = np.array(sound)[decoded.kept]
    if len(kept) == 0:
        raise _nothing_decodes(spec, examples, failures)
    notes = _skipped(spec, len(examples), failures)
    return Files(kept, decoded.images, (*size, channels), notes, int(largest.max()) + 1)


def some(names: Sequence[str], most: int = 3) -> str:
    """The first of them, for a message."""
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def _headers(directory, names):
    """For each file `((height, width), gray)`, or why it cannot be read."""

    def header(item):
        try:
            with pixels.opened(directory / names[item]) as image:
                return pixels.upright_size(image), pixels.is_gray(image)
        # Broken files meet decoders' errors of every type.
        except Exception as error:
            return dataset.reason(error)

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return list(dataset.in_order(pool, header, len(names), "reading headers"))


def _size_of(spec, headers, beside):
    """Of an example's sides."""
    (name, (size, _)), *others = headers.items()
    for other, (its, _) in others:
        if its != size:
            raise UsageError(
                f"--data {spec}: {name} is {fit.show(size)} and its partner {other}"
                f" {fit.show(its)} (height x width): a pair must be of one size"
            )
    if beside and size[1] % 2:
        raise UsageError(
            f"--data {spec}: {name} is {fit.show(size)}: two images side by side have"
            " an even width; or give folders A and B"
        )
    return (size[0], size[1] // 2) if beside else size


def _common(spec, sizes, how):
    at = f"--data {spec}: "
    fitted = [(name, fit.fitted_size(size, how, at + name)) for name, size in sizes]
    first_name, first = fitted[0]
    for name, size in fitted:
        if size != first:
            raise fit.mixed_sizes(spec, {first_name: first, name: size})
    return first


def _nothing_decodes(spec, examples, failures):
    return UsageError(
        f"--data {spec}: none of its {len(examples)} files can be decoded as an image,"
        f" not even {failures[min(failures)]}; give a directory of intact images"
    )


def _skipped(spec, count, failures):
    if not failures:
        return ()
    reasons = [failures[i] for i in sorted(failures)]
    return (
        f"{spec}: skipped {len(failures)} of {count} files that cannot be decoded:"
        f" {some(reasons)}",
    )
