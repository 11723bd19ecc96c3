"""Scripts of `experiments/` that no other test runs, run as they are typed."""

import ast
import runpy
import sys
from pathlib import Path

import numpy as np

from jaxgan import data
from jaxgan.metrics import mnist

ROOT = Path(__file__).parents[1]
EXPERIMENTS = ROOT / "experiments"


def run(monkeypatch, script, *arguments):
    monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
    monkeypatch.syspath_prepend(EXPERIMENTS)
    return runpy.run_path(str(EXPERIMENTS / script), run_name="__main__")


def test_every_script_is_run_by_a_test():
    named = set()
    for file in (ROOT / "tests").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                named |= {alias.name for alias in node.names}
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                named.add(node.value.removesuffix(".py"))
    assert {file.stem for file in EXPERIMENTS.glob("*.py")} <= named


def test_the_classifier_of_digits_is_trained(tmp_path, monkeypatch, capsys):
    out = tmp_path / "classifier.npz"
    sizes = ["--steps", 15, "--batch-size", 32, "--tested", 100]
    names = run(monkeypatch, "mnist_classifier.py", "--out", out, *sizes)
    assert "of 100 test images" in capsys.readouterr().err

    shipped, trained = np.load(mnist.WEIGHTS), np.load(out)
    assert set(trained) == set(shipped)
    for name in shipped:
        assert trained[name].shape == shipped[name].shape
        assert trained[name].dtype == shipped[name].dtype == np.float16
        assert np.isfinite(trained[name]).all()
    rows = data.load("mnist", split="test").fetch(np.arange(100))
    assert names["accuracy"](mnist.weights(out), rows) > 0.2  # chance is 0.1


def test_digits_are_moved_by_up_to_two_pixels(monkeypatch):
    monkeypatch.syspath_prepend(EXPERIMENTS)
    import jax

    from jaxgan.metrics import training

    image = np.full((64, 28, 28, 1), -1, np.float32)
    image[:, 14, 14] = 1
    places = np.argwhere(np.asarray(training.moved(image, jax.random.key(0))) > 0)
    assert len(places) == 64
    shifts = places[:, 1:3] - 14
    assert (np.unique(shifts) == np.arange(-2, 3)).all()
