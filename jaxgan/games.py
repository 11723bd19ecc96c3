"""What two players need that one does not: optimizers for games.

Gradient descent of two players circles around an equilibrium or leaves it: on the
bilinear game min_x max_y x y, for one. With these it converges there:

    extragradient(together(d_step, g_step))    looks one step ahead
    lookahead(chain(d_step, g_step), 5)        goes back half of the way now and then
    consensus(0.1, {"D": d_loss, "G": g_loss}) also makes all gradients small
    optax.chain(optax.sgd(1e-3), optax.scale_by_optimistic_gradient())
                                               looks ahead by the last step

With Adam, too, if it has no momentum (b1 = 0); with b1 = 0.9 it keeps circling, in a
smaller circle. The first two make phases of phases, since all players look, or go back,
at once; the third makes losses of losses; the last is optax's (optimistic Adam:
Daskalakis et al., 2018, arXiv:1711.00141).
"""

import jax
import jax.numpy as jnp
from jax import random

from jaxgan import axis
from jaxgan.types import Loss, Phase, Schedule, at, merge

__all__ = ["consensus", "extragradient", "lookahead"]


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

    trains = {n: tx * 2 for n, tx in phase.trains.items()}
    return phase._replace(step=step, trains=trains)


def consensus(weight: Schedule, losses: dict[str, Loss]) -> dict[str, Loss]:
    """Players' losses, each with γ ½ |v|², v being the gradients of all players.

    They then agree to make the whole field of gradients small: Mescheder, Nowozin and
    Geiger, 2017, arXiv:1705.10461, algorithm 2, where all update at once (`together`).

    Args:
        weight: γ, or a function of the step.
        losses: by network, what it minimizes.

    Returns:
        By network, its loss with that term; the metric `consensus` is ½ |v|².
    """

    def field(state, batch, key):
        axis.refuse_part("consensus optimization")

        def of(name, loss):
            def value(params):
                return loss(merge(state, params={name: params}), batch, key)[0]

            return axis.mean(jax.grad(value)(state.params[name]))

        leaves = jax.tree.leaves({n: of(n, loss) for n, loss in losses.items()})
        return sum(jnp.sum(jnp.square(x)) for x in leaves) / 2

    def with_term(loss):
        def of(state, batch, key):
            value, metrics, *memory = loss(state, batch, key)
            term = field(state, batch, key)
            value = value + at(weight, state.step) * term
            return value, metrics | {"consensus": term}, *memory

        return of

    return {n: with_term(loss) for n, loss in losses.items()}


def lookahead(phase: Phase, period: int = 5, rate: float = 0.5) -> Phase:
    """After every `period` steps, all players go only `rate` of the way they went.

    Chavdarova et al., 2021, arXiv:2006.14567, algorithm 1, after Zhang et al., 2019,
    arXiv:1907.08610. Where they started from is in `state.memory["lookahead"]`.

    Args:
        phase: trains all players.
        period: k, how many steps.
        rate: α.
    """
    if period < 1:
        raise ValueError(f"lookahead: period is {period}; it must be 1 or more.")

    def init(state):
        state = phase.init(state)
        slow = {n: jax.tree.map(jnp.array, state.params[n]) for n in phase.trains}
        return merge(state, memory={"lookahead": slow})

    def step(state, batch, key):
        first, last = state.step % period == 0, (state.step + 1) % period == 0

        def start(slow, w):
            return jnp.where(first, w, slow)

        def back(slow, w):
            return jnp.where(last, slow + rate * (w - slow), w)

        now = {n: state.params[n] for n in phase.trains}
        slow = jax.tree.map(start, state.memory["lookahead"], now)
        state, metrics = phase.step(state, batch, key)
        went = {n: state.params[n] for n in phase.trains}
        params = jax.tree.map(back, slow, went)
        return merge(state, params=params, memory={"lookahead": slow}), metrics

    return Phase(init, step, phase.trains, phase.writes | {("memory", "lookahead")})
