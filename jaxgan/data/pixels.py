"""Images as arrays: gray, RGB or RGBA of 8 or 16 bits, and what is made of them."""

import numpy as np
from PIL import Image

__all__ = [
    *("LUMA", "clear", "from_array", "halves", "of_channels", "of_depth", "over_white"),
    "to_array",
]

LUMA = np.array([0.299, 0.587, 0.114])
"""Weights of R, G and B in Y (ITU-R BT.601)."""


def halves(image):
    """The left half of `[H, W, C]` and the right."""
    middle = image.shape[1] // 2
    return image[:, :middle], image[:, middle:]


def of_depth(images, deep: bool):
    """Images as uint16, where 65535 is what 255 was, or as uint8, rounded."""
    if deep == (images.dtype == np.uint16):
        return images
    if deep:
        return images.astype(np.uint16) * np.uint16(257)
    return ((images.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)


def to_array(image: Image.Image) -> np.ndarray:
    """Mode L, RGB or RGBA -> uint8 `[H, W, 1, 3 or 4]`; see `clear`."""
    array = np.asarray(image)
    return clear(array) if array.ndim == 3 else array[..., None]


def from_array(array: np.ndarray) -> Image.Image:
    """Uint8 `[H, W, 1, 3 or 4]` -> mode L, RGB or RGBA."""
    return Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array)


def clear(images):
    """RGBA `[..., 4]` with white, unseen, where alpha is 0; others as they are.

    What resizes and draws leaves black there, a contour that nobody drew.
    """
    if images.shape[-1] != 4:
        return images
    nothing = images[..., 3:] == 0
    white = np.array([*[np.iinfo(images.dtype).max] * 3, 0], images.dtype)
    return np.where(nothing, white, images)


def over_white(images):
    """RGBA `[..., 4]`, uint8 or uint16, as RGB over white; others as they are."""
    if images.shape[-1] != 4:
        return images
    most = int(np.iinfo(images.dtype).max)
    colours, alpha = np.split(images.astype(np.uint64), [3], -1)
    mixed = colours * alpha + most * (most - alpha)
    return ((mixed + most // 2) // most).astype(images.dtype)


def of_channels(images, channels: int):
    """Images as gray (1), RGB (3) or RGBA (4).

    Transparency goes over white, colours become luma, what has none is opaque.

    Args:
        images: uint8 or uint16 `[..., 1, 3 or 4]`.
        channels: how many there shall be.
    """
    if images.shape[-1] == channels:
        return images
    images = over_white(images)
    if channels == 1 and images.shape[-1] == 3:
        return np.rint(images @ LUMA)[..., None].astype(images.dtype)
    if images.shape[-1] < min(channels, 3):
        images = images.repeat(3, -1)
    if channels == 4:
        full = np.full_like(images[..., :1], np.iinfo(images.dtype).max)
        images = np.concatenate([images, full], -1)
    return images
