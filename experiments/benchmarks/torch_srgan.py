"""jaxgan's SRGAN, networks and step, once more in PyTorch.

Networks are functions of their weights, as in `torch_translators`.
"""

import torch
import torch.nn.functional as F
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from benchmarks.torch_translators import conv, frozen, numbered


def srresnet(p, x):
    """`models.srgan.SRResNet`, of as many blocks and doublings as there are weights."""
    first, *rest, last = numbered(p, "Conv")
    doubles = [len(layer["kernel"]) == 4 * len(first["kernel"]) for layer in rest]
    *blocks, join = [rest[i] for i, double in enumerate(doubles) if not double]
    ups = [rest[i] for i, double in enumerate(doubles) if double]
    slopes = iter([layer["negative_slope"] for layer in numbered(p, "PReLU")])

    def prelu(x):
        return F.prelu(x, next(slopes).reshape(1))

    start = x = prelu(conv(first, x, padding=4))
    for one, other in zip(blocks[::2], blocks[1::2], strict=True):
        y = prelu(conv(one, x, padding=1))
        x = x + conv(other, y, padding=1)
    x = start + conv(join, x, padding=1)
    for layer in ups:
        x = prelu(F.pixel_shuffle(conv(layer, x, padding=1), 2))
    return torch.tanh(conv(last, x, padding=4))


def critic(p, x):
    """`models.srgan.Discriminator`, with BatchNorm in training mode."""
    for i, layer in enumerate(numbered(p, "Conv")):
        x = conv(layer, x, stride=1 + i % 2, padding=1)
        if i:
            of = p[f"BatchNorm_{i - 1}"]
            x = F.batch_norm(x, None, None, of["scale"], of["bias"], training=True)
        x = F.leaky_relu(x, 0.2)
    x = x.permute(0, 2, 3, 1).flatten(1)
    hidden, last = numbered(p, "Dense")
    x = F.leaky_relu(F.linear(x, hidden["kernel"], hidden["bias"]), 0.2)
    return F.linear(x, last["kernel"], last["bias"])[:, 0]


def srgan_step(nets, opts, target, factor=4, adversarial=1e-3):
    """A step of `recipes.srgan` after its pre-training: D, then G, on the same fakes.

    Args:
        nets: G, `srresnet`, and D, `critic`, by name.
        opts: their optimizers.
        target: `[B, C, H, W]`; G is given bicubic copies.
        factor: how many times smaller these are.
        adversarial: weight of the adversarial loss, beside 1 of the squared error.

    Returns:
        D's loss, and G's adversarial one.
    """
    G, D = nets["G"], nets["D"]
    bicubic = {"mode": "bicubic", "antialias": True}
    fake = G(F.interpolate(target, scale_factor=1 / factor, **bicubic))
    real_logits, fake_logits = D(target), D(fake.detach())
    ones, zeros = torch.ones_like(real_logits), torch.zeros_like(real_logits)
    d_loss = bce(real_logits, ones) + bce(fake_logits, zeros)
    opts["D"].zero_grad()
    d_loss.backward()
    opts["D"].step()
    with frozen(D):
        g_loss = bce(D(fake), ones)
        opts["G"].zero_grad()
        (F.mse_loss(fake, target) + adversarial * g_loss).backward()
    opts["G"].step()
    return d_loss.detach(), g_loss.detach()
