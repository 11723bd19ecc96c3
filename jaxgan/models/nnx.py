"""Networks of Flax NNX: `nnx_net`, beside `net.flax_net` for Flax linen.

class Critic(nnx.Module):
    def __init__(self, rngs): ...
    def __call__(self, x): ...

D = nnx_net("D", Critic)
"""

import inspect
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from flax import nnx
from flax.traverse_util import flatten_dict, unflatten_dict
from jax import random

from jaxgan import axis
from jaxgan.models.net import Net

__all__ = ["nnx_net"]


def nnx_net(name: str, make: Callable[[nnx.Rngs], nnx.Module]) -> Net:
    """A `Net` of a Flax NNX module.

    The module is split into its graph, which stays here, and arrays, which go into the
    state, and is merged anew for every pass: nothing is mutated, so a pass can be put
    through any of JAX's transformations.

    In training the module is in its `train()` mode, in sampling in `eval()`; if its
    `__call__` has an argument `train`, that is given too. BatchNorm's statistics are of
    the whole batch, however devices share it.

    Nothing random is kept. A network that draws, as Dropout does, is given a key for
    each stream, `rngs={"dropout": key}`; streams made of `make`'s `rngs` by any other
    name are called "default". Layers with streams of one name draw apart.

    Args:
        name: what the state calls it, such as "G".
        make: `(rngs) -> module`, such as the module's class. It is called on abstract
            values first, for the shapes, and once for each set of first weights.

    Returns:
        The network. Its params are the module's `nnx.Param`s, its stats all other
        variables by collection, `nnx.BatchStat`s in "batch_stats" with Flax linen's
        names, `mean` and `var`: nested dicts of arrays, by attribute (of items of lists
        and the like, by index, as a string).

    Raises (the returned network):
        ValueError: it draws from a stream that the caller gives no key for.
    """
    kinds = nnx.Param, nnx.RngState, ...

    def arrays(key):
        default, dropout = random.split(key)
        return nnx.split(make(nnx.Rngs(default, dropout=dropout)), *kinds)

    graph, *shapes = jax.eval_shape(arrays, random.key(0))

    def init(key, *inputs):
        _, params, _, rest = jax.jit(arrays)(key)
        return _values(params), _collections(rest)

    def apply(params, stats, *inputs, train=True, rngs=None):
        others = {path[1:]: value for path, value in flatten_dict(stats).items()}
        streams = _streams(shapes[1], rngs or {})
        filled = zip(shapes, (flatten_dict(params), streams, others), strict=True)
        module = nnx.merge(graph, *(_filled(*pair) for pair in filled))
        module.train() if train else module.eval()
        if axis.name():
            module.set_attributes(
                nnx.BatchNorm, axis_name=axis.name(), raise_if_not_found=False
            )
        takes = inspect.signature(type(module).__call__).parameters
        out = module(*inputs, **({"train": train} if "train" in takes else {}))
        after, rest = nnx.split(module, *kinds)[2:]
        _check_streams(name, streams, after, rngs or {})
        if not (train and stats):
            return out, stats
        new = flatten_dict(_collections(rest))
        return out, unflatten_dict({path: new[path] for path in flatten_dict(stats)})

    return Net(name, init, apply)


def _flat(state) -> dict:
    """Variables by path, the path as strings: `("blocks", "0", "kernel")`."""

    def text(key):
        return "/".join(map(str, key)) if isinstance(key, tuple) else str(key)

    return {tuple(map(text, path)): v for path, v in nnx.to_flat_state(state)}


def _value(variable):
    """What a variable holds; how it is read moved between versions of flax."""
    new = hasattr(variable, "get_value")
    return variable.get_value() if new else variable.value


def _values(state) -> dict:
    flat = {path: _value(v) for path, v in _flat(state).items()}
    return unflatten_dict({p: v for p, v in flat.items() if v is not None})


def _collections(state) -> dict:
    """As `_values`, beneath the name of each variable's type: "batch_stats"."""
    flat = {
        (nnx.variable_name_from_type(type(v), allow_register=True), *path): _value(v)
        for path, v in _flat(state).items()
    }
    return unflatten_dict({p: v for p, v in flat.items() if v is not None})


def _filled(state, values: Mapping):
    """The state with values by path, as `_flat` has it, in place of its shapes."""
    flat = zip(nnx.to_flat_state(state), _flat(state), strict=True)
    filled = nnx.from_flat_state(
        [
            (path, variable.replace(values[at]) if at in values else variable)
            for (path, variable), at in flat
        ]
    )
    return jax.tree.map(lambda x: x, filled)  # variables of the present trace


def _streams(state, rngs: Mapping) -> dict:
    """Keys, one of its own for each stream, and counts from 0, by path."""
    values = {}
    for i, (path, variable) in enumerate(_flat(state).items()):
        shape = _value(variable).shape
        if isinstance(variable, nnx.RngCount):
            values[path] = jnp.zeros(shape, "uint32")
        else:
            key = random.fold_in(rngs.get(variable.tag, random.key(0)), i)
            values[path] = random.split(key, shape) if shape else key
    return values


def _check_streams(name, before, after, rngs) -> None:
    for path, variable in _flat(after).items():
        drawn = isinstance(variable, nnx.RngCount) and (
            _value(variable) is not before.get(path)
        )
        if drawn and variable.tag not in rngs:
            raise ValueError(
                f"nnx_net: {name!r} draws from the stream {variable.tag!r}; give it a "
                f"key, rngs={{{variable.tag!r}: key}}."
            )
