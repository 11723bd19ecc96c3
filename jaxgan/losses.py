"""Adversarial losses, as pairs: what D minimizes and what G minimizes; and distances.

Losses take logits of any shape, real and fake ones of the same shape, and return
per-example values of that shape; the caller takes the mean. Both members of a pair
have the same arguments, `(real_logits, fake_logits)`; only relativistic losses read the
real ones for G. The value of an example depends on that example alone, but for
relativistic *average* losses, which need the mean of all logits.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.nn import softplus

from jaxgan import axis

__all__ = [
    "AdversarialLoss",
    "hinge",
    "l1",
    "l2",
    "least_squares",
    "minimax",
    "nonsaturating",
    "one_sided",
    "relativistic",
    "relativistic_average",
    "relativistic_average_hinge",
    "relativistic_average_least_squares",
    "relativistic_average_logistic",
    "relativistic_hinge",
    "relativistic_least_squares",
    "relativistic_logistic",
    "wasserstein",
]


class AdversarialLoss(NamedTuple):
    """What D and what G minimize, as functions of `(real_logits, fake_logits)`."""

    d: Callable
    g: Callable
    output: Callable
    """From logits to what the paper calls D(x): a probability, or the logits."""


def _pair(d: Callable, g: Callable, output: Callable) -> AdversarialLoss:
    """The loss, refusing logits that would broadcast against one another."""

    def checked(loss):
        def of(real_logits, fake_logits):
            if jnp.shape(real_logits) != jnp.shape(fake_logits):
                raise ValueError(
                    "real and fake logits must have the same shape, not "
                    f"{jnp.shape(real_logits)} and {jnp.shape(fake_logits)}."
                )
            return loss(real_logits, fake_logits)

        return of

    return AdversarialLoss(checked(d), checked(g), output)


def _identity(logits):
    return logits


def _log_d(real, fake):
    return softplus(-real) + softplus(fake)


nonsaturating = _pair(
    d=_log_d, g=lambda real, fake: softplus(-fake), output=jax.nn.sigmoid
)
"""-log D(x) - log(1 - D(G(z))) against -log D(G(z)).

Goodfellow et al., 2014, arXiv:1406.2661, section 3: G's loss of practice.
"""

minimax = _pair(d=_log_d, g=lambda real, fake: -softplus(fake), output=jax.nn.sigmoid)
"""The same for D, against log(1 - D(G(z))): the zero-sum game, arXiv:1406.2661, eq. 1.

G's gradient vanishes where D is sure.
"""


def one_sided(real_target: float = 0.9) -> AdversarialLoss:
    """The non-saturating loss with real images' label below 1.

    One-sided label smoothing: D is not to be surer of a real image than that, while
    fakes' label stays 0 (Salimans et al., 2016, arXiv:1606.03498, section 3.4).

    Args:
        real_target: α, the label of real images, 0.9 in the paper.
    """

    def d(real, fake):
        of_real = real_target * softplus(-real) + (1 - real_target) * softplus(real)
        return of_real + softplus(fake)

    return _pair(d, nonsaturating.g, jax.nn.sigmoid)


least_squares = _pair(
    d=lambda real, fake: ((real - 1) ** 2 + fake**2) / 2,
    g=lambda real, fake: (fake - 1) ** 2 / 2,
    output=_identity,
)
"""LSGAN with a = 0, b = c = 1: Mao et al., 2017, arXiv:1611.04076, eq. 9."""

wasserstein = _pair(
    d=lambda real, fake: fake - real, g=lambda real, fake: -fake, output=_identity
)
"""The critic's difference: Arjovsky et al., 2017, arXiv:1701.07875.

Only with a critic kept Lipschitz, by clipping or a gradient penalty.
"""

hinge = _pair(
    d=lambda real, fake: jax.nn.relu(1 - real) + jax.nn.relu(1 + fake),
    g=lambda real, fake: -fake,
    output=_identity,
)
"""Lim and Ye, 2017, arXiv:1705.02894; Miyato et al., 2018, arXiv:1802.05957, eq. 16."""


def relativistic(f: Callable, output: Callable = _identity) -> AdversarialLoss:
    """Relativistic pairing: each real is judged against one fake, and the reverse.

    D minimizes f(D(x) - D(G(z))), G minimizes f(D(G(z)) - D(x)).
    Jolicoeur-Martineau, 2018, arXiv:1807.00734.

    Args:
        f: the loss of a difference of logits, falling: RpGAN has `softplus(-t)`.
        output: from logits to what metrics report as D(x).
    """
    return _pair(
        d=lambda real, fake: f(real - fake),
        g=lambda real, fake: f(fake - real),
        output=output,
    )


relativistic_logistic = relativistic(lambda t: softplus(-t))
"""RpGAN; with R1 and R2, R3GAN's objective (Huang et al., 2024, arXiv:2501.05441)."""

relativistic_least_squares = relativistic(lambda t: (t - 1) ** 2)
"""RpLSGAN: arXiv:1807.00734, with f(t) = (t - 1)²."""

relativistic_hinge = relativistic(lambda t: jnp.maximum(1 - t, 0))
"""RpHingeGAN: arXiv:1807.00734, with f(t) = max(0, 1 - t)."""


def relativistic_average(f: Callable, output: Callable = _identity) -> AdversarialLoss:
    """Each image is judged against the mean of the other kind.

    D minimizes f(D(x) - E D(G(z))) + f(E D(x) - D(G(z))), and G the same with fakes and
    real images in each other's place. Jolicoeur-Martineau, 2018, arXiv:1807.00734,
    section 4.2. The means are of all logits of the batch, patches included, over all
    devices that share it, and gradients pass through them.

    Args:
        f: the loss of a difference of logits, falling, as in `relativistic`.
        output: from logits to what metrics report as D(x).
    """

    def apart(one, other):
        mean_of_one, mean_of_other = axis.mean((one.mean(), other.mean()))
        return f(one - mean_of_other) + f(mean_of_one - other)

    return _pair(apart, lambda real, fake: apart(fake, real), output)


relativistic_average_logistic = relativistic_average(lambda t: softplus(-t))
"""RaSGAN: arXiv:1807.00734, algorithm 2 with f1 = -log σ(t)."""

relativistic_average_least_squares = relativistic_average(lambda t: (t - 1) ** 2)
"""RaLSGAN: arXiv:1807.00734, with f(t) = (t - 1)²."""

relativistic_average_hinge = relativistic_average(lambda t: jnp.maximum(1 - t, 0))
"""RaHingeGAN: arXiv:1807.00734, with f(t) = max(0, 1 - t)."""


def l1(images, target):
    """Mean absolute distance of each image from its target, `[B]`."""
    return jnp.abs(images - target).mean((1, 2, 3))


def l2(images, target):
    """Mean squared distance of each image from its target, `[B]`."""
    return jnp.square(images - target).mean((1, 2, 3))
