"""Options of networks and of optimizers."""

import dataclasses

import optax

from jaxgan.run.config import Config
from jaxgan.run.settings import Count, Fraction, Index, Number
from jaxgan.types import UsageError

__all__ = ["DCGAN", "Optimizers", "adams", "labelled"]


@dataclasses.dataclass(frozen=True)
class DCGAN:
    """The networks."""

    width: Count = 32
    """Channels of D's first layer and G's last hidden one; each smaller stage has
    twice as many."""
    latent_dim: Count = 100
    """Dimension of the noise z."""


@dataclasses.dataclass(frozen=True)
class Optimizers:
    """Adam for all networks, and the average of the generators' weights."""

    g_lr: Number = 1e-3
    """Adam's learning rate for G."""
    d_lr: Number = 1e-3
    """Adam's learning rate for D."""
    beta1: Fraction = 0.5
    """Adam's decay of the gradient's mean."""
    beta2: Fraction = 0.999
    """Adam's decay of the squared gradient's mean."""
    decay_from: Index = 0
    """The step from which learning rates go down, linearly."""
    decay_until: Index = 0
    """The step at which they are 0; 0 for never, with --decay-from 0."""
    ema_decay: Fraction = 0.999
    """Of the averaged weights that images are drawn with."""


def adams(optimizers: Optimizers, steps: int):
    """`(g_tx, d_tx)`.

    Args:
        optimizers: the options.
        steps: of the run.

    Raises:
        UsageError: learning rates would be 0 before the run ends.
    """
    o = optimizers
    rates = (_decaying(o, rate, steps) for rate in (o.g_lr, o.d_lr))
    return tuple(optax.adam(rate, o.beta1, o.beta2) for rate in rates)


def _decaying(optimizers, rate, steps):
    start, end = optimizers.decay_from, optimizers.decay_until
    if not end and not start:
        return rate
    if end <= start:
        raise UsageError("decay_until", end, f"must be above `decay_from` {start}.")
    if steps > end:
        raise UsageError(
            "steps",
            steps,
            f": learning rates are 0 from `decay_until` {end} on; a run of {steps} "
            f"steps has `decay_until` {steps} from its start.",
        )
    return optax.linear_schedule(rate, 0.0, end - start, start)


def labelled(cfg: Config, num_classes: int, who: str) -> None:
    """Refuses data without labels.

    Raises:
        UsageError: there are none, which `who` needs.
    """
    if not num_classes:
        raise UsageError("data", cfg.data, f"has no labels, which {who} needs.")
