"""Averages of weights whose length is chosen after training: post-hoc EMA.

    model = with_power_ema(gan, (0.05, 0.1))         # keeps two averages beside its own
    weights, error = power_weights(kept, (3000, 0.08))    # kept: [(step, sigma_rel)]
    state.ema["G"] = reconstruct(averages, weights)

Karras et al., 2024, arXiv:2312.02696, section 3 and appendix C. In a power-function
average of step t, the weights of step s count as s^γ, up to t: it forgets the first
steps, and its length grows with training. σ_rel, its standard deviation over t, says
how long it is. Snapshots of two such averages span those of other σ_rel.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.types import Model, Phase, UsageError, merge

__all__ = [
    *(
        "LONGEST",
        "SHORTEST",
        "power_ema",
        "power_gamma",
        "power_weights",
        "reconstruct",
    ),
    "with_power_ema",
]

SHORTEST = 1e-3
"""σ_rel of about the last thousandth of the steps."""
LONGEST = 12**-0.5
"""σ_rel of γ = 0, where all steps count alike; those that end with more weight on the
last steps than on the first have a smaller one."""


def power_gamma(sigma_rel: float) -> float:
    """γ of an average of a given σ_rel, as equation 126 of the paper has it.

    It solves σ_rel² (γ + 2)² (γ + 3) = γ + 1.

    Args:
        sigma_rel: from `SHORTEST` on, below `LONGEST`.

    Raises:
        UsageError: it is not.
    """
    if not SHORTEST <= sigma_rel < LONGEST:
        reason = f"must be {SHORTEST:g} or more, and below {LONGEST:g}."
        raise UsageError("sigma_rel", sigma_rel, reason)
    t = float(sigma_rel) ** -2
    return float(np.roots([1, 7, 16 - t, 12 - t]).real.max())


def power_ema(names: str | tuple[str, ...], sigma_rels: Sequence[float]) -> Phase:
    """Keeps power-function averages of networks' weights, for `reconstruct`.

    On step t, counted from 1, e <- β e + (1 - β) w with β = (1 - 1/t)^(γ + 1). They are
    in `state.memory["power_ema"][name][str(sigma_rel)]`, and draw nothing themselves.
    It runs in every step, after the updates.

    Args:
        names: the network or networks.
        sigma_rels: of the averages, all different; the paper's are 0.05 and 0.1.

    Raises:
        UsageError: one is out of range.
    """
    names = (names,) if isinstance(names, str) else tuple(names)
    powers = {str(sigma): power_gamma(sigma) + 1 for sigma in sigma_rels}

    def init(state):
        first = {
            n: {s: jax.tree.map(jnp.copy, state.params[n]) for s in powers}
            for n in names
        }
        return merge(state, memory={"power_ema": first})

    def step(state, batch, key):
        t = (state.step + 1).astype(jnp.float32)
        new: dict[str, dict] = {n: {} for n in names}
        for s, power in powers.items():
            rate = -jnp.expm1(power * jnp.log1p(-1 / t))  # 1 - β
            for n in names:
                new[n][s] = jax.tree.map(
                    lambda e, w, rate=rate: e + rate.astype(w.dtype) * (w - e),
                    state.memory["power_ema"][n][s],
                    state.params[n],
                )
        return merge(state, memory={"power_ema": new}), {}

    return Phase(init, step, writes=frozenset({("memory", "power_ema")}))


def with_power_ema(model: Model, sigma_rels: Sequence[float]) -> Model:
    """A model that keeps them of all networks that it averages; see `power_ema`.

    Its steps compute the same otherwise, and so do its draws.
    """

    def init(key, batch):
        state = model.init(key, batch)
        return power_ema((*state.ema,), sigma_rels).init(state)

    def step(state, batch, key):
        after, metrics = model.step(state, batch, key)
        during = after._replace(step=state.step)  # as a phase sees it
        during, _ = power_ema((*state.ema,), sigma_rels).step(during, batch, key)
        return during._replace(step=after.step), metrics

    return model._replace(init=init, step=step)


def power_weights(
    kept: Sequence[tuple[float, float]], wanted: tuple[float, float]
) -> tuple[np.ndarray, float]:
    """How to combine averages that were kept, so as to come near to another one.

    The least-squares fit of its profile by theirs (algorithm 3), in float64, divided
    by the sum of the weights, as the authors' program does.

    Args:
        kept: `(step, sigma_rel)` of each, all different, steps counted from 1.
        wanted: the same of the other one; its step may not be after the last.

    Returns:
        `(weights [N], error)`: for `reconstruct`, and how far the combined profile is
        from the wanted one, relative to it, in the L2 norm.

    Raises:
        UsageError: a step is below 1, or the last is before the wanted one; or a σ_rel
            is out of range.
    """
    steps, gammas = np.array([(t, power_gamma(s)) for t, s in kept]).reshape(-1, 2).T
    step, gamma = float(wanted[0]), power_gamma(wanted[1])
    last = steps.max(initial=0)
    if not 1 <= step <= last or steps.min() < 1:
        reason = f"must be 1 or more, and averages be kept up to it, not {last:g}."
        raise UsageError("step", wanted[0], reason)
    steps, step = steps / step, 1.0  # of any unit
    ours = _products(steps[:, None], gammas[:, None], steps, gammas)
    theirs = _products(steps, gammas, step, gamma)
    weights = np.linalg.solve(ours, theirs)
    weights /= weights.sum()
    square = _products(step, gamma, step, gamma)
    left = weights @ ours @ weights - 2 * weights @ theirs + square
    return weights, float(np.sqrt(max(left, 0) / square))


def _products(t_a, gamma_a, t_b, gamma_b):
    """∫ p_a p_b of p(x) = (γ + 1) x^γ / t^(γ + 1), from 0 to t (equation 151)."""
    first, last = np.minimum(t_a, t_b), np.maximum(t_a, t_b)
    of_last = np.where(t_a < t_b, gamma_b, gamma_a)
    scale = (gamma_a + 1) * (gamma_b + 1) / (gamma_a + gamma_b + 1)
    return scale * (first / last) ** of_last / last


def reconstruct(averages: Iterable[Any], weights: np.ndarray) -> Any:
    """The weighted sum of trees of arrays, summed in float64.

    Args:
        averages: N trees, taken one at a time: they may be read as they are needed.
        weights: `[N]`, from `power_weights`.

    Returns:
        A tree of NumPy arrays, of the dtypes of theirs.
    """

    def add(total, x, weight):
        return total + weight * np.asarray(x, np.float64)

    total, like = None, None
    for tree, weight in zip(averages, weights, strict=True):
        if total is None:
            total, like = jax.tree.map(lambda x: np.zeros(x.shape), tree), tree
        total = jax.tree.map(lambda t, x, w=weight: add(t, x, w), total, tree)
    return jax.tree.map(lambda t, x: t.astype(x.dtype), total, like)
