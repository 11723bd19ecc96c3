"""A translator is measured as it is delivered, and reports say what was settled."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import random
from PIL import Image

from jaxgan import data, models, recipes, tasks, types
from jaxgan.run import draws, files

KEY = random.key(0)
SHAPE = (8, 8, 3)
IMAGES = np.random.default_rng(0).integers(0, 256, (10, *SHAPE), np.uint8)


def colourizer(norm, dropout=0.0):
    G = models.flax_net(
        "G", models.pix2pix.UNet(3, 4, stages=2, norm=norm, dropout=dropout)
    )
    task = tasks.colourization()
    model = recipes.regression(G, task, g_tx=optax.sgd(0.1))
    return model, model.init(KEY, types.example(SHAPE))


@pytest.mark.parametrize("norm", ("batch", "instance", "affine_instance"))
def test_what_is_measured_is_what_is_written(norm, tmp_path):
    """Whatever else passes at the same time."""
    model, state = colourizer(norm)
    of = model.draws["translate"]
    some = data.make("some", IMAGES.__getitem__, 10, SHAPE)
    measured = draws.translations(of, state, some).fetch(np.arange(10))["image"]
    (tmp_path / "in").mkdir()
    for i, image in enumerate(IMAGES):
        Image.fromarray(image).save(tmp_path / "in" / f"{i}.png")
    files.translate(of, state, SHAPE, tmp_path / "in", tmp_path / "out", batch_size=4)
    for i in range(10):
        written = np.array(Image.open(tmp_path / "out" / f"{i}.png")).astype(int)
        assert np.abs(written - measured[i]).max() <= 1  # of rounding
    alone = draws.translations(of, state, some).fetch(np.arange(3))["image"]
    assert np.abs(alone.astype(int) - measured[:3]).max() <= 1


def test_with_batch_norm_an_image_s_own_statistics_are_taken():
    """Which is instance norm, with scale and shift."""
    model, state = colourizer("batch")
    affine, other = colourizer("affine_instance")
    params = state.ema["G"]
    renamed = {
        name.replace("BatchNorm", "InstanceNorm"): value
        for name, value in params.items()
    }
    assert renamed.keys() == other.ema["G"].keys()
    other = other._replace(ema={"G": renamed})
    given = (random.uniform(KEY, (4, 8, 8, 1)),)
    got, expected = (
        m.draws["translate"].run(
            s,
            m.draws["translate"].task.given(
                {"image": jnp.tile(given[0], (1, 1, 1, 3))}, KEY
            ),
            KEY,
        )
        for m, s in ((model, state), (affine, other))
    )
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_dropout_is_each_image_s_own_with_batch_norm():
    model, state = colourizer("batch", 0.5)
    of = model.draws["translate"]
    same = jnp.tile(random.uniform(KEY, (1, *SHAPE)), (2, 1, 1, 1))
    given = of.task.given({"image": same}, KEY)
    one, other = of.run(state, given, KEY)
    assert np.abs(one - other).max() > 1e-3


def test_only_g_s_statistics_that_are_gathered_are_said_to_be():
    settled = {}
    for norms in ((True, True), (False, True), (True, False)):
        G, D = models.dcgan.networks((8, 8, 1), 2, norm=norms)
        tx = optax.sgd(0.1)
        nets = models.flax_net("G", G), models.flax_net("D", D)
        gan = recipes.gan(*nets, latent_dim=2, g_tx=tx, d_tx=tx)
        state = gan.init(KEY, {"image": jnp.zeros((4, 8, 8, 1))})
        settled[norms] = draws.settles(gan, state)
    assert settled == {(True, True): True, (False, True): False, (True, False): True}
    model, state = colourizer("batch")
    assert "batch_stats" in state.stats["G"] and not draws.settles(model, state)
    assert jax.tree.leaves(model.settle(state, KEY))
