"""What a task is, and that of noise."""

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import jax.numpy as jnp
from jax import random
from jax.lax import erf, erf_inv

from jaxgan import axis
from jaxgan.types import UsageError

__all__ = ["Task", "noise", "normal", "truncated", "with_noise"]


class Task(NamedTuple):
    """What a network is given, and what it should make of it.

    `given` below is always the whole tuple that `Task.given` returns.
    """

    given: Callable
    """`(batch, key, n=None) -> tuple`, what the network takes, `G(state, *given)`:
    `(z,)`, `(z, label)`, `(x,)`, `(z, map)`. n is how many, by default as many as the
    batch has; only noise heeds it."""
    needs: tuple[str, ...] = ()
    """Fields that a batch must have."""
    target: str | None = None
    """The field of a batch that it should become; None of noise."""
    finish: Callable = lambda given, drawn: drawn
    """`(given, drawn images) -> images`: what is known need not be drawn."""
    show: Callable = lambda given: given[0]
    """`given -> images [B, H, W, 1, 3 or 4]`, for people to see."""
    plain: Callable | None = None
    """`given -> images [B, H, W, 1, 3 or 4]`, an answer without learning, which one
    that was learned must beat; by default what is shown."""
    reads: Callable | None = None
    """`batch -> given`, where a batch of files shows what is given, not the target; by
    default as `given`."""
    in_pairs: bool = True
    """Whether it is learned from sources beside their targets, and not from any two."""
    file: Literal["image", "hole", "map"] = "image"
    """What is in a file to translate: an image, one whose transparent part is the hole,
    or a map, whose pixels are numbers of classes."""


def normal(latent_dim: int) -> Callable:
    """z from N(0, I): `(key, n) -> [n, latent_dim]`."""
    return lambda key, n: axis.draw(random.normal, key, (n, latent_dim))


def truncated(z, threshold: float):
    """z from N(0, I) as z from the normal distribution cut off beyond a threshold.

    The truncation trick (Brock et al., 2019, arXiv:1809.11096, section 3.1): images of
    a smaller threshold are better, and more alike. The paper draws values again that
    are beyond; here each is moved to the value that as many are below, which gives the
    same distribution, and of one z the same image for all thresholds, less and less
    typical.

    Args:
        z: any shape, of N(0, 1).
        threshold: above 0; values are from minus it to it.

    Raises:
        UsageError: the threshold is not above 0.
    """
    if threshold <= 0:
        raise UsageError("threshold", threshold, "must be above 0.")
    below = erf(z / math.sqrt(2)) * math.erf(threshold / math.sqrt(2))
    return jnp.clip(math.sqrt(2) * erf_inv(below), -threshold, threshold)


def noise(latents: Callable, num_classes: int = 0) -> Task:
    """From noise, and with classes a label, to images.

    Args:
        latents: `(key, n) -> z [n, Z]`, such as `normal(128)`.
        num_classes: above 0, the batch's `label`, int32 `[B]`, is given beside z.

    Raises (`given`):
        ValueError: with classes, the batch has no labels.
    """

    def given(batch, key, n=None):
        if num_classes and batch.get("label") is None:
            raise ValueError(
                f"noise: with num_classes {num_classes}, every image needs a label."
            )
        z = latents(key, _size(batch) if n is None else n)
        return (z, batch["label"]) if num_classes else (z,)

    return Task(given, needs=("label",) if num_classes else ())


def with_noise(latents: Callable, task: Task) -> Task:
    """The same task with noise z before what is given, `(z, *given)`.

    Raises:
        ValueError: the task is one whose files show what is given (`Task.reads`).
    """
    plain = task.plain
    if task.reads:
        raise ValueError("with_noise: the task has `reads`, which draws no noise.")

    def given(batch, key, n=None):
        x = task.given(batch, random.fold_in(key, 1), n)
        return latents(key, x[0].shape[0]), *x

    return task._replace(
        given=given,
        finish=lambda given, drawn: task.finish(given[1:], drawn),
        show=lambda given: task.show(given[1:]),
        plain=plain and (lambda given: plain(given[1:])),
    )


def _size(batch):
    """How many examples are in a batch."""
    return next(iter(batch.values())).shape[0]
