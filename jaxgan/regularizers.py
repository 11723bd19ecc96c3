"""Penalties that keep D's gradient, or its opinions, within bounds.

First the terms as the papers write them: functions of D as a function of images,
`D(x [B, ...]) -> logits [B]`, that return one value per example. Then the same as
`Penalty`, weighed, as `recipes.gan` takes them.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax, random

from jaxgan import axis

# --- terms


def input_gradient(D: Callable, x):
    """∇D(x) of each example by itself, `[B, ...]`; D must not mix examples.

    Raises:
        ValueError: D gives less than one logit for each, as `models.packed` does.
    """

    def total(x):
        logits = D(x)
        if len(logits) != len(x):
            raise ValueError(
                f"input_gradient: D gives {len(logits)} logits for {len(x)} images, so "
                "it judges none by itself; leave out penalties of its gradient."
            )
        return logits.sum()

    return jax.grad(total)(x)


def _squared_norm(x):
    return jnp.square(x).sum(tuple(range(1, x.ndim)))


def _norm(x):
    """With gradient 0 at 0, where a square root has none."""
    squared = _squared_norm(x)
    safe = jnp.where(squared > 0, squared, jnp.ones_like(squared))
    return jnp.where(squared > 0, jnp.sqrt(safe), jnp.zeros_like(squared))


def zero_centered(D: Callable, x):
    """|∇D(x)|², at real images R1, at fake ones R2.

    Mescheder, Geiger and Nowozin, 2018, arXiv:1801.04406, eq. 9 without its γ/2.
    """
    return _squared_norm(input_gradient(D, x))


def one_centered(D: Callable, x):
    """(|∇D(x)| - 1)²."""
    return jnp.square(_norm(input_gradient(D, x)) - 1)


def between(real, fake, key):
    """A point between each real image and a fake one, ε x + (1 - ε) x̃, ε uniform."""
    shape = (len(real), *[1] * (real.ndim - 1))
    share = axis.draw(random.uniform, key, shape, real.dtype)
    return share * real + (1 - share) * fake


def around(real, key):
    """Each real image with uniform noise of up to half the batch's deviation.

    Kodali et al., 2017, arXiv:1705.07215, as their code has it.
    """
    mean = axis.mean(real.mean())
    deviation = jnp.sqrt(axis.mean(jnp.square(real - mean).mean()))
    return real + deviation / 2 * axis.draw(random.uniform, key, real.shape, real.dtype)


def lecam(real_logits, fake_logits, real_anchor, fake_anchor):
    """(D(x) - α_F)² + (D(G(z)) - α_R)².

    Tseng et al., 2021, arXiv:2104.03310, eq. 4; the anchors are moving averages of D's
    opinions of real images (R) and of fakes (F).
    """
    return (real_logits - fake_anchor) ** 2 + (fake_logits - real_anchor) ** 2


# --- penalties


class Judged(NamedTuple):
    """What a penalty may look at: D, what it has seen, and what it said."""

    D: Callable
    """images `[B, H, W, C]` -> logits `[B]`"""
    real: jax.Array
    fake: jax.Array
    real_logits: jax.Array
    fake_logits: jax.Array
    key: jax.Array


class Penalty(NamedTuple):
    """A term of D's loss."""

    of: Callable
    """`(Judged, memory) -> ([B], memory)`"""
    memory: Any = ()
    """What it remembers from one step to the next, at first."""


def _of(term: Callable) -> Penalty:
    return Penalty(lambda judged, memory: (term(judged), memory))


def r1(gamma: float = 10.0) -> Penalty:
    """γ/2 |∇D(x)|² at real images (arXiv:1801.04406, eq. 9)."""
    return _of(lambda j: gamma / 2 * zero_centered(j.D, j.real))


def r2(gamma: float = 10.0) -> Penalty:
    """γ/2 |∇D(x)|² at fakes (arXiv:1801.04406, eq. 10)."""
    return _of(lambda j: gamma / 2 * zero_centered(j.D, j.fake))


def wgan_gp(weight: float = 10.0) -> Penalty:
    """λ (|∇D(x̂)| - 1)² between real images and fakes.

    Gulrajani et al., 2017, arXiv:1704.00028, eq. 3.
    """
    return _of(
        lambda j: weight * one_centered(j.D, between(j.real, j.fake, j.key)),
    )


def dragan(weight: float = 10.0) -> Penalty:
    """λ (|∇D(x̂)| - 1)² around real images (Kodali et al., 2017, arXiv:1705.07215)."""
    return _of(lambda j: weight * one_centered(j.D, around(j.real, j.key)))


def lecam_penalty(weight: float = 0.3, decay: float = 0.99) -> Penalty:
    """λ times `lecam`, with anchors of that decay (arXiv:2104.03310)."""

    def of(j, anchors):
        means = {"real": j.real_logits.mean(), "fake": j.fake_logits.mean()}
        means = lax.stop_gradient(axis.mean(means))
        new = jax.tree.map(lambda a, m: decay * a + (1 - decay) * m, anchors, means)
        value = lecam(j.real_logits, j.fake_logits, new["real"], new["fake"])
        return weight * value, new

    return Penalty(of, {"real": jnp.float32(0), "fake": jnp.float32(0)})


def consistency(
    transform: Callable, real_weight: float = 10.0, fake_weight: float = 10.0
) -> Penalty:
    """λ_real (D(x) - D(T(x)))² + λ_fake (D(G(z)) - D(T(G(z))))².

    Balanced consistency (bCR), Zhao et al., 2020, arXiv:2002.04724, algorithm 1.

    Args:
        transform: T, `(images, key) -> images`, such as `augment.diff_augment()`.
        real_weight: λ_real.
        fake_weight: λ_fake.
    """

    def term(j):
        on_real, on_fake = random.split(j.key)
        real = j.D(transform(j.real, on_real)) - j.real_logits
        fake = j.D(transform(j.fake, on_fake)) - j.fake_logits
        return real_weight * real**2 + fake_weight * fake**2

    return _of(term)


def total(*penalties: Penalty) -> Penalty:
    """Their sum: R3GAN has `total(r1(γ), r2(γ))`."""

    def of(judged, memory):
        keys = random.split(judged.key, len(penalties))
        found = [
            p.of(judged._replace(key=k), m)
            for p, k, m in zip(penalties, keys, memory, strict=True)
        ]
        values, memories = zip(*found, strict=True)
        return sum(values), memories

    return Penalty(of, tuple(p.memory for p in penalties))
