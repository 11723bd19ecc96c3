"""NaN at each site of each recipe: by hand (torture), README has the last figures."""

import sys
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_guard import by_hand, ready
from tiny_runs import ADAM, assert_same

sys.path.insert(0, str(Path(__file__).parent.parent / "experiments"))
import acgan_mnist
import adversarial_flow
import cgan_mnist
import cyclegan
import dcgan_mnist
import gan_mnist
import infogan_mnist
import mlp_gan_mnist
import pix2pix
import spade
import srgan
import stylegan2

from jaxgan import models, parallel, recipes
from jaxgan.run import Config, changed, finite, guard
from jaxgan.run.presets import classic
from jaxgan.types import merge

BAD = 3
"""The step after which something is NaN."""


def game(recipe):
    """Of G and D that play by a scheme of its own."""

    def build(cfg, shape, num_classes):
        G, D = models.mlp.Generator(shape, (4,)), models.mlp.Discriminator((4,))
        G, D = models.flax_net("G", G), models.flax_net("D", D)
        return recipe(G, D, latent_dim=3, g_tx=ADAM, d_tx=ADAM)

    return build


SMALL = {"batch_size": 8, "data": "mnist"}
NARROW = SMALL | {"g_width": 2, "d_width": 2, "latent_dim": 3}
COLOURED = {"batch_size": 8, "resize": "16", "crop": "16", "width": 2, "d_width": 2}
NAMED = {name: (cfg, classic.build, NARROW) for name, cfg in gan_mnist.PRESETS.items()}
RECIPES = NAMED | {
    "mlp": (
        mlp_gan_mnist.PRESET,
        mlp_gan_mnist.build,
        SMALL | {"g_hidden": (8,), "d_hidden": (8,)},
    ),
    "dcgan": (dcgan_mnist.PRESET, dcgan_mnist.build, SMALL | {"width": 2}),
    "cgan": (cgan_mnist.PRESET, cgan_mnist.build, SMALL | {"width": 2}),
    "acgan": (acgan_mnist.PRESET, acgan_mnist.build, SMALL | {"width": 2}),
    "infogan": (infogan_mnist.PRESET, infogan_mnist.build, SMALL | {"width": 2}),
    "stylegan2": (
        stylegan2.PRESETS["mnist"],
        stylegan2.build,
        SMALL | {"width": 2, "max_width": 2, "w_dim": 2, "resize": "8"},
    ),
    "adversarial_flow": (
        adversarial_flow.PRESETS["emoji"],
        adversarial_flow.build,
        SMALL | {"g_width": 2, "d_width": 2, "resize": None, "flip": False},
    ),
    "consensus": (Config(), game(partial(recipes.consensus, weight=0.1)), SMALL),
    "unrolled": (Config(), game(partial(recipes.unrolled, steps=2)), SMALL),
    "pix2pix": (pix2pix.PRESET, pix2pix.build, COLOURED),
    "cyclegan": (
        cyclegan.PRESET,
        cyclegan.build,
        COLOURED | {"blocks": 1, "pool": 3},
    ),
    "srgan": (
        srgan.PRESET,
        srgan.build,
        COLOURED | {"blocks": 1, "hidden": 4, "pretrain": 0},
    ),
    "srresnet": (
        srgan.PRESET,
        srgan.build,
        COLOURED | {"blocks": 1, "hidden": 4, "pretrain": 100},
    ),
    "spade": (
        spade.PRESET,
        spade.build,
        COLOURED | {"width": 1, "hidden": 2, "scales": 1, "latent_dim": 3},
    ),
}
"""A preset, how its model is built, and what makes it small."""


def marked(make, names):
    """As `make` builds it, but what the site `state.memory["site"]` holds is NaN after
    a step. `names` is told what the sites are.
    """

    def build(*args):
        model = make(*args)

        def init(key, batch):
            memory = {"site": jnp.int32(-1)}
            return merge(model.init(key, batch), memory=memory)

        def step(state, batch, key):
            new, metrics = model.step(state, batch, key)
            names.clear()

            def spoil(name, leaf):
                here = (state.step + 1 == BAD) & (state.memory["site"] == len(names))
                names.append(name)
                last = (-1,) * leaf.ndim
                return leaf.at[last].set(jnp.where(here, jnp.nan, leaf[last]))

            def spoilt(name, tree):
                leaves, structure = jax.tree.flatten(tree)
                floats = [
                    i
                    for i, leaf in enumerate(leaves)
                    if jnp.issubdtype(leaf.dtype, jnp.inexact)
                ]
                for i in floats[-1:]:
                    leaves[i] = spoil(name, leaves[i])
                return jax.tree.unflatten(structure, leaves)

            totals = {n: spoilt(n, m.total) for n, m in metrics.items()}
            metrics = {n: m._replace(total=totals[n]) for n, m in metrics.items()}
            fields = {
                field: {
                    n: spoilt((field, n), x) for n, x in getattr(new, field).items()
                }
                for field in finite.NAMES
            }
            return merge(new, **fields), metrics

        return model._replace(init=init, step=step)

    return build


@pytest.mark.torture
@pytest.mark.parametrize("name", RECIPES)
def test_nan_at_each_site_of_each_recipe_is_undone(tmp_path, name):
    """A state is as if the step had not been; metrics are those of the others."""
    preset, make, small = RECIPES[name]
    steps, names, told = BAD + 2, [], []
    cfg = changed(preset, **small, steps=steps, workdir=str(tmp_path / "run"))
    run = ready(cfg, marked(make, names))
    init, made, source, members, mesh = run
    expected = by_hand(steps, (BAD,), *run)
    assert len(names) > 8
    for site, which in enumerate(names):
        mark = jax.device_put(jnp.int32(site), parallel.replicated(mesh))
        state = merge(init(), memory={"site": mark})
        guarded = guard.guarded(made, source.at, members, 10, told.append)
        totals = made.begun()
        while (step := int(state.step)) < steps:
            arrays, bound = source.at(step)
            heals = (name, which) == (
                "lecam",
                ("memory", "penalty"),
            )  # of each batch anew
            end = BAD if heals and step < BAD else steps
            n = min(end, bound or end) - step
            state, totals = guarded.run(state, totals, arrays, n)
        assert len(told) == site + 1 and f" At step {BAD}, " in told[-1], (which, told)
        state = merge(state, memory={"site": expected.memory["site"]})
        assert_same(jax.device_get(state), expected)
        assert float(totals[finite.SKIPPED].total) == 1, which
        for x in jax.tree.leaves(jax.device_get(totals)):
            assert np.isfinite(x).all(), which
    source.close()
    print(f"{name}: {len(names)} sites")
