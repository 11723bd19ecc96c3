"""Charts as SVG with labels in HTML, so that text keeps its size on a phone."""

import math
from typing import NamedTuple

from jaxgan.run.report.curves import Curve, Plot
from jaxgan.run.report.html import Html, element

__all__ = ["chart", "colour", "short", "swatch"]

COLOURS = 8
"""That the page has names for; more curves have hues at equal distances."""
SIDE = 1000
"""Of the drawing, whatever size it is shown in."""
DECADES = 1.5
"""Powers of ten that positive values span where their axis is logarithmic."""
FEW = 40
"""Points up to which each is marked."""


class Axis(NamedTuple):
    """From values to shares of a side."""

    low: float
    high: float
    ticks: tuple[float, ...]
    log: bool = False

    def at(self, value: float) -> float:
        """0 at the low end, 1 at the high one."""
        low, high, x = self.low, self.high, value
        if self.log:
            low, high, x = (math.log10(v) for v in (low, high, x))
        return (x - low) / (high - low)


def chart(plot: Plot) -> Html:
    """A figure: a title, a legend, axes and curves."""
    steps = [x for curve in plot.curves for x, _ in curve.points]
    high = max(1, *steps)
    x = linear(0, high, 4)
    x = x._replace(high=high, ticks=tuple(t for t in x.ticks if t <= high))
    y = _values_axis([v for c in plot.curves for _, v in c.points if not math.isnan(v)])
    lines = [_grid(y), *(_line(curve, x, y) for curve in plot.curves)]
    drawing = element(
        "svg",
        *lines,
        viewBox=f"0 0 {SIDE} {SIDE}",
        preserveAspectRatio="none",
        role="img",
        aria_label=f"{plot.title} by step",
    )
    ends = [element("i", class_="cursor")]
    area = element("div", drawing, *_y_labels(y), *_x_labels(x), *ends, class_="area")
    legend = () if plot.of_members else (_legend(plot),)
    scale = element("small", "log") if y.log else ""
    return element(
        "figure",
        element("figcaption", element("b", plot.title), " ", scale),
        *legend,
        area,
        element("div", class_="readout"),
        class_="chart",
        data_x=f"{x.low:.9g} {x.high:.9g}",
        data_y=f"{y.low:.9g} {y.high:.9g}",
        data_log=True if y.log else None,
    )


def _values_axis(values) -> Axis:
    low, high = min(values), max(values)
    if low > 0 and math.log10(high / low) > DECADES:
        return logarithmic(low, high)
    if low >= 0 and high <= 1 and high > 0.5:  # most often a share
        return linear(0, 1, 4)
    return linear(low, high, 4)


def linear(low: float, high: float, count: int) -> Axis:
    """An axis with ticks at multiples of 1, 2 or 5, from tick to tick."""
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        wide = abs(low) / 10 or 1.0
        low, high = low - wide, low + wide
    rough = high / count - low / count
    power = 10.0 ** math.floor(math.log10(rough))
    every = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
    first, last = math.floor(low / every + 1e-9), math.ceil(high / every - 1e-9)
    ticks = tuple(k * every for k in range(first, last + 1))
    return Axis(ticks[0], ticks[-1], ticks)


def logarithmic(low: float, high: float) -> Axis:
    """The same in powers of ten."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    every = max(1, math.ceil((last - first) / 5))
    ticks = tuple(10.0**k for k in range(first, last + 1, every))
    return Axis(10.0**first, 10.0**last, ticks, log=True)


def _grid(y: Axis):
    d = "".join(f"M0 {_down(y.at(tick))}H{SIDE}" for tick in y.ticks)
    return element("path", d=d, class_="grid")


def _down(share) -> str:
    return f"{SIDE * (1 - share):.1f}".removesuffix(".0")


def _line(curve: Curve, x: Axis, y: Axis):
    d, pen_down = [], False
    for step, value in curve.points:
        if math.isnan(value):
            pen_down = False
            continue
        where = f"{SIDE * x.at(step):.1f}".removesuffix(".0")
        d.append(f"{'L' if pen_down else 'M'}{where} {_down(y.at(value))}")
        pen_down = True
    title = element("title", curve.name)
    common = {"d": "".join(d), "style": f"--c:{colour(curve.number, curve.of)}"}
    few = len(curve.points) <= FEW
    marks = {"class_": "curve marked" if few else "curve", "data_name": curve.name}
    line = element("path", title, **common, **marks)
    if not few:
        return line
    dots = "".join(f"M{point[1:]}h0" for point in d)
    return element("g", line, element("path", **common | {"d": dots}, class_="dots"))


def colour(number: int, count: int) -> str:
    """Of one of so many curves, for CSS."""
    if count <= COLOURS:
        return f"var(--c{number % COLOURS})"
    return f"hsl({number * 360 // count} 65% 50%)"


def swatch(number: int, count: int) -> Html:
    """A patch of its colour."""
    return element("i", class_="swatch", style=f"--c:{colour(number, count)}")


def _legend(plot):
    each = []
    for c in plot.curves:
        name = "" if c.name == plot.title else c.name
        last = element("var", short(c.last))
        each.append(element("li", swatch(c.number, c.of), name, " ", last))
    return element("ul", *each, class_="legend")


def _y_labels(y: Axis):
    for tick in y.ticks:
        where = f"top:{100 * (1 - y.at(tick)):.2f}%"
        yield element("span", short(tick), class_="y", style=where)


def _x_labels(x: Axis):
    for tick in x.ticks:
        where = f"left:{100 * x.at(tick):.2f}%"
        yield element("span", short(tick), class_="x", style=where)


def short(value: float) -> str:
    """A number in few characters: 0.25, 1,500, 20k, 1.5e-05."""
    size = abs(value)
    if not size < 1e300:
        return "-∞"[value > 0 :]
    if size and (size < 1e-3 or size >= 1e9):
        return f"{value:.2g}"
    if size >= 1e4:
        unit, letter = (1e6, "M") if size >= 1e6 else (1e3, "k")
        return f"{value / unit:.3g}{letter}"
    if size >= 1000 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"
