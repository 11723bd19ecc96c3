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
from jaxgan.models.net import Net
from jaxgan.phases import ema, share, update
from jaxgan.recipes.base import GAN, assemble, images


def codes(noise: int, categories: int = 10, continuous: int = 2) -> Callable:
    """`(key, n) -> z`: noise from N(0, I), a one-hot category, codes from U(-1, 1)."""

    def latents(key, n):
        on_noise, on_category, on_rest = random.split(key, 3)
        category = axis.draw(random.randint, on_category, (n,), 0, categories)
        rest = axis.draw(random.uniform, on_rest, (n, continuous)) * 2 - 1
        z = axis.draw(random.normal, on_noise, (n, noise))
        return jnp.concatenate([z, jax.nn.one_hot(category, categories), rest], -1)

    return latents


def information(said, z, categories: int, continuous: int):
    """log Q(c | x) + H(c) in nats, of the category and of the rest, each `[B]`.

    Of a continuous code Q is a normal of deviation 1, as in the authors' program.

    Args:
        said: what Q says, `[B, categories + continuous]`: logits, and means.
        z: `[B, Z]`; codes are its end: `categories` one-hot, `continuous` of U(-1, 1).
    """
    code, rest = jnp.split(z[:, -(categories + continuous) :], (categories,), -1)
    logits, mean = jnp.split(said, (categories,), -1)
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
    augment: Callable | None = None,
    ema_decay: float = 0.999,
) -> GAN:
    """A GAN with codes that mean something.

    Args:
        G: `z [B, noise + categories + continuous] -> images [B, H, W, C]`.
        D: `images -> (logits [B], what Q says [B, categories + continuous])`.
        g_tx: G's optimizer, an optax transform.
        d_tx: the optimizer of D and Q, which minimize both their losses in one step.
        noise, categories, continuous: how much of each is in z, as in `codes`.
        weight: λ of the category, and, smaller (section 4), of the continuous codes.
        loss: of the GAN's own game.
        augment: `(images, key, step) -> images`, what Q is shown of fakes. L_I stays a
            bound, since these tell no more of c than the fakes themselves.
        ema_decay: of G's averaged weights, per step.

    Returns:
        The GAN. The metrics `information` and `continuous` are L_I's parts, in nats.
    """
    latents = codes(noise, categories, continuous)

    def generate(state, batch, key):
        z = latents(key, len(batch["image"]))
        return G(state, z), z

    def judge(state, batch, key):
        on_z, on_fake = random.split(key)
        drawn, z = batch["fake"] if "fake" in batch else generate(state, batch, on_z)
        (real, _), (fake, said) = D(state, batch["image"]), D(state, drawn)
        if augment:
            _, said = D(state, augment(drawn, on_fake, state.step))
        category, rest = information(said, z, categories, continuous)
        worth = weight[0] * category + weight[1] * rest
        return real, fake, worth, {"information": category, "continuous": rest}

    def d_loss(state, batch, key):
        real, fake, worth, told = judge(state, batch, key)
        value = (loss.d(real, fake) - worth).mean()
        found = {"D(real)": loss.output(real), "D(fake)": loss.output(fake)}
        return value, {"d_loss": value} | told | found

    def g_loss(state, batch, key):
        real, fake, worth, _ = judge(state, batch, key)
        value = (loss.g(real, fake) - worth).mean()
        return value, {"g_loss": value}

    d_step, g_step = update(D.name, d_loss, d_tx), update(G.name, g_loss, g_tx)
    phases = share("fake", G.name, generate, d_step, g_step), ema(G.name, ema_decay)
    return assemble(G, D, *phases, alone=(d_step, g_step), inputs=(latents, images()))
