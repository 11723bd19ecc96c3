"""jaxgan's SNGAN, residual networks and step, once more in PyTorch.

Networks are functions of their weights, as in `torch_translators`.
"""

import torch
import torch.nn.functional as F

from benchmarks.torch_translators import conv, frozen, numbered


def generator(p, z):
    """`models.resnet.Generator` from 4x4 up, with BatchNorm in training mode."""
    x = F.linear(z, p["Dense_0"]["kernel"], p["Dense_0"]["bias"])
    # Contiguous: the layout is the mode's to choose.
    x = x.view(len(z), 4, 4, -1).permute(0, 3, 1, 2).contiguous()
    for block in numbered(p, "GeneratorBlock"):
        one, other, across = numbered(block, "Conv")
        y = doubled(F.relu(norm(block["BatchNorm_0"], x)))
        y = F.relu(norm(block["BatchNorm_1"], conv(one, y, padding=1)))
        # 1x1 before doubling, which comes to the same, as jaxgan has it.
        x = conv(other, y, padding=1) + doubled(conv(across, x))
    x = F.relu(norm(p["BatchNorm_0"], x))
    return torch.tanh(conv(p["Conv_0"], x, padding=1))


def norm(p, x):
    return F.batch_norm(x, None, None, p["scale"], p["bias"], training=True)


def doubled(x):
    return F.interpolate(x, scale_factor=2, mode="nearest")


def discriminator(p, x):
    """`models.resnet.Discriminator` of images up to 32x32: two blocks halve them."""
    for i, block in enumerate(numbered(p, "DiscriminatorBlock")):
        one, other, *across = numbered(block, "Conv")
        y = conv(one, x if i == 0 else F.relu(x), padding=1)
        y = conv(other, F.relu(y), padding=1)
        x, y = (F.avg_pool2d(t, 2) if i < 2 else t for t in (x, y))
        x = (conv(across[0], x) if across else x) + y
    features = F.relu(x).sum((2, 3))
    last = p["Dense_0"]
    return F.linear(features, last["kernel"], last["bias"])[:, 0]


def sngan_step(nets, opts, real, z):
    """A step of `recipes.gan` with the hinge loss: D, then G, on the same fakes.

    D's kernels are divided once for each of its two states of weights.

    Args:
        nets: G, `generator`, and D, a `torch_spectral.Normalized` `discriminator`.
        opts: their optimizers.
        real: `[B, C, H, W]`.
        z: `[B, latent_dim]`.

    Returns:
        D's loss, and G's.
    """
    G, D = nets["G"], nets["D"]
    fake, judge = G(z), D.divided()
    d_loss = F.relu(1 - judge(real)).mean() + F.relu(1 + judge(fake.detach())).mean()
    opts["D"].zero_grad()
    d_loss.backward()
    opts["D"].step()
    with frozen(D):
        g_loss = -D.divided(advance=True)(fake).mean()
        opts["G"].zero_grad()
        g_loss.backward()
    opts["G"].step()
    return d_loss.detach(), g_loss.detach()
