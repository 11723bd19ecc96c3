"""From a picture in a file, of any kind, to the numbers that its pixels mean.

- Colours are brought to sRGB, see `profiles`.
- Gray of 2, 4, 12 or 16 bits is scaled to all of 8 bits, or of 16, and rounded; 32-bit
  integer gray whose values fit in 16 bits counts as 16-bit. Other deep pixels have no
  known range and are refused. Of deep colours Pillow decodes the upper 8 bits alone.
- Transparent pictures are composited over white, as a browser or a page shows them,
  unless all four channels are asked for: then colours are as in a PNG, not multiplied
  by alpha, and where nothing is seen of them white. A single colour may be transparent,
  too.
- Pixels of label maps are numbers and keep them, whatever colours stand for them.
- EXIF orientation is applied, where it precedes the pixels (a PNG may carry it after
  them; few programs look there). Of an animation the first frame is taken, with a note.
"""

import contextlib
import math
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from jaxgan.data import outside, pixels, profiles

__all__ = [
    *("Picture", "is_gray", "opened", "picture", "suffixes", "to_array", "to_classes"),
    "upright_size",
]

# The commonest formats come first in Pillow's order then; else it asks others of each
# JPEG, some at length.
Image.preinit()

_STUBS = ("EPS", "IPTC", "MPEG")
"""What Pillow registers and is no picture, or (EPS) a program for others to run."""
_LOSSY = ("JPEG", "JPEG2000", "MPO", "WEBP", "AVIF")
_LOWER = "the lower 8 of 16 bits of gray, which depth 16 keeps"


def suffixes() -> frozenset[str]:
    """Those of the picture formats that Pillow opens here, plugins included."""
    known = Image.registered_extensions()
    return frozenset(suffix for suffix, kind in known.items() if _opens(kind))


def _opens(kind):
    factory = Image.OPEN.get(kind, (None,))[0]
    stub = isinstance(factory, type) and issubclass(factory, ImageFile.StubImageFile)
    return factory is not None and not stub and kind not in _STUBS


def _formats():
    """Those that files of any name are tried as."""
    return [kind for kind in Image.OPEN if _opens(kind)]


@contextlib.contextmanager
def opened(source: Path | IO[bytes]):
    """The picture in a file, its pixels not yet decoded.

    Raises:
        ValueError: it is no picture.
    """
    with contextlib.ExitStack() as stack:
        # Given a path, Pillow maps an uncompressed TIFF and turns it the wrong way.
        file = outside.opened(source) if isinstance(source, Path) else source
        stack.enter_context(file)
        try:
            image: Image.Image = Image.open(file, formats=_formats())
        except UnidentifiedImageError as error:
            raise ValueError("not an image in a format that Pillow reads") from error
        if math.prod(image.size) > (Image.MAX_IMAGE_PIXELS or math.inf):
            raise Image.DecompressionBombError("it has too many pixels")
        yield stack.enter_context(image)


def is_gray(image: Image.Image) -> bool:
    """Whether the file declares gray pixels: a gray mode, or a palette of grays."""
    if image.mode in ("P", "PA"):
        palette = np.array(image.getpalette("RGB")).reshape(-1, 3)
        return bool((palette == palette[:, :1]).all())
    gray = image.mode.startswith(("1", "L", "I", "F")) and image.mode != "LAB"
    return gray or _stored(image).kind == "LA;16B"


def upright_size(image: Image.Image) -> tuple[int, int]:
    """`(height, width)` once oriented, from the header alone."""
    turned = "exif" in image.info and image.getexif().get(0x0112) in (5, 6, 7, 8)
    return image.size if turned else image.size[::-1]


class Picture(NamedTuple):
    """What a file shows."""

    colours: np.ndarray
    """uint8 or uint16 `[H, W, 1 or 3]`, also where nothing is seen of them."""
    alpha: np.ndarray | None
    """How opaque, `[H, W, 1]` of the same type; None where the file has none."""
    notes: tuple[str, ...] = ()
    """What else there is in the file."""

    def passed_over(self, deep: bool) -> tuple[str, ...]:
        """What the array does not have of the file."""
        lower = self.colours.dtype == np.uint16 and not deep
        return self.notes + (_LOWER,) * lower

    def array(self, channels: int, deep: bool = False) -> np.ndarray:
        """uint8 `[H, W, channels]`, or uint16 if deep."""
        every, alpha = self.colours, self.alpha
        if alpha is not None and (channels == 4 or (alpha < _most(alpha)).any()):
            every = np.concatenate([*[every] * (3 // every.shape[2]), alpha], -1)
        every = pixels.of_depth(every, deep)
        if channels == 1 and every.shape[2] == 3 and not deep:
            return np.asarray(Image.fromarray(every).convert("L"))[..., None]
        return pixels.clear(pixels.of_channels(every, channels))


def picture(image: Image.Image) -> Picture:
    """The picture upright, in sRGB.

    Raises:
        ValueError: its pixels have no known range.
    """
    stored, notes = _stored(image), []
    if image.format != "MPO" and getattr(image, "is_animated", False):
        notes.append("frames after the first")  # those of an MPO are previews
    if ";16" in stored.kind and not image.mode.startswith("I"):
        notes.append("the lower 8 of 16 bits of colours, which Pillow does not decode")
    image = _upright(image)
    alpha = _alpha(image, stored)
    if image.mode == "F":
        raise ValueError("floating-point pixels have no known range")
    deep = image.mode.startswith("I")
    bare = Image.fromarray(_sixteen(image, stored)) if deep else _bare(image, stored)
    bare.info = image.info
    shown, note = profiles.to_srgb(bare)
    colours = np.asarray(shown)
    colours = colours[..., None] if colours.ndim == 2 else colours
    if alpha is not None:
        alpha = pixels.of_depth(alpha, colours.dtype == np.uint16)[..., None]
    return Picture(colours, alpha, (*notes, *filter(None, [note])))


def to_array(image: Image.Image, channels: int, deep: bool = False) -> np.ndarray:
    """The picture upright, in sRGB, uint8 or, if deep, uint16 `[H, W, channels]`.

    Raises:
        ValueError: its pixels have no known range.
    """
    return picture(image).array(channels, deep)


def to_classes(image: Image.Image) -> np.ndarray:
    """A map, uint8 `[H, W]`: gray values, or a palette's numbers, are those of classes.

    Raises:
        ValueError: it has colours, or numbers above 255, or a format that changes them.
    """
    stored, compression = _stored(image), image.info.get("compression")
    if image.format in _LOSSY or compression in ("jpeg", "webp"):
        kind = image.format if image.format in _LOSSY else f"TIFF with {compression}"
        raise ValueError(
            f"{kind} may change a map's numbers as it compresses; save maps as PNG"
        )
    image = _upright(image)
    array = np.asarray(image)
    if image.mode == "1":
        return array.astype(np.uint8)
    if image.mode == "P":
        return array
    if image.mode == "L":
        array = 255 - array if stored.inverted else array
        return np.rint(array / 255 * stored.most).astype(np.uint8)
    if not image.mode.startswith("I"):
        raise ValueError(
            f"mode {image.mode}: a map has one number for each pixel, gray or a"
            " palette's"
        )
    if array.min() < 0 or array.max() > 255:
        raise ValueError(f"number {array.max()}: classes go from 0 to 255")
    return array.astype(np.uint8)


class _Stored(NamedTuple):
    """How a file holds its numbers, before Pillow scales them."""

    kind: str
    """Pillow's raw mode, such as "RGB;16B"."""
    most: int
    """The largest of gray: what Pillow makes 255 or, of 12 bits, leaves."""
    inverted: bool
    """Whether 0 is white (TIFF)."""


def _stored(image):
    tile = (getattr(image, "tile", None) or [None])[0]
    args = tile[3] if tile else None
    args = args if isinstance(args, tuple) else (args,)
    kind = args[0] if args and isinstance(args[0], str) else image.mode
    most = {"L;2": 3, "L;4": 15, "I;12": 4095}.get(kind.rstrip("RI"), 255)
    if tile and tile[0].startswith("ppm") and len(args) > 1:
        most = args[1]
    tags = getattr(image, "tag_v2", {})
    return _Stored(kind, most, image.mode != "P" and tags.get(0x0106) == 0)


def _upright(image):
    # Before decoding, so that this agrees with `upright_size`. (Pillow turns TIFF,
    # which keeps its orientation elsewhere, by itself.)
    return ImageOps.exif_transpose(image) if "exif" in image.info else image


def _bare(image, stored):
    """Mode L, RGB, CMYK or LAB, as if all were opaque."""
    if image.mode in ("CMYK", "LAB"):
        return image
    if image.mode in ("RGBa", "La"):
        image = image.convert({"RGBa": "RGBA", "La": "LA"}[image.mode])
    gray = image.mode in ("1", "L", "LA") or stored.kind == "LA;16B"
    gray = gray or (image.mode in ("P", "PA") and is_gray(image))
    mode = "L" if gray else "RGB"
    if image.mode == mode:
        return image
    if stored.kind == "LA;16B":
        return image.getchannel("R")
    plain = image.copy()
    plain.info = {}  # a transparent colour would be converted, too
    return plain.convert(mode)


def _alpha(image, stored):
    """uint8 or uint16 `[H, W]`; None where the file has no transparency."""
    if image.mode in ("RGBa", "La"):
        image = image.convert({"RGBa": "RGBA", "La": "LA"}[image.mode])
    if image.mode.endswith("A"):
        return np.asarray(image.getchannel("A"))
    if image.mode == "P" and image.palette and image.palette.mode.endswith("A"):
        return np.asarray(image.convert("RGBA").getchannel("A"))
    key = image.info.get("transparency")
    if key is None:
        return None
    array = np.asarray(image)
    if image.mode == "P":
        seen = np.full(256, 255, np.uint8)
        if isinstance(key, bytes):
            seen[: len(key)] = np.frombuffer(key, np.uint8)
        else:
            seen[key] = 0
        return seen[array]
    full = np.uint16(65535) if image.mode.startswith("I") else np.uint8(255)
    if image.mode == "1":
        array = array.astype(np.uint8)
    elif image.mode == "L":
        key = round(key * 255 / stored.most)
    elif stored.kind == "RGB;16B":  # of which the upper 8 bits are there
        key = [part >> 8 for part in key]
    match = (array == np.asarray(key)).reshape(*array.shape[:2], -1).all(-1)
    return np.where(match, full.dtype.type(0), full)


def _sixteen(image, stored):
    array = np.asarray(image).astype(np.int64)
    if array.min() < 0 or array.max() > 65535:
        raise ValueError("32-bit pixels have no known range")
    if stored.kind == "I;12":
        array = (array * 65535 + 2047) // 4095
    return (65535 - array if stored.inverted else array).astype(np.uint16)


def _most(array):
    return np.iinfo(array.dtype).max
