"""What can be measured of which images, and the refusal of the rest in one sentence."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

from jaxgan.metrics.extractors import Extractor
from jaxgan.metrics.measures import MEASURES, OF_IMAGES, Measure
from jaxgan.types import UsageError

__all__ = ["LEAST", "Images", "Rows", "available", "check", "enough", "select"]

LEAST = 100
"""Images below which figures of a set say nothing."""
OF_EACH = 2
"""Those below which figures of each image have no error."""


class Images(Protocol):
    """What checks look at: a `Dataset`, or `Rows` of images that are not there yet."""

    @property
    def name(self) -> str: ...

    @property
    def size(self) -> int: ...

    @property
    def shape(self) -> tuple[int, int, int]: ...

    @property
    def fields(self) -> Iterable[str]: ...

    @property
    def content(self) -> str: ...


class Rows(NamedTuple):
    """What is known of images before they are drawn."""

    name: str
    size: int
    shape: tuple[int, int, int]
    """(H, W, C)"""
    fields: frozenset[str] = frozenset({"image"})
    """What there will be of each: "image", and of "target", "label", "map", "styled"
    those that are known."""
    content: str = ""
    """As a `Dataset` has it."""


def available(
    images: Images, extractor: Extractor, measures: tuple[Measure, ...] = MEASURES
) -> tuple[str, ...]:
    """The names of the measures that suit images and an extractor, but of those that
    are measured only where they are named."""
    return _named((m for m in measures if not m.asked), images, extractor)


def _named(measures, images, extractor):
    fitting = (one.name for one in measures if _fits(one, images, extractor))
    return tuple(dict.fromkeys(fitting))


def enough(
    measures: tuple[Measure, ...], sets: Iterable[Images], halved: bool
) -> tuple[tuple[Measure, ...], list[str]]:
    """The measures for which there are enough images, and a note if that is not all."""
    least = 2 * LEAST if halved else LEAST
    small = [one for one in sets if one.size < least]
    if not small:
        return measures, []
    note = (
        f"{small[0].name} has {small[0].size} images: figures of a set, such as "
        f"distances, say nothing below {least}, and are left out."
    )
    return tuple(m for m in measures if not (m.of_set or m.beside)), [note]


def select(
    names: tuple[str, ...],
    images: Images,
    extractor: Extractor,
    measures: tuple[Measure, ...] = MEASURES,
) -> tuple[Measure, ...]:
    """The measures of these names, in their order, that suit images and an extractor.

    Raises:
        UsageError: `names` is empty, or none suits of a name.
    """
    known = ", ".join(_named(measures, images, extractor))
    if not names:
        reason = f"names none: by {extractor.name} there are {known}."
        raise UsageError("metrics", None, reason)
    found = []
    for name in dict.fromkeys(names):
        named = [one for one in measures if one.name == name]
        fitting = [one for one in named if _fits(one, images, extractor)]
        if not fitting:
            met = (one for one in named if _met(one, images, extractor))
            refusal = next((one.refuses(images) for one in met if one.refuses), None)
            reason = f": by {extractor.name} there are {known} of such images."
            raise UsageError("metrics", name, refusal or reason)
        found += fitting
    return tuple(found)


def check(
    names: tuple[str, ...],
    samples: Images,
    reference: Images,
    extractor: Extractor,
    num: int,
    *,
    columns: Mapping[str, Images | None] | None = None,
    measures: tuple[Measure, ...] = MEASURES,
    halved: bool = False,
    reference_num: int | None = None,
    follow: bool = False,
) -> None:
    """Refuses what cannot be measured.

    Args:
        names: of measures.
        samples, reference, extractor, num, columns, measures, halved, reference_num: as
            `evaluate` takes them; samples may be `Rows`.
        follow: whether the first figure is to decide which state of a run is the best.

    Raises:
        UsageError: there are too few images, they differ in shape or do not suit the
            extractor, or there is no such measure of them.
    """
    chosen = select(names, samples, extractor, measures)
    if follow and chosen[0].lower_is_better is None:
        reason = (
            ": the first decides which state is the best, and of it neither more nor "
            "less is better; name another first."
        )
        raise UsageError("metrics", names[0], reason)
    of_sets = any(one.of_set or one.beside for one in chosen)
    least = LEAST if of_sets else OF_EACH
    for option, count in (("num", num), ("reference_num", reference_num)):
        if count is not None and count < least:
            raise UsageError(option, count, f"must be {least} or more.")
    given = {"samples": samples, "reference": reference, **(columns or {})}
    for option, images in given.items():
        if images is not None:
            _check_images(option, images, tuple(samples.shape), halved, least)
    if extractor.shape not in (None, tuple(samples.shape)):
        reason = (
            f": images of {tuple(samples.shape)} cannot be compared by "
            f"{extractor.name}, which takes {extractor.shape}."
        )
        raise UsageError("samples", samples.name, reason)


def _check_images(option, images, shape, halved, least):
    least = 2 * least if halved else least
    halves = ", half of them to compare with" if halved else ""
    if images.size < least:
        reason = f"has {images.size} images; figures say nothing below {least}{halves}."
        raise UsageError(option, images.name, reason)
    if tuple(images.shape) != shape:
        reason = f"has images of {tuple(images.shape)}, the samples of {shape}."
        raise UsageError(option, images.name, reason)


def _met(measure, images, extractor):
    given = OF_IMAGES | frozenset(extractor.gives) | frozenset(images.fields)
    return given.issuperset(measure.needs)


def _fits(measure, images, extractor):
    refused = measure.refuses and measure.refuses(images)
    return _met(measure, images, extractor) and not refused
