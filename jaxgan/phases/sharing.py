"""What is made once for several phases."""

from collections.abc import Callable

import jax
from jax import random
from jax.tree_util import Partial

from jaxgan import axis
from jaxgan.phases.combinators import chain
from jaxgan.phases.shared import Shared, opened
from jaxgan.types import Phase, Produce, merge

__all__ = ["in_parts", "prepared", "share"]


def share(field: str, names: str | tuple, produce: Produce, *phases: Phase) -> Phase:
    """Runs a network, or several, once for several phases.

    `produce(state, batch, key)` is evaluated once, and the losses find its value in
    their batch, `batch[field]`. Where a phase trains the networks, the value's gradient
    flows on into their weights. That saves a generator's forward pass when D and G
    learn from the same fakes, as is usual in other frameworks.

    Args:
        field: the entry of the batch.
        names: the network or networks whose gradients flow.
        produce: `(state, batch, key) -> arrays`, by way of those networks.
        *phases: the phases that share it.

    Raises:
        ValueError: a phase would see a value that was made with older weights: the
            networks may be trained once, by one update of the last of the phases.
    """
    names = (names,) if isinstance(names, str) else tuple(names)
    *first, last = phases
    early = {n for phase in first for n in phase.trains}
    if early & {*names} or any(len(last.trains.get(n, ())) > 1 for n in names):
        raise ValueError(
            f"share: only the last phase may train {', '.join(map(repr, names))}, and "
            f"once, since {field!r} would then be of older weights."
        )
    inner = chain(*phases)

    def pulled(key, state, batch):
        def made(params):
            return produce(merge(state, params=params), batch, key)

        return jax.vjp(made, {n: state.params[n] for n in names})

    def step(state, batch, key):
        if others := [*opened(batch)[1]]:
            raise ValueError(f"share: {field!r} cannot be shared inside {others}.")
        here, rest = random.split(key)
        if axis.divides():
            value = in_parts(produce)(state, batch, here)
            shared = Shared(value, None, Partial(pulled, here), names)
        else:
            value, pull = pulled(here, state, batch)
            shared = Shared(value, pull, None, names)
        return inner.step(state, dict(batch) | {field: shared}, rest)

    return inner._replace(step=step)


def in_parts(produce: Produce) -> Produce:
    """The same arrays, made of one part of the batch after another where gradients are
    accumulated, so that they take no more memory than a part's."""

    def of(state, batch, key):
        if not axis.divides():
            return produce(state, batch, key)

        def one(part):
            return produce(state, part, key)

        return axis.over_parts(one, opened(batch)[0], stacked=True)

    return of


def prepared(prepare: Callable, *phases: Phase) -> Phase:
    """Phases on a batch that is made of the loop's, once for all of them.

    Args:
        prepare: `(batch, key) -> batch`.
        *phases: what goes on with it.
    """
    inner = chain(*phases)

    def step(state, batch, key):
        here, rest = random.split(key)
        return inner.step(state, prepare(batch, here), rest)

    return inner._replace(step=step)
