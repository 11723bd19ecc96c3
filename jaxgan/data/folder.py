"""A directory of images: flat, or one subdirectory per class.

Files count as images by suffix (`SUFFIXES`, in any case); hidden files and directories
(and the `__MACOSX` that zip archives carry) are passed over, as are other suffixes.
Labels follow the sorted names of the class directories, which may nest further.
Classes and files sort by name, so the same directory is the same dataset everywhere.
"""

import os
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

_SPLITS = {"train", "test", "val", "valid", "validation"}


class _Listing(NamedTuple):
    files: list[str]  # relative to the directory, with forward slashes
    labels: np.ndarray | None  # int [N]
    class_names: tuple[str, ...]
    notes: tuple[str, ...]


def load(spec: str, directory: Path, how: fit.Fit) -> dataset.Dataset:
    """Loads a directory of images.

    Each file is read once here; one that cannot be decoded is left out and named in
    `notes`. If every image is gray the dataset has one channel, otherwise three.

    Args:
        spec: the spec, for the name and messages.
        directory: the directory.
        how: brings the images to one size.

    Raises:
        UsageError: there is nothing to read, classes are ambiguous, or sizes differ.
    """
    listing = _scan(spec, directory)
    headers = _headers(directory, listing.files)
    failures = {i: h for i, h in enumerate(headers) if isinstance(h, str)}
    sound = [i for i in range(len(headers)) if i not in failures]
    if not sound:
        raise UsageError(_nothing_decodes(spec, listing.files, failures))
    size = _common_size(spec, [(listing.files[i], headers[i][0]) for i in sound], how)
    channels = 1 if all(headers[i][1] for i in sound) else 3

    def read(item):
        with pixels.opened(directory / listing.files[sound[item]]) as image:
            image = pixels.to_uint8(image, channels)
        return pixels.to_array(fit.apply(image, how))

    decoded = dataset.decode(read, len(sound), (*size, channels))
    failures |= {sound[i]: why for i, why in decoded.failures.items()}
    kept = np.array(sound)[decoded.kept]
    if len(kept) == 0:
        raise UsageError(_nothing_decodes(spec, listing.files, failures))
    return dataset.make(
        spec,
        decoded.images,
        len(kept),
        (*size, channels),
        None if listing.labels is None else listing.labels[kept],
        listing.class_names,
        listing.notes + _skipped(spec, listing.files, failures),
    )


def _scan(spec, directory):
    if not directory.is_dir():
        raise UsageError(
            f"--data {spec}: there is no directory {directory}; give the directory that"
            " holds the images, folder:DIR"
        )
    top = sorted(entry for entry in os.listdir(directory) if not _hidden(entry))
    flat = [name for name in top if _is_image(directory / name)]
    folders = [name for name in top if (directory / name).is_dir()]
    found = {name: _images_below(directory, name) for name in folders}
    classes = {name: files for name, files in found.items() if files}
    if flat and classes:
        raise UsageError(
            f"--data {spec}: it has images of its own ({_some(flat)}) and folders of"
            f" images ({_some(list(classes))}): move the images into class folders to"
            " have labels, or the folders elsewhere to have none"
        )
    if flat:
        return _Listing(flat, None, (), ())
    if not classes:
        raise UsageError(
            f"--data {spec}: there are no images in {directory}; those with the"
            f" suffixes {' '.join(SUFFIXES)} are read"
        )
    if {name.lower() for name in classes} <= _SPLITS:
        raise UsageError(
            f"--data {spec}: the folders {_some(list(classes))} look like splits, not"
            f" classes; give one of them, such as {spec.rstrip('/')}/{min(classes)}"
        )
    files = [file for name in classes for file in classes[name]]
    labels = np.repeat(np.arange(len(classes)), [len(f) for f in classes.values()])
    empty = [name for name in folders if name not in classes]
    note = f"{spec}: no class for folders without images: {_some(empty)}"
    return _Listing(files, labels, tuple(classes), (note,) if empty else ())


def _images_below(directory, name):
    files = []
    for root, folders, names in os.walk(directory / name):
        folders[:] = (folder for folder in folders if not _hidden(folder))
        paths = (Path(root, name) for name in names if not _hidden(name))
        files += [p.relative_to(directory).as_posix() for p in paths if _is_image(p)]
    return sorted(files)


def _hidden(name):
    return name.startswith(".") or name == "__MACOSX"


def _is_image(path):
    return path.suffix.lower() in SUFFIXES and path.is_file()


def _headers(directory, files):
    """For each file `((height, width), gray)`, or why it cannot be read."""

    def header(item):
        try:
            with pixels.opened(directory / files[item]) as image:
                return pixels.upright_size(image), pixels.is_gray(image)
        # Broken files meet decoders' errors of every type.
        except Exception as error:
            return dataset.reason(error)

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return list(dataset.in_order(pool, header, len(files), "reading headers"))


def _common_size(spec, sizes, how):
    at = f"--data {spec}: "
    fitted = [(name, fit.fitted_size(size, how, at + name)) for name, size in sizes]
    first_name, first = fitted[0]
    for name, size in fitted:
        if size != first:
            raise fit.mixed_sizes(spec, {first_name: first, name: size})
    return first


def _nothing_decodes(spec, files, failures):
    reason = f"{files[0]} ({failures[0]})"
    return (
        f"--data {spec}: none of its {len(files)} files can be decoded as an image, not"
        f" even {reason}; give a directory of intact images"
    )


def _skipped(spec, files, failures):
    if not failures:
        return ()
    reasons = [f"{files[i]} ({failures[i]})" for i in sorted(failures)]
    return (
        f"{spec}: skipped {len(failures)} of {len(files)} files that cannot be decoded:"
        f" {_some(reasons)}",
    )


def _some(names, most=3):
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
