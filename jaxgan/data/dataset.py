"""What a dataset is, and how one is made from decoded images."""

import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from jaxgan.data.order import indices
from jaxgan.types import UsageError

MEMORY_BUDGET = 8 * 2**30
"""Decoded bytes up to which images stay in memory; beyond it `fetch` decodes."""

BAR_FROM = 2000
"""Number of images above which loading shows a progress bar on stderr."""

_BLOCK = 4096


class Dataset(NamedTuple):
    """Images of one size, reachable by index.

    Attributes:
        name: the spec it came from, e.g. `"mnist"` or `"folder:/x"`.
        size: the number of examples.
        shape: `(H, W, C)` of an image; C is 1 or 3.
        class_names: a name for each label; `()` when unlabelled.
        fetch: int indices `[B]` in `[0, size)` -> `{"image": uint8 [B, H, W, C]}`, and
            `"label": int32 [B]` when labelled; in pairs also `"input": uint8 [B, H, W,
            C]`, with label maps `"map": uint8 [B, H, W]`. Safe to call from any thread.
        notes: sentences the user should see, e.g. which files were skipped.
        unpaired: images of another domain, of the same shape: those of a batch are its
            "input", in an order of their own.
        map_classes: the largest number in its label maps, and one; 0 without maps.
    """

    name: str
    size: int
    shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    fetch: Callable[[np.ndarray], dict[str, np.ndarray]]
    notes: tuple[str, ...] = ()
    unpaired: "Dataset | None" = None
    map_classes: int = 0

    @property
    def nbytes(self) -> int:
        """Bytes of all examples, without the unpaired ones."""
        return self.size * sum(x.nbytes for x in self._first.values())

    @property
    def fields(self) -> frozenset[str]:
        """What a batch has."""
        return frozenset(self._first) | ({"input"} if self.unpaired else set())

    @property
    def _first(self):
        return self.fetch(np.zeros(1, np.int64))

    @property
    def num_classes(self) -> int:
        """Number of classes; 0 when unlabelled."""
        return len(self.class_names)

    def batch(self, seed: int, step: int, batch_size: int) -> dict[str, np.ndarray]:
        """The batch of a step, a pure function of (seed, step): see `indices`.

        Returns:
            `{"image": float32 [B, H, W, C]}` in [-1, 1], and `"label": int32 [B]` when
            labelled; "input" and "map" likewise.
        """
        batch = scaled(self.fetch(indices(seed, step, batch_size, self.size)))
        if self.unpaired:
            others = self.unpaired.batch(other_seed(seed), step, batch_size)
            batch["input"] = others["image"]
        return batch


def scaled(rows: dict) -> dict:
    """What was fetched as a batch is: images float32 in [-1, 1], numbers int32."""
    return {
        name: x.astype(np.float32) / 127.5 - 1 if x.ndim == 4 else x.astype(np.int32)
        for name, x in rows.items()
    }


def other_seed(seed: int) -> int:
    """What orders the unpaired images, so that no two meet in every epoch."""
    return (seed + 1) % 2**32


class Decoded(NamedTuple):
    """The outcome of `decode`.

    Attributes:
        kept: int `[n]`, the items that decoded, in order.
        images: positions `[B]` within `kept` -> uint8 `[B, H, W, C]`.
        failures: for each item that did not decode, why.
    """

    kept: np.ndarray
    images: Callable[[np.ndarray], np.ndarray]
    failures: dict[int, str]


def make(
    name: str,
    images: Callable[[np.ndarray], np.ndarray],
    size: int,
    shape: tuple[int, int, int],
    labels: np.ndarray | None = None,
    class_names: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
) -> Dataset:
    """A `Dataset` whose `fetch` joins images and labels.

    Args:
        name, size, shape, class_names, notes: as in `Dataset`.
        images: indices `[B]` -> uint8 `[B, H, W, C]`.
        labels: int `[size]`, or None when unlabelled.
    """
    if labels is None:
        return Dataset(name, size, shape, (), lambda i: {"image": images(i)}, notes)
    labels = labels.astype(np.int32)

    def fetch(index):
        return {"image": images(index), "label": labels[index]}

    return Dataset(name, size, shape, class_names, fetch, notes)


def centred(dataset: Dataset, size: tuple[int, int]) -> Dataset:
    """The dataset with the centre of each image, `size` (H, W), alone."""
    (h, w), (height, width, channels) = size, dataset.shape
    top, left = (height - h) // 2, (width - w) // 2

    def fetch(index):
        return {
            name: x[:, top : top + h, left : left + w] if x.ndim > 2 else x
            for name, x in dataset.fetch(index).items()
        }

    others = dataset.unpaired and centred(dataset.unpaired, size)
    shape = (h, w, channels)
    return dataset._replace(shape=shape, fetch=fetch, unpaired=others)


def decode(
    read: Callable[[int], np.ndarray], count: int, shape: tuple[int, int, int]
) -> Decoded:
    """Decodes every item once, in parallel, and keeps the pixels if they fit.

    Args:
        read: item in `[0, count)` -> uint8 `[H, W, C]`; called from several threads.
            A `UsageError` from it ends the load, any other error skips the item.
        count: the number of items.
        shape: the `(H, W, C)` that `read` returns.

    Returns:
        A `Decoded`. Above `MEMORY_BUDGET` its `images` calls `read` again.
    """
    in_memory = count * math.prod(shape) <= MEMORY_BUDGET
    pixels = np.empty((count, *shape), np.uint8) if in_memory else None
    pool = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="decode")

    def attempt(item):
        try:
            image = read(item)
        except (UsageError, MemoryError):
            raise
        # Decoders meet broken files with errors of every type.
        except Exception as error:
            return reason(error)
        if in_memory:
            pixels[item] = image

    outcomes = enumerate(in_order(pool, attempt, count, "decoding"))
    failures = {item: why for item, why in outcomes if why is not None}
    kept = np.array([i for i in range(count) if i not in failures], np.int64)
    if in_memory:
        pool.shutdown()
        pixels = pixels[kept] if failures else pixels
        return Decoded(kept, lambda index: pixels[index], failures)

    def images(index):
        return np.stack(list(pool.map(read, kept[index])))

    return Decoded(kept, images, failures)


def in_order(pool, function, count, label):
    """Yields `function(0) ... function(count - 1)`, computed by the pool's threads."""
    with tqdm(total=count, desc=label, disable=count <= BAR_FROM) as bar:
        # In blocks: a future per item of a large dataset would take gigabytes.
        for start in range(0, count, _BLOCK):
            for result in pool.map(function, range(start, min(start + _BLOCK, count))):
                bar.update()
                yield result


def reason(error: Exception) -> str:
    """The first line of what an error says, without a full stop."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
