"""From the numbers that data gives its classes to those of a network, 0 and on."""

import numpy as np

from jaxgan.data.tree import some

__all__ = ["CLASSES", "in_order", "numbered"]

CLASSES = 1 << 20
"""Numbers that classes may have are below."""


def numbered(
    name: str, labels: np.ndarray, known: np.ndarray | None = None
) -> tuple[np.ndarray, tuple[str, ...], tuple[str, ...]]:
    """Labels without gaps, the names of their classes, and notes.

    A network that knew a class without images would draw it untrained. Numbers that
    have none are therefore no classes; the others are counted anew, and keep their
    numbers as names.

    Args:
        name: of the data, for the note.
        labels: int `[N]`.
        known: labels of the training images, for those of another split of the data.

    Returns:
        int32 `[N]`, a name for each class, and at most one note.

    Raises:
        ValueError: there is a label that is not known.
    """
    present = np.unique(labels if known is None else known)
    if strange := sorted({*np.unique(labels).tolist()} - {*present.tolist()}):
        numbers = some([str(n) for n in strange])
        raise ValueError(f"the label {numbers}, which no training image has")
    names = tuple(str(number) for number in present)
    positions = np.searchsorted(present, labels).astype(np.int32)
    if len(present) == present[-1] + 1:
        return positions, names, ()
    gaps = sorted({*range(int(present[-1]))} - {*present.tolist()})
    note = (
        f"{name}: no image has the label {some([str(n) for n in gaps])}; the"
        f" {len(names)} classes are called by their numbers, {some(list(names), 10)}"
    )
    return positions, names, (note,)


def in_order(names) -> list[str]:
    """Names of classes, sorted; by number, 2 before 10, where all are numbers."""
    names = list(names)
    if all(name.isascii() and name.isdigit() for name in names):
        return sorted(names, key=lambda name: (int(name), name))
    return sorted(names)
