"""jaxgan's StyleGAN2, networks and step, once more in PyTorch.

Networks are functions of their weights, as in `torch_translators`; a modulated
convolution has a kernel for each image, in groups, as the authors have it.
"""

import torch
import torch.nn.functional as F

from benchmarks.torch_r3gan import TAPS, up
from benchmarks.torch_translators import frozen

ROOT2 = 2**0.5


def leaky(x):
    return F.leaky_relu(x, 0.2) * ROOT2


def dense(p, x, rate=1.0):
    """Of equalized rate."""
    w = p["kernel"]
    return F.linear(x, w * (rate / w.shape[1] ** 0.5), p["bias"] * rate)


def pixel_norm(x):
    return x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()


def mapping(p, z, layers):
    """`models.stylegan2.Mapping`, without classes."""
    x = pixel_norm(z)
    for i in range(len(p)):
        x = leaky(dense(p[f"dense{i}"], x, 0.01))
    return x[:, None].expand(-1, layers, -1)


def filtered(x, pad, gain=1):
    """By [1, 3, 3, 1] along both sides, after a border of zeros."""
    taps = TAPS.to(x)
    kernel = (gain * taps[:, None] * taps).expand(x.shape[1], 1, 4, 4)
    return F.conv2d(x, kernel, padding=pad, groups=x.shape[1])


def equalized(p):
    w = p["kernel"]
    return w / w[0].numel() ** 0.5


def modulated(p, x, w, doubled=False, demodulate=True):
    """A kernel for each image."""
    kernel, style = equalized(p), dense(p["style"], w)
    each = kernel[None] * style[:, None, :, None, None]
    if demodulate:
        each = each * (each.square().sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt()
    n, c, *size = x.shape
    x, k = x.reshape(1, n * c, *size), kernel.shape[-1]
    if doubled:
        each = each.flip(3, 4).transpose(1, 2).flatten(0, 1)
        y = F.conv_transpose2d(x, each, stride=2, groups=n)
        return filtered(y.reshape(n, -1, *y.shape[2:]), 1, 4)
    y = F.conv2d(x, each.flatten(0, 1), padding=k // 2, groups=n)
    return y.reshape(n, -1, *size)


def synthesis(p, w, noise):
    """`models.stylegan2.Synthesis` in training; `noise` draws it, `shape -> tensor`."""

    def layer(name, x, w, doubled=False):
        of = p[name]
        x = modulated(of["conv"], x, w, doubled)
        x = x + of["strength"] * noise(len(x), *x.shape[2:])[:, None]
        return leaky(x + of["bias"][:, None, None])

    def drawn(i, x, w):
        of = p[f"image{i}"]
        return modulated(of["conv"], x, w, demodulate=False) + of["bias"][:, None, None]

    x = p["constant"].permute(2, 0, 1).expand(len(w), -1, -1, -1)
    x = layer("layer0", x, w[:, 0])
    image = drawn(0, x, w[:, 1])
    for i in range(1, sum(name.startswith("image") for name in p)):
        at = 2 * i - 1
        x = layer(f"layer{at}", x, w[:, at], doubled=True)
        x = layer(f"layer{at + 1}", x, w[:, at + 1])
        image = up(image) + drawn(i, x, w[:, at + 2])
    return image


def discriminator(p, x, group=4):
    """`models.stylegan2.Discriminator`, without classes."""

    def conv(of, x, halved=False):
        w = equalized(of)
        if not halved:
            y = F.conv2d(x, w, padding=w.shape[-1] // 2)
        elif w.shape[-1] == 1:
            y = F.conv2d(filtered(x, 1)[..., ::2, ::2], w)
        else:
            y = F.conv2d(filtered(x, 2), w, stride=2)
        return y + of["bias"][:, None, None] if "bias" in of else y

    x = leaky(conv(p["from_image"], x))
    for i in range(sum(name.startswith("block") for name in p)):
        of = p[f"block{i}"]
        y = leaky(conv(of["conv1"], leaky(conv(of["conv0"], x)), halved=True))
        x = (conv(of["skip"], x, halved=True) + y) / ROOT2
    x = minibatch_deviation(x, group)
    x = leaky(conv(p["conv"], x)).permute(0, 2, 3, 1).flatten(1)
    return dense(p["logit"], leaky(dense(p["dense"], x)))[:, 0]


def minibatch_deviation(x, group):
    y = x.reshape(len(x) // group, group, *x.shape[1:])
    y = (y.var(1, correction=0) + 1e-8).sqrt().mean((1, 2, 3))
    y = y.repeat_interleave(group)[:, None, None, None].expand(-1, 1, *x.shape[2:])
    return torch.cat([x, y], 1)


class Randomness:
    """What a step draws."""

    def __init__(self, device):
        self.on = {"device": device}

    def normal(self, *shape):
        return torch.randn(*shape, **self.on)

    def uniform(self, *shape):
        return torch.rand(*shape, **self.on)

    def integers(self, low, high, *shape):
        return torch.randint(low, high, shape, **self.on)


def stylegan2_step(nets, opts, real, draw, memory, r1=None, path=None):
    """A step of `recipes.stylegan2`: D, then G, on the same fakes, then regularizers.

    Args:
        nets: "mapping", "synthesis" and D, each a `Net`.
        opts: of D, and "G" of the two others.
        real: `[B, C, H, W]`.
        draw: a `Randomness`.
        memory: the mean of path lengths, "path_length", is kept in it.
        r1: γ of R1, or None for a step without.
        path: the weight of path lengths, or None for a step without.

    Returns:
        D's loss, and G's.
    """
    D = nets["D"]
    fake = generated(nets, styles(nets["mapping"], len(real), draw), draw)
    d_loss = F.softplus(-D(real)).mean() + F.softplus(D(fake.detach())).mean()
    stepped(opts["D"], d_loss)
    with frozen(D):
        g_loss = F.softplus(-D(fake)).mean()
        stepped(opts["G"], g_loss)
    if r1 is not None:
        x = real.detach().requires_grad_()
        total = D(x).sum()
        (slope,) = torch.autograd.grad(total, x, create_graph=True)
        # Every weight has a gradient, if of 0: Adam passes over those without.
        penalty = r1 / 2 * slope.square().flatten(1).sum(1).mean()
        stepped(opts["D"], penalty + 0 * total)
    if path is not None:
        stepped(opts["G"], path * path_penalty(nets, len(real) // 2, draw, memory))
    return d_loss.detach(), g_loss.detach()


def stepped(opt, loss):
    opt.zero_grad()
    loss.backward()
    opt.step()


def generated(nets, w, draw):
    return nets["synthesis"](w, noise=draw.normal)


def styles(network, n, draw, mixing=0.9):
    """w, of some images another from a layer on."""
    latent_dim = network.tree["dense0"]["kernel"].shape[1]
    w, other = (network(draw.normal(n, latent_dim)) for _ in range(2))
    layers = w.shape[1]
    first = draw.integers(1, layers, n, 1, 1)
    mixed = draw.uniform(n, 1, 1) < mixing
    second = mixed & (torch.arange(layers, device=w.device)[None, :, None] >= first)
    return torch.where(second, other, w)


def path_penalty(nets, n, draw, memory):
    """(|J_w y| - its mean)², of n images."""
    w = styles(nets["mapping"], n, draw)
    images = generated(nets, w, draw)
    y = draw.normal(n, *images.shape[2:], images.shape[1]).movedim(-1, 1)
    toward = (images * y).sum() / (images.shape[2] * images.shape[3]) ** 0.5
    (slopes,) = torch.autograd.grad(toward, w, create_graph=True)
    lengths = slopes.square().sum(2).mean(1).sqrt()
    before = memory.get("path_length", 0.0)
    mean = before + 0.01 * (lengths.mean().detach() - before)
    memory["path_length"] = mean
    return (lengths - mean).square().mean() + 0 * toward
