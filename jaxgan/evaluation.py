"""Measures of samples against real images, by one extractor.

Samples, real images and noise are all a `Dataset`, seen in a random order. Every figure
comes with its error, its floor (the same measure of real images against others) and its
ceiling (of uniform noise).
"""

import functools
import hashlib
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from jaxgan import __version__, metrics
from jaxgan.data import Dataset, blocks, make
from jaxgan.extractors import Extractor
from jaxgan.types import UsageError

METRICS = ("fd", "kid", "score", "prdc", "classes", "diversity")
LOWER_IS_BETTER = ("fd", "kid", "diversity")
LEAST = 100
PARTS = 4
PICTURES = 1000
"""Images that diversity is measured of."""


@dataclass(frozen=True)
class Seen:
    """A set of images as an extractor sees it, in random order."""

    features: np.ndarray
    """[N, D]"""
    logits: np.ndarray | None
    """[N, K]"""
    pictures: np.ndarray
    """uint8 `[min(N, PICTURES), H, W, C]`, the first of them."""

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
) -> Seen:
    """Runs the extractor.

    Args:
        extractor: what looks.
        dataset: where the images come from.
        index: which of them, int `[N]`, in random order.
        label: of the progress bar.
        cache: a folder where features are kept under the hash of the images and of
            the extractor's weights, and found again; None to do without.
    """
    pictures = dataset.fetch(index[:PICTURES])["image"]
    file = cache and extractor.digest and _cached(extractor, dataset, index, cache)
    if file and file.exists():
        try:
            with file.open("rb") as opened, np.load(opened) as kept:
                return Seen(kept["features"], kept.get("logits"), pictures)
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
    return Seen(features, logits, pictures)


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
        warnings.warn(
            f"Features are not kept in {file.parent}: {error.strerror}.", stacklevel=3
        )


def check(extractor: Extractor, names, num: int, *sets: Dataset, option="--") -> None:
    """Refuses what cannot be measured; `option` begins the names of its options.

    Raises:
        UsageError: there are too few images, they are of another shape than the first
            set's, or the extractor has no such metric.
    """
    for name in names:
        if name not in extractor.metrics:
            raise UsageError(
                f"{option}metrics {name}: by {extractor.name} there are "
                f"{', '.join(extractor.metrics)}."
            )
    if num < LEAST:
        raise UsageError(f"{option}num {num} must be {LEAST} or more.")
    for dataset in sets:
        if dataset.size < LEAST:
            raise UsageError(
                f"{dataset.name} has {dataset.size} images; figures say nothing below "
                f"{LEAST}."
            )
        if dataset.shape != sets[0].shape:
            raise UsageError(
                f"--reference {dataset.name} has images of {dataset.shape}, the "
                f"samples of {sets[0].shape}."
            )


def measure(extractor, real: Seen, fake: Seen, names, seed=0) -> dict[str, float]:
    """The figures of `names`, from METRICS, as this extractor's are called."""
    out = {}
    if "fd" in names:
        out[extractor.distance] = metrics.frechet_distance(fake.moments, real.moments)
    if "kid" in names:
        size = min(1000, len(real.features), len(fake.features))
        out[extractor.kernel] = metrics.kid(
            fake.features, real.features, 20, size, seed=seed
        )[0]
    if "score" in names:
        splits = min(10, len(fake.logits))
        out[extractor.score] = metrics.inception_score(fake.logits, splits, seed)[0]
    if "prdc" in names:
        found = metrics.prdc(real.features, fake.features, real_radii=real.radii)
        out |= found._asdict()
    if "classes" in names:
        shares = metrics.class_shares(fake.logits.argmax(1), fake.logits.shape[1])
        out["class_entropy"] = metrics.entropy(shares)
        out["least_class_share"] = float(shares.min())
    if "diversity" in names:
        out["ms_ssim"] = metrics.diversity(fake.pictures, seed=seed)
    return out


def report(extractor, samples, real, others, noise, names) -> dict[str, dict]:
    """Each figure of the samples, its error, floor and ceiling.

    Args:
        extractor: that has seen them.
        samples: of the run.
        real: of the reference.
        others: of more real images, for the floor.
        noise: of uniform noise, for the ceiling.
        names: from METRICS.

    Returns:
        For each figure `{"value", "error", "floor", "ceiling"}`; the error is the
        standard error that the four quarters of the samples suggest.
    """
    value = measure(extractor, real, samples, names)
    floor = measure(extractor, real, others, names)
    ceiling = measure(extractor, real, noise, names)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # their bias cancels in a spread
        quarters = [
            measure(extractor, real, samples.part(i, PARTS), names)
            for i in range(PARTS)
        ]
    spread = {k: np.std([q[k] for q in quarters], ddof=1) for k in value}
    return {
        name: {
            "value": value[name],
            "error": float(spread[name] / PARTS**0.5),
            "floor": floor[name],
            "ceiling": ceiling[name],
        }
        for name in value
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
        names: from METRICS; None for all that the extractor has.
        num: how many of each at most, 100 or more.
        seed: decides which.
        cache: where features of real images are kept; see `see`.

    Returns:
        `report`'s figures under "metrics", and beside them the counts, the reference,
        the extractor, and "notes", sentences on what the figures lack.

    Raises:
        UsageError: there are too few images, they are of another shape, or the
            extractor has no such metric.
    """
    names = extractor.metrics if names is None else names
    check(extractor, names, num, samples, reference, others or reference)
    num = min(num, samples.size)  # of each, or the floor would not be comparable
    rng = np.random.default_rng(seed)
    order = rng.permutation(reference.size)
    if others is None:
        others, half = reference, reference.size // 2
        taken, left = order[:half][:num], order[half:][:num]
    else:
        taken, left = order[:num], rng.permutation(others.size)[:num]
    ours = rng.permutation(samples.size)[:num]
    noise = _noise(reference.shape, min(num, 2000), seed)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        seen = (
            see(extractor, samples, ours, "samples"),
            see(extractor, reference, taken, "real", cache),
            see(extractor, others, left, "more real", cache),
            see(extractor, noise, np.arange(noise.size), "noise", cache),
        )
        figures = report(extractor, *seen, names)
    labels = ("samples", "real", "more real", "noise")
    return {
        "metrics": figures,
        "counts": {k: len(s.features) for k, s in zip(labels, seen, strict=True)},
        "reference": reference.name,
        "extractor": {
            "name": extractor.name,
            "sha256": extractor.digest,
            "resize": extractor.resize,
        },
        "notes": sorted({str(w.message) for w in caught}),
    }


def _noise(shape, num, seed) -> Dataset:
    images = np.random.default_rng(seed).integers(0, 256, (num, *shape), np.uint8)
    return make("noise", images.__getitem__, num, shape)


def judge(
    extractor: Extractor,
    reference: Dataset,
    names: tuple[str, ...],
    num: int,
    seed: int = 0,
    cache: Path | None = None,
) -> Callable[[Dataset], dict[str, float]]:
    """`samples -> figures` against the same real images each time, to follow a run.

    Arguments and errors as `evaluate`; the samples must be as many as `num`.
    """
    check(extractor, names, num, reference, option="--evaluate-")
    order = np.random.default_rng(seed).permutation(max(num, reference.size))

    @functools.cache
    def real():
        taken = order[order < reference.size][:num]
        return see(extractor, reference, taken, "real", cache)

    def figures(samples):
        fake = see(extractor, samples, order[order < num], "samples")
        return measure(extractor, real(), fake, names)

    return figures


def table(result: dict) -> str:
    """The figures for people."""
    lines = [f"{'':20}{'value':>10}{'error':>10}{'floor':>10}{'ceiling':>10}"]
    for name, figures in result["metrics"].items():
        lines.append(f"{name:20}" + "".join(f"{v:10.4g}" for v in figures.values()))
    counts = ", ".join(f"{n} {label}" for label, n in result["counts"].items())
    lines.append(
        f"By {result['extractor']['name']}, against {result['reference']}: {counts}."
    )
    return "\n".join(lines + result["notes"])
