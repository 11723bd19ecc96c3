"""Discriminators that see images by a frozen network.

Projected GANs converge faster, Sauer et al., 2021, arXiv:2111.01007. The feature
network's maps of several sizes are mixed by convolutions that stay as they are drawn,
across channels (CCM, 1×1, at each size by itself) and then across sizes (CSM, 3×3 and
bilinear upsampling, from the coarsest to the finest). Of each of the mixed maps a small
D of its own, with spectral norm, makes logits of many places.

Feature network and mixing are in the state's `stats`, `["features"]` and
`["projection"]`: they are saved and restored, and no optimizer, average or penalty of
weights sees them, nor are they constants of a compiled step.

As in the authors' program, CSM halves the channels that it brings to the next finer
maps, and a small D halves its maps down to 8 pixels, with BatchNorm beside spectral
norm. As in the paper, CSM's kernels are 3×3 (there 1×1). Unlike both, mixed maps keep
their size, where theirs are twice as large: feature networks here see 28×28 pixels, not
256×256. Their loss is the sum over maps, in recipes it is the mean.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import random

from jaxgan.models import spectral
from jaxgan.models.layers import Conv, Norm, full_precision, he, normalization
from jaxgan.models.linen import flax_net
from jaxgan.models.net import Net
from jaxgan.types import UsageError

__all__ = ["Features", "Heads", "Mixing", "discriminator"]

SLOPE = 0.2
LARGEST, LAST = 8, 4
"""Pixels each way of what a small D's last convolution sees, at most, and of its
kernel."""
WIDEST = 512
"""Channels of a small D, at most, but for those that it is given."""


class Features(NamedTuple):
    """A frozen network that D sees images by; `metrics.feature_maps` has some."""

    name: str
    """As an `Extractor` of the same network is called: it is no judge of what such a D
    has taught (`Model.sees`)."""
    variables: Callable[[], Any]
    """Its weights, a pytree of arrays; called when the first state is made, or its
    shapes."""
    maps: Callable
    """`(variables, images [B, H, W, C] in [-1, 1]) -> [maps [B, h, w, C'], ...]`, the
    finest first, each about half as large as the one before."""
    refuses: Callable = lambda shape: None
    """`(H, W, C) -> str or None`: why it takes no such images, for the sentence that
    begins with its name."""


class Mixing(nn.Module):
    """CCM and CSM: `[x [B, h, w, C], ...] -> [y [B, h, w, c], ...]`, the finest first.

    Of n maps c is width, width, 2 width, ... 2ⁿ⁻² width. Kernels are drawn as by He et
    al., 2015 (arXiv:1502.01852), biases are 0; there is no activation.
    """

    width: int = 64

    @nn.compact
    def __call__(self, maps):
        mixed = [
            Conv(self.width << k, (1, 1), kernel_init=he, name=f"channels_{k}")(x)
            for k, x in enumerate(maps)
        ]
        found: list = []
        for k, x in reversed([*enumerate(mixed)]):
            if found:
                coarser = found[0]
                size = (*x.shape[:3], coarser.shape[3])
                x = x + jax.image.resize(coarser, size, "linear")
            width = self.width << max(k - 1, 0)
            conv = Conv(width, (3, 3), kernel_init=he, name=f"scales_{k}")
            found.insert(0, conv(x))
        return found


class Heads(nn.Module):
    """A small D for each of several maps: `-> [logits [B, h', w'], ...]`, float32.

    Each halves its maps, by 4×4 convolutions with stride 2, until the shorter side is 8
    pixels or less; a last convolution of 4×4 pixels makes a logit of each place.
    """

    norm: Norm = "batch"
    """Between a convolution and leaky ReLU."""
    dtype: Any = jnp.float32
    """What it computes in; parameters are float32."""

    @nn.compact
    def __call__(self, maps, train: bool = True):
        return [self._logits(x, k, train) for k, x in enumerate(maps)]

    def _logits(self, x, k, train):
        halve = partial(
            Conv,
            kernel_size=(4, 4),
            strides=(2, 2),
            padding=((1, 1), (1, 1)),
            use_bias=self.norm != "batch",  # which would take it away
            dtype=self.dtype,
        )
        while min(x.shape[1:3]) > LARGEST:
            width = max(x.shape[3], min(2 * x.shape[3], WIDEST))
            x = halve(width)(x)
            x = normalization(self.norm, train, self.dtype)(x)
            x = nn.leaky_relu(x, SLOPE)
        size = min(LAST, x.shape[1]), min(LAST, x.shape[2])
        last = Conv(
            1, size, padding="VALID", use_bias=False, dtype=self.dtype, name=f"last_{k}"
        )
        return full_precision(last(x)[..., 0])


def discriminator(
    name: str,
    features: Features,
    width: int = 64,
    norm: Norm = "batch",
    dtype=jnp.float32,
) -> Net:
    """A projected discriminator, `images [B, H, W, C] -> [logits [B, h, w], ...]`.

    With hinge loss and DiffAugment in front of it (`recipes.gan(augment=...)`) it is
    that of the paper.

    Args:
        name: what the state calls it, such as "D".
        features: the frozen network.
        width: channels of the finest mixed maps; the authors have 64.
        norm: of the small discriminators, beside spectral norm.
        dtype: what these compute in; the feature network and the mixing compute in
            float32.

    Raises (the returned network's `init`):
        UsageError: the feature network takes no such images.
    """
    mixing = flax_net(name, Mixing(width))
    heads = spectral.normalized(flax_net(name, Heads(norm, dtype)))

    def init(key, images):
        if reason := features.refuses(tuple(images.shape[1:])):
            raise UsageError("features", features.name, reason)
        on_mixing, on_heads = random.split(key)
        variables = jax.tree.map(jnp.asarray, features.variables())
        maps = jax.eval_shape(features.maps, variables, images)
        drawn, _ = mixing.init(on_mixing, maps)
        mixed, _ = jax.eval_shape(mixing.apply, drawn, {}, maps)
        params, stats = heads.init(on_heads, mixed)
        return params, stats | {"features": variables, "projection": drawn}

    def apply(params, stats, *inputs, train=True, rngs=None):
        (images,) = inputs
        frozen = {k: stats[k] for k in ("features", "projection")}
        own = {k: v for k, v in stats.items() if k not in frozen}
        maps = features.maps(frozen["features"], images)
        mixed, _ = mixing.apply(frozen["projection"], {}, maps)
        logits, own = heads.apply(params, own, mixed, train=train)
        return logits, own | frozen

    return Net(name, init, apply, sees=features.name)
