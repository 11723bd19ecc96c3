"""SPADE's networks (Park et al., 2019, arXiv:1903.07291, appendix A).

G draws an image of a label map, which enters at every scale: normalized features are
scaled and shifted, at each pixel, by what two convolutions make of the map. Its
discriminator is pix2pix's `MultiScale`; `spectral.normalized` of each is the paper's.
Normalization is of each image by itself, so that it does not depend on its batch; in G
of all channels together, since of each alone it would take away what is even over an
image, and with it what z says.
"""

from functools import partial
from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from jaxgan import window
from jaxgan.models.dcgan import stages
from jaxgan.models.layers import Conv, full_precision, normalization, upsample

__all__ = ["SPADE", "Encoder", "Generator", "SPADEBlock"]

glorot = nn.initializers.glorot_normal()


class SPADE(nn.Module):
    """`(x [B, h, w, C], map [B, H, W, K]) -> [B, h, w, C]`, the map one-hot: eq. 1."""

    hidden: int = 128
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x, label_map):
        conv = partial(Conv, kernel_size=(3, 3), kernel_init=glorot, dtype=self.dtype)
        seen = nn.relu(conv(self.hidden)(nearest(label_map, x.shape[1:3])))
        scale, shift = conv(x.shape[-1])(seen), conv(x.shape[-1])(seen)
        plain = partial(nn.GroupNorm, use_bias=False, use_scale=False, dtype=self.dtype)
        norm = plain(num_groups=1, epsilon=1e-5)
        return norm(x) * (1 + scale) + shift


class SPADEBlock(nn.Module):
    """SPADE, LeakyReLU, 3x3, twice, beside SPADE, 1x1: figure 11."""

    channels: int
    hidden: int = 128
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x, label_map):
        norm = partial(SPADE, self.hidden, self.dtype)
        conv = partial(Conv, kernel_init=glorot, dtype=self.dtype)
        middle = min(self.channels, x.shape[-1])
        y = conv(middle, (3, 3))(nn.leaky_relu(norm()(x, label_map), 0.2))
        y = conv(self.channels, (3, 3))(nn.leaky_relu(norm()(y, label_map), 0.2))
        if x.shape[-1] != self.channels:
            x = conv(self.channels, (1, 1), use_bias=False)(norm()(x, label_map))
        return x + y


class Generator(nn.Module):
    """`(z [B, Z], map [B, H, W, K]) -> images [B, H, W, channels]` in [-1, 1].

    The stages are DCGAN's, from `base` pixels up: figure 12.
    """

    channels: int = 3
    width: int = 64
    """Channels of the last block; each smaller one has twice as many, at most 16 x."""
    hidden: int = 128
    size: tuple[int, int] | None = None
    """(H, W) of the maps it is trained on, default those of `init`: of others, what
    becomes of z is stretched."""
    base: int = 4
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, z, label_map):
        trained = stages(self.size or label_map.shape[1:3], self.base)
        sizes = [label_map.shape[1:3]]
        while len(sizes) < len(trained):
            h, w = sizes[0]
            sizes.insert(0, (-(-h // 2), -(-w // 2)))
        width = [self.width * min(1 << i, 16) for i in range(len(sizes))][::-1]
        (h, w), first = trained[-1], width[0]
        x = nn.Dense(h * w * first, kernel_init=glorot, dtype=self.dtype)(z)
        x = stretched(x.reshape(-1, h, w, first), sizes[0])
        for size, channels in zip(sizes, width, strict=True):
            x = x if size == sizes[0] else upsample(x, size)
            x = SPADEBlock(channels, self.hidden, self.dtype)(x, label_map)
        conv = Conv(self.channels, (3, 3), kernel_init=glorot, dtype=self.dtype)
        return jnp.tanh(full_precision(conv(nn.leaky_relu(x, 0.2))))


class Encoder(nn.Module):
    """`images [B, H, W, C] -> (mean, log variance)`, each `[B, latent_dim]`: figure 14.

    Of a style image, for the generator's z. With layer norm, and none after the first
    layer: the paper's instance norm takes from each channel what is even over an image,
    such as a tint.
    """

    latent_dim: int = 256
    width: int = 64
    base: int = 4
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x):
        norm = partial(normalization, "layer", True, self.dtype)
        for i in range(len(stages(x.shape[1:3], self.base)) - 1):
            x = Conv(
                self.width * min(1 << i, 8),
                (3, 3),
                (2, 2),
                use_bias=i == 0,
                kernel_init=glorot,
                dtype=self.dtype,
            )(x if i == 0 else nn.leaky_relu(x, 0.2))
            x = norm()(x) if i else x
        x = nn.leaky_relu(x, 0.2).reshape(len(x), -1)
        dense = partial(nn.Dense, self.latent_dim, dtype=self.dtype)
        return full_precision(dense()(x)), full_precision(dense()(x))


def nearest(x, size):
    """The nearest pixels to those of an image of `size` (h, w), as torch takes them.

    Of a tile those of the whole, as far as they are in it."""
    tile = window.here()

    def taken(n, old, dim):
        if tile is None:
            return (jnp.arange(n) * old) // n
        index, count = window.places(n, dim)
        found = index * tile.whole[dim] // count - tile.start[dim]
        return found.clip(0, old - 1)

    rows, columns = map(taken, size, x.shape[1:3], (0, 1))
    return x[:, rows][:, :, columns]


def stretched(x, size):
    """The same of what is of the whole image, `[B, h', w', C]`, in a tile too."""
    rows, columns = (
        index * old // count
        for old, (index, count) in zip(
            x.shape[1:3], map(window.places, size, (0, 1)), strict=True
        )
    )
    return x[:, rows][:, :, columns]
