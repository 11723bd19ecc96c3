"""ADA's general geometric transforms, as one warp of an image between pixels.

Each image is enlarged twice by a filter of a symlet, sampled there bilinearly where the
inverse of all transforms at once tells, and made smaller by the same filter: so that
what is made smaller does not alias. Filters are products with matrices of an axis,
which mirror the border at once.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import random

from jaxgan.augment.axes import along, reflected
from jaxgan.augment.chance import applied, normals, only, uniforms
from jaxgan.augment.wavelets import SYM6

__all__ = ["geometric", "inverse", "warp"]

SCALE = 0.2 * math.log(2)
"""Deviation of the logarithm of scales."""
SHIFT = 0.125
"""Deviation of shifts, as a share of the side."""
_TAPS = SYM6 / SYM6.sum()
_EDGE = len(SYM6) // 2 - 1
_PLACE = float(_TAPS @ np.arange(len(SYM6))) - _EDGE
"""Of what a pixel becomes when enlarged, the middle, from its first pixel on. sym6 is
not quite symmetric; without this, images would turn about a point beside the middle."""


def geometric(x, key, chances):
    """Scaled, turned, stretched, turned again, and moved.

    The enlarged image, of 4 (H - 1) by 4 (W - 1), is that of a mirrored one.

    Args:
        x: `[B, H, W, C]`.
        key: of what is drawn.
        chances: probabilities of `isotropic_scale`, `rotate`, `anisotropic_scale` and
            `translation`; each of the two rotations has 1 - √(1 - p) of `rotate`.
    """
    on_coins, on_uniform, on_normal = random.split(key, 3)
    turned = 1 - jnp.sqrt(1 - jnp.minimum(chances["rotate"], 1))
    on = applied(
        on_coins,
        x,
        {
            "scale": chances["isotropic_scale"],
            "before": turned,
            "stretch": chances["anisotropic_scale"],
            "after": turned,
            "move": chances["translation"],
        },
    )
    scale, stretch, *move = normals(on_normal, x, 4)
    angles = [(2 * u - 1) * math.pi for u in uniforms(on_uniform, x, 2)]
    scale = jnp.where(on["scale"], jnp.exp(SCALE * scale), 1)
    stretch = jnp.where(on["stretch"], jnp.exp(SCALE * stretch), 1)
    before, after = (
        jnp.where(on[when], angle, 0)
        for when, angle in zip(("before", "after"), angles, strict=True)
    )
    move = jnp.stack([SHIFT * n * by for n, by in zip(x.shape[1:3], move, strict=True)])
    move = jnp.where(on["move"], move, 0).T
    matrix = inverse(scale, before, stretch, after)
    return only([*on.values()], warp(x, matrix, move), x)


def inverse(scale, before, stretch, after):
    """`[B, 2, 2]`, from where a pixel comes that is scaled by `scale`, turned by
    `before`, stretched by `stretch` along rows (along columns by its inverse), and
    turned by `after`, each `[B]`. Coordinates are (row, column)."""
    narrower = jnp.stack([1 / stretch, stretch], -1)[..., None]
    back = _rotation(-before) @ (narrower * _rotation(-after))
    return back / scale[:, None, None]


def _rotation(angle):
    """`[B, 2, 2]`, counter-clockwise, of (row, column) with rows counted downwards."""
    c, s = jnp.cos(angle), jnp.sin(angle)
    return jnp.stack([jnp.stack([c, -s], -1), jnp.stack([s, c], -1)], -2)


def warp(x, matrix, move):
    """Images by an affine map about their middle, mirrored beyond the border.

    Args:
        x: `[B, H, W, C]`.
        matrix: float32 `[B, 2, 2]`, the map's inverse without its shift.
        move: float32 `[B, 2]`, rows and columns that it moves by, after all else.

    Returns:
        `[B, H, W, C]`: what is at `v` comes from `matrix (v - move)`, both counted
        from the middle.
    """
    _, h, w, _ = x.shape
    rows, columns = (
        (jnp.arange(-_EDGE, 2 * n + _EDGE, dtype=jnp.float32) - _PLACE - n + 1) / 2
        for n in (h, w)
    )
    rows = (rows[None] - move[:, :1])[:, :, None]
    columns = (columns[None] - move[:, 1:])[:, None]
    matrix = matrix[:, :, :, None, None]
    row, column = (
        2 * (matrix[:, i, 0] * rows + matrix[:, i, 1] * columns) + n - 1 + _PLACE
        for i, n in ((0, h), (1, w))
    )
    large = along(x, [jnp.asarray(_enlarging(n)) for n in (h, w)])
    sampled = jax.vmap(_bilinear)(large, row, column)
    return along(sampled, [jnp.asarray(_reducing(n)) for n in (h, w)])


def _bilinear(x, row, column):
    """Of a periodic image `[h, w, C]`, what is at `row` and `column` `[H, W]`; x has
    its first row and its first column once more at the end."""
    h, w, c = x.shape
    top, left = jnp.floor(row), jnp.floor(column)
    down, right = ((a - b).astype(x.dtype) for a, b in ((row, top), (column, left)))
    top, left = (jnp.mod(a.astype(jnp.int32), n - 1) for a, n in ((top, h), (left, w)))
    # One look-up for all four, and one sum: on CPU its gradient is faster by that.
    beside = jnp.array([0, 1, w, w + 1], jnp.int32)[:, None, None]
    places = (top * w + left)[None] + beside
    found = x.reshape(-1, c).at[places].get(mode="promise_in_bounds")
    near = [a * b for a in (1 - down, down) for b in (1 - right, right)]
    return (found * jnp.stack(near)[..., None]).sum(0)


@functools.cache
def _enlarging(n: int) -> np.ndarray:
    """`[N, n]`, pixels of the enlarged image by those of an image. They are a whole
    period of the mirrored image, which begins with the image itself, and the first of
    the next: N = 4 (n - 1) + 1."""
    here = np.arange(2 * max(2 * (n - 1), 1) + 1)
    found = np.zeros((len(here), n), np.float32)
    for k, tap in enumerate(_TAPS):
        zeros, place = (here + _EDGE - k) % 2, (here + _EDGE - k) // 2
        np.add.at(found, (here, reflected(place, n)), 2 * tap * (zeros == 0))
    return found


@functools.cache
def _reducing(n: int) -> np.ndarray:
    """`[n, N]`, pixels of an image by those of one enlarged, with as many around it as
    the filter reaches."""
    found = np.zeros((n, 2 * (n + _EDGE)), np.float32)
    for k, tap in enumerate(_TAPS):
        found[np.arange(n), 2 * np.arange(n) + k] = tap
    return found
