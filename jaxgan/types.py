"""What everything else is made of: the train state, phases, metrics, errors."""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

Batch = Mapping[str, Any]
"""Arrays by name: `image` float32 `[B, H, W, C]` in [-1, 1], `label` int32 `[B]`; of
pairs also `input`, like `image`, and with label maps `map` int32 `[B, H, W]`."""


def example(shape, batch_size: int = 2) -> Batch:
    """The shapes of a batch of images of `shape` (H, W, C), for a GAN's `init`."""
    image = jax.ShapeDtypeStruct((batch_size, *shape), "float32")
    return {
        "image": image,
        "input": image,
        "label": jax.ShapeDtypeStruct((batch_size,), "int32"),
        "map": jax.ShapeDtypeStruct((batch_size, *shape[:-1]), "int32"),
    }


class UsageError(ValueError):
    """A mistake in what the user asked for, in one sentence for the user.

    The library words it in Python's names: `batch_size 0 must be 1 or more.` The
    command line alone knows how an option is typed, see `worded`.

    Args:
        option: the argument or option at fault; None where no single one is.
        value: what was given.
        reason: the rest of the sentence, what would be right; where a colon should
            follow the value, it begins with one. Names of other options stand in
            backticks, `` `resize` ``.
    """

    def __init__(self, option: str | None, value: Any = None, reason: str = ""):
        if value is None and not reason:  # one sentence that names no option
            option, reason = None, option
        super().__init__(option, value, reason)
        self.option, self.value, self.reason = option, value, reason

    def __str__(self) -> str:
        return self.worded(lambda name: name)

    def worded(self, flag: Callable[[str], str]) -> str:
        """The sentence, with options as `flag(name)` writes them."""
        if self.option is None:
            return _flagged(self.reason, flag)
        value = "" if self.value is None else f" {self.value}"
        reason = _flagged(self.reason, flag)
        gap = "" if reason.startswith((":", ",")) else " "
        return f"{flag(self.option)}{value}{gap}{reason}"

    def renamed(self, option: str) -> "UsageError":
        """The same of another option, by which the user gave the value."""
        return UsageError(option, self.value, self.reason)


def _flagged(text, flag):
    """`` `name` `` as the option that it names; other things in backticks stay."""

    def one(match):
        written = flag(match[1])
        return match[0] if written == match[1] else written

    return re.sub(r"`([a-z][a-z_]*)`", one, text)


class TrainState(NamedTuple):
    """All there is to a training run, as plain arrays.

    No functions, optimizers or configuration: a checkpoint is data, and `vmap` over a
    state trains many GANs at once. Every field after `step` is a dict by network name
    (`memory`: by the name of what is remembered).
    """

    step: jax.Array
    """int32, how many steps have been taken."""
    params: dict
    stats: dict
    """Collections that no gradient trains: BatchNorm averages, spectral-norm `u`."""
    opt: dict
    ema: dict
    memory: dict
    """What a phase carries from one step to the next; see `phases.carry`."""


def merge(state: TrainState, **fields) -> TrainState:
    """Replaces the named entries of the named fields: `merge(s, params={"G": p})`."""
    new = {field: getattr(state, field) | value for field, value in fields.items()}
    return state._replace(**new)


class Mean(NamedTuple):
    """A metric as (sum, count): a phase that was skipped adds (0, 0).

    So NaN always means trouble, never "not this step".
    """

    total: jax.Array
    count: jax.Array

    @classmethod
    def of(cls, value) -> "Mean":
        """One observation: the mean of an array's elements. A `Mean` stays itself."""
        if isinstance(value, Mean):
            return value
        return cls(jnp.mean(jnp.asarray(value, jnp.float32)), jnp.float32(1))

    def __add__(self, other: "Mean") -> "Mean":
        return Mean(self.total + other.total, self.count + other.count)

    def value(self) -> float | None:
        """The mean on the host; None when nothing was observed."""
        return float(self.total) / float(self.count) if float(self.count) else None


Metrics = dict[str, Mean]
Loss = Callable[[TrainState, Batch, jax.Array], tuple[jax.Array, dict[str, Any]]]
"""`loss(state, batch, key) -> (scalar, metrics)`; networks enter by closure."""


class Phase(NamedTuple):
    """What a GAN is built of, as optax builds optimizers of `(init, update)`."""

    init: Callable[[TrainState], TrainState]
    """Adds to a state what this phase keeps in it."""
    step: Callable[[TrainState, Batch, jax.Array], tuple[TrainState, Metrics]]
    """Pure; knows nothing of devices."""
    trains: Mapping[str, tuple] = {}
    """By network, the optimizer of each of its updates."""
