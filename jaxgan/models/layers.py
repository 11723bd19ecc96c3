"""Layers the networks share: convolutions by platform, BatchNorm across devices."""

from functools import partial
from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from jaxgan import axis, ops

normal002 = nn.initializers.normal(0.02)
"""DCGAN's initializer (Radford et al., 2016): a normal of deviation 0.02."""

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


def dcgan_scale(key, shape, dtype=jnp.float32):
    """DCGAN's initializer for BatchNorm's scale: a normal of mean 1, deviation 0.02."""
    return 1 + normal002(key, shape, dtype)
