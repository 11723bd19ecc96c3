"""What distances are compared with: all of a reference, and what figures are called."""

# ruff: noqa: E402

import sys
import warnings
from unittest.mock import MagicMock

import numpy as np
import pytest
import scipy.linalg
import torch

# As in test_metrics: torch-fidelity imports torchvision, which is not used here.
for _module in ("", ".datasets", ".transforms", ".transforms.functional"):
    sys.modules.setdefault("torchvision" + _module, MagicMock())

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import prdc as naver_prdc
    from torch_fidelity import metric_kid

from jaxgan import data, metrics
from jaxgan.metrics import extractors, outputs
from jaxgan.types import UsageError

SHAPE = (2, 3, 1)


def flat(images):
    return images.reshape(len(images), -1).astype(np.float32) / 255


OF_PIXELS = extractors.of_function("pixels", flat)
LIKE_INCEPTION = OF_PIXELS._replace(distance="fid", kernel="kid")


def images(seed, num, brighter=0):
    rng = np.random.default_rng(seed)
    values = rng.beta(2, 3, (num, *SHAPE)) * 200 + brighter
    return values.astype(np.uint8)


def dataset(array, name="images"):
    return data.make(name, array.__getitem__, len(array), SHAPE)


def frechet(x, y):
    """As Heusel et al. have it, by SciPy's root of the product."""
    a, b = (np.cov(v, rowvar=False) for v in (x, y))
    root = scipy.linalg.sqrtm(a @ b).real
    return np.square(x.mean(0) - y.mean(0)).sum() + np.trace(a + b - 2 * root)


def kid(x, y):
    found = metric_kid.kid_features_to_metric(
        *(torch.tensor(v) for v in (x, y)),
        kid_subsets=20,
        kid_subset_size=1000,
        kid_kernel="poly",
        kid_kernel_poly_degree=3,
        kid_kernel_poly_gamma=None,
        kid_kernel_poly_coef0=1,
        rng_seed=0,
        verbose=False,
    )
    return found["kernel_inception_distance_mean"]


def test_samples_and_floor_are_compared_with_all_of_the_reference(monkeypatch):
    assert metrics.measures.SUBSETS == 100
    monkeypatch.setattr(metrics.measures, "SUBSETS", 20)
    samples, real, more = images(0, 1500, 20), images(1, 6000), images(2, 1400)
    columns = {"floor": dataset(more), "ceiling": None}
    args = dataset(samples), dataset(real, "real"), columns, OF_PIXELS
    names = ("fd", "kid", "prdc")
    result = metrics.evaluate(*args, names, 1200, seed=4)
    counts = {"samples": 1200, "floor": 1200, "ceiling": 1200, "reference": 6000}
    assert result["counts"] == counts
    rng = np.random.default_rng(4)  # in the order in which they are taken
    rows = [rng.permutation(len(x)) for x in (real, more, samples)]
    there, floor, drawn = (
        flat(x[i]).astype(np.float64)
        for x, i in zip((real, more, samples), rows, strict=True)
    )
    floor, drawn = floor[:1200], drawn[:1200]
    figures = result["metrics"]
    for column, x in (("value", drawn), ("floor", floor)):
        distance = figures["fd_pixels"][column]
        assert distance == pytest.approx(frechet(x, there), rel=1e-5)
        kernel = figures["kd_pixels"][column]
        assert kernel == pytest.approx(kid(x, there), rel=1e-5, abs=1e-9)
    few = naver_prdc.compute_prdc(there[:1200], drawn, 5)
    for name, expected in few.items():
        assert figures[name]["value"] == pytest.approx(expected, abs=2e-3), name
    assert any("compare with 1200 of the 6000 real" in n for n in result["notes"])
    assert "6000 reference" in metrics.table(result)


def test_the_reference_can_be_limited():
    samples, real = dataset(images(0, 400)), dataset(images(1, 3000))
    columns = {"floor": dataset(images(2, 400)), "ceiling": None}
    args = samples, real, columns, OF_PIXELS, ("fd",), 300
    result = metrics.evaluate(*args, reference_num=700)
    assert result["counts"]["reference"] == 700
    judge = metrics.judge(samples, real, OF_PIXELS, ("fd",), 400, reference_num=700)
    assert judge.figure.endswith("against 700")
    assert metrics.judge(*args[:2], OF_PIXELS, ("fd",), 400).figure.endswith("3000")
    with pytest.raises(UsageError, match=r"^reference_num 99 must be 100 or more\.$"):
        metrics.evaluate(*args, reference_num=99)


@pytest.mark.parametrize(
    ("num", "change", "called"),
    [
        (50000, {"training_set": True}, ("fid50k_full", "kid50k_full")),
        (49999, {"training_set": True}, ("fid", "kid")),
        (50000, {}, ("fid", "kid")),
        (50000, {"training_set": True, "reference_num": 1999}, ("fid", "kid")),
        (50000, {"training_set": True, "floor": None}, ("fid", "kid")),
    ],
)
def test_only_50000_samples_against_all_training_images_are_called_so(
    num, change, called, monkeypatch
):
    monkeypatch.setattr(metrics.measures, "SUBSETS", 4)
    samples, real = dataset(images(0, 50000)), dataset(images(1, 2000))
    columns = {"floor": dataset(images(2, 200)), "ceiling": None}
    if "floor" in change:
        change.pop("floor")
        columns = None  # a half of the training images is the floor
    args = samples, real, columns, LIKE_INCEPTION, ("fd", "kid"), num
    assert tuple(metrics.evaluate(*args, **change)["metrics"]) == called


def test_a_judge_calls_them_so_too(monkeypatch):
    samples, real = dataset(images(0, 50000)), dataset(images(1, 2000))
    args = samples, real, LIKE_INCEPTION, ("fd",), 50000
    judge = metrics.judge(*args, training_set=True)
    assert list(judge.of(samples)) == ["fid50k_full"]
    names = metrics.judge(*args[:2], OF_PIXELS, ("fd",), 50000, training_set=True)
    assert list(names.of(samples)) == ["fd_pixels"]


def test_many_features_lie_in_files_and_are_the_same(tmp_path, monkeypatch):
    """Neither when they are made nor when they are found again are they held."""
    kept = OF_PIXELS._replace(digest="of pixels")
    one, index = dataset(images(0, 3000)), np.arange(3000)
    fd = [m for m in metrics.MEASURES if m.name == "fd"]
    held = metrics.see(one, index, kept, fd, tmp_path / "small")
    assert not isinstance(held.features, np.memmap)
    monkeypatch.setattr(outputs, "LARGE", 1000)
    for _ in range(2):
        mapped = metrics.see(one, index, kept, fd, tmp_path / "large")
        assert isinstance(mapped.features, np.memmap)
        np.testing.assert_array_equal(mapped.features, held.features)
        assert mapped.moments.count == 3000
    names = sorted(p.name.split(".", 1)[1] for p in (tmp_path / "large").iterdir())
    assert names == ["features.npy"]


def test_a_full_disk_is_told_and_features_are_held(tmp_path, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(outputs, "LARGE", 1000)
    monkeypatch.setattr(outputs.os, "posix_fallocate", full)
    kept = OF_PIXELS._replace(digest="of pixels")
    fd = [m for m in metrics.MEASURES if m.name == "fd"]
    with pytest.warns(UserWarning, match="Features are not kept .*No space left"):
        found = metrics.see(dataset(images(0, 500)), np.arange(500), kept, fd, tmp_path)
    np.testing.assert_array_equal(found.features, flat(images(0, 500)))
    assert not list(tmp_path.iterdir())
