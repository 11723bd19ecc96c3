"""jaxgan's SPADE, networks and step, once more in PyTorch.

Networks are functions of their weights, as in `torch_translators`.
"""

import torch
import torch.nn.functional as F

from benchmarks.torch_translators import conv, frozen, numbered, patchgan


def spade(p, x, label_map):
    """`models.spade.SPADE`."""
    seen = F.interpolate(label_map, size=x.shape[2:], mode="nearest")
    first, *both = numbered(p, "Conv")
    seen = F.relu(conv(first, seen, padding=1))
    scale, shift = (conv(layer, seen, padding=1) for layer in both)
    return F.group_norm(x, 1) * (1 + scale) + shift


def block(p, x, label_map):
    """`models.spade.SPADEBlock`."""
    y = x
    for i in (0, 1):
        y = F.leaky_relu(spade(p[f"SPADE_{i}"], y, label_map), 0.2)
        y = conv(p[f"Conv_{i}"], y, padding=1)
    if "Conv_2" in p:
        x = conv(p["Conv_2"], spade(p["SPADE_2"], x, label_map))
    return x + y


def generator(p, z, label_map):
    """`models.spade.Generator`, of maps of the size that it is trained on."""
    blocks = numbered(p, "SPADEBlock")
    sizes = [tuple(label_map.shape[2:])]
    while len(sizes) < len(blocks):
        h, w = sizes[0]
        sizes.insert(0, (-(-h // 2), -(-w // 2)))
    x = F.linear(z, p["Dense_0"]["kernel"], p["Dense_0"]["bias"])
    # Contiguous: the layout is the mode's to choose.
    x = x.view(len(z), *sizes[0], -1).permute(0, 3, 1, 2).contiguous()
    for i, (of, (h, w)) in enumerate(zip(blocks, sizes, strict=True)):
        x = F.interpolate(x, scale_factor=2, mode="nearest")[..., :h, :w] if i else x
        x = block(of, x, label_map)
    return torch.tanh(conv(p["Conv_0"], F.leaky_relu(x, 0.2), padding=1))


def encoder(p, x):
    """`models.spade.Encoder`."""
    for i, layer in enumerate(numbered(p, "Conv")):
        x = F.leaky_relu(x, 0.2) if i else x
        h, w = x.shape[2:]
        # "SAME": an even side wants its one pixel of padding at the end.
        x = conv(layer, F.pad(x, (w % 2, 1, h % 2, 1)), stride=2)
        if i:
            after = p[f"GroupNorm_{i - 1}"]
            x = F.group_norm(x, 1, after["scale"], after["bias"])
    x = F.leaky_relu(x, 0.2).permute(0, 2, 3, 1).flatten(1)
    return [F.linear(x, of["kernel"], of["bias"]) for of in numbered(p, "Dense")]


def multiscale(p, images, label_map, halvings=1):
    """`models.pix2pix.MultiScale`: logits and features of all scales."""
    pool = {"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False}
    logits, features = [], []
    for i, of in enumerate(numbered(p, "PatchGAN")):
        if i:
            images, label_map = (F.avg_pool2d(t, **pool) for t in (images, label_map))
        one, found = patchgan(of, images, label_map, halvings, features=True)
        logits.append(one)
        features += found
    return logits, features


def spade_step(nets, opts, target, label_map, z, matching=2.0, divergence=1e-3):
    """A step of `recipes.spade` with an encoder: D, then G and E, on the same fakes.

    Args:
        nets: G, `generator`, D, `multiscale`, both `torch_spectral.Normalized`, and E,
            `encoder`, by name.
        opts: optimizers, "D", and "G" of G and E.
        target: `[B, C, H, W]`.
        label_map: one-hot, `[B, K, H, W]`.
        z: noise, `[B, latent_dim]`.
        matching: weight of the distance of features.
        divergence: weight of the encoder's KL divergence.

    Returns:
        D's loss, and G's adversarial one.
    """
    G, D, E = nets["G"], nets["D"], nets["E"]
    mean, log_variance = E(target)
    style = mean + torch.exp(log_variance / 2) * z
    kl = (mean**2 + log_variance.exp() - 1 - log_variance).sum(1).mean() / 2
    fake, judge = G.divided()(style, label_map), D.divided()

    def over_scales(term, logits):
        return sum(term(x).mean() for x in logits) / len(logits)

    (real_logits, _), (fake_logits, _) = (
        judge(x, label_map) for x in (target, fake.detach())
    )
    d_loss = over_scales(lambda x: F.relu(1 - x), real_logits)
    d_loss = d_loss + over_scales(lambda x: F.relu(1 + x), fake_logits)
    opts["D"].zero_grad()
    d_loss.backward()
    opts["D"].step()

    with frozen(D):
        judge = D.divided(advance=True)
        with torch.no_grad():
            _, wanted = judge(target, label_map)
        logits, features = judge(fake, label_map)
        g_loss = over_scales(torch.neg, logits)
        pairs = zip(features, wanted, strict=True)
        distance = sum(F.l1_loss(x, y) for x, y in pairs) / len(logits)
        opts["G"].zero_grad()
        (g_loss + matching * distance + divergence * kl).backward()
    opts["G"].step()
    with torch.no_grad():
        G.divided(advance=True)  # by the new weights, as jaxgan's advance
    return d_loss.detach(), g_loss.detach()
