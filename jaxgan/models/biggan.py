"""BigGAN (Brock et al., 2019, arXiv:1809.11096), appendix B; not BigGAN-deep.

Residual networks with self-attention. z is cut into as many pieces as G has stages: the
first becomes the smallest stage, each other one goes to a block. There it joins an
embedding of the class, which all blocks share, and linear maps of both are the scale
and the shift of BatchNorm. D has a projection head. Kernels begin orthogonal. Both
networks are without spectral norm here: `spectral.normalized(G)` and of D are the
paper's (its authors' program leaves the shared embedding as it is, and so it is here).

The sizes of `channels` and `downs` are those of the authors' program in PyTorch; tables
4, 5 and 6 have the same for 128, 256 and 512 pixels. Images of any shape are halved
until 4 pixels or less are left, see `dcgan.stages`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jax.lax import Precision
from jax.tree_util import tree_leaves_with_path

from jaxgan.models.dcgan import stages
from jaxgan.models.layers import (
    Conv,
    SelfAttention,
    batch_norm,
    full_precision,
)
from jaxgan.models.net import path_keys
from jaxgan.models.resnet import DiscriminatorBlock, GeneratorBlock
from jaxgan.types import UsageError

__all__ = [
    "Discriminator",
    "Generator",
    "LinearConditionalBatchNorm",
    "networks",
    "orthogonal_regularization",
]

G_CHANNELS = {
    3: (4, 4, 4, 4),
    4: (16, 16, 8, 4, 2),
    5: (16, 16, 8, 4, 2, 1),
    6: (16, 16, 8, 8, 4, 2, 1),
    7: (16, 16, 8, 8, 4, 2, 1, 1),
}
"""By the number of doublings, of the smallest stage and after each."""
D_CHANNELS = {
    3: (4, 4, 4, 4),
    4: (1, 2, 4, 8, 16),
    5: (1, 2, 4, 8, 16, 16),
    6: (1, 2, 4, 8, 8, 16, 16),
    7: (1, 1, 2, 4, 8, 8, 16, 16),
}
"""Of each block, the first first."""

orthogonal = nn.initializers.orthogonal()


class LinearConditionalBatchNorm(nn.Module):
    """BatchNorm by a condition: `x [B, H, W, C], c [B, K] -> [B, H, W, C]`.

    The scale is 1 + W c, the shift V c, without biases.
    """

    dtype: Any = None

    @nn.compact
    def __call__(self, x, condition, train: bool = True):
        plain = {"use_scale": False, "use_bias": False, "dtype": self.dtype}
        normal = batch_norm(train, **plain)(x)
        scale, shift = (
            nn.Dense(
                x.shape[-1],
                use_bias=False,
                kernel_init=orthogonal,
                dtype=self.dtype,
                name=name,
            )(condition)[:, None, None]
            for name in ("scale", "shift")
        )
        return normal * (1 + scale) + shift


class Generator(nn.Module):
    """`z [B, Z] (, label int32 [B]) -> images [B, H, W, C]` in [-1, 1].

    The label may be weights of classes, `[B, num_classes]`, for what is between them.
    Z is a multiple of the number of stages.
    """

    shape: tuple[int, int, int]
    channels: Sequence[int]
    """Of the smallest stage, and after each doubling."""
    num_classes: int = 0
    attention: int = 0
    """The height of the stage that has self-attention; 0 for none."""
    shared: int = 128
    """Dimension of the embedding of classes."""
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, z, label=None, train: bool = True):
        *larger, (h, w) = stages(self.shape)
        first, *pieces = jnp.split(z, len(self.channels), -1)
        if self.num_classes:
            table = self.param("shared", orthogonal, (self.num_classes, self.shared))
            table = table.astype(z.dtype)
            own = label @ table if jnp.ndim(label) == 2 else table[label]
            pieces = [jnp.concatenate([own, piece], -1) for piece in pieces]
        base, *rest = self.channels
        dense = nn.Dense(h * w * base, kernel_init=orthogonal, dtype=self.dtype)
        x = dense(first).reshape(-1, h, w, base)
        for channels, size, piece in zip(rest, larger[::-1], pieces, strict=True):
            x = GeneratorBlock(
                channels,
                size,
                _norm(piece, train, self.dtype),
                self.dtype,
                orthogonal,
            )(x)
            if size[0] == self.attention:
                x = _attention(self.dtype)(x)
        x = nn.relu(batch_norm(train, dtype=self.dtype)(x))
        conv = Conv(self.shape[2], (3, 3), kernel_init=orthogonal, dtype=self.dtype)
        return jnp.tanh(full_precision(conv(x)))


def _norm(condition, train, dtype) -> Callable:
    """`() -> a layer of x`, as blocks take it."""

    def norm():
        layer = LinearConditionalBatchNorm(dtype)
        return lambda x: layer(x, condition, train)

    return norm


def _attention(dtype):
    return SelfAttention(dtype, orthogonal, values=2, pool=True)


class Discriminator(nn.Module):
    """`images [B, H, W, C] (, label int32 [B]) -> logits [B]`, float32.

    With classes it is projected, see `resnet.Discriminator`.
    """

    channels: Sequence[int]
    """Of each block."""
    downs: int
    """The first so many blocks halve the image."""
    num_classes: int = 0
    attention: int = 0
    """The height of the stage that has self-attention; 0 for none."""
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x, label=None):
        for i, channels in enumerate(self.channels):
            down = i < self.downs
            x = DiscriminatorBlock(
                channels,
                down,
                i == 0,
                self.dtype,
                wide=True,
                kernel_init=orthogonal,
            )(x)
            if down and x.shape[1] == self.attention:
                x = _attention(self.dtype)(x)
        features = nn.relu(x).sum((1, 2))
        dense = nn.Dense(1, kernel_init=orthogonal, dtype=self.dtype)
        logits = full_precision(dense(features)[:, 0])
        if self.num_classes:
            embed = nn.Embed(
                self.num_classes,
                features.shape[-1],
                embedding_init=orthogonal,
                dtype=self.dtype,
            )
            logits += full_precision((embed(label) * features).sum(-1))
        return logits


def networks(
    shape: Sequence[int],
    latent_dim: int,
    g_width: int = 96,
    d_width: int = 96,
    num_classes: int = 0,
    shared: int = 128,
    dtype=jnp.float32,
) -> tuple[Generator, Discriminator]:
    """The pair for images of one shape, from 17x17 to 512x512.

    There is self-attention at 64 of 128 pixels and more, and at 32 of 64, as in the
    authors' program; up to 32 pixels there is none.

    Args:
        shape: `(H, W, C)` of the images; their short side decides.
        latent_dim: of z, a multiple of one more than the number of doublings; 120 of
            128 pixels, 140 of 256, 128 of 32.
        g_width: what G's channels are multiples of, `ch` in the paper.
        d_width: the same of D's.
        num_classes: above 0, both are given labels in [0, num_classes).
        shared: dimension of the embedding of classes.
        dtype: what they compute in; parameters are float32.

    Raises:
        UsageError: the images are smaller or larger, or the latent dimension cannot be
            cut into pieces.
    """
    sizes = stages(shape)
    ups = len(sizes) - 1
    if ups not in G_CHANNELS:
        size = f"{shape[0]}x{shape[1]}"
        reason = (
            f"BigGAN is for images of 17 to 512 pixels on the short side, not {size}."
        )
        raise UsageError(None, None, reason)
    if latent_dim % (ups + 1):
        reason = f"must be a multiple of {ups + 1}, of which each stage has a piece."
        raise UsageError("latent_dim", latent_dim, reason)
    at = sizes[max(ups - 4, 1)][0] if ups > 3 else 0
    h, w, c = shape
    g, d = (
        tuple(k * width for k in table[ups])
        for table, width in ((G_CHANNELS, g_width), (D_CHANNELS, d_width))
    )
    downs = 2 if ups == 3 else ups
    return (
        Generator((h, w, c), g, num_classes, at, shared, dtype),
        Discriminator(d, downs, num_classes, at, dtype),
    )


def orthogonal_regularization(weight: float = 1e-4) -> Callable:
    """What keeps filters from resembling one another, the paper's eq. 3.

    The sum over kernels of β |Wᵀ W ⊙ (1 - I)|², W with a column for each output; so
    that images of truncated noise stay sound. Biases, and embeddings, have none. (The
    authors' program takes half of its gradient.)

    Args:
        weight: β.

    Returns:
        `params -> scalar`, float32.
    """

    def of(params):
        leaves = tree_leaves_with_path(params)
        kernels = [w for path, w in leaves if path_keys(path)[-1] == "kernel"]
        return weight * sum(map(_overlap, kernels))

    return of


def _overlap(w):
    w = full_precision(w).reshape(-1, w.shape[-1])
    products = jnp.matmul(w.T, w, precision=Precision.HIGHEST)
    return jnp.square(products * (1 - jnp.eye(len(products), dtype=w.dtype))).sum()
