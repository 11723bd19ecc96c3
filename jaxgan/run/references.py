"""What a run's draws are compared with, and what it translates for that."""

import numpy as np

from jaxgan.data import Dataset
from jaxgan.run import draws, inputs
from jaxgan.run.loading import Loaded
from jaxgan.run.sides import check
from jaxgan.types import Draw, UsageError

__all__ = ["compared", "same"]


def compared(options, loaded: Loaded, draw: Draw):
    """Real images, what is translated, more real images for a floor, and notes."""
    reference = _reference(options, loaded)
    if draws.from_noise(draw):
        _check(options, loaded, reference)
        return reference, reference, *_floor(options, loaded, reference)
    own = reference
    if options.reference:
        own = inputs.load(loaded.run.config, sources=loaded.sources)
        _check(options, loaded, reference)
    dataset, notes = _to_translate(options, loaded, own)
    check(loaded.model, dataset)
    return reference, dataset, None, notes


def _check(options, loaded: Loaded, reference):
    try:
        check(loaded.model, reference)
    except UsageError as error:
        raise (error.renamed("reference") if options.reference else error) from None


def _reference(options, loaded: Loaded) -> Dataset:
    try:
        cfg, sources = loaded.run.config, loaded.sources
        return inputs.load(cfg, options.reference, sources=sources)
    except UsageError as error:
        named = options.reference and error.option == "data"
        raise (error.renamed("reference") if named else error) from None


def _floor(options, loaded: Loaded, reference):
    """More real images, and notes."""
    if options.data:
        reason = ": this run draws from noise and translates none; see `reference`."
        raise UsageError("data", options.data, reason)
    args = loaded.run.config, reference, options.reference, loaded.sources
    return inputs.test_images(*args)


def _to_translate(options, loaded: Loaded, trained_on):
    """The images, and notes on them."""
    cfg, own = loaded.run.config, "These are the images that it was trained on"
    if cfg.subset:
        own = f"Of these images it was trained on {cfg.subset}"
    if options.data:
        dataset = inputs.measured(cfg, options.data, loaded.sources)
        if dataset.shape != tuple(loaded.run.shape):
            shapes = f"images of {dataset.shape}, the run of {loaded.run.shape}"
            raise UsageError("data", dataset.name, f"has {shapes}.")
        known = same(dataset, trained_on)
        return (trained_on, (f"{own}.",)) if known else (dataset, ())
    held_out, notes = inputs.test_images(cfg, trained_on, sources=loaded.sources)
    if held_out is not None:
        return held_out, notes
    return trained_on, (f"{own}; --data gives others. {' '.join(notes)}",)


def same(a: Dataset, b: Dataset) -> bool:
    """Whether two data sets are one under two names, as some of their images tell."""
    sizes = [[g.size for g in x.groups] for x in (a, b)]
    if sizes[0] != sizes[1] or a.shape != b.shape:
        return False
    for here, there in zip(a.groups, b.groups, strict=True):
        index = np.linspace(0, here.size - 1, 64).astype(int)
        one, other = here.fetch(index), there.fetch(index)
        for name, x in one.items():
            if name not in other or not np.array_equal(x, other[name]):
                return False
    return True
