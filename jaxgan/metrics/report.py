"""One report of images that were drawn, be it from noise or from other images.

Every figure of the samples comes with its error, and beside it, in columns, the same of
other images: of samples from noise a floor (real images against others) and a ceiling
(uniform noise), of translations an answer without learning and the real ones.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from jaxgan.data import Dataset, over_white
from jaxgan.metrics import checks, views
from jaxgan.metrics.checks import Images, Rows
from jaxgan.metrics.extractors import Extractor
from jaxgan.metrics.figures import figures, with_errors
from jaxgan.metrics.measures import MEASURES, Measure, of_neighbours
from jaxgan.metrics.seen import compared, see
from jaxgan.types import silent

__all__ = ["Judge", "evaluate", "judge", "table"]

FULL = 50_000
"""Samples that figures called `fid50k_full` and `kid50k_full` are of."""
BOUNDS = {"floor": None, "ceiling": None}


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
    reference_num: int | None = None,
    training_set: bool = False,
    cache: Path | None = None,
    progress: Callable = silent,
) -> dict:
    """Measures samples, and beside them other images.

    Samples and columns are as many, and each is compared with the same images, all of
    the reference, so a figure and its floor differ by what the images are alone. Up to
    0.2 these were `num` of the reference: a Fréchet distance from few is too large
    (Chong and Forsyth, 2020, arXiv:1911.07023), so figures of then are larger, floors
    included. Measures of neighbours, whose figures move with both sets' sizes, compare
    with `num` still.

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
        num: how many images of samples and of each column at most; 100 or more, of
            figures that are means over images 2 or more.
        seed: decides which.
        measures: all that there are, `MEASURES` and others.
        aligned: row i of the samples, and of each column of as many rows, is of one
            example, as in translations; the same rows are taken of each.
        halved: the samples are made of the reference's own images: one half of them is
            measured, the other compared with. Only if `aligned`.
        reference_num: how many images of the reference at most; None for all.
        training_set: the reference is all that was trained on. Where all of it is
            compared with 50,000 samples by Inception, the figures are called as they
            are published, `fid50k_full` and `kid50k_full`.
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
    samples, reference = over_white(samples), over_white(reference)
    columns = BOUNDS if columns is None else columns
    columns = {name: one and over_white(one) for name, one in columns.items()}
    small: list[str] = []
    if names is None and aligned:
        all_of = samples, reference, *filter(None, columns.values())
        measures, small = checks.enough(measures, all_of, halved)
    names = checks.available(samples, extractor, measures) if names is None else names
    asked = names, samples, reference, extractor, num
    limits: dict = {"halved": halved, "reference_num": reference_num}
    checks.check(*asked, columns=columns, measures=measures, **limits)
    chosen = checks.select(names, samples, extractor, measures)
    how = samples, reference, columns, num, seed, halved, reference_num
    taken, notes = (views.aligned if aligned else views.independent)(*how)
    few, there = (len(taken[name].index) for name in ("samples", "reference"))
    extractor = _published(extractor, few, training_set and there == reference.size)
    if not _compare(chosen) and taken.pop("reference"):
        notes = [] if halved else notes
    if few < there and any(one.of_set is of_neighbours for one in chosen):
        notes.append(_of_few(few, there))
    drawn = {"samples", *(columns if aligned else ())}  # not worth keeping
    keeps = dict.fromkeys(taken.keys() - drawn, cache)
    seen = _seen(taken, extractor, chosen, keeps, progress, few)
    counts = {label: one.count for label, one in seen.items()}
    found, more = with_errors(chosen, seen, extractor)
    own = [note for view in taken.values() for note in view.dataset.notes]
    return {
        "metrics": found,
        "counts": counts,
        "reference": reference.name,
        "extractor": _described(extractor),
        "notes": [*dict.fromkeys((*small, *own, *notes)), *more],
    }


def _seen(taken, extractor, measures, keeps, progress, few):
    """By column, its images as measures see them."""
    found = {}
    for label, view in taken.items():
        args = view.dataset, view.index, extractor, measures, keeps.get(label)
        found[label] = dataclasses.replace(see(*args, progress, label), few=few)
    real = found.get("reference")
    others = ((k, x) for k, x in found.items() if k != "reference")
    return found | {k: compared(x, real, measures) for k, x in others}


def _of_few(few, there):
    return (
        "Precision, recall, density and coverage compare with "
        f"{few} of the {there} real images."
    )


def _published(extractor: Extractor, num: int, whole: bool) -> Extractor:
    """The extractor, with the names of what is published where that is what it is."""
    if extractor.distance != "fid" or num != FULL or not whole:
        return extractor
    return extractor._replace(distance="fid50k_full", kernel="kid50k_full")


def _compare(measures):
    return any("reference" in one.needs for one in measures)


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
    reference_num: int | None = None,
    training_set: bool = False,
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
    limits: dict = {"halved": halved, "reference_num": reference_num}
    checks.check(*asked, measures=measures, follow=True, **limits)
    chosen = checks.select(names, samples, extractor, measures)
    sizes = samples.size, reference.size
    args = *sizes, num, seed, aligned, halved, reference_num
    index, taken = views.followed(*args)
    whole = training_set and len(taken) == reference.size
    extractor = _published(extractor, len(index), whole)

    @functools.cache
    def real():
        args = reference, taken, extractor, chosen, cache, progress, "reference"
        return dataclasses.replace(see(*args), few=len(index))

    def of(drawn):
        drawn = over_white(drawn)
        seen = see(drawn, index, extractor, chosen, None, progress, "samples")
        beside = real() if _compare(chosen) else None
        return figures(chosen, compared(seen, beside, chosen), beside, extractor)

    figure = f"{names[0]} of {num} by {extractor.name} {extractor.digest}"
    if _compare(chosen):
        figure += f" against {len(taken)}"
    return Judge(figure, bool(chosen[0].lower_is_better), of)


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
    lines = [f"{'':20}" + "".join(f" {column:>10}" for column in columns)]
    for name, row in result["metrics"].items():
        shown = ("" if v is None else f"{v:.4g}" for v in row.values())
        lines.append(f"{name:20}" + "".join(f" {v:>10}" for v in shown))
    counts = ", ".join(f"{n} {label}" for label, n in result["counts"].items())
    lines.append(
        f"By {result['extractor']['name']}, against {result['reference']}: {counts}."
    )
    return "\n".join(lines + result["notes"])
