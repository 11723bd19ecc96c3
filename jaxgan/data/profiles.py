"""From the colours of an embedded profile to those of sRGB, as screens show them.

What a file says of its colours is an ICC profile or, in a PNG without one, an exponent
(`gAMA`). Intents are perceptual, as Pillow has them by default. A profile whose colours
come within one of 255 levels of sRGB's changes nothing: so it is of the many that are
sRGB under another name.

A profile that is broken, or of other colours than the pixels are, is passed over with
a note, as browsers do: the pixels are sound, and most likely sRGB.
"""

import functools
import io
import struct

import numpy as np
from PIL import Image, ImageCms

__all__ = ["to_srgb"]

_SPACES = {"RGB ": "RGB", "CMYK": "CMYK", "GRAY": "L", "Lab ": "LAB"}
_EXACT = 0x0100
"""`cmsFLAGS_NOOPTIMIZE`: gray is not read off a small table."""
_SRGB = ImageCms.createProfile("sRGB")
_LAB = ImageCms.createProfile("LAB")


def to_srgb(image: Image.Image) -> tuple[Image.Image, str]:
    """The picture as sRGB shows it, and why its profile was passed over, if it was.

    Args:
        image: mode L, I;16, RGB, CMYK or LAB, with what its file says in `info`.

    Returns:
        Mode L or I;16 of gray, else RGB; and a note, or "".
    """
    profile, note = image.info.get("icc_profile") or b"", ""
    if profile:
        shown, note = _through(image, profile)
        if shown is not None:
            return shown, note
    elif _is_exponent(image.info):
        return _by_exponent(image, image.info["gamma"]), note
    if image.mode == "LAB":
        return ImageCms.buildTransform(_LAB, _SRGB, "LAB", "RGB").apply(image), note
    return (image.convert("RGB") if image.mode == "CMYK" else image), note


def _through(image, profile):
    """The picture through its profile, or None; and why not."""
    gray = image.mode in ("L", "I;16")
    try:
        space = _space(profile)
        if gray and space == "RGB":  # gray is where the three are equal
            if image.mode == "I;16":
                return None, "its colour profile is of RGB, its pixels 16-bit gray"
            image, gray = image.convert("RGB"), True
        elif space != ("L" if gray else image.mode):
            pixels = "gray" if gray else image.mode
            kind = "gray" if space == "L" else space
            return None, f"its colour profile is of {kind}, its pixels {pixels}"
        mode = image.mode
        transform = _transform(profile, mode, gray)
    # littlecms meets broken profiles with errors of several types.
    except (OSError, ValueError, TypeError, ImageCms.PyCMSError):
        return None, "its colour profile is broken"
    if transform is None:
        return (image.convert("L") if gray and mode == "RGB" else image), ""
    return transform.apply(image), ""


def _space(profile):
    found = ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile.xcolor_space
    return _SPACES.get(found, found.strip())


@functools.lru_cache(64)
def _transform(profile, mode, gray):
    """To gray or RGB of sRGB; None where that would change nothing that is seen."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    if gray:
        to = "I;16" if mode == "I;16" else "L"
        args = source, _gray_srgb(), mode, to
        made = ImageCms.buildTransform(*args, flags=ImageCms.Flags(_EXACT))
    else:
        made = ImageCms.buildTransform(source, _SRGB, mode, "RGB")
    if mode in ("CMYK", "LAB"):
        return made
    before = _palette(mode)
    after = made.apply(before)
    same = before.convert(after.mode) if mode == "RGB" else before
    step = 257 if mode == "I;16" else 1
    change = np.asarray(after).astype(int) - np.asarray(same).astype(int)
    return made if abs(change).max() > step else None


def _palette(mode):
    """Colours, or grays, that tell one profile from another."""
    if mode == "RGB":
        grid = np.stack(np.meshgrid(*[np.linspace(0, 255, 9)] * 3), -1)
        return Image.fromarray(grid.reshape(27, 27, 3).astype(np.uint8))
    grays = np.arange(256)[None]
    deep = mode == "I;16"
    return Image.fromarray((grays * 257).astype("u2") if deep else grays.astype("u1"))


@functools.cache
def _gray_srgb():
    """A profile of sRGB's grays (ICC.1:2022, a parametric curve of type 3)."""
    curve = [2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045]
    white = [0.9642, 1, 0.8249]
    name = b"mluc\0\0\0\0" + struct.pack(">2I4s2I2s", 1, 12, b"enUS", 2, 28, b"\0g")
    tags = {
        b"desc": name,
        b"cprt": name,
        b"wtpt": b"XYZ \0\0\0\0" + _fixed(white),
        b"kTRC": b"para\0\0\0\0" + struct.pack(">2H", 3, 0) + _fixed(curve),
    }
    table, body, start = b"", b"", 132 + 12 * len(tags)
    for tag, data in tags.items():
        table += tag + struct.pack(">2I", start + len(body), len(data))
        body += data + b"\0" * (-len(data) % 4)
    head = struct.pack(">2I", start + len(body), 0) + b"\x04\x20\0\0mntrGRAYXYZ "
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    head += _fixed(white) + bytes(48) + struct.pack(">I", len(tags))
    return ImageCms.ImageCmsProfile(io.BytesIO(head + table + body))


def _fixed(values):
    return struct.pack(f">{len(values)}i", *(round(x * 65536) for x in values))


def _is_exponent(info):
    """Whether a PNG says another than sRGB's, 1 / 2.2, by more than a twentieth."""
    gamma = info.get("gamma")
    return bool(gamma) and "srgb" not in info and abs(gamma * 2.2 - 1) > 0.05


def _by_exponent(image, gamma):
    most = 65535 if image.mode == "I;16" else 255
    light = (np.arange(most + 1) / most) ** (1 / gamma)
    low = light <= 0.0031308
    shown = np.where(low, 12.92 * light, 1.055 * light.clip(1e-9) ** (1 / 2.4) - 0.055)
    levels = np.rint(shown * most).astype(np.uint16 if most > 255 else np.uint8)
    return Image.fromarray(levels[np.asarray(image)])
