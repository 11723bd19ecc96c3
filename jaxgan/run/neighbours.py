"""The command `neighbours`: samples, and the training images that are nearest."""

import dataclasses
from typing import Annotated

import numpy as np

from jaxgan import data, visual
from jaxgan.metrics import copies
from jaxgan.run import draws, images, inputs, marks, provenance
from jaxgan.run.loading import Loaded
from jaxgan.run.progress import bars
from jaxgan.run.settings import FILE, Count, Seed
from jaxgan.run.trained import Trained, of_noise
from jaxgan.types import UsageError

__all__ = ["Neighbours", "check", "neighbours"]

BLOCK = 1000
"""Training images that are fetched at a time."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Neighbours(Trained):
    """Draw samples beside the two training images that are nearest to each in pixels,
    those that are most like copies first: the nearest beside the second by distance."""

    num: Count = 1000
    """How many samples are looked at; evaluate --metrics copies has their share."""
    rows: Count = 20
    """How many are shown: sample | nearest | second."""
    out: Annotated[str, FILE] = "neighbours.png"
    """The PNG to write, three samples to a row."""
    npz: Annotated[str | None, FILE] = None
    """Also write, of all in this order, the `images`, and of the two nearest `index`
    [N, 2] in the training images and `distance` [N, 2], root mean square of pixels in
    0 ... 1."""
    seed: Seed = 0
    """Decides the samples."""


def check(options: Neighbours) -> None:
    """Refuses what cannot be written, before anything is loaded."""
    images.check(options.out, options.npz)


def neighbours(options: Neighbours, loaded: Loaded) -> None:
    """Writes the sheet, and says how many are copies."""
    name, of = of_noise(loaded)
    real = inputs.trained_on(loaded.run.config, sources=loaded.sources)
    if real.size < 3:
        reason = f"has {real.size} images; the two nearest of others take 3 or more."
        raise UsageError("data", real.name, reason)
    labels = None
    if "label" in of.task.needs:
        labels = draws.labels_like(real, options.num, options.seed)
    args = loaded.model, loaded.state, options.num, options.seed
    named = {"num_classes": loaded.num_classes, "labels": labels, "name": name}
    drawn, _ = draws.draw(*args, **named)
    order = np.random.default_rng(options.seed).permutation(real.size)
    parts = [order[i : i + BLOCK] for i in range(0, real.size, BLOCK)]
    known = [
        copies.small(data.eight_bits(real.fetch(rows))["image"])
        for rows in bars(parts, len(parts), "training images")
    ]
    pixels = np.concatenate(known)
    usual = copies.limits(pixels)
    found = copies.nearest(copies.small(drawn), pixels)
    copied = copies.are_copies(found, usual)
    first = np.lexsort((found.distance[:, 0], found.ratio))
    index = order[found.index]
    strips = []
    for i in first[: options.rows]:
        beside = data.eight_bits(real.fetch(index[i]))["image"]
        strips.append(visual.grid(np.stack([drawn[i], *beside]), 3))
    source = {"source": marks.COMPOSITE}  # real images are on the sheet
    about = provenance.by_command("neighbours", options, loaded, **source)
    images.write_sheet(np.stack(strips), options.out, 3, 8, about)
    if options.npz:
        kept = {"index": index[first], "distance": found.distance[first]}
        images.write_npz(options.npz, {"images": drawn[first]} | kept, about)
    error = copied.std() / len(copied) ** 0.5
    said = f"{copied.mean():.2%} ± {error:.2%} of {len(copied)} samples"
    print(
        f"Copies: {said}, by pixels: the nearest training image is at most "
        f"{usual.ratio:.2f} as far as the second, or {usual.distance / 2:.4f}. "
        f"In {options.out}."
    )
