"""A tenth of a data set, held out from training."""

import numpy as np

from jaxgan.data.dataset import Dataset, Group
from jaxgan.types import UsageError

__all__ = ["split"]

SHARE = 10
"""One example in so many is held out."""
SEED = 1703_10593
"""Decides which, for all runs alike: members of one program share their images."""


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
    order = np.random.default_rng((SEED, i)).permutation(group.size)
    return _rows(group, order[count:]), _rows(group, order[:count])


def _rows(group: Group, rows) -> Group:
    rows = np.sort(rows)
    return group._replace(size=len(rows), fetch=lambda index: group.fetch(rows[index]))
