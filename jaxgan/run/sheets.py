"""Sheets of samples: the same latents, or the same examples, always."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import random

from jaxgan import data, parallel, visual
from jaxgan.data import Dataset
from jaxgan.data.pixels import of_channels
from jaxgan.run.draws import PIXELS, from_noise, given, network
from jaxgan.run.keys import root
from jaxgan.run.sides import sides
from jaxgan.types import Draw, Model

__all__ = ["SHOWN", "Sheet", "sheet"]

SHOWN = 24
"""Examples on a sheet of translations."""


class Sheet(NamedTuple):
    """What is shown of a state."""

    picture: np.ndarray
    """uint8 `[H, W, C]`."""
    samples: np.ndarray | None
    """What it shows, uint8 `[N, H, W, C]`; None of translations."""
    labels: np.ndarray | None
    """int `[N]` of class-conditional ones."""


def sheet(model: Model, dataset: Dataset, num_classes: int, seed: int) -> Callable:
    """`draw(state) -> Sheet`.

    Of noise, a row for each class, or a square. Of images: input | output | target,
    three examples to a row, spread over the data, without a target where these are not
    in pairs; below them the way back, if there is one.
    """
    if any(map(from_noise, model.draws.values())):
        return _of_noise(model, num_classes, seed)
    return _of_images(model, dataset, seed)


def _of_noise(model, num_classes, seed):
    (of,) = model.draws.values()
    classes = min(num_classes, 10) if "label" in of.task.needs else 0  # a row for each
    columns = 10 if classes else 8
    n = classes * columns if classes else 64
    z_key, settle_key = random.split(root(seed, "sheets"))

    @jax.jit
    def images(state):
        batch = {"label": jnp.repeat(jnp.arange(classes), columns)} if classes else {}
        z = of.task.given(batch, z_key, n)
        return of.run(model.settle(state, settle_key), z, z_key)

    labels = np.repeat(np.arange(classes), columns) if classes else None

    def draw(state):
        samples = visual.to_uint8(images(state))
        return Sheet(visual.grid(samples, columns), samples, labels)

    return draw


def _of_images(model, dataset, seed):
    def draw(state):
        strips = []
        for of in model.draws.values():
            for columns in _examples(of, state, dataset, seed):
                most = max(x.shape[-1] for x in columns)
                rows = zip(*(of_channels(x, most) for x in columns), strict=True)
                strips += [visual.grid(np.stack(row), len(row)) for row in rows]
        return Sheet(visual.grid(np.stack(strips), 3, gap=8), None, None)

    return draw


def _examples(of: Draw, state, dataset, seed):
    """Blocks of what was given, what came of it and, in pairs, the target."""
    both, mesh = sides(dataset, of.task), parallel.mesh_of(state.step)
    target = of.task.target
    h, w, _ = dataset.shape
    count = min(SHOWN, both.sources.size)
    index = np.arange(count) * both.sources.size // count  # neighbours are often alike
    size = parallel.rounded(max(1, min(200, PIXELS // (h * w), len(index))), mesh)
    for i, (rows, n) in enumerate(data.blocks(index, size)):
        fetched = both.sources.fetch(rows)
        batch = jax.device_put(data.scaled(fetched), parallel.divided(mesh))
        key = random.fold_in(root(seed, "sheets"), i)
        shown, _ = given(of.task)(batch, key)
        output, *_ = network(of, mesh)(state, batch, key)
        columns = [visual.to_uint8(shown), visual.to_uint8(output)]
        if both.paired and target:
            columns.append(data.eight_bits(fetched)[target])
        yield [x[:n] for x in columns]
