"""Parts of a data set: a subset, and a tenth that is held out."""

import numpy as np

from jaxgan.data.dataset import Dataset, Group
from jaxgan.types import UsageError

__all__ = ["split", "subset"]

SHARE = 10
"""One example in so many is held out."""
SEED = 1703_10593
"""Decides which, for all runs alike: members of one program share their images."""


def subset(dataset: Dataset, size: int) -> Dataset:
    """So many examples of each group, drawn at random, always the same; a larger subset
    holds a smaller one. In the order of the data set.

    Args:
        dataset: the data set.
        size: how many, 1 or more.

    Raises:
        UsageError: some group has fewer.
    """
    least = min(group.size for group in dataset.groups)
    if size > least:
        reason = f"is more than the {least} images of {dataset.name}."
        raise UsageError("subset", size, reason)
    groups = [
        _rows(group, _order(group, i)[:size]) for i, group in enumerate(dataset.groups)
    ]
    return dataset._replace(groups=tuple(groups))


def split(dataset: Dataset, least: int = 1) -> tuple[Dataset, Dataset]:
    """What is left to train on, and what is held out.

    Of each group a tenth, drawn at random, the same whenever the group has the same
    size; each in the order of the data set.

    Args:
        dataset: the data set.
        least: hold out so many of each group even where that is more than a tenth.

    Raises:
        UsageError: of some group this would be more than half.
    """
    both = [_split(dataset, i, least) for i in range(len(dataset.groups))]
    rest, out = zip(*both, strict=True)
    return dataset._replace(groups=rest), dataset._replace(groups=out)


def _split(dataset, i, least):
    group = dataset.groups[i]
    count = max(group.size // SHARE, least)
    if 2 * count > group.size:
        reason = f"has {group.size} images, too few to hold out {count} of them."
        raise UsageError("data", dataset.name, reason)
    order = _order(group, i)
    return _rows(group, order[count:]), _rows(group, order[:count])


def _order(group, i):
    return np.random.default_rng((SEED, i)).permutation(group.size)


def _rows(group: Group, rows) -> Group:
    rows = np.sort(rows)
    return group._replace(size=len(rows), fetch=lambda index: group.fetch(rows[index]))
