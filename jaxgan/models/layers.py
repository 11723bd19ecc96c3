"""Layers the networks share: convolutions by platform, BatchNorm across devices."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import jax.numpy as jnp
from flax import linen as nn

from jaxgan import axis, ops
from jaxgan.types import UsageError

__all__ = [
    "ConditionalBatchNorm",
    "Conv",
    "ConvTranspose",
    "Norm",
    "SelfAttention",
    "batch_norm",
    "dcgan_scale",
    "downsample",
    "full_precision",
    "he",
    "normal002",
    "normalization",
    "one_hot",
    "pixel_shuffle",
    "reflected",
    "sizes",
    "upsample",
]

normal002 = nn.initializers.normal(0.02)
"""DCGAN's initializer (Radford et al., 2016): a normal of deviation 0.02."""

he = nn.initializers.he_normal()
"""He et al., 2015, arXiv:1502.01852: for layers without normalization, where weights of
deviation 0.02 would let signals die out."""

Conv = partial(nn.Conv, conv_general_dilated=ops.conv_general_dilated)
"""`flax.linen.Conv`, fast on every platform."""


class ConvTranspose(nn.Module):
    """Transposed convolution, as `torch.nn.ConvTranspose2d`.

    `[B, H, W, C] -> [B, H', W', features]`; see `ops.conv.conv_transpose`. Flax's own
    cannot be told which convolution to use.
    """

    features: int
    kernel_size: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    padding: Any = "SAME"
    size: tuple[int, int] | None = None
    use_bias: bool = True
    dtype: Any = None
    kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal(
        in_axis=-1, out_axis=-2
    )
    bias_init: nn.initializers.Initializer = nn.initializers.zeros_init()

    @nn.compact
    def __call__(self, x):
        shape = (*self.kernel_size, self.features, x.shape[-1])
        w = self.param("kernel", self.kernel_init, shape)
        b = self.param("bias", self.bias_init, shape[2:3]) if self.use_bias else None
        x, w, b = nn.dtypes.promote_dtype(x, w, b, dtype=self.dtype)
        y = ops.conv_transpose(x, w, self.strides, self.padding, self.size)
        return y if b is None else y + b.reshape(1, 1, 1, -1)


def full_precision(x):
    """Outputs leave a network in float32, or wider when it computes wider."""
    return x if jnp.finfo(x.dtype).bits >= 32 else x.astype(jnp.float32)


def batch_norm(train: bool, **kwargs) -> nn.BatchNorm:
    """Batch normalization over the whole batch, however devices share it.

    Ioffe and Szegedy, 2015, arXiv:1502.03167; momentum 0.9 is torch's 0.1.
    """
    return nn.BatchNorm(
        use_running_average=not train,
        momentum=0.9,
        epsilon=1e-5,
        axis_name=axis.name(),
        **kwargs,
    )


Norm = Literal["batch", "instance", "affine_instance", "layer", "none"]


def normalization(kind: Norm, train: bool, dtype=None) -> Callable:
    """`x -> x`, a layer of the kind: over the batch, over each image, or none.

    Instance normalization (Ulyanov et al., 2016, arXiv:1607.08022) is of each channel
    by itself, "instance" without scale and shift, as in CycleGAN, "affine_instance"
    with them, which is batch norm of a single image, as in pix2pix: what is even over
    an image is lost. An image of one pixel would have nothing left, so there is none
    for it.
    Layer normalization (Ba et al., 2016, arXiv:1607.06450) is of all channels together,
    and keeps how they compare.
    """
    if kind == "batch":
        return batch_norm(train, dtype=dtype)
    if kind == "layer":
        return nn.GroupNorm(num_groups=1, epsilon=1e-5, dtype=dtype)
    if kind == "none":
        return lambda x: x
    affine = kind == "affine_instance"
    norm = nn.InstanceNorm(
        epsilon=1e-5,
        dtype=dtype,
        use_bias=affine,
        use_scale=affine,
        scale_init=dcgan_scale,
    )
    return lambda x: norm(x) if x.shape[1] * x.shape[2] > 1 else x


def reflected(x, n: int):
    """The image with n pixels more on each side, mirrored at the edge pixels."""
    return jnp.pad(x, ((0, 0), (n, n), (n, n), (0, 0)), mode="reflect")


def pixel_shuffle(x, r: int):
    """`[B, H, W, r² C] -> [B, r H, r W, C]`: channels become pixels.

    Shi et al., 2016, arXiv:1609.05158; channel c r² + i r + j becomes pixel (i, j) of
    channel c, as torch has it.
    """
    b, h, w, c = x.shape
    x = x.reshape(b, h, w, c // r**2, r, r).transpose(0, 1, 4, 2, 5, 3)
    return x.reshape(b, h * r, w * r, c // r**2)


def one_hot(label, num_classes: int):
    """Classes as G takes them: numbers int32 `[B]` one-hot, `[B, num_classes]`; weights
    of classes, `[B, num_classes]`, as they are, for what is between classes."""
    return label if jnp.ndim(label) == 2 else nn.one_hot(label, num_classes)


def dcgan_scale(key, shape, dtype=jnp.float32):
    """DCGAN's initializer for BatchNorm's scale: a normal of mean 1, deviation 0.02."""
    return 1 + normal002(key, shape, dtype)


class ConditionalBatchNorm(nn.Module):
    """BatchNorm whose scale and shift are each class's own.

    `x [B, H, W, C], label int32 [B] -> [B, H, W, C]`; of weights of classes, `[B,
    num_classes]`, what is between them. De Vries et al., 2017,
    arXiv:1707.00683; in GANs since Miyato and Koyama, 2018, arXiv:1802.05637.
    """

    num_classes: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x, label, train: bool = True):
        shape = (self.num_classes, x.shape[-1])
        scale = self.param("scale", nn.initializers.ones_init(), shape)
        shift = self.param("shift", nn.initializers.zeros_init(), shape)
        plain = {"use_scale": False, "use_bias": False, "dtype": self.dtype}
        x = batch_norm(train, **plain)(x)
        soft = jnp.ndim(label) == 2
        own = [label @ p if soft else p[label] for p in (scale, shift)]
        scale, shift = (p[:, None, None].astype(x.dtype) for p in own)
        return x * scale + shift


class SelfAttention(nn.Module):
    """Every place of an image looks at all others: `[B, H, W, C] -> [B, H, W, C]`.

    Zhang et al., 2019, arXiv:1805.08318, eq. 1 to 3: y = x + γ o, with γ from 0, so
    that a network begins without it. f, g and h have an eighth of the channels.
    """

    dtype: Any = None
    kernel_init: nn.initializers.Initializer = nn.initializers.xavier_uniform()
    values: int = 8
    """h has a so many-th of the channels; 2 in the authors' program and in BigGAN."""
    pool: bool = False
    """Whether it looks at the largest of every 2x2 places of f and h, likewise."""

    @nn.compact
    def __call__(self, x):
        dense = partial(
            nn.Dense, use_bias=False, dtype=self.dtype, kernel_init=self.kernel_init
        )
        places, channels = x.reshape(x.shape[0], -1, x.shape[-1]), x.shape[-1]
        few = max(1, channels // 8)
        f, g = (dense(few, name=name)(places) for name in "fg")
        h = dense(max(1, channels // self.values), name="h")(places)
        if self.pool:
            f, h = (self._pooled(y, x.shape) for y in (f, h))
        energy = full_precision(jnp.einsum("bic,bjc->bji", f, g))
        attention = nn.softmax(energy).astype(h.dtype)  # of place j to every place i
        o = dense(channels, name="v")(jnp.einsum("bji,bic->bjc", attention, h))
        gamma = self.param("gamma", nn.initializers.zeros_init(), ())
        return x + gamma.astype(x.dtype) * o.reshape(x.shape)

    def _pooled(self, y, shape):
        y = nn.max_pool(y.reshape(*shape[:3], -1), (2, 2), (2, 2))
        return y.reshape(shape[0], -1, y.shape[-1])


def upsample(x, size=None):
    """Every pixel twice each way, cut to `size` (H', W') if that is given."""
    b, h, w, c = x.shape
    x = jnp.broadcast_to(x[:, :, None, :, None], (b, h, 2, w, 2, c))
    x = x.reshape(b, 2 * h, 2 * w, c)
    return x if size is None else x[:, : size[0], : size[1]]


def downsample(x):
    """The mean of every 2x2 pixels; of what there is at an odd edge."""
    b, h, w, c = x.shape
    if h % 2 or w % 2:
        x = jnp.pad(x, ((0, 0), (0, h % 2), (0, w % 2), (0, 0)), mode="edge")
    return x.reshape(b, -(-h // 2), 2, -(-w // 2), 2, c).mean((2, 4))


BASE = 4
"""The shortest side that G begins with, at least; it is below twice as long."""


def sizes(shape: Sequence[int]) -> list[tuple[int, int]]:
    """`(H, W)` and its halves, down to where the shorter side is 4 to 7.

    Raises:
        UsageError: `shape` (H, W, C) cannot be halved so.
    """
    found = [(shape[0], shape[1])]
    while min(found[-1]) >= 2 * BASE:
        h, w = found[-1]
        if h % 2 or w % 2:
            break
        found.append((h // 2, w // 2))
    if not BASE <= min(found[-1]) < 2 * BASE:
        size = f"{shape[0]}x{shape[1]}"
        reason = (
            ": the shorter side must be 4 to 7 times a power of two, and "
            "the other be divisible by that power, such as 32x32 or 64x128."
        )
        raise UsageError("resize", size, reason)
    return found
