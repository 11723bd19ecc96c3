"""Weights of a run in a file for other programs, and back: .safetensors and .npz.

An array is called FIELD/NETWORK/PATH. FIELD is `params`, the weights as they are;
`stats`, BatchNorm averages and the like; or `ema`, averages of weights, by which images
are drawn. NETWORK is a recipe's name for it, such as `G`; PATH leads through the tree
of its arrays, joined by "/": `params/G/Conv_0/kernel`. What optimizers and losses
remember is not in it.

Beside the arrays there is text by name: in .safetensors as its metadata, in .npz as
JSON in an array of its own, `metadata`.
"""

import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.tree_util import keystr, tree_flatten_with_path

from jaxgan.data import archives, outside
from jaxgan.run import atomic
from jaxgan.types import TrainState, UsageError

__all__ = ["SUFFIXES", "about", "arrays", "check", "into", "read", "save"]

SUFFIXES = ".safetensors", ".npz"
FIELDS = "params", "stats", "ema"
METADATA = "metadata"


def check(path: Path | str, option: str | None = None) -> None:
    """Refuses files of other kinds, and what needs a library that is not installed.

    Args:
        path: the file.
        option: that names it.

    Raises:
        UsageError: naming the option and the file.
    """
    if Path(path).suffix not in SUFFIXES:
        reason = f"must end in {' or '.join(SUFFIXES)}."
        raise UsageError(option, path, reason)
    if Path(path).suffix == ".safetensors" and not _installed("safetensors"):
        reason = "needs a library: pip install 'jaxgan[export]'."
        raise UsageError(option, path, reason)


def _installed(name):
    return importlib.util.find_spec(name) is not None


def arrays(state: TrainState) -> dict[str, Any]:
    """All weights and statistics of a state, or of its structure, by name."""
    return {name: x for name, (_, x) in _leaves(state).items()}


def _leaves(state):
    """By name, the field and the array."""
    return {
        f"{field}/{keystr(path, simple=True, separator='/')}": (field, x)
        for field in FIELDS
        for path, x in tree_flatten_with_path(getattr(state, field))[0]
    }


def save(path: Path | str, state: TrainState, metadata: Mapping[str, str]) -> None:
    """Writes weights and statistics, whole or not at all.

    Args:
        path: ends in .safetensors or .npz.
        state: of one member.
        metadata: text by name, beside them.

    Raises:
        UsageError: as `check`, or .npz has no such dtype.
        OSError: it cannot be written.
    """
    check(path)
    # A copy in C order: what is stored is an array's memory.
    found = {n: np.array(x, order="C") for n, x in arrays(state).items()}
    if Path(path).suffix == ".npz":
        for name, x in found.items():
            if x.dtype.kind == "V":  # such as bfloat16
                reason = f"cannot hold {name}, which is {x.dtype}; use .safetensors."
                raise UsageError(None, None, f"{path} {reason}")
        text = np.array(json.dumps(dict(metadata)))
        with atomic.replacing(path) as file:
            np.savez(file, **found, **{METADATA: text})  # type: ignore[arg-type]  # names
        return
    from safetensors.numpy import save as to_bytes

    with atomic.replacing(path) as file:
        file.write(to_bytes(found, dict(metadata)))


def read(path: Path | str) -> dict[str, np.ndarray]:
    """The arrays of a file that `save` has written, or another program like it.

    Raises:
        UsageError: as `check`, or it cannot be read.
    """
    return _read(path)[0]


def about(path: Path | str) -> dict[str, str]:
    """The text beside the arrays; empty where there is none.

    Raises:
        UsageError: as `check`, or it cannot be read.
    """
    return _read(path)[1]


def _read(path):
    check(path)
    try:
        return _of_npz(path) if Path(path).suffix == ".npz" else _of_safetensors(path)
    except OSError as error:
        why = error.strerror or str(error)
    except ValueError as error:
        why = str(error)
    raise UsageError(None, None, f"{path} cannot be read: {why.rstrip('.')}.")


def _of_npz(path):
    with archives.archive(Path(path)) as found:
        names = [name for name in found.namelist() if name.endswith(".npy")]
        held = {
            name.removesuffix(".npy"): archives.array(archives.contents(found, name))
            for name in names
        }
    text = outside.as_json(str(held.pop(METADATA, np.array("{}"))).encode())
    if not isinstance(text, dict) or not all(isinstance(x, str) for x in text.values()):
        raise ValueError(f"its {METADATA} are no texts by name")
    return held, text


def _of_safetensors(path):
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            held = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return held, dict(file.metadata() or {})
    except SafetensorError as error:
        raise ValueError(str(error)) from None


def into(state: TrainState, found: Mapping[str, np.ndarray]) -> TrainState:
    """The state with these weights and statistics, on its own devices.

    Args:
        state: arrays, or `ShapeDtypeStruct`s with shardings: of these, what is no
            weight or statistic stays as it is.
        found: from `read`.

    Raises:
        UsageError: names, shapes or dtypes are not the state's; it names the first.
    """
    ours = _leaves(state)
    for name, (_, x) in ours.items():
        if name not in found:
            raise UsageError(
                None, None, f"It has no {name}, which these networks have."
            )
        theirs = found[name]
        if (theirs.shape, theirs.dtype) != (x.shape, x.dtype):
            reason = f"{name} is {_kind(theirs)} there, {_kind(x)} here."
            raise UsageError(None, None, reason)
    if more := [name for name in found if name not in ours]:
        reason = f"It has {more[0]}, which these networks do not have."
        raise UsageError(None, None, reason)
    placed = {n: jax.device_put(found[n], x.sharding) for n, (_, x) in ours.items()}
    fields = {}
    for field in FIELDS:
        its = [placed[n] for n, (where, _) in ours.items() if where == field]
        fields[field] = jax.tree.unflatten(
            jax.tree.structure(getattr(state, field)), its
        )
    return state._replace(**fields)


def _kind(x):
    return f"{x.dtype} {list(x.shape)}"
