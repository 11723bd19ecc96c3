"""The classic GANs: a loss, penalties, a schedule, and what D is shown.

Options of `gan_mnist.py`, `gan_cifar10.py` and `stacked_mnist.py`, and the GAN that
they make of two networks.
"""

import dataclasses
from collections.abc import Callable
from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp
import optax

from jaxgan import augment, losses, models, recipes
from jaxgan import regularizers as reg
from jaxgan.models import spectral
from jaxgan.run import config
from jaxgan.run.idle import Only
from jaxgan.run.presets import projected
from jaxgan.run.presets.shown import AUGMENTS, Ada
from jaxgan.run.settings import FILE, FREE, Count, Fraction, Index, Number
from jaxgan.types import Model, UsageError

__all__ = [
    "AUGMENTS",
    "LOSSES",
    "OPTIMIZERS",
    "PENALTIES",
    "Ada",
    "Adversary",
    "Config",
    "Networks",
    "Optimizers",
    "asked",
    "build",
    "conditional",
    "recipe",
]

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
    "relativistic_average_logistic": losses.relativistic_average_logistic,
    "relativistic_average_least_squares": losses.relativistic_average_least_squares,
    "relativistic_average_hinge": losses.relativistic_average_hinge,
}
SHIFT = augment.diff_augment(augment.translation)
PENALTIES: dict[str, Any] = {
    "r1": lambda play: reg.r1(play.r1),
    "r2": lambda play: reg.r2(play.r2),
    "wgan_gp": lambda play: reg.wgan_gp(play.wgan_gp, play.gp_target, play.one_sided),
    "dragan": lambda play: reg.dragan(play.dragan),
    "lecam": lambda play: reg.lecam_penalty(play.lecam, start=play.lecam_start),
    "consistency": lambda play: reg.consistency(SHIFT, *[play.consistency] * 2),
}
OPTIMIZERS: dict[str, Any] = {
    "adam": optax.adam,
    "rmsprop": lambda rate, beta1, beta2: optax.rmsprop(rate, beta2, momentum=beta1),
}
Norm = Literal["batch", "none", "spectral"]


@dataclasses.dataclass(frozen=True)
class Networks:
    """The networks."""

    g_width: Count = 32
    """Channels of G's last hidden layer; each smaller stage has twice as many."""
    d_width: Count = 32
    """Channels of D's first layer; each smaller stage has twice as many."""
    latent_dim: Count = 100
    """Dimension of the noise z."""
    d_norm: Norm = "batch"
    """D's normalization; penalties of its gradient need "none" or "spectral". ResNets'
    D has "none" or "spectral". With --d-features it is "batch", beside spectral norm,
    or "spectral" alone."""
    d_features: Literal[tuple(projected.FEATURES)] = "none"  # type: ignore[valid-type]  # of the table
    """Projected GAN: D sees images by a frozen network, at several scales; a bank of
    filters, the classifier of 28x28 digits, VGG-19 or Inception. Evaluations are by
    another one, if there is one. D's width is that of the mixed features, 64 in the
    paper; images have no labels for it."""
    d_weights: Annotated[str | None, FREE, FILE] = None
    """For vgg torchvision's file vgg19-dcbb9e9d.pth, for inception
    weights-inception-2015-12-05-6726825d.pth. It must stay where it is: the run's other
    commands read it, too."""
    g_norm: Norm = "batch"
    """G's normalization. ResNets' G has BatchNorm, and beside it maybe "spectral"."""
    pack: Count = 1
    """How many images D judges at once."""


@dataclasses.dataclass(frozen=True)
class Adversary:
    """What D and G play."""

    loss: Literal[tuple(LOSSES)] = "nonsaturating"  # type: ignore[valid-type]  # of the table
    """What D and G minimize."""
    r1: Number = 0.0
    """γ of R1, |∇D|² at real images; 0 is without, as with all penalties."""
    r2: Number = 0.0
    """γ of R2, |∇D|² at fakes."""
    wgan_gp: Number = 0.0
    """λ of (|∇D| - 1)² between real images and fakes."""
    gp_target: Annotated[Number, Only("wgan_gp")] = 1.0
    """What |∇D| is to be there, in place of 1."""
    one_sided: Annotated[bool, Only("wgan_gp")] = False
    """There, only |∇D| above the target is penalized."""
    dragan: Number = 0.0
    """λ of (|∇D| - 1)² around real images."""
    lecam: Number = 0.0
    """λ of LeCam."""
    lecam_start: Annotated[Index, Only("lecam")] = 1000
    """The step up to which there is no LeCam; its anchors are averaged from there."""
    consistency: Number = 0.0
    """λ of consistency under shifts of up to an eighth."""
    n_critic: Count = 1
    """Updates of D for each of G."""
    clip: Number = 0.0
    """D's weights are clipped to ± this; 0 is without."""
    augment: Literal[tuple(AUGMENTS)] = "none"  # type: ignore[valid-type]  # of the table
    """What is done to what D is shown, real and fake; instance noise fades to nothing
    in 2,000 steps, and ADA has options of its own."""


@dataclasses.dataclass(frozen=True)
class Optimizers:
    """The optimizers, and the average of G's weights."""

    optimizer: Literal[tuple(OPTIMIZERS)] = "adam"  # type: ignore[valid-type]  # of the table
    """Of both networks."""
    g_lr: Number = 1e-3
    """G's learning rate."""
    d_lr: Number = 1e-3
    """D's learning rate."""
    decay_steps: Index = 0
    """Steps in which the learning rates fall to 0 along a line; 0: they do not."""
    beta1: Fraction = 0.5
    """Adam's decay of the gradient's mean; RMSProp's momentum."""
    beta2: Fraction = 0.999
    """The decay of the gradient's mean square."""
    ema_decay: Fraction = 0.999
    """Of the averaged weights that samples are drawn with, per update of G."""


@dataclasses.dataclass(frozen=True)
class Config(config.Config):
    """A GAN of DCGAN's networks on MNIST, or on any images."""

    networks: Networks = Networks()
    adversary: Adversary = Adversary()
    ada: Ada = Ada()
    optimizers: Optimizers = Optimizers()


def build(cfg: Config, shape, num_classes) -> Model:
    """A GAN of DCGAN's networks, without labels."""
    return conditional(cfg, shape, 0)


def conditional(
    cfg: Config, shape, num_classes: int, class_weight: float = 0.0
) -> Model:
    """The same that is given labels, unless there are no classes.

    With a weight of the class loss it is an AC-GAN: D tells classes, and is not told.
    """
    nets = cfg.networks
    norm = nets.g_norm == "batch", nets.d_norm == "batch"
    tells = asked(class_weight)
    told, dtype = 0 if tells else num_classes, jnp.dtype(cfg.dtype)
    G, _ = models.dcgan.networks(shape, nets.g_width, num_classes, dtype, norm=norm)
    _, D = models.dcgan.networks(shape, nets.d_width, told, dtype, norm=norm)
    D = D.clone(outputs=num_classes) if tells else D
    both = models.flax_net("G", G), models.flax_net("D", D)
    return recipe(cfg, *both, num_classes, class_weight)


def recipe(
    cfg: Config,
    G,
    D,
    num_classes: int = 0,
    class_weight: float = 0.0,
    g_penalty: Callable | None = None,
) -> Model:
    """The GAN that the options describe, of two networks.

    Args:
        cfg: the options.
        G: the generator.
        D: the discriminator, with an output for each class where it tells them; in
            its place there is another with `d_features`.
        num_classes: that G is given, and D too unless it tells them.
        class_weight: of the class loss of AC-GAN, where D tells classes.
        g_penalty: of G's weights, as `recipes.gan` takes it; not with AC-GAN.

    Raises:
        UsageError: options do not go together.
    """
    nets, play, tx = cfg.networks, cfg.adversary, cfg.optimizers
    weights = {name: getattr(play, name) for name in PENALTIES}
    weights = {name: weight for name, weight in weights.items() if asked(weight)}
    _check(cfg, weights, num_classes, asked(class_weight))
    if nets.g_norm == "spectral":
        G = spectral.normalized(G)
    if nets.d_features != "none":
        D = projected.discriminator(nets, jnp.dtype(cfg.dtype))
    elif nets.d_norm == "spectral":
        D = spectral.normalized(D)
    if nets.pack > 1:
        D = models.packed(D, nets.pack)

    def optimizer(rate, updates):
        if tx.decay_steps:
            rate = optax.linear_schedule(rate, 0.0, updates)
        return OPTIMIZERS[tx.optimizer](rate, tx.beta1, tx.beta2)

    penalties = [PENALTIES[name](play) for name in weights]
    common: dict[str, Any] = {
        "latent_dim": nets.latent_dim,
        "g_tx": optimizer(tx.g_lr, -(-tx.decay_steps // play.n_critic)),
        "d_tx": optimizer(tx.d_lr, tx.decay_steps),
        "loss": LOSSES[play.loss],
        "penalty": reg.total(*penalties) if penalties else None,
        "augment": AUGMENTS[play.augment](cfg.ada),
        "num_classes": num_classes,
        "ema_decay": tx.ema_decay,
    }
    if asked(class_weight):
        return recipes.acgan(G, D, class_weight=class_weight, **common)
    clip = play.clip if asked(play.clip) else None
    common |= {"n_critic": play.n_critic, "clip": clip, "g_penalty": g_penalty}
    return recipes.gan(G, D, **common)


def asked(weight) -> bool:
    """Whether there is such a term; one that is swept is there for all members."""
    return isinstance(weight, jax.core.Tracer) or bool(weight)


def _check(cfg, weights, num_classes, tells):
    nets, play, tx = cfg.networks, cfg.adversary, cfg.optimizers
    if tells and play.n_critic > 1:
        raise UsageError("n_critic", play.n_critic, "must be 1 where D tells classes.")
    if tells and asked(play.clip):
        raise UsageError("clip", None, "must be 0 where D tells classes.")
    of_gradient = sorted(weights.keys() - {"lecam", "consistency"})
    projected.check(nets, tuple(of_gradient), bool(num_classes))
    for name in of_gradient:
        value = None if isinstance(weights[name], jax.core.Tracer) else weights[name]
        of = "is of D's gradient at each image, which"
        if nets.d_norm == "batch":
            reason = f"{of} BatchNorm mixes; give `d_norm` none or spectral."
            raise UsageError(name, value, reason)
        if nets.pack > 1:
            reason = f"{of} `pack` {nets.pack} mixes; leave one out."
            raise UsageError(name, value, reason)
    if nets.pack > 1 and num_classes:
        raise UsageError("pack", nets.pack, "images have no one label; leave it out.")
    if 0 < tx.decay_steps < cfg.steps:
        reason = f"leaves a learning rate of 0 before `steps` {cfg.steps}; give as many"
        raise UsageError("decay_steps", tx.decay_steps, f"{reason}, or 0.")
    if cfg.batch_size % nets.pack:
        reason = f"must divide `batch_size` {cfg.batch_size}."
        raise UsageError("pack", nets.pack, reason)
