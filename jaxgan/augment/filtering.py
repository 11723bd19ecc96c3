"""ADA's image-space filtering: four bands of frequencies, stronger and weaker."""

import functools
import math

import jax.numpy as jnp
import numpy as np
from jax import lax, random

from jaxgan.augment.axes import along, reflected
from jaxgan.augment.chance import applied, normals, only
from jaxgan.augment.wavelets import SYM2, high_pass

__all__ = ["bank", "filtered"]

STRENGTH = math.log(2)
"""Deviation of the logarithm of a band's factor."""
POWER = np.array([10, 1, 1, 1], np.float32) / 13
"""The share of each band, lowest first, in the power of natural images."""


def filtered(x, key, chances):
    """Each band of frequencies multiplied, such that natural images keep their power.

    Bands end at an eighth, a fourth, a half and all of the highest frequency. The image
    is mirrored at its border.

    Args:
        x: `[B, H, W, C]`.
        key: of what is drawn.
        chances: probabilities of `band_1`, the lowest, to `band_4`.
    """
    on_coins, on_values = random.split(key)
    on = applied(on_coins, x, chances)
    whole = jnp.ones((len(x), len(POWER)), jnp.float32)
    for i, (factor, chosen) in enumerate(
        zip(normals(on_values, x, len(POWER)), on.values(), strict=True)
    ):
        factor = jnp.where(chosen, jnp.exp(STRENGTH * factor), 1)
        each = jnp.ones_like(whole).at[:, i].set(factor)
        power = (jnp.asarray(POWER)[None] * jnp.square(each)).sum(1, keepdims=True)
        whole = whole * each / jnp.sqrt(power)
    new = along(x, [_taps(whole, n) for n in x.shape[1:3]])
    return only([*on.values()], new, x)


def _taps(factors, n):
    """`[B, n, n]`, all bands by factors `[B, 4]`."""
    bands, precise = jnp.asarray(_matrices(n)), lax.Precision.HIGHEST
    return jnp.einsum("bk,kij->bij", factors, bands, precision=precise)


@functools.cache
def bank() -> np.ndarray:
    """`[4, 43]`, the filter of each band, lowest first; they sum to a single 1.

    A band is split by the square of sym2's filter into halves, of which the lower is
    split again.
    """
    low = np.convolve(SYM2, SYM2[::-1]) / 2
    high = np.convolve(high_pass(SYM2), high_pass(SYM2)[::-1]) / 2
    bands = np.eye(len(POWER), 1)
    for i in range(1, len(POWER)):
        spread = np.zeros((len(POWER), 2 * bands.shape[1] - 1))
        spread[:, ::2] = bands
        bands = np.stack([np.convolve(band, low) for band in spread])
        side = (bands.shape[1] - len(high)) // 2
        bands[i, side : side + len(high)] += high
    return bands


@functools.cache
def _matrices(n: int) -> np.ndarray:
    """`[4, n, n]`, the bank on n pixels, mirrored: new pixels by those that are."""
    bands = bank()
    reach = bands.shape[1] // 2
    found = np.zeros((len(bands), n, n), np.float32)
    here = np.arange(n)
    for band, taps in zip(found, bands, strict=True):
        for k, tap in enumerate(taps):
            band[here, reflected(here + k - reach, n)] += tap
    return found
