"""Tasks from images, or label maps, to images."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxgan.tasks.task import Task

__all__ = [
    "LUMA",
    "colourization",
    "consistent_with",
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
    "unpaired",
]

LUMA = (0.299, 0.587, 0.114)
"""Weights of R, G and B in Y (ITU-R BT.601)."""


def paired(reverse: bool = False) -> Task:
    """From the `input` of a data set of pairs to its `image`, or the other way."""
    source, target = ("image", "input") if reverse else ("input", "image")

    def given(batch, key, n=None):
        return (batch[source],)

    return Task(given, ("image", "input"), target)


def unpaired(reverse: bool = False) -> Task:
    """The same, where an `input` and an `image` need not belong together."""
    return paired(reverse)._replace(in_pairs=False)


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


def super_resolution(factor: int, consistent: bool = False) -> Task:
    """From a bicubic copy, `factor` times smaller; both sides must divide by it.

    Args:
        factor: how many times larger each side becomes.
        consistent: what is drawn is added to the bicubic enlargement, and that changed
            so that, made smaller again, it is what was given, see `consistent_with`:
            only what that does not tell is left to draw.
    """

    def finish(given, drawn):
        if not consistent:
            return drawn
        return consistent_with(given[0], drawn + larger(given[0], factor), factor)

    def given(batch, key, n=None):
        return (smaller(batch["image"], factor),)

    return Task(
        given,
        ("image",),
        "image",
        finish=finish,
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
    precision = lax.Precision.HIGHEST
    found = jax.image.resize(_on_white(images), shape, "cubic", precision=precision)
    return _off_white(found)


def _on_white(images):
    """Colours of RGBA over white, beside their alpha; others as they are."""
    if images.shape[-1] != 4:
        return images
    return jnp.concatenate([over_white(images), images[..., 3:]], -1)


def _off_white(images):
    """Back from `_on_white`."""
    if images.shape[-1] != 4:
        return images
    share = ((images[..., 3:] + 1) / 2).clip(1 / 255)
    colours = 1 - (1 - images[..., :3]) / share
    return jnp.concatenate([colours.clip(-1, 1), images[..., 3:]], -1)


def consistent_with(small, drawn, factor: int, times: int = 8):
    """The images nearest to those drawn that `smaller` makes `small` of.

    As back-projection (Irani and Peleg, 1991), with the pseudo-inverse of `smaller` in
    place of steps toward it. What leaves [-1, 1] is cut off and the rest made up for,
    several times.

    Args:
        small: `[B, h, w, C]` in [-1, 1].
        drawn: `[B, factor h, factor w, C]`.
        factor: how many times larger.
        times: how often what was cut off is made up for.
    """
    small, x = _on_white(small), _on_white(drawn)
    sides = [_shrinking(n, factor) for n in small.shape[1:3]]

    def along(a, b, x):
        a, b = (jnp.asarray(m, x.dtype) for m in (a, b))
        precision = lax.Precision.HIGHEST
        return jnp.einsum("Hh,Ww,bhwc->bHWc", a, b, x, precision=precision)

    def kept(x):
        return x + along(up, out, small - along(down, across, x))

    (down, up), (across, out) = sides
    x = lax.fori_loop(0, times, lambda _, x: kept(_inside(x)), kept(x))
    return _off_white(x)


def _inside(x):
    """Cut off at [-1, 1]; over white, at what colours of such an alpha can be."""
    if x.shape[-1] != 4:
        return x.clip(-1, 1)
    alpha = x[..., 3:].clip(-1, 1)
    return jnp.concatenate([x[..., :3].clip(-alpha, 1), alpha], -1)


@functools.lru_cache(64)
def _shrinking(length: int, factor: int):
    """`smaller` along one side as a matrix, `[h, factor h]`, and its pseudo-inverse."""
    with jax.ensure_compile_time_eval():
        each = jnp.eye(length * factor).reshape(-1, 1, length * factor, 1)
        copies = _resized(each, (len(each), 1, length, 1))
    weights = np.asarray(copies, np.float64)[:, 0, :, 0].T
    return weights, weights.T @ np.linalg.inv(weights @ weights.T)


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
