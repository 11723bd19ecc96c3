"""InfoGAN (Chen et al., 2016, arXiv:1606.03657).

Part of z is codes c that the image must tell: G and Q, a second head on D's trunk,
maximize the bound L_I = E log Q(c | G(z, c)) + H(c) on their mutual information
(eq. 5), with a weight λ beside the GAN's own game (eq. 6).
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import random

from jaxgan import axis, losses
from jaxgan.augment import Augmentation
from jaxgan.models.net import Net
from jaxgan.phases import ema, share, update
from jaxgan.recipes.adversary import adversary
from jaxgan.recipes.base import from_noise, shared
from jaxgan.regularizers import Term
from jaxgan.types import Model, Schedule

__all__ = ["codes", "infogan", "mutual_information"]


def codes(noise: int, categories: int = 10, continuous: int = 2) -> Callable:
    """`(key, n) -> z`: noise from N(0, I), a one-hot category, codes from U(-1, 1)."""

    def latents(key, n):
        on_noise, on_category, on_rest = random.split(key, 3)
        category = axis.draw(random.randint, on_category, (n,), 0, categories)
        rest = axis.draw(random.uniform, on_rest, (n, continuous)) * 2 - 1
        z = axis.draw(random.normal, on_noise, (n, noise))
        return jnp.concatenate([z, jax.nn.one_hot(category, categories), rest], -1)

    return latents


def mutual_information(predicted, z, categories: int, continuous: int):
    """log Q(c | x) + H(c) in nats, of the category and of the rest, each `[B]`.

    Their means bound the codes' mutual information with images from below. Of a
    continuous code Q is a normal of deviation 1, as in the authors' program.

    Args:
        predicted: Q's output, `[B, categories + continuous]`: logits, and means.
        z: `[B, Z]`; codes are its end: `categories` one-hot, `continuous` of U(-1, 1).
    """
    code, rest = jnp.split(z[:, -(categories + continuous) :], (categories,), -1)
    logits, mean = jnp.split(predicted, (categories,), -1)
    category = (code * jax.nn.log_softmax(logits)).sum(-1) + math.log(categories)
    normal = math.log(2) - ((rest - mean) ** 2 + math.log(2 * math.pi)) / 2
    return category, normal.sum(-1)


def infogan(
    G: Net,
    D: Net,
    *,
    g_tx,
    d_tx,
    noise: int = 62,
    categories: int = 10,
    continuous: int = 2,
    weight: tuple[float, float] = (1.0, 0.1),
    loss: losses.AdversarialLoss = losses.nonsaturating,
    penalty: Term | None = None,
    augment: Augmentation | None = None,
    ema_decay: Schedule = 0.999,
) -> Model:
    """A GAN with codes that mean something.

    Args:
        G: `z [B, noise + categories + continuous] -> images [B, H, W, C]`.
        D: `images -> (logits [B], Q's output [B, categories + continuous])`.
        g_tx: G's optimizer, an optax transform.
        d_tx: the optimizer of D and Q, which minimize both their losses in one step.
        noise, categories, continuous: how much of each is in z, as in `codes`.
        weight: λ of the category, and, smaller (section 4), of the continuous codes.
        loss: of the GAN's own game.
        penalty: added to D's loss.
        augment: what Q alone is shown in place of fakes; one without memory. L_I stays
            a bound, since these tell no more of c than the fakes themselves.
        ema_decay: of G's averaged weights, per step.

    Returns:
        The GAN. Of the metrics, `category_information` and `continuous_information` are
        L_I's parts, in nats; `info_loss` is what they add to D's loss, -λ L_I.

    Raises:
        ValueError: `augment` adapts to D's logits, which Q has none of.
    """
    if augment and jax.tree.leaves(augment.memory):
        raise ValueError("infogan: augment adapts to D, but what it shows is for Q.")
    latents = codes(noise, categories, continuous)
    judge = adversary(D, loss, penalty, logits=lambda output: output[0])

    def generate(state, batch, key):
        z = latents(key, len(batch["image"]))
        return G(state, z), z

    fakes = shared("fake", generate)

    def verdict(state, batch, key):
        on_z, on_q, *keys = random.split(key, 5)
        drawn, z = fakes(state, batch, on_z)
        seen = judge.judge(state, batch["image"], drawn, keys=keys)
        _, predicted = seen.fake
        if augment:
            shown = augment.of(drawn, on_q, state.step, augment.memory)
            _, predicted = D(state, shown)
        category, rest = mutual_information(predicted, z, categories, continuous)
        info_loss = -(weight[0] * category + weight[1] * rest)
        bounds = {"category_information": category, "continuous_information": rest}
        return seen, info_loss, bounds

    def d_loss(state, batch, key):
        seen, info_loss, bounds = verdict(state, batch, key)
        value, metrics, memory = judge.d_loss(state, seen)
        value = value + info_loss.mean()
        metrics |= {"d_loss": value, "info_loss": info_loss} | bounds
        return value, metrics, memory

    def g_loss(state, batch, key):
        seen, info_loss, _ = verdict(state, batch, key)
        value = judge.g_loss(seen) + info_loss.mean()
        return value, {"g_loss": value}

    d_step = judge.keeping(update(D.name, d_loss, d_tx))
    g_step = update(G.name, g_loss, g_tx)
    phases = share("fake", G.name, generate, d_step, g_step), ema(G.name, ema_decay)
    return from_noise(
        G,
        D,
        *phases,
        latents=latents,
        parts=(d_step, g_step),
        logits=lambda output: output[0],
    )
