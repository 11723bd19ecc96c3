"""Images from a trained run, rebuilt from its workdir alone."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import random

from jaxgan import checkpoint, parallel, train, visual, workdir
from jaxgan.types import UsageError

BATCH = 256


def load(
    path: Path, kind, build, platform: str = "auto", experiment: str | None = None
):
    """The GAN and the newest state of a run.

    Args:
        path: its workdir.
        kind: its config's dataclass.
        build: `(config, shape, num_classes) -> GAN`.
        platform: where to put it.
        experiment: refuse runs of another; by default it is not looked at.

    Returns:
        `(gan, state, run)`, with `run` a `workdir.Run`.

    Raises:
        UsageError: the folder holds no run, or no checkpoint.
    """
    run = workdir.read(path, kind, experiment)
    mesh = parallel.mesh(parallel.devices(platform)[:1])
    gan = build(run.config, run.shape, len(run.class_names))
    if not checkpoint.steps(path / "checkpoints"):
        raise UsageError(f"--workdir {path} holds no checkpoint yet.")
    weights_key, *_ = train.keys(run.config.seed)
    template = checkpoint.template(
        gan.init,
        weights_key,
        train.example(run.shape),
        sharding=parallel.replicated(mesh),
    )
    with checkpoint.reader(path / "checkpoints") as saved:
        return gan, checkpoint.restore(saved, template), run


def draw(gan, state, num: int, seed: int = 0, label: int | None = None):
    """Images from averaged weights and standing statistics.

    Args:
        gan: from a recipe.
        state: its train state.
        num: how many.
        seed: decides the latents.
        label: one class for all; by default the classes in turn.

    Returns:
        `(images uint8 [num, H, W, C], labels int32 [num] or None)`.

    Raises:
        UsageError: `num` is below 1, or there is no such class.
    """
    if num < 1:
        raise UsageError(f"--num {num} must be 1 or more.")
    if label is not None and not gan.num_classes:
        raise UsageError(f"--label {label}: this run is not class-conditional.")
    if label is not None and not 0 <= label < gan.num_classes:
        raise UsageError(f"--label {label} must be in 0 ... {gan.num_classes - 1}.")
    settle_key, z_key = random.split(random.key(seed))
    state = jax.jit(gan.settle)(state, settle_key)
    z = random.normal(z_key, (num, gan.latent_dim))
    labels = jnp.arange(num) % gan.num_classes if gan.num_classes else None
    if label is not None:
        labels = jnp.full(num, label)
    images = [
        visual.to_uint8(jax.jit(gan.sample)(state, *rows)[: num - i])
        for i, rows in _blocks((z, labels), num)
    ]
    return np.concatenate(images), None if labels is None else np.asarray(labels)


def _blocks(arrays, num):
    """Equal blocks, the last one filled up, so that one program draws them all."""
    size = min(num, BATCH)
    for i in range(0, num, size):
        index = np.minimum(np.arange(i, i + size), num - 1)
        yield i, [None if x is None else x[index] for x in arrays]


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
