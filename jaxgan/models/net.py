"""A network as a name and two pure functions, called as in the papers: `G(state, z)`.

`flax_net` makes one of any Flax linen module; `Net(name, init, apply)` of any pair of
functions.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgan.types import TrainState


@dataclass(frozen=True)
class Net:
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
            kwargs = {"train": True} if has_train else {}
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


def packed(net: Net, m: int) -> Net:
    """A discriminator that is shown m images at once, stacked along their channels.

    PacGAN: Lin et al., 2018, arXiv:1712.04086. `images [B, H, W, C] -> logits [B / m]`,
    where `net` is of images with m C channels; points, `[B, C]`, work too.

    Raises (the returned network):
        ValueError: m does not divide the images, or they have labels.
    """

    def pack(images, *labels):
        if labels:
            raise ValueError(f"packed: {m} images have no one label; use no classes.")
        if len(images) % m:
            raise ValueError(f"packed: {m} must divide the batch of {len(images)}.")
        groups = images.reshape(-1, m, *images.shape[1:])
        return jnp.concatenate([groups[:, i] for i in range(m)], -1)

    def init(key, images, *labels):
        some = jax.ShapeDtypeStruct((m, *images.shape[1:]), images.dtype)
        return net.init(key, jax.eval_shape(pack, some, *labels))

    def apply(params, stats, *inputs, **kwargs):
        return net.apply(params, stats, pack(*inputs), **kwargs)

    return Net(net.name, init, apply)


def standing(net: Net, params, stats, inputs: Callable, batches: int = 16):
    """Statistics of BatchNorm for weights that were never trained with them.

    Averages gathered while training belong to the live weights and are wrong for
    averaged ones; so run the network on fresh inputs and gather them anew (standing
    statistics; Brock et al., 2019, arXiv:1809.11096). A running average that starts at
    0 is too small by a factor that depends on its momentum, which a second pass,
    started elsewhere, tells.

    Args:
        net: the network.
        params: its weights, such as `state.ema["G"]`.
        stats: its other collections; `mean` and `var` in "batch_stats" are made anew.
        inputs: `i -> tuple`, the network's inputs for batch i (traced).
        batches: how many batches to average over.

    Returns:
        `stats` with the averages replaced; as they are where there is no BatchNorm.
    """

    def is_average(path):
        keys = [getattr(entry, "key", None) for entry in path]
        return keys[0] == "batch_stats" and keys[-1] in ("mean", "var")

    def averages(first):
        def gather(i, now):
            new = net.apply(params, now, *inputs(i))[1]
            return over(lambda old, new: new, now, new)

        return jax.lax.fori_loop(0, batches, gather, first)

    def over(fn, *trees):
        """`fn` of the averages; of all else, the first tree's."""

        def leaf(path, *leaves):
            return fn(*leaves) if is_average(path) else leaves[0]

        return jax.tree_util.tree_map_with_path(leaf, *trees)

    if not any(is_average(p) for p, _ in jax.tree_util.tree_leaves_with_path(stats)):
        return stats
    low = averages(over(jnp.zeros_like, stats))
    start = over(lambda x: jnp.where(x == 0, jnp.ones_like(x), x), low)
    high = averages(start)

    def settled(old, low, start, high):
        left = (high - low) / start  # of the first value: momentum ** batches
        return jnp.where(left == 1, old, low / (1 - left))  # 1: it never changes

    return over(settled, stats, low, start, high)
