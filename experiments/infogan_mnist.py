"""InfoGAN (Chen et al., 2016, arXiv:1606.03657) on MNIST: codes found without labels.

    python experiments/infogan_mnist.py
    python experiments/infogan_mnist.py codes --out codes.png

`codes` draws a row for each category with a continuous code along it, and says how well
categories name digits: of 100.0, 99.9 and 99.9 % of the samples of seeds 0, 1 and 2.
With `--weight 0` G does not heed its category, with `--no-affine` several digits share
some.
"""

import dataclasses
from typing import Literal

import dcgan_mnist
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import random

from jaxgan import augment, data, metrics, models, parallel, recipes, visual
from jaxgan.metrics import extractors
from jaxgan.run import cli, config, sampling
from jaxgan.types import UsageError


@dataclasses.dataclass(frozen=True)
class Config(dcgan_mnist.Config):
    """InfoGAN with DCGAN's networks, on MNIST or any images."""

    steps: int = 3000
    """How many steps to train, in all."""
    latent_dim: int = 62
    """Dimension of the part of z that is no code."""
    categories: int = 10
    """Of the categorical code."""
    continuous: int = config.or_none(2)
    """How many codes from U(-1, 1)."""
    hidden: int = 1024
    """Units of a fully connected layer at G's start, and of one at D's end."""
    d_lr: float = 2e-4
    """Adam's learning rate for D."""
    affine: bool = True
    """Q is shown fakes sheared, scaled and moved at random; by --no-affine as they are:
    then some categories tell slants of several digits apart."""
    weight: float = 1.0
    """λ of the information that images give on their category; 0 for none."""
    continuous_weight: float = 0.1
    """λ of that on the continuous codes."""


@dataclasses.dataclass(frozen=True)
class Codes:
    """Draw images with codes along the axes; see how well categories name digits."""

    workdir: str | None = None
    """The run. Default runs/infogan_mnist."""
    code: int = 0
    """Which continuous code goes from -2 to 2 along a row."""
    num: int = 10000
    """How many samples to judge by the classifier of digits."""
    out: str = "codes.png"
    """The PNG to write: a row for each category."""
    seed: int = 0
    """Decides the noise."""
    best: bool = False
    """From the best state that --evaluate-every found, instead of the newest."""
    platform: Literal["auto", "cpu", "gpu", "tpu"] = "auto"
    """Where to run."""


def build(cfg: Config, shape, num_classes) -> recipes.GAN:
    G, D = models.dcgan.networks(shape, cfg.width, dtype=jnp.dtype(cfg.dtype))
    G = G.clone(hidden=cfg.hidden)
    D = D.clone(hidden=cfg.hidden, outputs=cfg.categories + cfg.continuous)
    return recipes.infogan(
        models.flax_net("G", G),
        models.flax_net("D", D),
        noise=cfg.latent_dim,
        categories=cfg.categories,
        continuous=cfg.continuous,
        weight=(cfg.weight, cfg.continuous_weight),
        g_tx=optax.adam(cfg.g_lr, cfg.beta1),
        d_tx=optax.adam(cfg.d_lr, cfg.beta1),
        augment=augment.diff_augment(augment.affine) if cfg.affine else None,
        ema_decay=cfg.ema_decay,
    )


def codes(options: Codes, loaded: cli.Loaded) -> None:
    """Writes the grid, and prints how well categories name digits."""
    _, gan, state, run = loaded
    cfg, columns = run.config, 10
    config.check_numbers(options)
    config.check_seed(options.seed)
    categories, continuous = cfg.categories, cfg.continuous
    if continuous and not 0 <= options.code < continuous:
        raise UsageError(f"--code {options.code} must be in 0 ... {continuous - 1}.")
    settle_key, grid_key, z_key = random.split(random.key(options.seed), 3)
    state, sample = jax.jit(gan.settle)(state, settle_key), jax.jit(gan.sample)

    noise = random.normal(grid_key, (1 if continuous else columns, cfg.latent_dim))
    z = np.zeros((categories, columns, gan.latent_dim), np.float32)
    z[..., : cfg.latent_dim] = noise
    z[..., cfg.latent_dim : -continuous or None] = np.eye(categories)[:, None]
    if continuous:
        z[..., options.code - continuous] = np.linspace(-2, 2, columns)
    images = visual.to_uint8(sample(state, z.reshape(-1, gan.latent_dim)))
    sampling.write(images, np.repeat(np.arange(categories), columns), options.out)
    print(f"A row for each category: {options.out}")
    digits = extractors.of_digits(parallel.mesh_of(state.step))
    if run.config.data != "mnist" or run.shape != digits.shape:
        return

    found, drawn = [], []
    for rows, n in data.blocks(np.arange(options.num), digits.block):
        z = gan.latents(random.fold_in(z_key, rows[0]), len(rows))
        code = z[:, cfg.latent_dim :][:, :categories].argmax(1)
        _, logits = digits.run(visual.to_uint8(sample(state, z)))
        found.append(np.argmax(logits, 1)[:n])
        drawn.append(np.asarray(code)[:n])
    found, drawn = np.concatenate(found), np.concatenate(drawn)
    accuracy = metrics.matched_accuracy(drawn, found)
    print(f"The category names the digit of {accuracy:.1%} of {options.num} samples.")


COMMANDS = cli.GAN | {"codes": (Codes, codes)}

if __name__ == "__main__":
    cli.main(Config, build, commands=COMMANDS)
