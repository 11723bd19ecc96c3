"""A network as a name and two pure functions, called as in the papers: `G(state, z)`.

`linen.flax_net` makes one of any Flax linen module, `nnx.nnx_net` of any Flax NNX
module; `Net(name, init, apply)` of any pair of functions.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp

from jaxgan.types import Apply, Init, TrainState

__all__ = ["Net", "packed", "path_keys", "standing"]


@dataclass(frozen=True)
class Net:
    """A network known by its name in the state."""

    name: str
    init: Init
    """`(key, *inputs) -> (params, stats)`; inputs as `apply` takes them."""
    apply: Apply
    """`(params, stats, *inputs, train=True) -> (outputs, new stats)`; `rngs` only if
    the caller gives some."""
    averages: tuple[str, ...] | None = None
    """The names of leaves of stats that are running averages over batches, for
    `standing`. Default: Flax's, `mean` and `var` in "batch_stats"."""
    sees: str | None = None
    """The frozen network that it sees images by, see `models.projected`."""

    def __call__(self, state: TrainState, *inputs, train: bool = True, rngs=None):
        """The outputs with the state's parameters and statistics.

        In training BatchNorm uses the batch's statistics; what a pass would change in
        the state's is dropped here (`phases.refresh` and `standing` keep it). A network
        with Dropout is given keys, `rngs={"dropout": key}`.
        """
        params, stats = state.params[self.name], state.stats[self.name]
        keys = {} if rngs is None else {"rngs": rngs}
        return self.apply(params, stats, *inputs, train=train, **keys)[0]


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

    return replace(net, init=init, apply=apply)


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
        stats: its other collections; those leaves that are running averages, which
            `net.averages` tells, are made anew.
        inputs: `i -> tuple`, the network's inputs for batch i (traced).
        batches: how many batches to average over.

    Returns:
        `stats` with the averages replaced; as they are where there is no BatchNorm.

    Raises:
        ValueError: a pass changes leaves that may be averages or not: they have no name
            of Flax's, and the network does not say.
    """
    _check_known(net, params, stats, inputs)

    def is_average(path):
        return _is_average(net, path_keys(path))

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
    # Elsewhere and no smaller than 1, or what is left of it would be all rounding.
    start = over(lambda x: jnp.maximum(jnp.abs(x), jnp.ones_like(x)), low)
    high = averages(start)

    def settled(old, low, start, high):
        left = (high - low) / start  # of the first value: momentum ** batches
        return jnp.where(left == 1, old, low / (1 - left))  # 1: it never changes

    return over(settled, stats, low, start, high)


def path_keys(path) -> tuple:
    """A path of `jax.tree_util` as the keys, names and indices (as strings) in it."""

    def one(entry):
        if isinstance(entry, jax.tree_util.SequenceKey):
            return str(entry.idx)
        name = getattr(entry, "name", None)
        return getattr(entry, "key", str(entry)) if name is None else name

    return tuple(map(one, path))


def _is_average(net, path) -> bool:
    if net.averages is None:
        return path[0] == "batch_stats" and path[-1] in ("mean", "var")
    return path[0] != "spectral" and path[-1] in net.averages


def _check_known(net, params, stats, inputs):
    """Refuses leaves that a pass changes and that nobody has named."""

    def known(path):
        vector = str(path[-1]).split("/")[-1] in ("u", "sigma")  # Flax's SpectralNorm
        own = path[0] == "spectral" or (path[0] == "batch_stats" and vector)
        return own or _is_average(net, path)

    paths = [path_keys(p) for p, _ in jax.tree_util.tree_leaves_with_path(stats)]
    if net.averages is not None or all(map(known, paths)):
        return
    run = jax.make_jaxpr(lambda stats: net.apply(params, stats, *inputs(0))[1])
    jaxpr = run(stats).jaxpr
    changed = [
        "/".join(map(str, path))
        for path, before, after in zip(paths, jaxpr.invars, jaxpr.outvars, strict=True)
        if before is not after and not known(path)
    ]
    if changed:
        raise ValueError(
            f"standing: a pass of {net.name!r} changes {', '.join(changed)}; name what "
            "of that is an average over batches in its `averages`, () if nothing is."
        )
