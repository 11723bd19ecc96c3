"""What a network that draws from noise is given, by seeds, and what it makes of it."""

from collections.abc import Callable, Sequence

import jax
import numpy as np
from jax import random

from jaxgan import data, parallel, visual
from jaxgan.run.keys import root
from jaxgan.types import Draw, UsageError

__all__ = ["BLOCK", "check_class", "drawer", "given_of", "keys_of", "truncated"]

BLOCK = 200
"""Images that are drawn at a time, at least."""


def keys_of(seed):
    """Of `settle`, and of latents."""
    return random.split(root(seed, "samples"))


def given_of(of: Draw, seeds: Sequence[int], labels=None) -> tuple:
    """What a network is given, a row for each seed: what a single sample of it is.

    Args:
        of: draws from noise.
        seeds: N of them.
        labels: int32 `[N]` where it draws by class.
    """

    def one(seed, label):
        batch = {} if label is None else {"label": label[None]}
        return [x[0] for x in of.task.given(batch, keys_of(seed)[1], 1)]

    labels = None if labels is None else np.asarray(labels, np.int32)
    found = jax.jit(jax.vmap(one))(np.asarray(seeds, np.uint32), labels)
    return tuple(map(np.asarray, found))


def drawer(of: Draw, state, key) -> Callable:
    """`given -> images`, uint8 `[N, H, W, C]`, of arrays of N rows in `given`.

    In blocks, on all devices that hold the state.
    """
    mesh = parallel.mesh_of(state.step)
    divided, size = parallel.divided(mesh), parallel.rounded(BLOCK, mesh)
    run = jax.jit(of.run)

    def draw(given):
        found = []
        for rows, n in data.blocks(np.arange(len(given[0])), size):
            some = jax.device_put(tuple(x[rows] for x in given), divided)
            found.append(visual.to_uint8(run(state, some, key))[:n])
        return np.concatenate(found)

    return draw


def truncated(of: Draw, truncation: float | None) -> Draw:
    """The draw with its latents nearer to their mean, where that is asked for.

    Raises:
        UsageError: the generator has no truncation.
    """
    if truncation is None:
        return of
    if of.truncated is None:
        reason = ": this run's latents are not of a kind that can be truncated."
        raise UsageError("truncation", truncation, reason)
    try:
        return of.truncated(truncation)
    except UsageError as error:
        raise error.renamed("truncation") from None


def check_class(label: int | None, num_classes: int) -> None:
    """Refuses the number of a class that there is not; `num_classes` 0 of no classes.

    Raises:
        UsageError: naming `label`.
    """
    if label is not None and not num_classes:
        raise UsageError("label", label, ": this run is not class-conditional.")
    if label is not None and not 0 <= label < num_classes:
        raise UsageError("label", label, f"must be in 0 ... {num_classes - 1}.")
