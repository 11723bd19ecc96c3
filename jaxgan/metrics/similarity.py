"""How alike images are: PSNR, SSIM, MS-SSIM, and by it the diversity of samples."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxgan.data.painted import TO_YIQ

__all__ = [
    "absolute_distance",
    "diversity",
    "full_reference",
    "halved",
    "ms_ssim",
    "psnr",
    "ssim",
]

WINDOW = 11
SIGMA = 1.5
SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""MS-SSIM's exponents, the full size first (Wang et al., 2003, section 3.2)."""
ROUNDING = 10 * math.log10(255**2 * 12)
"""PSNR in dB of an error that is uniform within one level of 8 bits."""


def psnr(a, b, data_range: float | None = None):
    """Peak signal-to-noise ratio in dB, infinite for equal images.

    Args:
        a: images `[B, H, W, C]`, float or integer.
        b: others of the same shape.
        data_range: largest less least value that a pixel may have: 2 of images in
            [-1, 1]. Two of uint8, or of uint16, have that of their dtype by default;
            others have none that can be told from them.

    Returns:
        Float `[B]`.

    Raises:
        ValueError: their shapes differ or are not of images, or `data_range` is missing
            or not above 0.
    """
    data_range = _range("psnr", a, b, data_range)
    a, b = _images("psnr", a, b)
    error = ((a - b) ** 2).mean((1, 2, 3))
    return 20 * math.log10(data_range) - 10 * jnp.log10(error)


def ssim(a, b, data_range: float | None = None):
    """Structural similarity, at most 1 (Wang et al., 2004).

    With the paper's Gaussian window, 11x11 of deviation 1.5, where it lies inside the
    images; the mean over places and channels. Arguments, result and errors as `psnr`;
    images must be 11 pixels or more each way.
    """
    data_range = _range("ssim", a, b, data_range)
    a, b = _images("ssim", a, b, WINDOW)
    return _similarity(a, b, data_range)[0].mean(1)


def ms_ssim(a, b, data_range: float | None = None):
    """SSIM over scales (Wang, Simoncelli and Bovik, 2003), 0 ... 1.

    Five scales, each half the one before, with the paper's exponents, whose sum is
    1.0001, for images of 176 pixels and more; of smaller images the scales that have
    room for the window, their exponents divided by their sum. Per channel, then the
    mean. Arguments, result and errors as `ssim`.
    """
    data_range = _range("ms_ssim", a, b, data_range)
    a, b = _images("ms_ssim", a, b, WINDOW)
    room = int(math.log2(min(a.shape[1:3]) / WINDOW)) + 1
    exponents = SCALES[:room]
    whole = 1.0 if room >= len(SCALES) else sum(exponents)
    product: jax.Array | float = 1.0
    for i, exponent in enumerate(exponents):
        similarity, contrast = _similarity(a, b, data_range)
        last = i == len(exponents) - 1
        factor = jnp.maximum(similarity if last else contrast, 0)
        product = product * factor ** (exponent / whole)
        if not last:
            a, b = halved(a), halved(b)
    return jnp.mean(product, 1)


def diversity(images, pairs: int = 1000, seed: int = 0) -> float:
    """Mean MS-SSIM of random pairs of images: lower is more diverse.

    The measure of collapse of Odena et al., 2017 (arXiv:1610.09585), who take it
    within a class. Compare it with that of as many real images.

    Args:
        images: uint8 `[N, H, W, C]`.
        pairs: how many pairs of different images.
        seed: decides them.

    Raises:
        ValueError: there are fewer than two images, or they are below 11 pixels.
    """
    if len(images) < 2:
        raise ValueError(f"diversity: {len(images)} images make no pair; give 2.")
    if pairs < 1:
        raise ValueError(f"diversity: pairs {pairs} must be 1 or more.")
    rng = np.random.default_rng(seed)
    one = rng.integers(len(images), size=pairs)
    other = (one + rng.integers(1, len(images), size=pairs)) % len(images)
    found = [
        ms_ssim(images[one[i : i + 100]], images[other[i : i + 100]])
        for i in range(0, pairs, 100)
    ]
    return float(np.concatenate(found).mean())


def full_reference(images, target) -> dict[str, np.ndarray]:
    """How near images are to what they should be.

    Args:
        images: uint8 `[B, H, W, 1 or 3]`, 11 pixels or more each way.
        target: of the same shape.

    Returns:
        Float `[B]` each: `l1`, the mean absolute distance in 0 ... 1, `psnr` in dB and
        `ssim`; of colours also `psnr_y` and `ssim_y`, of luma Y (of full range, edges
        included). A PSNR counts as 58.9 at most, that of rounding to 8 bits, so that a
        mean of several is finite.
    """
    found = {
        "l1": absolute_distance(images, target),
        "psnr": _limited_psnr(images, target),
        "ssim": ssim(images, target),
    }
    if images.shape[-1] == 3:
        a, b = ((x @ TO_YIQ[0])[..., None] for x in (images, target))
        found |= {"psnr_y": _limited_psnr(a, b, 255), "ssim_y": ssim(a, b, 255)}
    return found


def absolute_distance(a, b) -> np.ndarray:
    """The mean absolute distance of uint8 images `[B, H, W, C]`, `[B]` in 0 ... 1."""
    return np.abs(a.astype(np.int16) - b).mean((1, 2, 3)) / 255


def _limited_psnr(a, b, data_range=None):
    return np.minimum(psnr(a, b, data_range), ROUNDING)


def _range(name, a, b, data_range):
    """The range of pixels, from the dtype of 8 or 16 bits where it is not given."""
    kinds = {str(jnp.asarray(x).dtype) for x in (a, b)}
    if data_range is None and len(kinds) == 1 and kinds <= {"uint8", "uint16"}:
        return float(jnp.iinfo(kinds.pop()).max)
    if data_range is None:
        raise ValueError(
            f"{name}: images of {' and '.join(sorted(kinds))} need a data_range, the "
            "largest less the least value that a pixel may have: 2 in [-1, 1]."
        )
    if not data_range > 0:
        raise ValueError(f"{name}: data_range {data_range} must be above 0.")
    return data_range


def _images(name, a, b, least=1):
    a, b = jnp.asarray(a), jnp.asarray(b)
    if a.shape != b.shape or a.ndim != 4:
        raise ValueError(
            f"{name}: images must be [B, H, W, C], both alike; got {a.shape} and "
            f"{b.shape}."
        )
    if min(a.shape[1:3]) < least:
        raise ValueError(
            f"{name}: images of {a.shape[1]}x{a.shape[2]} have no room for a window "
            f"of {least}x{least}."
        )
    wide = [x.dtype if x.dtype == "float64" else jnp.float32 for x in (a, b)]
    return a.astype(wide[0]), b.astype(wide[1])


def _similarity(a, b, data_range):
    """SSIM and its contrast-structure term, means over places, `[B, C]`."""
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    # Variances do not move with the mean; near 0 less of them is lost in rounding.
    middle = (a.mean((1, 2), keepdims=True) + b.mean((1, 2), keepdims=True)) / 2
    x, y = a - middle, b - middle
    mx, my, xx, yy, xy = map(_smooth, (x, y, x * x, y * y, x * y))
    middle_of_x, middle_of_y = mx + middle, my + middle
    contrast = (2 * (xy - mx * my) + c2) / (xx - mx**2 + yy - my**2 + c2)
    luminance = 2 * middle_of_x * middle_of_y + c1
    luminance = luminance / (middle_of_x**2 + middle_of_y**2 + c1)
    return (luminance * contrast).mean((1, 2)), contrast.mean((1, 2))


def _smooth(x):
    """The window's weighted mean at each place: a matrix product along each side."""
    for axis in (1, 2):
        n = x.shape[axis]
        away = np.arange(n) - np.arange(n - WINDOW + 1)[:, None] - WINDOW // 2
        weight = np.exp(-((away / SIGMA) ** 2) / 2) * (abs(away) <= WINDOW // 2)
        window = jnp.asarray(weight / weight.sum(1, keepdims=True), x.dtype)
        x = jnp.tensordot(window, x, ((1,), (axis,)), precision=lax.Precision.HIGHEST)
        x = jnp.moveaxis(x, 0, axis)
    return x


def halved(x):
    """Means of 2x2 pixels; an odd side's last one counts twice."""
    x = jnp.pad(x, ((0, 0), *((0, n % 2) for n in x.shape[1:3]), (0, 0)), mode="edge")
    b, h, w, c = x.shape
    return x.reshape(b, h // 2, 2, w // 2, 2, c).mean((2, 4))
