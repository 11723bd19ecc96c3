"""From a decoded picture of any kind to 8-bit gray or RGB.

- 16-bit gray is scaled by 255/65535 and rounded; 32-bit integer gray whose values fit
  in 16 bits counts as 16-bit. Other deep pixels have no known range and are refused.
- Transparent pictures are composited over white, as a browser or a page shows them.
- EXIF orientation is applied, where it precedes the pixels (a PNG may carry it after
  them; few programs look there). Of an animation the first frame is taken.
"""

import contextlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

__all__ = [
    *("alpha", "from_array", "halves", "is_gray", "opaque", "opened", "to_array"),
    *("to_classes", "to_uint8", "upright_size"),
]


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
    """The picture upright, as mode L (1 channel) or RGB (3 channels).

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
    """Mode L or RGB -> uint8 `[H, W, 1 or 3]`."""
    array = np.asarray(image)
    return array[..., None] if array.ndim == 2 else array


def from_array(array: np.ndarray) -> Image.Image:
    """Uint8 `[H, W, 1, 3 or 4]` -> mode L, RGB or RGBA."""
    return Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array)


def _from_16_bits(array):
    if array.min() < 0 or array.max() > 65535:
        raise ValueError("32-bit pixels have no known range")
    scaled = (array.astype(np.int64) * 255 + 32767) // 65535
    return Image.fromarray(scaled.astype(np.uint8))
