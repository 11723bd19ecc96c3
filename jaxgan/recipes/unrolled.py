"""Unrolled GAN (Metz et al., 2017, arXiv:1611.02163).

G minimizes its loss against the D that D would become in some more steps (eq. 8), and
its gradient goes through those steps (eq. 11): it sees how D will answer, and does not
run after one mode. Steps are pure functions, so this is D's own step inside G's loss.
Whoever differentiates steps, of any recipe, needs optimizers that have a gradient: that
of Adam's square root is infinite at 0, so give `optax.adam(..., eps_root=1e-8)`.
"""

from jax import lax, random

from jaxgan import losses
from jaxgan.models.net import Net
from jaxgan.phases import ema, update
from jaxgan.recipes.adversary import adversary
from jaxgan.recipes.base import from_noise, generator, players
from jaxgan.tasks import noise, normal
from jaxgan.types import Model, Schedule

__all__ = ["unrolled"]


def unrolled(
    G: Net,
    D: Net,
    *,
    latent_dim: int,
    g_tx,
    d_tx,
    steps: int = 5,
    loss: losses.AdversarialLoss = losses.nonsaturating,
    ema_decay: Schedule = 0.999,
) -> Model:
    """A GAN whose G looks ahead.

    Args:
        G: `z [B, latent_dim] -> images [B, H, W, C]`, or points.
        D: `images -> logits [B]`.
        latent_dim: the dimension of z, drawn from N(0, I).
        g_tx: G's optimizer, an optax transform.
        d_tx: D's optimizer, also in the steps ahead, and differentiated: Adam needs an
            `eps_root` above 0, or weights without gradient make G's NaN, such as the
            last bias with a relativistic loss, which it does not change.
        steps: K, how many steps ahead; 0 is the GAN that does not look.
        loss: what D and G minimize.
        ema_decay: of G's averaged weights, per step.

    Returns:
        The GAN; batches need `image` float32 [B, ...].
    """
    latents, judge = normal(latent_dim), adversary(D, loss)
    task = noise(latents)
    d_loss, blind = players(judge, generator(G, task), task)
    d_step = update(D.name, d_loss, d_tx)

    def g_loss(state, batch, key):
        here, ahead = random.split(key)

        def one(state, key):
            return d_step.step(state, batch, key)[0], None

        later, _ = lax.scan(one, state, random.split(ahead, steps))
        return blind(later, batch, here)

    g_step = update(G.name, g_loss, g_tx)
    phases = d_step, g_step, ema(G.name, ema_decay)
    return from_noise(
        G, D, *phases, latents=latents, normal=True, parts=(d_step, g_step)
    )
