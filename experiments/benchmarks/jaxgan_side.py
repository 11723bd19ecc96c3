"""jaxgan's side: its GANs as its users train them, many steps in a dispatch."""

import time

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jax import random

from benchmarks import machine
from jaxgan import models, recipes, regularizers, tasks
from jaxgan.run.program import looped

TX = optax.adam(2e-4, b1=0.5)
PENALTIES = {
    None: None,
    "r1": regularizers.r1(10.0),
    "wgan_gp": regularizers.wgan_gp(10.0),
}


def dcgan(width, base, norm=True, penalty=None):
    nets = models.dcgan.networks((28, 28, 1), width, base=base, norm=(True, norm))
    return _gan(*nets, latent_dim=100, penalty=PENALTIES[penalty])


def mlp():
    return _gan(models.mlp.Generator(), models.mlp.Discriminator(), latent_dim=100)


def ring():
    sizes = {"hidden": (128, 128), "act": nn.relu}
    G = models.mlp.Generator(shape=(2,), output=lambda x: x, **sizes)
    return _gan(G, models.mlp.Discriminator(**sizes), latent_dim=2)


def _gan(G, D, **options):
    nets = models.flax_net("G", G), models.flax_net("D", D)
    return recipes.gan(*nets, g_tx=TX, d_tx=TX, **options)


def pix2pix():
    G = models.flax_net("G", models.pix2pix.UNet())
    D = models.flax_net("D", models.pix2pix.PatchGAN())
    return recipes.pix2pix(G, D, tasks.paired(), g_tx=TX, d_tx=TX)


def cyclegan():
    G, D = models.cyclegan.ResNetGenerator(blocks=6), models.pix2pix.PatchGAN()
    nets = [models.flax_net(name, G) for name in ("G", "F")]
    nets += [models.flax_net(name, D) for name in ("D_a", "D_b")]
    return recipes.cyclegan(*nets, shape=(64, 64, 3), g_tx=TX, d_tx=TX)


def start(gan, case, data, weights):
    """Begins a case anew.

    Args:
        gan: what `case.build` made of it here.
        case: a `cases.Case`.
        data: what its `data` returned.
        weights: None; jaxgan's side makes the weights.

    Returns:
        The weights by network, and `run(steps) -> (seconds, D's, G's mean loss)`.
    """

    def batch(arrays, step, key):
        real = arrays[random.randint(key, (case.batch,), 0, len(arrays))]
        if real.dtype == jnp.uint8:
            real = real.astype(jnp.float32) / 127.5 - 1
        parts = jnp.split(real, len(case.fields), axis=-1)
        return dict(zip(case.fields, parts, strict=True))

    key, data = random.key(0), jax.device_put(data)
    first = batch(data, 0, key)
    state = gan.init(key, first)
    metrics = jax.eval_shape(gan.step, state, first, key)[1]
    loop = looped(gan.step, batch, key, random.key(1))
    program = jax.jit(loop, donate_argnums=(0, 1))
    weights = jax.device_get(state.params)

    def run(steps):
        nonlocal state
        totals = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), metrics)
        began = time.perf_counter()
        state, totals = jax.block_until_ready(program(state, totals, data, steps))
        seconds = time.perf_counter() - began
        return seconds, totals["d_loss"].value(), totals["g_loss"].value()

    return weights, run


def matmul() -> float:
    """GFLOP/s of a 2048³ float32 matrix product."""
    product = jax.jit(lambda a: a @ a)
    a = random.normal(random.key(0), (2048, 2048))
    return machine.gflops(lambda: product(a).block_until_ready())
