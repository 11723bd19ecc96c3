"""D that learns its training images by heart is seen at images that were held out."""

from types import MappingProxyType

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tiny_runs import options  # noqa: F401  # a fixture

from jaxgan import data, models, phases, recipes
from jaxgan.data import SOURCES, mnist
from jaxgan.run import overfitting, train
from jaxgan.run.members import Member
from jaxgan.types import Mean, Phase, UsageError

SIZE = 16
GRAYS = {"training": 200, "held out": 140, "fake": 100}


class Stub:
    """Whose D's output is an image's mean gray, in [0, 1]."""

    @staticmethod
    def d(state, batch, key):
        real, one = (batch["image"] + 1).mean() / 2, jnp.float32(1)
        fake = jnp.float32(GRAYS["fake"] / 255)
        return state, {"D(real)": Mean(real, one), "D(fake)": Mean(fake, one)}

    parts = MappingProxyType({"D": d})
    stages = ()


def grays(mean, spread, size=64, seed=0):
    rng = np.random.default_rng(seed)
    gray = mean + rng.uniform(-spread, spread, (size, 1, 1, 1))
    return data.from_arrays(np.broadcast_to(gray, (size, 4, 4, 1)).astype(np.uint8))


def told(
    trained, held_out, steps=(0, 500, 1000, 1600), learns=lambda step: True, model=Stub
):
    said, seen, members = [], {}, (Member(0, {}),)
    args = members, trained, said.append, seen
    look = overfitting.watch(lambda values: model, *args, lambda: held_out, SIZE)
    for step in steps:
        seen[0] = {"D"} if learns(step) else {"G"}
        look(step, 0, None, None)
    return said


def test_r_v_is_said_of_d_that_overfits_for_a_thousand_steps():
    trained, apart = grays(GRAYS["training"], 5), grays(GRAYS["held out"], 5, seed=1)
    (said,) = told(trained, apart)
    assert said.startswith("Warning at step 1600: D overfits: it scores real images")
    assert " 60% of the way" in said or " 59% of the way" in said, said
    assert not told(trained, apart, steps=(0, 500, 1000))
    assert not told(trained, apart, learns=lambda step: False)
    assert not told(trained, apart, learns=lambda step: step != 1000)


def test_what_may_be_chance_or_is_little_is_not_said():
    trained = grays(GRAYS["training"], 5)
    assert not told(trained, grays(GRAYS["training"], 5, seed=1))
    assert not told(trained, grays(170, 5, seed=1))  # r_v 0.3
    assert not told(grays(130, 120), grays(100, 95, seed=1))  # r_v 1, of wide scatter


def test_without_images_held_out_or_a_d_nothing_is_looked_at():
    trained = grays(GRAYS["training"], 5)
    assert not told(trained, None)
    assert not told(trained, grays(GRAYS["held out"], 5, SIZE, 1))  # one batch

    def loads():
        raise AssertionError("needs no images")

    only_g = type("OnlyG", (), {"parts": {"G": None}, "stages": ()})
    args = (Member(0, {}),), trained, print, {}, loads, SIZE
    overfitting.watch(lambda values: only_g, *args)(1000, 0, None, None)


def test_of_a_gan_that_grows_each_stage_is_compiled_when_it_is_met():
    traced = []

    def stage(name):
        def step(state, batch, key):
            traced.append(name)
            return Stub.d(state, batch, key)

        return Phase(lambda state: state, step)

    grown = phases.staged((500, 1200), *map(stage, "abc"))
    model = type("Grows", (), {"parts": {"D": grown.step}, "stages": (500, 1200)})
    trained, apart = grays(GRAYS["training"], 5), grays(GRAYS["held out"], 5, seed=1)
    met = []
    for steps in ((0,), (0, 499), (0, 500, 1199), (0, 500, 1200, 1600)):
        traced.clear()
        said = told(trained, apart, steps, model=model)
        met.append("".join(traced))
    assert met == ["a", "a", "ab", "abc"]
    assert len(said) == 1


def test_images_held_out_that_cannot_be_read_end_no_run():
    def fetch(rows):
        raise UsageError(None, None, "a.png is damaged.")

    damaged = data.make("damaged", fetch, 64, (4, 4, 1))
    (said,) = told(grays(GRAYS["training"], 5), damaged)
    assert said == "Whether D overfits is not looked at: a.png is damaged."


def few(count):
    """A source of digits, of which training has few."""

    def load(request):
        images, labels = mnist.read(request.split)
        n = count if request.split == "train" else 2000
        return data.from_arrays(images[:n], labels[:n], name=request.spec)

    return data.Source("few", "few", "digits", lambda request: ("train", "test"), load)


@pytest.mark.parametrize(("count", "overfits"), [(64, True), (20000, False)])
def test_a_whole_run_is_warned_of(options, capsys, monkeypatch, count, overfits):  # noqa: F811
    monkeypatch.setattr(overfitting, "HOLDS", 200)

    def build(cfg, shape, num_classes):
        G, D = models.mlp.Generator(shape, (32,)), models.mlp.Discriminator((256,))
        G, D = models.flax_net("G", G), models.flax_net("D", D)
        tx = optax.adam(1e-3)
        return recipes.gan(G, D, latent_dim=8, g_tx=tx, d_tx=tx)

    often = {"log_every": 100, "sample_every": 100, "checkpoint_every": 10**6}
    cfg = options("run", data="few", steps=800, batch_size=32, **often)
    train(cfg, build, "test", sources=(*SOURCES, few(count)))
    said = capsys.readouterr().err
    assert ("D overfits" in said) == overfits, said
