"""Adversarial flow models of one step (Lin et al., 2025, arXiv:2511.22475v2).

G moves z, noise of the data's own shape, to data. The adversarial loss leaves open
where each z goes; the mean squared distance |G(z) - z|²/n, of a falling weight, draws G
to the map of least transport. D's gradient is divided by an average of its own size
before it enters G, so that the weight means the same for every D. There are no more
steps than one, no guidance and no repeated depth here.
"""

import jax
import jax.numpy as jnp
from jax import random

from jaxgan import axis, losses
from jaxgan.models.net import Net
from jaxgan.phases import carry, ema, share, update
from jaxgan.recipes.adversary import adversary
from jaxgan.recipes.base import from_noise, shared
from jaxgan.regularizers import Term, total
from jaxgan.types import Model, Schedule, at

__all__ = ["adversarial_flow", "centered", "differences"]


def adversarial_flow(
    G: Net,
    D: Net,
    *,
    shape: tuple[int, ...],
    g_tx,
    d_tx,
    transport: Schedule = 0.2,
    penalty: Schedule = 0.25,
    centering: float = 0.01,
    decay: float = 0.9,
    ema_decay: Schedule = 0.9999,
) -> Model:
    """A GAN whose G moves noise as little as it can.

    Args:
        G: `z [B, *shape] -> data [B, *shape]`.
        D: `data -> logits [B]`.
        shape: of an example, and of z, drawn from N(0, I).
        g_tx: G's optimizer; the paper's is AdamW of 1e-4 and (0, 0.9).
        d_tx: D's optimizer, likewise.
        transport: λ_ot, in the paper from 0.2 to 0.005 along half a cosine.
        penalty: λ_gp, of R1 and R2 by `differences`.
        centering: λ_cp, of (D(x) + D(G(z)))².
        decay: of the average by which D's gradient is divided.
        ema_decay: of G's averaged weights, per step.

    Returns:
        The GAN; batches need `image` float32 [B, *shape]. The metric `transport` is
        |G(z) - z|²/n.
    """
    latents = lambda key, n: axis.draw(random.normal, key, (n, *shape))  # noqa: E731
    terms = total(differences(penalty), centered(centering))
    judge = adversary(D, losses.relativistic_logistic, terms)

    def move(state, batch, key):
        z = latents(key, len(batch["image"]))
        return {"z": z, "fake": G(state, z)}

    moved = shared("moved", move)

    def d_loss(state, batch, key):
        on_z, on_judge = random.split(key)
        fake, keys = moved(state, batch, on_z)["fake"], (None, None, on_judge)
        return judge.d_loss(state, judge.judge(state, batch["image"], fake, keys=keys))

    def g_loss(state, batch, key):
        z, fake = (moved(state, batch, key)[name] for name in ("z", "fake"))

        def adversarial(fake):
            return judge.g_loss(judge.judge(state, batch["image"], fake))

        value, gradient = jax.value_and_grad(adversarial)(jax.lax.stop_gradient(fake))
        square = axis.mean(gradient.size * jnp.square(gradient).sum())
        square = decay * state.memory["gradient"] + (1 - decay) * square
        # Of the value of the loss, with the gradient divided in place of its own.
        toward = (gradient / (jnp.sqrt(square) + 1e-8) * fake).sum()
        distance = jnp.square(fake - z).mean()
        loss = value + toward - jax.lax.stop_gradient(toward)
        loss += at(transport, state.step) * distance
        return loss, {"g_loss": value, "transport": distance}, {"gradient": square}

    d_step = judge.keeping(update(D.name, d_loss, d_tx))
    g_step = carry("gradient", jnp.float32(0), update(G.name, g_loss, g_tx))
    phases = share("moved", G.name, move, d_step, g_step), ema(G.name, ema_decay)
    return from_noise(G, D, *phases, latents=latents, parts=(d_step, g_step))


def differences(weight: Schedule, step: float = 0.01, every: int = 4) -> Term:
    """λ (D(x + ε n) - D(x))² / ε², of one in `every` real images and fakes, n normal.

    On average λ |∇D|², R1 and R2 of γ = 2 λ, without a gradient's gradient (Lin et al.,
    2025, arXiv:2501.08316). `weight` is λ, `step` is ε. D must judge each image by
    itself, without BatchNorm and minibatch deviation.
    """

    def of(j, memory, t):
        sides = (j.real, j.real_logits), (j.fake, j.fake_logits)
        found = jnp.zeros(1)
        for key, (images, logits) in zip(random.split(j.key), sides, strict=True):
            x = axis.some(images, every)
            n = axis.draw(random.normal, key, x.shape, x.dtype)
            change = (j.D(x + step * n, None) - axis.some(logits, every)) / step
            found += jnp.square(change).mean()
        return at(weight, t) * found, memory

    return Term(of)


def centered(weight: float) -> Term:
    """λ (D(x) + D(G(z)))²: a relativistic loss leaves logits free to drift."""
    return Term(lambda j, m, t: (weight * (j.real_logits + j.fake_logits) ** 2, m))
