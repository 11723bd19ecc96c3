"""Images of two domains without pairs.

`unpaired:A,B` is two data sets, each a directory of images or any other spec; A's
images are the "input" of B's, in an order of their own. A name that has a comma stands
in quotes, `unpaired:'a,b',c`. `unpaired:DIR` is a directory of both, `A/` and `B/`, or
`trainA/`, `trainB/`, `testA/` and `testB/`.
"""

import csv

from jaxgan.data import folder, source
from jaxgan.data.dataset import Dataset, of_channels, select
from jaxgan.data.fit import show
from jaxgan.data.splits import ALL, parted
from jaxgan.data.tree import tree
from jaxgan.types import UsageError

__all__ = ["SOURCE", "two_domains"]


def two_domains(name: str, a: Dataset, b: Dataset) -> Dataset:
    """Images of B, beside those of A.

    Args:
        name: of the two together.
        a: its images become "input", its labels "input_label".
        b: gives "image", "label" and "map", as far as it has them.

    Raises:
        UsageError: their images differ in size or depth.
    """
    channels = max(a.shape[2], b.shape[2])  # gray beside colours is gray in colours
    a, b = of_channels(a, channels), of_channels(b, channels)
    if a.shape != b.shape:
        raise UsageError(
            "data",
            name,
            f": images are {show(a.shape[:2])} in {a.name} and {show(b.shape[:2])} in "
            f"{b.name}; `resize` HxW makes them one size.",
        )
    if a.levels != b.levels:
        raise UsageError(
            "data", name, f": of {a.name} and {b.name} one has 8 bits, the other 16"
        )
    inputs = select(a, {"image": "input", "label": "input_label"}).groups[0]
    images = select(b, {field: field for field in ("image", "label", "map")})
    groups = (*images.groups, inputs._replace(content=a.content))
    return images._replace(name=name, groups=groups, notes=a.notes + b.notes)


def _texts(request):
    """The two specs that one is made of, or one directory."""
    texts = next(csv.reader([request.argument], quotechar="'"), [])
    if len(texts) > 2 or not all(texts):
        raise UsageError(
            "data",
            request.spec,
            f": there is no such dataset; give two, {SOURCE.form}, in quotes where a"
            " name has a comma, unpaired:'a,b',c",
        )
    return texts


def _sides(request):
    """The two requests that one is made of."""
    for text in _texts(request):
        is_spec = ":" in text or source.find(text, request.sources)
        yield request._replace(spec=text if is_spec else f"folder:{text}")


def _domains(request):
    """A directory of both, and its files by split."""
    (text,) = _texts(request)
    within = request._replace(argument=text)
    below = tree(request.spec, within.path)
    by_split = parted(request.spec, below.names, ("A", "B"))
    for split, places in by_split.items():
        for side in ("A", "B"):
            if not any(place.side == side for place in places):
                of = "" if split == ALL else f" of the split {split}"
                reason = f": {below.root} has no images of {side}{of}; give two, "
                reason += f"{SOURCE.form}, or a directory of A/ and B/"
                raise UsageError("data", request.spec, reason)
    return below, by_split


def _splits(request):
    if len(_texts(request)) == 1:
        return tuple(_domains(request)[1])
    a, b = map(source.splits, _sides(request))
    return tuple(split for split in a if split in b)


def _load(request):
    if len(_texts(request)) == 2:
        return two_domains(request.spec, *map(source.read, _sides(request)))
    below, by_split = _domains(request)
    places = by_split[request.split]
    taken = {place.name for some in by_split.values() for place in some}
    if rest := [name for name in below.names if name not in taken]:
        below.others["images beside A and B"] = rest
    first = by_split[next(iter(by_split))]
    loaded = []
    for side in ("A", "B"):
        ours, training = (
            [place for place in some if place.side == side] for some in (places, first)
        )
        args = below, ours, None if places is first else training
        named = request._replace(spec=f"{request.spec} ({side})")
        loaded.append(folder.load_places(named, *args))
        below.others.clear()  # said once
    return two_domains(request.spec, *loaded)


SOURCE = source.Source(
    "unpaired",
    "unpaired:A,B",
    "images of two domains, each a directory or a data set of any other form, or one"
    " directory that holds A/ and B/",
    _splits,
    _load,
)
