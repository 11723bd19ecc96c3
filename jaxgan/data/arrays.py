"""Datasets of arrays in memory."""

import hashlib

import numpy as np

from jaxgan.data import fit
from jaxgan.data.dataset import Dataset, Group, of_channels
from jaxgan.data.files import VOID
from jaxgan.data.labels import CLASSES, numbered
from jaxgan.types import UsageError

__all__ = ["fitted", "from_arrays"]


def from_arrays(
    images,
    labels=None,
    *,
    input=None,
    map=None,
    name: str | None = None,
    class_names: tuple[str, ...] = (),
    void: int | None = None,
) -> Dataset:
    """A dataset of arrays.

    Args:
        images: uint8 or uint16 `[N, H, W, C]` with C 1, 3 or 4 (gray, RGB, RGBA), or
            `[N, H, W]`.
        labels: int `[N]`, classes counted from 0; None for none.
        input: of pairs, the other side of each, as `images`.
        map: a label map of each, uint8 `[N, H, W]`.
        name: what the dataset is called in reports and by runs; by default "arrays:",
            "pairs:" of pairs or "maps:", and a hash of all that is in it.
        class_names: a name for each class, whether or not there are images of it;
            default are the numbers that the labels have, see `labels.numbered`.
        void: the number in maps of pixels that belong to no class, if there is one.

    Raises:
        UsageError: an array is of another kind or shape, or the names are too few.
    """
    images = _images("images", images)
    rows = {"image": images}
    if labels is not None:
        rows["label"] = _labels(labels, len(images))
    if input is not None:
        rows["input"] = _like("input", _images("input", input), images)
    if map is not None:
        rows["map"] = _maps(map, images)
    name = name or _named(rows)
    notes: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()
    if class_names:
        classes = 0 if labels is None else int(rows["label"].max()) + 1
        if not 0 < classes <= len(class_names):
            reason = f"must name the {classes} classes"
            raise UsageError("class_names", tuple(class_names), reason)
    elif labels is not None:
        rows["label"], class_names, notes = numbered(name, rows["label"])
    if map is not None:
        rows["map"], numbers = _voided(rows["map"], void)

    def fetch(index):
        return {field: x[index] for field, x in rows.items()}

    return Dataset(
        name,
        images.shape[1:],
        (Group(tuple(rows), len(images), fetch),),
        tuple(class_names),
        notes,
        map_numbers=numbers,
        levels=int(np.iinfo(images.dtype).max),
    )


def _named(rows):
    """By what is in them, so that a run knows its own data again."""
    content = hashlib.sha256()
    for field, x in rows.items():
        content.update(f"{field} {x.shape} {x.dtype}".encode())
        content.update(np.ascontiguousarray(x).tobytes())
    kind = "pairs" if "input" in rows else "maps" if "map" in rows else "arrays"
    return f"{kind}:{content.hexdigest()[:12]}"


def fitted(dataset: Dataset, how: fit.Fit) -> Dataset:
    """The dataset with its images brought to kind, then size, all at once, in memory.

    Maps take the nearest pixel. Of images that this changes, `content` is not known.

    Args:
        dataset: the dataset.
        how: the `Fit`.

    Raises:
        UsageError: the crop is larger than the images.
    """
    dataset = of_channels(dataset, how.count(dataset.shape[2]))
    before = dataset.shape[:2]
    size = fit.fitted_size(before, how, dataset.name)
    if size == before == fit.fitted_size(before, fit.Fit(how.resize), dataset.name):
        return dataset

    def group_of(group):
        every = group.fetch(np.arange(group.size)).items()
        rows = {name: _resized(x, size, how) for name, x in every}

        def fetch(index):
            return {name: x[index] for name, x in rows.items()}

        return group._replace(fetch=fetch, content="")

    groups = tuple(group_of(group) for group in dataset.groups)
    shape = (*size, dataset.shape[2])
    return dataset._replace(shape=shape, groups=groups, content="")


def _resized(x, size, how):
    if x.ndim < 3:
        return x
    fitted = np.empty((len(x), *size, *x.shape[3:]), x.dtype)
    for image, out in zip(x, fitted, strict=True):
        out[:] = fit.apply_to_array(image, how, nearest=x.ndim == 3)
    return fitted


def _images(option, images):
    images = np.asarray(images)
    kind, shape = images.dtype, list(images.shape)
    if kind not in (np.uint8, np.uint16):
        recipe = ""
        if np.issubdtype(kind, np.floating):
            signed = images.size and images.min() < 0
            span = "[-1, 1]" if signed else "[0, 1]"
            written = "(x + 1) * 127.5" if signed else "x * 255"
            recipe = f"; of {span} make np.round({written}).astype(np.uint8)"
        raise UsageError(
            option,
            f"({kind} {shape})",
            f"must be uint8 in 0..255 or uint16 in 0..65535{recipe}",
        )
    images = images[..., None] if images.ndim == 3 else images
    if images.ndim != 4 or images.shape[-1] not in (1, 3, 4) or images.size == 0:
        raise UsageError(
            option,
            f"({kind} {shape})",
            "must be [N, H, W, C] with C 1, 3 or 4, or [N, H, W], and not empty",
        )
    return images


def _labels(labels, count):
    labels = np.asarray(labels)
    if labels.shape != (count,) or not np.issubdtype(labels.dtype, np.integer):
        raise UsageError(
            "labels",
            f"({labels.dtype} {list(labels.shape)})",
            f"must be integers [{count}], one for each image",
        )
    if labels.min() < 0 or labels.max() >= CLASSES:
        raise UsageError(
            "labels", f"({labels.min()}..{labels.max()})", "must count classes from 0"
        )
    return labels.astype(np.int32)


def _like(option, array, images):
    if (array.shape, array.dtype) != (images.shape, images.dtype):
        raise UsageError(
            option,
            f"({array.dtype} {list(array.shape)})",
            f"must be as `images`, {images.dtype} {list(images.shape)}",
        )
    return array


def _maps(maps, images):
    maps = np.asarray(maps)
    if maps.dtype != np.uint8 or maps.shape != images.shape[:3]:
        raise UsageError(
            "map",
            f"({maps.dtype} {list(maps.shape)})",
            f"must be uint8 {list(images.shape[:3])}, a class for each pixel",
        )
    return maps


def _voided(maps, void):
    """Maps with `VOID` where they have that number, and the classes in them."""
    seen = np.bincount(maps.ravel(), minlength=256) > 0
    if void is None:
        return maps, tuple(np.flatnonzero(seen).tolist())
    if void != VOID and seen[VOID]:
        raise UsageError("void", void, f": the maps have {VOID}, too, which it becomes")
    seen[[void, VOID]] = False
    maps = np.where(maps == void, np.uint8(VOID), maps)
    return maps, tuple(np.flatnonzero(seen).tolist())
