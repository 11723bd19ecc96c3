"""Adversarial flow models of one step (Lin et al., 2025, arXiv:2511.22475), of images.

    python experiments/adversarial_flow.py stacked_mnist
    python experiments/adversarial_flow.py emoji

z is an image of noise, which G moves as little as it can. Both networks are DCGAN's,
where the paper has transformers: G begins with a dense layer over all of z, so each
pixel can depend on each number of it (a U-Net collapses on emoji), and D has no
normalization. Optimizers are Adam, in place of AdamW.
"""

import dataclasses

import jax.numpy as jnp

from jaxgan import models, recipes, run, schedules
from jaxgan.run import presets
from jaxgan.run.settings import Count, Number
from jaxgan.types import Model


@dataclasses.dataclass(frozen=True)
class Networks:
    """The networks."""

    g_width: Count = 32
    """Channels of G's last hidden layer; each smaller stage has twice as many."""
    g_norm: bool = True
    """BatchNorm in G."""
    d_width: Count = 32
    """Channels of D's first layer; each smaller stage has twice as many."""


@dataclasses.dataclass(frozen=True)
class Adversary:
    """What D and G play."""

    transport: Number = 0.2
    """λ_ot of |G(z) - z|²/n, at first; it falls to `last_transport`."""
    last_transport: Number = 0.005
    """From step `transport_steps` on."""
    transport_steps: Count = 4000
    """Steps in which it falls, along half a cosine."""
    penalty: Number = 0.25
    """λ_gp of R1 and R2 by differences; 0.25 is about R1 and R2 of γ = 0.5."""


@dataclasses.dataclass(frozen=True)
class Config(run.Config):
    """An adversarial flow."""

    networks: Networks = Networks()
    adversary: Adversary = Adversary()
    optimizers: presets.Optimizers = presets.Optimizers(
        g_lr=5e-4, d_lr=5e-4, beta1=0.0, beta2=0.99
    )


EMOJI = run.changed(
    Config(),
    data="emoji",
    resize="32",
    flip=True,
    steps=8000,
    batch_size=32,
    sample_every=1000,
    checkpoint_every=1000,
)
PRESETS = {
    "stacked_mnist": run.changed(
        EMOJI,
        data="stacked_mnist",
        resize=None,
        flip=False,
        steps=16000,
        batch_size=64,
        g_norm=False,
        transport_steps=8000,
        decay_until=16000,
        ema_decay=0.9995,
        evaluate_every=4000,
        evaluate_num=25600,
        evaluate_metrics=("classes",),
    ),
    "emoji": EMOJI,
}


def build(cfg: Config, shape, num_classes) -> Model:
    nets, play, tx = cfg.networks, cfg.adversary, cfg.optimizers
    dtype = jnp.dtype(cfg.dtype)
    G, _ = models.dcgan.networks(
        shape, nets.g_width, dtype=dtype, norm=(nets.g_norm, False)
    )
    _, D = models.dcgan.networks(shape, nets.d_width, dtype=dtype, norm=(True, False))
    g_tx, d_tx = presets.adams(tx, cfg.steps)
    ends = play.transport, play.last_transport
    return recipes.adversarial_flow(
        models.flax_net("G", G),
        models.flax_net("D", D),
        shape=tuple(shape),
        g_tx=g_tx,
        d_tx=d_tx,
        transport=schedules.cosine(*ends, play.transport_steps),
        penalty=play.penalty,
        ema_decay=tx.ema_decay,
    )


if __name__ == "__main__":
    run.main(PRESETS, build)
