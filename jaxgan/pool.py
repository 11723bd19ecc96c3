"""A pool of earlier fakes, so that D does not forget them.

Shrivastava et al., 2017, arXiv:1612.07828, section 2.3; as CycleGAN has it.
"""

import jax
import jax.numpy as jnp
from jax import lax, random

from jaxgan import axis

__all__ = ["empty", "query"]


def empty(size: int, shape, names: str = "ab") -> dict:
    """Room for `size` images of `shape` (H, W, C) of each name, for `phases.carry`."""
    return {n: jnp.zeros((size, *shape)) for n in names} | {"count": jnp.int32(0)}


def query(kept: dict, fakes: dict, key) -> tuple[dict, dict]:
    """What D is shown instead of fakes, and what is kept.

    While the pool fills, each fake is shown and kept; then, by the toss of a coin, it
    is shown and forgotten, or takes the place of an earlier one, which is shown.

    Args:
        kept: images `[P, H, W, C]` by name, and `count`, how many there are.
        fakes: images `[B, H, W, C]` by name, in batches of one size.
        key: decides which.
    """
    every = jax.tree.map(axis.gather, fakes)
    some = next(iter(fakes))
    size, n = len(kept[some]), len(every[some])
    on_slot, on_coin = random.split(key)
    slots = random.randint(on_slot, (n,), 0, size)
    coins = random.bernoulli(on_coin, 0.5, (n,))

    def one(pool, given):
        fake, slot, coin = given
        count = pool["count"]
        full = count == size
        slot = jnp.where(full, slot, count)
        swap = full & coin
        shown, new = {}, {"count": jnp.minimum(count + 1, size)}
        for name, image in fake.items():
            old = pool[name][slot]
            shown[name] = jnp.where(swap, old, image)
            stored = jnp.where(full & ~coin, old, image)
            new[name] = pool[name].at[slot].set(stored)
        return new, shown

    kept, shown = lax.scan(one, kept, (lax.stop_gradient(every), slots, coins))
    return jax.tree.map(axis.share, shown), kept
