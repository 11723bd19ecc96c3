"""A directory of images: flat, or one subdirectory per class.

Files count as images by suffix (`files.SUFFIXES`, in any case); hidden files and
directories (and the `__MACOSX` that zip archives carry) are passed over, as are other
suffixes.
Labels follow the sorted names of the class directories, which may nest further.
Classes and files sort by name, so the same directory is the same dataset everywhere.
"""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgan.data import files
from jaxgan.data.dataset import Dataset, make
from jaxgan.data.source import Request, Source
from jaxgan.types import UsageError

__all__ = ["SOURCE", "SPLITS", "load"]

SPLITS = {"train", "test", "val", "valid", "validation"}


class _Listing(NamedTuple):
    files: list[str]  # relative to the directory, with forward slashes
    labels: np.ndarray | None  # int [N]
    class_names: tuple[str, ...]
    notes: tuple[str, ...]


def load(request: Request) -> Dataset:
    """Loads a directory of images.

    Each file is read once here; one that cannot be decoded is left out and named in
    `notes`. If every image is gray the dataset has one channel, otherwise three.

    Args:
        request: its `path` is the directory.

    Raises:
        UsageError: there is nothing to read, classes are ambiguous, or sizes differ.
    """
    listing = _scan(request.spec, request.path)
    found = files.read(request, [(name,) for name in listing.files])
    return make(
        request.spec,
        found.images,
        len(found.kept),
        found.shape,
        None if listing.labels is None else listing.labels[found.kept],
        listing.class_names,
        listing.notes + found.notes,
    )


def _scan(spec, directory):
    top = files.listed(spec, directory)
    flat = [name for name in top if files.is_image(directory / name)]
    folders = [name for name in top if (directory / name).is_dir()]
    found = {name: _images_below(directory, name) for name in folders}
    classes = {name: inside for name, inside in found.items() if inside}
    if flat and classes:
        raise UsageError(
            "data",
            spec,
            f": it has images of its own ({files.some(flat)}) and folders"
            f" of images ({files.some(list(classes))}): move the images into class"
            " folders to have labels, or the folders elsewhere to have none",
        )
    if flat:
        return _Listing(flat, None, (), ())
    if not classes:
        raise files.no_images(spec, directory)
    if {name.lower() for name in classes} <= SPLITS:
        raise UsageError(
            "data",
            spec,
            f": the folders {files.some(list(classes))} look like splits, not"
            f" classes; give one of them, such as {spec.rstrip('/')}/{min(classes)}",
        )
    names = [name for inside in classes.values() for name in inside]
    labels = np.repeat(np.arange(len(classes)), [len(f) for f in classes.values()])
    empty = [name for name in folders if name not in classes]
    note = f"{spec}: no class for folders without images: {files.some(empty)}"
    return _Listing(names, labels, tuple(classes), (note,) if empty else ())


def _images_below(directory, name):
    found = []
    for root, folders, names in os.walk(directory / name):
        folders[:] = (folder for folder in folders if not files.hidden(folder))
        paths = (Path(root, name) for name in names if not files.hidden(name))
        found += [
            p.relative_to(directory).as_posix() for p in paths if files.is_image(p)
        ]
    return sorted(found)


SOURCE = Source(
    "folder",
    "folder:DIR",
    "image files, flat or one subdirectory for each class",
    lambda request: ("train",),
    load,
)
