"""What everything else is made of: the train state, phases, metrics, errors."""

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
    """A mistake in what the user asked for; its text is one sentence for the user.

    The command line prints it and exits with code 2.
    """


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
