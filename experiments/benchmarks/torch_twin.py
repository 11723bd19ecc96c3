"""jaxgan's networks and its GAN step once more, as a PyTorch user writes them.

What jaxgan is raced against, and what `tests/test_torch_twin.py` holds jaxgan to.
Images are `[B, C, H, W]`, as PyTorch likes them.
"""

import itertools
from collections import Counter

import numpy as np
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce


def dcgan(
    size: int = 28,
    channels: int = 1,
    width: int = 64,
    latent_dim: int = 100,
    base: int = 4,
    norm: bool = True,
) -> tuple[nn.Sequential, nn.Sequential]:
    """`jaxgan.models.dcgan`'s pair, with BatchNorm in training mode.

    Args:
        size: height and width of the images.
        channels: of the images.
        width: features of D's first layer and of G's last hidden one.
        latent_dim: the dimension of z.
        base: how small the smallest stage is at most.
        norm: whether D has BatchNorm.

    Returns:
        G, `z [B, latent_dim] -> images [B, channels, size, size]`, and
        D, `images -> logits [B]`.
    """
    sizes = [size]
    while sizes[-1] > base:
        sizes.append(-(-sizes[-1] // 2))
    *larger, smallest = sizes
    top = width << (len(larger) - 1)
    conv = {"kernel_size": 4, "stride": 2, "padding": 1}

    def resized(n, by):  # an odd image is halved as if it had one pixel more
        return [nn.ZeroPad2d((0, by, 0, by))] if n % 2 else []

    g = [nn.Linear(latent_dim, smallest**2 * top, bias=False)]
    g += [nn.Unflatten(1, (top, smallest, smallest)), nn.BatchNorm2d(top), nn.ReLU()]
    for i, n in enumerate(larger[:0:-1]):
        c = top >> i
        g += [nn.ConvTranspose2d(c, c // 2, **conv, bias=False), *resized(n, -1)]
        g += [nn.BatchNorm2d(c // 2), nn.ReLU()]
    g += [nn.ConvTranspose2d(width, channels, **conv), *resized(size, -1), nn.Tanh()]

    d = [*resized(size, 1), nn.Conv2d(channels, width, **conv), nn.LeakyReLU(0.2)]
    for i, n in enumerate(larger[1:]):
        c = width << i
        d += [*resized(n, 1), nn.Conv2d(c, 2 * c, **conv, bias=not norm)]
        d += [*([nn.BatchNorm2d(2 * c)] if norm else []), nn.LeakyReLU(0.2)]
    d += [nn.Flatten(), nn.Linear(smallest**2 * top, 1), nn.Flatten(0)]
    return nn.Sequential(*g), nn.Sequential(*d)


def mlp(
    shape=(1, 28, 28),
    g_hidden=(256, 512, 1024),
    d_hidden=(512, 256),
    latent_dim: int = 100,
    act=lambda: nn.LeakyReLU(0.2),
    output=nn.Tanh,
) -> tuple[nn.Sequential, nn.Sequential]:
    """`jaxgan.models.mlp`'s pair.

    Args:
        shape: of one example; images have one channel.
        g_hidden: the widths of G's hidden layers.
        d_hidden: the widths of D's hidden layers.
        latent_dim: the dimension of z.
        act: makes the layer after each hidden one.
        output: makes G's last layer.

    Returns:
        G, `z [B, latent_dim] -> [B, *shape]`, and D, `[B, *shape] -> logits [B]`.
    """

    def dense(sizes):
        layers = []
        for n_in, n_out in itertools.pairwise(sizes):
            layers += [nn.Linear(n_in, n_out), act()]
        return layers[:-1]  # none after the last

    n = int(np.prod(shape))
    g = [*dense([latent_dim, *g_hidden, n]), nn.Unflatten(1, shape), output()]
    d = [nn.Flatten(), *dense([n, *d_hidden, 1]), nn.Flatten(0)]
    return nn.Sequential(*g), nn.Sequential(*d)


def step(g, d, g_opt, d_opt, real, z, penalty=None):
    """One step of D, then one of G through the new D, on the same fakes.

    Like PyTorch's own DCGAN example, it does not spare G's step D's gradients.

    Args:
        g: the generator.
        d: the discriminator.
        g_opt: the optimizer of g's parameters.
        d_opt: the optimizer of d's parameters.
        real: `[B, ...]`, what d judges.
        z: `[B, latent_dim]`, noise.
        penalty: "r1" with γ = 10, "wgan_gp" with λ = 10, or None.

    Returns:
        D's loss, with the penalty, and G's.
    """
    ones, zeros = torch.ones_like(z[:, 0]), torch.zeros_like(z[:, 0])
    fake = g(z)

    d_opt.zero_grad()
    real.requires_grad_(penalty == "r1")
    real_logits = d(real)
    d_loss = bce(real_logits, ones) + bce(d(fake.detach()), zeros)
    if penalty == "r1":
        (slope,) = torch.autograd.grad(real_logits.sum(), real, create_graph=True)
        d_loss = d_loss + 5 * slope.square().flatten(1).sum(1).mean()
    elif penalty == "wgan_gp":
        share = torch.rand(len(real), *[1] * (real.ndim - 1), dtype=real.dtype)
        x = (share * real + (1 - share) * fake.detach()).requires_grad_()
        (slope,) = torch.autograd.grad(d(x).sum(), x, create_graph=True)
        d_loss = d_loss + 10 * (slope.flatten(1).norm(dim=1) - 1).square().mean()
    d_loss.backward()
    d_opt.step()

    g_opt.zero_grad()
    g_loss = bce(d(fake), ones)
    g_loss.backward()
    g_opt.step()
    return d_loss.detach(), g_loss.detach()


def from_flax(params, module: nn.Sequential) -> dict[str, torch.Tensor]:
    """jaxgan's parameters under PyTorch's names and in its layouts.

    Layers of one kind correspond in their order. A dense layer behind or before an
    image counts its elements as `(C, H, W)` here, as `(H, W, C)` in jaxgan.

    Args:
        params: a network's parameters, such as `state.params["G"]`.
        module: its twin.

    Returns:
        What `module.load_state_dict(..., strict=False)` takes: all but the running
        averages of BatchNorm.
    """
    kinds = {
        nn.Linear: "Dense",
        nn.Conv2d: "Conv",
        nn.ConvTranspose2d: "ConvTranspose",
        nn.BatchNorm1d: "BatchNorm",
        nn.BatchNorm2d: "BatchNorm",
    }
    seen, new, c, layers = Counter(), {}, 1, [*module, nn.Identity()]
    for i, layer in enumerate(layers):
        if type(layer) not in kinds:
            continue
        kind = kinds[type(layer)]
        theirs = {k: np.asarray(v) for k, v in params[f"{kind}_{seen[kind]}"].items()}
        seen[kind] += 1
        if kind == "BatchNorm":
            w = theirs["scale"]
        elif kind == "Dense":
            w = theirs["kernel"].T
            if isinstance(layers[i - 1], nn.Flatten):
                w = w.reshape(len(w), -1, c).transpose(0, 2, 1).reshape(w.shape)
            if isinstance(layers[i + 1], nn.Unflatten):
                c = layers[i + 1].unflattened_size[0]
                w = w.reshape(-1, c, w.shape[1]).swapaxes(0, 1).reshape(w.shape)
        else:
            w = theirs["kernel"].transpose(3, 2, 0, 1)
            c = layer.out_channels
        new[f"{i}.weight"] = torch.tensor(np.ascontiguousarray(w))
        if "bias" in theirs:
            new[f"{i}.bias"] = torch.tensor(theirs["bias"])
    if sum(seen.values()) != len(params):
        raise ValueError(
            f"from_flax: {sorted(params)} is not what {module} is made of."
        )
    return new
