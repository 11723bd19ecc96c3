"""Image files, one or two to an example, brought to one size and kind."""

import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from jaxgan.data import decoding, fit, pictures, pixels
from jaxgan.data.source import Request
from jaxgan.data.tree import Tree, some
from jaxgan.types import UsageError

__all__ = ["VOID", "Files", "read"]

VOID = 255
"""In a label map, the number of pixels that belong to no class, where some do."""


class Files(NamedTuple):
    """What `read` found."""

    kept: np.ndarray
    """int `[n]`, the examples whose files decode, in order."""
    images: Callable
    """Positions `[B]` within `kept` -> uint8 or uint16 `[B, H, W, C]`, or, of several
    sides to an example, one such array after the other along the channels."""
    shape: tuple[int, int, int]
    """(H, W, C) of a side."""
    notes: tuple[str, ...]
    numbers: tuple[int, ...]
    """Those of the maps, without `VOID` pixels; none without maps."""
    levels: int
    """The largest that a pixel may be."""


class _Sides(NamedTuple):
    """How an example's files make up its sides."""

    tree: Tree
    fit: fit.Fit
    beside: bool  # one file shows two of them, left and right
    maps: bool  # the last is a label map
    channels: int
    notes: dict[str, set[str]]  # why something of a file is passed over -> files
    lock: threading.Lock

    def picture(self, name, last):
        """The picture in a file, gray, colours, or numbers of classes `[H, W, 1]`."""
        with pictures.opened(self.tree.open(name)) as image:
            if self.maps and last:
                return self.numbers(pictures.to_classes(image))[..., None]
            shown = pictures.picture(image)
        for note in shown.passed_over(self.fit.deep):
            with self.lock:
                self.notes.setdefault(note, set()).add(name)
        return shown.array(self.channels, self.fit.deep)

    def numbers(self, numbers):
        """A map, with `VOID` where it is that."""
        void = self.fit.void
        if void is None:
            return numbers
        if void != VOID and (numbers == VOID).any():
            raise ValueError(f"class {VOID} beside void pixels, which take this number")
        return np.where(numbers == void, np.uint8(VOID), numbers)

    def read(self, example):
        """An example's sides, one after the other along the channels."""
        sides = []
        for i, name in enumerate(example):
            is_map = self.maps and i == len(example) - 1
            try:
                image = self.picture(name, is_map)
            except (UsageError, MemoryError):
                raise
            # Decoders meet broken files with errors of every type.
            except Exception as error:
                raise ValueError(f"{name} ({decoding.reason(error)})") from error
            for part in pixels.halves(image) if self.beside else (image,):
                if is_map:
                    part = fit.apply_to_array(part[..., 0], self.fit, True)[..., None]
                else:
                    part = fit.apply_to_array(part, self.fit)
                sides.append(part.astype(self.dtype, copy=False))
        return sides[0] if len(sides) == 1 else np.concatenate(sides, -1)

    @property
    def dtype(self):
        """Of the images, and of maps beside them until they are fetched."""
        return np.uint16 if self.fit.deep else np.uint8


def read(
    request: Request,
    tree: Tree,
    examples: Sequence[tuple[str, ...]],
    *,
    beside: bool = False,
    maps: bool = False,
) -> Files:
    """Reads every file once; an example of which one does not decode is left out.

    Args:
        request: all sides are brought to its size alike.
        tree: where the files are.
        examples: the files of each, in the order of their sides, by their names there.
        beside: a file shows two sides, left and right.
        maps: an example's last file is a map, whose pixels are numbers of classes: one
            channel after the images', resized to the nearest pixel.

    Raises:
        UsageError: none decodes, or sizes differ, within an example or between them.
    """
    spec, how = request.spec, request.fit
    headers, failures = _headers(request, tree, examples)
    sound = list(headers)
    if not sound:
        raise _nothing_decodes(spec, examples, failures)
    sizes: dict[str, tuple[int, int]] = {}
    for i in sound:
        sizes |= _sizes_of(spec, headers[i], beside, how)
    size = _common(spec, sizes)
    pictured = (list(h.values())[: -1 if maps else None] for h in headers.values())
    gray = all(is_gray for header in pictured for _, is_gray in header)
    channels = how.count(1 if gray else 3)
    sides = _Sides(tree, how, beside, maps, channels, {}, threading.Lock())
    seen = np.zeros(256, bool)

    def one(item):
        stacked = sides.read(examples[sound[item]])
        if maps:
            seen[stacked[..., -1].ravel()] = True
        return stacked

    shape = (*size, channels * (len(examples[0]) + beside - maps) + maps)
    args = one, len(sound), shape, request.progress, sides.dtype
    decoded = decoding.decode(*args)
    failures |= {sound[i]: why for i, why in decoded.failures.items()}
    kept = np.array(sound)[decoded.kept]
    if len(kept) == 0:
        raise _nothing_decodes(spec, examples, failures)
    notes = _skipped(spec, len(examples), failures) + _noted(spec, sides.notes)
    numbers = np.flatnonzero(seen[: None if how.void is None else VOID])
    levels = int(np.iinfo(sides.dtype).max)
    shape = (*size, channels)
    return Files(kept, decoded.images, shape, notes, (*map(int, numbers),), levels)


def _headers(request, tree, examples):
    """By example `{file: ((height, width), gray)}`; and why others cannot be read."""
    names = [name for files in examples for name in files]

    def header(item):
        try:
            with pictures.opened(tree.open(names[item])) as image:
                return pictures.upright_size(image), pictures.is_gray(image)
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


def _sizes_of(spec, headers, beside, how):
    """Of an example's sides, once they are brought to size."""
    (name, (size, _)), *others = headers.items()
    for other, (its, _) in others:
        if its != size and not isinstance(how.resize, tuple):
            raise UsageError(
                "data",
                spec,
                f": {name} is {fit.show(size)} and its partner {other}"
                f" {fit.show(its)} (height x width): a pair must be of one size, or be"
                " brought to one by `resize` HxW",
            )
    if beside and size[1] % 2:
        raise UsageError(
            "data",
            spec,
            f": {name} is {fit.show(size)}: two images side by side have"
            " an even width; or give folders A and B",
        )
    halved = (size[0], size[1] // 2) if beside else size
    sizes = {name: halved} | {other: its for other, (its, _) in others}
    return {n: fit.fitted_size(each, how, spec, n) for n, each in sizes.items()}


def _common(spec, sizes):
    (first_name, first), *others = sizes.items()
    for name, size in others:
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


def _noted(spec, notes):
    return tuple(
        f"{spec}: of {len(names)} files this is passed over: {why}"
        f" ({some(sorted(names))})"
        for why, names in sorted(notes.items())
    )
