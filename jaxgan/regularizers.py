"""Penalties that keep D's gradient, or its logits, within bounds.

First as the papers write them: functions of D as a function of images,
`D(x [B, ...]) -> logits [B]`, that return one value per example. Then the same as
`Term`, weighed, as the recipes take them. Weights are numbers, or functions of the
step.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, random

from jaxgan import axis
from jaxgan.augment import Augmentation
from jaxgan.types import Schedule, at

__all__ = [
    "Judged",
    "Term",
    "around",
    "between",
    "consistency",
    "dragan",
    "input_gradient",
    "lecam",
    "lecam_penalty",
    "one_centered",
    "r1",
    "r2",
    "total",
    "wgan_gp",
    "zero_centered",
]

# --- as functions of D


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


def one_centered(D: Callable, x, target: float = 1.0, one_sided: bool = False):
    """(|∇D(x)| - 1)².

    Args:
        D: see above.
        x: where.
        target: what the norm is to be in place of 1.
        one_sided: only norms above the target are penalized, max(0, |∇D(x)| - 1)².
    """
    above = _norm(input_gradient(D, x)) - target
    return jnp.square(jax.nn.relu(above) if one_sided else above)


def between(real, fake, key):
    """A point between each real image and a fake one, ε x + (1 - ε) x̃, ε uniform."""
    shape = (len(real), *[1] * (real.ndim - 1))
    share = axis.draw(random.uniform, key, shape, real.dtype)
    return share * real + (1 - share) * fake


def around(real, key):
    """A point between each real image and itself with noise, x + α σ/2 u.

    u is uniform in [0, 1) for each pixel, σ the deviation of the batch and α uniform in
    [0, 1), one for each image: Kodali et al., 2017, arXiv:1705.07215, as their program
    has it (kodalinaveen3/DRAGAN). Their algorithm 1 has normal noise and no α.
    """
    on_noise, on_share = random.split(key)
    mean = axis.mean(real.mean())
    deviation = jnp.sqrt(axis.mean(jnp.square(real - mean).mean()))
    noise = axis.draw(random.uniform, on_noise, real.shape, real.dtype)
    shape = (len(real), *[1] * (real.ndim - 1))
    share = axis.draw(random.uniform, on_share, shape, real.dtype)
    return real + share * (deviation / 2) * noise


def lecam(real_logits, fake_logits, real_anchor, fake_anchor):
    """max(0, D(x) - α_F)² + max(0, α_R - D(G(z)))².

    Tseng et al., 2021, arXiv:2104.03310, as their program has it (google/lecam-gan,
    `lecam_reg`): logits are drawn together, and not further once a real image is judged
    below the fakes' anchor, or a fake above that of real images. Equation 4 squares the
    differences whatever their sign. The anchors are moving averages of D's logits of
    real images (R) and of fakes (F).
    """
    above = jax.nn.relu(real_logits - fake_anchor)
    below = jax.nn.relu(real_anchor - fake_logits)
    return above**2 + below**2


# --- as terms of D's loss


class Judged(NamedTuple):
    """What a term may look at: D, the images it was shown, and what it said.

    Images are raw; D augments them first, where a recipe has an augmentation, as ADA
    and R3GAN have it. Keys of `D` decide how.
    """

    D: Callable
    """`(images [B, H, W, C], key) -> logits [B]`; of patches and scales, their mean."""
    real: jax.Array
    fake: jax.Array
    real_logits: jax.Array
    fake_logits: jax.Array
    key: jax.Array
    """For what a term draws."""
    real_key: jax.Array | None = None
    """`real_logits` are `D(real, real_key)`."""
    fake_key: jax.Array | None = None
    """`fake_logits` are `D(fake, fake_key)`."""


class Term(NamedTuple):
    """A term of D's loss."""

    of: Callable
    """`(judged, memory, step) -> ([B], memory)`"""
    memory: Any = ()
    """What it remembers from one step to the next, at first."""
    of_gradient: bool = False
    """Whether it is of D's gradient at each image, so that D must not mix images."""


def _weighed(weight: Schedule, of: Callable) -> Term:
    """`weight · of(judged)` of D's gradient, without memory."""
    return Term(
        lambda judged, memory, step: (at(weight, step) * of(judged), memory),
        of_gradient=True,
    )


def _half(gamma: Schedule) -> Schedule:
    return (lambda step: gamma(step) / 2) if callable(gamma) else gamma / 2


def r1(gamma: Schedule = 10.0) -> Term:
    """γ/2 |∇D(x)|² at real images (arXiv:1801.04406, eq. 9)."""
    return _weighed(
        _half(gamma), lambda j: zero_centered(lambda x: j.D(x, j.real_key), j.real)
    )


def r2(gamma: Schedule = 10.0) -> Term:
    """γ/2 |∇D(x)|² at fakes (arXiv:1801.04406, eq. 10)."""
    return _weighed(
        _half(gamma), lambda j: zero_centered(lambda x: j.D(x, j.fake_key), j.fake)
    )


def wgan_gp(
    weight: Schedule = 10.0, target: float = 1.0, one_sided: bool = False
) -> Term:
    """λ (|∇D(x̂)| - 1)² at points x̂ between real images and fakes.

    Gulrajani et al., 2017, arXiv:1704.00028, eq. 3. Points are augmented as fakes.

    Args:
        weight: λ.
        target: what the norm is to be in place of 1; Karras et al., 2018
            (arXiv:1710.10196, appendix A.1), divide λ by the target's square.
        one_sided: max(0, |∇D(x̂)| - 1)² (section 4 there; Petzka et al., 2018,
            arXiv:1709.08894).
    """

    def of(j):
        points = between(j.real, j.fake, j.key)
        D = lambda x: j.D(x, j.fake_key)  # noqa: E731
        return one_centered(D, points, target, one_sided)

    return _weighed(weight, of)


def dragan(weight: Schedule = 10.0) -> Term:
    """λ (|∇D(x̂)| - 1)² around real images (Kodali et al., 2017, arXiv:1705.07215)."""

    def of(j):
        points = around(j.real, j.key)
        return one_centered(lambda x: j.D(x, j.real_key), points)

    return _weighed(weight, of)


def lecam_penalty(
    weight: Schedule = 0.3, decay: float = 0.99, start: int = 1000
) -> Term:
    """λ times `lecam`, with anchors of that decay (arXiv:2104.03310).

    Args:
        weight: λ.
        decay: of the anchors, per step.
        start: up to this step there is no penalty and an anchor is the batch's mean, so
            that what it averages from there on is not drawn to a first value that D
            never said; as in the authors' program, where it is 1,000 by default.
    """

    def of(j, anchors, step):
        means = {"real": j.real_logits.mean(), "fake": j.fake_logits.mean()}
        means = lax.stop_gradient(axis.mean(means))
        follows = step < max(start, 1)

        def moved(anchor, mean):
            return jnp.where(follows, mean, decay * anchor + (1 - decay) * mean)

        new = jax.tree.map(moved, anchors, means)
        value = lecam(j.real_logits, j.fake_logits, new["real"], new["fake"])
        value = jnp.where(step > start, value, jnp.zeros_like(value))
        return at(weight, step) * value, new

    zero = np.zeros((), np.float32)  # of no device, before it is in a state
    return Term(of, {"real": zero, "fake": zero})


def consistency(
    transform: Augmentation,
    real_weight: Schedule = 10.0,
    fake_weight: Schedule = 10.0,
) -> Term:
    """λ_real (D(x) - D(T(x)))² + λ_fake (D(G(z)) - D(T(G(z))))².

    Balanced consistency (bCR), Zhao et al., 2020, arXiv:2002.04724, algorithm 1: G
    never sees T, and gradients pass through D's opinions of both.

    Args:
        transform: T, such as `augment.diff_augment()`; one without memory. The paper
            mirrors images and shifts them by a few pixels; in `experiments/` they are
            shifted alone, as digits are not to be mirrored.
        real_weight: λ_real.
        fake_weight: λ_fake.
    """
    if jax.tree.leaves(transform.memory):
        raise ValueError("consistency: transform has a memory, which nothing adapts.")

    def of(j, memory, step):
        on_real, on_fake = random.split(j.key)
        real = transform.of(j.real, on_real, step, transform.memory)
        fake = transform.of(j.fake, on_fake, step, transform.memory)
        real = j.D(real, j.real_key) - j.real_logits
        fake = j.D(fake, j.fake_key) - j.fake_logits
        return at(real_weight, step) * real**2 + at(fake_weight, step) * fake**2, memory

    return Term(of)


def total(*terms: Term) -> Term:
    """Their sum: R3GAN has `total(r1(γ), r2(γ))`."""

    def of(judged, memory, step):
        keys = random.split(judged.key, len(terms))
        found = [
            term.of(judged._replace(key=k), m, step)
            for term, k, m in zip(terms, keys, memory, strict=True)
        ]
        values, memories = zip(*found, strict=True)
        return sum(values), memories

    memories = tuple(term.memory for term in terms)
    return Term(of, memories, any(term.of_gradient for term in terms))
