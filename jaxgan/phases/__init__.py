"""The algebra of GANs: a loss reads, a phase writes.

Every GAN here is `game(networks, phase, phase, ...)`. A phase is a pair of pure
functions, `init(state) -> state` and `step(state, batch, key) -> (state, metrics)`.
`leaves` has those that are made of losses and networks, `combinators` those that are
made of other phases, `conditions` those that run on some steps, `sharing` what is made
once for several, `posthoc` averages whose length is chosen after training. Losses have
one signature, `loss(state, batch, key) -> (scalar, metrics)`, or `(scalar, metrics,
memory)` where they remember something. All of it can be put through `jit`, `pmap`,
`vmap`, `scan` and `grad`.
"""

from jaxgan.phases.combinators import carry, chain, game, repeat, together
from jaxgan.phases.conditions import every, lazy, restart, staged, steps_between, until
from jaxgan.phases.leaves import ema, lazy_adam, project, refresh, update
from jaxgan.phases.posthoc import (
    power_ema,
    power_gamma,
    power_weights,
    reconstruct,
    with_power_ema,
)
from jaxgan.phases.sharing import in_parts, prepared, share
from jaxgan.types import Phase

__all__ = [
    "Phase",
    "carry",
    "chain",
    "ema",
    "every",
    "game",
    "in_parts",
    "lazy",
    "lazy_adam",
    "power_ema",
    "power_gamma",
    "power_weights",
    "prepared",
    "project",
    "reconstruct",
    "refresh",
    "repeat",
    "restart",
    "share",
    "staged",
    "steps_between",
    "together",
    "until",
    "update",
    "with_power_ema",
]
