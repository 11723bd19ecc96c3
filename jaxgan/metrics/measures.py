"""The measures, each a value: all that asks, checks, helps and reports is made of them.

A measure of your own stands beside them:

    measures = (*MEASURES, Measure("light", "mean light", of_each=light))
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxgan.data.painted import TO_YIQ
from jaxgan.metrics import classes, copies, modes, painted, similarity, tones
from jaxgan.metrics.frechet import frechet_distance
from jaxgan.metrics.kernel import kid
from jaxgan.metrics.neighbours import prdc

if TYPE_CHECKING:
    from jaxgan.metrics.extractors import Extractor
    from jaxgan.metrics.seen import Seen

__all__ = ["MEASURES", "Measure", "colour_spread", "help_text", "of_neighbours"]

Figures = dict[str, float]

SUBSETS = 100
"""Of KID, as in its authors' code; a quarter of them of a quarter of the samples."""

OF_EXTRACTORS = frozenset({"features", "logits", "classes"})
OF_IMAGES = frozenset({"pictures", "pixels", "reference"})


class Measure(NamedTuple):
    """One figure, or several that are found together, of a set of images.

    Several measures may have one name: of those that are asked for by it, the ones that
    suit the images are taken.
    """

    name: str
    """By which it is asked for."""
    help: str
    """What it is, in a few words without a full stop."""
    needs: tuple[str, ...] = ()
    """What it looks at: "features", "logits" or "classes" of an extractor; "pictures",
    some of the images together; "pixels", all of them, small; "reference", real images
    to compare with; or fields of rows: "target", "label", "map"."""
    lower_is_better: bool | None = None
    """Whether so is its first figure; None where neither more nor less is better."""
    of_set: "Callable[[Seen, Seen | None, Extractor, int], Figures] | None" = None
    """`(seen, real, extractor, seed) -> {figure: float}`, of all images together."""
    of_each: "Callable[[dict, Extractor], dict] | None" = None
    """`(rows, extractor) -> {figure: [B]}`, of each image, which are averaged. In rows
    are "image", uint8 `[B, H, W, C]`, and the fields that it needs."""
    beside: "Callable[[Seen, Seen], dict] | None" = None
    """`(seen, real) -> {figure: [N]}`, of each image beside the reference, which are
    averaged."""
    asked: bool = False
    """Whether it is measured only where it is named."""
    refuses: "Callable | None" = None
    """`images -> str or None`: why it says nothing of images of such a `shape` and
    `content`, for the sentence that begins with its name."""

    @property
    def fields(self) -> frozenset[str]:
        """What rows must have beside the image."""
        return frozenset(self.needs) - OF_EXTRACTORS - OF_IMAGES


def _fd(seen, real, extractor, seed):
    return {extractor.distance: frechet_distance(seen.moments, real.moments)}


def _kid(seen, real, extractor, seed):
    size = min(1000, len(real.features), len(seen.features))
    subsets = SUBSETS // 4 if seen.rough else SUBSETS
    mean, _ = kid(seen.features, real.features, subsets, size, seed=seed)
    return {extractor.kernel: mean}


def _score(seen, real, extractor, seed):
    splits = min(10, len(seen.logits))
    return {extractor.score: classes.inception_score(seen.logits, splits, seed)[0]}


def of_neighbours(seen, real, extractor, seed) -> Figures:
    """Precision, recall, density and coverage, as `Measure.of_set`."""
    return prdc(real.neighbours, seen.features, real_radii=real.radii)._asdict()


def _coverage(seen, real, extractor, seed):
    labels, count = seen.logits.argmax(1), seen.logits.shape[1]
    shares = classes.class_shares(labels, count)
    return {
        "class_entropy": classes.entropy(shares),
        "modes": int((shares > 0).sum()),
        "reverse_kl": modes.reverse_kl(shares),
        "least_class_share": float(shares.min()),
    }


def _copies(seen, real):
    found = copies.nearest(seen.pixels, real.pixels)
    return {
        "copies": copies.are_copies(found, real.usual).astype(float),
        "neighbour_ratio": found.ratio,
    }


def _diversity(seen, real, extractor, seed):
    pairs = len(seen.pictures)
    return {"ms_ssim": similarity.diversity(seen.pictures, pairs, seed)}


def _similarity(rows, extractor):
    found = similarity.full_reference(rows["image"], rows["target"])
    if "styled" in rows:
        distance = similarity.absolute_distance(rows["styled"], rows["target"])
        found["style_l1"] = distance
    return found


def colour_spread(images) -> np.ndarray:
    """Root mean square distance of an image's pixels from gray in YIQ, `[B]`.

    Of colours that are the mean of what might be, as least distances make them, it is
    too small (Zhang et al., 2016, arXiv:1603.08511, section 1).

    Args:
        images: uint8 `[B, H, W, 3]`.
    """
    chroma = images / 255 @ TO_YIQ[1:].T
    return np.sqrt(np.square(chroma).sum(-1).mean((1, 2)))


def _small(images):
    h, w = images.shape[:2]
    if min(h, w) < similarity.WINDOW:
        least = f"{similarity.WINDOW} pixels or more each way"
        return f"needs images of {least}, not {h}x{w}."
    return None


def _without_colours(images):
    return None if images.shape[2] == 3 else "needs images of red, green and blue."


def _shows(content: str) -> Callable:
    """Refuses images of anything else than these digits of 32x32."""

    def refuses(images):
        if (images.content, tuple(images.shape)) == (content, painted.SHAPE):
            return None
        return f"needs images of {content.replace('_', ' ')}."

    return refuses


def _not_of_tones(images):
    if images.content == "emoji_tones" and images.shape[2] == 3:
        return None
    return "needs images of emoji_tones, in colour."


RIGHT = "whether painted digits are as they should be"

MEASURES = (
    Measure("fd", "Fréchet distance", ("features", "reference"), True, _fd),
    Measure("kid", "kernel distance", ("features", "reference"), True, _kid),
    Measure("score", "Inception Score", ("logits",), False, _score),
    Measure(
        "prdc",
        "precision, recall, density and coverage",
        needs=("features", "reference"),
        lower_is_better=False,
        of_set=of_neighbours,
    ),
    Measure("classes", "the classes drawn", ("logits", "classes"), False, _coverage),
    Measure(
        "classes",
        RIGHT,
        needs=("label",),
        lower_is_better=False,
        of_each=lambda rows, _: painted.label_accuracy(rows["image"], rows["label"]),
        refuses=_shows("painted_digits"),
    ),
    Measure(
        "classes",
        RIGHT,
        needs=("label",),
        lower_is_better=False,
        of_each=lambda rows, _: painted.chalk_accuracy(rows["image"], rows["label"]),
        refuses=_shows("chalk_digits"),
    ),
    Measure(
        "classes",
        RIGHT,
        needs=("map",),
        lower_is_better=False,
        of_each=lambda rows, _: painted.map_accuracy(rows["image"], rows["map"]),
        refuses=_shows("painted_digits"),
    ),
    Measure(
        "classes",
        "whether emoji have the tone of skin asked for",
        needs=("label",),
        lower_is_better=False,
        of_each=lambda rows, _: tones.accuracy(rows["image"], rows["label"]),
        refuses=_not_of_tones,
    ),
    Measure(
        "diversity",
        "mean MS-SSIM of pairs",
        needs=("pictures",),
        lower_is_better=True,
        of_set=_diversity,
        refuses=_small,
    ),
    Measure(
        "copies",
        "share of copies of real images",
        needs=("pixels", "reference"),
        lower_is_better=True,
        beside=_copies,
        asked=True,
    ),
    Measure(
        "similarity",
        "nearness to the target (L1, PSNR, SSIM)",
        needs=("target",),
        lower_is_better=True,
        of_each=_similarity,
        refuses=_small,
    ),
    Measure(
        "colours",
        "how far from gray colours are",
        of_each=lambda rows, _: {"colour_spread": colour_spread(rows["image"])},
        refuses=_without_colours,
    ),
)
"""What there is; `fd` and `kid` are FID and KID on Inception's features."""


def help_text(measures: tuple[Measure, ...] = MEASURES) -> str:
    """What there is to measure, for a user: `fd (Fréchet distance), kid (...), ...`"""
    known: dict[str, dict[str, None]] = {}
    for one in measures:
        known.setdefault(one.name, {})[one.help] = None
    return ", ".join(f"{name} ({', or '.join(of)})" for name, of in known.items())
