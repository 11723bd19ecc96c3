"""A translator as programs, of images and of tiles, and how far its pixels see."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import data, parallel, window
from jaxgan.data.pixels import clear
from jaxgan.models import statistics
from jaxgan.types import Draw

__all__ = [
    *("Part", "Reach", "Tiled", "picture", "reach", "settled", "tiled", "translator"),
    "whole",
]

LEVEL = 2 / 255
SAME = LEVEL / 32
"""Differences below it, which rounding makes too, do not count."""
LARGEST = 1024
"""Rows of the largest picture that is tried."""
ASSUMED = 1 << 15
"""Bytes a pixel, where a compiler does not tell."""
UNKNOWN = 64
"""The stride of a network that is not of Flax linen."""


class Part(NamedTuple):
    """One side of a tile: where it is on the whole's, and what of it is used."""

    start: int
    stop: int
    low: int
    high: int


class Tiled(NamedTuple):
    """A draw as a program of one tile at a time."""

    run: Callable
    """`(rows, key, whole (H, W), (y, x) of `Part`, known) -> (image [h, w, C] in
    [-1, 1], sums of each layer that normalizes)`; rows are uint8 `[H, W, C]` of the
    whole, by name; known is of how many of these layers [mean, variance] are told, and
    that of each, see `models.statistics.traced`, or None."""
    memory: Callable
    """`(h, w) -> bytes` that the program of such a tile takes beside its arguments."""
    stride: int
    """What tiles must begin at a multiple of."""
    factor: int
    """How many times larger the result is."""


class Reach(NamedTuple):
    """How far a pixel of the result sees."""

    margin: int | None
    """Pixels of the input each way; None where no picture that was tried was larger."""
    layers: int
    """How many layers normalize by statistics of the whole image, too."""


def tiled(draw: Draw, state, channels: int, look=None) -> Tiled:
    """A draw as a program of tiles.

    Args:
        draw: from a model's `draws`.
        state: the model's train state.
        channels: of the images it was trained on.
        look: the image whose style all take, `[1, H, W, C]`.
    """
    where = parallel.replicated(parallel.mesh_of(state.step))
    made = translator(draw)

    def one(state, batch, key, whole, start, core, known):
        size = next(iter(batch.values())).shape[1:3]
        known = known if known[1] else None
        here = window.tile(window.Window(whole, start, size))
        with here, statistics.traced(core, known) as seen:
            return made(state, batch, key, look)[0], seen

    @jax.jit
    def program(*args):
        image, seen = one(*args)
        return image, seen.sums

    def args(rows, key, whole, parts, known):
        cut = tuple(slice(part.start, part.stop) for part in parts)
        batch = _batch([{name: array[cut] for name, array in rows.items()}], 1)
        start = np.array([part.start for part in parts], np.int32)
        ends = [(p.low - p.start, p.high - p.start) for p in parts]
        core = np.array(ends, np.int32).reshape(4)
        known = known or (0, nothing)
        known = (np.int32(known[0]), known[1])
        return batch, key, np.array(whole, np.int32), start, core, known

    def example(h, w):
        size, parts = _all(h, w)
        rows = picture(draw, h, w, channels)
        return args(rows, jax.random.key(0), size, parts, None)

    def run(*of_tile):
        image, sums = program(state, *jax.device_put(args(*of_tile), where))
        return np.asarray(image), [np.asarray(s, np.float64) for s in sums]

    def memory(h, w):
        some = example(h, w)
        found = program.lower(state, *jax.device_put(some, where)).compile()
        analysis = found.memory_analysis()
        return analysis.temp_size_in_bytes if analysis else h * w * ASSUMED

    nothing: list = []
    stride, factor, sums = _structure(one, state, example(8, 8))
    nothing += [np.zeros((2, x.shape[1]), np.float32) for x in sums]
    return Tiled(run, memory, stride, factor)


def whole(draw: Draw, state, look=None) -> Callable:
    """`(rows of each, keys [N]) -> images [N, H, W, C]` in [-1, 1], each as if alone.

    Args:
        draw: from a model's `draws`.
        state: the model's train state.
        look: the image whose style all take, `[1, H, W, C]`.
    """
    where, made = parallel.replicated(parallel.mesh_of(state.step)), translator(draw)

    @jax.jit
    def run(state, batch, keys, look):
        def alone(row, key):
            row = jax.tree.map(lambda x: x[None], row)
            return made(state, row, key, look)[0]

        return jax.vmap(alone)(batch, keys)

    def images(rows, keys):
        args = _batch(rows, len(keys)), keys, look
        return run(state, *jax.device_put(args, where))

    return images


def reach(draw: Draw, tiles: Tiled, channels: int, largest: int = LARGEST) -> Reach:
    """How far a draw's pixels see, and whether statistics are of the whole image.

    Halves of pictures are translated like tiles. What differs from the whole is as near
    to the cut as pixels see. Statistics are the whole's.

    Args:
        draw: from a model's `draws`.
        tiles: of the same.
        channels: of the images it was trained on.
        largest: the most rows that are tried.
    """
    stride, f = tiles.stride, tiles.factor
    length, width, means = max(128, 4 * stride), max(2 * stride, 16), 0
    while length <= largest:
        half, margin = length // 2, 0
        for smooth in (False, True):
            rows, key = (
                picture(draw, length, width, channels, smooth),
                jax.random.key(1),
            )
            (size, parts) = _all(length, width)
            image, sums = tiles.run(rows, key, size, parts, None)
            means = len(sums)
            known = settled(sums)
            for low in (0, half):
                part = Part(low, low + half, low, low + half)
                here, _ = tiles.run(rows, key, size, (part, parts[1]), known)
                there = image[low * f : (low + half) * f]
                differ = (np.abs(here - there) > SAME).any((1, 2))
                away = np.flatnonzero(differ[::-1] if low == 0 else differ)
                margin = max(margin, -(-(away.max() + 1) // f) if away.size else 0)
        if margin <= half - stride:
            # A map's pixel nearest to a feature is less than a stride before it.
            return Reach(int(margin) + (draw.task.file == "map") * (stride - 1), means)
        length *= 2
    return Reach(None, means)


def settled(sums, count: int | None = None):
    """`known` of sums, told to the first `count` layers, by default to all."""
    values = [statistics.combined(s).astype(np.float32) for s in sums]
    return len(values) if count is None else count, values


def picture(draw: Draw, h: int, w: int, channels: int, smooth: bool = False) -> dict:
    """Rows of a random picture as its files have them, of pixels or of patches."""
    rng = np.random.default_rng(0)

    def drawn(high, depth=()):
        if not smooth:
            return rng.integers(0, high, (h, w, *depth))
        few = rng.integers(0, high, (-(-h // 8), -(-w // 8), *depth))
        return few.repeat(8, 0).repeat(8, 1)[:h, :w]

    if draw.task.file == "map":
        return {"map": drawn(2).astype(np.uint8)}
    image = clear(drawn(256, (channels,)).astype(np.uint8))
    rows = {"image": image, "input": image}
    if draw.task.file == "hole":
        rows["hole"] = drawn(2, (1,)).astype(bool)
    return rows


def _all(h, w):
    return (h, w), (Part(0, h, 0, h), Part(0, w, 0, w))


def _batch(rows, size):
    """Arrays of a batch, filled up with the last image."""
    rows = [*rows, *rows[-1:] * (size - len(rows))]
    batch = {k: np.stack([row[k] for row in rows]) for k in rows[0]}
    hole = batch.pop("hole", None)
    batch = data.scaled(batch)
    return batch if hole is None else batch | {"hole": hole.astype(np.float32)}


def translator(draw):
    """`(state, batch, key, style=None) -> images`, of batches that show what is given.

    Args:
        draw: from a model's `draws`.
    """

    def made(state, batch, key, look=None):
        task = draw.task
        given = task.reads(batch) if task.reads else task.given(batch, key)
        if look is not None:
            given = draw.encode["style"](state, given, look)
        return draw.run(state, given, key)

    return made


def _structure(one, state, example):
    """Stride, factor and sums, from shapes alone."""
    side, sides = LARGEST, []

    def shapes(state, *rest):
        image, seen = one(state, *rest)
        sides.extend(seen.sides)
        return image, seen.sums

    batch, *rest = example
    batch = {
        name: jax.ShapeDtypeStruct((1, side, side, *x.shape[3:]), jnp.asarray(x).dtype)
        for name, x in batch.items()
    }
    made, sums = jax.eval_shape(shapes, state, batch, *rest)
    halved = [window.halvings(side, min(size)) for size in sides]
    stride = 1 << max(0, *halved, 0) if halved else UNKNOWN
    return stride, made.shape[0] // side, sums
