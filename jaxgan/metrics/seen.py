"""Images as measures see them: looked at once, in blocks, by all that is asked for."""

import contextlib
import functools
import hashlib
import math
import warnings
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jaxgan import __version__
from jaxgan.data import Dataset, blocks, eight_bits
from jaxgan.metrics import frechet, neighbours
from jaxgan.metrics.extractors import Extractor
from jaxgan.metrics.measures import OF_EXTRACTORS, Measure
from jaxgan.types import silent

__all__ = ["PICTURES", "Seen", "see"]

PICTURES = 1000
"""Images that are kept together, at most: those that diversity is measured of."""

PIXELS = 200 * 32 * 32
"""Pixels that measures of each image look at at a time, about."""


@dataclass(frozen=True)
class Seen:
    """A set of images in random order, each field None where nobody needs it."""

    features: np.ndarray | None
    """[N, D]"""
    logits: np.ndarray | None
    """[N, K]"""
    pictures: np.ndarray | None
    """uint8 `[min(N, PICTURES), H, W, C]`, the first of them."""
    each: tuple[dict[str, np.ndarray], ...] = ()
    """By measure, its figures of each image, float64 `[N]`."""
    count: int = 0
    """N"""

    def part(self, i: int, of: int) -> "Seen":
        """Every so-many-th image, from the i-th on, without the figures of each."""
        sets = self.features, self.logits, self.pictures
        features, logits, pictures = (None if x is None else x[i::of] for x in sets)
        return Seen(features, logits, pictures)

    @functools.cached_property
    def moments(self) -> frechet.Moments:
        assert self.features is not None
        return frechet.moments(self.features)

    @functools.cached_property
    def radii(self) -> np.ndarray:
        return neighbours.radii(self.features)


def see(
    dataset: Dataset,
    index: np.ndarray,
    extractor: Extractor,
    measures: Sequence[Measure],
    cache: Path | None = None,
    progress: Callable = silent,
    label: str = "",
) -> Seen:
    """Looks at images, each fetched once, for all that measures need of them.

    Args:
        dataset: where the images come from.
        index: which of them, int `[N]`, in random order.
        extractor: runs if a measure needs it.
        measures: what is to be measured.
        cache: a folder where features are kept under the hash of the images, for which
            they are fetched once more, and of the extractor's weights, and found again;
            None to do without.
        progress: see `types.silent`.
        label: for it.
    """
    needs = {need for one in measures for need in one.needs}
    runs, file, outputs = bool(needs & OF_EXTRACTORS), None, None
    if runs and cache and extractor.digest:
        file = _cached(extractor, dataset, index, cache)
        outputs = _found_again(file)
    runs = runs and outputs is None
    rows = index
    if not runs and not any(one.of_each for one in measures):
        rows = index[: PICTURES if "pictures" in needs else 0]
    room = PIXELS // math.prod(dataset.shape[:2])
    size = max(1, min(extractor.block, len(rows), room))
    pictures: list[np.ndarray] = []
    each: list[list[dict]] = [[] for _ in measures]
    found = []
    total = math.ceil(len(rows) / extractor.block)
    for some in progress(_parts(rows, extractor.block), total, label):
        fetched = eight_bits(dataset.fetch(some))
        if "pictures" in needs and sum(map(len, pictures)) < PICTURES:
            pictures.append(fetched["image"])
        if runs:
            found.append(_run(extractor, fetched["image"]))
        for figures, one in zip(each, measures, strict=True):
            if one.of_each and one.fields <= fetched.keys():
                figures += _of_each(one, fetched, size, extractor)
    if runs:
        parts, of_logits = zip(*found, strict=True)
        logits = None if of_logits[0] is None else np.concatenate(of_logits)
        outputs = np.concatenate(parts), logits
        if file:
            _keep(file, *outputs)
    kept = np.concatenate(pictures)[:PICTURES] if pictures else None
    joined = tuple(_joined(figures) for figures in each)
    features, logits = outputs or (None, None)
    return Seen(features, logits, kept, joined, len(index))


def _parts(index, size):
    return (index[i : i + size] for i in range(0, len(index), size))


def _run(extractor, images):
    """Features and logits, by a block that is filled up with the last image."""
    ((rows, n),) = blocks(np.arange(len(images)), extractor.block)
    return [
        None if x is None else np.asarray(x)[:n] for x in extractor.run(images[rows])
    ]


def _of_each(measure, fetched, size, extractor):
    """Figures of the rows, by blocks of one size."""
    for rows, n in blocks(np.arange(len(fetched["image"])), size):
        figures = measure.of_each({k: x[rows] for k, x in fetched.items()}, extractor)
        yield {k: np.asarray(x, np.float64)[:n] for k, x in figures.items()}


def _joined(figures):
    names = figures[0] if figures else ()
    return {name: np.concatenate([x[name] for x in figures]) for name in names}


def _cached(extractor, dataset, index, cache):
    content = hashlib.sha256(f"{__version__} {extractor.digest}".encode())
    for rows in _parts(index, extractor.block):
        images = eight_bits(dataset.fetch(rows))["image"]
        content.update(f"{images.shape}".encode() + images.tobytes())
    return cache / f"{content.hexdigest()}.npz"


def _found_again(file):
    """Features and logits of a file, or None."""
    if not file.exists():
        return None
    try:
        with file.open("rb") as opened, np.load(opened) as arrays:
            return arrays["features"], arrays.get("logits")
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        file.unlink()  # cut short; it is made anew
    return None


def _keep(file, features, logits):
    arrays = {} if logits is None else {"logits": logits}
    partial = file.with_suffix(".partial")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as out:
            np.savez(out, features=features, **arrays)
        partial.replace(file)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        warnings.warn(
            f"Features are not kept in {file.parent}: {error.strerror}.", stacklevel=3
        )
