"""The classic GANs on MNIST, by name.

    python experiments/gan_mnist.py wgan_gp
    python experiments/gan_mnist.py wgan_gp sample --out digits.png
    python experiments/gan_mnist.py wgan_gp --n-critic 1 --r1 1 --workdir runs/mine

A name is a set of options, each paper's loss, penalty and schedule with DCGAN's
networks; options after it change it, and any may be combined.
"""

import dataclasses
from typing import Literal

import jax.numpy as jnp
import optax

from jaxgan import augment, losses, models, recipes
from jaxgan import regularizers as reg
from jaxgan.models import spectral
from jaxgan.run import cli, config
from jaxgan.types import UsageError

LOSSES = {
    "nonsaturating": losses.nonsaturating,
    "minimax": losses.minimax,
    "one_sided": losses.one_sided(),
    "least_squares": losses.least_squares,
    "wasserstein": losses.wasserstein,
    "hinge": losses.hinge,
    "relativistic_logistic": losses.relativistic_logistic,
    "relativistic_least_squares": losses.relativistic_least_squares,
    "relativistic_hinge": losses.relativistic_hinge,
}
Loss = Literal[tuple(LOSSES)]
PENALTIES = {
    "r1": reg.r1,
    "r2": reg.r2,
    "wgan_gp": reg.wgan_gp,
    "dragan": reg.dragan,
    "lecam": reg.lecam_penalty,
    "consistency": lambda weight: reg.consistency(SHIFT, weight, weight),
}
SHIFT = augment.diff_augment(augment.translation)
Norm = Literal["batch", "none", "spectral"]
AUGMENTS = {
    "none": None,
    "diff_augment": augment.diff_augment(augment.translation, augment.cutout),
    "instance_noise": augment.instance_noise(steps=2000),
}
OPTIMIZERS = {
    "adam": optax.adam,
    "rmsprop": lambda rate, beta1, beta2: optax.rmsprop(rate, beta2, momentum=beta1),
}


@dataclasses.dataclass(frozen=True)
class Config(config.Config):
    """A GAN of DCGAN's networks on MNIST, or on any images."""

    steps: int = 2000
    """How many updates of D, in all."""
    g_width: int = 32
    """Channels of G's last hidden layer; each smaller stage has twice as many."""
    d_width: int = 32
    """Channels of D's first layer; each smaller stage has twice as many."""
    latent_dim: int = 100
    """Dimension of the noise z."""
    loss: Loss = "nonsaturating"
    """What D and G minimize."""
    r1: float = 0.0
    """γ of R1, |∇D|² at real images; 0 is without, as with all penalties."""
    r2: float = 0.0
    """γ of R2, |∇D|² at fakes."""
    wgan_gp: float = 0.0
    """λ of (|∇D| - 1)² between real images and fakes."""
    dragan: float = 0.0
    """λ of (|∇D| - 1)² around real images."""
    lecam: float = 0.0
    """λ of LeCam."""
    consistency: float = 0.0
    """λ of consistency under shifts of up to an eighth."""
    n_critic: int = 1
    """Updates of D for each of G."""
    clip: float = 0.0
    """D's weights are clipped to ± this; 0 is without."""
    d_norm: Norm = "batch"
    """D's normalization; penalties of its gradient need "none" or "spectral"."""
    g_norm: Norm = "batch"
    """G's normalization."""
    augment: Literal[tuple(AUGMENTS)] = "none"
    """What is done to what D is shown, real and fake; instance noise fades to nothing
    in 2,000 steps."""
    pack: int = 1
    """How many images D judges at once."""
    optimizer: Literal[tuple(OPTIMIZERS)] = "adam"
    """Of both networks."""
    g_lr: float = 1e-3
    """G's learning rate."""
    d_lr: float = 1e-3
    """D's learning rate."""
    decay_steps: int = 0
    """Steps in which the learning rates fall to 0 along a line; 0: they do not."""
    beta1: float = 0.5
    """Adam's decay of the gradient's mean; RMSProp's momentum."""
    beta2: float = 0.999
    """The decay of the gradient's mean square."""
    ema_decay: float = 0.999
    """Of the averaged weights that samples are drawn with, per update of G."""


def critic(**options) -> Config:
    """A Wasserstein critic."""
    return Config(loss="wasserstein", n_critic=5, ema_decay=0.99, **options)


def alone(**options) -> Config:
    """A D that judges each image by itself, for penalties of its gradient there."""
    return Config(d_norm="none", **options)


GANS = {
    "gan": Config(),
    "smoothing": Config(loss="one_sided"),
    "lsgan": Config(loss="least_squares"),
    "hinge": Config(loss="hinge"),
    "wgan": critic(clip=0.02, optimizer="rmsprop", g_lr=2e-3, beta1=0.0, beta2=0.9),
    "wgan_gp": critic(wgan_gp=10.0, d_norm="none", beta1=0.0, beta2=0.9),
    "dragan": alone(dragan=10.0),
    "sngan": Config(loss="hinge", d_norm="spectral", beta1=0.0, beta2=0.9),
    "r1": alone(r1=1.0),
    "rpgan": Config(loss="relativistic_logistic"),
    "r3gan": alone(loss="relativistic_logistic", r1=1.0, r2=1.0),
    "pacgan": Config(pack=2),
    "lecam": Config(lecam=0.3),
    "bcr": Config(consistency=10.0),
    "diff_augment": Config(augment="diff_augment"),
    "instance_noise": Config(augment="instance_noise"),
}


def build(cfg: Config, shape, num_classes) -> recipes.GAN:
    norm = cfg.g_norm == "batch", cfg.d_norm == "batch"
    more = {"dtype": jnp.dtype(cfg.dtype), "norm": norm}
    G, _ = models.dcgan.networks(shape, cfg.g_width, **more)
    _, D = models.dcgan.networks(shape, cfg.d_width, **more)
    return recipe(cfg, models.flax_net("G", G), models.flax_net("D", D))


def recipe(cfg: Config, G, D, num_classes: int = 0) -> recipes.GAN:
    """The GAN of two networks that the options ask for."""
    chosen = {n: getattr(cfg, n) for n in PENALTIES if getattr(cfg, n)}
    for name in sorted(chosen.keys() - {"lecam", "consistency"}):
        what = f"{config.flag(name)} {chosen[name]} is of D's gradient at each image"
        if cfg.d_norm == "batch":
            raise UsageError(
                f"{what}, which BatchNorm mixes; give --d-norm none or spectral."
            )
        if cfg.pack > 1:
            raise UsageError(f"{what}, which --pack {cfg.pack} mixes; leave one out.")
    if cfg.pack > 1 and num_classes:
        raise UsageError(f"--pack {cfg.pack} images have no one label; leave it out.")
    if 0 < cfg.decay_steps < cfg.steps:
        raise UsageError(
            f"--decay-steps {cfg.decay_steps} leaves a learning rate of 0 before "
            f"--steps {cfg.steps}; give as many, or 0."
        )
    if cfg.batch_size % max(cfg.pack, 1):
        raise UsageError(
            f"--pack {cfg.pack} must divide --batch-size {cfg.batch_size}."
        )
    if cfg.g_norm == "spectral":
        G = spectral.normalized(G)
    if cfg.d_norm == "spectral":
        D = spectral.normalized(D)
    if cfg.pack > 1:
        D = models.packed(D, cfg.pack)

    def optimizer(rate, updates):
        if cfg.decay_steps:
            rate = optax.linear_schedule(rate, 0.0, updates)
        return OPTIMIZERS[cfg.optimizer](rate, cfg.beta1, cfg.beta2)

    penalties = [PENALTIES[name](weight) for name, weight in chosen.items()]
    return recipes.gan(
        G,
        D,
        latent_dim=cfg.latent_dim,
        g_tx=optimizer(cfg.g_lr, -(-cfg.decay_steps // cfg.n_critic)),
        d_tx=optimizer(cfg.d_lr, cfg.decay_steps),
        loss=LOSSES[cfg.loss],
        penalty=reg.total(*penalties) if penalties else None,
        n_critic=cfg.n_critic,
        clip=cfg.clip or None,
        augment=AUGMENTS[cfg.augment],
        num_classes=num_classes,
        ema_decay=cfg.ema_decay,
    )


if __name__ == "__main__":
    cli.main(Config, build, named=GANS)
