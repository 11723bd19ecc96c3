"""Training images that are held out, to choose a translator's best state by."""

from jaxgan.data import Dataset
from jaxgan.data.split import split
from jaxgan.metrics.checks import LEAST
from jaxgan.run import draws, evaluation
from jaxgan.types import Model, UsageError

__all__ = ["held_out"]


def held_out(cfg, model: Model, dataset: Dataset, before: int | None):
    """What is trained on, what is held out, or None, and notes.

    A new run that is evaluated while it trains, and translates, holds out a tenth: its
    best state is chosen neither by images that it knows nor by test images, on which it
    is reported. A run that has begun goes on as it began, whatever is evaluated now.

    Args:
        cfg: the run's options.
        model: its model.
        dataset: all its training images.
        before: how many images the run held out when it began; None of a new one.

    Raises:
        UsageError: there are too few images.
    """
    began = before is not None
    noise = draws.from_noise(model.draws[evaluation.main_draw(model)])
    if noise or not (began or cfg.evaluate_every):
        return dataset, None, ()
    if before == 0:
        own = (
            "This run began with no images held out: its best state is chosen by "
            "images that it is trained on."
        )
        return dataset, None, (own,) if cfg.evaluate_every else ()
    try:
        rest, apart = split(dataset, LEAST)
    except UsageError as error:
        reason = f"{error.reason} Leave out `evaluate_every`, or give more."
        raise UsageError("data", dataset.name, reason) from None
    both = zip(apart.groups, dataset.groups, strict=True)
    sizes = " and ".join(f"{a.size} of {g.size}" for a, g in both)
    note = f"Held out from training, to choose the best state by: {sizes} images."
    return rest, apart, (note,)
