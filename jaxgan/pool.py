"""A pool of earlier fakes, so that D does not forget them.

Shrivastava et al., 2017, arXiv:1612.07828, section 2.3; as CycleGAN has it.
"""

import jax
import jax.numpy as jnp
from jax import lax, random

from jaxgan import axis

__all__ = ["empty", "query"]


def empty(size: int, shape, names: str = "ab") -> dict:
    """Room for `size` images of `shape` (H, W, C) of each name, for `state.memory`."""
    return {n: jnp.zeros((size, *shape)) for n in names} | {"count": jnp.int32(0)}


def query(kept: dict, fakes: dict, key) -> tuple[dict, dict]:
    """What D is shown instead of fakes, and what is kept.

    While the pool fills, each fake is shown and kept; then, by the toss of a coin, it
    is shown and forgotten, or takes the place of an earlier one, which is shown. Each
    name has a pool of its own, with coins and places of its own, as the authors'
    program has one for each D.

    Args:
        kept: images `[P, H, W, C]` by name, and `count`, how many there are of each.
        fakes: images `[B, H, W, C]` by name, in batches of one size.
        key: decides which.
    """
    every = lax.stop_gradient(jax.tree.map(axis.gather, fakes))
    shown: dict = {}
    new: dict = {}
    for i, name in enumerate(sorted(fakes)):
        one = {"images": kept[name], "count": kept["count"]}
        one, shown[name] = _query(one, every[name], random.fold_in(key, i))
        new[name], new["count"] = one["images"], one["count"]
    return jax.tree.map(axis.share, shown), new


def _query(kept, fakes, key):
    size, n = len(kept["images"]), len(fakes)
    on_slot, on_coin = random.split(key)
    slots = random.randint(on_slot, (n,), 0, size)
    coins = random.bernoulli(on_coin, 0.5, (n,))

    def one(pool, given):
        fake, slot, coin = given
        images, count = pool["images"], pool["count"]
        full = count == size
        slot = jnp.where(full, slot, count)
        old = images[slot]
        shown = jnp.where(full & coin, old, fake)
        stored = jnp.where(full & ~coin, old, fake)
        new = {"images": images.at[slot].set(stored)}
        return new | {"count": jnp.minimum(count + 1, size)}, shown

    return lax.scan(one, kept, (fakes, slots, coins))
