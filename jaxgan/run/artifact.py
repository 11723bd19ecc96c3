"""A sampler or translator as one file that runs wherever JAX does, without jaxgan.

It is a `jax.export` artifact, for CPU, CUDA and TPU, of batches of any size, with the
averaged weights and all statistics in it.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import export, random
from jax.interpreters import partial_eval

from jaxgan.run import draws, reach
from jaxgan.run.sides import map_classes
from jaxgan.types import Draw, Model, UsageError, example

__all__ = ["PLATFORMS", "Artifact", "Input", "artifact"]

PLATFORMS = "cpu", "cuda", "tpu"


class Input(NamedTuple):
    """One argument of an artifact."""

    name: str
    shape: tuple
    """With "b" first, of a batch of any size; of a seed, empty."""
    dtype: str
    about: str
    """What its values are."""


class Artifact(NamedTuple):
    """What is to be written."""

    data: bytes
    """For `jax.export.deserialize`."""
    inputs: tuple[Input, ...]
    output: Input
    """Of a network that decides by how many images there are, each is of one image."""


SEED = Input("seed", (), "uint32", "decides what is drawn at random")


def artifact(
    model: Model,
    name: str,
    state,
    shape: tuple[int, int, int],
    *,
    size: tuple[int, int] | None = None,
    deep: bool = False,
) -> Artifact:
    """A draw of a model as an artifact.

    Of noise, its arguments are what the network is given, `z` and perhaps `labels`; of
    images `images`, or `maps`, and `holes` where there are any. Last comes a `seed`,
    where anything else is drawn at random.

    Args:
        model: from a recipe.
        name: of the draw.
        state: the model's train state, of one member.
        shape: (H, W, C) that it was trained on.
        size: (H, W) of images to translate, by default as in training.
        deep: images given, and gray ones drawn, are uint16.

    Raises:
        UsageError: it draws from noise, and a size is given, or it takes no images of
            this size.
    """
    of = model.draws[name]
    if draws.from_noise(of):
        if size:
            raise UsageError("size", None, "is of translations; this run draws noise.")
        state = draws.settled(model, state)
        inputs, program = _of_noise(of)
    else:
        inputs, program = _of_images(of, shape, size, deep)
    state = jax.device_get(state)
    show = _uint16 if deep and shape[2] == 1 and not draws.from_noise(of) else _uint8

    def run(seed, *args):
        return show(program(state, args, random.key(seed)))

    try:
        one = jax.make_jaxpr(run, return_shape=True)(*_shapes((SEED, *inputs), 1))
    except UsageError as error:
        raise UsageError("size", None, f": {error}") from None
    jaxpr, made = one[0].jaxpr, one[1]
    seeded = partial_eval.dce_jaxpr(jaxpr, [True])[1][0]
    inputs = (*inputs, SEED) if seeded else inputs

    def called(*args):
        return run(args[-1], *args[:-1]) if seeded else run(np.uint32(0), *args)

    most = f"0 ... {np.iinfo(made.dtype).max}"
    output = Input("images", ("b", *made.shape[1:]), str(made.dtype), most)
    exported = export.export(jax.jit(called), platforms=PLATFORMS)
    (b,) = export.symbolic_shape("b")
    try:
        found = exported(*_shapes(inputs, b))
    # What a network of the user's does with a size that is no number raises anything.
    except Exception:
        found = exported(*_shapes(inputs, 1))
        inputs, output = tuple(map(_one, inputs)), _one(output)
    return Artifact(bytes(found.serialize()), inputs, output)


def _one(of: Input) -> Input:
    return of._replace(shape=(1, *of.shape[1:]) if of.shape else ())


def _shapes(inputs, b):
    return [
        jax.ShapeDtypeStruct((b, *one.shape[1:]) if one.shape else (), one.dtype)
        for one in inputs
    ]


def _of_noise(of: Draw):
    """What a sampler is given, and `(state, given, key) -> images`."""
    drawn = of.task.given({"label": np.zeros(4096, np.int32)}, random.key(0), 4096)
    names = "z", *(("labels",) if "label" in of.task.needs else ())
    names += tuple(f"input_{i}" for i in range(len(names), len(drawn)))
    inputs = tuple(map(_given, names, drawn))
    return inputs, of.run


def _given(name, x):
    x = np.asarray(x)
    about = "numbers of classes, from 0"
    if name != "labels":
        y = x.astype(np.float64)
        mean, deviation = round(y.mean(), 2) + 0.0, round(y.std(), 2)  # -0.0 is 0.0
        about = f"in training of mean {mean:.2f} and deviation {deviation:.2f}"
    return Input(name, ("b", *x.shape[1:]), str(x.dtype), about)


def _of_images(of: Draw, shape, size, deep):
    """What a translator is given, and `(state, inputs, key) -> images`."""
    task, (h, w, c) = of.task, shape
    if size is None and task.reads:  # of smaller ones
        given = jax.eval_shape(task.given, example(shape, 1), random.key(0))
        size = given[0].shape[1:3]
    h, w = size or (h, w)
    if task.file == "map":
        classes = map_classes(task, shape)
        about = f"numbers of classes, 0 ... {classes - 1}; others are of none"
        inputs = [Input("maps", ("b", h, w), "int32", about)]
    else:
        dtype, most = ("uint16", 65535) if deep else ("uint8", 255)
        inputs = [Input("images", ("b", h, w, c), dtype, f"0 ... {most}, in sRGB")]
    if task.file == "hole":
        inputs.append(Input("holes", ("b", h, w, 1), "bool", "true in the hole"))
    translate = reach.translator(of)

    def program(state, args, key):
        return translate(state, _batch(inputs, args), key)

    return tuple(inputs), program


def _batch(inputs, args) -> dict[str, Any]:
    """A batch as a file's reader makes it."""
    found = {one.name: x for one, x in zip(inputs, args, strict=True)}
    if "maps" in found:
        return {"map": found["maps"]}
    images = found["images"]
    most = np.iinfo(images.dtype).max
    if (
        images.shape[-1] == 4
    ):  # what is not seen is white, as `data.pixels.clear` has it
        nothing = np.array([most, most, most, 0], images.dtype)
        images = jnp.where(images[..., 3:] == 0, nothing, images)
    images = images.astype(jnp.float32) / (most / 2) - 1
    batch = {"image": images, "input": images}
    if "holes" in found:
        batch["hole"] = found["holes"].astype(jnp.float32)
    return batch


def _integers(dtype) -> Callable:
    """As `visual.to_uint8` and `to_uint16`, of arrays of JAX."""
    most = np.iinfo(dtype).max

    def shown(images):
        images = jnp.rint((images.astype(jnp.float32) + 1) * (most / 2))
        return jnp.clip(images, 0, most).astype(dtype)

    return shown


_uint8, _uint16 = _integers(np.uint8), _integers(np.uint16)
