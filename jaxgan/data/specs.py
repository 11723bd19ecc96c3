"""From the text a user writes after `--data` to a `Dataset`."""

from pathlib import Path

import numpy as np

from jaxgan.data import dataset, fit, folder, idx, npz, pixels, stacked, tfds
from jaxgan.types import UsageError

_FORMS = (
    "mnist or stacked_mnist (come with jaxgan), folder:DIR (image files), npz:FILE"
    " (arrays images and labels), idx:DIR (MNIST-style files) or tfds:NAME[/CONFIG] (a"
    " prepared TFDS dataset)"
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
            `idx:DIR`: MNIST-style IDX files, gzipped or not;
            `folder:DIR`: image files, flat or one subdirectory per class (`folder.py`
            says what is read and how);
            `npz:FILE`: arrays `images` and, optionally, `labels`, the format that
            `sample --npz` writes;
            `tfds:NAME[/CONFIG][:VERSION]`: a prepared TFDS dataset, never downloaded.
        split: `"train"` or `"test"` for mnist, stacked_mnist and idx, one of its
            own for tfds; folder and npz have just `"train"`, all of it.
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
        case ("idx", _, path) if path:
            _check_split(spec, split, "train", "test")
            return _from_arrays(spec, *idx.read(spec, _path(path), split), how)
        case ("npz", _, path) if path:
            _check_split(spec, split, "train")
            return _from_arrays(spec, *npz.read(spec, _path(path)), how)
        case ("folder", _, path) if path:
            _check_split(spec, split, "train")
            return folder.load(spec, _path(path), how)
        case ("tfds", _, name) if name:
            return tfds.load(spec, name, split, how)
    raise UsageError(f"--data {spec}: there is no such dataset; give {_FORMS}")


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


def _fitted(images, size, how):
    fitted = np.empty((len(images), *size, images.shape[-1]), np.uint8)
    for image, out in zip(images, fitted, strict=True):
        out[:] = pixels.to_array(fit.apply(pixels.from_array(image), how))
    return fitted
