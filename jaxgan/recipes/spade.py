"""SPADE, or GauGAN (Park et al., 2019, arXiv:1903.07291): label maps to images.

The hinge loss of a multi-scale D, whose features of fakes should also match those of
real images (Wang et al., 2018, arXiv:1711.11585, equation 4). With an encoder, z comes
of the real image, and is kept near N(0, I) by a KL divergence (section 3.1).
"""

import jax.numpy as jnp

from jaxgan import losses
from jaxgan.models.net import Net
from jaxgan.phases import ema, share, update
from jaxgan.recipes.base import normal
from jaxgan.recipes.translator import Translator, assemble
from jaxgan.tasks import Task


def spade(
    G: Net,
    D: Net,
    task: Task,
    *,
    latent_dim: int,
    g_tx,
    d_tx,
    encoder: Net | None = None,
    loss: losses.AdversarialLoss = losses.hinge,
    matching: float = 10.0,
    divergence: float = 0.001,
    ema_decay: float = 0.999,
) -> Translator:
    """A GAN from label maps, and noise, to images.

    Args:
        G: `(z [B, latent_dim], map [B, H, W, K]) -> images [B, H, W, C]`.
        D: `(images, map) -> ([logits], [features])`, as `models.pix2pix.MultiScale`.
        task: `tasks.of_maps`.
        latent_dim: the dimension of z.
        g_tx: the optimizer of G and of the encoder.
        d_tx: D's optimizer.
        encoder: `images -> (mean, log variance)` of z, which gives the translator its
            `styled`; without, z is noise in training too.
        loss: what D and G minimize.
        matching: weight of the features' distance, summed over D's layers, the mean
            over its scales.
        divergence: weight of the encoder's KL divergence, summed over z. With the
            paper's 0.05, or a tenth of it, small networks took no notice of z.
        ema_decay: of the averaged weights of G and of the encoder, per step.
    """
    latents = normal(latent_dim)

    def generate(state, batch, key):
        z, kl = latents(key, len(batch["given"])), jnp.float32(0)
        if encoder:
            mean, log_variance = encoder(state, batch["target"])
            z = mean + jnp.exp(log_variance / 2) * z
            squares = mean**2 + jnp.exp(log_variance) - 1 - log_variance
            kl = squares.sum(1).mean() / 2
        return G(state, z, batch["given"]), kl

    def judge(state, batch):
        fake, _ = batch["fake"]
        given = batch["given"]
        return D(state, batch["target"], given), D(state, fake, given)

    def over_scales(term, real, fake, scales):
        terms = [term(r, f).mean() for r, f in zip(real, fake, strict=True)]
        return sum(terms) / scales

    def d_loss(state, batch, key):
        (real, _), (fake, _) = judge(state, batch)
        value = over_scales(loss.d, real, fake, len(real))
        return value, {"d_loss": value}

    def g_loss(state, batch, key):
        (real, seen), (fake, drawn) = judge(state, batch)
        value = over_scales(loss.g, real, fake, len(real))
        away = over_scales(lambda r, f: jnp.abs(r - f), seen, drawn, len(real))
        _, kl = batch["fake"]
        total = value + matching * away + divergence * kl
        found = {"g_loss": value, "matching": away}
        return total, found | ({"kl": kl} if encoder else {})

    drawers = (G, encoder) if encoder else (G,)
    names = tuple(net.name for net in drawers)
    d_step, g_step = update(D.name, d_loss, d_tx), update(names, g_loss, g_tx)
    both = share("fake", names, generate, d_step, g_step)

    def inputs(batch):
        z = jnp.zeros((len(batch["given"]), latent_dim))
        found = {G.name: (z, batch["given"]), D.name: (batch["target"], batch["given"])}
        return found | ({encoder.name: (batch["target"],)} if encoder else {})

    def averaged(net, state, *inputs):
        return net.apply(state.ema[net.name], state.stats[net.name], *inputs)[0]

    def translate(state, given, key):
        return averaged(G, state, latents(key, len(given)), given)

    def styled(state, given, style):
        mean, _ = averaged(encoder, state, style)
        return averaged(G, state, mean, given)

    phases = both, *(ema(name, ema_decay) for name in names)
    of = {"task": task, "inputs": inputs, "translate": translate}
    translator = assemble((*drawers, D), *phases, **of)
    return translator._replace(styled=styled) if encoder else translator
