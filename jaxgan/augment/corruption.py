"""ADA's corruptions: noise, and cutout."""

import jax.numpy as jnp
from jax import random

from jaxgan import axis
from jaxgan.augment.chance import applied, normals, only, uniforms

__all__ = ["cutout", "noise"]

DEVIATION = 0.1
"""Deviation of the normal distribution whose absolute value is the noise's own."""
SIDE = 0.5
"""Of what is cut out, as a share of the image's."""


def noise(x, key, chances):
    """Gaussian noise, of a deviation that is half-normal.

    Args:
        x: `[B, H, W, C]`.
        key: of what is drawn.
        chances: the probability of `noise`.
    """
    on_coins, on_deviation, on_noise = random.split(key, 3)
    on = applied(on_coins, x, chances)
    (deviation,) = normals(on_deviation, x, 1)
    deviation = (DEVIATION * jnp.abs(deviation)).astype(x.dtype).reshape(-1, 1, 1, 1)
    drawn = axis.draw(random.normal, on_noise, x.shape, x.dtype)
    return only([*on.values()], x + deviation * drawn, x)


def cutout(x, key, chances):
    """A rectangle of half of each side set to zero, centred anywhere in the image.

    Args:
        x: `[B, H, W, C]`.
        key: of what is drawn.
        chances: the probability of `cutout`.
    """
    on_coins, on_middle = random.split(key)
    on = applied(on_coins, x, chances)
    inside = jnp.ones((len(x), 1, 1, 1), bool)
    for dim, middle in zip((1, 2), uniforms(on_middle, x, 2), strict=True):
        n = x.shape[dim]
        place = (jnp.arange(n, dtype=jnp.float32) + 0.5) / n
        here = jnp.abs(place[None] - middle[:, None]) < SIDE / 2
        shape = [len(x), 1, 1, 1]
        shape[dim] = n
        inside = inside & here.reshape(shape)
    return only([*on.values()], jnp.where(inside, jnp.zeros_like(x), x), x)
