"""What a source of data is, and how one is asked."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from jaxgan.data.dataset import Dataset
from jaxgan.data.fit import Fit, fitted_size, show
from jaxgan.text import printable
from jaxgan.types import UsageError, silent

__all__ = ["Request", "Source", "find", "read", "splits"]


class Request(NamedTuple):
    """What is asked of a source.

    Attributes:
        spec: the text that names the data, e.g. `"folder:~/faces"`.
        sources: all that there are, for one that is made of others.
        split: e.g. `"train"`.
        fit: brings the images to one size.
        progress: shows how far a long load is, as `types.silent` does not.
        argument: what the spec has behind its colon; `read` and `splits` set it.
    """

    spec: str
    sources: "tuple[Source, ...]"
    split: str = "train"
    fit: Fit = Fit()
    progress: Callable[..., Any] = silent
    argument: str = ""

    @property
    def path(self) -> Path:
        """The argument as a path, `~` expanded."""
        return Path(os.path.expanduser(self.argument))  # or as it is, of nobody's home


class Source(NamedTuple):
    """A place that images come from.

    Attributes:
        name: what a spec begins with.
        form: how a spec is written, `"folder:DIR"`; without a colon it is the name.
        help: what it is, in one line.
        splits: request -> the splits that there are; asked before anything is loaded.
        load: request -> the dataset, its images of the size that `request.fit` says
            (`fitted` does that for any dataset). It raises a `UsageError` of "data".
    """

    name: str
    form: str
    help: str
    splits: Callable[[Request], tuple[str, ...]]
    load: Callable[[Request], Dataset]


def find(spec: str, sources: tuple[Source, ...]) -> tuple[Source, str] | None:
    """The first source of a spec's name and form, and its argument, or None."""
    name, colon, argument = spec.partition(":")
    for source in sources:
        complete = argument if ":" in source.form else not colon
        if source.name == name and complete:
            return source, argument
    return None


def splits(request: Request) -> tuple[str, ...]:
    """The splits that there are of a spec.

    Raises:
        UsageError: there is no such source.
    """
    source, request = _asked(request)
    return source.splits(request)


def read(request: Request) -> Dataset:
    """The dataset, from the source that the spec names.

    Raises:
        UsageError: there is no such source, or split, or the data is not to be had.
    """
    source, request = _asked(request)
    there = source.splits(request)
    if request.split not in there:
        whole = " (all of it): give the other images as `data` of their own"
        raise UsageError(
            "data",
            request.spec,
            f": it has no split {request.split!r}, just {' and '.join(there)}"
            + (whole if len(there) == 1 else ""),
        )
    dataset = source.load(request)
    _check_size(request, dataset.shape[:2])
    kind = request.fit.count(dataset.shape[2])
    if kind != dataset.shape[2]:
        reason = f": its images stay {dataset.channels}; leave out `channels`"
        raise UsageError("data", request.spec, reason)
    if request.fit.deep and dataset.levels == 255:
        reason = ": its images stay of 8 bits; leave out `depth`"
        raise UsageError("data", request.spec, reason)
    void = request.fit.void
    if void is not None and (
        "map" not in dataset.fields or void in dataset.map_numbers
    ):
        has = "keeps this class" if "map" in dataset.fields else "has no label maps"
        raise UsageError("void", void, f": {request.spec} {has}; leave it out")
    notes = tuple(map(printable, dataset.notes))
    return dataset._replace(splits=there, notes=notes)


def _asked(request):
    found = find(request.spec, request.sources)
    if found is None:
        forms = [*dict.fromkeys(source.form for source in request.sources)]
        raise UsageError(
            "data",
            request.spec,
            f": there is no such dataset; give {', '.join(forms[:-1])} or {forms[-1]}",
        )
    source, argument = found
    return source, request._replace(argument=argument)


def _check_size(request, size):
    """Refuses images that a source has not brought to size."""
    resize, crop = request.fit.resize, request.fit.crop
    asked: tuple[int, int] | None
    if crop is not None:
        asked = fitted_size(size, Fit(crop=crop), request.spec)
    elif isinstance(resize, int):
        asked = size if min(size) == resize else None
    else:
        asked = size if resize is None else tuple(resize)
    if asked != size:
        reason = f": its images stay {show(size)}; leave out `resize` and `crop`"
        raise UsageError("data", request.spec, reason)
