"""DCGAN's networks (Radford, Metz and Chintala, 2016, arXiv:1511.06434).

All strided convolutions; BatchNorm in both networks except G's output and D's input;
ReLU and tanh in G, LeakyReLU 0.2 in D; weights from N(0, 0.02²). Images are in [-1, 1]
and of any size: D halves them, rounding up, until a side is at most `base`, and G comes
back the same way, so 28 goes by 14 and 7 to 4, and 64 by 32, 16 and 8. Given labels, G
takes them one-hot beside `z` and D as an embedded extra channel.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from jaxgan.models.layers import (
    Conv,
    ConvTranspose,
    batch_norm,
    dcgan_scale,
    full_precision,
    he,
    normal002,
    one_hot,
)
from jaxgan.types import UsageError

__all__ = ["Discriminator", "Generator", "networks", "stages"]


def stages(shape: Sequence[int], base: int = 4) -> list[tuple[int, int]]:
    """`(H, W)` of the image and of every stage down to the smallest, as D makes them.

    Raises:
        UsageError: the images leave no stage.
    """
    h, w = shape[:2]
    sizes = [(h, w)]
    while min(sizes[-1]) > base:
        h, w = sizes[-1]
        sizes.append((-(-h // 2), -(-w // 2)))
    if len(sizes) == 1:
        raise UsageError(
            "base",
            base,
            f"is for images higher and wider than {base}, not {shape[0]}x{shape[1]}; "
            "give a `resize`, such as 32x32.",
        )
    return sizes


he_doubling = nn.initializers.variance_scaling(
    2.0 * 4, "fan_in", "normal", in_axis=-1, out_axis=-2
)
"""`he` of transposed convolutions of stride 2: a quarter of the kernel meets each
pixel."""


class Generator(nn.Module):
    """`z [B, ...] (, label int32 [B]) -> images [B, H, W, C]` in [-1, 1].

    The label may be weights of classes, `[B, num_classes]` (`layers.one_hot`).
    `norm=False` leaves BatchNorm out. With `hidden` a fully connected layer of so many
    units comes first, as in InfoGAN: there, codes and noise can interact.
    """

    shape: tuple[int, int, int] = (28, 28, 1)
    width: int = 64
    num_classes: int = 0
    base: int = 4
    dtype: Any = jnp.float32
    norm: bool = True
    hidden: int = 0

    @nn.compact
    def __call__(self, z, label=None, train: bool = True):
        *larger, (h, w) = stages(self.shape, self.base)
        norm: Callable[[], Callable]
        if self.norm:
            norm = partial(batch_norm, train, dtype=self.dtype, scale_init=dcgan_scale)
        else:
            norm = lambda: lambda x: x  # noqa: E731
        conv = partial(
            ConvTranspose,
            kernel_size=(4, 4),
            strides=(2, 2),
            kernel_init=normal002 if self.norm else he_doubling,
            dtype=self.dtype,
        )
        dense = partial(
            nn.Dense,
            use_bias=not self.norm,
            kernel_init=normal002 if self.norm else he,
            dtype=self.dtype,
        )
        z = z.reshape(z.shape[0], -1)
        if self.num_classes:
            z = jnp.concatenate([z, one_hot(label, self.num_classes)], -1)
        if self.hidden:
            z = nn.relu(norm()(dense(self.hidden)(z)))
        c = self.width << (len(larger) - 1)
        x = dense(h * w * c)(z)
        x = nn.relu(norm()(x.reshape(-1, h, w, c)))
        for size in larger[:0:-1]:
            c //= 2
            x = nn.relu(norm()(conv(c, size=size, use_bias=not self.norm)(x)))
        return jnp.tanh(full_precision(conv(self.shape[2], size=larger[0])(x)))


class Discriminator(nn.Module):
    """`images [B, H, W, C] (, label int32 [B]) -> logits [B]`, float32.

    With `outputs` it returns `(logits [B], [B, outputs])`, a second layer on the same
    trunk: the classes of AC-GAN, the codes of InfoGAN. `norm=False` leaves BatchNorm
    out: penalties of D's gradient at each image want a D that judges it by itself. With
    `hidden` a fully connected layer of so many units is the last of the trunk.
    """

    width: int = 64
    num_classes: int = 0
    base: int = 4
    dtype: Any = jnp.float32
    outputs: int = 0
    norm: bool = True
    hidden: int = 0

    @nn.compact
    def __call__(self, x, label=None, train: bool = True):
        if self.num_classes:
            plane = nn.Embed(self.num_classes, x.shape[1] * x.shape[2])(label)
            x = jnp.concatenate([x, plane.reshape(*x.shape[:3], 1)], -1)
        kernel_init = normal002 if self.norm else he
        for i, _ in enumerate(stages(x.shape[1:], self.base)[1:]):
            x = Conv(
                self.width << i,
                (4, 4),
                (2, 2),
                use_bias=i == 0 or not self.norm,
                kernel_init=kernel_init,
                dtype=self.dtype,
            )(x)
            if i and self.norm:
                x = batch_norm(train, dtype=self.dtype, scale_init=dcgan_scale)(x)
            x = nn.leaky_relu(x, 0.2)
        x = x.reshape(x.shape[0], -1)
        dense = partial(nn.Dense, kernel_init=kernel_init, dtype=self.dtype)
        if self.hidden:
            x = dense(self.hidden, use_bias=not self.norm)(x)
            if self.norm:
                x = batch_norm(train, dtype=self.dtype, scale_init=dcgan_scale)(x)
            x = nn.leaky_relu(x, 0.2)
        logits = full_precision(dense(1)(x)[:, 0])
        if not self.outputs:
            return logits
        return logits, full_precision(dense(self.outputs)(x))


def networks(
    shape: Sequence[int],
    width: int = 64,
    num_classes: int = 0,
    dtype=jnp.float32,
    base: int = 4,
    norm: tuple[bool, bool] = (True, True),
) -> tuple[Generator, Discriminator]:
    """The pair for images of one shape.

    Args:
        shape: `(H, W, C)` of the images.
        width: channels of D's first layer and G's last hidden one; each smaller stage
            has twice as many.
        num_classes: above 0, both are given labels in [0, num_classes).
        dtype: what they compute in; parameters are float32.
        base: how small the smallest stage is. 7 makes two stages of a 28x28 image
            instead of three: faster, but D then judges strokes apart from one another.
        norm: whether G has BatchNorm, and whether D has.

    Raises:
        UsageError: the images are not larger than the base.
    """
    stages(shape, base)
    h, w, c = shape
    return (
        Generator((h, w, c), width, num_classes, base, dtype, norm[0]),
        Discriminator(width, num_classes, base, dtype, norm=norm[1]),
    )
