"""CycleGAN's generators (Zhu et al., 2017, arXiv:1703.10593).

`ResNetGenerator` is the paper's, appendix 7.2, from the style transfer of Johnson et
al., 2016, arXiv:1603.08155: two halvings, residual blocks, two doublings, edges
mirrored. `PixelGenerator` changes colours alone. The discriminator is pix2pix's
`PatchGAN`.
"""

from functools import partial
from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from jaxgan.models.layers import (
    Conv,
    ConvTranspose,
    Norm,
    full_precision,
    he,
    normal002,
    normalization,
    reflected,
)
from jaxgan.types import UsageError

__all__ = ["PixelGenerator", "ResNetGenerator", "check_size"]


class ResNetGenerator(nn.Module):
    """`images [B, H, W, C'] -> images [B, H, W, C]`, both in [-1, 1]."""

    channels: int = 3
    width: int = 64
    """Channels of the first and the last layer; four times as many in the middle."""
    blocks: int = 9
    """Residual blocks: 6 for images of 128 pixels, 9 for 256 in the paper."""
    norm: Norm = "instance"
    dtype: Any = jnp.float32
    residual: bool = False
    """Draw what is added to the images that are given, without tanh; then C is C'. What
    need not change is kept from the start (as in DeblurGAN, Kupyn et al., 2018,
    arXiv:1711.07064); the sum may leave [-1, 1], and is cut off there when shown."""

    @nn.compact
    def __call__(self, x, train: bool = True):
        check_size(x.shape)
        images = x
        conv = partial(
            Conv,
            padding="VALID",
            use_bias=self.norm == "none",
            kernel_init=normal002,
            dtype=self.dtype,
        )
        pad = ((1, 1), (1, 1))
        norm = partial(normalization, self.norm, train, self.dtype)
        x = nn.relu(norm()(conv(self.width, (7, 7))(reflected(x, 3))))
        sizes = []
        for i in (1, 2):
            sizes.append(x.shape[1:3])
            x = conv(self.width << i, (3, 3), (2, 2), padding=pad)(x)
            x = nn.relu(norm()(x))
        for _ in range(self.blocks):
            y = nn.relu(norm()(conv(self.width * 4, (3, 3))(reflected(x, 1))))
            x = x + norm()(conv(self.width * 4, (3, 3))(reflected(y, 1)))
        for i in (1, 0):
            x = ConvTranspose(
                self.width << i,
                (3, 3),
                (2, 2),
                padding=pad,
                size=sizes[i],
                use_bias=self.norm == "none",
                kernel_init=normal002,
                dtype=self.dtype,
            )(x)
            x = nn.relu(norm()(x))
        x = conv(self.channels, (7, 7), use_bias=True)(reflected(x, 3))
        x = full_precision(x)
        return images + x if self.residual else jnp.tanh(x)


class PixelGenerator(nn.Module):
    """`images [B, H, W, C'] -> images [B, H, W, C]`, each pixel by itself, but for the
    statistics of a norm.

    All convolutions are 1x1, as in the PixelGAN of pix2pix (Isola et al., 2017,
    arXiv:1611.07004, section 4.4), which is a discriminator: colours change, shapes
    cannot. For domains that differ in colours alone, where a generator that sees more
    learns by heart what a few hundred images show.
    """

    channels: int = 3
    width: int = 32
    blocks: int = 2
    """Residual blocks of two layers."""
    norm: Norm = "none"
    dtype: Any = jnp.float32
    residual: bool = False
    """As `ResNetGenerator`'s."""

    @nn.compact
    def __call__(self, x, train: bool = True):
        images = x
        conv = partial(Conv, kernel_size=(1, 1), kernel_init=he, dtype=self.dtype)
        hidden = partial(conv, self.width, use_bias=self.norm == "none")
        norm = partial(normalization, self.norm, train, self.dtype)
        x = nn.relu(norm()(hidden()(x)))
        for _ in range(self.blocks):
            y = nn.relu(norm()(hidden()(x)))
            x = x + norm()(hidden()(y))
        x = full_precision(conv(self.channels, kernel_init=normal002)(x))
        return images + x if self.residual else jnp.tanh(x)


def check_size(shape) -> None:
    """Refuses images [B, H, W, C] whose smallest stage is too small to be mirrored.

    Raises:
        UsageError: they have fewer than 5 pixels one way.
    """
    if min(shape[1:3]) < 5:
        raise UsageError(
            None,
            None,
            "CycleGAN's generator takes images of 5 pixels or more each way, not "
            f"{shape[1]}x{shape[2]}.",
        )
