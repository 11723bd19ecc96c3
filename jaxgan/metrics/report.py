"""One report of images that were drawn, be it from noise or from other images.

Every figure of the samples comes with its error, and beside it, in columns, the same of
other images: of samples from noise a floor (real images against others) and a ceiling
(uniform noise), of translations an answer without learning and the real ones.
"""

import functools
import math
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgan.data import Dataset, over_white
from jaxgan.metrics import checks, views
from jaxgan.metrics.checks import Images, Rows
from jaxgan.metrics.extractors import Extractor
from jaxgan.metrics.measures import MEASURES, Measure
from jaxgan.metrics.seen import Seen, see
from jaxgan.types import silent

__all__ = ["Judge", "evaluate", "judge", "table"]

PARTS = 4
BOUNDS = {"floor": None, "ceiling": None}
ESTIMATES = "samples", "floor"
"""Columns on whose size there are notes; a ceiling is no estimate."""


def evaluate(
    samples: Dataset,
    reference: Dataset,
    columns: Mapping[str, Dataset | None] | None,
    extractor: Extractor,
    names: tuple[str, ...] | None = None,
    num: int = 10000,
    seed: int = 0,
    *,
    measures: tuple[Measure, ...] = MEASURES,
    aligned: bool = False,
    halved: bool = False,
    cache: Path | None = None,
    progress: Callable = silent,
) -> dict:
    """Measures samples, and beside them other images.

    All images are rows of data sets: "image" is what was drawn; beside it "target",
    what it should be, "label", "map", and "styled", the same drawn in its target's
    style, where they are known. They are fetched in blocks, each once. Images with
    transparency are measured over white, and a note says so.

    Args:
        samples: such as images of a run, drawn as they are fetched, or any others.
        reference: real images; read only if a measure compares with them.
        columns: by name, other images to measure. As "floor", None is a half of the
            reference, which is then compared with the other half; as "ceiling", noise.
            None for these two.
        extractor: what images are compared by.
        names: of measures; None for all that suit the images and their number.
        num: how many images of each at most; 100 or more, of figures that are means
            over images 2 or more.
        seed: decides which.
        measures: all that there are, `MEASURES` and others.
        aligned: row i of the samples, and of each column of as many rows, is of one
            example, as in translations; the same rows are taken of each.
        halved: the samples are made of the reference's own images: one half of them is
            measured, the other compared with. Only if `aligned`.
        cache: a folder where features of real images are kept; see `see`.
        progress: see `types.silent`.

    Returns:
        "metrics": by figure "value", "error" and each column, None for what there is
        not. The error of a figure that is a mean over images is its standard error, of
        any other half the deviation over four quarters of the samples, a rough one.
        Beside them "counts" of images, the names of the reference and the extractor,
        and "notes", sentences on what the figures lack.

    Raises:
        UsageError: see `check`.
    """
    columns = BOUNDS if columns is None else columns
    samples, reference = over_white(samples), over_white(reference)
    columns = {name: one and over_white(one) for name, one in columns.items()}
    few: list[str] = []
    if names is None:
        if aligned:
            all_of = samples, reference, *(one for one in columns.values() if one)
            measures, few = checks.enough(measures, all_of, halved)
        names = checks.available(samples, extractor, measures)
    asked = names, samples, reference, extractor, num
    checks.check(*asked, columns=columns, measures=measures, halved=halved)
    chosen = checks.select(names, samples, extractor, measures)
    sets = samples, reference, columns
    taken: dict[str, views.View]
    if aligned:
        taken, notes = views.aligned(*sets, num, seed, halved), []
    else:
        taken, notes = views.independent(*sets, num, seed)
    if not _compare(chosen):
        del taken["reference"]
    elif halved:
        notes = ["Distances are between halves of these images."]
    drawn = {"samples", *columns} if aligned else {"samples"}  # not worth keeping
    seen = {
        label: see(
            *view, extractor, chosen, None if label in drawn else cache, progress, label
        )
        for label, view in taken.items()
    }
    counts = {label: one.count for label, one in seen.items()}
    figures, more = _report(chosen, seen, extractor)
    own = (note for view in taken.values() for note in view.dataset.notes)
    return {
        "metrics": figures,
        "counts": counts,
        "reference": reference.name,
        "extractor": _described(extractor),
        "notes": [*dict.fromkeys((*own, *few, *notes)), *more],
    }


def _compare(measures):
    return any("reference" in one.needs for one in measures)


def _report(measures, seen, extractor):
    """The table, and notes on the figures in it."""
    real, samples = seen.pop("reference", None), seen["samples"]
    found, notes = {}, []
    for name, one in seen.items():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found[name] = _figures(measures, one, real, extractor)
        if name in ESTIMATES:
            label = "Value" if name == "samples" else name.capitalize()
            notes += [f"{label}: {warning.message}" for warning in caught]
    errors = _errors(measures, samples, real, extractor)
    values = found.pop("samples")
    figures = {
        name: {
            "value": _finite(value),
            "error": _finite(errors[name]),
            **{column: _finite(of.get(name)) for column, of in found.items()},
        }
        for name, value in values.items()
    }
    return figures, notes


def _figures(measures, seen: Seen, real: Seen | None, extractor) -> dict:
    """All figures, in the order of the measures."""
    out: dict[str, float] = {}
    for one, each in zip(measures, seen.each, strict=True):
        if one.of_set:
            out |= one.of_set(seen, real, extractor, 0)
        out |= {name: float(x.mean()) for name, x in each.items()}
    return out


def _errors(measures, seen: Seen, real: Seen | None, extractor) -> dict:
    """Standard errors; of measures of a set, rough ones by quarters."""
    out: dict[str, float] = {}
    for one, each in zip(measures, seen.each, strict=True):
        if one.of_set:
            out |= _rough_errors(one, seen, real, extractor)
        deviations = {name: x.std(ddof=1) for name, x in each.items()}
        out |= {name: float(x / seen.count**0.5) for name, x in deviations.items()}
    return out


def _rough_errors(measure, seen, real, extractor):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # quarters are no estimates
        quarters = [
            measure.of_set(seen.part(i, PARTS), real, extractor, 0)
            for i in range(PARTS)
        ]
    spread = {k: np.std([q[k] for q in quarters], ddof=1) for k in quarters[0]}
    return {name: float(value / PARTS**0.5) for name, value in spread.items()}


def _finite(value):
    return value if value is not None and math.isfinite(value) else None


def _described(extractor: Extractor) -> dict:
    """An extractor, for JSON."""
    return {
        "name": extractor.name,
        "sha256": extractor.digest,
        "resize": extractor.resize,
    }


class Judge(NamedTuple):
    """What follows a run."""

    figure: str
    """What the first figure is of, in all that decides it."""
    lower_is_better: bool
    """Whether so is the first figure."""
    of: Callable
    """`samples (Dataset) -> {name: float}`, the figures in the order of the names."""


def judge(
    samples: Images,
    reference: Dataset,
    extractor: Extractor,
    names: tuple[str, ...],
    num: int,
    seed: int = 0,
    *,
    measures: tuple[Measure, ...] = MEASURES,
    aligned: bool = False,
    halved: bool = False,
    cache: Path | None = None,
    progress: Callable = silent,
) -> Judge:
    """Measures samples against the same real images each time, to follow a run.

    Arguments and errors as `evaluate`.

    Args:
        samples: what they will be, as `Rows` say it; those not `aligned` number `num`.
    """
    samples, reference = _over_white(samples), over_white(reference)
    asked = names, samples, reference, extractor, num
    checks.check(*asked, measures=measures, halved=halved, follow=True)
    chosen = checks.select(names, samples, extractor, measures)
    sizes = samples.size, reference.size
    index, taken = views.followed(*sizes, num, seed, aligned, halved)

    @functools.cache
    def real():
        return see(reference, taken, extractor, chosen, cache, progress, "reference")

    def figures(drawn):
        drawn = over_white(drawn)
        seen = see(drawn, index, extractor, chosen, None, progress, "samples")
        return _figures(chosen, seen, real() if _compare(chosen) else None, extractor)

    figure = f"{names[0]} of {num} by {extractor.name} {extractor.digest}"
    return Judge(figure, bool(chosen[0].lower_is_better), figures)


def _over_white(images: Images) -> Images:
    h, w, channels = images.shape
    return Rows(
        images.name,
        images.size,
        (h, w, 3 if channels == 4 else channels),
        frozenset(images.fields),
        images.content,
    )


def table(result: dict) -> str:
    """The figures of a report for people."""
    columns = next(iter(result["metrics"].values()))
    lines = [f"{'':20}" + "".join(f"{column:>10}" for column in columns)]
    for name, figures in result["metrics"].items():
        shown = ("" if v is None else f"{v:.4g}" for v in figures.values())
        lines.append(f"{name:20}" + "".join(f"{v:>10}" for v in shown))
    counts = ", ".join(f"{n} {label}" for label, n in result["counts"].items())
    lines.append(
        f"By {result['extractor']['name']}, against {result['reference']}: {counts}."
    )
    return "\n".join(lines + result["notes"])
