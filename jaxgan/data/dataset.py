"""What a dataset is."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.data import pixels
from jaxgan.data.order import hash_uint32, indices

__all__ = [
    "Dataset",
    "Group",
    "centred",
    "eight_bits",
    "make",
    "of_channels",
    "other_seed",
    "over_white",
    "scaled",
    "select",
]


class Group(NamedTuple):
    """Examples whose fields belong together: an image and its label, or a pair.

    Attributes:
        fields: the names of what is fetched.
        size: the number of examples.
        fetch: int indices `[B]` in `[0, size)` -> an array `[B, ...]` for each field:
            images uint8 or uint16 `[B, H, W, C]`, label maps uint8 `[B, H, W]`, labels
            int32 `[B]`. Safe to call from any thread.
        content: of a group after the first, what its images show, as in `Dataset`.
    """

    fields: tuple[str, ...]
    size: int
    fetch: Callable[[np.ndarray], dict[str, np.ndarray]]
    content: str = ""

    @property
    def nbytes(self) -> int:
        """Bytes of all examples."""
        row = self.fetch(np.zeros(1, np.int64))
        return self.size * sum(x.nbytes for x in row.values())


class Dataset(NamedTuple):
    """Images of one size, reachable by index.

    Attributes:
        name: the spec it came from, e.g. `"mnist"` or `"folder:/x"`.
        shape: `(H, W, C)` of an image; C is 1, 3 or 4.
        groups: within a group the fields of an example belong together, across groups
            nothing does, and each has an order of its own. No two groups share a field;
            the first has "image", and "label" where there are classes. Beside it are
            "input", an image of the other side of a pair or of another domain (there
            with "input_label" where that has classes), and "map".
        class_names: a name for each label; `()` when unlabelled.
        notes: sentences the user should see, e.g. which files were skipped.
        map_numbers: the classes in its label maps, sorted; pixels that belong to none
            (`files.VOID`) are not among them.
        levels: the largest value of a pixel: 255 of uint8 images, 65535 of uint16.
        splits: those that the data comes in, this one among them.
        content: what is known of its images: "digits", MNIST's from wherever they are
            loaded; "stacked_digits", "painted_digits", "chalk_digits", "emoji_tones" as
            they come with jaxgan; "" otherwise.
    """

    name: str
    shape: tuple[int, int, int]
    groups: tuple[Group, ...]
    class_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    map_numbers: tuple[int, ...] = ()
    levels: int = 255
    splits: tuple[str, ...] = ("train",)
    content: str = ""

    @property
    def size(self) -> int:
        """The number of examples of the first group."""
        return self.groups[0].size

    @property
    def fetch(self) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
        """That of the first group."""
        return self.groups[0].fetch

    @property
    def nbytes(self) -> int:
        """Bytes of all examples of all groups."""
        return sum(group.nbytes for group in self.groups)

    @property
    def fields(self) -> frozenset[str]:
        """What a batch has."""
        return frozenset(name for group in self.groups for name in group.fields)

    @property
    def num_classes(self) -> int:
        """Number of classes; 0 when unlabelled."""
        return len(self.class_names)

    @property
    def map_classes(self) -> int:
        """The largest number in the label maps, and one; 0 without maps."""
        return max(self.map_numbers, default=-1) + 1

    @property
    def channels(self) -> str:
        """What the channels are: "gray", "RGB" or "RGBA"."""
        return {1: "gray", 3: "RGB", 4: "RGBA"}[self.shape[2]]

    def batch(self, seed: int, step: int, batch_size: int) -> dict[str, np.ndarray]:
        """The batch of a step, a pure function of (seed, step): see `indices`.

        Returns:
            `{"image": float32 [B, H, W, C]}` in [-1, 1], and `"label": int32 [B]` when
            labelled; "input" and "map" likewise.
        """
        rows: dict[str, np.ndarray] = {}
        for i, group in enumerate(self.groups):
            seed_of = other_seed(seed, i)
            rows |= group.fetch(indices(seed_of, step, batch_size, group.size))
        return scaled(rows)


def scaled(rows: Mapping) -> dict:
    """What was fetched as a batch is: images float32 in [-1, 1], numbers int32.

    Args:
        rows: by name uint8 or uint16 images `[B, H, W, C]`, whose largest value becomes
            1, and integers of other dimensions.
    """
    return {
        name: x.astype(np.float32) / (np.iinfo(x.dtype).max / 2) - 1
        if x.ndim == 4
        else x.astype(np.int32)
        for name, x in rows.items()
    }


def eight_bits(rows: Mapping) -> dict:
    """What was fetched, with uint16 images as uint8 for people and for measures."""

    def one(x):
        if x.dtype != np.uint16 or x.ndim != 4:
            return x
        return pixels.of_depth(x, deep=False)

    return {name: one(x) for name, x in rows.items()}


def other_seed(seed, group: int = 1):
    """What orders a group of a dataset, in a way of its own.

    Args:
        seed: that of the first group, an integer, or a traced one.
        group: the number of the group.

    Returns:
        The seed itself of the first group, a hash of both of any other: the order of
        no group with one seed is that of another with the next.
    """
    if group == 0:
        return seed
    if isinstance(seed, jax.Array):
        return hash_uint32(hash_uint32(seed.astype(jnp.uint32)) + np.uint32(group))
    hashed = hash_uint32(np.full(1, seed, np.uint32)) + np.uint32(group)
    return int(hash_uint32(hashed)[0])


def make(
    name: str,
    images: Callable[[np.ndarray], np.ndarray],
    size: int,
    shape: tuple[int, int, int],
    labels: np.ndarray | None = None,
    class_names: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
) -> Dataset:
    """A `Dataset` of one group, whose `fetch` joins images and labels.

    Args:
        name, shape, class_names, notes: as in `Dataset`.
        images: indices `[B]` -> uint8 `[B, H, W, C]`.
        size: the number of examples.
        labels: int `[size]`, or None when unlabelled.
    """
    if labels is None:
        group = Group(("image",), size, lambda index: {"image": images(index)})
        return Dataset(name, shape, (group,), notes=notes)
    labels = labels.astype(np.int32)

    def fetch(index):
        return {"image": images(index), "label": labels[index]}

    group = Group(("image", "label"), size, fetch)
    return Dataset(name, shape, (group,), class_names, notes)


def select(dataset: Dataset, names: Mapping[str, str]) -> Dataset:
    """One group alone, with the fields that are named, under new names.

    `select(dataset, {"input": "image", "input_label": "label"})` is the other domain of
    an unpaired dataset, as one of its own.

    Args:
        dataset: the dataset.
        names: from old to new; those that there are not are passed over.

    Raises:
        ValueError: the fields are not all of one group.
    """
    found = [i for i, g in enumerate(dataset.groups) if names.keys() & {*g.fields}]
    if len(found) != 1:
        raise ValueError(
            f"{', '.join(names)} are fields of {len(found)} groups of {dataset.name},"
            " not of one"
        )
    group = dataset.groups[found[0]]
    content = group.content
    if found[0] == 0 and names.get("image") == "image":
        content = dataset.content
    kept = {old: new for old, new in names.items() if old in group.fields}

    def fetch(index):
        rows = group.fetch(index)
        return {new: rows[old] for old, new in kept.items()}

    return dataset._replace(
        groups=(Group(tuple(kept.values()), group.size, fetch),),
        class_names=dataset.class_names if "label" in kept.values() else (),
        map_numbers=dataset.map_numbers if "map" in kept.values() else (),
        content=content,
    )


def centred(dataset: Dataset, size: tuple[int, int]) -> Dataset:
    """The dataset with the centre of each image, `size` (H, W), alone."""
    (h, w), (height, width, channels) = size, dataset.shape
    if (h, w) == (height, width):
        return dataset
    top, left = (height - h) // 2, (width - w) // 2

    def cut(group):
        def fetch(index):
            return {
                name: x[:, top : top + h, left : left + w] if x.ndim > 2 else x
                for name, x in group.fetch(index).items()
            }

        return group._replace(fetch=fetch, content="")

    groups = tuple(map(cut, dataset.groups))
    return dataset._replace(shape=(h, w, channels), groups=groups, content="")


def of_channels(dataset: Dataset, channels: int) -> Dataset:
    """The dataset with images of another kind, converted as they are fetched.

    Args:
        dataset: the dataset.
        channels: 1, 3 or 4 for gray, RGB or RGBA; see `pixels.of_channels`.
    """
    if channels == dataset.shape[2]:
        return dataset

    def group_of(group):
        def fetch(index):
            return {
                name: pixels.of_channels(x, channels) if x.ndim == 4 else x
                for name, x in group.fetch(index).items()
            }

        return group._replace(fetch=fetch, content="")

    shape = (*dataset.shape[:2], channels)
    groups = tuple(map(group_of, dataset.groups))
    return dataset._replace(shape=shape, groups=groups, content="")


def over_white(dataset: Dataset) -> Dataset:
    """The dataset as it is seen on a page: RGBA over white, with a note that says so.

    It keeps its `content`: what an image shows, it shows without transparency too.
    """
    if dataset.shape[2] != 4:
        return dataset
    note = "What is transparent is measured over white."
    seen = of_channels(dataset, 3)._replace(content=dataset.content)
    return seen._replace(notes=tuple(dict.fromkeys((*dataset.notes, note))))
