"""What everything else is made of: the train state, phases, models, errors."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from jaxgan.text import one_line, shortened

if TYPE_CHECKING:
    from jaxgan.tasks import Task

__all__ = [
    "Apply",
    "Batch",
    "Begin",
    "Draw",
    "Init",
    "Latent",
    "Loss",
    "Mean",
    "Metrics",
    "Model",
    "Phase",
    "Produce",
    "Schedule",
    "Step",
    "TrainState",
    "UsageError",
    "at",
    "example",
    "merge",
    "silent",
]

Batch = Mapping[str, Any]
"""Arrays by name: `image` float32 `[B, H, W, C]` in [-1, 1], `label` int32 `[B]`; of
pairs also `input`, like `image`, and with label maps `map` int32 `[B, H, W]`."""


class Init(Protocol):
    """The first weights of a network."""

    def __call__(self, key: jax.Array, *inputs: Any) -> tuple[Any, dict]:
        """`(params, stats)`, inputs as the network takes them: arrays or their shapes.

        Params are a pytree of arrays, such as nested dicts; stats is a dict of
        collections, empty where there is nothing but params.
        """
        ...


class Apply(Protocol):
    """A pass through a network."""

    def __call__(
        self, params: Any, stats: dict, *inputs: Any, train: bool = True, rngs=None
    ) -> tuple[Any, dict]:
        """`(outputs, new stats)`; `rngs`, keys by stream, only if a caller has some."""
        ...


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

    def __init__(self, option: str | None, value: Any, reason: str):
        super().__init__(option, value, reason)
        self.option, self.value, self.reason = option, value, reason

    def __str__(self) -> str:
        return self.worded(lambda name: name)

    def worded(self, flag: Callable[[str], str]) -> str:
        """The sentence, with options as `flag(name)` writes them."""
        if self.option is None:
            return one_line(_flagged(self.reason, flag))
        value = "" if self.value is None else f" {shortened(str(self.value))}"
        reason = _flagged(self.reason, flag)
        gap = "" if reason.startswith((":", ",")) else " "
        return one_line(f"{flag(self.option)}{value}{gap}{reason}")

    def renamed(self, option: str | None) -> "UsageError":
        """The same of another option, by which the user gave the value."""
        return UsageError(option, self.value, self.reason)


def _flagged(text, flag):
    """`` `name` `` as the option that it names; other things in backticks stay."""

    def one(match):
        written = flag(match[1])
        return match[0] if written == match[1] else written

    return re.sub(r"`([a-z][a-z0-9_]*)`", one, text)


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
    count: jax.Array  # type: ignore[assignment]  # in place of tuple's, unused here

    @classmethod
    def of(cls, value) -> "Mean":
        """One observation: the mean of an array's elements. A `Mean` stays itself."""
        if isinstance(value, Mean):
            return value
        return cls(jnp.mean(jnp.asarray(value, jnp.float32)), jnp.float32(1))

    def __add__(self, other: "Mean") -> "Mean":  # type: ignore[override]  # no appending
        return Mean(self.total + other.total, self.count + other.count)

    def value(self) -> float | None:
        """The mean on the host; None when nothing was observed."""
        return float(self.total) / float(self.count) if float(self.count) else None


Metrics = dict[str, Mean]


class Begin(Protocol):
    """Makes the first state of a model."""

    def __call__(self, key: jax.Array, batch: Batch, /) -> TrainState:
        """`(key, batch) -> TrainState`; of the batch only shapes and dtypes matter."""
        ...


class Step(Protocol):
    """One step of training, whole or in part. Pure; knows nothing of devices."""

    def __call__(
        self, state: TrainState, batch: Batch, key: jax.Array, /
    ) -> tuple[TrainState, Metrics]:
        """`(state, batch, key) -> (state, metrics)`"""
        ...


class Loss(Protocol):
    """What an update minimizes. Networks enter by closure: `D(state, images)`."""

    def __call__(
        self, state: TrainState, batch: Batch, key: jax.Array, /
    ) -> tuple[jax.Array, dict] | tuple[jax.Array, dict, dict]:
        """`(state, batch, key) -> (scalar, metrics)` or `(scalar, metrics, memory)`.

        `memory` has new entries of `state.memory`, by name; see `phases.carry`.
        """
        ...


class Produce(Protocol):
    """Arrays that are made of a state and a batch, such as fakes."""

    def __call__(self, state: TrainState, batch: Batch, key: jax.Array, /) -> Any:
        """`(state, batch, key) -> arrays`"""
        ...


Schedule = float | Callable[[jax.Array], Any]
"""A number, or a function of the step (int32) that gives one."""


def at(schedule: Schedule, step: jax.Array):
    """The value of a schedule on a step."""
    return schedule(step) if callable(schedule) else schedule


class Phase(NamedTuple):
    """What a GAN is built of, as optax builds optimizers of `(init, update)`."""

    init: Callable[[TrainState], TrainState]
    """Adds to a state what this phase keeps in it."""
    step: Step
    trains: Mapping[str, tuple] = {}
    """By network, the optimizer of each of its updates."""
    writes: frozenset[tuple[str, str]] = frozenset()
    """`(field, name)` of each entry of the state that it writes, beside `params` and
    `opt` of the networks that it trains: `("ema", "G")`."""


class Latent(NamedTuple):
    """What a generator makes of what it is given, before it draws: StyleGAN's w."""

    of: Callable
    """`(state, given) -> w [N, L, W]`, one for each of L layers."""
    run: Callable
    """`(state, w, key) -> images [N, H, W, C]` in [-1, 1]; a draw's `run` is this of
    `of`."""


class Draw(NamedTuple):
    """One way of drawing images with a model, by averaged weights."""

    task: "Task"
    """What the drawing network is given."""
    run: Callable
    """`(state, given, key) -> images [N, H, W, C]` in [-1, 1]; `given` is what
    `task.given` returns, the key is for networks that draw noise of their own."""
    encode: Mapping[str, Callable] = {}
    """By name, `(state, given, images) -> given`: the same, in the style of images."""
    truncated: Callable[[float], "Draw"] | None = None
    """Of a threshold, the same with latents nearer to their mean: what is drawn is
    better, and less various."""
    latent: Latent | None = None
    """Where there is a space between z and images."""


class Model(NamedTuple):
    """A GAN, or whatever else draws images, as pure functions."""

    init: Begin
    step: Step
    """All of a training step: D, then G, then averages; it counts `state.step`."""
    parts: Mapping[str, Step]
    """Updates by themselves: `"D"` and `"G"`. They draw fakes of their own, and move
    neither `state.step` nor averages."""
    draws: Mapping[str, Draw]
    """`"sample"` of noise, `"translate"` of images, `"back"` of CycleGAN."""
    settle: Callable[[TrainState, jax.Array], TrainState] = lambda state, key: state
    """`(state, key) -> state` with BatchNorm statistics that fit the averaged weights
    of what draws from noise; do it once before sampling."""
    scores: Mapping[str, Callable] = {}
    """By the name of a D, `(state, images [B, H, W, C], *labels) -> logits`, of images
    as they are, judged as in training: by live weights, and with BatchNorm's statistics
    of these images. Of what draws from noise."""
    sees: tuple[str, ...] = ()
    """Frozen networks that its discriminators see images by: a distance by one of them
    is what was trained for, and no fair figure."""
    stages: tuple[int, ...] = ()
    """Steps on which another stage begins, of a step by `phases.staged`: worth
    programs of their own, each compiled for its steps alone."""


def silent(iterable: Iterable, total: int = 0, label: str = "") -> Iterable:
    """A `progress` that shows nothing.

    Args:
        iterable: what is gone through.
        total: how many items it has.
        label: what they are, in a word or two.
    """
    return iterable
