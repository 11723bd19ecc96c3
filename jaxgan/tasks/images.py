"""Tasks from images, or label maps, to images."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxgan.tasks.task import Task

__all__ = [
    "LUMA",
    "colourization",
    "edges",
    "inpainting",
    "larger",
    "luma",
    "of_maps",
    "over_white",
    "paired",
    "smaller",
    "sobel",
    "super_resolution",
]

LUMA = (0.299, 0.587, 0.114)
"""Weights of R, G and B in Y (ITU-R BT.601)."""


def paired(reverse: bool = False) -> Task:
    """From the `input` of a data set of pairs to its `image`, or the other way."""
    source, target = ("image", "input") if reverse else ("input", "image")

    def given(batch, key, n=None):
        return (batch[source],)

    return Task(given, ("image", "input"), target)


def over_white(images):
    """RGBA `[B, H, W, 4]` in [-1, 1] as RGB over white; others as they are."""
    if images.shape[-1] != 4:
        return images
    return 1 - (1 - images[..., :3]) * (images[..., 3:] + 1) / 2


def luma(images):
    """The gray copy, `[B, H, W, 3] -> [B, H, W, 1]`; of gray images, themselves; of
    RGBA, that over white."""
    if images.shape[-1] == 1:
        return images
    images = over_white(images)
    weights = jnp.array(LUMA, images.dtype)
    return (images * weights[None, None, None]).sum(-1, keepdims=True)


def colourization() -> Task:
    """From a gray copy to colours of the same luma, as far as such colours exist.

    What is drawn counts by its differences between R, G and B alone. Where they are too
    large for the luma, the result leaves [-1, 1], and is cut off there when shown. Of
    RGBA the luma of the colours themselves is given, and the alpha, which is kept.
    """

    def given(batch, key, n=None):
        colours, alpha = batch["image"][..., :3], batch["image"][..., 3:]
        return (jnp.concatenate([luma(colours), alpha], -1),)

    def finish(given, drawn):
        gray, alpha = given[0][..., :1], given[0][..., 1:]
        colours = drawn[..., :3]
        return jnp.concatenate([colours + gray - luma(colours), alpha], -1)

    def show(given):
        gray, alpha = given[0][..., :1], given[0][..., 1:]
        if not alpha.shape[-1]:
            return gray
        return jnp.concatenate([gray.repeat(3, -1), alpha], -1)

    return Task(given, ("image",), "image", finish=finish, show=show)


def super_resolution(factor: int) -> Task:
    """From a bicubic copy, `factor` times smaller; both sides must divide by it."""

    def given(batch, key, n=None):
        return (smaller(batch["image"], factor),)

    return Task(
        given,
        ("image",),
        "image",
        show=lambda given: given[0].repeat(factor, 1).repeat(factor, 2),
        plain=lambda given: larger(given[0], factor),
        reads=lambda batch: (batch["image"],),
    )


def smaller(images, factor: int):
    """Bicubic, antialiased, as Pillow and Matlab have it: `[B, H/f, W/f, C]`.

    Colours of RGBA count by how opaque they are, in `larger` too.

    Raises:
        ValueError: the factor does not divide the images' sides.
    """
    b, h, w, c = images.shape
    if h % factor or w % factor:
        raise ValueError(f"smaller: {factor} does not divide images of {h}x{w}.")
    return _resized(images, (b, h // factor, w // factor, c))


def larger(images, factor: int):
    """Bicubic, what super-resolution must beat: `[B, f H, f W, C]`."""
    b, h, w, c = images.shape
    found = _resized(images, (b, h * factor, w * factor, c))
    return jnp.clip(found, -1, 1)


def _resized(images, shape):
    if shape[-1] == 4:
        share = (images[..., 3:] + 1) / 2
        images = jnp.concatenate(
            [1 - (1 - images[..., :3]) * share, images[..., 3:]], -1
        )
    precision = lax.Precision.HIGHEST
    found = jax.image.resize(images, shape, "cubic", precision=precision)
    if shape[-1] != 4:
        return found
    share = ((found[..., 3:] + 1) / 2).clip(1 / 255)
    colours = 1 - (1 - found[..., :3]) / share
    return jnp.concatenate([colours.clip(-1, 1), found[..., 3:]], -1)


def inpainting(holes: Callable) -> Task:
    """From an image with a hole to the whole one; what is around the hole is kept.

    Args:
        holes: `(key, n, h, w) -> [n, h, w, 1]`, 1 in the hole, 0 elsewhere: `square` or
            `free_form`. A batch with its own has it as `hole`.
    """

    def given(batch, key, n=None):
        count, h, w, _ = batch["image"].shape
        hole = batch["hole"] if "hole" in batch else holes(key, count, h, w)
        return (jnp.concatenate([batch["image"] * (1 - hole), hole], -1),)

    def parts(given):
        return given[0][..., :-1], given[0][..., -1:]

    def finish(given, drawn):
        kept, hole = parts(given)
        return kept + hole * drawn

    def mean_filled(given):
        kept, hole = parts(given)
        known = (1 - hole).sum((1, 2), keepdims=True)
        mean = kept.sum((1, 2), keepdims=True) / known.clip(1)
        return kept + hole * mean

    def show(given):
        return parts(given)[0]

    return Task(given, ("image",), "image", finish, show, mean_filled, file="hole")


def edges() -> Task:
    """From its edges to the image: the length of luma's Sobel gradient, -1 for none."""

    def given(batch, key, n=None):
        return (jnp.clip(sobel(luma(batch["image"])) * 2 - 1, -1, 1),)

    def reads(batch):
        return (luma(batch["image"]),)

    return Task(given, ("image",), "image", reads=reads)


def sobel(gray):
    """Length of the gradient `[B, H, W, 1]`, 1 at a step from -1 to 1."""
    x = jnp.pad(gray, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")

    def smooth(x, dim):
        a, b, c = (
            lax.slice_in_dim(x, i, x.shape[dim] - 2 + i, axis=dim) for i in (0, 1, 2)
        )
        return (a + 2 * b + c) / 4

    def slope(x, dim):
        n = x.shape[dim] - 2
        return (
            lax.slice_in_dim(x, 2, n + 2, axis=dim)
            - lax.slice_in_dim(x, 0, n, axis=dim)
        ) / 2

    along_y, along_x = slope(smooth(x, 2), 1), slope(smooth(x, 1), 2)
    # The square root has no slope at 0.
    return jnp.sqrt(along_y**2 + along_x**2 + 1e-12)


def of_maps(classes: int) -> Task:
    """From a label map, one-hot, to the image; colours stand for numbers to see it."""

    def given(batch, key, n=None):
        return (jax.nn.one_hot(batch["map"], classes),)

    hue = 2 * np.pi * np.arange(classes)[:, None] / classes
    palette = 0.9 * np.cos(hue + np.array([0, 2.1, 4.2]))
    palette[0] = -1  # what is nothing else is black

    def show(given):
        (x,) = given
        return jnp.einsum("bhwk,kc->bhwc", x, jnp.asarray(palette, x.dtype))

    return Task(given, ("image", "map"), "image", show=show, file="map")
