"""Networks of Flax linen: `flax_net`, beside `nnx.nnx_net` for Flax NNX."""

import inspect
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgan.models.net import Net

__all__ = ["flax_net"]


def flax_net(name: str, module: nn.Module) -> Net:
    """A `Net` of a Flax linen module.

    Args:
        name: what the state calls it, such as "G".
        module: any linen module. If its `__call__` has an argument `train`, it is True
            in training and False in sampling; pass it on as BatchNorm's
            `use_running_average=not train`, Dropout's `deterministic=not train` or
            SpectralNorm's `update_stats=train`.

    Returns:
        The network. Its params are the module's "params" collection, its stats all
        other collections.
    """
    has_train = "train" in inspect.signature(type(module).__call__).parameters

    def init(key, *inputs):
        # Networks are small beside their activations: initialize inside one jit.
        def variables(key, *inputs):
            kwargs: dict[str, Any] = {"train": True} if has_train else {}
            return module.init({"params": key, "dropout": key}, *inputs, **kwargs)

        inputs = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), inputs)
        stats = dict(jax.jit(variables)(key, *inputs))
        return stats.pop("params", {}), stats

    def apply(params, stats, *inputs, train=True, rngs=None):
        kwargs = {"rngs": rngs} | ({"train": train} if has_train else {})
        if not (train and stats):
            return module.apply({"params": params, **stats}, *inputs, **kwargs), stats
        out, new = module.apply(
            {"params": params, **stats}, *inputs, mutable=list(stats), **kwargs
        )
        return out, dict(new)

    return Net(name, init, apply)
