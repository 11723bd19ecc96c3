"""Figures of translations: by hand, on translators whose errors are known."""

import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.ndimage
from jax import random
from skimage.metrics import structural_similarity

from jaxgan import data, metrics, models, recipes, tasks, visual
from jaxgan.data import painted as paint
from jaxgan.metrics import extractors, filters, painted
from jaxgan.run import cli, draws
from jaxgan.run.config import Config
from jaxgan.types import UsageError, merge

rng = np.random.default_rng(0)
TEST = data.load("painted_mnist", split="test")
SOME = TEST.fetch(np.arange(600))
FEW = data.make(
    "painted_mnist",
    SOME["image"].__getitem__,
    600,
    (32, 32, 3),
    SOME["label"],
    TEST.class_names,
)


def rows_of(dataset, function, content="painted_digits"):
    """A data set of what is drawn of the rows of another, as they are fetched."""

    def fetch(index):
        return function(index, dataset.fetch(index))

    fields = tuple(fetch(np.arange(1)))
    group = data.Group(fields, dataset.size, fetch)
    return dataset._replace(groups=(group,), content=content)


def translations(task, function, seed=0, dataset=FEW):
    """What a translator makes of a data set, answers without learning, real images."""

    def given(rows, i):
        key = random.fold_in(random.key(seed), i)
        (found,) = task.given(jax.tree.map(lambda x: x[None], rows), key)
        return found[0]

    each = jax.jit(jax.vmap(given))

    def drawn(draw):
        def fetch(index, rows):
            batch = jax.tree.map(jnp.asarray, data.scaled(rows))
            images = visual.to_uint8(draw(each(batch, jnp.asarray(index))))
            images = images.repeat(3 // images.shape[-1], -1)
            return rows | {"image": images, "target": rows["image"]}

        return rows_of(dataset, fetch)

    real = rows_of(dataset, lambda _, rows: rows | {"target": rows["image"]})
    plain = drawn(lambda given: (task.plain or task.show)((given,)))
    return drawn(function), {"plain": plain, "real": real}


def compared(drawn, names=None, num=300, reference=TEST, seed=0):
    samples, columns = drawn
    args = samples, reference, columns, extractors.of_filters(), names, num, seed
    few = {"halved": True} if reference is FEW else {"reference_num": 1500}
    return metrics.evaluate(*args, aligned=True, **few)


def test_similarity_is_scikit_image_s():
    a, b = (rng.integers(0, 256, (4, 16, 20, 3), np.uint8) for _ in range(2))
    got = metrics.full_reference(a, b)
    wide = a.astype(float), b.astype(float)
    l1 = np.abs(wide[0] - wide[1]).mean((1, 2, 3)) / 255
    np.testing.assert_allclose(got["l1"], l1, rtol=1e-12)
    luma = [x @ [0.299, 0.587, 0.114] for x in wide]
    psnr = 10 * np.log10(255**2 / ((luma[0] - luma[1]) ** 2).mean((1, 2)))
    np.testing.assert_allclose(got["psnr_y"], psnr, rtol=1e-5)
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    for i in range(4):
        _, full = structural_similarity(
            luma[0][i], luma[1][i], data_range=255, full=True, **options
        )
        inner = full[5:-5, 5:-5].mean()
        np.testing.assert_allclose(got["ssim_y"][i], inner, atol=2e-5)
    assert set(metrics.full_reference(a[..., :1], b[..., :1])) == {"l1", "psnr", "ssim"}


def test_colour_spread_is_that_of_the_paint():
    gray = np.full((2, 8, 8, 3), 90, np.uint8)
    np.testing.assert_allclose(metrics.colour_spread(gray), 0, atol=1e-9)
    chroma = np.array([0.5, 0.2 * np.cos(1), 0.2 * np.sin(1)])
    colour = np.rint(255 * (np.linalg.inv(paint.TO_YIQ) @ chroma)).astype(np.uint8)
    even = np.broadcast_to(colour, (2, 8, 8, 3))
    np.testing.assert_allclose(metrics.colour_spread(even), 0.2, atol=0.003)


def test_painted_digits_are_read_as_they_were_painted():
    images, labels = SOME["image"], SOME["label"]
    maps = data.load("mapped_mnist", split="test").fetch(np.arange(600))["map"]
    found = painted.label_accuracy(images, labels) | painted.map_accuracy(images, maps)
    means = {name: values.mean() for name, values in found.items()}
    assert means["digit_accuracy"] > 0.98 and means["colour_accuracy"] > 0.998
    assert means["map_accuracy"] > 0.98 and means["ink_iou"] > 0.85


def test_what_is_wrong_with_painted_digits_is_seen():
    images, labels = SOME["image"], SOME["label"]
    maps = data.load("mapped_mnist", split="test").fetch(np.arange(600))["map"]

    def means(images):
        found = painted.label_accuracy(images, labels)
        found |= painted.map_accuracy(images, maps)
        return {name: values.mean() for name, values in found.items()}

    swapped = means(images[..., ::-1])  # red for blue
    assert swapped["colour_accuracy"] < 0.3 and swapped["ink_iou"] < 0.3
    gray = means(images.mean(-1, keepdims=True).repeat(3, -1).astype(np.uint8))
    assert gray["colour_accuracy"] < 0.3
    empty = means(np.zeros_like(images))
    assert empty["colour_accuracy"] == 0 and empty["ink_iou"] == 0
    assert empty["map_accuracy"] == pytest.approx((maps == 0).mean())
    void = maps.copy()
    void[:, :, :16] = 255
    half = painted.map_accuracy(np.zeros_like(images), void)
    expected = (maps[:, :, 16:] == 0).mean((1, 2))
    np.testing.assert_allclose(half["map_accuracy"], expected)
    upside_down = means(images[:, ::-1])
    assert upside_down["digit_accuracy"] < 0.7


def test_digits_in_chalk_are_read():
    both = data.load("unpaired_mnist", split="test")
    chalk = data.select(both, {"input": "image", "input_label": "label"})
    rows = chalk.fetch(np.arange(400))
    found = painted.chalk_accuracy(rows["image"], rows["label"])
    assert set(found) == {"digit_accuracy"} and found["digit_accuracy"].mean() > 0.98


def test_a_perfect_translator_is_as_good_as_real_images():
    def itself(batch, key, n=None):
        return (batch["image"],)

    task = tasks.colourization()._replace(given=itself)
    task = task._replace(plain=lambda given: tasks.luma(*given))
    result = compared(translations(task, lambda x: x))
    figures = result["metrics"]
    for name, row in figures.items():
        assert set(row) == {"value", "error", "plain", "real"}
        assert row["value"] == pytest.approx(row["real"], abs=1e-9), name
    assert figures["psnr"]["value"] == pytest.approx(58.92, abs=0.01)
    assert figures["psnr"]["plain"] < 30
    assert figures["colour_spread"]["plain"] < 1e-9 < figures["colour_spread"]["value"]
    far = figures["fd_filters"]
    assert far["plain"] > 20 * far["value"] > 0  # against other real images
    text = metrics.table(result)
    assert "colour_accuracy" in text and "plain" in text


def test_of_one_data_set_halves_are_compared():
    """Or the distance of real images would be 0."""
    drawn = translations(tasks.colourization(), lambda x: x.repeat(3, -1))
    result = compared(drawn, ("fd",), reference=FEW)
    assert 0.05 < result["metrics"]["fd_filters"]["real"] < 1
    assert result["notes"] == ["Distances are between halves of these images."]
    few = compared(drawn, ("fd",), num=152)["notes"]
    assert "needs more than 192 samples; from 152 it is too large" in few[0]


def test_means_and_errors_are_of_the_images():
    task = tasks.inpainting(tasks.square(0.25))
    drawn = translations(task, lambda x: x[..., :-1], seed=3)  # leaves the hole gray
    result = compared(drawn, ("similarity",), num=100, seed=3)
    index = np.random.default_rng(3).permutation(600)[:100]
    images, away = FEW.fetch(index)["image"], []
    for i, image in zip(index, images, strict=True):
        key = random.fold_in(random.key(3), i)
        batch = {"image": jnp.asarray(image[None] / np.float32(127.5) - 1)}
        shown = np.rint((task.given(batch, key)[0][0, ..., :-1] + 1) * 127.5)
        away.append(np.abs(shown - image).mean() / 255)
    away, got = np.array(away), result["metrics"]["l1"]
    assert got["value"] == pytest.approx(away.mean(), rel=1e-3)
    assert got["error"] == pytest.approx(away.std(ddof=1) / 10, rel=1e-2)
    assert got["plain"] < got["value"] and got["real"] == 0
    assert result["counts"] == {"samples": 100, "plain": 100, "real": 100}


def test_a_translation_in_its_target_s_own_style_has_a_figure():
    samples, columns = translations(tasks.colourization(), lambda x: x.repeat(3, -1))
    found = compared((samples, columns), ("similarity",), num=100)
    assert "style_l1" not in found["metrics"]

    def styled(index, rows):
        return rows | {"styled": np.minimum(rows["target"], 128)}

    samples = rows_of(samples, styled)
    found = compared((samples, columns), ("similarity",), num=100)
    found = found["metrics"]["style_l1"]
    index = np.random.default_rng(0).permutation(600)[:100]
    away = np.maximum(FEW.fetch(index)["image"] / 127.5 - 1, 0).mean() / 2
    assert found["value"] == pytest.approx(away, rel=0.02) and found["plain"] is None


def test_unpaired_translations_are_compared_with_the_other_domain():
    both = data.load("unpaired_mnist", split="test")
    chalk = data.select(both, {"input": "image", "input_label": "label"})
    sides = chalk, both._replace(groups=both.groups[:1])
    ways = (sides, "painted_digits"), (sides[::-1], "chalk_digits")
    figures = []
    for (source, target), content in ways:  # each image stays as it is
        same = source._replace(content=content)
        args = same, target, {"plain": same, "real": target}, extractors.of_filters()
        options = {"num": 300, "aligned": True, "halved": True}
        names = metrics.available(same, args[-1])
        assert names == ("fd", "kid", "prdc", "classes", "diversity", "colours")
        asked = ("fd", "colours", "classes")
        figures.append(metrics.evaluate(*args, asked, **options)["metrics"])
    there, back = figures
    same = there["fd_filters"]
    assert same["value"] == pytest.approx(same["plain"]) and same["real"] < 0.5
    assert same["value"] > 20 * same["real"]
    assert there["digit_accuracy"]["real"] > 0.97
    assert "colour_accuracy" in there and "colour_accuracy" not in back
    assert back["colour_spread"]["real"] < 1e-6 < back["colour_spread"]["value"]
    assert back["digit_accuracy"]["real"] > 0.97


# As compared before measures were values: value, error, plain, real.
RECORDED = {
    "l1": (0.0468216, 0.000299863, 0.0425552, 0),
    "psnr": (24.0039, 0.0635070, 24.3965, 58.9226),
    "ssim": (0.799825, 0.00244002, 0.809949, 1),
    "ssim_y": (0.819732, 0.00222478, 0.814068, 1),
    "colour_spread": (0.123707, 0.000778876, 0.130150, 0.134029),
    "digit_accuracy": (0.97, 0.00986531, 0.97, 0.993333),
    "colour_accuracy": (0.793333, 0.0234168, 0.86, 1),
    "fd_filters": (3.20527, 0.0389778, 3.10866, 0.268576),
    "kd_filters": (
        10.9055,
        0.314757,  # of 100 subsets
        14.0301,
        -0.0186320,
    ),
}


def test_figures_are_as_they_were():
    """Which images are translated and compared with, in which order; and errors."""
    task = tasks.super_resolution(2)
    drawn = translations(task, lambda x: jnp.tanh(tasks.larger(x, 2) * 1.2))
    names = ("fd", "kid", "similarity", "colours", "classes")
    found = compared(drawn, names, reference=FEW, seed=2)
    assert list(found["metrics"])[:3] == ["fd_filters", "kd_filters", "l1"]
    for name, row in RECORDED.items():
        got = list(found["metrics"][name].values())
        assert got == pytest.approx(row, rel=3e-3, abs=1e-5), name


def test_what_cannot_be_measured_is_refused():
    filters, fields = extractors.of_filters(), {"image", "target", "label"}
    samples = metrics.Rows("painted", 600, (32, 32, 3), fields, "painted_digits")

    def check(names, num=200, samples=samples, reference=TEST, **more):
        metrics.check(names, samples, reference, filters, num, **more)

    check(("similarity", "fd", "classes"), follow=True)
    with pytest.raises(UsageError, match=r"metrics score: .* there are fd, kid, prdc,"):
        check(("score",))
    with pytest.raises(UsageError, match=r"metrics similarity: by filters there are"):
        check(("similarity",), samples=samples._replace(fields={"image"}))
    with pytest.raises(UsageError, match="num 20 must be 100 or more"):
        check(("fd",), 20)
    with pytest.raises(UsageError, match="metrics names none"):
        check(())
    tiny = samples._replace(size=20)
    with pytest.raises(UsageError, match="20 images; figures say nothing below 100"):
        check(("fd",), samples=tiny)
    both = samples._replace(size=150)
    check(("fd",), samples=both, reference=both)
    with pytest.raises(UsageError, match=r"150 images; .* below 200, half of them"):
        check(("fd",), samples=both, reference=both, halved=True)
    with pytest.raises(UsageError, match="reference painted has 20 images"):
        check(("fd",), reference=tiny)
    check(("colours", "fd"))
    with pytest.raises(UsageError, match="metrics colours: the first decides which st"):
        check(("colours", "fd"), follow=True)
    small = samples._replace(shape=(8, 8, 3), name="small")
    with pytest.raises(UsageError, match="11 pixels or more each way, not 8x8"):
        check(("similarity",), samples=small)
    assert "classes" not in metrics.available(small, filters)
    gray = samples._replace(shape=(32, 32, 1))
    with pytest.raises(UsageError, match="metrics colours needs images of red, green"):
        check(("colours",), samples=gray)


def test_a_judge_s_first_figure_is_that_of_the_first_name():
    samples, _ = translations(tasks.colourization(), lambda x: x.repeat(3, -1))
    args = samples, FEW, extractors.of_filters()
    for names, first, lower in (
        (("similarity", "fd"), "l1", True),
        (("fd", "similarity"), "fd_filters", True),
        (("classes", "fd", "similarity"), "digit_accuracy", False),
    ):
        judge = metrics.judge(*args, names, 200, aligned=True, halved=True)
        figures = judge.of(samples)
        assert next(iter(figures)) == first
        assert judge.lower_is_better is lower and judge.figure.startswith(names[0])
        report = compared((samples, {}), names, 200, FEW)["metrics"]
        for name, value in figures.items():
            assert value == report[name]["value"]


# --- the bank of filters


def test_filters_see_no_constant_and_are_one_turned():
    bank = filters.bank()
    np.testing.assert_allclose(bank.sum((1, 2)), 0, atol=1e-12)
    np.testing.assert_allclose(bank[2], np.rot90(bank[0], -1), atol=1e-9)
    weight = np.abs(bank[0].imag)
    np.testing.assert_allclose(bank[0].imag, -bank[0].imag[:, ::-1], atol=1e-12)
    assert weight[3].sum() > weight[0].sum()


def test_features_are_means_and_moduli_against_scipy():
    images = rng.integers(0, 256, (2, 16, 24, 1), np.uint8)
    got = np.array(filters.features(images))
    assert got.shape == (2, 64)
    x = images[..., 0].astype(float) / 255
    means = x.reshape(2, 4, 4, 4, 6).mean((2, 4)).reshape(2, -1)
    np.testing.assert_allclose(got[:, :16], means, atol=1e-6)
    bank = filters.bank()
    for scale in range(3):
        if scale:
            b, h, w = x.shape
            x = x.reshape(b, h // 2, 2, w // 2, 2).mean((2, 4))
        for n, kernel in enumerate(bank):
            parts = [
                scipy.ndimage.correlate(x, part[None], mode="nearest")
                for part in (kernel.real, kernel.imag)
            ]
            size = np.hypot(*parts)
            b, h, w = size.shape
            cells = size.reshape(b, 2, h // 2, 2, w // 2).mean((2, 4)).reshape(b, -1)
            first = 16 + scale * 16
            np.testing.assert_allclose(
                got[:, first + n : first + 16 : 4], np.log(cells + 0.01), atol=1e-4
            )


def test_cells_share_the_pixels_between_them():
    x = jnp.asarray(rng.normal(size=(1, 5, 7, 2)), jnp.float32)
    got = filters._averages(x, 2).reshape(2, 2, 2)
    left = (x[0, :, :3].sum(1) + x[0, :, 3] / 2) / 3.5
    top = (left[:2].sum(0) + left[2] / 2) / 2.5
    np.testing.assert_allclose(got[0, 0], top, atol=1e-6)


def test_a_distance_by_filters_tells_what_is_wrong_by_how_much():
    real, others = SOME["image"][:300], SOME["image"][300:]

    def distance(images):
        features = [np.array(filters.features(x)) for x in (images, others)]
        return metrics.frechet_distance(*map(metrics.moments, features))

    blurred = [
        scipy.ndimage.gaussian_filter(real, (0, s, s, 0)).astype(np.uint8)
        for s in (0.5, 1.5)
    ]
    gray = real.mean(-1, keepdims=True).repeat(3, -1).astype(np.uint8)
    floor, slight, much, without = map(distance, (real, *blurred, gray))
    assert 1.5 * floor < slight < much / 3 and without > 10 * floor


@pytest.mark.parametrize("shape", ((1, 1, 1), (5, 7, 3), (32, 32, 3)))
def test_filters_take_images_of_any_size(shape):
    images = rng.integers(0, 256, (3, *shape), np.uint8)
    found = np.array(filters.features(images))
    assert found.shape == (3, 64 * shape[2]) and np.isfinite(found).all()


def test_painted_reading_of_no_ink_is_none():
    reading = painted.read(np.zeros((2, 32, 32, 3), np.uint8))
    assert (reading.ink == -1).all() and not reading.map.any()


# --- of trained networks, and by the command line


NUM = 1000


def dataset(images, labels=None, name="images"):
    names = () if labels is None else tuple("0123456789")
    shape = images.shape[1:]
    return data.make(name, images.__getitem__, len(images), shape, labels, names)


def value(figures, name="fd_mnist"):
    return figures[name]["value"]


@pytest.fixture(scope="module")
def digits():
    """Real digits to be judged, and their labels."""
    rows = data.load("mnist", split="test").fetch(np.arange(NUM))
    return rows["image"], rows["label"]


@pytest.fixture(scope="module")
def trained():
    """A small DCGAN, its first state and its state after 600 steps."""
    train = data.load("mnist")
    G, D = models.dcgan.networks(train.shape, width=8)
    G, D = models.flax_net("G", G), models.flax_net("D", D)
    tx = optax.adam(1e-3, 0.5)
    gan = recipes.gan(G, D, latent_dim=32, g_tx=tx, d_tx=tx, ema_decay=0.99)
    key = jax.random.key(0)
    state = first = gan.init(key, train.batch(0, 0, 64))
    state = jax.tree.map(jax.numpy.copy, first)
    fast = {"xla_backend_optimization_level": 2}  # it runs more than it compiles
    step = jax.jit(gan.step, donate_argnums=0, compiler_options=fast)
    for i in range(600):
        state, _ = step(state, train.batch(0, i, 64), jax.random.fold_in(key, i))
    return gan, first, state


@pytest.mark.slow
def test_broken_generators_show(trained, tmp_path):
    gan, first, state = trained
    rng = np.random.default_rng(0)

    def shuffled(w):
        return jax.numpy.asarray(rng.permutation(np.ravel(w)).reshape(w.shape))

    def score(averaged):
        samples = draws.samples(gan, merge(state, ema={"G": averaged}), NUM)
        args = samples, data.load("mnist"), None, extractors.of_digits()
        found = metrics.evaluate(*args, ("fd", "prdc"), cache=tmp_path)
        return found["metrics"]

    good = score(state.ema["G"])
    broken = {
        "weights shuffled": jax.tree.map(shuffled, state.ema["G"]),
        "initial weights": first.ema["G"],
    }
    assert value(good, "precision") > 0.2
    for name, averaged in broken.items():
        wrong = score(averaged)
        assert value(wrong) > 5 * value(good), name
        assert value(wrong, "precision") < 0.05, name


@pytest.mark.slow
def test_live_weights_are_sampled_when_asked(trained):
    gan, _, state = trained
    live, _ = draws.draw(gan, draws.live(state), 20)
    expected, _ = draws.draw(gan, merge(state, ema={"G": state.params["G"]}), 20)
    averaged, _ = draws.draw(gan, state, 20)
    np.testing.assert_array_equal(live, expected)
    assert (live != averaged).any()


def test_classes_are_drawn_as_often_as_the_data_has_them(digits):
    images, labels = digits
    threes_and_sevens = np.flatnonzero((labels == 3) | (labels == 7))
    part = dataset(images[threes_and_sevens], labels[threes_and_sevens])
    drawn = draws.labels_like(part, 2000)
    expected = (labels[threes_and_sevens] == 3).mean()
    assert set(drawn) == {3, 7} and drawn.dtype == np.int32
    assert (drawn == 3).mean() == pytest.approx(expected, abs=0.05)


# --- the command


def build(cfg, shape, num_classes):
    G, D = models.mlp.Generator(shape, (4,)), models.mlp.Discriminator((4,))
    G, D = models.flax_net("G", G), models.flax_net("D", D)
    tx = optax.adam(1e-3)
    return recipes.gan(G, D, latent_dim=3, g_tx=tx, d_tx=tx)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs the experiment tiny.py in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "argv", ["experiments/tiny.py"])
    monkeypatch.setattr(cli, "_cache_compilations", lambda: None)
    return lambda *args: cli.main(Config(), build, [str(a) for a in args])


def result(tmp_path):
    return json.loads((tmp_path / "runs" / "tiny" / "evaluation.json").read_text())


def test_the_command_prints_a_table_and_writes_json(run, tmp_path, capsys):
    run("--steps", 2, "--batch-size", 8)
    capsys.readouterr()
    of = "evaluate", "--num", 200, "--reference-num", 300
    run(*of, "--metrics", "fd", "classes")
    out = capsys.readouterr().out
    got = result(tmp_path)
    assert "fd_mnist" in out and "floor" in out and "evaluation.json" in out
    names = "fd_mnist class_entropy modes reverse_kl least_class_share".split()
    assert list(got["metrics"]) == names
    assert got["batch_norm"] is None and got["classes"] is None
    assert got["step"] == 2 and got["reference"] == "mnist"
    counts = {"samples": 200, "reference": 300, "floor": 200, "ceiling": 200}
    assert got["counts"] == counts
    assert got["extractor"]["resize"] == "none"
    assert len(got["extractor"]["sha256"]) == 64
    assert (got["weights"], got["checkpoint"]) == ("averaged", "newest")
    assert list((tmp_path / "cache" / "jaxgan" / "features").iterdir())
    run(*of, "--metrics", "fd", "--live")
    assert result(tmp_path)["weights"] == "live"
    for args, says in (
        (("--num", 5), "--num 5 must be 100 or more"),
        (("--best",), "holds no best state; train with --evaluate-every"),
        (("--out", "runs"), "--out runs is a folder"),
        (("--seed", -1), "--seed -1 must be 0 or more"),
        (("--reference", "foo"), "--reference foo: there is no such dataset"),
        (("--inception-weights", "x"), "--inception-weights x cannot be read"),
        (("--metrics",), "--metrics names none: by mnist there are fd, kid"),
    ):
        with pytest.raises(SystemExit) as stop:
            run("evaluate", *args)
        assert stop.value.code == 2
        assert says in capsys.readouterr().err


def test_few_images_have_means_but_no_distances():
    """Asked for by name, a distance is refused."""
    images = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), np.uint8)
    pairs = data.from_arrays(images, input=images[::-1])
    drawn = lambda i: {"image": images[i], "target": images[::-1][i]}  # noqa: E731
    group = data.Group(("image", "target"), 40, drawn)
    samples = pairs._replace(groups=(group,), name="few")
    of = pairs, {}, extractors.of_filters()
    result = metrics.evaluate(samples, *of, aligned=True)
    expected = np.abs(images.astype(int) - images[::-1]).mean() / 255
    assert result["metrics"]["l1"]["value"] == pytest.approx(expected, rel=1e-6)
    assert "fd_filters" not in result["metrics"] and result["counts"]["samples"] == 40
    assert result["notes"][0].startswith("few has 40 images: figures of a set")
    metrics.evaluate(samples, *of, ("similarity",), num=40, aligned=True)
    with pytest.raises(UsageError, match="num 40 must be 100 or more"):
        metrics.evaluate(samples, *of, ("fd",), num=40, aligned=True)
    with pytest.raises(UsageError, match="samples few has 40 images"):
        metrics.evaluate(samples, *of, ("fd",), aligned=True)
