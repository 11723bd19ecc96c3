"""VGG-19 (Simonyan and Zisserman, 2015, arXiv:1409.1556), for perceptual losses.

Its weights come from a file of the user's, torchvision's; nothing is downloaded.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxgan.metrics import weights
from jaxgan.ops import conv
from jaxgan.tasks import over_white
from jaxgan.types import UsageError

__all__ = ["LAYERS", "content_loss", "features", "maps", "read"]

FILE, DIGEST = "vgg19-dcbb9e9d.pth", "dcbb9e9d"
"""Torchvision's file, named by how its SHA-256 begins."""

BLOCKS = ((0, 2), (5, 7), (10, 12, 14, 16), (19, 21, 23, 25), (28, 30, 32, 34))
"""Convolutions between poolings, by their numbers in `features.N.weight`."""

LAYERS = {"vgg22": 2, "vgg54": 5}
"""SRGAN's features, by the pooling that they come before."""

MEAN, DEVIATION = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]], np.float32)
"""Of ImageNet's colours in 0 ... 1."""

RESCALED = 12.75
"""What features are divided by, which brings their errors to the range of pixels'
(Ledig et al., 2017, arXiv:1609.04802, section 3.2)."""


def features(params: Mapping[str, Any], images, pooling: int):
    """After the last activation before the pooling of this number, 1 to 5.

    Args:
        params: by torchvision's names, in its layouts, float32.
        images: float `[B, H, W, 1 or 3]` in [-1, 1].
        pooling: its number.

    Returns:
        Float32 `[B, h, w, C]`.

    Raises:
        UsageError: the images are too small to be pooled so often.
    """
    return maps(params, images, pooling)[-1]


def maps(params: Mapping[str, Any], images, pooling: int) -> list:
    """The same before each pooling up to this one, the finest first."""
    if min(images.shape[1:3]) < 1 << (pooling - 1):
        h, w = images.shape[1:3]
        raise UsageError(
            None,
            None,
            f"VGG-19 before its pooling {pooling} needs images of {1 << (pooling - 1)} "
            f"pixels or more each way, not {h}x{w}.",
        )
    x = jnp.broadcast_to(images.astype(jnp.float32), (*images.shape[:3], 3))
    x = ((x + 1) / 2 - MEAN[None, None, None]) / DEVIATION[None, None, None]
    found = []
    for block, layers in enumerate(BLOCKS[:pooling]):
        if block:
            window = (1, 2, 2, 1)
            x = lax.reduce_window(x, -jnp.inf, lax.max, window, window, "VALID")
        for layer in layers:
            kernel = jnp.transpose(params[f"features.{layer}.weight"], (2, 3, 1, 0))
            bias = params[f"features.{layer}.bias"]
            x = conv(x, kernel, (1, 1), "SAME") + bias[None, None, None]
            x = jnp.maximum(x, 0)
        found.append(x)
    return found


def content_loss(path: str, layer: str) -> Callable:
    """SRGAN's VGG loss (equation 5): `(images, target) -> [B]`.

    The file is read when the loss is first computed, so that what was trained with it
    can be used without.

    Args:
        path: the user's file.
        layer: of `LAYERS`.

    Raises:
        UsageError: from the loss: the file is not torchvision's VGG-19.
    """
    pooling = LAYERS[layer]

    def loss(images, target):
        try:
            params = read(path, pooling)
        except UsageError as error:
            raise error.renamed("vgg_weights") from None
        a, b = (
            features(params, over_white(x), pooling) / RESCALED
            for x in (images, target)
        )
        return jnp.square(a - lax.stop_gradient(b)).mean((1, 2, 3))

    return loss


@functools.cache
def read(path: str, pooling: int) -> dict[str, np.ndarray]:
    """The weights of the layers before a pooling, by torchvision's names.

    Args:
        path: the user's file.
        pooling: its number, 1 to 5.

    Raises:
        UsageError: the file is not torchvision's VGG-19.
    """
    digest = weights.sha256(path)
    if not digest.startswith(DIGEST):
        reason = (
            f"has SHA-256 {digest[:8]}..., not {DIGEST}...: it is not "
            f"torchvision's {FILE}."
        )
        raise UsageError("path", path, reason)
    params = weights.state_dict(path)
    names = [f"features.{n}" for block in BLOCKS[:pooling] for n in block]
    needed = [f"{name}.{kind}" for name in names for kind in ("weight", "bias")]
    if missing := [name for name in needed if name not in params]:
        reason = f"has no {missing[0]}: it is no VGG-19."
        raise UsageError("path", path, reason)
    return {name: params[name] for name in needed}
