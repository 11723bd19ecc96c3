"""The Inception network that FID is defined on.

Szegedy et al., 2015, arXiv:1512.00567.

Not torchvision's: the TensorFlow graph of 2015-12-05, whose average pools do not count
padding, whose last block pools by maximum, and which has 1,008 logits. Its weights come
from a file of the user's, see `read_weights`; nothing is downloaded.
"""

from collections.abc import Mapping
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxgan.metrics import weights
from jaxgan.ops import conv
from jaxgan.types import UsageError

__all__ = ["layers", "maps", "network", "read", "resize"]

SIZE = 299
EPSILON = 1e-3
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
"""Of weights-inception-2015-12-05-6726825d.pth, as torch-fidelity publishes it."""


@cache
def read(path: str) -> dict[str, np.ndarray]:
    """The network's weights, by PyTorch's names.

    Args:
        path: the user's file, weights-inception-2015-12-05-6726825d.pth.

    Raises:
        UsageError: the file is not that one.
    """
    digest = weights.sha256(path)
    if digest != SHA256:
        reason = (
            f"has SHA-256 {digest[:8]}..., not {SHA256[:8]}...: it is not "
            "weights-inception-2015-12-05."
        )
        raise UsageError("path", path, reason)
    params = {k: v for k, v in weights.state_dict(path).items() if v.ndim}
    image = jax.ShapeDtypeStruct((1, SIZE, SIZE, 3), "uint8")
    try:
        jax.eval_shape(layers, params, image)
    except (KeyError, TypeError, ValueError) as error:
        reason = f"is not the Inception network: {error!r}."
        raise UsageError("path", path, reason) from None
    return params


def layers(params: Mapping[str, jax.Array], images) -> dict[str, jax.Array]:
    """Every layer that measures are taken of.

    Args:
        params: by PyTorch's names, such as `Mixed_5b.branch1x1.conv.weight`, in its
            layouts, float32.
        images: `[B, H, W, 1 or 3]` in 0 ... 255, uint8 or float; of any size, they are
            resized to 299x299 as TensorFlow 1 did it.

    Returns:
        Float32 `"64"`, `"192"`, `"768"`, `"2048"`, each `[B, that many]`, means over
        pixels; `"logits_unbiased"` and `"logits"`, `[B, 1008]`.
    """
    return network(params, resize(images.astype(jnp.float32), SIZE, SIZE))


def network(params: Mapping[str, jax.Array], x) -> dict[str, jax.Array]:
    """`layers` of images that are float32 `[B, 299, 299, 1 or 3]` already."""
    out = {str(v.shape[3]): v.mean((1, 2), dtype=jnp.float32) for v in maps(params, x)}
    unbiased = out["2048"] @ params["fc.weight"].T
    logits = unbiased + params["fc.bias"].reshape(1, -1)
    return out | {"logits_unbiased": unbiased, "logits": logits}


def maps(params: Mapping[str, jax.Array], x) -> list[jax.Array]:
    """What `network` takes means of: `[B, 73, 73, 64]`, `[B, 35, 35, 192]`,
    `[B, 17, 17, 768]` and `[B, 8, 8, 2048]`, of the same images."""
    x = (jnp.broadcast_to(x, (*x.shape[:3], 3)) - 128) / 128
    net = partial(_unit, params)
    x = net("Conv2d_1a_3x3", x, 2, "VALID")
    x = net("Conv2d_2a_3x3", x, 1, "VALID")
    x = net("Conv2d_2b_3x3", x)
    x = x64 = _max_pool(x, 2, "VALID")
    x = net("Conv2d_3b_1x1", x)
    x = net("Conv2d_4a_3x3", x, 1, "VALID")
    x = x192 = _max_pool(x, 2, "VALID")
    for block in ("Mixed_5b", "Mixed_5c", "Mixed_5d"):
        x = _grid35(partial(_unit, params, block=block), x)
    x = _reduce17(partial(_unit, params, block="Mixed_6a"), x)
    for block in ("Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"):
        x = _grid17(partial(_unit, params, block=block), x)
    x768 = x
    x = _reduce8(partial(_unit, params, block="Mixed_7a"), x)
    x = _grid8(partial(_unit, params, block="Mixed_7b"), x, _mean_pool)
    x = _grid8(partial(_unit, params, block="Mixed_7c"), x, _max_pool)
    return [x64, x192, x768, x]


def resize(x, height: int, width: int):
    """Bilinear, as TensorFlow 1's `resize_bilinear`: pixel i is at i · H / height.

    No pixel is halved at the border and nothing is filtered when it shrinks; FID is
    defined with exactly this (Parmar et al., 2022, arXiv:2104.11222).
    """
    for axis, size in ((1, height), (2, width)):
        n = x.shape[axis]
        if n == size:
            continue
        place = jnp.arange(size, dtype=jnp.float32) * jnp.float32(n / size)
        low = jnp.minimum(place.astype(jnp.int32), n - 1)
        shape = [-1 if a == axis else 1 for a in range(4)]
        share = (place - low.astype(jnp.float32)).reshape(shape)
        below = jnp.take(x, low, axis)
        above = jnp.take(x, jnp.minimum(low + 1, n - 1), axis)
        x = below + (above - below) * share
    return x


def _unit(params, name, x, stride=1, padding="SAME", block=None):
    """Convolution, BatchNorm of stored statistics, ReLU."""
    name = f"{block}.{name}" if block else name
    w = params[f"{name}.conv.weight"].transpose(2, 3, 1, 0)
    mean, var, scale, shift = (
        params[f"{name}.bn.{of}"].reshape(1, 1, 1, -1)
        for of in ("running_mean", "running_var", "weight", "bias")
    )
    x = conv(x, w, stride, padding)
    return jax.nn.relu((x - mean) * (scale * lax.rsqrt(var + EPSILON)) + shift)


def _max_pool(x, stride=1, padding="SAME"):
    window, strides = (1, 3, 3, 1), (1, stride, stride, 1)
    return lax.reduce_window(x, -jnp.inf, lax.max, window, strides, padding)


def _mean_pool(x):
    """3x3 means over the pixels that are there."""
    window = partial(
        lax.reduce_window,
        init_value=0.0,
        computation=lax.add,
        window_dimensions=(1, 3, 3, 1),
        window_strides=(1, 1, 1, 1),
        padding="SAME",
    )
    return window(x) / window(jnp.ones((1, *x.shape[1:3], 1)))


def _chain(net, x, *names):
    for name in names:
        x = net(name, x)
    return x


def _grid35(net, x):
    a = net("branch1x1", x)
    b = _chain(net, x, "branch5x5_1", "branch5x5_2")
    c = _chain(net, x, "branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3")
    return jnp.concatenate([a, b, c, net("branch_pool", _mean_pool(x))], -1)


def _reduce17(net, x):
    a = net("branch3x3", x, 2, "VALID")
    b = _chain(net, x, "branch3x3dbl_1", "branch3x3dbl_2")
    b = net("branch3x3dbl_3", b, 2, "VALID")
    return jnp.concatenate([a, b, _max_pool(x, 2, "VALID")], -1)


def _grid17(net, x):
    a = net("branch1x1", x)
    b = _chain(net, x, *(f"branch7x7_{i}" for i in (1, 2, 3)))
    c = _chain(net, x, *(f"branch7x7dbl_{i}" for i in (1, 2, 3, 4, 5)))
    return jnp.concatenate([a, b, c, net("branch_pool", _mean_pool(x))], -1)


def _reduce8(net, x):
    a = net("branch3x3_2", net("branch3x3_1", x), 2, "VALID")
    b = _chain(net, x, *(f"branch7x7x3_{i}" for i in (1, 2, 3)))
    b = net("branch7x7x3_4", b, 2, "VALID")
    return jnp.concatenate([a, b, _max_pool(x, 2, "VALID")], -1)


def _grid8(net, x, pool):
    a = net("branch1x1", x)
    b = net("branch3x3_1", x)
    b = [net("branch3x3_2a", b), net("branch3x3_2b", b)]
    c = _chain(net, x, "branch3x3dbl_1", "branch3x3dbl_2")
    c = [net("branch3x3dbl_3a", c), net("branch3x3dbl_3b", c)]
    return jnp.concatenate([a, *b, *c, net("branch_pool", pool(x))], -1)
