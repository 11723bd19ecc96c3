"""jaxgan's networks from image to image, and their steps, once more in PyTorch.

What jaxgan is raced against, and what `tests/test_translators.py` holds jaxgan's
networks to. Networks are functions of their weights, trees of tensors as jaxgan has
them, and of images `[B, C, H, W]`, as PyTorch likes them; with weights, a `Net`.
"""

import contextlib
import random

import numpy as np
import torch
import torch.nn.functional as F
from torch.nn.functional import binary_cross_entropy_with_logits as bce


def weights(tree):
    """Weights as tensors that want gradients, in PyTorch's layouts.

    Kernels of transposed convolutions, `[kh, kw, out, in]` in jaxgan, come to
    `[in, out, kh, kw]` by the same permutation as others.
    """

    def one(name, x):
        if isinstance(x, dict):
            return {k: one(k, v) for k, v in x.items()}
        x = torch.tensor(np.array(x))
        if name == "kernel":
            x = x.permute(3, 2, 0, 1) if x.ndim == 4 else x.T
        return x.contiguous().requires_grad_()

    return one("", tree)


def leaves(tree) -> list[torch.Tensor]:
    """All tensors of a tree."""
    if not isinstance(tree, dict):
        return [tree]
    return [x for _, branch in sorted(tree.items()) for x in leaves(branch)]


class Net:
    """A network with its weights, called as the network without them."""

    def __init__(self, function, tree):
        self.function, self.tree = function, tree

    def __call__(self, *inputs, **options):
        return self.function(self.tree, *inputs, **options)

    def parameters(self):
        return leaves(self.tree)


def numbered(p, kind):
    """Layers of a kind, in order."""
    return [p[f"{kind}_{i}"] for i in range(sum(n.startswith(f"{kind}_") for n in p))]


def conv(p, x, **options):
    return F.conv2d(x, p["kernel"], p.get("bias"), **options)


def halving(p, x):
    """A 4x4 convolution of stride 2; an odd side counts as if one pixel longer."""
    h, w = x.shape[2:]
    if h % 2 or w % 2:
        x = F.pad(x, (0, w % 2, 0, h % 2))
    return conv(p, x, stride=2, padding=1)


def doubling(p, x, size, k):
    """A transposed k x k convolution of stride 2, to `size`."""
    even = all(n == 2 * m for n, m in zip(size, x.shape[2:], strict=True))
    if even:
        of = {"stride": 2, "padding": 1, "output_padding": 4 - k}
        return F.conv_transpose2d(x, p["kernel"], p.get("bias"), **of)
    y = F.conv_transpose2d(x, p["kernel"], p.get("bias"), stride=2)
    return y[..., 1 : 1 + size[0], 1 : 1 + size[1]]


def norm(x):
    """Of each image by itself; of one pixel, none."""
    return F.instance_norm(x) if x.shape[2] * x.shape[3] > 1 else x


def unet(p, x, skip=True, dropout=0.0):
    """`models.pix2pix.UNet`."""
    downs, ups = numbered(p, "Conv"), numbered(p, "ConvTranspose")
    seen, sizes = [], []
    for i, layer in enumerate(downs):
        sizes.append(x.shape[2:])
        x = halving(layer, x if i == 0 else F.leaky_relu(x, 0.2))
        x = norm(x) if 0 < i < len(downs) - 1 else x
        seen.append(x)
    for i, layer in enumerate(ups):
        j = len(ups) - 1 - i
        x = doubling(layer, F.relu(x), sizes[j], 4)
        if j:
            x = F.dropout(norm(x), dropout) if dropout and i < 3 else norm(x)
            x = torch.cat([seen[j - 1], x], 1) if skip else x
    return torch.tanh(x)


def patchgan(p, images, given=None, halvings=3, features=False):
    """`models.pix2pix.PatchGAN`."""
    x = images if given is None else torch.cat([images, given], 1)
    convs, found = numbered(p, "Conv"), []
    for i, layer in enumerate(convs):
        stride = 2 if i < halvings else 1
        x = conv(layer, x, stride=stride, padding=1 if halvings else 0)
        x = norm(x) if 0 < i < len(convs) - 1 else x
        x = F.leaky_relu(x, 0.2) if i < len(convs) - 1 else x
        found.append(x)
    return (x[:, 0], found[:-1]) if features else x[:, 0]


def resnet(p, x):
    """`models.cyclegan.ResNetGenerator`."""

    def mirrored(x, n):
        return F.pad(x, (n, n, n, n), mode="reflect")

    first, *halvings = numbered(p, "Conv")[:3]
    *blocks, last = numbered(p, "Conv")[3:]
    x = F.relu(norm(conv(first, mirrored(x, 3))))
    sizes = []
    for layer in halvings:
        sizes.append(x.shape[2:])
        x = F.relu(norm(conv(layer, x, stride=2, padding=1)))
    for one, other in zip(blocks[::2], blocks[1::2], strict=True):
        y = F.relu(norm(conv(one, mirrored(x, 1))))
        x = x + norm(conv(other, mirrored(y, 1)))
    for layer, size in zip(numbered(p, "ConvTranspose"), sizes[::-1], strict=True):
        x = F.relu(norm(doubling(layer, x, size, 3)))
    return torch.tanh(conv(last, mirrored(x, 3)))


@contextlib.contextmanager
def frozen(*nets):
    """Leaves out the gradients of discriminators, as the papers' own code does."""
    for x in (x for net in nets for x in net.parameters()):
        x.requires_grad_(False)
    yield
    for x in (x for net in nets for x in net.parameters()):
        x.requires_grad_(True)


def pix2pix_step(nets, opts, given, target, dropout=0.5, weight=100.0):
    """A step of `recipes.pix2pix`: D, then G through the new D, on the same fakes.

    Args:
        nets: G, `unet`, and D, `patchgan`, by name.
        opts: their optimizers.
        given: `[B, C', H, W]`.
        target: `[B, C, H, W]`.
        dropout: of G.
        weight: λ of the L1 distance.

    Returns:
        D's loss, and G's without the distance.
    """
    G, D = nets["G"], nets["D"]
    fake = G(given, dropout=dropout)
    real_logits = D(target, given)
    fake_logits = D(fake.detach(), given)
    ones, zeros = torch.ones_like(real_logits), torch.zeros_like(real_logits)
    d_loss = (bce(real_logits, ones) + bce(fake_logits, zeros)) / 2
    opts["D"].zero_grad()
    d_loss.backward()
    opts["D"].step()
    with frozen(D):
        g_loss = bce(D(fake, given), ones)
        opts["G"].zero_grad()
        (g_loss + weight * F.l1_loss(fake, target)).backward()
    opts["G"].step()
    return d_loss.detach(), g_loss.detach()


class Pool:
    """CycleGAN's pool of earlier fakes of one domain; of size 0, none."""

    def __init__(self, size=50):
        self.size, self.kept = size, []

    def query(self, fakes):
        if not self.size:
            return fakes
        shown = []
        for fake in fakes:
            if len(self.kept) < self.size:
                self.kept.append(fake)
                shown.append(fake)
            elif random.random() < 0.5:
                i = random.randrange(self.size)
                shown.append(self.kept[i])
                self.kept[i] = fake
            else:
                shown.append(fake)
        return torch.stack(shown)


def cyclegan_step(nets, opts, pools, a, b, cycle=5.0, identity=0.5):
    """A step of `recipes.cyclegan`: both D, then both generators, on the same fakes.

    Args:
        nets: G and F, `resnet`, D_a and D_b, `patchgan`, by name.
        opts: optimizers, "D" of both discriminators, "G" of both generators.
        pools: a `Pool` for "a" and for "b".
        a: images of A, `[B, C, H, W]`.
        b: images of B.
        cycle: λ.
        identity: share of λ.

    Returns:
        The discriminators' loss, and the generators' adversarial one.
    """
    to_b, to_a = nets["G"], nets["F"]
    fake_b, fake_a = to_b(a), to_a(b)

    def towards(logits, value):
        return (logits - value).square().mean() / 2

    d_loss = 0
    for name, real, fake in (("a", a, fake_a), ("b", b, fake_b)):
        D, shown = nets[f"D_{name}"], pools[name].query(fake.detach())
        d_loss = d_loss + towards(D(real), 1) + towards(D(shown), 0)
    opts["D"].zero_grad()
    d_loss.backward()
    opts["D"].step()

    with frozen(nets["D_a"], nets["D_b"]):
        g_loss = towards(nets["D_b"](fake_b), 1)
        g_loss = g_loss + towards(nets["D_a"](fake_a), 1)
        cycle_loss = F.l1_loss(to_a(fake_b), a)
        cycle_loss = cycle_loss + F.l1_loss(to_b(fake_a), b)
        identity_loss = F.l1_loss(to_b(b), b) + F.l1_loss(to_a(a), a)
        opts["G"].zero_grad()
        distances = cycle_loss + identity * identity_loss
        (g_loss + cycle * distances).backward()
    opts["G"].step()
    return d_loss.detach(), g_loss.detach()
