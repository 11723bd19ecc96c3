"""A user's image files, translated by a trained run."""

import zlib
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from jax import random
from PIL import Image, ImageOps
from tqdm import tqdm

from jaxgan import data
from jaxgan.data import files, fit, pixels
from jaxgan.data.decoding import reason
from jaxgan.run import tiles
from jaxgan.run.keys import root
from jaxgan.run.sides import map_classes
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
    tile: int | str | None = "auto",
    say: Callable[[str], object] = print,
) -> list[Path]:
    """Translates an image file, or all in a folder, to PNG files of the same names.

    Files may differ in size; those of one size are translated at a time, but each as if
    alone, with noise by its name. Gray and colour become what the run was trained on.
    What is transparent is shown to the network on white and is as transparent in the
    result, unless it is the hole to fill.

    Args:
        draw: from a model's `draws`.
        state: the model's train state.
        shape: (H, W, C) that it was trained on.
        source: a file, or a folder whose image files are taken.
        out: the folder to write to; for a single file, also a name that ends in .png.
        hole: for inpainting: an image that is white where the hole is, for all files;
            by default it is where a file is transparent.
        style: an image whose style all take, of its middle, where an encoder was
            trained; by default styles are drawn at random.
        batch_size: how many files to translate at a time, at most.
        seed: decides what the network draws at random.
        tile: the side of the tiles, in pixels of the input, that larger files are
            translated in; "auto" where memory would not do for them whole, None never.
        say: is told how files were translated in tiles, a sentence for each way.

    Returns:
        The files that were written.

    Raises:
        UsageError: there is nothing to translate, or files could not be translated:
            they are broken, too large, or smaller than the network allows. The others
            were.
    """
    _check(draw, hole, style, batch_size)
    task = draw.task
    names = _names(source, out, {"`hole`": hole, "`style`": style})
    groups, failures = _by_size(names)
    classes = map_classes(task, shape) if task.file == "map" else None
    inside = None if hole is None else _mask(hole)
    look = None if style is None else _style(style, shape)
    tiler = tiles.tiler(draw, state, shape[2], tile, look)
    for size in list(groups):
        why = _too_small(draw, state, (*size, shape[2])) or tiler.too_large(size)
        if why:
            failures |= dict.fromkeys(groups.pop(size), why)
    plans = {s: tiler.plan(s, len(groups[s]), batch_size) for s in groups}
    written, key, used = [], root(seed, "files"), []
    with tqdm(total=len(names), desc="translating", unit="image") as bar:
        bar.update(len(failures))
        for size, paths in groups.items():
            plan, block = plans[size], plans[size].block
            for start in range(0, len(paths), block):
                some = paths[start : start + block]
                found, why = _opened(some, size, task.file, shape[2], inside, classes)
                failures |= why
                if found:
                    keys = _keys(key, found, block)
                    rows = [rows for rows, _ in found.values()]
                    images = tiler.run(plan, rows, keys)
                    written += _save(names, found, images)
                    used += [plan] * len(found)
                bar.update(len(some))
    for sentence in tiles.said(used):
        say(sentence)
    if failures:
        raise _failed(failures, len(names), out if written else None)
    return written


def _check(draw, hole, style, batch_size):
    if batch_size < 1:
        raise UsageError("batch_size", batch_size, "must be 1 or more.")
    if hole is not None and draw.task.file != "hole":
        raise UsageError("hole", hole, ": this run fills no holes.")
    if style is not None and "style" not in draw.encode:
        raise UsageError("style", style, ": this run has no encoder of styles.")


def _failed(failures, count, out):
    others = f", the others are in {out}" if out else ""
    each = "; ".join(f"{path} ({failures[path]})" for path in sorted(failures))
    reason = f"{len(failures)} of {count} files could not be translated"
    return UsageError(None, None, f"{reason}{others}: {each}.")


def _names(source, out, read):
    """By file, what its translation is called; never what is read by another option."""
    if source.is_dir():
        seen = [p for p in sorted(source.iterdir()) if not files.hidden(p.name)]
        paths = [p for p in seen if files.is_image(p)]
        if not paths:
            suffixes = " ".join(files.SUFFIXES)
            reason = f"has no images; those with the suffixes {suffixes} are read."
            raise UsageError("input", source, reason)
    elif source.is_file():
        paths = [source]
    else:
        raise UsageError("input", source, "is not there; give an image or a folder.")
    if source.is_file() and files.is_picture(out):
        if out.suffix.lower() != ".png":
            raise UsageError("out", out, ": PNG files are written; end it in .png.")
        names = {source: out}
    elif files.is_picture(out):
        raise UsageError("out", out, ": `input` is a folder, so give one here, too.")
    else:
        names = {path: out / f"{path.stem}.png" for path in paths}
    if len(set(names.values())) < len(names):
        stems = [path.stem for path in paths]
        twice = next(stem for stem in stems if stems.count(stem) > 1)
        reason = f"has several images named {twice}, which would all be written to one "
        raise UsageError("input", source, f"{reason}file; rename them.")
    written = {name.resolve() for name in names.values()}
    for option, file in [("`input`", path) for path in names] + list(read.items()):
        if file is not None and file.resolve() in written:
            reason = f"would overwrite {option} {file}; give another folder."
            raise UsageError("out", out, reason)
    return names


def _by_size(paths):
    """Files by (height, width), and why others cannot be read."""
    groups: dict[tuple[int, int], list[Path]] = {}
    failures: dict[Path, str] = {}
    for path in paths:
        try:
            with tiles.opened(path) as image:
                groups.setdefault(pixels.upright_size(image), []).append(path)
        # Broken files meet decoders' errors of every type.
        except Exception as error:
            failures[path] = reason(error)
    return groups, failures


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


def _mask(path):
    """Where an image is white, bool `[H, W]`."""
    return np.asarray(_read("hole", path, 1)) > 127


def _style(path, shape):
    """The middle of an image, brought to (H, W), as a batch `[1, H, W, C]` of one."""
    image = ImageOps.fit(_read("style", path, shape[2]), shape[1::-1])
    return data.scaled({"image": pixels.to_array(image)[None]})["image"]


def _read(option, path, channels):
    try:
        with tiles.opened(path) as image:
            return pixels.to_uint8(image, channels)
    # Broken files meet decoders' errors of every type.
    except Exception as error:
        raise UsageError(option, path, f"cannot be read: {reason(error)}.") from None


def _opened(paths, size, kind, channels, inside, classes):
    """By file, arrays as a data set has them and its alpha; and why others failed."""
    found, failures = {}, {}
    for path in paths:
        try:
            found[path] = _open(path, size, kind, channels, inside, classes)
        # Decoders meet broken files with errors of every type.
        except Exception as error:
            failures[path] = reason(error)
    return found, failures


def _open(path, size, kind, channels, inside, classes):
    with pixels.opened(path) as image:
        if kind == "map":
            numbers = np.asarray(pixels.to_classes(image))
            if numbers.max() >= classes:
                most = classes - 1
                raise ValueError(f"it has class {numbers.max()}, beyond 0 ... {most}")
            return {"map": numbers}, None
        alpha = pixels.alpha(image)
        cut_out = kind == "hole" and inside is None
        if cut_out and channels == 4:
            raise ValueError("its transparency is drawn, too; mark the hole by `hole`")
        image = pixels.opaque(image) if cut_out else image
        rows = {"image": pixels.to_array(pixels.to_uint8(image, channels))}
    rows["input"] = rows["image"]
    alpha = None if channels == 4 else alpha  # where it is drawn with the colours
    if kind != "hole":
        return rows, alpha
    if cut_out:
        if alpha is None or not (alpha < 128).any():
            raise ValueError(
                "nothing in it is transparent; mark the hole so, or by `hole`"
            )
        inside, alpha = alpha < 128, None
    elif inside.shape != size:
        raise ValueError(f"it is {fit.show(size)}, but `hole` {fit.show(inside.shape)}")
    rows["hole"] = inside[..., None]
    return rows, alpha


def _keys(key, paths, size):
    """Each file's own, of its name alone, filled up with the last."""
    names = [zlib.crc32(path.name.encode()) for path in paths]
    numbers = np.array(names + names[-1:] * (size - len(names)), np.uint32)
    return jax.vmap(random.fold_in, (None, 0))(key, numbers)


def _save(names, found, images):
    """Writes what was translated, with the alpha that the file had."""
    written = []
    for (path, (_, alpha)), image in zip(found.items(), images, strict=False):
        picture = pixels.from_array(image)
        if alpha is not None:
            soft = Image.fromarray(alpha).resize(picture.size, Image.Resampling.BICUBIC)
            picture.putalpha(soft)
        name = names[path]
        try:
            name.parent.mkdir(parents=True, exist_ok=True)
            picture.save(name, "PNG")
        except OSError as error:
            text = f"{name} cannot be written: {error.strerror}."
            raise UsageError(None, None, text) from None
        written.append(name)
    return written
