"""GANs of published sizes, for `benchmark_tpu.py`, and their batches as shapes.

Each function takes how many devices there are, and returns `(model, batch)`.
"""

import jax
import jax.numpy as jnp
import optax

from jaxgan import losses, models, recipes, regularizers, tasks
from jaxgan.models import spectral

ADAM = {"g_tx": optax.adam(2e-4, b1=0.5), "d_tx": optax.adam(2e-4, b1=0.5)}


def _images(n, side, *names, channels=3):
    image = jax.ShapeDtypeStruct((n, side, side, channels), "float32")
    return dict.fromkeys(names, image)


def _net(name, module):
    return models.flax_net(name, module)


def dcgan(devices: int):
    """Radford et al., 2016: 64x64, width 128, batch 128 a device, bfloat16."""
    G, D = models.dcgan.networks((64, 64, 3), 128, dtype=jnp.bfloat16)
    made = recipes.gan(_net("G", G), _net("D", D), latent_dim=100, **ADAM)
    return made, _images(128 * devices, 64, "image")


def sngan(devices: int):
    """Miyato et al., 2018, table 4: 32x32, batch 64 a device; D and G learn from the
    same fakes, in place of five updates of D for each of G."""
    G, D = models.resnet.networks((32, 32, 3))
    D = spectral.normalized(_net("D", D))
    options = ADAM | {"latent_dim": 128, "loss": losses.hinge}
    return recipes.gan(_net("G", G), D, **options), _images(64 * devices, 32, "image")


def r3gan(devices: int):
    """Huang et al., 2024, of FFHQ: 64x64, width 384, batch 32 a device, bfloat16."""
    G, D = models.r3gan.networks((64, 64, 3), 384, dtype=jnp.bfloat16)
    penalty = regularizers.total(regularizers.r1(2.0), regularizers.r2(2.0))
    options = {"loss": losses.relativistic_logistic, "penalty": penalty}
    made = recipes.gan(_net("G", G), _net("D", D), latent_dim=64, **options, **ADAM)
    return made, _images(32 * devices, 64, "image")


def stylegan2(devices: int):
    """Karras et al., 2020: 256x256, as StyleGAN2-ADA's `paper256`, batch 8 a device,
    bfloat16; R1 and path lengths on their steps, both of which the program holds."""
    names = "mapping", "synthesis", "D"
    nets = models.stylegan2.networks((256, 256, 3), dtype=jnp.bfloat16, group=8)
    nets = [_net(name, module) for name, module in zip(names, nets, strict=True)]
    made = recipes.stylegan2(*nets, latent_dim=512, r1=1.0, **ADAM)
    return made, _images(8 * devices, 256, "image")


def pix2pix(devices: int):
    """Isola et al., 2017: 256x256, an image a device."""
    G = _net("G", models.pix2pix.UNet(norm="affine_instance"))
    D = _net("D", models.pix2pix.PatchGAN(norm="affine_instance"))
    made = recipes.pix2pix(G, D, tasks.paired(), **ADAM)
    return made, _images(devices, 256, "input", "image")


def cyclegan(devices: int):
    """Zhu et al., 2017: 256x256, nine blocks, a pair a device."""
    G, D = models.cyclegan.ResNetGenerator(), models.pix2pix.PatchGAN()
    nets = [_net(n, G) for n in ("G", "F")] + [_net(n, D) for n in ("D_a", "D_b")]
    made = recipes.cyclegan(*nets, shape=(256, 256, 3), **ADAM)
    return made, _images(devices, 256, "input", "image")


def spade(devices: int):
    """Park et al., 2019: 256x256, 182 classes as COCO-Stuff's, batch 8 a device.

    The paper's 4, and 1, end the compiler of libtpu 0.0.42.1, and Python with it: a
    check fails in XLA's space_to_batch_converter.cc.
    """
    classes, n = 182, 8 * devices
    G = spectral.normalized(_net("G", models.spade.Generator()))
    D = spectral.normalized(_net("D", models.pix2pix.MultiScale()))
    E = _net("E", models.spade.Encoder())
    task = tasks.of_maps(classes)
    made = recipes.spade(G, D, task, latent_dim=256, encoder=E, **ADAM)
    label_map = jax.ShapeDtypeStruct((n, 256, 256), "int32")
    return made, _images(n, 256, "image") | {"map": label_map}
