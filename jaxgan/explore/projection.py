"""The latents whose image is nearest to a given one.

G is differentiable, so z is found by gradient descent (Zhu et al., 2016,
arXiv:1609.03552, section 3.1; Lipton and Tripathi, 2017, arXiv:1702.04782), here by
Adam from the best of many draws of z.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from jaxgan.models.layers import downsample

__all__ = ["Projection", "distance", "project"]

SCALES = 3
"""The image, half of it and a quarter: at smaller ones what is a little off is near."""


class Projection(NamedTuple):
    """What is found for one image."""

    given: tuple
    """What G is given for it: `(z [Z],)` or w `[L, W]`, and a label `[]` where it takes
    one."""
    image: jax.Array
    """`[H, W, C]` in [-1, 1]."""
    distance: float
    """Root mean square difference of its pixels from the image's, of values in 0 ... 1.
    """


def distance(a, b) -> jax.Array:
    """Root mean square difference of the pixels of images in [-1, 1], from 0 to 1.

    Args:
        a, b: `[B, H, W, C]`.

    Returns:
        `[B]`.
    """
    return jnp.sqrt(((a - b) ** 2).mean((1, 2, 3))) / 2


def project(
    generate: Callable,
    drawn: tuple,
    *,
    starts: int = 8,
    steps: int = 300,
    learning_rate: float = 0.1,
    prior: float = 1e-3,
) -> Callable:
    """`image [H, W, C] -> Projection`, deterministic, compiled once.

    What is minimized is the mean square difference of pixels, of the image and of its
    half and quarter, and `prior` times the mean square of z, each component divided by
    its deviation among what is drawn: a z that no draw is like draws no image of the
    kind. Adam's rate falls along a half cosine.

    Args:
        generate: `given -> images [B, H, W, C]` in [-1, 1].
        drawn: what G may be given, `(z [N, Z], ...)`, or w `[N, L, W]`, of which each
            layer's is found by itself: the `starts` nearest to an image
            are where it begins, each with the label that it was drawn with.
        starts: how many descents, of which the nearest counts.
        steps: of each.
        learning_rate: Adam's, at first.
        prior: see above; 0 for none.
    """
    z, *rest = (jnp.asarray(x) for x in drawn)
    mean, deviation = z.mean(0, keepdims=True), z.std(0, keepdims=True)
    images = _in_blocks(generate, drawn)
    tx = optax.adam(optax.cosine_decay_schedule(learning_rate, steps))
    starts = min(starts, len(z))

    def loss(z, rest, target):
        near = _loss(generate((z, *rest)), target)
        away = ((z - mean) / jnp.maximum(deviation, 1e-6)) ** 2
        away = away.reshape(len(z), -1).mean(1)
        return (near + prior * away).sum()

    @jax.jit
    def descend(images, target):
        first = jnp.argsort(_loss(images, target))[:starts]
        its = [x[first] for x in rest]

        def step(carry, _):
            z, opt = carry
            slopes = jax.grad(loss)(z, its, target)
            with jax.numpy_dtype_promotion("standard"):  # optax needs it
                updates, opt = tx.update(slopes, opt)
            return (optax.apply_updates(z, updates), opt), None

        (found, _), _ = lax.scan(step, (z[first], tx.init(z[first])), length=steps)
        found = jnp.concatenate([z[first], found])
        its = [jnp.concatenate([x, x]) for x in its]
        shown = generate((found, *its))
        away = distance(shown, target[None])
        best = jnp.argmin(away)
        return tuple(x[best] for x in (found, *its)), shown[best], away[best]

    def of(image) -> Projection:
        given, nearest, away = descend(images, jnp.asarray(image))
        return Projection(given, nearest, float(away))

    return of


def _loss(images, target):
    """Mean square difference over scales, `[B]`."""
    target, total = target[None], jnp.zeros(len(images))
    for _ in range(SCALES):
        total += ((images - target) ** 2).mean((1, 2, 3))
        images, target = downsample(images), downsample(target)
    return total / SCALES


def _in_blocks(generate, drawn, size=64):
    run = jax.jit(generate)
    starts = range(0, len(drawn[0]), size)
    blocks = [run(tuple(x[i : i + size] for x in drawn)) for i in starts]
    return np.concatenate(blocks)
