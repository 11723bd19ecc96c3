"""Images of two domains without pairs.

`unpaired:A,B` is two data sets, each a directory of images or any other spec; A's
images are the "input" of B's, in an order of their own.
"""

from jaxgan.data import source
from jaxgan.data.dataset import Dataset, of_channels, select
from jaxgan.data.fit import show
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


def _sides(request):
    """The two requests that one is made of."""
    texts = request.argument.split(",")
    if len(texts) != 2:
        raise UsageError(
            "data", request.spec, f": there is no such dataset; give two, {SOURCE.form}"
        )
    for text in texts:
        is_spec = ":" in text or source.find(text, request.sources)
        yield request._replace(spec=text if is_spec else f"folder:{text}")


def _splits(request):
    a, b = map(source.splits, _sides(request))
    return tuple(split for split in a if split in b)


def _load(request):
    return two_domains(request.spec, *map(source.read, _sides(request)))


SOURCE = source.Source(
    "unpaired",
    "unpaired:A,B",
    "images of two domains, each a directory or a data set of any other form",
    _splits,
    _load,
)
