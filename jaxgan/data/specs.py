"""From the text a user writes after `--data` to a `Dataset`."""

from pathlib import Path

import numpy as np

from jaxgan.data import (
    dataset,
    fit,
    folder,
    idx,
    npz,
    painted,
    pairs,
    pixels,
    stacked,
    tfds,
)
from jaxgan.types import UsageError

_EMBEDDED = (
    *("mnist", "stacked_mnist"),
    *("painted_mnist", "mapped_mnist", "unpaired_mnist"),
)

_FORMS = (
    "mnist, stacked_mnist, painted_mnist, mapped_mnist or unpaired_mnist (come with"
    " jaxgan), folder:DIR (image files), pairs:DIR or maps:DIR (pairs of them),"
    " unpaired:A,B (folders), npz:FILE (arrays images and labels), idx:DIR (MNIST-style"
    " files) or tfds:NAME[/CONFIG] (a prepared TFDS dataset)"
)


def load(
    spec: str,
    *,
    split: str = "train",
    resize: int | tuple[int, int] | None = None,
    crop: int | tuple[int, int] | None = None,
) -> dataset.Dataset:
    """Loads a dataset.

    Args:
        spec: one of
            `mnist`: the real MNIST, 28x28x1, embedded in the package;
            `stacked_mnist`: three digits of it as colours, 1,000 classes;
            `painted_mnist`: it in coloured ink on a textured ground, 32x32x3;
            `mapped_mnist`: that with label maps, ground and ten inks;
            `unpaired_mnist`: half of the digits painted, the others in chalk;
            `idx:DIR`: MNIST-style IDX files, gzipped or not;
            `folder:DIR`: image files, flat or one subdirectory per class (`folder.py`
            says what is read and how);
            `pairs:DIR`, `maps:DIR`: pairs of images, or of a map and an image
            (`pairs.py` says how they are laid out);
            `unpaired:A,B`: two domains, each a directory or a spec of its own;
            `npz:FILE`: arrays `images` and, optionally, `labels`, the format that
            `sample --npz` writes;
            `tfds:NAME[/CONFIG][:VERSION]`: a prepared TFDS dataset, never downloaded;
            those of `tfds:cycle_gan/CONFIG` are two domains.
        split: `"train"` or `"test"` for what comes from MNIST, for idx and cycle_gan,
            one of its own for tfds; others have just `"train"`, all of it.
        resize: the short side in pixels, keeping the aspect, or `(height, width)`;
            Lanczos, antialiased.
        crop: the side of a centred square, or `(height, width)`, after the resize.

    Returns:
        A `Dataset`; its `notes`, e.g. on files skipped, are for the user to see.

    Raises:
        UsageError: the data cannot be had as asked, in one sentence.
    """
    how = fit.checked(fit.Fit(resize, crop))
    match spec.partition(":"):
        case ("mnist", "", _):
            _check_split(spec, split, "train", "test")
            return _from_arrays(spec, *npz.read_mnist(split), how)
        case ("stacked_mnist", "", _):
            _check_split(spec, split, "train", "test")
            digits = _from_arrays(spec, *npz.read_mnist(split), how)
            return _stacked(spec, split, digits)
        case (name, "", _) if name in _EMBEDDED:
            _check_split(spec, split, "train", "test")
            return _painted(spec, split, how)
        case ("idx", _, path) if path:
            _check_split(spec, split, "train", "test")
            return _from_arrays(spec, *idx.read(spec, _path(path), split), how)
        case ("npz", _, path) if path:
            _check_split(spec, split, "train")
            return _from_arrays(spec, *npz.read(spec, _path(path)), how)
        case ("folder", _, path) if path:
            _check_split(spec, split, "train")
            return folder.load(spec, _path(path), how)
        case ("pairs" | "maps", _, path) if path:
            _check_split(spec, split, "train")
            read = pairs.load if spec.startswith("pairs") else pairs.load_maps
            return read(spec, _path(path), how)
        case ("unpaired", _, both) if both.count(",") == 1:
            return _unpaired(spec, *both.split(","), split, how)
        case ("tfds", _, name) if name.startswith("cycle_gan/"):
            _check_split(spec, split, "train", "test")
            sides = (tfds.load(spec, name, f"{split}{side}", how) for side in "AB")
            return _two_domains(spec, *sides)
        case ("tfds", _, name) if name:
            return tfds.load(spec, name, split, how)
    raise UsageError(f"--data {spec}: there is no such dataset; give {_FORMS}")


def has_test(spec: str) -> bool:
    """Whether there are test images besides those to train on."""
    return spec in _EMBEDDED or spec.startswith(("idx:", "tfds:cycle_gan/"))


def _path(text):
    return Path(text).expanduser()


def _check_split(spec, split, *splits):
    if split not in splits:
        whole = " (all of it): give the other images a --data of their own"
        raise UsageError(
            f"--data {spec}: it has no split {split!r}, just {' and '.join(splits)}"
            + (whole if len(splits) == 1 else "")
        )


def _from_arrays(spec, images, labels, how):
    shape = images.shape[1:]
    size = fit.fitted_size(shape[:2], how, f"--data {spec}: an image")
    if how != fit.Fit():
        images, shape = _fitted(images, size, how), (*size, shape[-1])
    classes = 0 if labels is None else int(labels.max()) + 1
    names = tuple(str(label) for label in range(classes))
    return dataset.make(
        spec, lambda index: images[index], len(images), shape, labels, names
    )


def _stacked(spec, split, digits):
    every = digits.fetch(np.arange(digits.size))
    images, labels = stacked.stack(every["image"], every["label"], split)
    names = tuple(f"{label:03}" for label in range(1000))
    shape = (*digits.shape[:2], 3)
    return dataset.make(spec, images, len(labels), shape, labels, names)


def _painted(spec, split, how):
    images, labels = npz.read_mnist(split)
    fit.fitted_size((painted.SIDE,) * 2, how, f"--data {spec}")  # or what is wrong
    every = np.arange(len(labels))
    if spec == "unpaired_mnist":
        half = len(labels) // 2
        board = np.pad(images[:half], ((0, 0), (2, 2), (2, 2), (0, 0))).repeat(3, -1)
        chalk = _from_arrays(spec, board, labels[:half], how)
        paint, _ = painted.paint(images[half:], labels[half:], every[half:])
        return _from_arrays(spec, paint, labels[half:], how)._replace(unpaired=chalk)
    paint, maps = painted.paint(images, labels, every)
    if spec == "painted_mnist":
        return _from_arrays(spec, paint, labels, how)
    if how != fit.Fit():
        raise UsageError(f"--data {spec} is 32x32; leave out --resize and --crop.")

    def fetch(index):
        return {"image": paint[index], "map": maps[index]}

    mapped = dataset.Dataset(spec, len(paint), paint.shape[1:], (), fetch)
    return mapped._replace(map_classes=11)


def _unpaired(spec, a, b, split, how):
    """Images of B, beside those of A."""

    def side(text):
        is_spec = ":" in text or text in _EMBEDDED
        text = text if is_spec else f"folder:{text}"
        return load(text, split=split, **how._asdict())

    return _two_domains(spec, side(a), side(b))


def _two_domains(spec, a, b):
    if a.shape != b.shape:
        raise UsageError(
            f"--data {spec}: images are {'x'.join(map(str, a.shape))} in {a.name} and "
            f"{'x'.join(map(str, b.shape))} in {b.name}; --resize HxW makes them one "
            "size, and both must be gray or both in colour."
        )
    return b._replace(name=spec, unpaired=a, notes=a.notes + b.notes)


def _fitted(images, size, how):
    fitted = np.empty((len(images), *size, images.shape[-1]), np.uint8)
    for image, out in zip(images, fitted, strict=True):
        out[:] = pixels.to_array(fit.apply(pixels.from_array(image), how))
    return fitted
