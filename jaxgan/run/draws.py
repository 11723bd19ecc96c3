"""What a model draws, as data sets: images are drawn as they are fetched."""

import functools
from collections.abc import Sequence

import jax
import numpy as np
from jax import random

from jaxgan import data, parallel, visual
from jaxgan.data import Dataset, Group
from jaxgan.data.pixels import of_channels
from jaxgan.run.keys import root
from jaxgan.run.latents import BLOCK, check_class, drawer, given_of, keys_of, truncated
from jaxgan.run.sides import Sides, sides
from jaxgan.types import Draw, Model, UsageError

__all__ = [
    "draw",
    "from_noise",
    "given",
    "labels_like",
    "live",
    "network",
    "plain",
    "samples",
    "settled",
    "settles",
    "translations",
]

PIXELS = 200 * 32 * 32
"""Pixels that are translated at a time, about."""

KEPT = {"label": "label", "input_label": "label", "map": "map"}
"""What is known of an image's translation as of itself."""


def from_noise(of: Draw) -> bool:
    """Whether it draws from noise alone, and no image is given."""
    return of.task.target is None


def settles(model: Model, state) -> bool:
    """Whether statistics are gathered anew: G has BatchNorm, and draws from noise."""
    settle = jax.make_jaxpr(lambda state: model.settle(state, random.key(0)))
    of = settle(state).jaxpr
    return any(a is not b for a, b in zip(of.invars, of.outvars, strict=True))


def settled(model: Model, state, seed: int = 0):
    """The state with the statistics that samples of a seed are drawn with."""
    return jax.jit(model.settle)(state, keys_of(seed)[0])


def live(state):
    """The state with the weights as they are in place of their averages."""
    return state._replace(ema={name: state.params[name] for name in state.ema})


def samples(
    model: Model,
    state,
    num: int,
    seed: int = 0,
    *,
    num_classes: int = 0,
    label: int | None = None,
    labels: np.ndarray | None = None,
    name: str = "sample",
    seeds: Sequence[int] = (),
    truncation: float | None = None,
) -> Dataset:
    """Samples of noise.

    From averaged weights and standing statistics; on all devices that hold the state.

    Args:
        model: from a recipe.
        state: its train state.
        num: how many.
        seed: decides the latents.
        num_classes: that the model was built for.
        label: one class for all; by default the classes in turn.
        labels: a class for each, int32 `[num]`.
        name: of the draw.
        seeds: one for each image, by which alone its latents are then decided, and by
            `seed` no more than the statistics.
        truncation: of the latents, see `Draw.truncated`.

    Raises:
        UsageError: `num` or `seed` is out of range, there is no such class, or the
            generator has no truncation.
    """
    of = truncated(model.draws[name], truncation)
    conditional = "label" in of.task.needs
    if conditional and not num_classes:
        reason = "must be how many classes the model was built for: it draws by class."
        raise UsageError("num_classes", num_classes, reason)
    _check_samples(num, seed, label, num_classes if conditional else 0)
    state, z_key = settled(model, state, seed), keys_of(seed)[1]
    if not conditional:
        labels = None
    elif label is not None:
        labels = np.full(num, label, np.int32)
    elif labels is None:
        labels = np.arange(num, dtype=np.int32) % num_classes
    if len(seeds):
        inputs = given_of(of, seeds, labels)
    else:
        batch = {} if labels is None else {"label": labels}
        inputs = tuple(map(np.asarray, of.task.given(batch, z_key, num)))
    drawn = drawer(of, state, z_key)

    def fetch(index):
        return drawn(tuple(x[index] for x in inputs))

    one = tuple(x[:1] for x in inputs)
    shape = jax.eval_shape(of.run, state, one, z_key).shape
    names = tuple(map(str, range(num_classes))) if conditional else ()
    return data.make("samples", fetch, num, shape[1:], labels, names)


def _check_samples(num, seed, label, num_classes):
    if num < 1:
        raise UsageError("num", num, "must be 1 or more.")
    if not 0 <= seed < 2**32:
        raise UsageError("seed", seed, "must be 0 or more, and below 2**32.")
    check_class(label, num_classes)


def mesh_of(state):
    """The devices that hold a state."""
    return parallel.mesh_of(state.step)


def draw(model: Model, state, num: int, seed: int = 0, **options):
    """Samples as arrays; arguments and errors as `samples`.

    Returns:
        `(images uint8 [num, H, W, C], labels int32 [num] or None)`.
    """
    drawn = samples(model, state, num, seed, **options).fetch(np.arange(num))
    return drawn["image"], drawn.get("label")


def labels_like(dataset: Dataset, num: int, seed: int = 0) -> np.ndarray:
    """Classes as often as a labelled data set has them, int32 `[num]`."""
    rng = np.random.default_rng((seed, 1))  # of its own, beside evaluations' orders
    index = rng.integers(dataset.size, size=num)
    found = [dataset.fetch(rows)["label"][:n] for rows, n in data.blocks(index, BLOCK)]
    return np.concatenate(found)


def translations(of: Draw, state, dataset: Dataset, seed: int = 0) -> Dataset:
    """Translations of a data set, on all devices that hold the state.

    What is drawn is the `image`; beside it there are the `target`, where sources and
    targets are in pairs, what else was fetched, and `styled`, translations in their own
    target's style, where styles can be encoded.

    Args:
        of: from a model's `draws`.
        state: the model's train state.
        dataset: has what the draw's task needs.
        seed: with a block's first index, decides what the task and the network draw at
            random.
    """
    both, mesh = sides(dataset, of.task), parallel.mesh_of(state.step)
    run = network(of, mesh)

    def look(rows, batch, key):
        images = map(visual.to_uint8, run(state, batch, key))
        return dict(zip(("image", "styled"), images, strict=False))

    return _translated(of, both, mesh, seed, look, "translations")


def plain(of: Draw, mesh, dataset: Dataset, seed: int = 0) -> Dataset:
    """`Task.plain` of a data set, an answer without learning; as `translations`."""
    both = sides(dataset, of.task)
    channels = dataset.shape[2]

    def look(rows, batch, key):
        image = visual.to_uint8(given(of.task)(batch, key)[1])
        return {"image": of_channels(image, channels)}

    return _translated(of, both, mesh, seed, look, "plain")


def _translated(of, both: Sides, mesh, seed, look, name) -> Dataset:
    h, w, _ = both.sources.shape
    size = parallel.rounded(max(1, min(BLOCK, PIXELS // (h * w))), mesh)
    divided, key = parallel.divided(mesh), root(seed, "translations")

    def fetch(index):
        found = []
        for rows, n in data.blocks(index, size):
            fetched = both.sources.fetch(rows)
            batch = jax.device_put(data.scaled(fetched), divided)
            drawn = look(rows, batch, random.fold_in(key, rows[0]))
            known = data.eight_bits(fetched)
            kept = {new: known[old] for old, new in KEPT.items() if old in known}
            if both.paired:
                kept["target"] = known[of.task.target]
            found.append({k: x[:n] for k, x in (kept | drawn).items()})
        return {k: np.concatenate([part[k] for part in found]) for k in found[0]}

    fields = ("image", *(("target",) if both.paired else ()))
    fields += tuple(new for old, new in KEPT.items() if old in both.sources.fields)
    group = Group(fields, both.sources.size, fetch)
    content = both.targets.content
    return both.sources._replace(name=name, groups=(group,), content=content)


@functools.lru_cache(16)
def given(task):
    """`(batch, key) -> (shown, plain)` of what is given, compiled."""

    @jax.jit
    def look(batch, key):
        given = task.given(batch, random.split(key)[0])
        shown = task.show(given)
        return shown, task.plain(given) if task.plain else shown

    return look


def network(of: Draw, mesh):
    """`(state, batch, key) -> (images,)`, or `(images, styled)`, compiled."""
    return _compiled(of.task, of.run, of.encode.get("style"), mesh)


@functools.lru_cache(16)
def _compiled(task, draw, encode, mesh):
    def run(state, batch, key):
        on_given, on_network = random.split(key)
        given = task.given(batch, on_given)
        images = draw(state, given, on_network)
        if encode is None:
            return (images,)
        styled = encode(state, given, batch[task.target])
        return images, draw(state, styled, on_network)

    whole, divided = parallel.replicated(mesh), parallel.divided(mesh)
    return jax.jit(run, in_shardings=(whole, divided, whole), out_shardings=divided)
