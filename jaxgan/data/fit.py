"""Bringing images to one size and kind: resize, then centre crop, then channels.

Sizes are `(height, width)` everywhere, and print as `HxW`.
"""

import math
from typing import NamedTuple

import numpy as np
from PIL import Image

from jaxgan.data import pixels
from jaxgan.types import UsageError

__all__ = [
    "CHANNELS",
    "SIDE",
    "Fit",
    "apply",
    "apply_to_array",
    "checked",
    "fitted_size",
    "mixed_sizes",
    "show",
]

CHANNELS = {"gray": 1, "rgb": 3, "rgba": 4}
"""How many there are of each kind."""

SIDE = 1 << 15
"""Pixels of a side that images are brought to, at most."""
PIXELS = 1 << 27
"""Pixels in all, likewise."""


class Fit(NamedTuple):
    """How to bring an image to size, and to a kind of pixels.

    Attributes:
        resize: None, the short side in pixels (the aspect is kept), or `(h, w)`.
        crop: None, the side of a centred square, or `(h, w)`.
        channels: "gray", "rgb" or "rgba"; "auto" is as the data come, of files gray
            where all are, RGB otherwise. Without "rgba" what is transparent is seen
            over white.
        depth: 8 or 16 bits of gray, and of each colour, that image files are read as.
        void: the number in label maps of pixels that belong to no class, if there is.
    """

    resize: int | tuple[int, int] | None = None
    crop: int | tuple[int, int] | None = None
    channels: str = "auto"
    depth: int = 8
    void: int | None = None

    @property
    def deep(self) -> bool:
        """Whether files become uint16."""
        return self.depth == 16

    def count(self, otherwise: int) -> int:
        """How many channels are asked for, or as many as otherwise."""
        return CHANNELS.get(self.channels, otherwise)


def checked(fit: Fit) -> Fit:
    """Returns `fit` if it asks for positive whole sizes and channels that there are.

    Raises:
        UsageError: it does not.
    """
    if fit.channels not in ("auto", *CHANNELS):
        kinds = ", ".join(CHANNELS)
        raise UsageError("channels", fit.channels, f"must be auto, {kinds}.")
    if fit.depth not in (8, 16):
        raise UsageError("depth", fit.depth, "must be 8 or 16 bits.")
    if fit.void is not None and not 0 <= fit.void <= 255:
        raise UsageError("void", fit.void, "must be a number in maps, 0 to 255.")
    for option in ("resize", "crop"):
        value = getattr(fit, option)
        sides = value if isinstance(value, tuple | list) else (value, value)
        whole = len(sides) == 2 and all(type(s) is int and 0 < s <= SIDE for s in sides)
        if value is not None and not whole:
            raise UsageError(
                option,
                value,
                ": give a number of pixels such as 64, or a height and width such as"
                " 64x48",
            )
    return fit


def fitted_size(
    size: tuple[int, int], fit: Fit, spec: str, image: str = "an image"
) -> tuple[int, int]:
    """The `(height, width)` that an image of `size` has after `apply`.

    Args:
        size: `(height, width)` before.
        fit: the `Fit`.
        spec: names the data in a message.
        image: names the image in it, e.g. `"a.png"`.

    Raises:
        UsageError: the crop is larger than the image.
    """
    if isinstance(fit.resize, int):
        # The short side is exact by construction, the long side is rounded.
        h, w = (max(1, round(side * fit.resize / min(size))) for side in size)
        size = h, w
    elif fit.resize is not None:
        h, w = fit.resize
        size = h, w
    if fit.resize is not None and math.prod(size) > PIXELS:
        many = f"{image} would become {show(size)}, more than {PIXELS} pixels"
        raise UsageError("data", spec, f": {many}; `resize` less")
    if fit.crop is None:
        return size
    crop = _pair(fit.crop)
    if crop[0] > size[0] or crop[1] > size[1]:
        resized = "" if fit.resize is None else " after `resize`"
        raise UsageError(
            "data",
            spec,
            f": {image} is {show(size)}{resized}, too small for `crop` {show(crop)}"
            " (height x width): crop less, or enlarge it first with `resize`",
        )
    return crop


def apply(image: Image.Image, fit: Fit, nearest: bool = False) -> Image.Image:
    """Resizes with an antialiasing Lanczos filter, then crops the centre.

    Args:
        image: mode L, RGB or RGBA, whose colours count by how opaque they are; at
            least as large as the crop after resizing.
        fit: the `Fit`.
        nearest: take the nearest pixel instead, for numbers of classes.
    """
    if fit.resize is not None:
        size = fitted_size((image.height, image.width), Fit(fit.resize), "")
        if size != (image.height, image.width):
            how = Image.Resampling.NEAREST if nearest else Image.Resampling.LANCZOS
            image = image.resize(size[::-1], how)
    if fit.crop is not None:
        height, width = _pair(fit.crop)
        top, left = (image.height - height) // 2, (image.width - width) // 2
        image = image.crop((left, top, left + width, top + height))
    return image


def apply_to_array(array: np.ndarray, fit: Fit, nearest: bool = False) -> np.ndarray:
    """The same of uint8 or uint16 `[H, W, C]`, or of numbers, uint8 `[H, W]`.

    Colours count by how opaque they are.
    """
    if fit.resize is None and fit.crop is None:
        return array
    if array.ndim == 2:
        return np.asarray(apply(Image.fromarray(array), fit, nearest))
    if array.dtype == np.uint8:
        return pixels.to_array(apply(pixels.from_array(array), fit, nearest))
    # Pillow knows colours of 8 bits alone, so each channel is for itself.
    most, seen = 65535, array.astype(np.float32)
    if array.shape[-1] == 4:
        seen[..., :3] *= seen[..., 3:] / most
    planes = [Image.fromarray(plane) for plane in np.moveaxis(seen, -1, 0)]
    mixed = np.stack([np.asarray(apply(plane, fit, nearest)) for plane in planes], -1)
    if array.shape[-1] == 4:
        mixed[..., :3] *= most / np.maximum(mixed[..., 3:], 1)
    return pixels.clear(np.rint(np.clip(mixed, 0, most)).astype(np.uint16))


def mixed_sizes(spec: str, sizes: dict[str, tuple[int, int]]) -> UsageError:
    """The error for images whose sizes differ; `sizes` holds two, by name."""
    (a, size_a), (b, size_b) = sizes.items()
    return UsageError(
        "data",
        spec,
        f": the images differ in size, {a} is {show(size_a)} and {b} is"
        f" {show(size_b)} (height x width): add `resize` HxW, or `resize` N together"
        " with `crop` N to keep the aspect",
    )


def show(size: tuple[int, int]) -> str:
    """`(64, 48)` -> `"64x48"`."""
    return f"{size[0]}x{size[1]}"


def _pair(value):
    return (value, value) if isinstance(value, int) else tuple(value)
