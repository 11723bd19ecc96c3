"""What two players need that one does not: optimizers for games.

Gradient descent of two players may circle around an equilibrium or leave it. These
converge on the bilinear game min_x max_y x y, where it does not:

    extragradient(together(d_step, g_step))    looks one step ahead
    consensus(0.1, {"D": d_loss, "G": g_loss}) also makes all gradients small
    lookahead(optax.adam(1e-3))                goes back half of the way now and then
    optax.chain(optax.adam(1e-3), optax.scale_by_optimistic_gradient())
        looks ahead by the last step: optimistic Adam (Daskalakis et al., 2018,
        arXiv:1711.00141), of optax's own parts

The first two are no optax transforms, since they need gradients elsewhere, or of
gradients: one makes a phase of a phase, one a loss of losses.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import random

from jaxgan import axis
from jaxgan.types import Loss, Phase, merge


def extragradient(phase: Phase) -> Phase:
    """Looks ahead by one step of the phase, and takes the step that is right there.

    From w to w' = w + u(w), then to w + u(w'), u being what the phase's optimizers make
    of gradients: it converges where gradient descent of two players circles. With Adam,
    ExtraAdam: Gidel et al., 2019, arXiv:1802.10551, algorithms 2 and 4. It costs two
    gradients, on one batch, with noise of their own.

    Args:
        phase: trains all players, such as `together(d_step, g_step)`.
    """

    def step(state, batch, key):
        here, there = random.split(key)
        ahead, _ = phase.step(state, batch, here)
        after, metrics = phase.step(ahead, batch, there)
        params = {
            n: jax.tree.map(
                lambda w, before, new: w + (new - before),
                state.params[n],
                ahead.params[n],
                after.params[n],
            )
            for n in phase.trains
        }
        return merge(after, params=params), metrics

    return Phase(phase.init, step, {n: tx * 2 for n, tx in phase.trains.items()})


def consensus(weight: float, losses: dict[str, Loss]) -> dict[str, Loss]:
    """Players' losses, each with γ ½ |v|², v being the gradients of all players.

    They then agree to make the whole field of gradients small: Mescheder, Nowozin and
    Geiger, 2017, arXiv:1705.10461, algorithm 2, where all update at once (`together`).

    Args:
        weight: γ.
        losses: by network, what it minimizes.

    Returns:
        By network, its loss with that term; the metric `consensus` is ½ |v|².
    """

    def field(state, batch, key):
        def of(name, loss):
            def value(params):
                return loss(merge(state, params={name: params}), batch, key)[0]

            return axis.mean(jax.grad(value)(state.params[name]))

        leaves = jax.tree.leaves({n: of(n, loss) for n, loss in losses.items()})
        return sum(jnp.sum(jnp.square(x)) for x in leaves) / 2

    def with_term(loss):
        def of(state, batch, key):
            value, metrics = loss(state, batch, key)
            term = field(state, batch, key)
            return value + weight * term, metrics | {"consensus": term}

        return of

    return {n: with_term(loss) for n, loss in losses.items()}


class Slow(NamedTuple):
    """What `lookahead` keeps."""

    inner: Any
    weights: Any


def lookahead(tx, period: int = 5, rate: float = 0.5):
    """After every `period` steps, goes only `rate` of the way they went.

    `optax.lookahead` (Zhang et al., 2019, arXiv:1907.08610) with the slow weights in
    the optimizer's state, so that the weights stay those of a network. For games, with
    all players in step: Chavdarova et al., 2021, arXiv:2006.14567, algorithm 1.

    Args:
        tx: the optimizer of the steps.
        period: k, how many steps; all players' must agree.
        rate: α.
    """
    both = optax.lookahead(tx, period, rate)

    def init(weights):
        slow = jax.tree.map(jnp.array, weights)
        return Slow(both.init(optax.LookaheadParams(weights, slow)), slow)

    def update(gradient, state, weights):
        pair = optax.LookaheadParams(weights, state.weights)
        with jax.numpy_dtype_promotion("standard"):  # optax needs it
            change, inner = both.update(gradient, state.inner, pair)
        return change.fast, Slow(inner, optax.apply_updates(pair.slow, change.slow))

    return optax.GradientTransformation(init, update)
