"""A value on its way through a batch, and its gradient's way back."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax

__all__ = ["Shared", "opened"]


@partial(
    jax.tree_util.register_dataclass,
    data_fields=("value", "pull", "remade"),
    meta_fields=("names",),
)
@dataclass(frozen=True)
class Shared:
    """An entry of a batch that `share` made, of weights that may learn by way of it."""

    value: Any
    pull: Any
    """From the value's gradient to `{name: that of the network's weights}`."""
    remade: Any
    """With gradient accumulation, in place of `pull`: `(state, part of the batch) ->
    (value, pull)`. So what a backward pass needs is never there of all parts."""
    names: tuple[str, ...]


def opened(batch):
    """The batch as losses see it, and the `Shared` entries in it."""
    shared = {k: v for k, v in batch.items() if isinstance(v, Shared)}
    return dict(batch) | {k: s.value for k, s in shared.items()}, shared
