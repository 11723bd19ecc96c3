"""Numbers that change in the course of training: functions of the step.

    gamma = cosine(2.0, 0.2, steps=20000)
    penalty = total(r1(gamma), r2(gamma))
    ema_decay = half_life(500e3, batch_size=256, ramp_up=0.05)

Papers count images, and steps are images over the size of a batch. What takes a
schedule calls it with `state.step`, or optimizers with their own count, which is the
same for a network that each step trains once.
"""

import jax.numpy as jnp
import optax

from jaxgan.types import Schedule, at

__all__ = ["adam", "cosine", "half_life"]


def cosine(first: float, last: float, steps: float) -> Schedule:
    """From one value to another along half a cosine, then it stays.

    Of R3GAN (Huang et al., 2024, arXiv:2501.05441), whose γ, rates, β2, averages and
    augmentations all change so in a first part of training, the burn-in.

    Args:
        first: on step 0.
        last: from step `steps` on.
        steps: above 0.
    """
    # A traced one, of a sweep, was looked at before.
    if isinstance(steps, int | float) and steps <= 0:
        raise ValueError(f"cosine: steps is {steps}; it must be above 0.")

    def value(step):
        done = jnp.minimum(jnp.asarray(step, jnp.float32) / steps, 1)
        return first + (last - first) * (1 - jnp.cos(jnp.pi * done)) / 2

    return value


def half_life(images: Schedule, batch_size: int, ramp_up: float = 0.0) -> Schedule:
    """The decay of an average in which weights count half after so many images.

    As StyleGAN2's program has it (Karras et al., 2020, arXiv:1912.04958), for `ema`.

    Args:
        images: how many, a number or a function of the step; at 0 nothing is averaged.
        batch_size: images in a step.
        ramp_up: if above 0, the half-life is at most this part of the images seen, so
            that the average forgets the first weights: StyleGAN2-ADA's is 0.05.
    """
    if batch_size < 1:
        raise ValueError(f"half_life: batch_size is {batch_size}; it must be above 0.")
    if ramp_up < 0:
        raise ValueError(f"half_life: ramp_up is {ramp_up}; it must be 0 or more.")

    def decay(step):
        life = jnp.asarray(at(images, step), jnp.float32)
        if ramp_up:
            seen = jnp.asarray(step, jnp.float32) * batch_size
            life = jnp.minimum(life, ramp_up * seen)
        return jnp.exp2(-batch_size / jnp.maximum(life, 1e-8))

    return decay


def adam(
    learning_rate: Schedule, b1: Schedule = 0.9, b2: Schedule = 0.999, eps: float = 1e-8
) -> optax.GradientTransformation:
    """Adam whose betas may be schedules, too.

    The moments are corrected for their start at 0 by the betas of the step, as PyTorch
    does where a program sets new ones.

    Args:
        learning_rate: a number, or a function of the optimizer's count.
        b1: β1, likewise.
        b2: β2, likewise.
        eps: ε, added to the root of the second moment.
    """
    if callable(b1) or callable(b2):
        return optax.inject_hyperparams(optax.adam)(learning_rate, b1, b2, eps)
    return optax.adam(learning_rate, b1, b2, eps)
