"""Writes jaxgan/models/NAMES.md: what arrays of networks are called in files.

    python tests/network_names.py

Files and checkpoints hold arrays by these names, so a name that changes makes them
unreadable: `test_network_names.py` compares.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
from jax import random
from jax.tree_util import keystr, tree_flatten_with_path

from jaxgan import models
from jaxgan.metrics import feature_maps

PAGE = Path(__file__).parents[1] / "jaxgan" / "models" / "NAMES.md"
HEAD = """# What the networks' arrays are called

In `.safetensors` and `.npz` files (`export`, `jaxgan.run.weights`) an array is called
FIELD/NETWORK/NAME, such as `params/G/Dense_0/kernel`. FIELD is `params`, `ema` for
their average, or `stats` for what no gradient trains. NETWORK is the recipe's name for
it: `G`, `D`, `mapping`. NAME is one of these, for some networks of published width.

Kernels are [height, width, in, out], of ConvTranspose [height, width, out, in], of
dense layers [in, out]. PyTorch has the axes of the first two in the order 3, 2, 0, 1,
and those of the third the other way round.

Written by `python tests/network_names.py`.
"""
Z, LABEL = jnp.zeros((2, 100)), jnp.zeros(2, int)
ALPHA = jnp.float32(1)


def image(side, channels=3):
    return jnp.zeros((2, side, side, channels))


def networks():
    """By title, a network and what it is given."""
    found = {}

    def pair(title, nets, z, x, *label):
        G, D = nets
        found[f"{title}, G"], found[f"{title}, D"] = (G, z, *label), (D, x, *label)

    pair("MLP", (models.mlp.Generator(), models.mlp.Discriminator()), Z, image(28, 1))
    dcgan = models.dcgan.networks
    pair("DCGAN 28x28", dcgan((28, 28, 1)), Z, image(28, 1))
    told = dcgan((28, 28, 1), num_classes=10)
    pair("DCGAN 28x28 with ten classes", told, Z, image(28, 1), LABEL)
    D = dcgan((28, 28, 1), norm=(True, False))[1]
    normalized = models.spectral.normalized(models.flax_net("D", D))
    found["DCGAN 28x28 with spectral norm, D"] = normalized, image(28, 1)
    sagan = models.resnet.networks((32, 32, 3), num_classes=10, attention=True)
    pair("SAGAN 32x32 with ten classes", sagan, Z, image(32), LABEL)
    large = models.biggan.networks((128, 128, 3), 120, num_classes=1000)
    pair("BigGAN 128x128", large, jnp.zeros((2, 120)), image(128), LABEL)
    small = models.r3gan.networks((32, 32, 3), 768, num_classes=10)
    pair("R3GAN 32x32 with ten classes", small, jnp.zeros((2, 64)), image(32), LABEL)
    z = jnp.zeros((2, 512))
    grown = [net[-1] for net in models.progan.networks((32, 32, 3))]
    pair("ProGAN 32x32", grown, z, image(32), ALPHA)
    found["StyleGAN 32x32, G"] = models.stylegan.networks((32, 32, 3))[0][-1], z, ALPHA
    mapping, synthesis, D = models.stylegan2.networks((32, 32, 3), num_classes=10)
    w = jnp.zeros((2, 8, 512))  # one for each of its layers
    found["StyleGAN2 with ten classes, mapping"] = mapping, z, LABEL
    found["StyleGAN2 32x32, synthesis"] = synthesis, w
    found["StyleGAN2 32x32 with ten classes, D"] = D, image(32), LABEL
    features = feature_maps.of_filters()
    projected = models.projected.discriminator("D", features, 64, "batch")
    found["Projected GAN 32x32 over filters, D"] = projected, image(32)
    found["pix2pix 256x256, G"] = models.pix2pix.UNet(3), image(256)
    found["pix2pix, D"] = models.pix2pix.PatchGAN(), image(256)
    found["CycleGAN, G"] = models.cyclegan.ResNetGenerator(3), image(128)
    found["CycleGAN by pixels, G"] = models.cyclegan.PixelGenerator(3), image(128)
    painter = models.spade.Generator(3, 16)
    found["SPADE 64x64, G"] = painter, jnp.zeros((2, 256)), image(64, 10)
    found["SPADE 64x64, E"] = models.spade.Encoder(256, 16), image(64)
    found["SRGAN, G"] = models.srgan.SRResNet(3), image(24)
    found["SRGAN 96x96, D"] = models.srgan.Discriminator(), image(96)
    return found


def lines(net, *given):
    """A network's arrays, each as a line."""
    net = net if isinstance(net, models.Net) else models.flax_net("N", net)
    shapes = jax.eval_shape(net.init, random.key(0), *given)
    rows = []
    for field, tree in zip(("", "stats: "), shapes, strict=True):
        for path, x in tree_flatten_with_path(tree)[0]:
            name = keystr(path, simple=True, separator="/")
            rows.append(f"{field}{name} {list(x.shape)}")
    return rows


def page() -> str:
    """The whole text."""
    parts = [HEAD]
    for title, (net, *given) in networks().items():
        parts.append("\n".join([f"## {title}\n", "```", *lines(net, *given), "```\n"]))
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
