"""Frozen networks that a projected discriminator sees images by (`models.projected`).

They are networks that images are judged by, too. A D that has seen images by one of
them, and a G that has learned from that D, are judged by another.
"""

import functools

from jaxgan.metrics import filters, inception, mnist, vgg
from jaxgan.models.projected import Features

__all__ = ["of_digits", "of_filters", "of_inception", "of_vgg"]

POOLING = 5
"""Of VGG-19, before which maps are taken, from the second on."""


def of_filters() -> Features:
    """The bank of filters, of images of any size: three maps, the finest as large."""

    def maps(variables, images):
        return filters.maps(images)

    return Features("filters", dict, maps, _not_of_colours)


def of_digits() -> Features:
    """The packaged classifier of 28x28 digits: maps of 28, 14 and 7 pixels."""

    def refuses(shape):
        if shape == mnist.SHAPE:
            return None
        return f"takes images of {_size(mnist.SHAPE)}, not {_size(shape)}."

    return Features("mnist", mnist.weights, mnist.maps, refuses)


def of_vgg(path: str) -> Features:
    """VGG-19 before its poolings 2 to 5: maps of a half to a 16th of the images' sides.

    Args:
        path: the user's file, see `metrics.vgg`.

    Raises (its `variables`):
        UsageError: the file is not torchvision's VGG-19.
    """

    def maps(variables, images):
        return vgg.maps(variables, images, POOLING)[1:]

    def refuses(shape):
        least = 1 << (POOLING - 1)
        if min(shape[:2]) < least:
            return f"takes images of {least} pixels or more each way."
        return _not_of_colours(shape)

    return Features("vgg19", functools.partial(vgg.read, path, POOLING), maps, refuses)


def of_inception(path: str) -> Features:
    """FID's network: maps of 73, 35, 17 and 8 pixels, of images resized to 299x299.

    Args:
        path: the user's file, see `extractors.of_inception`.

    Raises (its `variables`):
        UsageError: the file is not that one.
    """

    def maps(variables, images):
        x = (images.astype("float32") + 1) * 127.5
        size = inception.SIZE, inception.SIZE
        return inception.maps(variables, inception.resize(x, *size))

    read = functools.partial(inception.read, path)
    return Features("inception-2015-12-05", read, maps, _not_of_colours)


def _not_of_colours(shape):
    if shape[2] in (1, 3):
        return None
    return f"takes images of 1 or 3 channels, not {shape[2]}."


def _size(shape):
    return "x".join(map(str, shape))
