"""Images as measures see them: looked at once, in blocks, by all that is asked for."""

import dataclasses
import functools
import hashlib
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from jaxgan import __version__
from jaxgan.data import Dataset, blocks, eight_bits
from jaxgan.metrics import copies, frechet, neighbours
from jaxgan.metrics.extractors import Extractor
from jaxgan.metrics.measures import OF_EXTRACTORS, Measure
from jaxgan.metrics.outputs import Outputs
from jaxgan.types import silent

__all__ = ["PICTURES", "Seen", "compared", "see"]

PICTURES = 1000
"""Images that are kept together, at most: those that diversity is measured of."""

PIXELS = 200 * 32 * 32
"""Pixels that measures of each image look at at a time, about."""


@dataclasses.dataclass(frozen=True)
class Seen:
    """A set of images in random order, each field None where nobody needs it."""

    features: np.ndarray | None
    """[N, D]"""
    logits: np.ndarray | None
    """[N, K]"""
    pictures: np.ndarray | None
    """uint8 `[min(N, PICTURES), H, W, C]`, the first of them."""
    pixels: np.ndarray | None = None
    """uint8 `[N, P]`, as `copies.small` has them."""
    each: tuple[dict[str, np.ndarray], ...] = ()
    """By measure, its figures of each image, float64 `[N]`."""
    count: int = 0
    """N"""
    few: int | None = None
    """How many of them measures of neighbours look at, the first; None for all. Their
    time grows with the product of two sets' sizes, and their figures with either."""
    rough: bool = False
    """Whether this is a part, of which no figure is reported but an error is told."""

    def part(self, i: int, of: int) -> "Seen":
        """Every so-many-th image, from the i-th on, without the figures of each."""
        sets = self.features, self.logits, self.pictures
        features, logits, pictures = (None if x is None else x[i::of] for x in sets)
        return Seen(features, logits, pictures, rough=True)

    @functools.cached_property
    def moments(self) -> frechet.Moments:
        assert self.features is not None
        return frechet.moments(self.features)

    @property
    def neighbours(self) -> np.ndarray:
        """Features that measures of neighbours look at."""
        assert self.features is not None
        return self.features[: self.few]

    @functools.cached_property
    def usual(self) -> copies.Limits:
        assert self.pixels is not None
        return copies.limits(self.pixels)

    @functools.cached_property
    def radii(self) -> np.ndarray:
        return neighbours.radii(self.neighbours)


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
            None to do without. Those in files are not held in memory but mapped.
        progress: see `types.silent`.
        label: for it.
    """
    needs = {need for one in measures for need in one.needs}
    runs, outputs = bool(needs & OF_EXTRACTORS), Outputs(len(index))
    if runs and cache and extractor.digest:
        content = _content(extractor, dataset, index)
        outputs = Outputs(len(index), cache, content)
        runs = not outputs.found_again()
    rows = index
    if not runs and "pixels" not in needs and not any(m.of_each for m in measures):
        rows = index[: PICTURES if "pictures" in needs else 0]
    room = PIXELS // math.prod(dataset.shape[:2])
    size = max(1, min(extractor.block, len(rows), room))
    pictures: list[np.ndarray] = []
    pixels: list[np.ndarray] = []
    each: list[list[dict]] = [[] for _ in measures]
    total = math.ceil(len(rows) / extractor.block)
    for some in progress(_parts(rows, extractor.block), total, label):
        fetched = eight_bits(dataset.fetch(some))
        if "pictures" in needs and sum(map(len, pictures)) < PICTURES:
            pictures.append(fetched["image"])
        if "pixels" in needs:
            pixels.append(copies.small(fetched["image"]))
        if runs:
            outputs.add(*_run(extractor, fetched["image"]))
        for figures, one in zip(each, measures, strict=True):
            if one.of_each and one.fields <= fetched.keys():
                figures += _of_each(one, fetched, size, extractor)
    if runs:
        outputs.keep()
    kept = np.concatenate(pictures)[:PICTURES] if pictures else None
    joined = tuple(_joined(figures) for figures in each)
    small = np.concatenate(pixels) if pixels else None
    return Seen(outputs.features, outputs.logits, kept, small, joined, len(index))


def compared(seen: Seen, real: Seen | None, measures: Sequence[Measure]) -> Seen:
    """The same, with the figures of each image beside the reference.

    Args:
        seen: of `see`.
        real: the reference, where a measure compares with it.
        measures: as `see` had them.
    """
    pairs = zip(measures, seen.each, strict=True)
    each = tuple(
        one.beside(seen, real) if one.beside and real else x for one, x in pairs
    )
    return dataclasses.replace(seen, each=each)


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


def _content(extractor, dataset, index) -> str:
    """The hash of images and of what they are looked at by."""
    content = hashlib.sha256(f"{__version__} {extractor.digest}".encode())
    for rows in _parts(index, extractor.block):
        images = eight_bits(dataset.fetch(rows))["image"]
        content.update(f"{images.shape}".encode() + images.tobytes())
    return content.hexdigest()
