"""What a state was when it was saved, to know it again: a digest of every array."""

import hashlib
import json

import jax
import numpy as np
from jax.tree_util import keystr, tree_leaves_with_path

__all__ = ["of", "of_json", "of_weights", "other_networks", "wrong"]


def of(state) -> dict[str, str]:
    """By path in the tree, an array's dtype, shape and SHA-256."""
    return {keystr(path): _one(x) for path, x in tree_leaves_with_path(state)}


def of_weights(state) -> str:
    """One of all that draws: a state's weights, statistics and averages."""
    fields = {"params": state.params, "stats": state.stats, "ema": state.ema}
    return of_json(of(fields))


def of_json(value) -> str:
    """The digest of what JSON holds."""
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def wrong(state, digests: dict[str, str]) -> str | None:
    """The path of the first array that is not what was saved; None where all are."""
    for path, x in tree_leaves_with_path(state):
        if digests.get(keystr(path)) != _one(x):
            return keystr(path)
    return None


def other_networks(template, digests: dict[str, str]) -> bool:
    """Whether they are of arrays of other names, shapes or dtypes than a template's."""
    ours = {keystr(path): _kind(x) for path, x in tree_leaves_with_path(template)}
    return ours != {path: text.rpartition(" ")[0] for path, text in digests.items()}


def _kind(x):
    return f"{x.dtype}{list(x.shape)}"


def _one(x):
    if isinstance(x, jax.Array) and not x.is_fully_addressable:
        x = x.addressable_data(0)  # copies, the same in every process
    x = np.asarray(x)
    data = np.ascontiguousarray(x).reshape(-1).view(np.uint8).data
    return f"{_kind(x)} {hashlib.sha256(data).hexdigest()}"
