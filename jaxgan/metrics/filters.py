"""Features of images without learned weights: a bank of filters.

Where in the image there is how much of which colour, and how much changes in which
direction and at which scale: the means of images and of the moduli of their wavelet
coefficients, which are the orders 0 and 1 of a scattering transform (Bruna and Mallat,
2013, arXiv:1203.1513, section 2), the latter as logarithms, as what is seen of a change
depends on how much there was. A distance by them tells sharp images from blurred ones
and textures from even grounds. They know nothing of what is in an image.
"""

import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxgan.metrics.similarity import halved

__all__ = ["bank", "features", "maps"]

SCALES, ORIENTATIONS = 3, 4
CELLS, FINE_CELLS = 2, 4
"""Cells along a side in which moduli, and colours, are averaged."""
SIDE = 7
"""Of a filter, in pixels of its scale."""
LEAST = 0.01
"""What is added before the logarithm, of 1 between black and white."""

OPPONENTS = np.array([[1, 1, 1], [1, -1, 0], [0.5, 0.5, -1]]) / [[3], [2], [2]]
"""Light, red against green, yellow against blue."""


def features(images):
    """`uint8 [B, H, W, 1 or 3] -> float32 [B, 64 C]`; images of any size."""
    scales = [*_scales(images.astype(jnp.float32) / 255)]
    found = [_averages(scales[0][0], FINE_CELLS)]
    found += [jnp.log(_averages(moduli, CELLS) + LEAST) for _, moduli in scales]
    return jnp.concatenate(found, 1)


def maps(images) -> list:
    """What `features` averages, at each place: float `[B, H, W, C]` in [-1, 1] `->
    [[B, H, W, 5 C], [B, H / 2, W / 2, 5 C], [B, H / 4, W / 4, 5 C]]`, C being 1 or 3.

    Of each scale the image and the logarithms of moduli, which are 0 where nothing
    changes. They have a gradient everywhere, 0 through a modulus of 0.
    """
    return [
        jnp.concatenate([x, jnp.log1p(moduli / LEAST)], -1)
        for x, moduli in _scales((images + 1) / 2)
    ]


def _scales(x):
    """At each scale, the image in light and opponent colours, and its moduli."""
    if x.shape[-1] == 3:
        x = jnp.einsum("bhwc,oc->bhwo", x, jnp.asarray(OPPONENTS, x.dtype))
    for scale in range(SCALES):
        x = halved(x) if scale else x
        yield x, _moduli(x)


def bank() -> np.ndarray:
    """Complex `[ORIENTATIONS, SIDE, SIDE]`: Morlet wavelets, which see no constant."""
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE // 2
    turns = np.arange(ORIENTATIONS)[:, None, None] * np.pi / ORIENTATIONS
    along = np.cos(turns) * x + np.sin(turns) * y
    window = np.exp(-(x**2 + y**2) / (2 * 1.2**2))
    wave = np.exp(0.75j * np.pi * along)
    centre = (window * wave).sum((1, 2), keepdims=True) / window.sum()
    return window * (wave - centre) / window.sum()


def _moduli(x):
    """Of each channel's coefficients: `[B, H, W, C] -> [B, H, W, C ORIENTATIONS]`."""
    b, h, w, c = x.shape
    pad = SIDE // 2
    x = jnp.moveaxis(x, 3, 1).reshape(b * c, h, w, 1)
    x = jnp.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)), mode="edge")
    kernels = bank()
    kernels = np.concatenate([kernels.real, kernels.imag])
    out = lax.conv_general_dilated(
        x,
        jnp.asarray(np.moveaxis(kernels, 0, 2)[:, :, None], x.dtype),
        (1, 1),
        "VALID",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        precision=lax.Precision.HIGHEST,
    )
    real, imaginary = jnp.split(out, 2, -1)
    power = real**2 + imaginary**2
    some = power > 0  # or the root's gradient is none
    size = jnp.where(some, jnp.sqrt(jnp.where(some, power, 1)), 0)
    size = size.reshape(b, c, h, w, ORIENTATIONS)
    return jnp.moveaxis(size, 1, 3).reshape(b, h, w, -1)


def _averages(x, cells):
    """Means over cells of the image: `[B, H, W, C] -> [B, cells² C]`."""
    for axis in (1, 2):
        n = x.shape[axis]
        # A pixel counts in each cell by how much of it lies inside.
        edges = np.arange(cells + 1)[:, None] * n / cells
        inside = np.clip(edges - np.arange(n), 0, 1)
        weight = jnp.asarray((inside[1:] - inside[:-1]) * cells / n, jnp.float32)
        x = jnp.tensordot(weight, x, ((1,), (axis,)), precision=lax.Precision.HIGHEST)
        x = jnp.moveaxis(x, 0, axis)
    return x.reshape(len(x), -1)
