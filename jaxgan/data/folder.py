"""A directory of images, or a zip archive: flat, or one subdirectory per class.

Labels follow the names of the class directories, which may nest further: by number
where all names are numbers, sorted otherwise; files within a class sort by name, so the
same directory is the same dataset everywhere. `train/`, `test/` and `val/` are splits.
A `dataset.json` as StyleGAN's tools write it says order and labels itself:
`{"labels": [["00000/img00000000.png", 6], ...]}`, or null for no labels.
"""

from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np

from jaxgan.data import files, outside
from jaxgan.data.dataset import Dataset, make
from jaxgan.data.labels import CLASSES, in_order, numbered
from jaxgan.data.source import Request, Source
from jaxgan.data.splits import ALL, Place, parted
from jaxgan.data.tree import Tree, no_images, passed_over, some, tree
from jaxgan.types import UsageError

__all__ = ["SOURCE", "load", "load_places", "splits"]

_INDEX = "dataset.json"


class _Listing(NamedTuple):
    files: list[str]  # in order
    labels: np.ndarray | None = None  # int [N]
    class_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def load(request: Request) -> Dataset:
    """Loads a split of a directory of images.

    Each file is read once here; one that cannot be decoded is left out and named in
    `notes`. If every image is gray the dataset has one channel, otherwise three.

    Args:
        request: its `path` is the directory or the archive.

    Raises:
        UsageError: there is nothing to read, classes are ambiguous, or sizes differ.
    """
    spec, below = request.spec, tree(request.spec, request.path)
    index = _index(spec, below)
    if index is not None:
        return _made(request, below, index)
    by_split = parted(spec, below.names)
    _check_domains(spec, below)
    first = next(iter(by_split))
    places = by_split[request.split]
    training = None if request.split == first else by_split[first]
    return load_places(request, below, places, training)


def load_places(
    request: Request,
    below: Tree,
    places: list[Place],
    training: list[Place] | None = None,
) -> Dataset:
    """Loads some of the files below a directory: flat, or one directory per class.

    Args:
        request: names the data in messages, and says what becomes of them.
        below: where the files are, and what is passed over there.
        places: the files.
        training: those of the training split, whose classes count, if it is another.

    Raises:
        UsageError: as `load`.
    """
    return _made(request, below, _listed(request.spec, below, places, training))


def splits(request: Request) -> tuple[str, ...]:
    """Those that a directory has."""
    below = tree(request.spec, request.path)
    if _index(request.spec, below) is not None:
        return (ALL,)
    return tuple(parted(request.spec, below.names))


def _made(request, below, listing):
    found = files.read(request, below, [(name,) for name in listing.files])
    labels = None if listing.labels is None else listing.labels[found.kept]
    dataset = make(
        request.spec,
        found.images,
        len(found.kept),
        found.shape,
        labels,
        listing.class_names,
        (*listing.notes, *passed_over(request.spec, below.others), *found.notes),
    )
    return dataset._replace(levels=found.levels)


def _listed(spec, below, places, training):
    flat, classes = _classes(places)
    if flat and classes:
        raise UsageError(
            "data",
            spec,
            f": it has images of its own ({some(flat)}) and folders"
            f" of images ({some(list(classes))}): move the images into class"
            " folders to have labels, or the folders elsewhere to have none",
        )
    if flat:
        return _Listing(flat)
    if not classes:
        raise no_images(spec, below.root)
    known = in_order(classes if training is None else _classes(training)[1])
    if strange := [name for name in classes if name not in known]:
        reason = f": the class {some(strange)} has no training images"
        raise UsageError("data", spec, reason)
    order = [name for name in known if name in classes]
    names = [name for one in order for name in classes[one]]
    counts = [len(classes[name]) for name in order]
    labels = np.repeat([known.index(name) for name in order], counts)
    return _Listing(names, labels, tuple(known), _notes(spec, below, places, order))


def _classes(places):
    """Files of no directory, and those of each, in order."""
    flat: list[str] = []
    classes: dict[str, list[str]] = {}
    for place in sorted(places, key=lambda place: place.rest):
        first, slash, _ = place.rest.partition("/")
        (classes.setdefault(first, []) if slash else flat).append(place.name)
    return flat, classes


def _notes(spec, below, places, order):
    above = {place.name.removesuffix(place.rest) for place in places}
    empty = [
        name
        for folder in below.folders
        for start in above
        if folder.startswith(start) and "/" not in (name := folder[len(start) :])
        if name and name not in order
    ]
    notes = []
    if empty:
        notes.append(f"{spec}: no class for folders without images: {some(empty)}")
    inner = {part for place in places if "/" in (part := place.rest.partition("/")[2])}
    if len(order) == 1 and inner:
        reason = f"all images are in the one folder {order[0]}, so of one class"
        notes.append(f"{spec}: {reason}; what is below it would be classes of it alone")
    return tuple(notes)


def _check_domains(spec, below):
    """Refuses two domains, which are no classes."""
    tops = {name.partition("/")[0] for name in below.names if "/" in name}
    if tops >= {"trainA", "trainB"}:
        at = spec.partition(":")[2]
        reason = "trainA and trainB are two domains, not classes; give unpaired"
        raise UsageError("data", spec, f": {reason}:{at}, or one of them")


def _index(spec, below):
    """What `dataset.json` says, or None where there is none of StyleGAN's."""
    others = [name for names in below.others.values() for name in names]
    if _INDEX not in others:
        return None
    try:
        with below.open(_INDEX) as file:
            said = outside.as_json(file.read(outside.MOST + 1))
    except (OSError, ValueError) as error:
        reason = f": its {_INDEX} cannot be read ({error}); mend it or take it away"
        raise UsageError("data", spec, reason) from None
    if not isinstance(said, dict) or "labels" not in said:
        return None  # another program's
    for why, names in [*below.others.items()]:
        below.others[why] = [name for name in names if name != _INDEX]
        if not below.others[why]:
            del below.others[why]
    if not below.names:
        raise no_images(spec, below.root)
    if said["labels"] is None:
        return _Listing(below.names)
    return _indexed(spec, below, said["labels"])


def _indexed(spec, below, rows):
    try:
        names = [str(PurePosixPath(name.replace("\\", "/"))) for name, _ in rows]
        labels = [label for _, label in rows]
        whole = all(type(label) is int and 0 <= label < CLASSES for label in labels)
        whole = whole and len({*names}) == len(names) > 0
    except (TypeError, ValueError, AttributeError):
        whole = False
    if not whole:
        reason = f": {_INDEX} must have labels as [file, class], classes from 0 on"
        raise UsageError("data", spec, reason)
    there = set(below.names)
    if lost := [name for name in names if name not in there]:
        reason = f": {_INDEX} names {some(lost)}, of which there is no image"
        raise UsageError("data", spec, reason)
    if rest := sorted(there - set(names)):
        below.others[f"images that {_INDEX} does not name"] = rest
    numbers, class_names, notes = numbered(spec, np.array(labels))
    return _Listing(names, numbers, class_names, notes)


SOURCE = Source(
    "folder",
    "folder:DIR",
    "image files in a directory or a zip archive, flat or one subdirectory for each"
    " class, maybe in train/ and test/",
    splits,
    load,
)
