"""jaxgan's consensus optimization and unrolled GAN once more in PyTorch.

Both differentiate gradients. `field`, `d_update` and `g_objective` take them
themselves, so that `torch.compile` can have each as a whole, with
`trace_autograd_ops`; what is left is to differentiate once.
"""

from typing import NamedTuple

import torch
from torch.func import functional_call
from torch.nn.functional import binary_cross_entropy_with_logits as bce


def d_loss_of(real_logits, fake_logits):
    ones, zeros = torch.ones_like(real_logits), torch.zeros_like(fake_logits)
    return bce(real_logits, ones) + bce(fake_logits, zeros)


def g_loss_of(fake_logits):
    return bce(fake_logits, torch.ones_like(fake_logits))


def field(G, D, real, z):
    """D's loss, G's, the gradients v of D's weights and of G's, and ½ |v|²."""
    fake_logits = D(G(z))
    d_loss, g_loss = d_loss_of(D(real), fake_logits), g_loss_of(fake_logits)
    v = [
        *torch.autograd.grad(d_loss, [*D.parameters()], create_graph=True),
        *torch.autograd.grad(g_loss, [*G.parameters()], create_graph=True),
    ]
    return d_loss, g_loss, v, sum(x.square().sum() for x in v) / 2


def consensus_step(nets, opts, real, z, weight=0.1, field=field):
    """A step of `recipes.consensus`: D and G at once.

    Args:
        nets: G and D, modules, by name.
        opts: their optimizers.
        real: `[B, ...]`.
        z: `[B, latent_dim]`.
        weight: γ.
        field: `field`, or that compiled.

    Returns:
        D's loss, and G's, without ½ |v|².
    """
    G, D = nets["G"], nets["D"]
    d_loss, g_loss, v, term = field(G, D, real, z)
    weights = [*D.parameters(), *G.parameters()]
    toward = torch.autograd.grad(term, weights)
    for w, a, b in zip(weights, v, toward, strict=True):
        w.grad = a.detach() + weight * b
    opts["D"].step()
    opts["G"].step()
    return d_loss.detach(), g_loss.detach()


class Learner(NamedTuple):
    """Weights, as one vector, and Adam's memory of their gradients."""

    weights: torch.Tensor
    mean: torch.Tensor
    square: torch.Tensor
    count: torch.Tensor


def learner(module) -> Learner:
    """Of a module's weights."""
    w = torch.nn.utils.parameters_to_vector(module.parameters())
    return leaf(Learner(w, torch.zeros_like(w), torch.zeros_like(w), w.new_zeros(())))


def leaf(of: Learner) -> Learner:
    """The same without a past, of weights that want a gradient."""
    weights, *memory = (x.detach() for x in of)
    return Learner(weights.requires_grad_(), *memory)


def adam(of: Learner, grad, rate=2e-4, b1=0.5, b2=0.999) -> Learner:
    """A step of Adam that can be differentiated: with `eps_root`, as in optax."""
    mean = b1 * of.mean + (1 - b1) * grad
    square = b2 * of.square + (1 - b2) * grad.square()
    count = of.count + 1
    root = torch.sqrt(square / (1 - b2**count) + 1e-8) + 1e-8
    return Learner(
        of.weights - rate * mean / (1 - b1**count) / root, mean, square, count
    )


def called(module, weights, x):
    """A module with other weights, one vector of all."""
    named = dict(module.named_parameters())
    parts = weights.split([w.numel() for w in named.values()])
    shaped = (part.view_as(w) for part, w in zip(parts, named.values(), strict=True))
    return functional_call(module, dict(zip(named, shaped, strict=True)), (x,))


def d_update(D, of: Learner, real, fake, ahead=False) -> tuple[torch.Tensor, Learner]:
    """D's loss, and D after a step; `ahead`, that can be differentiated."""
    loss = d_loss_of(called(D, of.weights, real), called(D, of.weights, fake))
    (grad,) = torch.autograd.grad(loss, of.weights, create_graph=ahead)
    return loss.detach(), adam(of, grad)


def g_objective(G, D, of: Learner, real, zs, z):
    """G's loss with D as it is after a step for each of `zs`."""
    for ahead in zs:
        _, of = d_update(D, of, real, G(ahead), ahead=True)
    return g_loss_of(called(D, of.weights, G(z)))


def unrolled_step(nets, of, opt, real, zs, update=d_update, objective=g_objective):
    """A step of `recipes.unrolled`: D, then G against what D would become.

    Args:
        nets: G and D, modules, by name; D's own weights are not used.
        of: D's `learner`.
        opt: G's optimizer.
        real: `[B, ...]`.
        zs: noise, `[K + 2, B, latent_dim]`: of D's step, of G's, and of those ahead.
        update: `d_update`, or that compiled.
        objective: `g_objective`, or that compiled.

    Returns:
        D's loss, G's, and D's new `Learner`.
    """
    G, D = nets["G"], nets["D"]
    with torch.no_grad():
        fake = G(zs[0])
    d_loss, of = update(D, of, real, fake)
    of = leaf(of)
    g_loss = objective(G, D, of, real, zs[2:], zs[1])
    opt.zero_grad()
    g_loss.backward()
    opt.step()
    return d_loss, g_loss.detach(), of
