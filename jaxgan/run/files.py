"""A user's image files, translated by a trained run."""

import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import random

from jaxgan import visual
from jaxgan.data.tree import some
from jaxgan.run import naming, progress, reading, tiles
from jaxgan.run.keys import root
from jaxgan.run.sides import map_classes
from jaxgan.text import printable
from jaxgan.types import Draw, UsageError, example

__all__ = ["translate"]


def translate(
    draw: Draw,
    state,
    shape: tuple[int, int, int],
    source: Path,
    out: Path,
    *,
    hole: Path | None = None,
    style: Path | None = None,
    batch_size: int = 8,
    seed: int = 0,
    same_noise: bool = False,
    deep: bool = False,
    void: int | None = None,
    tile: int | str | None = "auto",
    about: dict[str, Any] | None = None,
    say: Callable[[str], object] = print,
) -> list[Path]:
    """Translates an image file, or all in a folder, to PNG files of the same names.

    Files may differ in size; those of one size are translated at a time, but each as if
    alone, with noise by its name. Gray and colour become what the run was trained on,
    in sRGB. What is transparent is shown to the network on white and is as transparent
    in the result, unless it is the hole to fill. Folders within a folder are there in
    the result, too.

    Args:
        draw: from a model's `draws`.
        state: the model's train state.
        shape: (H, W, C) that it was trained on.
        source: a file, or a folder or zip archive whose image files are taken.
        out: the folder to write to; for a single file, also a name that ends in .png.
        hole: for inpainting: an image that is white, and not transparent, where the
            hole is, for all files; by default it is where a file is transparent.
        style: an image whose style all take, of its middle, where an encoder was
            trained; by default styles are drawn at random.
        batch_size: how many files to translate at a time, at most.
        seed: decides what the network draws at random.
        same_noise: draw the same for all files, whatever their names.
        deep: read 16 bits, and write gray as 16-bit PNG.
        void: the number in label maps of pixels that belong to no class.
        tile: the side of the tiles, in pixels of the input, that larger files are
            translated in; "auto" where memory would not do for them whole, None never.
        about: how they were made, of `provenance`; each says its input's name, too.
        say: is told what else there is in the folder, what of files is passed over, and
            how files were translated in tiles.

    Returns:
        The files that were written.

    Raises:
        UsageError: there is nothing to translate, or files could not be translated:
            they are broken, too large, smaller than the network allows, or cannot be
            written. The others were.
    """
    _check(draw, hole, style, batch_size)
    asked = naming.given(source, out, {"`hole`": hole, "`style`": style})
    names, notes, written = asked.names, dict[str, tuple[str, ...]](), list[Path]()
    look = None if style is None else reading.style(style, shape)
    reader = _reader(asked, draw.task, shape, hole, deep, void)
    groups, failures = reading.by_size(reader, names)
    show = visual.to_uint16 if deep and shape[2] == 1 else visual.to_uint8
    tiler = tiles.tiler(draw, state, shape[2], tile, look, show)
    failures |= _refused(draw, state, shape[2], groups, tiler)
    plans = {s: tiler.plan(s, len(groups[s]), batch_size) for s in groups}
    key, used = root(seed, "files"), []
    with progress.bar(len(names), "translating") as bar:
        bar.update(len(failures))
        for size, rows in _blocks(groups, plans):
            found, why, noted = reading.opened(reader, rows, size)
            failures, notes, plan = failures | why, notes | noted, plans[size]
            if found:
                keys = _keys(key, found, plan.block, same_noise)
                images = tiler.run(plan, [rows for rows, _ in found.values()], keys)
                done, why = _save(names, found, images, about)
                written, failures = written + done, failures | why
                used += [plan] * len(found)
            bar.update(len(rows))
    for sentence in (*asked.notes, *_noted(notes), *tiles.said(used)):
        say(printable(sentence))
    if failures:
        raise _failed(failures, asked, out if written else None)
    return written


def _refused(draw, state, channels, groups, tiler):
    """Takes sizes that cannot be translated out of the groups: by file, why."""
    failures: dict[str, str] = {}
    for size in list(groups):
        why = _too_small(draw, state, (*size, channels)) or tiler.too_large(size)
        if why:
            failures |= dict.fromkeys(groups.pop(size), why)
    return failures


def _blocks(groups, plans):
    """As many files of one size as are translated at once, with the size."""
    for size, names in groups.items():
        for start in range(0, len(names), plans[size].block):
            yield size, names[start : start + plans[size].block]


def _check(draw, hole, style, batch_size):
    if batch_size < 1:
        raise UsageError("batch_size", batch_size, "must be 1 or more.")
    if hole is not None and draw.task.file != "hole":
        raise UsageError("hole", hole, ": this run fills no holes.")
    if style is not None and "style" not in draw.encode:
        raise UsageError("style", style, ": this run has no encoder of styles.")


def _reader(asked, task, shape, hole, deep, void):
    classes = map_classes(task, shape) if task.file == "map" else None
    inside = None if hole is None else reading.mask(hole)
    args = task.file, shape[2], classes, inside, deep, void
    return reading.Reader(asked.open, *args)


def _noted(notes):
    """What was passed over of files, one sentence for each kind."""
    for why in sorted({why for its in notes.values() for why in its}):
        names = sorted(name for name, its in notes.items() if why in its)
        yield f"Of {len(names)} files this is passed over: {why} ({some(names)})."


def _failed(failures, asked, out):
    others = f", the others are in {out}" if out else ""
    named = ((asked.root / name, failures[name]) for name in sorted(failures))
    each = "; ".join(f"{path} ({why})" for path, why in named)
    reason = f"{len(failures)} of {len(asked.names)} files could not be translated"
    return UsageError(None, None, f"{reason}{others}: {each}.")


def _too_small(draw, state, shape):
    """Why the network does not take files of a size, or None."""
    task = draw.task
    batch = example(shape, 1)
    key = random.key(0)

    def run(state, batch):
        given = task.reads(batch) if task.reads else task.given(batch, key)
        return draw.run(state, given, key)

    try:
        jax.eval_shape(run, state, batch)
    except UsageError as error:
        return str(error).rstrip(".")


def _keys(key, names, size, same):
    """Each file's own, of its name alone, or one; filled up with the last."""
    hashes = [0 if same else zlib.crc32(os.fsencode(name)) for name in names]
    numbers = np.array(hashes + hashes[-1:] * (size - len(hashes)), np.uint32)
    return jax.vmap(random.fold_in, (None, 0))(key, numbers)


def _save(names, found, images, about):
    """Writes what was translated, with the alpha that the file had; and why some
    could not be."""
    written, failures = [], {}
    for (name, (_, alpha)), image in zip(found.items(), images, strict=False):
        try:
            own = about and about | {"input": printable(name)}
            naming.save(names[name], image, alpha, own)
        except OSError as error:
            failures[name] = f"{names[name]} cannot be written: {error.strerror}"
            continue
        written.append(names[name])
    return written, failures
