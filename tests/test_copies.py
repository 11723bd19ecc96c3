"""Copies of training images, and their nearest neighbours."""

import numpy as np
import pytest

from jaxgan import data, metrics
from jaxgan.metrics import copies, extractors
from jaxgan.types import UsageError


def planted(share, noise=0, n=400):
    """MNIST's test digits, of which a share is of training images instead."""
    rng = np.random.default_rng(0)
    train = data.load("mnist").fetch(rng.permutation(60000)[:6000])["image"]
    test = data.load("mnist", split="test").fetch(rng.permutation(10000)[:n])["image"]
    which = rng.permutation(6000)[: round(share * n)]
    copied = train[which] + rng.normal(0, noise, (len(which), 28, 28, 1)) * (noise > 0)
    test[: len(which)] = np.rint(np.clip(copied, 0, 255)).astype(np.uint8)
    return train, test, which


def copies_by_evaluate(images, train):
    samples, real = (
        data.make("images", x.__getitem__, len(x), x.shape[1:]) for x in (images, train)
    )
    columns = {"floor": data.load("mnist", split="test"), "ceiling": None}
    of = extractors.of_digits(), ("copies",), 400
    return metrics.evaluate(samples, real, columns, *of)["metrics"]


@pytest.mark.parametrize("noise", (0, 5))
def test_a_planted_copier_is_found_and_real_digits_are_none(noise):
    train, images, _ = planted(0.3, noise)
    row = copies_by_evaluate(images, train)["copies"]
    assert row["value"] == pytest.approx(0.3, abs=0.05)
    assert row["error"] == pytest.approx((0.3 * 0.7 / 400) ** 0.5, rel=0.1)
    assert row["floor"] <= 0.01 and row["ceiling"] == 0


def test_neighbours_are_those_of_numpy_and_copies_are_named():
    train, images, which = planted(0.3)
    images = images[:150]  # 120 copies, and 30 others
    x, real = (copies.small(v) for v in (images, train))
    found = copies.nearest(x, real)
    away = np.stack([((real.astype(float) - v) ** 2).mean(1) for v in x]) ** 0.5 / 255
    np.testing.assert_allclose(found.distance, np.sort(away, 1)[:, :2], rtol=1e-12)
    np.testing.assert_array_equal(found.index[:120, 0], which)
    assert not found.distance[:120, 0].any() and not found.ratio[:120].any()
    usual = copies.limits(real, most=300)
    own = copies.nearest(real[:300], real, np.arange(300))
    assert own.distance.min() > 0 and (own.index[:, 0] != np.arange(300)).all()
    assert (own.distance[:, 0] < usual.distance).sum() == 1  # of 300, a thousandth
    copied = copies.are_copies(found, usual)
    assert copied[:120].all() and copied[120:].mean() < 0.1


def test_a_mean_of_images_is_no_copy_though_it_is_near_to_all():
    real = np.random.default_rng(0).integers(0, 256, (500, 64), np.uint8)
    mean = np.rint(real.mean(0)).astype(np.uint8)[None]
    found, usual = copies.nearest(mean, real), copies.limits(real)
    assert found.distance[0, 0] < usual.distance
    assert not copies.are_copies(found, usual).any()


def test_twins_among_the_real_images_hide_no_copy():
    rng = np.random.default_rng(0)
    real = rng.integers(0, 256, (50, 8), np.uint8)
    twins = np.concatenate([real, real[:1]])
    found = copies.nearest(real[:1], twins)
    assert found.ratio == 1 and not found.distance.any()
    assert copies.are_copies(found, copies.Limits(0.01, 0.5)).all()


def test_images_that_are_there_twice_change_no_limit():
    """Nor hide that a copy of another, with noise, is one."""
    train, images, _ = planted(0.3, 5)
    row = copies_by_evaluate(images, np.concatenate([train, train[-60:]]))["copies"]
    assert row["value"] == pytest.approx(0.3, abs=0.05)
    same = np.zeros((5, 8), np.uint8)
    assert copies.limits(same) == (0, 0)


def test_large_images_are_compared_smaller():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2, 66, 64, 3), np.uint8)
    assert copies.small(images).shape == (2, 22 * 22 * 3)
    even = np.full((1, 65, 50, 1), 77, np.uint8)
    assert (copies.small(even) == 77).all()
    by_two = copies.small(images[:, :64]).reshape(2, 32, 32, 3)
    expected = images[:, :64].reshape(2, 32, 2, 32, 2, 3).mean((2, 4))
    np.testing.assert_array_equal(by_two, np.rint(expected))
    with pytest.raises(ValueError, match="M of 3 or more"):
        copies.nearest(by_two.reshape(2, -1), by_two.reshape(2, -1))


def test_copies_are_measured_where_they_are_named():
    rows = metrics.Rows("some", 500, (28, 28, 1))
    digits = extractors.of_digits()
    assert "copies" not in metrics.available(rows, digits)
    assert metrics.select(("copies",), rows, digits)[0].beside
    with pytest.raises(UsageError, match=r"there are .*copies"):
        metrics.select(("similarity",), rows, digits)
