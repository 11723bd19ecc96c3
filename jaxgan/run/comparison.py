"""How near a run's translations come to what they should be.

Every figure stands beside that of `Task.plain`, an answer without learning (a bicubic
enlargement, a hole filled with the mean), and that of real images.
"""

import functools
import math
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgan import data, metrics, parallel
from jaxgan.data import Dataset
from jaxgan.data.painted import TO_YIQ
from jaxgan.metrics import evaluation, extractors, painted
from jaxgan.metrics.extractors import Extractor
from jaxgan.metrics.similarity import WINDOW
from jaxgan.recipes.translator import Translator
from jaxgan.run import translation
from jaxgan.types import UsageError

LOWER_IS_BETTER = ("fd", "kid", "similarity")
PAINTED = ("painted_mnist", "mapped_mnist", "unpaired_mnist")
COLUMNS = ("value", "plain", "real")
ROUNDING = 10 * math.log10(255**2 * 12)
"""PSNR in dB of an error that is uniform within one level of 8 bits."""


def available(translator: Translator, dataset: Dataset) -> tuple[str, ...]:
    """Of `config.Metric`, what can be measured of a translator's images."""
    of = translation.sides(dataset, translator.task)
    names = ["fd", "kid"]
    large = min(dataset.shape[:2]) >= WINDOW
    names += ["similarity"] if of.paired and large else []
    names += ["colours"] if dataset.shape[2] == 3 else []
    return (*names, *(["classes"] if _painted(dataset) else []))


def check(
    translator, dataset: Dataset, reference: Dataset, names, num: int, option="--"
) -> None:
    """Refuses what cannot be measured.

    Args:
        translator: from a recipe.
        dataset: what it is to translate.
        reference: real images, maybe the same: then a half is compared with the other.
        names: of `config.Metric`.
        num: how many images.
        option: begins the names of options.

    Raises:
        UsageError: there is no such figure of these images, or there are too few.
    """
    known = available(translator, dataset)
    if not names:
        raise UsageError(f"{option}metrics names none: there are {', '.join(known)}.")
    paired = translation.sides(dataset, translator.task).paired
    if "similarity" in names and paired and min(dataset.shape[:2]) < WINDOW:
        h, w = dataset.shape[:2]
        raise UsageError(
            f"{option}metrics similarity needs images of {WINDOW} pixels or more each "
            f"way, not {h}x{w}."
        )
    for name in names:
        if name not in known:
            raise UsageError(
                f"{option}metrics {name}: of translations of {dataset.name} there are "
                f"{', '.join(known)}."
            )
    if num < evaluation.LEAST:
        raise UsageError(f"{option}num {num} must be {evaluation.LEAST} or more.")
    if names[0] == "colours" and option != "--":
        raise UsageError(
            f"{option}metrics colours: the first decides which state is the best, and "
            "the farthest from gray is not; name another first."
        )
    halves = ", half of them to compare with" if reference is dataset else ""
    least = 2 * evaluation.LEAST if halves else evaluation.LEAST
    for images in (dataset, reference):
        of = translation.sides(images, translator.task)
        if (size := min(of.sources.size, of.targets.size)) < least:
            raise UsageError(
                f"{images.name} has {size} images; figures say nothing below {least}"
                f"{halves}."
            )


class Found:
    """What was found of some images, block by block."""

    def __init__(self):
        self.arrays, self.features = {}, []

    def add(self, figures: dict, features):
        """Takes figures `{name: [B]}`, and features `[B, D]` or None."""
        for name, values in figures.items():
            self.arrays.setdefault(name, []).append(np.asarray(values, np.float64))
        if features is not None:
            self.features.append(np.asarray(features))

    def joined(self) -> dict[str, np.ndarray]:
        return {name: np.concatenate(x) for name, x in self.arrays.items()}

    def means(self) -> dict[str, float]:
        return {name: float(x.mean()) for name, x in self.joined().items()}

    def errors(self) -> dict[str, float]:
        """Standard errors of the means."""
        deviations = {name: x.std(ddof=1) for name, x in self.joined().items()}
        return {name: float(x / self.count**0.5) for name, x in deviations.items()}

    @property
    def count(self) -> int:
        """How many images were looked at."""
        blocks = next(iter(self.arrays.values()), self.features)
        return sum(map(len, blocks))

    def seen(self) -> evaluation.Seen:
        return evaluation.Seen(np.concatenate(self.features), None, np.zeros(0))


class Comparison(NamedTuple):
    """What is measured, of what, against what."""

    translator: Translator
    dataset: Dataset
    """Translated are images of this one."""
    reference: Dataset
    """Real images for distances, those of the task's target."""
    extractor: Extractor
    names: tuple[str, ...]
    """Of `config.Metric`."""
    num: int
    """How many images, at most."""
    seed: int = 0
    cache: Path | None = None
    """Where features of real images are kept."""

    def real(self) -> evaluation.Seen | None:
        """The reference, as the extractor sees it, if a distance is asked for."""
        if not self.distances:
            return None
        real = translation.sides(self.reference, self.translator.task).targets
        index = self._halves(real.size)[1][: self.num]
        return evaluation.see(self.extractor, real, index, "real", self.cache, False)

    def _halves(self, size):
        """Which images are translated, and which are compared with, in random order."""
        order = np.random.default_rng(self.seed).permutation(size)
        if self.reference is not self.dataset:
            return order, order
        return order[: size // 2], order[size // 2 :]

    @property
    def distances(self) -> tuple[str, ...]:
        return tuple(name for name in self.names if name in ("fd", "kid"))

    def run(self, state, columns=COLUMNS) -> dict[str, Found]:
        """Translates, and looks at the images of each column."""
        digits = extractors.of_digits(parallel.mesh_of(state.step))
        of = translation.sides(self.dataset, self.translator.task)
        index = self._halves(of.sources.size)[0][: self.num]
        found = {column: Found() for column in columns}
        blocks = translation.translated(
            self.translator, state, of.sources, index, self.seed, "translating"
        )
        for block in blocks:
            images = {"value": block.output, "plain": block.plain}
            target = block.rows[self.translator.task.target] if of.paired else None
            if of.paired:
                images["real"] = target
            for column in images.keys() & found.keys():
                self._look(found[column], images[column], target, block, digits)
        if "real" in columns and not of.paired:
            index = self._halves(of.targets.size)[0][: self.num]
            for rows, n in data.blocks(index, self.extractor.block):
                fetched = of.targets.fetch(rows)
                block = translation.Block(n, fetched, *[fetched["image"]] * 3)
                self._look(found["real"], block.output, None, block, digits)
        return found

    def _look(self, found, images, target, block, digits):
        figures, features = {}, None
        for name in self.names:  # in this order: the first decides which is best
            match name:
                case "similarity":
                    figures |= similarity(images, target)
                    if images is block.output and block.styled is not None:
                        figures["style_l1"] = _l1(block.styled, target)
                case "colours":
                    figures["colour_spread"] = colour_spread(images)
                case "classes":
                    chalk = self.translator.task.target == "input"
                    figures |= classes(images, block.rows, digits, chalk)
        if self.distances:
            features = self.extractor.run(images)[0][: block.n]
        figures = {name: values[: block.n] for name, values in figures.items()}
        found.add(figures, features)


def similarity(images, target) -> dict[str, np.ndarray]:
    """Of uint8 images `[B, H, W, C]` and their targets, `[B]` each.

    Mean absolute distance in 0 ... 1, PSNR in dB and SSIM; of colours also the latter
    two of luma Y (of full range, edges included). A PSNR counts as 58.9 at most, that
    of rounding to 8 bits, so that a mean of several is finite.
    """
    found = {
        "l1": _l1(images, target),
        "psnr": _psnr(images, target),
        "ssim": metrics.ssim(images, target),
    }
    if images.shape[-1] == 3:
        a, b = ((x @ TO_YIQ[0])[..., None] for x in (images, target))
        found |= {"psnr_y": _psnr(a, b), "ssim_y": metrics.ssim(a, b)}
    return found


def _l1(a, b):
    return np.abs(a.astype(np.int16) - b).mean((1, 2, 3)) / 255


def _psnr(a, b):
    return np.minimum(metrics.psnr(a, b), ROUNDING)


def colour_spread(images) -> np.ndarray:
    """Root mean square distance of an image's pixels from gray in YIQ, `[B]`.

    Of colours that are the mean of what might be, as least distances make them, it is
    too small (Zhang et al., 2016, arXiv:1603.08511, section 1).
    """
    chroma = images / 255 @ TO_YIQ[1:].T
    return np.sqrt(np.square(chroma).sum(-1).mean((1, 2)))


def classes(images, rows, of_digits: Extractor, chalk=False) -> dict[str, np.ndarray]:
    """Whether painted digits, or such in chalk, are as they should be, `[B]` each.

    Args:
        images: uint8 `[B, 32, 32, 3]`.
        rows: with `label`, what digit was meant; with `map`, where ink of which class.
        of_digits: the classifier of digits.
        chalk: read them so.
    """
    reading, found = painted.read(images), {}
    if "label" in rows:
        digits = painted.chalk(images) if chalk else reading.digit
        _, logits = of_digits.run(digits)
        found["digit_accuracy"] = np.argmax(logits, 1) == rows["label"]
        if not chalk:
            found["colour_accuracy"] = reading.ink == rows["label"]
    if "map" in rows:
        right = reading.map == rows["map"]
        found["map_accuracy"] = right.mean((1, 2))
        ink = (reading.map > 0) | (rows["map"] > 0)
        found["ink_iou"] = (right & ink).sum((1, 2)) / ink.sum((1, 2)).clip(1)
    return found


def compare(comparison: Comparison, state) -> dict:
    """Each figure of translations, of answers without learning and of real images.

    Where styles are taken, `style_l1` is the distance from the target of a translation
    in the target's own style, beside the `l1` of one in a random style.

    Returns:
        "metrics": by figure `{"value", "error", "plain", "real"}`, None for what there
        is not; the error is a standard error, of distances a rough one. Beside them the
        counts, the data, the reference, the extractor and "notes".
    """
    c = comparison
    found, real = c.run(state), c.real()
    table = {column: of.means() for column, of in found.items()}
    errors, notes = found["value"].errors(), []
    if c.distances:
        for column, of in found.items():
            args = c.extractor, real, of.seen(), c.distances
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                table[column] |= evaluation.measure(*args)
            if column == "value":
                errors |= evaluation.errors(*args)
                notes += [str(warning.message) for warning in caught]
        if c.reference is c.dataset:
            notes.append("Distances are between halves of these images.")
    figures = {
        name: {
            "value": _finite(value),
            "error": _finite(errors[name]),
            "plain": _finite(table["plain"].get(name)),
            "real": _finite(table["real"].get(name)),
        }
        for name, value in table["value"].items()
    }
    return {
        "metrics": figures,
        "counts": {"images": found["value"].count},
        "data": c.dataset.name,
        "reference": c.reference.name,
        "extractor": evaluation.described(c.extractor),
        "notes": notes,
    }


def _finite(value):
    return value if value is not None and math.isfinite(value) else None


def judge(comparison: Comparison) -> evaluation.Judge:
    """Follows a run by what it makes of the same images each time."""
    c = comparison
    real = functools.cache(c.real)

    def figures(state):
        found = c.run(state, ("value",))["value"]
        if not c.distances:
            return found.means()
        far = evaluation.measure(c.extractor, real(), found.seen(), c.distances)
        first = c.names[0] in c.distances
        return far | found.means() if first else found.means() | far

    figure = f"{c.names[0]} of {c.num} by {c.extractor.name} {c.extractor.digest}"
    return evaluation.Judge(figure, c.names[0] in LOWER_IS_BETTER, figures)


def _painted(dataset):
    return dataset.name in PAINTED and dataset.shape == painted.SHAPE
