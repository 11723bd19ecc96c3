"""Consensus optimization (Mescheder, Nowozin and Geiger, 2017, arXiv:1705.10461).

D and G descend at once, each its own loss plus γ times ½ |v|², where v are the
gradients of both (algorithm 2): equilibria stay where they are, and attract.
"""

from jaxgan import games, losses
from jaxgan.models.net import Net
from jaxgan.phases import ema, together, update
from jaxgan.recipes.adversary import adversary
from jaxgan.recipes.base import from_noise, generator, players
from jaxgan.tasks import noise, normal
from jaxgan.types import Model, Schedule

__all__ = ["consensus"]


def consensus(
    G: Net,
    D: Net,
    *,
    latent_dim: int,
    g_tx,
    d_tx,
    weight: Schedule = 10.0,
    loss: losses.AdversarialLoss = losses.nonsaturating,
    ema_decay: Schedule = 0.999,
) -> Model:
    """A GAN whose players agree on small gradients.

    Args:
        G: `z [B, latent_dim] -> images [B, H, W, C]`, or points.
        D: `images -> logits [B]`.
        latent_dim: the dimension of z, drawn from N(0, I).
        g_tx: G's optimizer, an optax transform.
        d_tx: D's optimizer.
        weight: γ, 10 in the paper's image experiments, with RMSProp of 1e-4.
        loss: what D and G minimize.
        ema_decay: of G's averaged weights, per step.

    Returns:
        The GAN; batches need `image` float32 [B, ...]. The metric `consensus` is
        ½ |v|².
    """
    latents, judge = normal(latent_dim), adversary(D, loss)
    task = noise(latents)
    d_loss, g_loss = players(judge, generator(G, task), task)
    agreed = games.consensus(weight, {D.name: d_loss, G.name: g_loss})
    d_step = update(D.name, agreed[D.name], d_tx)
    g_step = update(G.name, agreed[G.name], g_tx)
    phases = together(d_step, g_step), ema(G.name, ema_decay)
    return from_noise(
        G, D, *phases, latents=latents, normal=True, parts=(d_step, g_step)
    )
