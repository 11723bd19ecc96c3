"""Images of a data set, translated by a trained run."""

import functools
from collections.abc import Iterator
from typing import NamedTuple

import jax
import numpy as np
from jax import random
from tqdm import tqdm

from jaxgan import data, parallel, visual
from jaxgan.recipes.translator import Translator
from jaxgan.tasks import LUMA
from jaxgan.types import UsageError, example

PIXELS = 200 * 32 * 32
"""Pixels that are translated at a time, about."""

SHOWN = 24
"""Examples on a sheet."""


def check(translator: Translator, dataset: data.Dataset) -> None:
    """Refuses data that the task cannot be made of.

    Raises:
        UsageError: naming what is missing, and what has it.
    """
    having = {
        "input": "pairs:DIR or, for unpaired translation, unpaired:A,B",
        "map": "maps:DIR or mapped_mnist",
    }
    for one in ways(translator):
        for field in one.task.needs:
            if field not in dataset.fields:
                raise UsageError(
                    f"--data {dataset.name} has no {field} beside its images; give "
                    f"{having[field]}."
                )
        if "map" in one.task.needs:
            known = map_classes(one.task, dataset.shape)
            if dataset.map_classes > known:
                raise UsageError(
                    f"--data {dataset.name} has maps with the class "
                    f"{dataset.map_classes - 1}, but networks for 0 ... {known - 1}; "
                    f"give --map-classes {dataset.map_classes}."
                )


def ways(translator: Translator) -> tuple[Translator, ...]:
    """The translator, and the way back if there is one."""
    return tuple(filter(None, (translator, translator.back)))


class Sides(NamedTuple):
    """A data set as a task sees it."""

    sources: data.Dataset
    """What is given is made of these."""
    targets: data.Dataset
    """What it should become; the `image` of them."""
    paired: bool
    """Whether a source and the target of its index belong together."""


def sides(dataset: data.Dataset, task) -> Sides:
    """What a task translates, and to what."""
    there, others = task.target == "image", dataset.unpaired
    if others and "input" not in task.needs:  # it makes pairs of B itself
        dataset, others = dataset._replace(unpaired=None), None
    if not others:
        if there:
            return Sides(dataset, dataset, True)
        return Sides(dataset, _renamed(dataset, {"input": "image"}), True)
    alone = dataset._replace(unpaired=None)
    if there:
        names = {"image": "input", "label": "label"}
        return Sides(_renamed(others, names), alone, False)
    return Sides(alone, others, False)


def _renamed(dataset, names):
    def fetch(index):
        rows = dataset.fetch(index)
        return {new: rows[old] for old, new in names.items() if old in rows}

    return dataset._replace(fetch=fetch)


class Block(NamedTuple):
    """Some examples and their translations, uint8 `[B, H, W, C]` each.

    Blocks are of one size; of the last, the first `n` count.
    """

    n: int

    rows: dict
    """As fetched."""
    shown: np.ndarray
    """What was given, for people to see."""
    plain: np.ndarray
    """`Task.plain` of it."""
    output: np.ndarray
    styled: np.ndarray | None = None
    """Translations in their own target's style, where the translator takes styles."""


def translated(
    translator: Translator,
    state,
    sources: data.Dataset,
    index: np.ndarray,
    seed: int = 0,
    label: str | None = None,
) -> Iterator[Block]:
    """Translates examples, on all devices that hold the state.

    Args:
        translator: from a recipe.
        state: its train state.
        sources: of `sides`.
        index: which, int `[N]`.
        seed: decides what the task and the network draw at random.
        label: of a progress bar; None for none.
    """
    mesh = parallel.mesh_of(state.step)
    h, w, channels = sources.shape
    size = max(1, min(200, PIXELS // (h * w), len(index)))
    size = parallel.rounded(size, mesh)
    draw, divided = _drawer(translator, mesh), parallel.divided(mesh)
    root = random.key(seed)
    with tqdm(
        total=len(index), desc=label, unit="image", leave=False, disable=label is None
    ) as bar:
        for i, (rows, n) in enumerate(data.blocks(index, size)):
            fetched = sources.fetch(rows)
            batch = jax.device_put(data.scaled(fetched), divided)
            found = draw(state, batch, random.fold_in(root, i))
            shown, plain, *drawn = map(visual.to_uint8, found)
            yield Block(n, fetched, shown, _of_channels(plain, channels), *drawn)
            bar.update(n)


@functools.lru_cache(8)
def _drawer(translator, mesh):
    """`(state, batch, key) -> images` of a `Block`, compiled once for each size."""
    task = translator.task

    def draw(state, batch, key):
        on_given, on_network = random.split(key)
        given = task.given(batch, on_given)
        shown = task.show(given)
        plain = task.plain(given) if task.plain else shown
        output = translator.translate(state, given, on_network)
        if not translator.styled:
            return shown, plain, output
        styled = translator.styled(state, given, batch[task.target])
        return shown, plain, output, styled

    whole, divided = parallel.replicated(mesh), parallel.divided(mesh)
    return jax.jit(draw, in_shardings=(whole, divided, whole), out_shardings=divided)


def _of_channels(images, channels):
    """uint8 images of 1 or 3 channels, with as many."""
    if images.shape[-1] > channels:
        return np.rint(images @ np.array(LUMA))[..., None].astype(np.uint8)
    return images.repeat(channels, -1) if images.shape[-1] < channels else images


def sheet(translator: Translator, dataset: data.Dataset, seed: int):
    """`draw(state) -> uint8 [H, W, C]`: input | output | target, the same always.

    Three examples to a row; without a target where the data are not in pairs. Below
    them the way back, if there is one.
    """
    jobs = []
    for one in ways(translator):
        of = sides(dataset, one.task)
        jobs.append((one, of, np.arange(min(SHOWN, of.sources.size))))

    def draw(state):
        strips = []
        for one, of, index in jobs:
            for block in translated(one, state, of.sources, index, seed):
                columns = [block.shown, block.output]
                if of.paired:
                    columns.append(block.rows[one.task.target])
                most = max(x.shape[-1] for x in columns)
                columns = [_of_channels(x[: block.n], most) for x in columns]
                rows = zip(*columns, strict=True)
                strips += [visual.grid(np.stack(row), len(row)) for row in rows]
        return visual.grid(np.stack(strips), 3, gap=8)

    return draw


def map_classes(task, shape) -> int:
    """How many classes a task of label maps knows."""
    batch = example(shape)
    return jax.eval_shape(task.given, batch, random.key(0)).shape[-1]
