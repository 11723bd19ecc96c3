"""Measures of a trained run: its samples against real images, by one extractor.

Every figure comes with its error, its floor (the same measure of real images against
others) and its ceiling (of uniform noise).
"""

import warnings
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
from tqdm import tqdm

from jaxgan import metrics
from jaxgan.data import Dataset
from jaxgan.metrics import inception, mnist, weights
from jaxgan.types import UsageError

METRICS = ("fd", "kid", "score", "prdc", "classes")
PARTS = 4
BATCH = 200


class Extractor(NamedTuple):
    """What images are compared by."""

    name: str
    distance: str
    """What a Fréchet distance of its features is called."""
    kernel: str
    """What a kernel distance of its features is called."""
    score: str
    """What the Inception Score of its logits is called."""
    digest: str
    """SHA-256 of its weights."""
    variables: dict
    """Its weights."""
    run: Callable
    """`(variables, uint8 [B, H, W, C]) -> (features [B, D], logits [B, K])`, traced."""


def mnist_extractor() -> Extractor:
    """The packaged classifier of digits; its distance is `fd_mnist`, never FID."""
    names = "mnist", "fd_mnist", "kd_mnist", "score_mnist"
    digest = weights.sha256(mnist.WEIGHTS)
    return Extractor(*names, digest, mnist.weights(), mnist.classify)


def inception_extractor(path: str) -> Extractor:
    """The Inception network of FID, from the user's file of its weights.

    Raises:
        UsageError: the file is not that one.
    """
    digest = weights.sha256(path)
    if digest != inception.SHA256:
        raise UsageError(
            f"--inception-weights {path} has SHA-256 {digest[:8]}..., not "
            f"{inception.SHA256[:8]}...: it is not weights-inception-2015-12-05."
        )
    params = {k: v for k, v in weights.state_dict(path).items() if v.ndim}

    def run(params, images):
        out = inception.layers(params, images)
        return out["2048"], out["logits_unbiased"]

    image = jax.ShapeDtypeStruct((1, inception.SIZE, inception.SIZE, 3), "uint8")
    try:
        jax.eval_shape(run, params, image)
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"--inception-weights {path} is not the Inception network: {error!r}."
        ) from None
    names = "inception-2015-12-05", "fid", "kid", "inception_score"
    return Extractor(*names, digest, params, run)


def extractor(inception_weights: str | None, shape) -> Extractor:
    """Inception where its weights are given, else the classifier of digits.

    Raises:
        UsageError: images of `shape` (H, W, C) are no digits, and no weights are given.
    """
    if inception_weights:
        return inception_extractor(inception_weights)
    if tuple(shape) != mnist.SHAPE:
        raise UsageError(
            f"Images of {'x'.join(map(str, shape))} are judged by the Inception "
            "network: give --inception-weights, the file "
            "weights-inception-2015-12-05-6726825d.pth of torch-fidelity's releases."
        )
    return mnist_extractor()


class Features(NamedTuple):
    """What an extractor says of images."""

    features: np.ndarray
    """[N, D]"""
    logits: np.ndarray
    """[N, K]"""

    def rows(self, index):
        return Features(self.features[index], self.logits[index])


def extract(extractor: Extractor, images: Callable, num: int, label: str) -> Features:
    """Runs the extractor.

    Args:
        extractor: the network.
        images: indices `[B]` -> uint8 `[B, H, W, C]`.
        num: how many, indices 0 ... num - 1.
        label: of the progress bar.
    """
    run, found = jax.jit(extractor.run), []
    with tqdm(total=num, desc=label, unit="image", leave=False) as bar:
        for i in range(0, num, BATCH):
            n = min(BATCH, num - i)
            # The last block is filled up, so that one program serves all.
            index = np.minimum(np.arange(i, i + BATCH), num - 1)
            found.append(
                [np.asarray(x)[:n] for x in run(extractor.variables, images(index))]
            )
            bar.update(n)
    return Features(*map(np.concatenate, zip(*found, strict=True)))


def measure(
    extractor, real: Features, fake: Features, names, seed=0
) -> dict[str, float]:
    """The figures of `names`, from METRICS, as this extractor's are called."""
    out = {}
    if "fd" in names:
        out[extractor.distance] = metrics.frechet_distance(
            metrics.moments(fake.features), metrics.moments(real.features)
        )
    if "kid" in names:
        size = min(1000, len(real.features), len(fake.features))
        out[extractor.kernel] = metrics.kid(
            fake.features, real.features, 20, size, seed=seed
        )[0]
    if "score" in names:
        splits = min(10, len(fake.logits))
        out[extractor.score] = metrics.inception_score(fake.logits, splits, seed)[0]
    if "prdc" in names:
        out |= metrics.prdc(real.features, fake.features)._asdict()
    if "classes" in names:
        shares = metrics.class_shares(fake.logits.argmax(1), fake.logits.shape[1])
        out["class_entropy"] = metrics.entropy(shares)
        out["least_class_share"] = float(shares.min())
    return out


def report(extractor, samples, real, others, noise, names) -> dict[str, dict]:
    """Each figure of the samples, its error, floor and ceiling.

    Args:
        extractor: that made the features.
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
    n = len(samples.features)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # their bias cancels in a spread
        quarters = [
            measure(extractor, real, samples.rows(slice(i, n, PARTS)), names)
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
    images: np.ndarray,
    reference: Dataset,
    others: Dataset | None,
    extractor: Extractor,
    names: tuple[str, ...] = METRICS,
    seed: int = 0,
) -> dict:
    """Compares images with real ones.

    Args:
        images: uint8 `[N, H, W, C]`, N at least 100.
        reference: real images, of which up to N are taken at random.
        others: more of them, for the floor; None takes half of the reference.
        extractor: what they are compared by.
        names: from METRICS.
        seed: decides which real images are taken.

    Returns:
        `report`'s figures under "metrics", and beside them the counts and the
        extractor.

    Raises:
        UsageError: there are too few images, or they are of another shape.
    """
    num = len(images)
    if num < 100:
        raise UsageError(f"--num {num} must be 100 or more, or figures say nothing.")
    if reference.shape != images.shape[1:]:
        raise UsageError(
            f"--reference {reference.name} has images of {reference.shape}, the run "
            f"of {images.shape[1:]}."
        )
    rng = np.random.default_rng(seed)
    order = rng.permutation(reference.size)
    if others is None:
        half = reference.size // 2
        taken, left = order[:half][:num], order[half:][:num]
        others = reference
    else:
        taken, left = order[:num], rng.permutation(others.size)[:num]
    noise = rng.integers(0, 256, (min(num, 2000), *images.shape[1:]), np.uint8)

    def fetch(dataset, index):
        return lambda i: dataset.fetch(index[i])["image"]

    sets = {
        "samples": (images.__getitem__, num),
        "real": (fetch(reference, taken), len(taken)),
        "more real": (fetch(others, left), len(left)),
        "noise": (noise.__getitem__, len(noise)),
    }
    found = [extract(extractor, f, n, label) for label, (f, n) in sets.items()]
    return {
        "metrics": report(extractor, *found, names),
        "counts": {label: n for label, (_, n) in sets.items()},
        "reference": reference.name,
        "extractor": {"name": extractor.name, "sha256": extractor.digest},
    }


def table(result: dict) -> str:
    """The figures for people."""
    lines = [f"{'':20}{'value':>10}{'error':>10}{'floor':>10}{'ceiling':>10}"]
    for name, figures in result["metrics"].items():
        lines.append(f"{name:20}" + "".join(f"{v:10.4g}" for v in figures.values()))
    counts = ", ".join(f"{n} {label}" for label, n in result["counts"].items())
    lines.append(
        f"By {result['extractor']['name']}, against {result['reference']}: {counts}."
    )
    return "\n".join(lines)
