"""The generator of StyleGAN (Karras et al., 2019, arXiv:1812.04948), which grows.

D is ProGAN's with a blur (`progan.Discriminator(blur=True)`). See `progan` for `stage`
and `alpha`. Styles are inside of G here: mixing and truncation of samples, and what
else is done in w, are StyleGAN2's.
"""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jax import lax, random

from jaxgan import axis
from jaxgan.models import progan
from jaxgan.models.equalized import Conv, Dense, leaky
from jaxgan.models.layers import full_precision, sizes, upsample
from jaxgan.models.stylegan2 import Mapping

__all__ = ["Generator", "networks"]


class Generator(nn.Module):
    """`z [B, Z], alpha [] -> images [B, H, W, C]`, of the stage's size.

    In training some images are of two styles, and each layer adds noise, all of the key
    `rngs={"noise": key}`; else noise is the one that was drawn with the first weights.
    """

    shape: tuple[int, int, int]
    """Of the last stage."""
    channels: Sequence[int]
    """Of each stage, the smallest first."""
    stage: int
    w_dim: int = 512
    depth: int = 8
    mixing: float = 0.9
    """The share of training images of two styles."""
    dtype: Any = None

    @nn.compact
    def __call__(self, z, alpha, train: bool = True):
        w = self._styles(z, train)
        first = self.channels[0]
        shape = (*sizes(self.shape)[-1], first)
        constant = self.param("constant", nn.initializers.ones_init(), shape)
        x = jnp.broadcast_to(constant[None], (len(z), *shape))
        drawn = []
        for i, channels in enumerate(self.channels[: self.stage + 1]):
            for k in range(2):
                if i or k:
                    conv = Conv(
                        channels,
                        use_bias=False,
                        dtype=self.dtype,
                        name=f"stage{i}_conv{k}",
                    )
                    x = conv(x) if k else progan.blurred(conv(upsample(x)))
                epilogue = Epilogue(name=f"stage{i}_style{k}")
                x = epilogue(x, w[:, 2 * i + k], train)
            if i >= self.stage - 1 or self.is_initializing():
                head = Conv(self.shape[2], 1, dtype=self.dtype, name=f"image{i}")
                drawn.append(full_precision(head(x)))
        return progan.grown(drawn, alpha)

    def _styles(self, z, train):
        """w `[B, layers, W]`."""
        layers = 2 * len(self.channels)
        mapping = Mapping(layers, self.w_dim, self.depth, name="mapping")
        w = mapping(z)
        if not train:
            return w
        keys = random.split(self.make_rng("noise"), 3)
        other = mapping(axis.draw(random.normal, keys[0], z.shape))
        shape, used = (len(z), 1, 1), 2 * (self.stage + 1)
        first = axis.draw(random.randint, keys[1], shape, 1, used)
        mixed = axis.draw(random.uniform, keys[2], shape) < self.mixing
        return jnp.where(mixed & (jnp.arange(layers)[None, :, None] >= first), other, w)


class Epilogue(nn.Module):
    """Noise, a bias, leaky ReLU, then AdaIN: each channel of each image is normalized,
    and scaled and shifted as the style says (eq. 1)."""

    @nn.compact
    def __call__(self, x, w, train: bool):
        c, shape = x.shape[-1], x.shape[1:3]

        def drawn():
            return random.normal(self.make_rng("params"), shape)

        noise = self.variable("noise", "fixed", drawn).value[None]
        if train:
            noise = axis.draw(random.normal, self.make_rng("noise"), (len(x), *shape))
        strength = self.param("strength", nn.initializers.zeros_init(), (c,))
        bias = self.param("bias", nn.initializers.zeros_init(), (c,))
        strength, bias = (v[None, None, None] for v in (strength, bias))
        x = leaky(full_precision(x) + strength * noise[..., None] + bias)
        x = x - x.mean((1, 2), keepdims=True)
        x = x * lax.rsqrt(jnp.square(x).mean((1, 2), keepdims=True) + 1e-8)
        scale, shift = jnp.split(Dense(2 * c, name="style")(w), 2, -1)
        return x * (1 + scale[:, None, None]) + shift[:, None, None]


def networks(
    shape: Sequence[int],
    width: int = 16,
    most: int = 512,
    w_dim: int = 512,
    depth: int = 8,
    dtype=jnp.float32,
) -> tuple[list[Generator], list[progan.Discriminator]]:
    """The two of each stage, the smallest first; arguments as `stylegan2.networks`."""
    older, judges = progan.networks(shape, width, most, dtype)
    first = older[0]
    return (
        [
            Generator(first.shape, first.channels, k, w_dim, depth, dtype=dtype)
            for k in range(len(older))
        ],
        [D.clone(blur=True) for D in judges],
    )
