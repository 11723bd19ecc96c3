"""Images in pairs, in a directory or a zip archive.

- `pairs:DIR` holds `A/` and `B/`, whose files match by name, or files that show A and B
  side by side, A on the left. A is the dataset's `input`, B its `image`.
- `maps:DIR` holds `images/` and `maps/`, whose files match by name. A map is a gray or
  palette image, whose pixels are numbers of classes, 0 to 255.

Splits are directories above or below the sides: `train/A`, `A/train` or `trainA`.
"""

from pathlib import PurePosixPath

import numpy as np

from jaxgan.data import files
from jaxgan.data.dataset import Dataset, Group
from jaxgan.data.source import Request, Source
from jaxgan.data.splits import parted
from jaxgan.data.tree import no_images, passed_over, tree
from jaxgan.types import UsageError

__all__ = ["MAPS", "PAIRS", "load", "load_maps"]

_PAIRS, _MAPS = ("A", "B"), ("images", "maps")


def load(request: Request) -> Dataset:
    """Loads `pairs:DIR`; pairs that cannot be decoded are named in `notes`.

    Args:
        request: its `path` is the directory; both sides are brought to size alike.

    Raises:
        UsageError: there is nothing to read, an image has no partner or one of another
            size, or pairs differ in size.
    """
    below, examples = _examples(request, _PAIRS)
    beside = len(examples[0]) == 1
    found = files.read(request, below, examples, beside=beside)
    channels = found.shape[2]

    def fetch(index):
        both = found.images(index)
        return {"input": both[..., :channels], "image": both[..., channels:]}

    group = Group(("input", "image"), len(found.kept), fetch)
    notes = passed_over(request.spec, below.others) + found.notes
    dataset = Dataset(request.spec, found.shape, (group,), notes=notes)
    return dataset._replace(levels=found.levels)


def load_maps(request: Request) -> Dataset:
    """Loads `maps:DIR`; arguments and errors as `load`."""
    below, examples = _examples(request, _MAPS)
    found = files.read(request, below, examples, maps=True)

    def fetch(index):
        both = found.images(index)
        return {"image": both[..., :-1], "map": both[..., -1].astype(np.uint8)}

    group = Group(("image", "map"), len(found.kept), fetch)
    notes = passed_over(request.spec, below.others) + found.notes
    dataset = Dataset(request.spec, found.shape, (group,), notes=notes)
    return dataset._replace(map_numbers=found.numbers, levels=found.levels)


def _splits(sides):
    def splits(request):
        below = tree(request.spec, request.path)
        return tuple(parted(request.spec, below.names, sides))

    return splits


def _examples(request, sides):
    """Where the files are, and those of each example."""
    spec, below = request.spec, tree(request.spec, request.path)
    by_split = parted(spec, below.names, sides)
    places = by_split[request.split]
    if any(place.side for place in places) or sides == _MAPS:
        examples = _matched(spec, below, places, sides)
    else:
        examples = [(place.name,) for place in places if "/" not in place.rest]
        if not examples:
            raise no_images(spec, below.root)
    taken = {name for example in examples for name in example}
    others = (split for split in by_split if split != request.split)
    taken |= {place.name for split in others for place in by_split[split]}
    if rest := [name for name in below.names if name not in taken]:
        below.others[f"images beside {' and '.join(sides)}"] = rest
    return below, examples


def _matched(spec, below, places, sides):
    """Files with a partner of the same name, suffixes aside, in each folder."""
    found = []
    for side in sides:
        ours = [place for place in places if place.side == side]
        if not ours:
            known = any(PurePosixPath(f).name == side for f in below.folders)
            where = f"{below.root}/{side}"
            if not known:
                reason = f": there is no directory {where}, as {' and '.join(sides)}"
                raise UsageError("data", spec, f"{reason} are to match by name")
            raise no_images(spec, where)
        by_stem: dict[str, str] = {}
        for place in ours:
            stem = str(PurePosixPath(place.rest).with_suffix(""))
            if stem in by_stem:
                raise UsageError(
                    "data",
                    spec,
                    f": {by_stem[stem]} and {place.name} have one name;"
                    " files match by it, without the suffix",
                )
            by_stem[stem] = place.name
        found.append(by_stem)
    for here, there, other in zip(found, found[::-1], sides[::-1], strict=True):
        if lonely := sorted(here.keys() - there.keys()):
            raise UsageError(
                "data",
                spec,
                f": {here[lonely[0]]} has no partner of its name in"
                f" {other}/ ({len(lonely)} such files)",
            )
    return [(found[0][stem], found[1][stem]) for stem in sorted(found[0])]


PAIRS = Source(
    "pairs",
    "pairs:DIR",
    "pairs of image files, in A/ and B/ or side by side",
    _splits(_PAIRS),
    load,
)
MAPS = Source(
    "maps",
    "maps:DIR",
    "image files in images/ and their label maps in maps/",
    _splits(_MAPS),
    load_maps,
)
