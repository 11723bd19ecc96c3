"""From a decoded picture of any kind to 8-bit gray, RGB or RGBA.

- 16-bit gray is scaled by 255/65535 and rounded; 32-bit integer gray whose values fit
  in 16 bits counts as 16-bit. Other deep pixels have no known range and are refused.
- Transparent pictures are composited over white, as a browser or a page shows them,
  unless all four channels are asked for: then colours are as in a PNG, not multiplied
  by alpha, and where nothing is seen of them white.
- EXIF orientation is applied, where it precedes the pixels (a PNG may carry it after
  them; few programs look there). Of an animation the first frame is taken.
"""

import contextlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

__all__ = [
    *("LUMA", "alpha", "clear", "from_array", "halves", "is_gray", "of_channels"),
    *("opaque", "opened", "over_white", "to_array", "to_classes", "to_uint8"),
    "upright_size",
]

LUMA = np.array([0.299, 0.587, 0.114])
"""Weights of R, G and B in Y (ITU-R BT.601)."""


@contextlib.contextmanager
def opened(path: Path):
    """The picture in a file, its pixels not yet decoded.

    Raises:
        ValueError: it is no picture.
    """
    # Given a path, Pillow maps an uncompressed TIFF and then turns it the wrong way.
    with open(path, "rb") as file:
        try:
            image = Image.open(file)
        except UnidentifiedImageError as error:
            raise ValueError("not an image in a format that Pillow reads") from error
        with image:
            yield image


def is_gray(image: Image.Image) -> bool:
    """Whether the file declares gray pixels: a gray mode, or a palette of grays."""
    if image.mode in ("P", "PA"):
        palette = np.array(image.getpalette("RGB")).reshape(-1, 3)
        return bool((palette == palette[:, :1]).all())
    return image.mode.startswith(("1", "L", "I", "F")) and image.mode != "LAB"


def upright_size(image: Image.Image) -> tuple[int, int]:
    """`(height, width)` once oriented, from the header alone."""
    turned = "exif" in image.info and image.getexif().get(0x0112) in (5, 6, 7, 8)
    return image.size if turned else image.size[::-1]


def to_uint8(image: Image.Image, channels: int) -> Image.Image:
    """The picture upright, as mode L (1 channel), RGB (3 channels) or RGBA (4).

    Raises:
        ValueError: its pixels have no known range.
    """
    # Before decoding, so that this agrees with `upright_size`. (Pillow turns TIFF,
    # which keeps its orientation elsewhere, by itself.)
    if "exif" in image.info:
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):
        image = _from_16_bits(np.asarray(image))
    if image.mode == "F":
        raise ValueError("floating-point pixels have no known range")
    if channels == 4:
        return image.convert("RGBA")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image.convert("L" if channels == 1 else "RGB")


def alpha(image: Image.Image) -> np.ndarray | None:
    """How opaque each pixel is once upright, uint8 `[H, W]`; None where all are."""
    if not image.has_transparency_data:
        return None
    if "exif" in image.info:
        image = ImageOps.exif_transpose(image)
    return np.asarray(image.convert("RGBA").getchannel("A"))


def opaque(image: Image.Image) -> Image.Image:
    """The picture with the colours that its transparent parts have underneath."""
    if not image.has_transparency_data:
        return image
    solid = image.convert("RGBA")
    solid.putalpha(255)
    return solid


def to_classes(image: Image.Image) -> Image.Image:
    """A map as mode L: gray values, or a palette's numbers, are those of classes.

    Raises:
        ValueError: it has colours, or more than 8 bits.
    """
    if "exif" in image.info:
        image = ImageOps.exif_transpose(image)
    if image.mode not in ("1", "L", "P"):
        raise ValueError(
            f"mode {image.mode}: a map has one number for each pixel, 8-bit gray or a"
            " palette's"
        )
    if image.mode == "1":
        return Image.fromarray(np.asarray(image).astype(np.uint8))
    return Image.fromarray(np.array(image))


def halves(image: Image.Image) -> tuple[Image.Image, Image.Image]:
    """The left half and the right."""
    middle = image.width // 2
    right = image.crop((middle, 0, image.width, image.height))
    return image.crop((0, 0, middle, image.height)), right


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


def _from_16_bits(array):
    if array.min() < 0 or array.max() > 65535:
        raise ValueError("32-bit pixels have no known range")
    scaled = (array.astype(np.int64) * 255 + 32767) // 65535
    return Image.fromarray(scaled.astype(np.uint8))
