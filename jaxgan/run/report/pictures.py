"""Sheets of samples, made small enough for one page."""

import base64
import io
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image

from jaxgan.data import outside
from jaxgan.run.report.contents import Sheet

__all__ = ["MEMBERS", "Picture", "Shown", "encoder", "shown"]

BYTES = 3_500_000
"""Of all pictures on a page, as text."""
STEPS = 60
"""Of which samples are shown, at most."""
MEMBERS = 12
"""Of which samples are shown, at most."""
LOSSLESS = 48_000
"""Bytes of a sheet up to which it is kept to the bit."""
SIDE = 1600
"""Pixels of a sheet's longer side, at most."""
DECODED = 1 << 28
"""Pixels of a file that is read, at most."""


class Picture(NamedTuple):
    """A sheet as a page holds it."""

    step: int
    member: int
    width: int
    height: int
    data: str
    """A `data:` URI."""


class Shown(NamedTuple):
    """The sheets of a page."""

    by_step: dict[int, list[Picture]]
    of: int
    """How many steps there are sheets of."""
    damaged: list[str]
    """Names of files that cannot be read."""


def encoder() -> Callable[[Sheet], Picture | None]:
    """`encode(sheet)`, or None of what is no picture; what it has seen it knows."""
    known: dict[tuple, Picture | None] = {}

    def encode(sheet: Sheet) -> Picture | None:
        try:
            stat = sheet.file.stat()
        except OSError:
            return None
        key = sheet.file.name, stat.st_size, stat.st_mtime_ns
        if key not in known:
            known[key] = _encoded(sheet)
        return known[key]

    return encode


def shown(sheets: list[Sheet], encode: Callable[[Sheet], Picture | None]) -> Shown:
    """Of evenly many steps, first and last among them, as many as there is room for."""
    sheets = [sheet for sheet in sheets if sheet.member < MEMBERS]
    steps = sorted({sheet.step for sheet in sheets})
    count, damaged = min(len(steps), STEPS), dict[str, None]()
    while True:
        chosen = {*_spread(steps, count)}
        found: dict[int, list[Picture]] = {}
        for sheet in (s for s in sheets if s.step in chosen):
            if picture := encode(sheet):
                found.setdefault(sheet.step, []).append(picture)
            else:
                damaged[sheet.file.name] = None
        size = sum(len(p.data) for row in found.values() for p in row)
        if size <= BYTES or count <= 1:
            return Shown(found, len(steps), [*damaged])
        count = max(1, min(count - 1, int(count * BYTES / size)))


def _spread(steps, count):
    """So many of them; of one, the last."""
    last = len(steps) - 1
    return [steps[last - i * last // max(1, count - 1)] for i in range(count)]


def _encoded(sheet: Sheet) -> Picture | None:
    try:
        with outside.opened(sheet.file) as file:
            read = Image.open(file, formats=["PNG"])
            if math.prod(read.size) > DECODED:
                return None
            read.load()
    # A damaged file raises whatever its decoder meets.
    except Exception:
        return None
    plain = read.mode in ("L", "RGB", "RGBA")
    picture = _halved(read if plain else read.convert("RGB"))
    picture.thumbnail((SIDE, SIDE))
    data = _webp(picture, lossless=True, quality=30, method=1)
    if len(data) > LOSSLESS:
        data = _webp(picture, quality=85, method=3)
    text = "data:image/webp;base64," + base64.b64encode(data).decode()
    width, height = picture.size
    return Picture(sheet.step, sheet.member, width, height, text)


def _halved(picture):
    """Without the doubling of pixels that sheets are written with."""
    pixels = np.asarray(picture)
    half = pixels[::2, ::2]
    same = np.array_equal(half.repeat(2, 0).repeat(2, 1), pixels)
    return Image.fromarray(half) if same else picture


def _webp(picture, **options):
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", **options)
    return buffer.getvalue()
