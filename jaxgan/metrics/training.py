"""The packaged classifier's architecture, trained on any labelled images."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax, random

from jaxgan import parallel
from jaxgan.data import Dataset, blocks, scaled
from jaxgan.metrics.mnist import Classifier
from jaxgan.models.linen import flax_net
from jaxgan.models.net import standing
from jaxgan.phases import ema, game, update
from jaxgan.types import silent

__all__ = ["correct", "moved", "train"]

SETTLING = 100
"""Batches that BatchNorm's statistics are gathered from, at most."""


def moved(images, key, most: int = 2):
    """Each image moved by up to `most` pixels each way, black coming in."""
    padded = jnp.pad(
        images, ((0, 0), (most, most), (most, most), (0, 0)), constant_values=-1
    )
    by = random.randint(key, (len(images), 2), 0, 2 * most + 1)

    def one(image, by):
        return lax.dynamic_slice(image, (by[0], by[1], 0), images.shape[1:])

    return jax.vmap(one)(padded, by)


def train(
    dataset: Dataset,
    steps: int,
    *,
    batch_size: int = 128,
    learning_rate: float = 2e-3,
    seed: int = 0,
    progress: Callable = silent,
    label: str = "",
) -> tuple[dict, dict]:
    """A classifier of a labelled data set.

    It sees images `moved` by up to two pixels; Adam's rate falls along a half cosine.

    Args:
        dataset: with labels.
        steps: how many.
        batch_size: images per step.
        learning_rate: Adam's, at first.
        seed: decides weights, order and shifts.
        progress: see `types.silent`.
        label: for it.

    Returns:
        `(params, stats)`, averaged weights, and BatchNorm's statistics for them of
        images that are not moved.
    """
    C = flax_net("C", Classifier(dataset.num_classes))
    tx = optax.adam(optax.cosine_decay_schedule(learning_rate, steps))

    def loss(state, batch, key):
        _, logits = C(state, moved(batch["image"], key))
        value = optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"])
        return value.mean(), {"loss": value.mean()}

    init, step = game((C,), update("C", loss, tx), ema("C", 0.999))
    weights_key, step_key = random.split(random.key(seed))
    state = init(weights_key, {"C": (jnp.zeros((1, *dataset.shape)),)})
    step = parallel.jitted(step)
    for i in progress(range(steps), steps, label):
        batch = dataset.batch(seed, i, batch_size)
        state, _ = step(state, batch, random.fold_in(step_key, i))
    several = range(min(SETTLING, steps))
    seen = np.stack([dataset.batch(seed, i, batch_size)["image"] for i in several])

    @jax.jit
    def settled(params, stats, seen):
        return standing(C, params, stats, lambda i: (seen[i],), len(seen))

    return state.ema["C"], settled(state.ema["C"], state.stats["C"], seen)


def correct(params, stats, dataset: Dataset, size: int = 500) -> np.ndarray:
    """Whether the class of each image is told right, bool `[N]`.

    Args:
        params, stats: of `train`.
        dataset: with labels, of the same classes.
        size: images that are looked at at a time.
    """
    C = Classifier(dataset.num_classes)

    @jax.jit
    def told(images):
        logits: jax.Array = C.apply({"params": params, **stats}, images, train=False)[1]  # type: ignore[assignment]  # not a tuple of variables
        return logits.argmax(1)

    found = []
    for rows, n in blocks(np.arange(dataset.size), min(size, dataset.size)):
        batch = scaled(dataset.fetch(rows))
        found.append((np.asarray(told(batch["image"])) == batch["label"])[:n])
    return np.concatenate(found)
