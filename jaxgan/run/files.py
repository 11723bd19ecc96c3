"""A user's image files, translated by a trained run."""

import zlib
from pathlib import Path

import jax
import numpy as np
from jax import random
from PIL import Image, ImageOps
from tqdm import tqdm

from jaxgan import data, parallel, visual
from jaxgan.data import files, fit, pixels
from jaxgan.data.decoding import reason
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
        batch_size: how many files to translate at a time.
        seed: decides what the network draws at random.

    Returns:
        The files that were written.

    Raises:
        UsageError: there is nothing to translate, or files could not be translated:
            they are broken, or smaller than the network allows. The others were.
    """
    _check(draw, hole, style, batch_size)
    task = draw.task
    names = _names(source, out, {"`hole`": hole, "`style`": style})
    groups, failures = _by_size(names)
    for size in list(groups):
        if why := _too_small(draw, state, (*size, shape[2])):
            failures |= dict.fromkeys(groups.pop(size), why)
    classes = map_classes(task, shape) if task.file == "map" else None
    inside = None if hole is None else _mask(hole)
    look = None if style is None else _style(style, shape)
    whole = parallel.replicated(parallel.mesh_of(state.step))
    run, written, key = _runner(draw), [], root(seed, "files")
    with tqdm(total=len(names), desc="translating", unit="image") as bar:
        bar.update(len(failures))
        for size, paths in groups.items():
            block = min(batch_size, len(paths))
            for start in range(0, len(paths), block):
                some = paths[start : start + block]
                found, why = _opened(some, size, task.file, shape[2], inside, classes)
                failures |= why
                if found:
                    keys = _keys(key, found, block)
                    args = _batch(found.values(), block), keys, look
                    images = visual.to_uint8(run(state, *jax.device_put(args, whole)))
                    written += _save(names, found, images)
                bar.update(len(some))
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


def _runner(draw):
    """`(state, batch, keys, style) -> images`, each as if alone, compiled."""

    @jax.jit
    def run(state, batch, keys, look):
        task = draw.task

        def alone(row, key):
            row = jax.tree.map(lambda x: x[None], row)
            given = task.reads(row) if task.reads else task.given(row, key)
            if look is not None:
                given = draw.encode["style"](state, given, look)
            return draw.run(state, given, key)[0]

        return jax.vmap(alone)(batch, keys)

    return run


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
            with pixels.opened(path) as image:
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
        with pixels.opened(path) as image:
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


def _batch(opened, size):
    """Arrays of a batch, filled up with the last image."""
    rows = [rows for rows, _ in opened]
    rows += rows[-1:] * (size - len(rows))
    batch = {k: np.stack([row[k] for row in rows]) for k in rows[0]}
    hole = batch.pop("hole", None)
    batch = data.scaled(batch)
    return batch if hole is None else batch | {"hole": hole.astype(np.float32)}


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
