"""jaxgan's AC-GAN and InfoGAN, DCGANs with a second head, once more in PyTorch.

Both heads are one linear layer, whose first output is the logit.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from benchmarks import torch_twin
from benchmarks.torch_translators import frozen


def dcgan(
    inputs: int, outputs: int, width: int = 32, hidden: int = 0
) -> tuple[nn.Sequential, nn.Sequential]:
    """`jaxgan.models.dcgan`'s pair of 28x28 images, with `outputs` beside the logit.

    Args:
        inputs: of G, all together.
        outputs: of D's second head.
        width: as in `torch_twin.dcgan`.
        hidden: units of a fully connected layer at G's start, and of one at D's end.
    """

    def dense(n):
        return nn.Linear(n, hidden, bias=False), nn.BatchNorm1d(hidden)

    g, d = torch_twin.dcgan(28, 1, width, hidden or inputs)
    *trunk, last, _ = d
    n = hidden or last.in_features
    if hidden:
        g = nn.Sequential(*dense(inputs), nn.ReLU(), *g)
        trunk += [*dense(last.in_features), nn.LeakyReLU(0.2)]
    return g, nn.Sequential(*trunk, nn.Linear(n, 1 + outputs))


def joined(params):
    """D's parameters, its last two dense layers as one."""
    *_, one, other = sorted(name for name in params if name.startswith("Dense_"))
    both = {
        k: np.concatenate([params[one][k], x], -1) for k, x in params[other].items()
    }
    return {k: x for k, x in params.items() if k != other} | {one: both}


def judged(d, images):
    """The logits, and what the second head says."""
    made = d(images)
    return made[:, 0], made[:, 1:]


def acgan_step(nets, opts, real, label, z):
    """A step of `recipes.acgan`: D, then G, on the same fakes.

    Args:
        nets: G and D, by name.
        opts: their optimizers.
        real: `[B, 1, 28, 28]`.
        label: of real images and of fakes, int64 `[B]`.
        z: `[B, latent_dim]`.

    Returns:
        D's loss and G's, with those of the classes.
    """
    G, D = nets["G"], nets["D"]
    fake = G(torch.cat([z, F.one_hot(label, 10).to(z.dtype)], 1))

    def loss(images, value):
        logits, classes = judged(D, images)
        of_source = bce(logits, torch.full_like(logits, value))
        return of_source + F.cross_entropy(classes, label)

    return _updated(
        nets, opts, loss(real, 1) + loss(fake.detach(), 0), lambda: loss(fake, 1)
    )


def _updated(nets, opts, d_loss, g_loss):
    """D's step, then G's of what `g_loss()` is with the new D; both losses."""
    opts["D"].zero_grad()
    d_loss.backward()
    opts["D"].step()
    with frozen(nets["D"]):
        opts["G"].zero_grad()
        value = g_loss()
        value.backward()
    opts["G"].step()
    return d_loss.detach(), value.detach()


def codes(n, device, noise=62, categories=10, continuous=2):
    """`recipes.infogan`'s z: noise, a one-hot category, codes from U(-1, 1)."""
    category = torch.randint(categories, (n,), device=device)
    z = torch.randn(n, noise, device=device)
    rest = torch.rand(n, continuous, device=device) * 2 - 1
    return torch.cat([z, F.one_hot(category, categories).to(z.dtype), rest], 1)


def information(said, z, categories=10, continuous=2):
    """log Q(c | x) + H(c) of the category and of the rest, each a mean."""
    code, rest = z[:, -categories - continuous :].split([categories, continuous], 1)
    logits, mean = said.split([categories, continuous], 1)
    category = (code * F.log_softmax(logits, 1)).sum(1) + math.log(categories)
    normal = math.log(2) - ((rest - mean) ** 2 + math.log(2 * math.pi)) / 2
    return category.mean(), normal.sum(1).mean()


def affine(x, by):
    """`jaxgan.augment.affine`: slanted along rows, then along columns.

    Args:
        x: images.
        by: from U(-1, 1), `[2, B, 3]`: how far, for rows and for columns.
    """
    x = _slanted(x, by[0], 0.4).transpose(2, 3)
    return _slanted(x, by[1], 0.4 / 3).transpose(2, 3)


def _slanted(x, by, shear, scale=0.15, shift=0.07):
    h, w = x.shape[2:]
    slant, stretch, move = (by * by.new_tensor([shear, scale, shift])).unbind(1)
    theta = by.new_zeros(len(x), 2, 3)
    theta[:, 0, 0] = 1 + stretch
    theta[:, 0, 1] = slant * (h - 1) / (w - 1)
    theta[:, 0, 2] = move * 2 * w / (w - 1)
    theta[:, 1, 1] = 1
    grid = F.affine_grid(theta, list(x.shape), align_corners=True)
    return F.grid_sample(x, grid, padding_mode="border", align_corners=True)


def infogan_step(nets, opts, real, z, by, weight=(1.0, 0.1)):
    """A step of `recipes.infogan`: D and Q, then G, on the same fakes.

    Args:
        nets: G and D, by name.
        opts: their optimizers.
        real: `[B, 1, 28, 28]`.
        z: `codes`.
        by: of the `affine` that Q sees in D's step and in G's, `[2, 2, B, 3]`.
        weight: of the information on the category, and on the other codes.

    Returns:
        D's loss and G's, with what information adds to them.
    """
    G, D = nets["G"], nets["D"]
    fake = G(z)

    def source(images, value):
        logits, _ = judged(D, images)
        return bce(logits, torch.full_like(logits, value))

    def info_loss(images, by):
        category, rest = information(judged(D, affine(images, by))[1], z)
        return -(weight[0] * category + weight[1] * rest)

    shown = fake.detach()
    d_loss = source(real, 1) + source(shown, 0) + info_loss(shown, by[0])
    return _updated(
        nets, opts, d_loss, lambda: source(fake, 1) + info_loss(fake, by[1])
    )
