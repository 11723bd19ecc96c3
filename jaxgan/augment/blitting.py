"""ADA's pixel blitting: pixels are moved, and none is changed.

An image's rows and columns are picked by products with matrices of zeros and ones,
which keep every bit, and whose gradient is a product too.
"""

import jax.numpy as jnp
import numpy as np
from jax import random

from jaxgan.augment.axes import along, reflected
from jaxgan.augment.chance import applied, only, uniforms

__all__ = ["blit"]

SHIFT = 0.125
"""The longest shift, as a share of the side."""


def blit(x, key, chances):
    """Mirrored, turned by quarters, and moved by whole pixels.

    An image that is not square keeps its shape, turned about its middle; where the
    sides differ by an odd number, half a pixel off it.

    Args:
        x: `[B, H, W, C]`.
        key: of what is drawn.
        chances: probabilities of `x_flip`, `rotate_90` and `integer_translation`.
    """
    _, h, w, _ = x.shape
    on_coins, on_values = random.split(key)
    on = applied(on_coins, x, chances)
    flip, turn, down, right = uniforms(on_values, x, 4)
    flip = on["x_flip"] & (flip < 0.5)
    turns = jnp.where(on["rotate_90"], jnp.floor(turn * 4).astype(jnp.int32), 0)
    shifted = on["integer_translation"]
    down, right = (
        jnp.where(shifted, jnp.round((2 * by - 1) * SHIFT * n).astype(jnp.int32), 0)
        for by, n in ((down, h), (right, w))
    )
    # A quarter turn transposes, and then mirrors an axis, a half turn mirrors both.
    odd = turns % 2 == 1
    columns_back = jnp.where(odd, turns == 3, (turns == 2) ^ flip)
    rows_back = jnp.where(odd, (turns == 1) ^ flip, turns == 2)
    across = x.swapaxes(1, 2)
    if h != w:
        across = across[:, _middle(w, h)][:, :, _middle(h, w)]
    new = jnp.where(odd.reshape(-1, 1, 1, 1), across, x)
    rows = _picking(_places(h, down, rows_back), x.dtype)
    columns = _picking(_places(w, right, columns_back), x.dtype)
    new = along(new, [rows, columns])
    return only([*on.values()], new, x)


def _middle(of: int, n: int):
    """Which pixels of a side are seen on one of another length."""
    return reflected(np.arange(n) + (of - n) // 2, of)


def _places(n, by, back):
    """`[B, n]`, where each pixel comes from, when it is moved and maybe mirrored."""
    place = jnp.arange(n)[None] - by[:, None]
    return reflected(jnp.where(back[:, None], n - 1 - place, place), n)


def _picking(places, dtype):
    """`[B, n, n]`"""
    n = places.shape[1]
    return (places[:, :, None] == jnp.arange(n)[None, None]).astype(dtype)
