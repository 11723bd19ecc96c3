"""The splits and sides that the names of directories say.

`train/`, `test/` and `val/` are splits of what they hold, and of pairs `A/train/`,
`train/A/` and `trainA/` say the same.
"""

from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import NamedTuple

from jaxgan.data.tree import some
from jaxgan.types import UsageError

__all__ = ["ALL", "Place", "parted"]

ALL = "train"
"""What all of it is called where there are no splits."""

_SPLITS = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "val": "val",
    "valid": "val",
    "validation": "val",
}


class Place(NamedTuple):
    """Where a file stands."""

    name: str
    """Its path below the root."""
    split: str
    """Or ""."""
    side: str
    """Or ""."""
    rest: str
    """Its path without the directories of split and side."""


def parted(
    spec: str, names: Iterable[str], sides: tuple[str, ...] = ()
) -> dict[str, list[Place]]:
    """Files by split; one, `ALL`, where the directories name none.

    Splits count where all files are in one: a class of images may well be called
    "train". What is beside the sides belongs to no split.

    Args:
        spec: names the data in a message.
        names: of the files, below a root.
        sides: names of directories that hold one side of pairs.

    Raises:
        UsageError: some are in splits and some are not, or one split has two names.
    """
    places = [_place(name, sides) for name in names]
    if sides and any(place.side for place in places):
        places = [place for place in places if place.side]
    spelled: dict[str, set[str]] = {}
    for place in places:
        spelled.setdefault(place.split, set()).add(_spelled(place))
    for split, ways in spelled.items():
        if split and len(ways) > 1:
            several = some(sorted(ways))
            raise UsageError("data", spec, f": {several} are one split; keep one name")
    named = sorted(spelled.keys() - {""}, key=["train", "test", "val"].index)
    if not named:
        return {ALL: places}
    if "" in spelled:
        if not sides and not (len(named) > 1 and "train" in named):
            return {ALL: [Place(p.name, "", "", p.name) for p in places]}
        outside = next(place.name for place in places if not place.split)
        raise UsageError(
            "data",
            spec,
            f": it has the splits {' and '.join(named)}, and {outside} in none of them;"
            " move it into one",
        )
    return {split: [p for p in places if p.split == split] for split in named}


def _place(name, sides):
    split = side = ""
    *folders, file = PurePosixPath(name).parts
    taken = 0
    for folder in folders[:2]:
        here, there = _read(folder, sides)
        if (not here and not there) or (here and split) or (there and side):
            break
        split, side = here or split, there or side
        taken += 1
    return Place(name, split, side, "/".join((*folders[taken:], file)))


def _read(folder, sides):
    """The split and the side that a directory names."""
    if folder in sides:
        return "", folder
    if folder.lower() in _SPLITS:
        return _SPLITS[folder.lower()], ""
    for side in sides:
        head = folder.removesuffix(side).rstrip("_-").lower()
        if folder.endswith(side) and head in _SPLITS:
            return _SPLITS[head], side
    return "", ""


def _spelled(place):
    """What the split is called in a path, in small letters."""
    for folder in PurePosixPath(place.name).parts[:2]:
        head = folder.removesuffix(place.side).rstrip("_-") or folder
        for text in (folder.lower(), head.lower()):
            if _SPLITS.get(text) == place.split:
                return text
    return ""
