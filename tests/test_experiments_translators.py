"""The experiments from image to image: built, refused, and run as a user would."""

import json
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent.parent / "experiments"))
import colorize
import cyclegan
import inpaint
import pix2pix
import spade
import srgan
from command_line import run

from jaxgan import data
from jaxgan.data import mnist
from jaxgan.run import best_state, config, presets, references, settings
from jaxgan.types import UsageError, example

SHAPE = (32, 32, 3)
SMALL = {
    pix2pix: {"width": 2, "d_width": 2, "batch_size": 8},
    srgan: {"width": 2, "blocks": 1, "d_width": 2, "hidden": 4, "batch_size": 8},
    cyclegan: {"width": 2, "blocks": 1, "d_width": 2, "batch_size": 8, "pool": 3},
    spade: {
        "width": 1,
        "hidden": 2,
        "d_width": 2,
        "scales": 1,
        "latent_dim": 3,
        "batch_size": 8,
    },
}
SMALL |= {colorize: SMALL[pix2pix], inpaint: SMALL[pix2pix]}
MODULES = pytest.mark.parametrize("module", SMALL, ids=lambda m: m.__name__)


def small(module, **options):
    return settings.changed(module.PRESET, **SMALL[module] | options)


def traced(module, shape=SHAPE, **options):
    """Shapes before and after a step, and its metrics."""
    model = module.build(small(module, **options), shape, 10)
    state = jax.eval_shape(model.init, random.key(0), example(shape))
    _, metrics = jax.eval_shape(model.step, state, example(shape, 2), random.key(0))
    return model, state, metrics


@MODULES
def test_options_are_in_range_and_a_step_keeps_the_state_s_structure(module):
    traced = set()
    for preset in getattr(module, "PRESETS", {"": module.PRESET}).values():
        config.check(preset)
        few = SMALL[module] | {"decay_from": 0, "decay_until": 0}
        cfg = settings.changed(preset, **few)
        if (cfg.networks, cfg.objective) in traced:
            continue
        traced.add((cfg.networks, cfg.objective))
        model = module.build(cfg, SHAPE, 10)
        state = jax.eval_shape(model.init, random.key(0), example(SHAPE))
        after, _ = jax.eval_shape(model.step, state, example(SHAPE, 2), random.key(0))
        assert jax.tree.structure(after) == jax.tree.structure(state)


@MODULES
def test_a_translation_is_of_its_target_s_shape_whatever_the_file_s_size(module):
    model, state, _ = traced(module)
    for one in model.draws.values():
        for h, w in ((32, 32), (40, 56), (33, 47)):
            batch = example((h, w, 3), 1)
            given = lambda b, t=one.task: t.reads(b) if t.reads else t.given(b, KEY)  # noqa: E731
            given = jax.eval_shape(given, batch)
            drawn = jax.eval_shape(one.run, state, given, random.key(0))
            k = 4 if module is srgan else 1
            assert drawn.shape == (1, k * h, k * w, 3)


KEY = random.key(0)


def begun(module, **options):
    """Shapes of the state at the start."""
    model = module.build(small(module, **options), SHAPE, 10)
    return jax.eval_shape(model.init, random.key(0), example(SHAPE))


def task_of(module, **options):
    """The task of the first draw."""
    model = module.build(small(module, **options), SHAPE, 10)
    return next(iter(model.draws.values())).task


def test_options_of_pix2pix_reach_the_recipe():
    _, state, metrics = traced(pix2pix, regression=True)
    assert set(state.params) == {"G"} and "d_loss" not in metrics
    plain = begun(pix2pix)
    without = begun(pix2pix, encoder_decoder=True)
    count = lambda s: sum(x.size for x in jax.tree.leaves(s.params["G"]))  # noqa: E731
    assert count(without) < count(plain)
    for option in ({"patch": 34}, {"norm": "none"}, {"d_width": 3}):
        other = begun(pix2pix, **option)
        assert jax.tree.map(jnp.shape, other.params["D"]) != jax.tree.map(
            jnp.shape, plain.params["D"]
        )


def test_options_of_cyclegan_reach_the_recipe():
    assert "pool" not in begun(cyclegan, pool=0).memory
    for residual, slope in ((True, 1.0), (False, 0.0)):
        model = cyclegan.build(small(cyclegan, residual=residual), SHAPE, 0)
        state = model.init(KEY, example(SHAPE))
        state = state._replace(ema=jax.tree.map(jnp.zeros_like, state.ema))
        given = (random.uniform(KEY, (1, *SHAPE), minval=-1),)
        for draw in model.draws.values():  # of a network that adds nothing
            drawn = draw.run(state, given, KEY)
            np.testing.assert_allclose(drawn, slope * given[0], atol=1e-6)
    _, _, metrics = traced(cyclegan, identity=0.0)
    assert "identity_loss" not in metrics
    _, state, metrics = traced(cyclegan, norm="none", r1=1.0, loss="nonsaturating")
    assert {"d_penalty_a", "d_penalty_b"} <= metrics.keys()
    with_pixels = begun(cyclegan, generator="pixel").params["G"]
    kernels = [x for x in jax.tree.leaves(with_pixels) if x.ndim == 4]
    assert kernels and all(x.shape[:2] == (1, 1) for x in kernels)


def test_options_of_spade_reach_the_recipe():
    for encoder, names in ((True, {"G", "D", "E"}), (False, {"G", "D"})):
        _, state, metrics = traced(spade, encoder=encoder)
        assert set(state.params) == names and ("kl_divergence" in metrics) == encoder
    task = task_of(spade, map_classes=4)
    given = jax.eval_shape(task.given, example(SHAPE, 1), KEY)
    assert given[-1].shape[-1] == 4


def test_pix2pix_s_norm_has_scale_and_shift_unless_told_otherwise():
    norms = {}
    for module, options in (
        (pix2pix, {}),
        (pix2pix, {"norm": "instance"}),
        (colorize, {}),
        (inpaint, {}),
        (cyclegan, {}),
    ):
        found = str(jax.tree_util.tree_structure(begun(module, **options).params))
        norms[module.__name__, *options] = "InstanceNorm" in found
    assert norms.pop(("pix2pix",)) and not any(norms.values())


def test_options_of_tasks_reach_them():
    there, back = (
        task_of(pix2pix, data="pairs:x", direction=d).target for d in ("AtoB", "BtoA")
    )
    assert (there, back) == ("image", "input")
    needed = {
        (spec, given): task_of(pix2pix, data=spec, given=given).needs
        for spec in ("emoji_pairs", "emoji")
        for given in ("auto", "pair")
    }
    pair, edges = ("image", "input"), ("image",)
    assert [*needed.values()] == [pair, pair, edges, pair]
    small_copy = task_of(srgan, factor=2)
    (given,) = jax.eval_shape(small_copy.given, example(SHAPE, 1), KEY)
    assert given.shape == (1, 16, 16, 3)
    task = task_of(inpaint, holes="free_form")
    hole = task.given({"image": jnp.zeros((4, 32, 32, 3))}, KEY)[0][..., -1]
    assert len(set(hole.sum((1, 2)).tolist())) == 4  # of squares all are alike
    squares = task_of(inpaint, share=0.0625)
    hole = squares.given({"image": jnp.zeros((4, 32, 32, 3))}, KEY)[0][..., -1]
    np.testing.assert_array_equal(hole.sum((1, 2)), 64)


@pytest.mark.slow
def test_options_of_cyclegan_s_judges_change_what_they_minimize():
    batch = {
        n: random.uniform(random.key(i), (4, 16, 16, 3), minval=-1)
        for i, n in enumerate(("input", "image"))
    }
    found = []
    for options in (
        {},
        {"loss": "nonsaturating"},
        {"r1": 1.0},
        {"augment": "diff_augment"},
    ):
        cfg = small(cyclegan, norm="none", generator="pixel", pool=0, **options)
        model = cyclegan.build(cfg, (16, 16, 3), 0)
        step = jax.jit(model.parts["D"])
        found.append(
            float(step(model.init(KEY, batch), batch, KEY)[1]["d_loss"].value())
        )
    assert np.abs(np.subtract.outer(found, found) + np.eye(4)).min() > 1e-5


@pytest.mark.slow
def test_srgan_s_judge_of_gray_copies_asks_the_same_of_all_colours():
    """Which leaves chroma, the differences between them, to the content loss."""
    image = random.uniform(KEY, (2, 16, 16, 3), minval=-1)
    copy = jnp.broadcast_to(image.mean(-1, keepdims=True), image.shape)
    of_real = {}
    for judged in ("gray", "colours"):
        model = srgan.build(small(srgan, judged=judged), (16, 16, 3), 0)
        state = model.init(KEY, {"image": image})
        step = jax.jit(model.parts["D"])
        of_real[judged] = [
            float(step(state, {"image": x}, KEY)[1]["D(real)"].value())
            for x in (image, copy)
        ]
    assert of_real["gray"][0] == pytest.approx(of_real["gray"][1], abs=1e-6)
    assert abs(of_real["colours"][0] - of_real["colours"][1]) > 1e-5

    def asked(x):
        return jnp.sin(3 * srgan.gray(x, KEY, 0, ())).sum()

    toward = jax.grad(asked)(image)
    same = np.broadcast_to(toward[..., :1], image.shape)
    np.testing.assert_allclose(toward, same, rtol=1e-5)
    clear = jnp.concatenate([image, -jnp.ones((2, 16, 16, 1))], -1)  # over white
    np.testing.assert_array_equal(srgan.gray(clear, KEY, 0, ()), np.ones(clear.shape))


def test_the_learning_rate_goes_down_to_nothing():
    """Of `cyclegan.py`."""
    falling = presets.Optimizers(g_lr=2.0, d_lr=1.0, decay_from=4, decay_until=8)
    for optimizers, expected in (
        (falling, [2, 2, 2, 2, 2, 1.5, 1, 0.5, 0, 0]),
        (presets.Optimizers(g_lr=2.0), [2] * 10),
    ):
        g_tx, _ = presets.adams(optimizers, steps=8)
        state, rates = g_tx.init(jnp.float32(0)), []
        for _ in expected:  # of a constant gradient Adam's steps are the rate
            with jax.numpy_dtype_promotion("standard"):  # optax needs it
                update, state = g_tx.update(jnp.float32(1), state)
            rates.append(-float(update))
        np.testing.assert_allclose(rates, expected, rtol=1e-5, atol=1e-6)


def refused(module, match, shape=SHAPE, **options):
    with pytest.raises(UsageError, match=match):
        module.build(small(module, **options), shape, 10)


def test_what_cannot_be_built_is_refused():
    refused(colorize, "is gray: it has no colours", (32, 32, 1))
    refused(srgan, "factor 8 does not divide .* `crop` 24x32", (30, 32, 3), factor=8)
    refused(srgan, "content vgg54 needs `vgg_weights`", content="vgg54")
    refused(srgan, "vgg_weights x.pth goes with", vgg_weights="x.pth")
    for module in (pix2pix, colorize, inpaint):
        refused(module, "direction BtoA is for pix2pix.py", direction="BtoA")
    with pytest.raises(UsageError, match=r"dropout 50.0 must be .* below 1"):
        config.check(small(pix2pix, dropout=50.0))
    with pytest.raises(UsageError, match=r"share 25.0 must be above 0, and below 1"):
        config.check(small(inpaint, share=25.0))
    refused(pix2pix, "patch 70 needs images of 24 pixels", (20, 20, 3), patch=70)
    refused(cyclegan, "decay_until 9 must be above", decay_from=9, decay_until=9)
    for module in (colorize, cyclegan):
        refused(module, "are 0 from .* has `decay_until` 9999", steps=9999)
    refused(cyclegan, "5 pixels or more each way, not 4x40", (4, 40, 3), patch=1)
    refused(
        cyclegan, "^r1 1.0 is of D's gradient at .*another `norm`", norm="batch", r1=1.0
    )
    refused(spade, "divergence 1.0 is of the enc", encoder=False, divergence=1.0)
    refused(spade, "patch 16 needs images of 6 pixels", (10, 10, 3), scales=2)


def flags(module):
    return [f"{settings.flag(k)}={v}" for k, v in SMALL[module].items()]


@pytest.fixture
def few_digits(monkeypatch):
    """Painting all 70,000 anew for each command takes longer than the commands."""
    whole = mnist.read
    few = lambda split: tuple(x[:2000] for x in whole(split))  # noqa: E731
    monkeypatch.setattr(mnist, "read", few)


@pytest.mark.usefixtures("few_digits")
def test_a_run_is_trained_translated_with_and_measured(tmp_path, capsys):
    """`colorize.py`, from the first command to the last."""
    work = tmp_path / "run"
    few = ("--steps", 3, "--sample-every", 2, "--log-every", 1)
    follow = ("--evaluate-every", 3, "--evaluate-num", 200)
    asked = ("--evaluate-metrics", "classes", "fd", "similarity")
    args = (*few, *follow, *asked, "--workdir", work)
    assert run(colorize, *flags(colorize), *args) == 0
    sheets = sorted(p.name for p in (work / "samples").iterdir())
    assert sheets == ["000000.png", "000002.png", "000003.png"]
    sheet = np.array(Image.open(work / "samples" / sheets[0]))[::2, ::2]
    real = data.load("painted_mnist", split="test").fetch(np.arange(1))["image"][0]
    np.testing.assert_array_equal(sheet[:32, 68:100], real)
    rows = [json.loads(x) for x in (work / "metrics.jsonl").read_text().splitlines()]
    found = [r for r in rows if "fd_filters" in r]
    assert len(found) == 1 and {"psnr", "colour_accuracy"} <= found[0].keys()
    best = best_state.known(work / "best")
    assert best.step == 3 and best.value == found[0]["digit_accuracy"]

    capsys.readouterr()
    assert run(colorize, "evaluate", "--workdir", work, "--num", 100, "--best") == 0
    table = capsys.readouterr().out
    assert "colour_accuracy" in table and "real" in table
    result = json.loads((work / "evaluation.json").read_text())
    assert result["checkpoint"] == "best" and result["step"] == 3
    assert result["draw"] == "translate" and result["data"] == "painted_mnist"
    assert any("needs more than 192 samples" in note for note in result["notes"])
    assert result["metrics"]["digit_accuracy"]["real"] > 0.9

    args = "--workdir", work, "--num", 100, "--data", "painted_mnist"
    assert run(colorize, "evaluate", *args, "--metrics", "fd") == 0
    result = json.loads((work / "evaluation.json").read_text())
    own = "These are the images that it was trained on."
    assert own not in result["notes"]  # but the test split
    apart = "200 of its images were held out to choose the best state by."
    assert apart in result["notes"]
    assert result["metrics"]["fd_filters"]["real"] > 0

    image = tmp_path / "a.png"
    Image.fromarray(real).convert("L").save(image)
    args = "--workdir", work, "--input", image, "--out", tmp_path / "out"
    assert run(colorize, "translate", *args) == 0
    out = np.array(Image.open(tmp_path / "out" / "a.png"))
    assert out.shape == (32, 32, 3)
    gray = np.array(Image.open(image)).astype(float)
    away = np.abs(out @ np.array([0.299, 0.587, 0.114]) - gray)
    inside = ((out > 0) & (out < 255)).all(-1)
    assert inside.mean() > 0.5 and away[inside].max() < 1.5  # luma is kept
    assert run(colorize, "translate", *args, "--back") == 2
    assert "one way only" in capsys.readouterr().err
    assert run(colorize, "translate", *args, "--live", "--batch-size", 0) == 2


@pytest.mark.slow
@pytest.mark.usefixtures("few_digits")
def test_spade_takes_a_style_from_the_command_line(tmp_path, capsys):
    work, few = tmp_path / "run", ("--steps", 1, "--sample-every", 1, "--crop", 16)
    assert run(spade, *flags(spade), *few, "--workdir", work) == 0
    rows = data.load("mapped_mnist", split="test", crop=16).fetch(np.arange(2))
    Image.fromarray(rows["map"][0]).save(tmp_path / "map.png")
    found = []
    for i, image in enumerate(rows["image"]):
        Image.fromarray(image).save(tmp_path / "look.png")
        out = tmp_path / f"{i}.png"
        args = "--workdir", work, "--input", tmp_path / "map.png", "--out", out
        assert run(spade, "translate", *args, "--style", tmp_path / "look.png") == 0
        found.append(np.array(Image.open(out)))
    assert (found[0] != found[1]).any()
    capsys.readouterr()
    args = "--workdir", work, "--num", 100, "--metrics", "similarity"
    assert run(spade, "evaluate", *args) == 0
    assert "style_l1" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.usefixtures("few_digits")
def test_back_has_figures_of_its_own_and_a_schedule_stays_as_it_was(tmp_path, capsys):
    work, few = tmp_path / "run", ("--steps", 1, "--sample-every", 1)
    args = *flags(cyclegan), *few, "--workdir", work
    assert run(cyclegan, *args) == 0
    for way in ((), ("--back",)):
        more = "--workdir", work, "--num", 100, "--metrics", "colours"
        assert run(cyclegan, "evaluate", *more, *way) == 0
    assert {p.name for p in work.glob("*.json")} == {
        "config.json",
        "evaluation.json",
        "evaluation_back.json",
    }
    capsys.readouterr()
    assert run(cyclegan, *args, "--decay-from", 1) == 2
    assert "decay_from is 1750 there, 1 here" in capsys.readouterr().err


def test_a_run_s_own_data_are_known_by_another_name():
    images = np.random.default_rng(0).integers(0, 256, (9, 4, 4, 3), np.uint8)

    def made(name, images=images, unpaired=None):
        dataset = data.make(name, images.__getitem__, len(images), (4, 4, 3))
        if unpaired is None:
            return dataset
        (other,) = unpaired.groups
        here = lambda index: {"input": other.fetch(index)["image"]}  # noqa: E731
        group = data.Group(("input",), other.size, here)
        return dataset._replace(groups=(*dataset.groups, group))

    own = made("folder:x")
    assert references.same(own, made("folder:x/"))
    assert not references.same(own, made("folder:x", images[::-1]))
    assert not references.same(own, made("folder:x", images[:8]))
    assert not references.same(own, made("folder:x", unpaired=own))
    one, other = made("a", unpaired=own), made("a", unpaired=made("b", images[::-1]))
    assert not references.same(one, other) and references.same(
        one, made("b", unpaired=own)
    )


@pytest.mark.usefixtures("few_digits")
def test_mistakes_end_in_one_sentence(tmp_path, capsys):
    for argv, needle in (
        (("--data", "mnist"), "is gray"),
        (("--evaluate-every", "1", "--evaluate-metrics", "score"), "there are fd"),
    ):
        assert run(colorize, *argv, "--workdir", tmp_path / "x") == 2
        err = capsys.readouterr().err
        assert needle in err and err.count("\n") == 1
    assert (
        run(cyclegan, *flags(cyclegan), "--data", "mnist", "--workdir", tmp_path / "x")
        == 2
    )
    assert "has no input" in capsys.readouterr().err
    assert (
        run(spade, "--map-classes", 5, "--batch-size", 8, "--workdir", tmp_path / "x")
        == 2
    )
    assert "classes 0 ... 10" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def write(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


@pytest.mark.slow
def test_pairs_of_sixteen_bits_from_the_first_command_to_the_last(tmp_path, capsys):
    rng = np.random.default_rng(0)
    for split, count in (("train", 8), ("test", 3)):
        for i in range(count):
            for side in "AB":
                deep = rng.integers(0, 65536, (32, 32), np.uint16)
                write(tmp_path / f"d/{split}/{side}/{i}.png", deep)
    work, spec = tmp_path / "run", f"pairs:{tmp_path / 'd'}"
    few = "--steps", 1, "--sample-every", 1, "--data", spec, "--depth", 16
    assert run(pix2pix, *flags(pix2pix), *few, "--workdir", work) == 0
    args = "--workdir", work, "--input", tmp_path / "d/test/A", "--out", tmp_path / "o"
    assert run(pix2pix, "translate", *args) == 0
    found = np.array(Image.open(tmp_path / "o/2.png"))
    assert found.dtype == np.uint16 and found.shape == (32, 32)
    assert len({*(found % 257).ravel()}) > 50  # more than 8 bits, spread
    more = "--num", 100, "--metrics", "similarity"
    capsys.readouterr()
    assert run(pix2pix, "evaluate", "--workdir", work, *more) == 0
    assert "3 samples" in capsys.readouterr().out  # those held out
    args = "--data", spec, "--channels", "rgb", "--workdir", tmp_path / "x"
    assert run(colorize, *args) == 2
    said = capsys.readouterr().err
    assert "images of another side, which pix2pix (pairs) and CycleGAN use" in said


@pytest.mark.slow
def test_void_pixels_train_and_are_translated(tmp_path, capsys):
    """Of few pixels and without an encoder, since SPADE takes long to compile."""
    rng = np.random.default_rng(0)
    for i in range(8):
        numbers = rng.integers(0, 4, (8, 8), np.uint8)
        numbers[:3] = 255
        write(tmp_path / f"d/maps/{i}.png", numbers)
        write(tmp_path / f"d/images/{i}.png", rng.integers(0, 256, (8, 8, 3), np.uint8))
    work, spec = tmp_path / "run", f"maps:{tmp_path / 'd'}"
    args = *flags(spade), "--steps", 1, "--sample-every", 1, "--data", spec
    args = *args, "--map-classes", 4, "--no-encoder", "--workdir", work
    assert run(spade, *args) == 2
    said = capsys.readouterr().err
    assert "classes 0 ... 3, 255" in said and "--void 255" in said
    assert run(spade, *args, "--void", 255) == 0
    given = "--input", tmp_path / "d/maps/0.png", "--out", tmp_path / "o.png"
    assert run(spade, "translate", "--workdir", work, *given) == 0
