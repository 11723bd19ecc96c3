"""What D is shown in place of images, differentiable.

Applied to real images and to fakes alike, in D's step and in G's, so that G is not
taught to draw the augmentation (Zhao et al., 2020, arXiv:2006.10738). Images are
`[B, H, W, C]` in [-1, 1]. First policies, functions `(images, key) -> images`; then
what recipes take, made of them.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import random

from jaxgan import axis

__all__ = [
    "Augmentation",
    "adaptive",
    "affine",
    "color",
    "cutout",
    "diff_augment",
    "instance_noise",
    "translation",
]

# --- policies


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


# --- augmentations


def _kept(memory, real_logits):
    return memory


class Augmentation(NamedTuple):
    """What D is shown in place of images."""

    of: Callable
    """`(images, key, step, memory) -> images`"""
    memory: Any = ()
    """What it remembers from one step to the next, at first."""
    adapt: Callable = _kept
    """`(memory, D's logits of real images [B]) -> memory`, after each judgement of
    D's loss."""


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


def adaptive(
    *policies: Callable, target: float = 0.6, images: int = 500_000
) -> Augmentation:
    """ADA: each policy on each image with probability p, which follows overfitting.

    Karras et al., 2020, arXiv:2006.06676, section 3. p starts at 0 and rises while
    r_t, the mean sign of D's logits of real images (eq. 1), is above the target, and
    falls while it is below. The paper moves p every fourth step, here every step moves
    it a fourth of that. The policies are DiffAugment's unless others are given, not the
    paper's eighteen.

    Args:
        *policies: in this order; default `color`, `translation`, `cutout`.
        target: of r_t, 0.6 in the paper.
        images: how many images of training take p from 0 to 1 at the fastest.
    """
    policies = policies or (color, translation, cutout)

    def of(x, key, step, p):
        for policy, k in zip(policies, random.split(key, len(policies)), strict=True):
            on_policy, on_coin = random.split(k)
            shape = len(x), *[1] * (x.ndim - 1)
            coin = axis.draw(random.uniform, on_coin, shape, x.dtype)
            x = jnp.where(coin < p.astype(x.dtype), policy(x, on_policy), x)
        return x

    def adapt(p, real_logits):
        r_t = axis.mean(jnp.sign(real_logits).mean())
        toward = jnp.sign(r_t - target).astype(p.dtype)
        return jnp.clip(p + toward * (axis.whole(len(real_logits)) / images), 0, 1)

    return Augmentation(of, np.zeros((), np.float32), adapt)
