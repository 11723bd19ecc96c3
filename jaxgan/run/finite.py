"""What of a state is finite, of each member, and what to keep where it is not."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import distributed
from jaxgan.run.members import AXES
from jaxgan.types import TrainState

__all__ = ["SKIPPED", "bad", "chosen", "good", "host", "watch"]

SKIPPED = "skipped_steps"
"""Among the metrics: how many steps were left out."""

NAMES = {
    "params": "weights",
    "stats": "statistics",
    "opt": "moments",
    "ema": "averaged weights",
    "memory": "memory",
}
"""What the fields of a state hold."""


def watch(state: TrainState) -> Callable[[TrainState], dict[str, jax.Array]]:
    """`sound(state)`: by name, such as "weights of G", whether all of it is finite.

    An infinity that an optimizer, or a memory, begins with is no harm.

    Args:
        state: how the run begins, or goes on.
    """
    fields = {name: getattr(state, name) for name in NAMES}

    def chosen(field, leaves):
        return [
            i
            for i, x in enumerate(leaves)
            if jnp.issubdtype(x.dtype, jnp.inexact)
            and not (field in ("opt", "memory") and _infinite(x))
        ]

    which = {
        (field, name): chosen(field, jax.tree.leaves(entry))
        for field, entries in fields.items()
        for name, entry in entries.items()
    }

    def sound(state):
        found = {}
        for (field, name), index in which.items():
            leaves = jax.tree.leaves(getattr(state, field)[name])
            if index:
                finite = [jnp.isfinite(leaves[i]).all() for i in index]
                found[f"{NAMES[field]} of {name}"] = jnp.stack(finite).all()
        return found

    return sound


def _infinite(x):
    return any(np.isinf(np.asarray(shard.data)).any() for shard in x.addressable_shards)


def good(sound: Callable, members: int) -> Callable:
    """`look(state, totals)`: whether all is finite, bool `[]`, or of each member `[M]`.

    Args:
        sound: of `watch`.
        members: how many there are.
    """

    def look(state, totals):
        sums = jax.tree.leaves(jax.tree.map(jnp.isfinite, totals))
        return jnp.stack([*sound(state).values(), *sums]).all()

    return jax.jit(jax.vmap(look, (AXES, 0)) if members > 1 else look)


def bad(sound: Callable, order: list[str], members: int) -> Callable:
    """`names(state, totals)`: of each member, what is not finite.

    Args:
        sound: of `watch`.
        order: the metrics, as phases report them.
        members: how many there are.
    """
    look = jax.jit(jax.vmap(sound, (AXES,)) if members > 1 else sound)

    def names(state, totals):
        found = {
            name: np.isfinite(mean.total) & np.isfinite(mean.count)
            for name, mean in host(totals).items()
        }
        found |= host(look(state))
        names = [*order, *(name for name in found if name not in order)]
        return [
            [name for name in names if not np.atleast_1d(found[name])[k]]
            for k in range(members)
        ]

    return names


def chosen(where, members: int) -> Callable:
    """`choose(good, new, old) -> (state, totals)`: of members that are good the new
    ones, of others the old ones but for the step.

    Args:
        where: the shardings of state and totals.
        members: how many there are.
    """

    def choose(good, new, old):
        def one(a, b):
            mark = good.reshape(-1, *[1] * (a.ndim - 1)) if members > 1 else good
            return jnp.where(mark, a, b)

        state = jax.tree.map(one, tuple(new[0][1:]), tuple(old[0][1:]))
        totals = jax.tree.map(one, new[1], old[1])
        skipped = totals[SKIPPED]
        total = skipped.total + (~good).astype(jnp.float32)
        totals[SKIPPED] = skipped._replace(total=total)
        return TrainState(new[0].step, *state), totals

    return jax.jit(choose, out_shardings=where)


def host(tree):
    """Arrays that are copied on each device, as numpy's."""
    return jax.tree.map(np.asarray, distributed.here(tree))
