"""A value on its way through a batch, and its gradient's way back."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax

__all__ = ["Shared", "opened"]


@partial(
    jax.tree_util.register_dataclass,
    data_fields=("value", "pull"),
    meta_fields=("names",),
)
@dataclass(frozen=True)
class Shared:
    """An entry of a batch that `share` made, of weights that may learn by way of it."""

    value: Any
    pull: Callable
    """From the value's gradient to `{name: that of the network's weights}`."""
    names: tuple[str, ...]


def opened(batch):
    """The batch as losses see it, and the `Shared` entries in it."""
    shared = {k: v for k, v in batch.items() if isinstance(v, Shared)}
    return dict(batch) | {k: s.value for k, s in shared.items()}, shared
