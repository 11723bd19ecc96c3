"""Evaluation: known breakages must show, and the command must say what it did."""

import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from jaxgan import cli, data, evaluation, models, recipes
from jaxgan.config import Config
from jaxgan.metrics import inception, mnist, weights
from jaxgan.types import UsageError

torch.set_num_threads(1)
NUM = 1000


@pytest.fixture(scope="module")
def digits():
    """Real digits to be judged, and their labels."""
    rows = data.load("mnist", split="test").fetch(np.arange(NUM))
    return rows["image"], rows["label"]


@pytest.fixture(scope="module")
def judge():
    """`images -> figures`, against the training set."""
    train, extractor = data.load("mnist"), evaluation.mnist_extractor()
    names = ("fd", "prdc", "classes")

    def judge(images, names=names):
        return evaluation.evaluate(images, train, None, extractor, names)["metrics"]

    return judge


def value(figures, name="fd_mnist"):
    return figures[name]["value"]


def blurred(images):
    smooth = ImageFilter.GaussianBlur(1.5)
    rows = [np.asarray(Image.fromarray(x[..., 0]).filter(smooth)) for x in images]
    return np.stack(rows)[..., None]


def test_the_classifier_is_right_on_993_of_1000():
    rows = data.load("mnist", split="test").fetch(np.arange(10000))
    extractor = evaluation.mnist_extractor()
    found = evaluation.extract(extractor, rows["image"].__getitem__, 10000, "test")
    assert (found.logits.argmax(1) == rows["label"]).mean() >= 0.993
    assert mnist.WEIGHTS.stat().st_size <= 2**20
    assert found.features.shape == (10000, 128) and found.features.dtype == "float32"


def test_real_digits_are_near_their_floor_and_broken_ones_are_not(digits, judge):
    images, labels = digits
    good = judge(images)
    assert (
        value(good) < 3 * good["fd_mnist"]["floor"] < good["fd_mnist"]["ceiling"] / 10
    )
    assert value(good, "class_entropy") == pytest.approx(np.log(10), abs=0.02)
    assert value(good, "precision") > 0.8 and value(good, "recall") > 0.8
    scrambled = images[:, np.random.default_rng(0).permutation(28)]
    broken = {
        "one class": np.resize(images[labels == 3], images.shape),
        "blurred": blurred(images),
        "rows in another order": scrambled,
        "negative": 255 - images,
    }
    for name, wrong in broken.items():
        assert value(judge(wrong)) > 10 * value(good), name
    one = judge(broken["one class"])
    assert value(one, "class_entropy") < 0.1 and value(one, "least_class_share") == 0
    assert value(one, "recall") < 0.5 < value(one, "precision")


def test_every_figure_has_an_error_a_floor_and_a_ceiling(digits, judge):
    figures = judge(digits[0][:400], evaluation.METRICS)
    assert figures.keys() == {
        "fd_mnist",
        "kd_mnist",
        "score_mnist",
        "precision",
        "recall",
        "density",
        "coverage",
        "class_entropy",
        "least_class_share",
    }
    for name, row in figures.items():
        assert row.keys() == {"value", "error", "floor", "ceiling"}, name
        assert all(np.isfinite(v) for v in row.values()), name
        assert abs(row["value"] - row["floor"]) < abs(row["ceiling"] - row["floor"])


def test_what_cannot_be_judged_is_refused_in_words(tmp_path, digits, judge):
    with pytest.raises(UsageError, match="--num 99 must be 100 or more"):
        judge(digits[0][:99])
    with pytest.raises(UsageError, match=r"images of \(28, 28, 1\), the run of"):
        judge(np.zeros((100, 8, 8, 3), np.uint8))
    with pytest.raises(UsageError, match=r"Images of 32x32x3 are judged .* give --inc"):
        evaluation.extractor(None, (32, 32, 3))
    path = tmp_path / "w.pth"
    torch.save({"fc.weight": torch.zeros(3)}, path)
    with pytest.raises(UsageError, match=r"w.pth has SHA-256 .* not 6726825d"):
        evaluation.extractor(str(path), (32, 32, 3))


def test_a_network_of_other_shape_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "w.pth"
    torch.save({"fc.weight": torch.zeros(3)}, path)
    monkeypatch.setattr(inception, "SHA256", weights.sha256(path))
    with pytest.raises(UsageError, match=r"w.pth .* not the Inception network"):
        evaluation.extractor(str(path), (32, 32, 3))


def build(cfg, shape, num_classes):
    import optax

    G, D = models.mlp.Generator(shape, (4,)), models.mlp.Discriminator((4,))
    G, D = models.flax_net("G", G), models.flax_net("D", D)
    tx = optax.adam(1e-3)
    return recipes.gan(G, D, latent_dim=3, g_tx=tx, d_tx=tx)


def test_the_command_prints_a_table_and_writes_json(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["experiments/tiny.py"])
    monkeypatch.setattr(cli, "_cache_compilations", lambda: None)
    cli.main(Config, build, ["--steps", "2", "--batch-size", "8"])
    capsys.readouterr()
    args = ["evaluate", "--num", "200", "--metrics", "fd", "classes"]
    cli.main(Config, build, args)
    out = capsys.readouterr().out
    result = json.loads((tmp_path / "runs" / "tiny" / "evaluation.json").read_text())
    assert "fd_mnist" in out and "floor" in out and "evaluation.json" in out
    assert result["metrics"].keys() == {
        "fd_mnist",
        "class_entropy",
        "least_class_share",
    }
    assert result["step"] == 2 and result["reference"] == "mnist"
    assert result["counts"] == {
        "samples": 200,
        "real": 200,
        "more real": 200,
        "noise": 200,
    }
    assert len(result["extractor"]["sha256"]) == 64
    with pytest.raises(SystemExit) as stop:
        cli.main(Config, build, ["evaluate", "--num", "5"])
    assert stop.value.code == 2
    assert "--num 5 must be 100 or more" in capsys.readouterr().err
