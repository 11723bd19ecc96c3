"""Pictures that are too large to translate at once, in overlapping tiles.

Where a pixel of the result sees no further than a margin, tiles overlap by twice that,
and what comes out is what the whole image would have become; means over the image are
gathered by passes before the last. Where a pixel sees further, tiles fade into each
other. `said` says which it was.
"""

import contextlib
import functools
import math
import warnings
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import numpy as np
from PIL import Image

from jaxgan import visual
from jaxgan.data import pictures
from jaxgan.run.reach import Part, Reach, Tiled, reach, settled, tiled, whole
from jaxgan.types import Draw, UsageError

__all__ = [
    "MEMORY",
    "Plan",
    "Tiler",
    "faded",
    "opened",
    "parsed",
    "parts",
    "said",
    "tiler",
]

MEMORY = 3 << 28
"""Bytes that a network may keep while it draws, where a device does not tell."""
FEW = 1 << 15
"""Pixels that are translated at once without asking what they take."""
PASSES = 8
"""Over the image for its statistics, at most."""


class Plan(NamedTuple):
    """How the files of one size are translated."""

    block: int
    """How many at once."""
    tile: int | None = None
    """The side of a tile, in pixels of the input; None for whole images."""
    overlap: int = 0
    """By how many pixels, at least, tiles overlap."""
    reach: Reach = Reach(0, 0)
    """What the network's pixels see."""
    fades: bool = False
    """Whether tiles fade into each other, as their pixels see more than a tile."""


class Tiler(NamedTuple):
    """One draw, of whole images or of tiles."""

    plan: Callable[[tuple[int, int], int, int], Plan]
    """`((H, W), how many files, how many at once at most) -> Plan`"""
    run: Callable[[Plan, list[dict], jax.Array], Any]
    """`(plan, of each file its rows, integers [H, W, C], by name, keys [N]) -> of each
    its image, integers [H, W, C]`, and of whole images N of them."""
    too_large: Callable[[tuple[int, int]], str | None]
    """`(H, W) ->` why such files are not translated, or None."""


def tiler(
    draw: Draw,
    state,
    channels: int,
    tile: int | str | None,
    look=None,
    show: Callable = visual.to_uint8,
) -> Tiler:
    """Plans and translates.

    Args:
        draw: from a model's `draws`.
        state: the model's train state.
        channels: of the images that it was trained on.
        tile: "auto", a number of pixels, or None, or "none".
        look: the image whose style all take, `[1, H, W, C]`.
        show: makes of images in [-1, 1] those of a file.

    Raises (`tiler` and `Tiler.plan`):
        UsageError: a tile is none of these, or too small for the network.
    """
    asked = parsed(tile)
    at_once = whole(draw, state, look)
    network = functools.cache(lambda: tiled(draw, state, channels, look))
    sees = functools.cache(lambda: reach(draw, network(), channels))

    @functools.cache
    def each():
        """Bytes a pixel."""
        side = max(2 * network().stride, 128)
        return network().memory(side, side) / side**2

    def plan(size, count, batch_size):
        block, area = min(batch_size, count), math.prod(size)
        if asked is None or (asked == "auto" and block * area <= FEW):
            return Plan(block)
        if asked == "auto":
            limit = _limit(state)
            fit = int(limit / (each() * area))
            if fit:
                return Plan(min(block, fit))
            side = math.isqrt(int(limit / each()))
        else:
            side = int(asked)
            if max(size) <= side:
                return Plan(block)
        return _tiles(side, asked, network().stride, sees())

    def too_large(size):
        most = Image.MAX_IMAGE_PIXELS
        if not most or math.prod(size) * 64 <= most:
            return None
        return _too_many(math.prod(size) * network().factor ** 2, most)

    def run(plan, rows, keys):
        if plan.tile:
            each = zip(rows, keys, strict=True)
            return [_translated(network(), plan, *of, show) for of in each]
        return show(at_once(rows, keys))

    return Tiler(plan, run, too_large)


def parsed(tile: int | str | None) -> int | str | None:
    """`auto`, a number of pixels, or None.

    Raises:
        UsageError: it is something else.
    """
    text = "none" if tile is None else str(tile)
    if text == "auto":
        return text
    if text == "none":
        return None
    if not (text.isascii() and text.isdigit() and int(text)):
        reason = "must be auto, none, or a number of pixels, such as 512."
        raise UsageError("tile", tile, reason)
    return int(text)


def said(plans: Iterable[Plan]) -> list[str]:
    """What was done in tiles, a sentence for each way, of one plan for each file."""
    every = [plan for plan in plans if plan.tile]
    found = []
    for plan in dict.fromkeys(every):
        n, side, layers = every.count(plan), plan.tile, plan.reach.layers
        images = f"{n} image{'s' * (n > 1)} in tiles of {side}x{side}"
        how = f"that overlap by {plan.overlap}: what the whole would have become"
        if plan.fades:
            how = (
                "that fade into each other, since a pixel sees more than a tile: not "
                "quite what the whole would have become"
            )
        if layers:
            how += f", by its statistics of {passes(plan)} passes before"
        if layers > PASSES:
            how += f", the later ones of {layers} layers guessed"
        found.append(f"{images} {how}.")
    return found


@contextlib.contextmanager
def opened(source):
    """`pictures.opened`, of pictures that are not too large.

    Raises:
        ValueError: it has more pixels than Pillow reads without a warning.
    """
    too_large = Image.DecompressionBombError, Image.DecompressionBombWarning
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with pictures.opened(source) as image:
                yield image
        except too_large:
            most = (Image.MAX_IMAGE_PIXELS or 0) / 1e6
            text = f"it has more than the {most:.0f} megapixels that are read at most"
            raise ValueError(text) from None


def _too_many(result, most):
    if result <= most:
        return None
    many = f"it would become one of {result / 1e6:.0f} megapixels"
    return f"{many}, more than the {most / 1e6:.0f} that are written at most"


def _limit(state):
    (device, *_) = state.step.devices()
    known = device.memory_stats() or {}
    return known["bytes_limit"] // 2 if "bytes_limit" in known else MEMORY


def _tiles(side, asked, stride, sees):
    """A plan of tiles, with sides that the network's stride divides."""
    if asked != "auto" and side < 2 * stride:
        reason = f"must be {2 * stride} or more for this network, or auto."
        raise UsageError("tile", side, reason)
    side = max(side // stride, 2) * stride
    if sees.margin is not None:
        overlap = 2 * -(-sees.margin // stride) * stride
        if side >= overlap + stride:
            return Plan(1, side, overlap, sees)
    return Plan(1, side, max(side // 4 // stride, 1) * stride, sees, fades=True)


def parts(length: int, plan: Plan, stride: int) -> list[Part]:
    """The tiles along one side of an image, all from multiples of the stride."""
    side, overlap = plan.tile or length, plan.overlap
    starts = [*range(0, length - side, side - overlap)]
    starts.append(max(0, -(-(length - side) // stride) * stride))
    stops = [start + side for start in starts[:-1]] + [length]
    lows = [start + overlap // 2 // stride * stride for start in starts]
    lows[0] = 0
    return [
        Part(*of) for of in zip(starts, stops, lows, [*lows[1:], length], strict=True)
    ]


def _translated(network: Tiled, plan: Plan, rows: dict, key, show) -> np.ndarray:
    size = next(iter(rows.values())).shape[:2]
    down, across = (parts(n, plan, network.stride) for n in size)
    known = _statistics(network, plan, rows, key, size, down, across)
    f, done, above = network.factor, [], None

    def strip(y):
        """All tiles of one row, side by side."""
        beside, ready = None, list[np.ndarray]()
        for i, x in enumerate(across):
            image, _ = network.run(rows, key, size, (y, x), known)
            image = np.array(image).swapaxes(0, 1)
            beside = _joined(beside, image, across, i, f, plan.fades, ready)
        return np.concatenate(ready).swapaxes(0, 1)

    for i, y in enumerate(down):
        shown: list = []
        above = _joined(above, strip(y), down, i, f, plan.fades, shown)
        done.append(show(shown[0]))
    return np.concatenate(done)


def _joined(old, new, along, i, f, fades, ready):
    """Fades tile i in where the one before ends; what no later one changes is ready.

    Returns:
        What is left of it, where the next one begins.
    """
    if i:
        n = (along[i - 1].stop - along[i].start) * f
        low = (along[i].low - along[i].start) * f
        weight = faded(n) if fades else (np.arange(n) >= low).astype("f4")
        weight = weight[:, None, None]
        new[:n] = old * (1 - weight) + new[:n] * weight
    end = along[i + 1].start if i + 1 < len(along) else along[i].stop
    n = (end - along[i].start) * f
    ready.append(new[:n])
    return new[n:]


def faded(n: int) -> np.ndarray:
    """Weights `[n]` of what comes: half a period of a cosine, in the middle half."""
    place = (np.arange(n, dtype="f4") + 0.5) / n * 2 - 0.5
    return 0.5 - 0.5 * np.cos(np.pi * place.clip(0, 1))


def _statistics(network, plan, rows, key, size, down, across):
    """Of each layer that normalizes over the image, [mean, variance] over the whole.

    Each pass measures one more layer behind those that are told what was measured; what
    it finds of later ones, by tiles that normalize by themselves, is a guess.
    """
    known: Any = None
    for n in range(passes(plan)):
        total: Any = None
        for y in down:
            for x in across:
                _, sums = network.run(rows, key, size, (y, x), known)
                added = sums if total is None else map(np.add, total, sums)
                total = [*added]
        known = settled(total, n + 1)
    return known and (len(known[1]), known[1])


def passes(plan: Plan) -> int:
    """Over the image for its statistics: one for each layer that takes some."""
    return min(plan.reach.layers, PASSES)
