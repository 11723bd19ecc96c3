"""Evaluation: known breakages must show, and the command must say what it did."""

import json
import sys

import jax
import numpy as np
import optax
import pytest
import torch
from PIL import Image, ImageFilter
from sklearn.datasets import load_digits

from jaxgan import data, metrics, models, parallel, recipes
from jaxgan.metrics import evaluation, extractors, mnist
from jaxgan.run import cli, sampling
from jaxgan.run.config import Config
from jaxgan.types import UsageError, merge

torch.set_num_threads(1)
NUM = 1000


@pytest.fixture(scope="module")
def digits():
    """Real digits to be judged, and their labels."""
    rows = data.load("mnist", split="test").fetch(np.arange(NUM))
    return rows["image"], rows["label"]


def dataset(images, labels=None, name="images"):
    names = () if labels is None else tuple("0123456789")
    shape = images.shape[1:]
    return data.make(name, images.__getitem__, len(images), shape, labels, names)


def evaluate(images, names=("fd", "prdc", "classes"), extractor=None, num=10000):
    """The figures of images or of a dataset, against the training set."""
    samples = images if isinstance(images, data.Dataset) else dataset(images)
    extractor = extractor or extractors.of_digits()
    train = data.load("mnist")
    return evaluation.evaluate(samples, train, None, extractor, names, num)["metrics"]


def value(figures, name="fd_mnist"):
    return figures[name]["value"]


def blurred(images):
    smooth = ImageFilter.GaussianBlur(1.5)
    rows = [np.asarray(Image.fromarray(x[..., 0]).filter(smooth)) for x in images]
    return np.stack(rows)[..., None]


def test_the_classifier_is_right_on_993_of_1000():
    test = data.load("mnist", split="test")
    index = np.arange(10000)
    seen = evaluation.see(extractors.of_digits(), test, index, "test")
    labels = test.fetch(index)["label"]
    assert (seen.logits.argmax(1) == labels).mean() >= 0.993
    assert mnist.WEIGHTS.stat().st_size <= 2**20
    assert seen.features.shape == (10000, 128) and seen.features.dtype == "float32"


def test_real_digits_are_near_their_floor_and_broken_ones_are_not(digits):
    images, labels = digits
    good = evaluate(images)
    assert (
        value(good) < 3 * good["fd_mnist"]["floor"] < good["fd_mnist"]["ceiling"] / 10
    )
    assert value(good, "class_entropy") == pytest.approx(np.log(10), abs=0.02)
    assert value(good, "precision") > 0.8 and value(good, "recall") > 0.8
    others = (load_digits().images * 15.9).astype(np.uint8)
    others = [Image.fromarray(x).resize((28, 28), 3) for x in others]
    others = np.stack([np.asarray(x) for x in others])[..., None]
    broken = {
        "one class": np.resize(images[labels == 3], images.shape),
        "blurred": blurred(images),
        "rows in another order": images[:, np.random.default_rng(0).permutation(28)],
        "negative": 255 - images,
        "of another set": others,
    }
    for name, wrong in broken.items():
        assert value(evaluate(wrong)) > 10 * value(good), name
    one = evaluate(broken["one class"])
    assert value(one, "class_entropy") < 0.1 and value(one, "least_class_share") == 0
    assert value(one, "recall") < 0.5 < value(one, "precision")


@pytest.fixture(scope="module")
def trained():
    """A small DCGAN, its first state and its state after 400 steps."""
    train = data.load("mnist")
    G, D = models.dcgan.networks(train.shape, width=8)
    G, D = models.flax_net("G", G), models.flax_net("D", D)
    tx = optax.adam(1e-3, 0.5)
    gan = recipes.gan(G, D, latent_dim=32, g_tx=tx, d_tx=tx, ema_decay=0.99)
    key = jax.random.key(0)
    state = first = gan.init(key, train.batch(0, 0, 64))
    state = jax.tree.map(jax.numpy.copy, first)
    step = parallel.jitted(gan.step)
    for i in range(400):
        state, _ = step(state, train.batch(0, i, 64), jax.random.fold_in(key, i))
    return gan, first, state


def test_broken_generators_show(trained):
    gan, first, state = trained
    rng = np.random.default_rng(0)

    def shuffled(w):
        return jax.numpy.asarray(rng.permutation(np.ravel(w)).reshape(w.shape))

    def score(averaged):
        samples = sampling.samples(gan, merge(state, ema={"G": averaged}), NUM)
        return evaluate(samples, ("fd", "prdc"))

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


def test_live_weights_are_sampled_when_asked(trained):
    gan, _, state = trained
    live, _ = sampling.draw(gan, sampling.live(state), 20)
    expected, _ = sampling.draw(gan, merge(state, ema={"G": state.params["G"]}), 20)
    averaged, _ = sampling.draw(gan, state, 20)
    np.testing.assert_array_equal(live, expected)
    assert (live != averaged).any()


def test_every_figure_has_an_error_a_floor_and_a_ceiling(digits):
    figures = evaluate(digits[0][:400], None)
    assert figures.keys() == {
        "fd_mnist",
        "kd_mnist",
        "score_mnist",
        "precision",
        "recall",
        "density",
        "coverage",
        "modes",
        "reverse_kl",
        "class_entropy",
        "least_class_share",
        "ms_ssim",
    }
    for name, row in figures.items():
        assert row.keys() == {"value", "error", "floor", "ceiling"}, name
        assert all(np.isfinite(v) for v in row.values()), name
        assert abs(row["value"] - row["floor"]) < abs(row["ceiling"] - row["floor"])


def test_the_error_is_that_of_random_quarters_whatever_the_order(digits):
    """A class-conditional run draws the classes in turn."""
    images, labels = digits
    rows = np.concatenate([np.flatnonzero(labels == c)[:80] for c in range(10)])
    in_turn = rows.reshape(10, 80).T.ravel()
    by_class, turns = evaluate(images[rows]), evaluate(images[in_turn])
    for figures in (by_class, turns):
        assert figures["fd_mnist"]["error"] < 0.2 * value(figures)


def test_diversity_tells_one_image_from_many(digits):
    images = digits[0][:400]
    same = np.resize(images[:4], images.shape)
    many, few = (value(evaluate(x, ("diversity",)), "ms_ssim") for x in (images, same))
    assert many == pytest.approx(metrics.diversity(images), abs=0.02)
    assert few > many + 0.1


def test_any_function_is_an_extractor(digits):
    def pooled(images):
        return images.reshape(-1, 7, 4, 7, 4).mean((2, 4)).reshape(len(images), -1)

    extractor = extractors.of_function("pooled", pooled)
    figures = evaluate(digits[0], None, extractor)
    assert {"fd_pooled", "kd_pooled", "precision", "ms_ssim"} <= figures.keys()
    expected = [pooled(x).astype(float) for x in (digits[0], blurred(digits[0]))]
    order = np.random.default_rng(0).permutation(60000)[:30000][:NUM]
    real = pooled(data.load("mnist").fetch(order)["image"]).astype(float)
    for images, features in zip((digits[0], blurred(digits[0])), expected, strict=True):
        distance = metrics.frechet_distance(
            metrics.moments(features), metrics.moments(real)
        )
        got = evaluate(images, ("fd",), extractor, num=NUM)
        assert value(got, "fd_pooled") == pytest.approx(distance)
    with pytest.raises(
        UsageError, match="--metrics score: by pooled there are fd, kid"
    ):
        evaluate(digits[0], ("score",), extractor)


def test_features_are_found_again_under_the_hash_of_the_images(digits, tmp_path):
    extractor, index = extractors.of_digits(), np.arange(300)
    seen = []

    def watch(images):
        seen.append(len(images))
        return extractor.run(images)

    watched = extractor._replace(run=watch)
    images = dataset(digits[0])
    first = evaluation.see(watched, images, index, "", tmp_path)
    calls = len(seen)
    again = evaluation.see(watched, images, index, "", tmp_path)
    assert calls > 0 and len(seen) == calls
    for field in ("features", "logits", "pictures"):
        np.testing.assert_array_equal(getattr(again, field), getattr(first, field))
    changed = digits[0].copy()
    changed[299, 0, 0] += 1
    evaluation.see(watched, dataset(changed), index, "", tmp_path)
    evaluation.see(watched._replace(digest="other"), images, index, "", tmp_path)
    assert len(seen) == 3 * calls
    for file in tmp_path.iterdir():
        file.write_bytes(file.read_bytes()[:1000])
    repaired = evaluation.see(watched, images, index, "", tmp_path)
    assert len(seen) == 4 * calls
    np.testing.assert_array_equal(repaired.features, first.features)


def test_features_that_cannot_be_kept_are_said_so(digits, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.warns(UserWarning, match="Features are not kept in .*file/"):
        evaluation.see(
            extractors.of_digits(),
            dataset(digits[0]),
            np.arange(100),
            "",
            tmp_path / "file/x",
        )


def test_what_cannot_be_judged_is_refused_in_words(digits):
    with pytest.raises(UsageError, match="--num 99 must be 100 or more"):
        evaluate(digits[0], num=99)
    with pytest.raises(UsageError, match=r"images has 99 images; .* below 100"):
        evaluate(digits[0][:99])
    with pytest.raises(UsageError, match=r"images of \(28, 28, 1\), the samples of"):
        evaluate(np.zeros((100, 8, 8, 3), np.uint8))
    with pytest.raises(UsageError, match=r"Images of 32x32x3 are judged .* give --inc"):
        extractors.choose(None, "mnist", (32, 32, 3))
    with pytest.raises(UsageError, match="28x28x3 are judged by the Inception"):
        extractors.choose(None, "folder:x", (28, 28, 3))


def test_stacked_digits_are_judged_colour_by_colour():
    digits = extractors.of_digits()
    stacked = extractors.choose(None, "stacked_mnist", (28, 28, 3))
    assert stacked.distance == "fd_stacked_mnist"
    rows = data.load("stacked_mnist", split="test").fetch(np.arange(400))
    features, logits = map(np.array, stacked.run(rows["image"]))
    assert logits.shape == (400, 1000)
    assert (logits.argmax(1) == rows["label"]).mean() > 0.95
    green, _ = digits.run(rows["image"][..., 1:2])
    np.testing.assert_allclose(features[:, 128:256], green, rtol=1e-4, atol=1e-5)


def test_notes_say_what_figures_lack(digits):
    result = evaluation.evaluate(
        dataset(digits[0][:110]),
        data.load("mnist"),
        None,
        extractors.of_digits(),
        ("fd",),
    )
    for part in ("Value", "Floor"):
        assert any(
            n.startswith(part) and "needs more than 128 samples; from 110" in n
            for n in result["notes"]
        )
    assert any("halves of mnist" in n for n in result["notes"])
    assert "from 110" in evaluation.table(result)
    few = dataset(data.load("mnist").fetch(np.arange(300))["image"], name="few")
    extractor = extractors.of_digits()
    result = evaluation.evaluate(dataset(digits[0]), few, None, extractor, ("fd",))
    assert any(
        "floor is of 150 images, the value of 1000" in n for n in result["notes"]
    )


def test_small_images_have_no_diversity_and_digits_no_other_size(digits):
    tiny = dataset(digits[0][:, ::4, ::4])
    extractor = extractors.of_function("pixels", lambda x: x.reshape(len(x), -1))
    found = evaluation.evaluate(tiny, tiny, None, extractor)["metrics"]
    assert "fd_pixels" in found and "ms_ssim" not in found
    with pytest.raises(UsageError, match="diversity needs images of 11 pixels"):
        evaluation.evaluate(tiny, tiny, None, extractor, ("diversity",))
    with pytest.raises(UsageError, match=r"of \(7, 7, 1\) cannot be compared by mnist"):
        evaluation.evaluate(tiny, tiny, None, extractors.of_digits())


def test_classes_are_drawn_as_often_as_the_data_has_them(digits):
    images, labels = digits
    threes_and_sevens = np.flatnonzero((labels == 3) | (labels == 7))
    part = dataset(images[threes_and_sevens], labels[threes_and_sevens])
    gan = type("Fake", (), {"num_classes": 10})
    drawn = sampling.labels_like(gan, part, 2000)
    expected = (labels[threes_and_sevens] == 3).mean()
    assert set(drawn) == {3, 7} and drawn.dtype == np.int32
    assert (drawn == 3).mean() == pytest.approx(expected, abs=0.05)
    assert sampling.labels_like(gan, dataset(images), 10) is None


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
    return lambda *args: cli.main(Config, build, [str(a) for a in args])


def result(tmp_path):
    return json.loads((tmp_path / "runs" / "tiny" / "evaluation.json").read_text())


def test_the_command_prints_a_table_and_writes_json(run, tmp_path, capsys):
    run("--steps", 2, "--batch-size", 8)
    capsys.readouterr()
    run("evaluate", "--num", 200, "--metrics", "fd", "classes")
    out = capsys.readouterr().out
    got = result(tmp_path)
    assert "fd_mnist" in out and "floor" in out and "evaluation.json" in out
    names = "fd_mnist class_entropy modes reverse_kl least_class_share".split()
    assert list(got["metrics"]) == names
    assert got["batch_norm"] is None and got["classes"] is None
    assert got["step"] == 2 and got["reference"] == "mnist"
    counts = {"samples": 200, "real": 200, "more real": 200, "noise": 200}
    assert got["counts"] == counts
    assert got["extractor"]["resize"] == "none"
    assert len(got["extractor"]["sha256"]) == 64
    assert (got["weights"], got["checkpoint"]) == ("averaged", "newest")
    assert list((tmp_path / "cache" / "jaxgan" / "features").iterdir())
    run("evaluate", "--num", 200, "--metrics", "fd", "--live")
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
