"""Images in pairs, and images of two domains without.

- `pairs:DIR` holds `A/` and `B/`, whose files match by name, or files that show A and B
  side by side, A on the left. A is the dataset's `input`, B its `image`.
- `maps:DIR` holds `images/` and `maps/`, whose files match by name. A map is an 8-bit
  gray or palette image, whose pixels are numbers of classes.
- `unpaired:A,B` is two data sets, each a directory of images or any other spec; A is
  the `unpaired` of B.
"""

from pathlib import Path

from jaxgan.data import dataset, files, fit, folder
from jaxgan.types import UsageError


def load(spec: str, directory: Path, how: fit.Fit) -> dataset.Dataset:
    """Loads `pairs:DIR`; pairs that cannot be decoded are named in `notes`.

    Args:
        spec: the spec, for the name and messages.
        directory: the directory.
        how: brings both sides to one size alike.

    Raises:
        UsageError: there is nothing to read, an image has no partner or one of another
            size, or pairs differ in size.
    """
    names = files.listed(spec, directory)
    if {"A", "B"} & {*names}:
        examples, beside = _matched(spec, directory, "A", "B"), False
    else:
        examples = [(name,) for name in names if files.is_image(directory / name)]
        beside = True
        if splits := [n for n in names if n.lower() in folder.SPLITS]:
            raise UsageError(
                f"--data {spec}: the folders {files.some(splits)} look like splits; "
                f"give one of them, such as {spec.rstrip('/')}/{splits[-1]}"
            )
        if not examples:
            raise files.no_images(spec, directory)
    found = files.read(spec, directory, examples, how, beside=beside)
    channels = found.shape[2]

    def fetch(index):
        both = found.images(index)
        return {"input": both[..., :channels], "image": both[..., channels:]}

    of = spec, len(found.kept), found.shape, ()
    return dataset.Dataset(*of, fetch, found.notes)


def load_maps(spec: str, directory: Path, how: fit.Fit) -> dataset.Dataset:
    """Loads `maps:DIR`; arguments and errors as `load`."""
    examples = _matched(spec, directory, "images", "maps")
    found = files.read(spec, directory, examples, how, maps=True)

    def fetch(index):
        both = found.images(index)
        return {"image": both[..., :-1], "map": both[..., -1]}

    of = spec, len(found.kept), found.shape, ()
    return dataset.Dataset(*of, fetch, found.notes, map_classes=found.map_classes)


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
                f"--data {spec}: {twice} and {by_stem[Path(twice).stem]} have one name;"
                " files match by it, without the suffix"
            )
        found.append(by_stem)
    for here, there, other in zip(found, found[::-1], sides[::-1], strict=True):
        if lonely := sorted(here.keys() - there.keys()):
            raise UsageError(
                f"--data {spec}: {here[lonely[0]]} has no partner of its name in"
                f" {other}/ ({len(lonely)} such files)"
            )
    return [(found[0][stem], found[1][stem]) for stem in sorted(found[0])]
