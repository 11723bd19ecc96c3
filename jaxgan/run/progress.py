"""Progress on the terminal, for library functions that take `progress`."""

from collections.abc import Iterable

from tqdm import tqdm

__all__ = ["bars"]


def bars(iterable: Iterable, total: int = 0, label: str = "") -> Iterable:
    """A bar on stderr, of what takes longer than half a second; it does not stay."""
    return tqdm(iterable, total=total or None, desc=label, leave=False, delay=0.5)
