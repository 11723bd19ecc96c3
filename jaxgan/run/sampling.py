"""Images from a trained run, rebuilt from its workdir alone."""

from pathlib import Path

import jax
import numpy as np
from jax import random

from jaxgan import data, parallel, visual
from jaxgan.run import checkpoint, config, workdir
from jaxgan.types import UsageError

BLOCK = 200
"""Images that are drawn at a time, at least."""


def load(
    path: Path,
    kind,
    build,
    platform: str = "auto",
    experiment: str | None = None,
    best: bool = False,
):
    """The GAN and a state of a run.

    Args:
        path: its workdir.
        kind: its config's dataclass.
        build: `(config, shape, num_classes) -> GAN`.
        platform: where to put it: a copy on each device.
        experiment: refuse runs of another; by default it is not looked at.
        best: the state that `--evaluate-every` found best, instead of the newest.

    Returns:
        `(gan, state, run)`, with `run` a `workdir.Run`.

    Raises:
        UsageError: the folder holds no run, or no such checkpoint.
    """
    run = workdir.read(path, kind, experiment)
    mesh = parallel.mesh(parallel.devices(platform))
    gan = build(run.config, run.shape, len(run.class_names))
    folder, step = path / checkpoint.NEWEST, None
    if best:
        if not (known := checkpoint.best(path)):
            raise UsageError(
                f"--best: {path} holds no best state; train with --evaluate-every."
            )
        folder, step = path / checkpoint.BEST, known.step
    if not checkpoint.steps(folder):
        raise UsageError(f"--workdir {path} holds no checkpoint yet.")
    with checkpoint.reader(folder) as saved:
        template = checkpoint.template(gan, run.shape, mesh)
        return gan, checkpoint.restore(saved, template, step=step), run


def live(state):
    """The state with the weights as they are in place of their averages."""
    return state._replace(ema={name: state.params[name] for name in state.ema})


def samples(
    gan,
    state,
    num: int,
    seed: int = 0,
    label: int | None = None,
    labels: np.ndarray | None = None,
) -> data.Dataset:
    """Samples as a dataset: they are drawn as they are fetched.

    From averaged weights and standing statistics; on all devices that hold the state.

    Args:
        gan: from a recipe.
        state: its train state.
        num: how many.
        seed: decides the latents.
        label: one class for all; by default the classes in turn.
        labels: a class for each, int32 `[num]`.

    Raises:
        UsageError: `num` or `seed` is out of range, or there is no such class.
    """
    if num < 1:
        raise UsageError(f"--num {num} must be 1 or more.")
    config.check_seed(seed)
    if label is not None and not gan.num_classes:
        raise UsageError(f"--label {label}: this run is not class-conditional.")
    if label is not None and not 0 <= label < gan.num_classes:
        raise UsageError(f"--label {label} must be in 0 ... {gan.num_classes - 1}.")
    settle_key, z_key = random.split(random.key(seed))
    state = jax.jit(gan.settle)(state, settle_key)
    latents = np.asarray(gan.latents(z_key, num))
    if not gan.num_classes:
        labels = None
    elif label is not None:
        labels = np.full(num, label, np.int32)
    elif labels is None:
        labels = np.arange(num, dtype=np.int32) % gan.num_classes
    mesh = parallel.mesh_of(state.step)
    divided, size = parallel.divided(mesh), parallel.rounded(BLOCK, mesh)
    draw = jax.jit(gan.sample)

    def fetch(index):
        found = []
        for rows, n in data.blocks(index, size):
            inputs = [x[rows] for x in (latents, labels) if x is not None]
            images = draw(state, *jax.device_put(inputs, divided))
            found.append(visual.to_uint8(images)[:n])
        return np.concatenate(found)

    shape = jax.eval_shape(gan.sample, state, latents[:1], *_rows(labels, 1)).shape
    names = tuple(map(str, range(gan.num_classes)))
    return data.make("samples", fetch, num, shape[1:], labels, names)


def labels_like(gan, dataset: data.Dataset, num: int, seed: int = 0):
    """Classes as often as a dataset has them, int32 `[num]`.

    None when the GAN or the dataset has none, or not the same.
    """
    if not gan.num_classes or gan.num_classes != dataset.num_classes:
        return None
    index = np.random.default_rng(seed).integers(dataset.size, size=num)
    found = [dataset.fetch(rows)["label"][:n] for rows, n in data.blocks(index, BLOCK)]
    return np.concatenate(found)


def _rows(labels, n):
    return () if labels is None else (labels[:n],)


def draw(gan, state, num: int, seed: int = 0, label: int | None = None):
    """Images as arrays; arguments and errors as `samples`.

    Returns:
        `(images uint8 [num, H, W, C], labels int32 [num] or None)`.
    """
    drawn = samples(gan, state, num, seed, label).fetch(np.arange(num))
    return drawn["image"], drawn.get("label")


def write(images, labels, png: str, npz: str | None = None) -> None:
    """A grid as a PNG, and the images as the .npz that `--data npz:FILE` reads.

    Raises:
        UsageError: a file cannot be written.
    """
    try:
        visual.save_png(png, visual.grid(images, 10 if labels is not None else None), 2)
        if npz:
            arrays = {} if labels is None else {"labels": labels}
            Path(npz).parent.mkdir(parents=True, exist_ok=True)
            with open(npz, "wb") as file:
                np.savez_compressed(file, images=images, **arrays)
    except OSError as error:
        raise UsageError(
            f"{error.filename} cannot be written: {error.strerror}."
        ) from None
