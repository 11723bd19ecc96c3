"""Every Python example in README.md runs as it stands."""

import re
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "experiments"))
import command_line
import dcgan_mnist

from jaxgan import data

ROOT = Path(__file__).parent.parent
EXAMPLES = re.findall(
    r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S
)


def run(code, tmp_path, monkeypatch):
    """Executes an example where `experiments/` is, with runs going elsewhere."""
    (tmp_path / "experiments").symlink_to(ROOT / "experiments")
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile(code, "README.md", "exec"), names)
    return names


def example(words):
    (code,) = [code for code in EXAMPLES if words in code]
    return code


def test_there_are_the_examples_that_are_tested_here():
    assert len(EXAMPLES) == 10


def test_the_steps_in_a_loop_of_your_own(tmp_path, monkeypatch):
    names = run(example("recipes.gan(\n"), tmp_path, monkeypatch)
    assert int(names["state"].step) == 10
    assert names["images"].shape == (16, 28, 28, 1)
    assert np.abs(names["images"]).max() <= 1


def test_your_own_gan_trains(tmp_path, monkeypatch):
    code = example("phases.game(")
    body = [line for line in code.splitlines() if line and "import" not in line]
    assert len(body) <= 22, "README says about 20 lines"
    names = run(code, tmp_path, monkeypatch)
    state = names["state"]
    assert int(state.step) == 100
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(state))
    # 100 steps in, its fakes are dark like digits, not mid-gray like noise.
    fake = names["G"](state, jax.random.normal(jax.random.key(1), (64, 32)))
    assert float(fake.mean()) == pytest.approx(-0.74, abs=0.25)


def test_a_run_in_a_notebook(tmp_path, monkeypatch):
    names = run(example("visual.grid(images)"), tmp_path, monkeypatch)
    assert names["images"].shape == (64, 28, 28, 1)
    assert (tmp_path / "runs" / "notebook" / "samples" / "000020.png").exists()


def test_an_image_says_where_it_comes_from(tmp_path, monkeypatch, capsys):
    run(example("four.png"), tmp_path, monkeypatch)
    assert (
        "'draw': 'sample', 'step': 1, 'seed': 7, 'weights': '"
        in capsys.readouterr().out
    )


def test_evaluation_of_any_images_by_any_features(tmp_path, monkeypatch, capsys):
    # Spread: the first of MNIST's test images are of other hands than the training's.
    test = data.load("mnist", split="test").fetch(np.arange(0, 10000, 20))
    np.savez(tmp_path / "samples.npz", images=test["image"])
    names = run(example("thumbnails"), tmp_path, monkeypatch)
    assert "fd_mnist" in capsys.readouterr().out
    row = names["result"]["metrics"]["fd_thumbnails"]
    assert 0 < row["value"] < 2 * row["floor"] < row["ceiling"]


@pytest.mark.slow
@pytest.mark.parametrize("words", ["nnx.Module", "equinox"])
def test_networks_from_elsewhere_train(words, tmp_path, monkeypatch):
    names = run(example(words), tmp_path, monkeypatch)
    state = names["state"]
    assert int(state.step) == 100
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(state))
    # 100 steps in, fakes are dark like digits, not mid-gray like noise.
    draw, key = names["gan"].draws["sample"], jax.random.key(1)
    settled = names["gan"].settle(state, key)
    images = draw.run(settled, draw.task.given({}, key, 64), key)
    assert float(images.mean()) < -0.4


def test_an_artifact_draws_without_jaxgan(tmp_path, monkeypatch):
    few = "--steps", 1, "--width", 2, "--batch-size", 8, "--workdir", tmp_path / "run"
    assert command_line.run(dcgan_mnist, *few) == 0
    file = tmp_path / "runs/digits.jaxexport"
    assert command_line.run(dcgan_mnist, "export", *few[-2:], "--out", file) == 0
    code = example("deserialize(")
    assert "jaxgan" not in code
    images = run(code, tmp_path, monkeypatch)["images"]
    assert images.shape == (16, 28, 28, 1) and images.dtype == np.uint8
    assert images.std() > 1


def test_a_measure_of_your_own_is_reported(tmp_path, monkeypatch, capsys):
    names = run(example("metrics.Measure("), tmp_path, monkeypatch)
    assert "contrast" in capsys.readouterr().out
    deviation = names["images"].std((1, 2, 3)).mean() / 255
    found = names["result"]["metrics"]["contrast"]["value"]
    assert found == pytest.approx(deviation, rel=1e-9)


def test_data_of_your_own_are_loaded(tmp_path, monkeypatch):
    names = run(example("data.Source("), tmp_path, monkeypatch)
    assert names["dataset"].shape == (16, 16, 1) and names["dataset"].size == 40
    assert [group.size for group in names["both"].groups] == [50, 40]
