"""Images in pairs.

- `pairs:DIR` holds `A/` and `B/`, whose files match by name, or files that show A and B
  side by side, A on the left. A is the dataset's `input`, B its `image`.
- `maps:DIR` holds `images/` and `maps/`, whose files match by name. A map is an 8-bit
  gray or palette image, whose pixels are numbers of classes.
"""

from pathlib import Path

from jaxgan.data import files, folder
from jaxgan.data.dataset import Dataset, Group
from jaxgan.data.source import Request, Source
from jaxgan.types import UsageError

__all__ = ["MAPS", "PAIRS", "load", "load_maps"]


def load(request: Request) -> Dataset:
    """Loads `pairs:DIR`; pairs that cannot be decoded are named in `notes`.

    Args:
        request: its `path` is the directory; both sides are brought to size alike.

    Raises:
        UsageError: there is nothing to read, an image has no partner or one of another
            size, or pairs differ in size.
    """
    spec, directory = request.spec, request.path
    names = files.listed(spec, directory)
    if {"A", "B"} & {*names}:
        examples, beside = _matched(spec, directory, "A", "B"), False
    else:
        examples = [(name,) for name in names if files.is_image(directory / name)]
        beside = True
        if splits := [n for n in names if n.lower() in folder.SPLITS]:
            raise UsageError(
                "data",
                spec,
                f": the folders {files.some(splits)} look like splits; "
                f"give one of them, such as {spec.rstrip('/')}/{splits[-1]}",
            )
        if not examples:
            raise files.no_images(spec, directory)
    found = files.read(request, examples, beside=beside)
    channels = found.shape[2]

    def fetch(index):
        both = found.images(index)
        return {"input": both[..., :channels], "image": both[..., channels:]}

    group = Group(("input", "image"), len(found.kept), fetch)
    return Dataset(spec, found.shape, (group,), notes=found.notes)


def load_maps(request: Request) -> Dataset:
    """Loads `maps:DIR`; arguments and errors as `load`."""
    examples = _matched(request.spec, request.path, "images", "maps")
    found = files.read(request, examples, maps=True)

    def fetch(index):
        both = found.images(index)
        return {"image": both[..., :-1], "map": both[..., -1]}

    group = Group(("image", "map"), len(found.kept), fetch)
    dataset = Dataset(request.spec, found.shape, (group,), notes=found.notes)
    return dataset._replace(map_classes=found.map_classes)


def _matched(spec, directory, *sides):
    """Files with a partner of the same name, suffixes aside, in each folder."""
    found = []
    for side in sides:
        names = files.listed(spec, directory / side)
        paths = [f"{side}/{n}" for n in names if files.is_image(directory / side / n)]
        if not paths:
            raise files.no_images(spec, directory / side)
        by_stem = {Path(path).stem: path for path in paths}
        if len(by_stem) < len(paths):
            twice = next(p for p in paths if p not in by_stem.values())
            raise UsageError(
                "data",
                spec,
                f": {twice} and {by_stem[Path(twice).stem]} have one name;"
                " files match by it, without the suffix",
            )
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
    lambda request: ("train",),
    load,
)
MAPS = Source(
    "maps",
    "maps:DIR",
    "image files in images/ and their label maps in maps/",
    lambda request: ("train",),
    load_maps,
)
