"""Adversarial flow models of one step (Lin et al., 2025, arXiv:2511.22475), of images.

    python experiments/adversarial_flow.py emoji
    python experiments/adversarial_flow.py stacked_mnist

z is an image of noise, which G moves as little as it can. G is a U-Net here, and D
DCGAN's without normalization, where the paper has transformers; optimizers are Adam.
"""

import dataclasses

import jax.numpy as jnp
import optax

from jaxgan import models, recipes, run, schedules
from jaxgan.run.settings import Count, Fraction, Number
from jaxgan.types import Model


@dataclasses.dataclass(frozen=True)
class Networks:
    """The networks."""

    g_width: Count = 32
    """Channels of the U-Net's first stage; each further one has twice as many."""
    d_width: Count = 32
    """Channels of D's first stage, likewise."""


@dataclasses.dataclass(frozen=True)
class Adversary:
    """What D and G play."""

    transport: Number = 0.2
    """λ_ot of |G(z) - z|², at first; it falls to `last_transport`."""
    last_transport: Number = 0.005
    """After half of the steps."""
    penalty: Number = 0.25
    """λ_gp of R1 and R2 by differences; 0.25 is about R1 and R2 of γ = 0.5."""


@dataclasses.dataclass(frozen=True)
class Optimizers:
    """Adam for both networks, and the average of G's weights."""

    lr: Number = 5e-4
    """The learning rate."""
    beta1: Fraction = 0.0
    """Adam's decay of the gradient's mean."""
    beta2: Fraction = 0.99
    """Adam's decay of the squared gradient's mean."""
    ema_decay: Fraction = 0.999
    """Of G's averaged weights, per step."""


@dataclasses.dataclass(frozen=True)
class Config(run.Config):
    """An adversarial flow."""

    networks: Networks = Networks()
    adversary: Adversary = Adversary()
    optimizers: Optimizers = Optimizers()


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
    "emoji": EMOJI,
    "stacked_mnist": run.changed(
        EMOJI,
        data="stacked_mnist",
        resize=None,
        flip=False,
        steps=4000,
        batch_size=64,
        evaluate_every=2000,
        evaluate_num=25600,
        evaluate_metrics=("classes",),
    ),
}


def build(cfg: Config, shape, num_classes) -> Model:
    nets, play, tx = cfg.networks, cfg.adversary, cfg.optimizers
    dtype = jnp.dtype(cfg.dtype)
    G = models.pix2pix.UNet(
        shape[-1], nets.g_width, norm="batch", dropout=0.0, dtype=dtype
    )
    _, D = models.dcgan.networks(shape, nets.d_width, dtype=dtype, norm=(True, False))
    g_tx, d_tx = (optax.adam(tx.lr, tx.beta1, tx.beta2) for _ in "GD")
    return recipes.adversarial_flow(
        models.flax_net("G", G),
        models.flax_net("D", D),
        shape=tuple(shape),
        g_tx=g_tx,
        d_tx=d_tx,
        transport=schedules.cosine(play.transport, play.last_transport, cfg.steps / 2),
        penalty=play.penalty,
        ema_decay=tx.ema_decay,
    )


if __name__ == "__main__":
    run.main(PRESETS, build)
