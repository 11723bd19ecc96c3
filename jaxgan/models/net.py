"""A network as a name and two pure functions, called as in the papers: `G(state, z)`.

`flax_net` makes one of any Flax linen module; `Net(name, init, apply)` of any pair of
functions.
"""

import inspect
from collections.abc import Callable
from typing import NamedTuple

import jax
from flax import linen as nn

from jaxgan.types import TrainState


class Net(NamedTuple):
    """A network known by its name in the state."""

    name: str
    init: Callable
    """`(key, *inputs) -> (params, stats)`, two dicts; inputs as `apply` takes them."""
    apply: Callable
    """`(params, stats, *inputs, train=True) -> (outputs, new stats)`; `rngs` only if
    the caller gives some."""

    def __call__(self, state: TrainState, *inputs, train: bool = True, rngs=None):
        """The outputs with the state's parameters and statistics.

        In training BatchNorm uses the batch's statistics; what a pass would change in
        the state's is dropped here (`phases.refresh` and `standing` keep it). A network
        with Dropout is given keys, `rngs={"dropout": key}`.
        """
        params, stats = state.params[self.name], state.stats[self.name]
        keys = {} if rngs is None else {"rngs": rngs}
        return self.apply(params, stats, *inputs, train=train, **keys)[0]


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
            return module.init({"params": key, "dropout": key}, *inputs)

        inputs = jax.tree.map(lambda x: jax.numpy.zeros(x.shape, x.dtype), inputs)
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


def standing(net: Net, params, stats, inputs: Callable, batches: int = 16):
    """Statistics of BatchNorm for weights that were never trained with them.

    Averages gathered while training belong to the live weights and are wrong for
    averaged ones; so run the network on fresh inputs and gather them anew (standing
    statistics; Brock et al., 2019, arXiv:1809.11096). An average with momentum started
    at 0 and at 1 at once tells its own bias, whatever the momentum, and is freed of it.

    Args:
        net: the network.
        params: its weights, such as `state.ema["G"]`.
        stats: its other collections; entries named `mean` and `var` are recomputed.
        inputs: `i -> tuple`, the network's inputs for batch i (traced).
        batches: how many batches to average over.

    Returns:
        `stats` with the averages replaced; as they are where there is no BatchNorm.
    """

    def is_average(path):
        return getattr(path[-1], "key", None) in ("mean", "var")

    def fill(value):
        return jax.tree_util.tree_map_with_path(
            lambda path, s: s * 0 + value if is_average(path) else s, stats
        )

    leaves = jax.tree_util.tree_leaves_with_path(stats)
    if not any(is_average(path) for path, _ in leaves):
        return stats

    def gather(i, both):
        zero, one = both
        x = inputs(i)
        return net.apply(params, zero, *x)[1], net.apply(params, one, *x)[1]

    zero, one = jax.lax.fori_loop(0, batches, gather, (fill(0), fill(1)))
    return jax.tree_util.tree_map_with_path(
        lambda path, s, a, b: a / (1 - (b - a)) if is_average(path) else s,
        stats,
        zero,
        one,
    )
