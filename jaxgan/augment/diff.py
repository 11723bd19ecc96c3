"""What is done to images before D sees them, by functions `(images, key) -> images`.

DiffAugment (Zhao et al., 2020, arXiv:2006.10738), and instance noise.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jax import random

from jaxgan import axis
from jaxgan.augment.base import Augmentation

__all__ = [
    "affine",
    "color",
    "cutout",
    "diff_augment",
    "instance_noise",
    "translation",
]


def color(x, key):
    """Brightness, saturation and contrast at random, as DiffAugment has them.

    Brightness by up to 0.5 either way, saturation by 0 to 2, contrast by 0.5 to 1.5.
    """
    keys = random.split(key, 3)
    brightness, saturation, contrast = (_uniform(k, x) for k in keys)
    x = x + brightness - 0.5
    gray = x.mean(3, keepdims=True)
    x = (x - gray) * (2 * saturation) + gray
    mean = x.mean((1, 2, 3), keepdims=True)
    return (x - mean) * (contrast + 0.5) + mean


def translation(x, key, ratio: float = 0.125):
    """Moved by up to `ratio` of each side, zeros coming in."""
    on_y, on_x = random.split(key)
    return _moved(_moved(x, on_y, 1, ratio), on_x, 2, ratio)


def _moved(x, key, axis_, ratio):
    n = x.shape[axis_]
    most = int(n * ratio + 0.5)
    by = axis.draw(random.randint, key, (len(x), 1), -most, most + 1)
    place = jnp.arange(n)[None] - by
    shape = [len(x), 1, 1, 1]
    shape[axis_] = n
    index = jnp.clip(place, 0, n - 1).reshape(shape)
    there = ((place >= 0) & (place < n)).reshape(shape)
    moved = jnp.take_along_axis(x, index, axis_)
    return jnp.where(there, moved, jnp.zeros_like(moved))


def cutout(x, key, ratio: float = 0.5):
    """A rectangle of `ratio` of each side set to zero, anywhere, also half outside."""
    inside = True
    for axis_, k in zip((1, 2), random.split(key), strict=True):
        n = x.shape[axis_]
        size = int(n * ratio + 0.5)
        middle = axis.draw(random.randint, k, (len(x), 1), 0, n + (1 - size % 2))
        place = jnp.arange(n)[None]
        here = (place >= middle - size // 2) & (place < middle - size // 2 + size)
        shape = [len(x), 1, 1, 1]
        shape[axis_] = n
        inside = inside & here.reshape(shape)
    return jnp.where(inside, jnp.zeros_like(x), x)


def affine(x, key, shear: float = 0.4, scale: float = 0.15, shift: float = 0.07):
    """Sheared, scaled and moved at random, along rows and then along columns.

    By up to `shear` pixels a pixel (columns by a third of it), a factor of 1 ± `scale`,
    and `shift` of each side. What comes in repeats the border.
    """
    on_rows, on_columns = random.split(key)
    x = _slanted(x, on_rows, shear, scale, shift).swapaxes(1, 2)
    return _slanted(x, on_columns, shear / 3, scale, shift).swapaxes(1, 2)


def _slanted(x, key, shear, scale, shift):
    """Each row stretched and moved, between pixels linearly."""
    _, h, w, _ = x.shape
    by = axis.draw(random.uniform, key, (len(x), 3, 1, 1), minval=-1.0)
    slant, stretch, move = shear * by[:, 0], 1 + scale * by[:, 1], shift * w * by[:, 2]
    row = jnp.arange(h, dtype=by.dtype)[None, :, None] - (h - 1) / 2
    column = jnp.arange(w, dtype=by.dtype)[None, None] - (w - 1) / 2
    place = jnp.clip(slant * row + stretch * column + move, column.min(), column.max())
    near = jnp.maximum(1 - jnp.abs(place[..., None] - column[:, None]), 0)
    return jnp.einsum("bhvw,bhwc->bhvc", near.astype(x.dtype), x)


def _uniform(key, x):
    return axis.draw(random.uniform, key, (len(x), 1, 1, 1), x.dtype)


def diff_augment(*policies: Callable) -> Augmentation:
    """DiffAugment (Zhao et al., 2020, arXiv:2006.10738).

    Args:
        *policies: in this order; default `color`, `translation`, `cutout`.
    """
    policies = policies or (color, translation, cutout)

    def of(x, key, step, memory):
        for policy, k in zip(policies, random.split(key, len(policies)), strict=True):
            x = policy(x, k)
        return x

    return Augmentation(of)


def instance_noise(deviation: float = 0.1, steps: int = 10000) -> Augmentation:
    """Gaussian noise that fades to nothing in `steps` steps.

    Sønderby et al., 2017, arXiv:1610.04490; Arjovsky and Bottou, arXiv:1701.04862.
    """

    def of(x, key, step, memory):
        left = jnp.maximum(1 - step.astype(x.dtype) / steps, 0)
        return x + deviation * left * axis.draw(random.normal, key, x.shape, x.dtype)

    return Augmentation(of)
