"""jaxgan's R3GAN, networks and step, once more in PyTorch.

Networks are functions of their weights, as in `torch_translators`.
"""

import torch
import torch.nn.functional as F

from benchmarks.torch_translators import conv, frozen, numbered

TAPS = torch.tensor([1.0, 3, 3, 1]) / 8


def block(p, x, group_width):
    """1×1, a 3×3 in groups, 1×1, beside x."""
    first, grouped, last = numbered(p, "Conv")
    y = F.leaky_relu(conv(first, x), 0.2)
    y = conv(grouped, y, padding=1, groups=max(1, y.shape[1] // group_width))
    return x + conv(last, F.leaky_relu(y, 0.2))


def _filter(x, gain=1):
    taps = TAPS.to(x)
    return (gain * taps[:, None] * taps).expand(x.shape[1], 1, 4, 4)


def up(x):
    """Twice as large, by [1, 3, 3, 1]."""
    return F.conv_transpose2d(x, _filter(x, 4), None, 2, 1, groups=x.shape[1])


def down(x):
    """Half as large."""
    return F.conv2d(x, _filter(x), None, 2, 1, groups=x.shape[1])


def generator(p, z, group_width=16):
    """`models.r3gan.Generator` of a block a stage, whose stages differ in channels."""
    blocks, mixed = numbered(p, "Block"), numbered(p, "Conv")
    basis = p["basis"].permute(2, 0, 1)[None]
    x = basis * F.linear(z, p["Dense_0"]["kernel"])[:, :, None, None]
    x = block(blocks[0], x, group_width)
    for each, to in zip(blocks[1:], mixed, strict=False):
        x = block(each, up(conv(to, x)), group_width)
    return conv(mixed[-1], x)


def discriminator(p, x, group_width=16):
    """`models.r3gan.Discriminator`, likewise."""
    blocks, mixed = numbered(p, "Block"), numbered(p, "Conv")
    x = conv(mixed[0], x)
    for each, to in zip(blocks, mixed[1:], strict=False):
        x = conv(to, down(block(each, x, group_width)))
    x = block(blocks[-1], x, group_width)
    x = F.conv2d(x, p["basis"].permute(2, 0, 1)[:, None], groups=x.shape[1])
    return F.linear(x.flatten(1), p["Dense_0"]["kernel"])[:, 0]


def r3gan_step(nets, opts, real, z, gamma=1.0):
    """RpGAN with R1 and R2: a step of D, then one of G, on the same fakes.

    Args:
        nets: G and D, each a `Net`.
        opts: their optimizers.
        real: `[B, C, H, W]`.
        z: `[B, latent_dim]`.
        gamma: of both penalties.

    Returns:
        D's loss, with the penalties, and G's.
    """
    G, D = nets["G"], nets["D"]
    fake = G(z)
    shown = [x.detach().requires_grad_() for x in (real, fake)]
    judged = [D(x) for x in shown]
    d_loss = F.softplus(judged[1] - judged[0]).mean()
    for x, logits in zip(shown, judged, strict=True):
        (slope,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
        d_loss = d_loss + gamma / 2 * slope.square().flatten(1).sum(1).mean()
    opts["D"].zero_grad()
    d_loss.backward()
    opts["D"].step()
    with frozen(D):
        g_loss = F.softplus(D(real) - D(fake)).mean()
        opts["G"].zero_grad()
        g_loss.backward()
    opts["G"].step()
    return d_loss.detach(), g_loss.detach()
