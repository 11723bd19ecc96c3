"""What a translator is given, made of the image that it should become.

A `Task` is pure and traced, so any image data set serves any task, and the pairs are
made on the device, anew in every step. Images are `[B, H, W, C]` in [-1, 1].
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, random

from jaxgan import axis

LUMA = (0.299, 0.587, 0.114)
"""Weights of R, G and B in Y (ITU-R BT.601)."""


class Task(NamedTuple):
    """From what to what."""

    given: Callable
    """`(batch, key) -> [B, h, w, C']`, what the network gets."""
    finish: Callable = lambda given, drawn: drawn
    """`(given, drawn images) -> images`: what is known need not be drawn."""
    show: Callable = lambda given: given
    """`given -> images [B, H, W, 1 or 3]`, for people to see."""
    plain: Callable | None = None
    """`given -> images [B, H, W, 1 or 3]`, an answer without learning, which one that
    was learned must beat; by default what is shown."""
    target: str = "image"
    """The entry of a batch that it should become."""
    needs: tuple[str, ...] = ("image",)
    """What a batch must have."""
    reads: Callable | None = None
    """`batch -> given`, where a batch of files shows what is given, not the target; by
    default as `given`."""
    file: Literal["image", "hole", "map"] = "image"
    """What is in a file to translate: an image, one whose transparent part is the hole,
    or a map, whose pixels are numbers of classes."""


def paired(reverse: bool = False) -> Task:
    """From the `input` of a data set of pairs to its `image`, or the other way."""
    source, target = ("image", "input") if reverse else ("input", "image")
    needs = ("image", "input")
    return Task(lambda batch, key: batch[source], target=target, needs=needs)


def luma(images):
    """The gray copy, `[B, H, W, 3] -> [B, H, W, 1]`; of gray images, themselves."""
    if images.shape[-1] == 1:
        return images
    weights = jnp.array(LUMA, images.dtype)
    return (images * weights[None, None, None]).sum(-1, keepdims=True)


def colourization() -> Task:
    """From a gray copy to colours of the same luma, as far as such colours exist.

    What is drawn counts by its differences between R, G and B alone. Where they are too
    large for the luma, the result leaves [-1, 1], and is cut off there when shown.
    """

    def finish(gray, drawn):
        return drawn + gray - luma(drawn)

    return Task(lambda batch, key: luma(batch["image"]), finish)


def super_resolution(factor: int) -> Task:
    """From a bicubic copy, `factor` times smaller; both sides must divide by it."""

    def given(batch, key):
        return smaller(batch["image"], factor)

    return Task(
        given,
        show=lambda x: x.repeat(factor, 1).repeat(factor, 2),
        plain=lambda x: larger(x, factor),
        reads=lambda batch: batch["image"],
    )


def smaller(images, factor: int):
    """Bicubic, antialiased, as Pillow and Matlab have it: `[B, H/f, W/f, C]`.

    Raises:
        ValueError: the factor does not divide the images' sides.
    """
    b, h, w, c = images.shape
    if h % factor or w % factor:
        raise ValueError(f"smaller: {factor} does not divide images of {h}x{w}.")
    shape = b, h // factor, w // factor, c
    precision = lax.Precision.HIGHEST
    return jax.image.resize(images, shape, "cubic", precision=precision)


def larger(images, factor: int):
    """Bicubic, what super-resolution must beat: `[B, f H, f W, C]`."""
    b, h, w, c = images.shape
    shape = b, h * factor, w * factor, c
    precision = lax.Precision.HIGHEST
    found = jax.image.resize(images, shape, "cubic", precision=precision)
    return jnp.clip(found, -1, 1)


def inpainting(holes: Callable) -> Task:
    """From an image with a hole to the whole one; what is around the hole is kept.

    Args:
        holes: `(key, n, h, w) -> [n, h, w, 1]`, 1 in the hole, 0 elsewhere: `square` or
            `free_form`. A batch with its own has it as `hole`.
    """

    def given(batch, key):
        n, h, w, _ = batch["image"].shape
        hole = batch["hole"] if "hole" in batch else holes(key, n, h, w)
        return jnp.concatenate([batch["image"] * (1 - hole), hole], -1)

    def finish(given, drawn):
        kept, hole = given[..., :-1], given[..., -1:]
        return kept + hole * drawn

    def mean_filled(given):
        kept, hole = given[..., :-1], given[..., -1:]
        known = (1 - hole).sum((1, 2), keepdims=True)
        mean = kept.sum((1, 2), keepdims=True) / known.clip(1)
        return kept + hole * mean

    def show(given):
        return given[..., :-1]

    return Task(given, finish, show, mean_filled, file="hole")


def square(share: float = 0.25) -> Callable:
    """A hole of this share of the image's area, its shape, anywhere inside."""
    side = share**0.5

    def holes(key, n, h, w):
        inside = 1.0
        keys = random.split(key)
        for k, length, dim in zip(keys, (h, w), (1, 2), strict=True):
            size = max(1, round(length * side))
            start = axis.draw(random.randint, k, (n, 1), 0, length - size + 1)
            place = jnp.arange(length)[None]
            here = (place >= start) & (place < start + size)
            shape = [n, 1, 1, 1]
            shape[dim] = length
            inside = inside * here.reshape(shape).astype(jnp.float32)
        return inside

    return holes


def free_form(strokes: int = 2, corners: int = 4, width: float = 0.1) -> Callable:
    """Holes as of a brush: strokes that turn at random (Yu et al., 2019,
    arXiv:1806.03589, algorithm 1, with as many corners always).

    Args:
        strokes: how many.
        corners: of each.
        width: of the brush, of the image's smaller side.
    """

    def holes(key, n, h, w):
        on_start, on_angle, on_length = random.split(key, 3)
        small = float(min(h, w))
        start = axis.draw(random.uniform, on_start, (n, strokes, 1, 2))
        start = start * jnp.array([h, w], jnp.float32)[None, None, None]
        angle = axis.draw(random.uniform, on_angle, (n, strokes, corners))
        length = axis.draw(random.uniform, on_length, (n, strokes, corners))
        angle, length = 2 * jnp.pi * angle, small * (0.1 + 0.3 * length)
        steps = jnp.stack([jnp.sin(angle), jnp.cos(angle)], -1) * length[..., None]
        ends = start + jnp.cumsum(steps, 2)
        ends = jnp.concatenate([start, ends], 2)
        a, b = (x.reshape(n, -1, 2) for x in (ends[:, :, :-1], ends[:, :, 1:]))
        middles = np.stack(np.mgrid[:h, :w], -1).reshape(1, 1, h * w, 2) + 0.5
        pixels = jnp.asarray(middles, jnp.float32)
        from_a, along = pixels - a[:, :, None], (b - a)[:, :, None]
        share = (from_a * along).sum(-1) / (along**2).sum(-1).clip(1e-6)
        away = from_a - along * share.clip(0, 1)[..., None]
        inside = ((away**2).sum(-1) < (width * small / 2) ** 2).any(1)
        return inside.reshape(n, h, w, 1).astype(jnp.float32)

    return holes


def edges() -> Task:
    """From its edges to the image: the length of luma's Sobel gradient, -1 for none."""

    def given(batch, key):
        return jnp.clip(sobel(luma(batch["image"])) * 2 - 1, -1, 1)

    return Task(given, reads=lambda batch: luma(batch["image"]))


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

    def given(batch, key):
        return jax.nn.one_hot(batch["map"], classes)

    hue = 2 * np.pi * np.arange(classes)[:, None] / classes
    palette = 0.9 * np.cos(hue + np.array([0, 2.1, 4.2]))
    palette[0] = -1  # what is nothing else is black

    def show(given):
        return jnp.einsum("bhwk,kc->bhwc", given, jnp.asarray(palette, given.dtype))

    return Task(given, show=show, needs=("image", "map"), file="map")
