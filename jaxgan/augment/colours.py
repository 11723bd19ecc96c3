"""ADA's colour transforms, as one matrix of homogeneous colours for each image."""

import math

import jax.numpy as jnp
import numpy as np
from jax import lax, random

from jaxgan.augment.chance import applied, normals, only, uniforms
from jaxgan.types import UsageError

__all__ = ["colour", "matrix"]

BRIGHTNESS = 0.2
"""Deviation of what is added."""
CONTRAST = 0.5 * math.log(2)
"""Deviation of the logarithm of its factor."""
SATURATION = math.log(2)
"""The same of colours' distance to gray."""
LUMA = np.full((3, 3), 1 / 3, np.float32)
"""Projects a colour onto the axis of grays (1, 1, 1)."""
CROSS = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]], np.float32) / math.sqrt(3)
"""The cross product with that axis."""


def colour(x, key, chances):
    """Brighter, of more contrast, inverted, turned about the axis of grays, saturated.

    Nothing is clipped. Of gray images only the first three are seen.

    Args:
        x: `[B, H, W, C]`, of 1, 3 or 4 channels; the fourth stays as it is.
        key: of what is drawn.
        chances: probabilities of `brightness`, `contrast`, `luma_flip`, `hue` and
            `saturation`.

    Raises:
        UsageError: there are other channels.
    """
    channels = x.shape[-1]
    if channels not in (1, 3, 4):
        reason = f"is of images of 1, 3 or 4 channels, not {channels}."
        raise UsageError("color", None, reason)
    on_coins, on_uniform, on_normal = random.split(key, 3)
    on = applied(on_coins, x, chances)
    brightness, contrast, saturation = normals(on_normal, x, 3)
    flip, hue = uniforms(on_uniform, x, 2)
    of = matrix(
        jnp.where(on["brightness"], BRIGHTNESS * brightness, 0),
        jnp.where(on["contrast"], jnp.exp(CONTRAST * contrast), 1),
        on["luma_flip"] & (flip < 0.5),
        jnp.where(on["hue"], (2 * hue - 1) * math.pi, 0),
        jnp.where(on["saturation"], jnp.exp(SATURATION * saturation), 1),
    )
    return only([*on.values()], _seen(x, of.astype(x.dtype)), x)


def matrix(brightness, contrast, flip, hue, saturation):
    """`[B, 4, 4]`, of columns (r, g, b, 1): all of them in this order, each `[B]`.

    Args:
        brightness: what is added.
        contrast: what colours are multiplied by.
        flip: bool, whether luma is turned over, and hue and saturation kept.
        hue: the angle of the turn about the axis of grays, as a screw's.
        saturation: what the distance to gray is multiplied by.
    """
    number = lambda a: a[:, None, None]  # noqa: E731
    identity = jnp.eye(3, dtype=jnp.float32)[None]
    luma, cross = jnp.asarray(LUMA)[None], jnp.asarray(CROSS)[None]
    added = jnp.ones((1, 3, 1), jnp.float32) * number(brightness)
    factors = [
        identity * number(contrast),
        identity - 2 * luma * number(flip.astype(jnp.float32)),
        luma + (identity - luma) * number(jnp.cos(hue)) + cross * number(jnp.sin(hue)),
        luma + (identity - luma) * number(saturation),
    ]
    whole = jnp.concatenate([jnp.broadcast_to(identity, factors[0].shape), added], -1)
    for factor in factors:
        whole = jnp.matmul(factor, whole, precision=lax.Precision.HIGHEST)
    last = jnp.broadcast_to(jnp.eye(4, dtype=jnp.float32)[None, 3:], (len(hue), 1, 4))
    return jnp.concatenate([whole, last], 1)


def _seen(x, of):
    """Images by the matrix of each, gray ones as the mean of equal colours."""
    of = of[:, None, None]
    if x.shape[-1] == 1:
        return x * of[..., :3, :3].sum((-2, -1))[..., None] / 3 + of[..., :3, 3].mean(
            -1, keepdims=True
        )
    parts = [x[..., i : i + 1] * of[..., :3, i] for i in range(3)]
    new = sum(parts, start=of[..., :3, 3])
    return jnp.concatenate([new, x[..., 3:]], -1)
