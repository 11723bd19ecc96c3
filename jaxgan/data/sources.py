"""From the text a user writes as `data` to a `Dataset`."""

from jaxgan.data import (
    emoji,
    fit,
    folder,
    idx,
    mnist,
    npz,
    painted,
    pairs,
    stacked,
    tfds,
)
from jaxgan.data import unpaired as domains
from jaxgan.data.dataset import Dataset
from jaxgan.data.source import Request, Source, read
from jaxgan.types import UsageError, silent

__all__ = ["SOURCES", "load"]

TFDS = tfds.source("~/tensorflow_datasets")

SOURCES: tuple[Source, ...] = (
    mnist.SOURCE,
    stacked.SOURCE,
    painted.PAINTED,
    painted.MAPPED,
    painted.UNPAIRED,
    *emoji.SOURCES,
    folder.SOURCE,
    pairs.PAIRS,
    pairs.MAPS,
    domains.SOURCE,
    npz.SOURCE,
    idx.SOURCE,
    TFDS,
)
"""Those that jaxgan knows; one of the same name before it takes its place."""


def load(
    spec: str,
    split: str = "train",
    resize: int | tuple[int, int] | None = None,
    crop: int | tuple[int, int] | None = None,
    sources: tuple[Source, ...] = SOURCES,
    progress=silent,
    channels: str = "auto",
    depth: int = 8,
    void: int | None = None,
) -> Dataset:
    """Loads a dataset.

    Args:
        spec: as `form` of one of the sources says, `"mnist"` or `"folder:~/faces"`.
        split: one of the dataset's splits; its `splits` names them.
        resize: the short side in pixels, keeping the aspect, or `(height, width)`;
            Lanczos, antialiased.
        crop: the side of a centred square, or `(height, width)`, after the resize.
        sources: where the data may come from.
        progress: shows how far a long load is, `progress(iterable, total, label)`.
        channels: "gray", "rgb" or "rgba"; "auto" is as the data come, see `Fit`.
        depth: 8 or 16 bits, that image files are read as.
        void: the number in label maps of pixels that belong to no class.

    Returns:
        A `Dataset`; its `notes`, e.g. on files skipped, are for the user to see.

    Raises:
        UsageError: the data cannot be had as asked, in one sentence.
    """
    how = fit.checked(fit.Fit(resize, crop, channels, depth, void))
    return _recognised(read(Request(spec, tuple(sources), split, how, progress)))


def _recognised(dataset):
    """MNIST's digits are known as such from wherever they come, by what they show."""
    if dataset.content or dataset.shape != (28, 28, 1):
        return dataset
    try:
        known = mnist.holds(dataset)
    except UsageError as error:
        note = f"Whether these are MNIST's digits is not known: {error.reason[2:]}."
        return dataset._replace(notes=(*dataset.notes, note))
    return dataset._replace(content="digits") if known else dataset
