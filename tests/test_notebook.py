"""`run.train` with data of one's own, as in a notebook."""

import sys
from pathlib import Path

import numpy as np
import optax
import pytest
from PIL import Image

from jaxgan import data, models, recipes, run
from jaxgan.types import UsageError

sys.path.insert(0, str(Path(__file__).parent.parent / "experiments"))
import pix2pix

rng = np.random.default_rng(0)
IMAGES = rng.integers(0, 256, (16, 8, 8, 1), np.uint8)
COLOURS = rng.integers(0, 256, (16, 16, 16, 3), np.uint8)


def build(cfg, shape, num_classes):
    G = models.mlp.Generator(shape, (4,), num_classes)
    D = models.mlp.Discriminator((4,), num_classes)
    G, D = models.flax_net("G", G), models.flax_net("D", D)
    tx = optax.adam(1e-3)
    of = {"num_classes": num_classes, "g_tx": tx, "d_tx": tx}
    return recipes.gan(G, D, latent_dim=2, **of)


@pytest.fixture
def config(tmp_path):
    return run.Config(steps=1, batch_size=8, workdir=str(tmp_path / "run"))


def test_arrays_are_trained_on_and_known_again(config):
    run.train(config, build, data=IMAGES)
    longer = run.changed(config, steps=2)
    with pytest.raises(UsageError, match=r"data is arrays:\w+ there, arrays:\w+ here"):
        run.train(longer, build, data=IMAGES[::-1])
    _, state = run.train(longer, build, data=IMAGES)
    assert int(state.step) == 2


def test_labels_make_a_run_conditional_and_drawing_says_what_it_needs(config):
    model, state = run.train(config, build, data=(IMAGES, np.arange(16) % 3))
    images, labels = run.draw(model, state, 6, num_classes=3)
    assert images.shape == (6, 8, 8, 1) and labels.tolist() == [0, 1, 2] * 2
    with pytest.raises(UsageError, match="num_classes 0 must be how many classes"):
        run.draw(model, state, 6)


def test_what_is_loaded_alone_is_resized(config):
    with pytest.raises(UsageError, match="resize 4 is for data that are loaded"):
        run.train(run.changed(config, resize="4"), build, data=IMAGES)


def test_pairs_of_arrays_are_pairs(tmp_path):
    """The sheet has their inputs, not edges; and so it is of 16 bits."""
    small = {"width": 2, "d_width": 2, "batch_size": 8, "steps": 1}
    for bits, inputs in (
        (8, COLOURS[::-1]),
        (16, COLOURS[::-1].astype(np.uint16) * 257),
    ):
        images = COLOURS if bits == 8 else COLOURS.astype(np.uint16) * 257
        pairs = data.from_arrays(images, input=inputs)
        work = tmp_path / str(bits)
        cfg = run.changed(pix2pix.PRESET, workdir=str(work), **small)
        run.train(cfg, pix2pix.build, data=pairs)
        sheet = np.array(Image.open(work / "samples" / "000000.png"))[::2, ::2]
        np.testing.assert_allclose(sheet[:16, :16], COLOURS[-1], atol=1)
        np.testing.assert_array_equal(sheet[:16, 36:52], COLOURS[0])
