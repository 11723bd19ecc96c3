"""What a run is trained on, and what it is shown on."""

import os

import numpy as np

from jaxgan import data
from jaxgan.data import SOURCES, Dataset, Source, tfds
from jaxgan.data.feed import Change
from jaxgan.data.source import Request, splits
from jaxgan.data.split import subset
from jaxgan.run import config, settings
from jaxgan.run.progress import bars
from jaxgan.run.sides import check
from jaxgan.types import Model, UsageError

__all__ = [
    *("HELD_OUT", "change", "given", "held_out", "load", "measured", "sources_here"),
    *("test_images", "trained_on"),
]


HELD_OUT = "test", "val", "validation", "valid"
"""What splits are called that are not for training, the first of them first."""


def sources_here(sources: tuple[Source, ...] = SOURCES) -> tuple[Source, ...]:
    """The sources, with TensorFlow Datasets in `$TFDS_DATA_DIR` if that is set."""
    root = os.environ.get("TFDS_DATA_DIR")
    here = tfds.source(root) if root else None
    return tuple(here if here and x is data.sources.TFDS else x for x in sources)


def load(
    cfg: config.Config,
    spec: str | None = None,
    centre: bool = True,
    sources=SOURCES,
    split: str = "train",
) -> Dataset:
    """A run's images, or others brought to the same size.

    Args:
        cfg: its options.
        spec: other images; default the run's own.
        centre: of what `random_crop` cuts out while training, take the centre.
        sources: what a spec chooses from.
        split: as `data.load` takes it.

    Raises:
        UsageError: see `data.load`.
    """
    found = data.load(
        spec or cfg.data,
        split=split,
        resize=config.size("resize", cfg.resize),
        crop=config.size("crop", cfg.crop),
        channels=cfg.channels,
        depth=cfg.depth,
        void=cfg.void,
        sources=sources_here(sources),
        progress=bars,
    )
    crop = config.sides("random_crop", cfg.random_crop)
    return data.centred(found, crop) if centre and crop else found


def trained_on(cfg: config.Config, sources=SOURCES) -> Dataset:
    """What a run that draws from noise has seen of its images, as `load`."""
    found = load(cfg, sources=sources)
    return subset(found, cfg.subset) if cfg.subset else found


def given(cfg: config.Config, arrays) -> Dataset:
    """The data set that a `Dataset`, images, or images and labels are.

    Raises:
        UsageError: they are to be resized, which is for data that are loaded.
    """
    kept = "is for data that are loaded; arrays keep their own."
    for name, default in (("depth", 8), ("void", None)):
        if getattr(cfg, name) != default:
            raise UsageError(name, getattr(cfg, name), kept)
    for name, asked in (
        ("resize", cfg.resize),
        ("crop", cfg.crop),
        ("channels", cfg.channels != "auto" and cfg.channels),
    ):
        if asked:
            reason = "is for data that are loaded; bring these there by data.fitted."
            raise UsageError(name, asked, reason)
    if isinstance(arrays, Dataset):
        return arrays
    images, labels = arrays if isinstance(arrays, tuple) else (arrays, None)
    return data.from_arrays(np.asarray(images), labels)


def change(cfg: config.Config, shape) -> Change:
    """What is done to training images at random.

    Raises:
        UsageError: it would cut out more than there is.
    """
    crop = config.sides("random_crop", cfg.random_crop)
    if crop and (crop[0] > shape[0] or crop[1] > shape[1]):
        raise UsageError(
            "random_crop",
            cfg.random_crop,
            f"is larger than the images of {shape[0]}x{shape[1]}; crop less, or "
            "enlarge them first with `resize`.",
        )
    return Change(cfg.flip, crop)


def test_images(
    cfg: config.Config, dataset: Dataset, spec: str | None = None, sources=SOURCES
) -> tuple[Dataset | None, tuple[str, ...]]:
    """The test split of a data set that was loaded, or else that for validation, and
    notes; None, and why, where there is none of use."""
    split = _held_out(dataset.splits)
    if split is None:
        return None, (f"There are no test images: {dataset.name} has none apart.",)
    note = f"Images held out are those of the split {split}; there is no split test."
    try:
        found = load(cfg, spec, sources=sources, split=split)
    except UsageError as error:  # a folder of training files alone
        return None, (f"There are no test images: {error.worded(settings.flag)}",)
    if found.shape != dataset.shape:
        sizes = f"of {found.shape}, those of training of {dataset.shape}"
        return None, (f"There are no test images of use: they are {sizes}.",)
    return found, () if split == "test" else (note,)


def measured(cfg: config.Config, spec: str, sources=SOURCES) -> Dataset:
    """Other images to measure on: those that their source holds out, if it does.

    Raises:
        UsageError: see `data.load`.
    """
    known = sources_here(sources)
    there = splits(Request(spec, known))
    split = _held_out(there) or there[0]
    return load(cfg, spec, sources=sources, split=split)


def _held_out(there):
    return next((split for split in HELD_OUT if split in there), None)


def held_out(cfg: config.Config, model: Model, dataset: Dataset, sources=SOURCES):
    """What draws of images are shown on, and notes: test images, or else those trained
    on, which a note then says; without sources, the latter.

    Raises:
        UsageError: a task of the model cannot be made of the data.
    """
    check(model, dataset)
    if all(draw.task.target is None for draw in model.draws.values()):
        return dataset, ()
    own = "Sheets show images that it is trained on."
    if sources is None:
        return dataset, (f"{own} Nothing is known of other images.",)
    found, notes = test_images(cfg, dataset, sources=sources)
    if found is None:
        return dataset, (" ".join((own, *notes)),)
    try:
        check(model, found)
    except UsageError as error:
        why = f"Of test images it cannot make them: {error.worded(settings.flag)}"
        return dataset, (f"{own} {why}",)
    return found, ()
