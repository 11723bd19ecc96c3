"""InfoGAN (Chen et al., 2016, arXiv:1606.03657) on MNIST: codes found without labels.

    python experiments/infogan_mnist.py
    python experiments/infogan_mnist.py codes --out codes.png

`codes` draws a row for each category with a continuous code along it, and says how well
categories name digits: of 100.0, 99.9 and 99.9 % of the samples of seeds 0, 1 and 2.
With `--weight 0` G does not heed its category, with `--no-affine` several digits share
some.
"""

import dataclasses
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
from jax import random

from jaxgan import augment, data, metrics, models, parallel, recipes, run, visual
from jaxgan.metrics import extractors
from jaxgan.run import images, presets, provenance
from jaxgan.run.commands import Command, Trained
from jaxgan.run.idle import Only
from jaxgan.run.keys import root
from jaxgan.run.loading import Loaded
from jaxgan.run.settings import FILE, Count, Index, Number, Seed
from jaxgan.types import Model, UsageError


@dataclasses.dataclass(frozen=True)
class Networks:
    """The networks."""

    width: Count = 32
    """Channels of D's first layer and G's last hidden one; each smaller stage has
    twice as many."""
    latent_dim: Count = 62
    """Dimension of the part of z that is no code."""
    categories: Count = 10
    """Of the categorical code."""
    continuous: Index = 2
    """How many codes from U(-1, 1)."""
    hidden: Count = 1024
    """Units of a fully connected layer at G's start, and of one at D's end."""


@dataclasses.dataclass(frozen=True)
class Objective:
    """The information that images give on their codes."""

    affine: bool = True
    """Q is shown fakes sheared, scaled and moved at random; by --no-affine as they are:
    then some categories tell slants of several digits apart."""
    weight: Number = 1.0
    """λ of the information that images give on their category; 0 for none."""
    continuous_weight: Annotated[Number, Only("continuous")] = 0.1
    """λ of that on the continuous codes."""


@dataclasses.dataclass(frozen=True)
class Config(run.Config):
    """InfoGAN with DCGAN's networks, on MNIST or any images."""

    networks: Networks = Networks()
    objective: Objective = Objective()
    optimizers: presets.Optimizers = presets.Optimizers()


PRESET = run.changed(
    Config(), steps=3000, sample_every=1000, checkpoint_every=2000, d_lr=2e-4
)


@dataclasses.dataclass(frozen=True)
class Codes(Trained):
    """Draw images with codes along the axes; see how well categories name digits."""

    code: Index = 0
    """Which continuous code goes from -2 to 2 along a row."""
    num: Count = 10000
    """How many samples to judge by the classifier of digits."""
    out: Annotated[str, FILE] = "codes.png"
    """The PNG to write: a row for each category."""
    seed: Seed = 0
    """Decides the noise."""


def build(cfg: Config, shape, num_classes) -> Model:
    nets, objective = cfg.networks, cfg.objective
    G, D = models.dcgan.networks(shape, nets.width, dtype=jnp.dtype(cfg.dtype))
    G = G.clone(hidden=nets.hidden)
    D = D.clone(hidden=nets.hidden, outputs=nets.categories + nets.continuous)
    g_tx, d_tx = presets.adams(cfg.optimizers, cfg.steps)
    return recipes.infogan(
        models.flax_net("G", G),
        models.flax_net("D", D),
        noise=nets.latent_dim,
        categories=nets.categories,
        continuous=nets.continuous,
        weight=(objective.weight, objective.continuous_weight),
        g_tx=g_tx,
        d_tx=d_tx,
        augment=augment.diff_augment(augment.affine) if objective.affine else None,
        ema_decay=cfg.optimizers.ema_decay,
    )


def codes(options: Codes, loaded: Loaded) -> None:
    """Writes the grid, and prints how well categories name digits."""
    nets, model = loaded.run.config.networks, loaded.model
    if nets.continuous and not 0 <= options.code < nets.continuous:
        most = nets.continuous - 1
        raise UsageError("code", options.code, f"must be in 0 ... {most}.")
    settle_key, grid_key, z_key = random.split(root(options.seed, "codes"), 3)
    state = jax.jit(model.settle)(loaded.state, settle_key)
    draw = model.draws["sample"]
    sample = jax.jit(lambda z: draw.run(state, (z,), settle_key))
    rows = visual.to_uint8(sample(along_the_axes(nets, options.code, grid_key)))
    columns = len(rows) // nets.categories
    labels = np.repeat(np.arange(nets.categories), columns)
    about = provenance.by_command("codes", options, loaded)
    images.write(rows, labels, options.out, about=about)
    print(f"A row for each category: {options.out}")
    digits = extractors.of_digits(parallel.mesh_of(state.step))
    if loaded.run.config.data != "mnist" or loaded.run.shape != digits.shape:
        print("How well categories name digits is measured of the data mnist alone.")
        return
    accuracy = naming(nets, draw, sample, digits, options.num, z_key)
    print(f"The category names the digit of {accuracy:.1%} of {options.num} samples.")


def along_the_axes(nets: Networks, code: int, key, columns: int = 10):
    """z with a row for each category, the same noise along a row of a code."""
    categories, continuous = nets.categories, nets.continuous
    noise = random.normal(key, (1 if continuous else columns, nets.latent_dim))
    size = nets.latent_dim + categories + continuous
    z = np.zeros((categories, columns, size), np.float32)
    z[..., : nets.latent_dim] = noise
    z[..., nets.latent_dim : -continuous or None] = np.eye(categories)[:, None]
    if continuous:
        z[..., code - continuous] = np.linspace(-2, 2, columns)
    return z.reshape(-1, size)


def naming(nets: Networks, draw, sample, digits, num: int, key) -> float:
    """Of how many samples the category names the digit, after assignment."""
    found, drawn = [], []
    for rows, n in data.blocks(np.arange(num), digits.block):
        (z,) = draw.task.given({}, random.fold_in(key, rows[0]), len(rows))
        code = z[:, nets.latent_dim :][:, : nets.categories].argmax(1)
        _, logits = digits.run(visual.to_uint8(sample(z)))
        found.append(np.argmax(logits, 1)[:n])
        drawn.append(np.asarray(code)[:n])
    return metrics.matched_accuracy(np.concatenate(drawn), np.concatenate(found))


COMMANDS = {"codes": Command(Codes, codes)}

if __name__ == "__main__":
    run.main(PRESET, build, commands=COMMANDS)
