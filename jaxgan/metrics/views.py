"""Which images a report is of, and in which order."""

from typing import Any, NamedTuple

import numpy as np

from jaxgan.data import Dataset, make

__all__ = ["NOISE", "View", "aligned", "followed", "independent", "noise"]

NOISE = 2500
"""Images of noise, at most: more than Inception has features."""


class View(NamedTuple):
    """Some images of a data set."""

    dataset: Dataset
    index: np.ndarray  # type: ignore[assignment]  # in place of tuple's, unused here


def independent(samples, reference, columns, num, seed, halved=False, most=None):
    """Which images are seen, by column, and notes: any of each, in random order.

    Of samples and of each column as many, or the floor would not be comparable; of the
    reference, which all of them are compared with, `most`, by default all.
    """
    num = min(num, samples.size)
    rng, notes = np.random.default_rng(seed), []
    order, half = rng.permutation(reference.size), reference.size // 2
    views: dict[str, Any] = {
        "samples": None,
        "reference": View(reference, order[:most]),
    }
    for name, other in columns.items():
        if other is not None:
            views[name] = View(other, rng.permutation(other.size)[:num])
        elif name == "ceiling":
            other = noise(reference.shape, min(num, NOISE), seed)
            views[name] = View(other, np.arange(other.size))
        else:
            views["reference"] = View(reference, order[:half][:most])
            views[name] = View(reference, order[half:][:num])
            notes.append(
                f"Real images and those of the {name} are halves of {reference.name}."
            )
        if name == "floor" and (found := len(views[name].index)) < num:
            notes.append(
                f"The floor is of {found} images, the value of {num}: with as many, "
                "the floor would be nearer its ideal."
            )
    views["samples"] = View(samples, rng.permutation(samples.size)[:num])
    return views, notes


def aligned(samples, reference, columns, num, seed, halved, most=None):
    """The same where row i is of one example in all data sets of one size."""
    here = {"samples": samples, **columns}
    notes = ["Distances are between halves of these images."] if halved else []
    views = {
        name: View(one, halves(one.size, seed, halved)[0][:num])
        for name, one in here.items()
    }
    order = halves(reference.size, seed, halved)[1][:most]
    views["reference"] = View(reference, order)
    return views, notes


def halves(size, seed, halved):
    """Rows that are measured, and rows that are compared with, in random order."""
    order = np.random.default_rng(seed).permutation(size)
    return (order[: size // 2], order[size // 2 :]) if halved else (order, order)


def followed(size, reference, num, seed, aligned, halved, most=None):
    """Which samples a run is followed by, of so many, and which of the reference's."""
    if aligned:
        here, there = (halves(n, seed, halved) for n in (size, reference))
        return here[0][:num], there[1][:most]
    order = np.random.default_rng(seed).permutation(max(num, reference))
    return order[order < num], order[order < reference][:most]


def noise(shape: tuple[int, int, int], num: int, seed: int = 0) -> Dataset:
    """Images of uniform noise."""
    h, w, c = shape
    images = np.random.default_rng(seed).integers(0, 256, (num, h, w, c), np.uint8)
    return make("noise", images.__getitem__, num, (h, w, c))
