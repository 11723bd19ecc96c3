"""What images are compared by: networks from uint8 images to features.

A distance is only worth the name of its network: `fid` is the Inception network's.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import jax

from jaxgan import parallel
from jaxgan.metrics import filters, inception, mnist, weights
from jaxgan.types import UsageError

__all__ = [
    "Extractor",
    "choose",
    "none",
    "of_any",
    "of_digits",
    "of_filters",
    "of_function",
    "of_inception",
    "of_stacked_digits",
]

BLOCK = 200
"""Images that a network sees at a time, at least."""


class Extractor(NamedTuple):
    """Features of images, and what measures by them are called."""

    name: str
    run: Callable
    """uint8 `[B, H, W, C]` -> (features `[B, D]`, logits `[B, K]` or None)."""
    gives: tuple[str, ...] = ("features",)
    """What measures may need of it: "features", "logits", and "classes" where its
    logits are of the classes that the data have."""
    distance: str = "fd"
    """What a Fréchet distance of its features is called."""
    kernel: str = "kd"
    """What a kernel distance of its features is called."""
    score: str = ""
    """What the Inception Score of its logits is called."""
    shape: tuple[int, int, int] | None = None
    """(H, W, C) of the images that it takes; None for any."""
    resize: str = "none"
    """What it does to images first."""
    digest: str | None = None
    """SHA-256 of its weights; None when it has no file of them."""
    block: int = BLOCK
    """How many images it likes at a time."""


def of_function(name: str, function: Callable) -> Extractor:
    """An extractor of your own; its distances are `fd_<name>` and `kd_<name>`.

    Args:
        name: of the features.
        function: uint8 `[B, H, W, C]` -> features `[B, D]`; it need not be JAX.
    """
    return Extractor(
        name,
        lambda images: (function(images), None),
        distance=f"fd_{name}",
        kernel=f"kd_{name}",
    )


def none(why: str) -> Extractor:
    """No network, for measures of images alone.

    Args:
        why: there is none, in a few words.
    """
    return Extractor(f"no network ({why})", lambda images: (None, None), gives=())


@cache
def of_digits(mesh=None) -> Extractor:
    """The packaged classifier of 28x28 digits; its distance is `fd_mnist`, never FID.

    Args:
        mesh: the devices that share the images, default all.
    """
    run, block = _shared(mnist.classify, mnist.weights(), mesh)
    return Extractor(
        "mnist",
        run,
        gives=("features", "logits", "classes"),
        distance="fd_mnist",
        kernel="kd_mnist",
        score="score_mnist",
        shape=mnist.SHAPE,
        digest=weights.sha256(mnist.WEIGHTS),
        block=block,
    )


@cache
def of_stacked_digits(mesh=None) -> Extractor:
    """The same for three digits in the colours of an image: 1,000 classes.

    Args:
        mesh: the devices that share the images, default all.
    """
    run, block = _shared(mnist.classify_stacked, mnist.weights(), mesh)
    return of_digits(mesh)._replace(
        name="stacked_mnist",
        run=run,
        distance="fd_stacked_mnist",
        kernel="kd_stacked_mnist",
        score="score_stacked_mnist",
        shape=(*mnist.SHAPE[:2], 3),
        block=block,
    )


@cache
def of_filters(mesh=None) -> Extractor:
    """A bank of filters, for images of any size; its distance is `fd_filters`.

    Args:
        mesh: the devices that share the images, default all.
    """
    run, block = _shared(lambda _, images: (filters.features(images), None), {}, mesh)
    return Extractor(
        "filters", run, distance="fd_filters", kernel="kd_filters", block=block
    )


@cache
def of_inception(path: str, mesh=None) -> Extractor:
    """The network of FID, KID and Inception Score, on the pooled 2,048 features.

    Args:
        path: the user's file of its weights, weights-inception-2015-12-05-6726825d.pth.
        mesh: the devices that share the images, default all.

    Raises:
        UsageError: the file is not that one.
    """
    try:
        params = inception.read(path)
    except UsageError as error:
        raise error.renamed("inception_weights") from None

    def features(params, images):
        out = inception.layers(params, images)
        return out["2048"], out["logits_unbiased"]

    run, block = _shared(features, params, mesh)
    return Extractor(
        "inception-2015-12-05",
        run,
        # Not "classes": it knows 1,008, few of which a data set has.
        gives=("features", "logits"),
        distance="fid",
        kernel="kid",
        score="inception_score",
        resize=f"bilinear to {inception.SIZE}x{inception.SIZE} as TensorFlow 1",
        digest=inception.SHA256,
        block=block,
    )


def of_any(inception_weights: str | None, mesh=None) -> Extractor:
    """Inception where its weights are given, else the bank of filters: any images.

    Args:
        inception_weights: the user's file.
        mesh: the devices that share the images, default all.

    Raises:
        UsageError: the file is not that one.
    """
    if inception_weights:
        return of_inception(inception_weights, mesh)
    return of_filters(mesh)


def choose(
    inception_weights: str | None,
    content: str,
    shape: tuple[int, int, int],
    mesh=None,
) -> Extractor:
    """Inception where its weights are given; else the classifier of digits for digits,
    and the bank of filters for all that it does not know.

    Args:
        inception_weights: the user's file.
        content: of the training images, as a `Dataset` has it.
        shape: (H, W, C) of the images.
        mesh: the devices that share the images, default all.

    Raises:
        UsageError: the file is not that one.
    """
    if inception_weights:
        return of_inception(inception_weights, mesh)
    if content == "stacked_digits" and tuple(shape[:2]) == mnist.SHAPE[:2]:
        return of_stacked_digits(mesh)
    if content == "digits" and tuple(shape) == mnist.SHAPE:
        return of_digits(mesh)
    return of_filters(mesh)


def _shared(network, variables, mesh):
    """The network with the images divided over the mesh, and a fitting block."""
    mesh = mesh or parallel.mesh()
    whole, parts = parallel.replicated(mesh), parallel.divided(mesh)
    variables = jax.device_put(variables, whole)
    run = jax.jit(network, in_shardings=(whole, parts), out_shardings=parts)
    return lambda images: run(variables, images), parallel.rounded(BLOCK, mesh)
