"""Adversarial losses, as pairs: what D minimizes and what G minimizes; and distances.

Losses take logits of any shape, real and fake ones of the same shape, and return
per-example values of that shape; the caller takes the mean. Both members of a pair
have the same arguments, `(real_logits, fake_logits)`; only relativistic losses read the
real ones for G.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.nn import softplus

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


def l1(images, target):
    """Mean absolute distance of each image from its target, `[B]`."""
    return jnp.abs(images - target).mean((1, 2, 3))


def l2(images, target):
    """Mean squared distance of each image from its target, `[B]`."""
    return jnp.square(images - target).mean((1, 2, 3))
