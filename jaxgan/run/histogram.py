"""Histograms as pictures, for a page or a shell that shows a PNG."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

__all__ = ["COLOURS", "picture"]

COLOURS = (31, 119, 180), (44, 160, 44), (214, 39, 40), (148, 103, 189)
SIZE = 720, 400
LEFT, TOP, RIGHT, BOTTOM = 24, 56, 24, 44
"""Pixels beside the axes."""


def picture(edges: np.ndarray, shares: dict[str, np.ndarray], title: str) -> np.ndarray:
    """Outlines of histograms over one axis, each with its name.

    Args:
        edges: of the bins, `[B + 1]`, evenly spaced.
        shares: by name, `[B]`, the share in each bin.
        title: above them.

    Returns:
        uint8 `[H, W, 3]`.
    """
    width, height = SIZE
    sheet = Image.new("RGB", SIZE, "white")
    pen, font = ImageDraw.Draw(sheet, "RGBA"), ImageFont.load_default(15)
    most = max(float(x.max()) for x in shares.values()) or 1.0
    span = edges[-1] - edges[0]

    def place(x, share):
        across = LEFT + (x - edges[0]) / span * (width - LEFT - RIGHT)
        return across, height - BOTTOM - share / most * (height - TOP - BOTTOM)

    for (_, share), colour in zip(shares.items(), COLOURS, strict=False):
        line = [place(edges[0], 0)]
        for left, right, value in zip(edges[:-1], edges[1:], share, strict=True):
            line += [place(left, value), place(right, value)]
        line.append(place(edges[-1], 0))
        pen.polygon(line, fill=(*colour, 40))
        pen.line(line, fill=(*colour, 255), width=2)
    pen.line([place(edges[0], 0), place(edges[-1], 0)], fill="black")
    for x in _ticks(edges[0], edges[-1]):
        across, down = place(x, 0)
        pen.line([(across, down), (across, down + 5)], fill="black")
        pen.text((across, down + 8), f"{x:g}", "black", font, anchor="ma")
    pen.text((LEFT, 8), title, "black", font)
    across = LEFT
    for name, colour in zip(shares, COLOURS, strict=False):
        pen.rectangle((across, 36, across + 12, 48), fill=colour)
        pen.text((across + 18, 33), name, "black", font)
        across += 18 + pen.textlength(name, font) + 24
    return np.asarray(sheet)


def _ticks(least, most):
    """Round numbers on an axis, about eight."""
    power = 10.0 ** np.floor(np.log10((most - least) / 8))
    step = power * next(k for k in (1, 2, 5, 10) if (most - least) / (k * power) <= 10)
    first = np.ceil(least / step)
    return [float(k * step) for k in np.arange(first, np.floor(most / step) + 1)]
