"""Mixtures, what counts their modes, and the experiment on them."""

import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from jaxgan import metrics
from jaxgan.data import mixtures
from jaxgan.types import UsageError

sys.path.insert(0, str(Path(__file__).parent.parent / "experiments"))
import mixture_2d

KINDS = {"ring": (8, 0.01), "grid": (25, 0.05), "spiral": (20, 0.02)}


@pytest.mark.parametrize("name", KINDS)
def test_samples_are_gaussians_around_every_mode(name):
    mixture, (modes, deviation) = getattr(mixtures, name)(), KINDS[name]
    assert mixture.centers.shape == (modes, 2) and mixture.deviation == deviation
    x = np.array(mixture.sample(jax.random.key(0), 20000))
    apart = x[:, None] - mixture.centers[None]
    nearest = np.linalg.norm(apart, axis=2).argmin(1)
    shares = np.bincount(nearest, minlength=modes) / len(x)
    np.testing.assert_allclose(shares, 1 / modes, atol=0.2 / modes)
    residual = apart[np.arange(len(x)), nearest]
    np.testing.assert_allclose(residual.std(0), deviation, rtol=0.05)
    found = metrics.coverage(x, mixture.centers, 3 * deviation)
    # Within three deviations in the plane: 1 - exp(-9/2).
    assert found.modes == modes
    assert found.high_quality == pytest.approx(1 - np.exp(-4.5), abs=0.005)
    assert found.reverse_kl == pytest.approx(0, abs=0.005)


def test_centers_are_where_the_papers_have_them():
    ring, grid = mixtures.ring().centers, mixtures.grid().centers
    np.testing.assert_allclose(np.linalg.norm(ring, axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(ring[2], [0, 1], atol=1e-7)
    assert set(map(tuple, grid)) == {
        (x, y) for x in range(-4, 5, 2) for y in range(-4, 5, 2)
    }


def test_coverage_in_closed_form():
    centers = np.array([[0.0, 0], [10, 0], [0, 10], [10, 10]])
    samples = np.array([[0.0, 0.5], [0.5, 0], [9, 0], [5.1, 0]])
    found = metrics.coverage(samples, centers, 0.6)
    assert found.modes == 1 and found.high_quality == 0.5
    assert found.reverse_kl == pytest.approx(np.log(4) - np.log(2))
    assert metrics.reverse_kl([0.25] * 4) == 0
    assert metrics.reverse_kl([1, 0, 0, 0]) == pytest.approx(np.log(4))
    with pytest.raises(ValueError, match="samples are of 2 dimensions, centers of 3"):
        metrics.coverage(samples, np.zeros((4, 3)), 1.0)


OTHERS = "unrolled", "pacgan", "consensus", "extragradient", "optimistic"


@pytest.mark.parametrize(
    "gan",
    (
        *("r3gan", "wgan", "lookahead", "adversarial_flow"),
        *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS),
    ),
)
def test_the_experiment_counts_modes_and_draws_them(gan, tmp_path, capsys):
    options = mixture_2d.Options(
        gan=gan, steps=4, width=8, batch_size=8, num=50, frames=2, out=str(tmp_path)
    )
    mixture_2d.main(options)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        f"ring {gan} seed {seed}" for seed in range(3)
    ]
    with Image.open(tmp_path / f"ring_{gan}.gif") as gif:
        assert gif.size == (1084, 360)  # PIL drops frames that equal the last
    assert (tmp_path / f"ring_{gan}.png").exists()


def test_seeds_differ_and_each_is_its_own_run(tmp_path, capsys):
    lines = []
    for seeds in (3, 1):
        options = mixture_2d.Options(
            steps=20,
            width=8,
            batch_size=8,
            num=50,
            seeds=seeds,
            frames=1,
            out=str(tmp_path),
        )
        mixture_2d.main(options)
        lines.append(capsys.readouterr().out.splitlines())
    assert lines[0][0] == lines[1][0]
    with Image.open(tmp_path / "ring_r3gan.png") as sheet:
        assert sheet.size == (360, 360)


@pytest.mark.parametrize(
    ("says", "changes"),
    (
        ("steps 0 must be 1 or more", {"steps": 0}),
        ("frames 0 must be 1 or more", {"frames": 0}),
        ("beta1 1.5 must be 0 or more, and below 1", {"beta1": 1.5}),
        ("batch_size 6 must be a multiple of 4", {"batch_size": 6, "gan": "pacgan"}),
        ("out /dev/null cannot be written to", {"out": "/dev/null"}),
    ),
)
def test_bad_options_get_one_sentence(says, changes):
    with pytest.raises(UsageError, match=says):
        mixture_2d.main(mixture_2d.Options(**changes))


def test_divergence_is_said_and_not_drawn(tmp_path):
    options = mixture_2d.Options(
        gan="lsgan", lr=1e20, steps=20, width=8, batch_size=8, num=50, out=str(tmp_path)
    )
    with pytest.raises(UsageError, match=r"lsgan: Training of member 0 .* at step \d+"):
        mixture_2d.main(options)
