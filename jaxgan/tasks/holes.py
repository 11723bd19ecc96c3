"""Holes to inpaint: `(key, n, h, w) -> [n, h, w, 1]`, 1 in the hole, 0 elsewhere."""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jax import random

from jaxgan import axis

__all__ = ["free_form", "square"]


def square(share: float = 0.25) -> Callable:
    """A hole of this share of the image's area, its shape, anywhere inside."""
    side = share**0.5

    def holes(key, n, h, w):
        inside = 1.0
        keys = random.split(key)
        for k, length, dim in zip(keys, (h, w), (1, 2), strict=True):
            size = max(1, round(length * side))
            start = axis.draw(random.randint, k, (n, 1), 0, length - size + 1)
            place = jnp.arange(length)[None]
            here = (place >= start) & (place < start + size)
            shape = [n, 1, 1, 1]
            shape[dim] = length
            inside = inside * here.reshape(shape).astype(jnp.float32)
        return inside

    return holes


def free_form(strokes: int = 2, corners: int = 4, width: float = 0.1) -> Callable:
    """Holes as of a brush: strokes that turn at random (Yu et al., 2019,
    arXiv:1806.03589, algorithm 1, with as many corners always).

    Args:
        strokes: how many.
        corners: of each.
        width: of the brush, of the image's smaller side.
    """

    def holes(key, n, h, w):
        on_start, on_angle, on_length = random.split(key, 3)
        small = float(min(h, w))
        start = axis.draw(random.uniform, on_start, (n, strokes, 1, 2))
        start = start * jnp.array([h, w], jnp.float32)[None, None, None]
        angle = axis.draw(random.uniform, on_angle, (n, strokes, corners))
        length = axis.draw(random.uniform, on_length, (n, strokes, corners))
        angle, length = 2 * jnp.pi * angle, small * (0.1 + 0.3 * length)
        steps = jnp.stack([jnp.sin(angle), jnp.cos(angle)], -1) * length[..., None]
        ends = start + jnp.cumsum(steps, 2)
        ends = jnp.concatenate([start, ends], 2)
        a, b = (x.reshape(n, -1, 2) for x in (ends[:, :, :-1], ends[:, :, 1:]))
        middles = np.moveaxis(np.mgrid[:h, :w], 0, -1).reshape(1, 1, h * w, 2) + 0.5
        pixels = jnp.asarray(middles, jnp.float32)
        from_a, along = pixels - a[:, :, None], (b - a)[:, :, None]
        share = (from_a * along).sum(-1) / (along**2).sum(-1).clip(1e-6)
        away = from_a - along * share.clip(0, 1)[..., None]
        inside = ((away**2).sum(-1) < (width * small / 2) ** 2).any(1)
        return inside.reshape(n, h, w, 1).astype(jnp.float32)

    return holes
