"""The networks of StyleGAN2, config F (Karras et al., 2020, arXiv:1912.04958).

A mapping network makes styles w of z, and a synthesis network images of a style for
each layer: G sums images of all sizes (skip connections), D is residual. Given labels,
both have an embedding, as StyleGAN2-ADA has it (arXiv:2006.06676): the mapping network
sees it beside z, and D is projected onto it.
"""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import random

from jaxgan import axis
from jaxgan.models.equalized import (
    Conv,
    Dense,
    ModulatedConv,
    leaky,
    minibatch_deviation,
    pixel_norm,
)
from jaxgan.models.layers import full_precision, one_hot, sizes
from jaxgan.ops import fir

__all__ = ["Discriminator", "Mapping", "Synthesis", "networks"]


class Mapping(nn.Module):
    """`z [B, Z] (, label [B]) -> w [B, layers, width]`, the same w for each layer.

    A label is int32, or float32 weights `[B, num_classes]`. The mean of w, for
    truncation, lies in the collection "average"; a recipe's `settle` sets it.
    """

    layers: int
    """Of the synthesis network."""
    width: int = 512
    """The dimension of w."""
    depth: int = 8
    num_classes: int = 0
    rate: float = 0.01
    """What the layers' learning rate is multiplied by."""

    @nn.compact
    def __call__(self, z, label=None):
        x = pixel_norm(z)
        if self.num_classes:
            embed = Dense(self.width, name="embed")
            y = pixel_norm(embed(one_hot(label, self.num_classes)))
            x = jnp.concatenate([x, y], -1)
        for i in range(self.depth):
            x = leaky(Dense(self.width, self.rate, name=f"dense{i}")(x))
        self.variable("average", "w", jnp.zeros, (self.width,), jnp.float32)
        return jnp.broadcast_to(x[:, None], (len(x), self.layers, self.width))


class Layer(nn.Module):
    """A modulated 3x3 convolution, noise, a bias, leaky ReLU."""

    channels: int
    up: int = 1
    dtype: Any = None

    @nn.compact
    def __call__(self, x, w, train: bool):
        conv = ModulatedConv(self.channels, up=self.up, dtype=self.dtype, name="conv")
        x = conv(x, w)
        shape = x.shape[1:3]

        def drawn():
            return random.normal(self.make_rng("params"), shape)

        noise = self.variable("noise", "fixed", drawn).value[None]
        if train:
            noise = axis.draw(random.normal, self.make_rng("noise"), (len(x), *shape))
        strength = self.param("strength", nn.initializers.zeros_init(), ())
        x = x + (strength * noise).astype(x.dtype)[..., None]
        bias = self.param("bias", nn.initializers.zeros_init(), (self.channels,))
        return leaky(x + bias.astype(x.dtype)[None, None, None])


class ToImage(nn.Module):
    """A modulated 1x1 convolution without demodulation, and a bias; float32."""

    channels: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x, w):
        conv = ModulatedConv(
            self.channels, 1, demodulate=False, dtype=self.dtype, name="conv"
        )
        bias = self.param("bias", nn.initializers.zeros_init(), (self.channels,))
        return full_precision(conv(x, w)) + bias[None, None, None]


class Synthesis(nn.Module):
    """`w [B, layers, W] -> images [B, H, W, C]`, about in [-1, 1].

    In training each layer adds noise of the key `rngs={"noise": key}`, else one that
    was drawn with the first weights, so that an image is a function of w alone.
    """

    shape: tuple[int, int, int]
    channels: Sequence[int]
    """Of each stage, the smallest first."""
    dtype: Any = None

    @nn.compact
    def __call__(self, w, train: bool = True):
        first, *rest = self.channels
        constant = self.param(
            "constant", nn.initializers.normal(1.0), (*sizes(self.shape)[-1], first)
        )
        x = jnp.broadcast_to(constant[None], (len(w), *constant.shape))
        x = Layer(first, dtype=self.dtype, name="layer0")(x, w[:, 0], train)
        image = ToImage(self.shape[2], self.dtype, name="image0")(x, w[:, 1])
        for i, channels in enumerate(rest, 1):
            # The image is made by the style of the next stage's first layer.
            at = 2 * i - 1
            up = Layer(channels, 2, self.dtype, name=f"layer{at}")
            x = up(x, w[:, at], train)
            layer = Layer(channels, dtype=self.dtype, name=f"layer{at + 1}")
            x = layer(x, w[:, at + 1], train)
            drawn = ToImage(self.shape[2], self.dtype, name=f"image{i}")
            image = fir.upsample(image) + drawn(x, w[:, at + 2])
        return image


class Block(nn.Module):
    """Two 3x3 convolutions, the second halving, beside a 1x1 that halves."""

    channels: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x):
        conv0 = Conv(x.shape[-1], dtype=self.dtype, name="conv0")
        conv1 = Conv(self.channels, down=2, dtype=self.dtype, name="conv1")
        skip = Conv(self.channels, 1, 2, False, dtype=self.dtype, name="skip")
        y = leaky(conv1(leaky(conv0(x))))
        return (skip(x) + y) * jnp.asarray(np.sqrt(0.5), x.dtype)


class Discriminator(nn.Module):
    """`images [B, H, W, C] (, label [B]) -> logits [B]`, float32.

    With classes the last layer has as many outputs as the embedding, of which the
    logit is the product with the label's, over the root of their number.
    """

    channels: Sequence[int]
    """Of each stage, the largest first."""
    num_classes: int = 0
    embed: int = 512
    """The dimension of the embedding of classes."""
    depth: int = 8
    """Layers of the embedding's mapping network, whatever G's has."""
    group: int = 4
    """Images whose deviation from each other is shown to the last layers."""
    dtype: Any = None

    @nn.compact
    def __call__(self, x, label=None):
        first, *rest = self.channels
        x = leaky(Conv(first, 1, dtype=self.dtype, name="from_image")(x))
        for i, channels in enumerate(rest):
            x = Block(channels, self.dtype, name=f"block{i}")(x)
        x = minibatch_deviation(x, self.group)
        x = leaky(Conv(self.channels[-1], dtype=self.dtype, name="conv")(x))
        x = full_precision(x.reshape(len(x), -1))
        x = leaky(Dense(self.channels[-1], name="dense")(x))
        if not self.num_classes:
            return Dense(1, name="logit")(x)[:, 0]
        x = Dense(self.embed, name="logit")(x)
        y = pixel_norm(
            Dense(self.embed, name="embed")(one_hot(label, self.num_classes))
        )
        for i in range(self.depth):
            y = leaky(Dense(self.embed, 0.01, name=f"dense{i}")(y))
        return (x * y).sum(-1) / np.float32(np.sqrt(self.embed))


def networks(
    shape: Sequence[int],
    width: int = 64,
    most: int = 512,
    w_dim: int = 512,
    depth: int = 8,
    num_classes: int = 0,
    dtype=jnp.float32,
    group: int = 4,
) -> tuple[Mapping, Synthesis, Discriminator]:
    """The three for images of one shape.

    Args:
        shape: `(H, W, C)`, see `layers.sizes`.
        width: channels of the largest stage; each smaller one has twice as many. In the
            paper 32 of 1024 pixels and 128 of 256 (config F); 64 of 256 is half of it,
            as in config E and StyleGAN2-ADA's `paper256`.
        most: channels of a stage at most.
        w_dim: the dimension of w.
        depth: of the mapping network; 8 in the paper, 2 in StyleGAN2-ADA's `auto`.
        num_classes: above 0, the mapping network and D are given labels.
        dtype: what convolutions compute in; parameters are float32.
        group: images that D compares; 8 of StyleGAN2-ADA's `paper256`.

    Raises:
        UsageError: the images have no such shape.
    """
    (h, w), stages = shape[:2], len(sizes(shape))
    channels = [min(width << i, most) for i in range(stages)]
    return (
        Mapping(2 * stages, w_dim, depth, num_classes),
        Synthesis((h, w, shape[2]), channels[::-1], dtype),
        Discriminator(channels, num_classes, channels[-1], 8, group, dtype),
    )
