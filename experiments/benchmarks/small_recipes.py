"""Every recipe at a tiny size, and batches for it: what devices are tested with."""

import contextvars
import functools

import numpy as np
import optax

from jaxgan import augment, losses, recipes, tasks
from jaxgan import regularizers as reg
from jaxgan.games import extragradient
from jaxgan.models import (
    cyclegan,
    dcgan,
    flax_net,
    mlp,
    packed,
    pix2pix,
    progan,
    spade,
    spectral,
    srgan,
    stylegan2,
)
from jaxgan.phases import together
from jaxgan.recipes.progan import drift

SIDE, BATCH = 8, 16
SGD = {"g_tx": optax.sgd(0.02), "d_tx": optax.sgd(0.02)}


def rows(n):
    """Whatever a recipe reads, of n examples."""
    rng = [np.random.default_rng(seed) for seed in range(3)]
    image, given = (np.tanh(r.normal(size=(n, SIDE, SIDE, 3))) for r in rng[:2])
    return {
        "image": image.astype("float32"),
        "input": given.astype("float32"),
        "label": np.arange(n, dtype="int32") % 3,
        "map": rng[2].integers(0, 3, (n, SIDE, SIDE), "int32"),
    }


ROWS = rows(BATCH)


DTYPE = contextvars.ContextVar("DTYPE", default="float32")
"""What layers of the networks compute in that are being made."""


def net(name, module):
    return flax_net(name, module.clone(dtype=DTYPE.get()))


def mlps(num_classes=0):
    G = mlp.Generator((SIDE, SIDE, 3), (8,), num_classes)
    return net("G", G), net("D", mlp.Discriminator((8,), num_classes))


def dcgans(num_classes=0, outputs=0):
    """With BatchNorm."""
    G = dcgan.Generator((SIDE, SIDE, 3), 2, num_classes)
    D = dcgan.Discriminator(2, 0 if outputs else num_classes, outputs=outputs)
    return net("G", G), net("D", D)


def spectrally():
    G, D = mlps(3)
    return G, spectral.normalized(D)


def gan(nets, **options):
    return recipes.gan(*nets, latent_dim=4, **SGD | options)


def packs():
    G, D = mlps()
    return G, packed(D, 2)


def unet(norm):
    return net("G", pix2pix.UNet(3, 2, stages=2, norm=norm))


def patchgan(name="D", norm="instance"):
    return net(name, pix2pix.PatchGAN(2, 16, norm))


def cycle():
    G, F = (net(n, cyclegan.PixelGenerator(3, 4)) for n in "GF")
    judges = patchgan("D_a", "none"), patchgan("D_b", "none")
    return recipes.cyclegan(G, F, *judges, shape=(SIDE, SIDE, 3), pool=20, **SGD)


def painter():
    G = spectral.normalized(net("G", spade.Generator(3, 2, 2)))
    D = spectral.normalized(net("D", pix2pix.MultiScale(1, 2, 16)))
    E = net("E", spade.Encoder(4, 2))
    return recipes.spade(G, D, tasks.of_maps(3), latent_dim=4, encoder=E, **SGD)


def enlarger():
    G = net("G", srgan.SRResNet(3, 2, 1, 2))
    D = net("D", srgan.Discriminator(2, 4))
    return recipes.srgan(G, D, tasks.super_resolution(2), pretrain=2, **SGD)


def styled():
    widths = {"width": 4, "most": 8, "w_dim": 4, "depth": 1}
    mapping, G, D = stylegan2.networks((SIDE, SIDE, 3), num_classes=3, **widths)
    mapping = flax_net("mapping", mapping)  # always of float32
    periods = {"r1_every": 2, "path_every": 2}
    options = SGD | periods | {"latent_dim": 4, "num_classes": 3, "augment": RISING}
    return recipes.stylegan2(mapping, net("synthesis", G), net("D", D), **options)


def growing():
    """Of two stages, the second of which fades in."""
    G, D = progan.networks((SIDE, SIDE, 3), 4, 8)
    nets = ([net(n, module) for module in each] for n, each in (("G", G), ("D", D)))
    penalty = reg.total(reg.wgan_gp(10.0), drift())
    sizes = {"latent_dim": 4, "ends": (1,), "fade": 2}
    return recipes.progan(*nets, penalty=penalty, **sizes, **SGD)


def flow():
    """z has the images' shape."""
    return recipes.adversarial_flow(*mlps(), shape=(SIDE, SIDE, 3), **SGD)


PENALTY = reg.total(reg.r1(0.5), reg.dragan(0.5), reg.lecam_penalty(0.5, 0.9, 1))
RISING = augment.adaptive(
    augment.by_chance(augment.color), target=-1.0, images=2000, every=1
)
RECIPES = {
    "gan": lambda: gan(mlps()),
    "conditional, BatchNorm": lambda: gan(dcgans(3), num_classes=3),
    "packed, own fakes": lambda: gan(packs(), share_fakes=False),
    "n_critic, WGAN-GP": lambda: gan(
        mlps(), loss=losses.wasserstein, penalty=reg.wgan_gp(10.0), n_critic=2
    ),
    "R3GAN": lambda: gan(
        mlps(),
        loss=losses.relativistic_logistic,
        penalty=reg.total(reg.r1(1.0), reg.r2(1.0)),
        augment=augment.diff_augment(augment.translation),
    ),
    "spectral norm": lambda: gan(spectrally(), num_classes=3),
    "extragradient": lambda: gan(
        mlps(), play=lambda d, g: extragradient(together(d, g))
    ),
    "relativistic average": lambda: gan(
        mlps(), loss=losses.relativistic_average_logistic
    ),
    "penalties, ADA": lambda: gan(mlps(), penalty=PENALTY, augment=RISING),
    "AC-GAN": lambda: recipes.acgan(
        *dcgans(3, outputs=3), latent_dim=4, num_classes=3, **SGD
    ),
    "InfoGAN": lambda: recipes.infogan(
        *dcgans(outputs=5), noise=4, categories=3, continuous=2, **SGD
    ),
    "unrolled": lambda: recipes.unrolled(*mlps(), latent_dim=4, steps=2, **SGD),
    "consensus": lambda: recipes.consensus(*mlps(), latent_dim=4, weight=1.0, **SGD),
    "StyleGAN2": styled,
    "growing": growing,
    "adversarial flow": flow,
    "pix2pix": lambda: recipes.pix2pix(
        unet("batch"), patchgan(), tasks.paired(), weight=1.0, **SGD
    ),
    "inpainting, no norm": lambda: recipes.pix2pix(
        unet("none"),
        patchgan(norm="none"),
        tasks.inpainting(tasks.free_form()),
        weight=1.0,
        **SGD,
    ),
    "CycleGAN": cycle,
    "SPADE": painter,
    "SRGAN": enlarger,
}
MIXES = {  # examples meet in these, so a part is not the whole
    *("conditional, BatchNorm", "relativistic average"),
    *("penalties, ADA", "StyleGAN2", "growing", "adversarial flow"),
    *("AC-GAN", "InfoGAN", "pix2pix", "SRGAN"),
}
ALONE = ("unrolled", "consensus")
WHOLE = [n for n in RECIPES if n not in MIXES and n not in ALONE]


@functools.cache
def model(name, dtype="float32"):
    """A recipe by name, whose layers compute in `dtype`."""
    context = contextvars.copy_context()
    context.run(DTYPE.set, dtype)
    return context.run(RECIPES[name])
