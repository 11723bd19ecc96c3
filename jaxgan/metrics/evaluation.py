"""Measures of samples against real images, by one extractor.

Samples, real images and noise are all a `Dataset`, seen in a random order. Every figure
comes with its error, its floor (the same measure of real images against others) and its
ceiling (of uniform noise).
"""

import contextlib
import functools
import hashlib
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from jaxgan import __version__, metrics
from jaxgan.data import Dataset, blocks, make
from jaxgan.metrics.extractors import Extractor
from jaxgan.metrics.similarity import WINDOW
from jaxgan.types import UsageError

LOWER_IS_BETTER = ("fd", "kid", "diversity")
LEAST = 100
PARTS = 4
PICTURES = 1000
"""Images that diversity is measured of."""
NOISE = 2500
"""Images of noise, at most: more than Inception has features."""


@dataclass(frozen=True)
class Seen:
    """A set of images as an extractor sees it, in random order."""

    features: np.ndarray
    """[N, D]"""
    logits: np.ndarray | None
    """[N, K]"""
    pictures: np.ndarray
    """uint8 `[min(N, PICTURES), H, W, C]`, the first of them, or none."""

    def part(self, i: int, of: int) -> "Seen":
        sets = self.features, self.logits, self.pictures
        return Seen(*(None if x is None else x[i::of] for x in sets))

    @functools.cached_property
    def moments(self) -> metrics.Moments:
        return metrics.moments(self.features)

    @functools.cached_property
    def radii(self) -> np.ndarray:
        return metrics.radii(self.features)


def see(
    extractor: Extractor,
    dataset: Dataset,
    index: np.ndarray,
    label: str,
    cache: Path | None = None,
    pictures: bool = True,
) -> Seen:
    """Runs the extractor.

    Args:
        extractor: what looks.
        dataset: where the images come from.
        index: which of them, int `[N]`, in random order.
        label: of the progress bar.
        cache: a folder where features are kept under the hash of the images and of
            the extractor's weights, and found again; None to do without.
        pictures: whether to keep some of the images too.
    """
    kept = np.zeros((0, *dataset.shape), np.uint8)
    if pictures:
        kept = dataset.fetch(index[:PICTURES])["image"]
    file = cache and extractor.digest and _cached(extractor, dataset, index, cache)
    if file and file.exists():
        try:
            with file.open("rb") as opened, np.load(opened) as arrays:
                return Seen(arrays["features"], arrays.get("logits"), kept)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            file.unlink()  # cut short; it is made anew
    found = []
    with tqdm(total=len(index), desc=label, unit="image", leave=False) as bar:
        for rows, n in blocks(index, extractor.block):
            out = extractor.run(dataset.fetch(rows)["image"])
            found.append([None if x is None else np.asarray(x)[:n] for x in out])
            bar.update(n)
    features, logits = zip(*found, strict=True)
    features = np.concatenate(features)
    logits = None if logits[0] is None else np.concatenate(logits)
    if file:
        _keep(file, features, logits)
    return Seen(features, logits, kept)


def _cached(extractor, dataset, index, cache):
    content = hashlib.sha256(f"{__version__} {extractor.digest}".encode())
    for rows, n in blocks(index, extractor.block):
        images = dataset.fetch(rows)["image"][:n]
        content.update(f"{images.shape}".encode() + images.tobytes())
    return cache / f"{content.hexdigest()}.npz"


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


def check(
    extractor: Extractor, names, num: int, shape, *references: Dataset, option="--"
) -> None:
    """Refuses what cannot be measured.

    Args:
        extractor: what images are compared by.
        names: of metrics.
        num: how many samples.
        shape: (H, W, C) of them.
        *references: real images.
        option: begins the names of options.

    Raises:
        UsageError: there are too few images, they differ in shape or do not suit the
            extractor, or it has no such metric.
    """
    here = f"by {extractor.name} there are {', '.join(extractor.metrics)}"
    if not names:
        raise UsageError(f"{option}metrics names none: {here}.")
    for name in names:
        if name not in extractor.metrics:
            raise UsageError(f"{option}metrics {name}: {here}.")
    if num < LEAST:
        raise UsageError(f"{option}num {num} must be {LEAST} or more.")
    if "diversity" in names and min(shape[:2]) < WINDOW:
        raise UsageError(
            f"{option}metrics diversity needs images of {WINDOW} pixels or more each "
            f"way, not {shape[0]}x{shape[1]}."
        )
    for dataset in references:
        if dataset.size < LEAST:
            raise UsageError(
                f"{dataset.name} has {dataset.size} images; figures say nothing below "
                f"{LEAST}."
            )
        if dataset.shape != tuple(shape):
            raise UsageError(
                f"--reference {dataset.name} has images of {dataset.shape}, the "
                f"samples of {tuple(shape)}."
            )
    if extractor.shape not in (None, tuple(shape)):
        raise UsageError(
            f"Images of {shape} cannot be compared by {extractor.name}, which takes "
            f"{extractor.shape}."
        )


def measure(extractor, real: Seen | None, fake: Seen, names, seed=0) -> dict:
    """The figures of `names` (`config.Metric`), in order, as `extractor` has them.

    Those that compare with nothing ("score", "classes", "diversity") need no `real`.
    """
    of, out = extractor, {}
    for name in names:
        match name:
            case "fd":
                distance = metrics.frechet_distance(fake.moments, real.moments)
                out[of.distance] = distance
            case "kid":
                size = min(1000, len(real.features), len(fake.features))
                found = metrics.kid(fake.features, real.features, 20, size, seed=seed)
                out[of.kernel] = found[0]
            case "score":
                splits = min(10, len(fake.logits))
                out[of.score] = metrics.inception_score(fake.logits, splits, seed)[0]
            case "prdc":
                radii = real.radii
                found = metrics.prdc(real.features, fake.features, real_radii=radii)
                out |= found._asdict()
            case "classes":
                labels, classes = fake.logits.argmax(1), fake.logits.shape[1]
                shares = metrics.class_shares(labels, classes)
                out["class_entropy"] = metrics.entropy(shares)
                out["modes"] = int((shares > 0).sum())
                out["reverse_kl"] = metrics.reverse_kl(shares)
                out["least_class_share"] = float(shares.min())
            case "diversity":
                pairs = len(fake.pictures)
                out["ms_ssim"] = metrics.diversity(fake.pictures, pairs, seed)
    return out


def report(extractor, samples, real, others, noise, names) -> tuple[dict, list[str]]:
    """Each figure of the samples, its error, floor and ceiling.

    Args:
        extractor: that has seen them.
        samples: of the run.
        real: of the reference.
        others: of more real images, for the floor.
        noise: of uniform noise, for the ceiling.
        names: from `config.Metric`.

    Returns:
        For each figure `{"value", "error", "floor", "ceiling"}`, and notes on them. The
        error is half the deviation over the four quarters of the samples: a rough
        standard error.
    """
    jobs = {"value": samples, "floor": others, "ceiling": noise}
    found, notes = {}, []
    for job, seen in tqdm(jobs.items(), desc="measuring", leave=False):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found[job] = measure(extractor, real, seen, names)
        if job != "ceiling":  # which is no estimate
            notes += [f"{job.capitalize()}: {w.message}" for w in caught]
    rough = errors(extractor, real, samples, names)
    figures = {
        name: {
            "value": found["value"][name],
            "error": rough[name],
            "floor": found["floor"][name],
            "ceiling": found["ceiling"][name],
        }
        for name in found["value"]
    }
    return figures, notes


def errors(extractor, real: Seen | None, fake: Seen, names) -> dict:
    """Half the deviation over four quarters: a rough standard error of each figure."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # quarters are no estimates
        quarters = [
            measure(extractor, real, fake.part(i, PARTS), names) for i in range(PARTS)
        ]
    spread = {k: np.std([q[k] for q in quarters], ddof=1) for k in quarters[0]}
    return {name: float(value / PARTS**0.5) for name, value in spread.items()}


def described(extractor: Extractor) -> dict:
    """An extractor, for JSON."""
    return {
        "name": extractor.name,
        "sha256": extractor.digest,
        "resize": extractor.resize,
    }


def evaluate(
    samples: Dataset,
    reference: Dataset,
    others: Dataset | None,
    extractor: Extractor,
    names: tuple[str, ...] | None = None,
    num: int = 10000,
    seed: int = 0,
    cache: Path | None = None,
) -> dict:
    """Compares samples with real images.

    Args:
        samples: such as `sampling.samples` or `data.load("npz:FILE")`.
        reference: real images.
        others: more of them, for the floor; None takes half of the reference.
        extractor: what they are compared by.
        names: from `config.Metric`; None for all that the extractor has and that fit.
        num: how many of each at most, 100 or more.
        seed: decides which.
        cache: where features of real images are kept; see `see`.

    Returns:
        `report`'s figures under "metrics", and beside them the counts, the reference,
        the extractor, and "notes", sentences on what the figures lack.

    Raises:
        UsageError: see `check`.
    """
    names = fitting(extractor, samples.shape) if names is None else names
    check(extractor, names, num, samples.shape, samples, reference, others or reference)
    num = min(num, samples.size)  # of each, or the floor would not be comparable
    rng = np.random.default_rng(seed)
    order = rng.permutation(reference.size)
    notes = [*reference.notes, *(others.notes if others else ())]
    if others is None:
        others, half = reference, reference.size // 2
        taken, left = order[:half][:num], order[half:][:num]
        notes.append(f"Real images and those of the floor are halves of {others.name}.")
    else:
        taken, left = order[:num], rng.permutation(others.size)[:num]
    if len(left) < num:
        notes.append(
            f"The floor is of {len(left)} images, the value of {num}: with as many, "
            "the floor would be nearer its ideal."
        )
    noise = _noise(reference.shape, min(num, NOISE), seed)
    sets = {
        "samples": (samples, rng.permutation(samples.size)[:num], None),
        "real": (reference, taken, cache),
        "more real": (others, left, cache),
        "noise": (noise, np.arange(noise.size), cache),
    }
    pictures = "diversity" in names
    seen = {
        label: see(extractor, dataset, index, label, cache, pictures)
        for label, (dataset, index, cache) in sets.items()
    }
    figures, more = report(extractor, *seen.values(), names)
    return {
        "metrics": figures,
        "counts": {label: len(s.features) for label, s in seen.items()},
        "reference": reference.name,
        "extractor": described(extractor),
        "notes": notes + more,
    }


def fitting(extractor: Extractor, shape) -> tuple[str, ...]:
    """The extractor's metrics, without those that need larger images."""
    small = min(shape[:2]) < WINDOW
    return tuple(n for n in extractor.metrics if not (small and n == "diversity"))


def _noise(shape, num, seed) -> Dataset:
    images = np.random.default_rng(seed).integers(0, 256, (num, *shape), np.uint8)
    return make("noise", images.__getitem__, num, shape)


class Judge(NamedTuple):
    """What follows a run."""

    figure: str
    """What the first figure is of, in all that decides it."""
    lower_is_better: bool
    """Whether so is the first figure."""
    of: Callable
    """`samples (Dataset) -> {name: float}`, the figures in the order of the metrics."""


def judge(
    extractor: Extractor,
    reference: Dataset,
    names: tuple[str, ...],
    num: int,
    seed: int = 0,
    cache: Path | None = None,
) -> Judge:
    """Measures samples against the same real images each time, to follow a run.

    Arguments and errors as `evaluate`; the samples must be as many as `num`.
    """
    check(extractor, names, num, reference.shape, reference, option="--evaluate-")
    order = np.random.default_rng(seed).permutation(max(num, reference.size))
    pictures = "diversity" in names

    @functools.cache
    def real():
        taken = order[order < reference.size][:num]
        return see(extractor, reference, taken, "real", cache, False)

    def figures(samples):
        index = order[order < num]
        fake = see(extractor, samples, index, "samples", None, pictures)
        compares = {"fd", "kid", "prdc"} & set(names)
        return measure(extractor, real() if compares else None, fake, names)

    figure = f"{names[0]} of {num} by {extractor.name} {extractor.digest}"
    return Judge(figure, names[0] in LOWER_IS_BETTER, figures)


def table(result: dict) -> str:
    """The figures for people."""
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
