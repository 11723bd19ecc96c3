"""Metrics against torch-fidelity, prdc and closed forms."""
# ruff: noqa: E402

import pickle
import sys
import warnings
import zipfile
from unittest.mock import MagicMock

import jax
import numpy as np
import pytest
import torch

# torch-fidelity imports torchvision, for data sets and networks that are not used here,
# and its wheels do not fit every build of torch.
for _module in ("", ".datasets", ".transforms", ".transforms.functional"):
    sys.modules.setdefault("torchvision" + _module, MagicMock())

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import prdc as naver_prdc
    from torch_fidelity import feature_extractor_inceptionv3 as their_inception
    from torch_fidelity import metric_fid, metric_isc, metric_kid, metric_prc
    from torch_fidelity.interpolate_compat_tensorflow import (
        interpolate_bilinear_2d_like_tensorflow1x,
    )

from jaxgan import metrics
from jaxgan.metrics import inception, weights
from jaxgan.types import UsageError


@pytest.fixture(scope="module")
def features():
    """Two sets of 5,000 in 2,048 dimensions, which differ in mean and covariance."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 5000, 2048)).astype(np.float32)
    mix = np.eye(2048) + rng.normal(size=(2048, 2048)) * 0.1 / np.sqrt(2048)
    return a, (b @ mix + 0.02).astype(np.float32)


def test_the_frechet_distance_is_torch_fidelity_s(features):
    theirs = [metric_fid.fid_features_to_statistics(torch.tensor(x)) for x in features]
    expected = metric_fid.fid_statistics_to_metric(*theirs, verbose=False)
    got = metrics.frechet_distance(*map(metrics.moments, features))
    assert got == pytest.approx(expected["frechet_inception_distance"], rel=1e-6)


def test_kid_is_torch_fidelity_s(features):
    features = [x.astype(np.float64) for x in features]
    expected = metric_kid.kid_features_to_metric(
        *map(torch.tensor, features),
        kid_subsets=10,
        kid_subset_size=1000,
        kid_kernel="poly",
        kid_kernel_poly_degree=3,
        kid_kernel_poly_gamma=None,
        kid_kernel_poly_coef0=1,
        rng_seed=7,
        verbose=False,
    )
    mean, std = metrics.kid(*features, subsets=10, seed=7)
    assert mean == pytest.approx(
        expected["kernel_inception_distance_mean"], rel=1e-6, abs=1e-12
    )
    assert std == pytest.approx(expected["kernel_inception_distance_std"], rel=1e-6)


@pytest.mark.parametrize("splits", (1, 10))
def test_the_inception_score_is_torch_fidelity_s(splits):
    logits = np.random.default_rng(0).normal(size=(5003, 1008)).astype(np.float32) * 3
    expected = metric_isc.isc_features_to_metric(torch.tensor(logits), splits, True, 5)
    got = metrics.inception_score(logits, splits, seed=5)
    assert got == pytest.approx(tuple(expected.values()), rel=1e-6)


def test_precision_and_recall_are_torch_fidelity_s_and_prdc_s(features):
    real, fake = (x[:2000, :64].astype(np.float64) for x in features)
    theirs = metric_prc.prc_features_to_metric(
        torch.tensor(fake),
        torch.tensor(real),
        prc_neighborhood=3,
        prc_batch_size=10000,
        save_cpu_ram=False,
        verbose=False,
    )
    got = metrics.prdc(real, fake, k=3, block=300)
    assert got.precision == pytest.approx(theirs["precision"], rel=1e-6)
    assert got.recall == pytest.approx(theirs["recall"], rel=1e-6)
    assert got._asdict() == pytest.approx(naver_prdc.compute_prdc(real, fake, 3))
    assert 0.1 < got.precision < 0.9  # or the comparison would say little


def _gaussian(mean, cov):
    return metrics.Moments(10**9, np.array(mean, float), np.array(cov, float))


def test_the_frechet_distance_of_gaussians_in_closed_form():
    a, b = _gaussian([0, 0], np.diag([4, 9])), _gaussian([3, 4], np.diag([1, 16]))
    assert metrics.frechet_distance(a, b) == pytest.approx(25 + 1 + 1)
    assert metrics.frechet_distance(a, a) == pytest.approx(0, abs=1e-12)
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    same = [_gaussian(turn @ m.mean, turn @ m.cov @ turn.T) for m in (a, b)]
    assert metrics.frechet_distance(*same) == pytest.approx(27)


def test_the_frechet_distance_of_degenerate_gaussians():
    point = _gaussian([0, 0, 0], np.zeros((3, 3)))
    line = _gaussian([0, 0, 2], np.diag([9, 0, 0]))
    other = _gaussian([0, 0, 0], np.diag([0, 16, 0]))
    assert metrics.frechet_distance(point, line) == pytest.approx(4 + 9)
    assert metrics.frechet_distance(line, other) == pytest.approx(4 + 9 + 16)
    assert metrics.frechet_distance(line, line) == pytest.approx(0, abs=1e-12)


def test_rounding_gives_a_degenerate_gaussian_no_width():
    """(2 - 1)² along the line and 1 in each of the 199 directions across it."""
    rng = np.random.default_rng(0)
    line = np.linalg.qr(rng.normal(size=(200, 200)))[0][:, :1] * 2
    a, b = (
        _gaussian(np.zeros(200), line @ line.T),
        _gaussian(np.zeros(200), np.eye(200)),
    )
    assert metrics.frechet_distance(a, b) == pytest.approx(200, rel=1e-10)


def test_fewer_samples_than_dimensions_are_warned_of():
    x = np.random.default_rng(0).normal(size=(20, 50))
    with pytest.warns(UserWarning, match="50-dimensional .* from 20 it is too large"):
        distance = metrics.frechet_distance(metrics.moments(x), metrics.moments(x))
    assert distance == pytest.approx(0, abs=1e-10)


def test_moments_of_blocks_are_numpy_s_of_all():
    x = np.random.default_rng(0).normal(size=(101, 7)) * 3 + 1e4
    for got in (metrics.moments(x), metrics.moments(iter(np.split(x, [1, 40, 40])))):
        assert got.count == 101
        np.testing.assert_allclose(got.mean, x.mean(0), rtol=1e-12)
        np.testing.assert_allclose(got.cov, np.cov(x.T), rtol=1e-9, atol=1e-9)


def test_classes_in_closed_form():
    shares = metrics.class_shares([0, 0, 2, 2], 4)
    np.testing.assert_array_equal(shares, [0.5, 0, 0.5, 0])
    assert metrics.entropy(shares) == pytest.approx(np.log(2))
    certain = np.repeat(np.eye(5) * 1e4, 20, 0)  # of all five classes, sure of each
    mean, std = metrics.inception_score(certain, 1)
    assert (mean, std) == (pytest.approx(5), 0)
    assert metrics.inception_score(np.zeros((20, 5)), 2) == (pytest.approx(1), 0)


BAD = {
    "1 features have no covariance": lambda x: metrics.moments(x[:1]),
    r"must be \[N, D\]; got shape \(7,\)": lambda x: metrics.moments(x[:, 0]),
    "7 values are not finite": lambda x: metrics.moments(x * [1, np.inf, 1]),
    "of 3 dimensions cannot be compared with features of 2": lambda x: (
        metrics.frechet_distance(metrics.moments(x), metrics.moments(x[:, :2]))
    ),
    "subset_size 8 must be 2 to 7": lambda x: metrics.kid(x, x, subset_size=8),
    "splits 8 must be 1 to 7": lambda x: metrics.inception_score(x, 8),
    "k 7 must be 1 to 6": lambda x: metrics.prdc(x, x, 7),
    "labels must be": lambda x: metrics.class_shares([4], 4),
}


@pytest.mark.parametrize(("says", "call"), BAD.items(), ids=BAD)
def test_what_makes_no_sense_is_refused_in_words(says, call):
    x = np.random.default_rng(0).normal(size=(7, 3))
    with pytest.raises(ValueError, match=says):
        call(x)


# --- Inception


@pytest.fixture(scope="module")
def network():
    """torch-fidelity's, with random weights."""
    kind = their_inception.FeatureExtractorInceptionV3
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "load", lambda *args, **kwargs: None)
        patch.setattr(kind, "load_state_dict", lambda self, state: None)
        names = list(kind.get_provided_features_list())
        net = kind("random", names, feature_extractor_weights_path="none")
    generator = torch.Generator().manual_seed(0)
    for name, value in net.state_dict().items():
        if name.endswith(("conv.weight", "fc.weight")):
            value.normal_(0, (2 / value[0].numel()) ** 0.5, generator=generator)
        elif name.endswith(("running_var", "bn.weight")):
            value.uniform_(0.5, 1.5, generator=generator)
        elif name.endswith(("mean", "bias")):
            value.normal_(0, 0.1, generator=generator)
    return net


def test_inception_is_torch_fidelity_s(network):
    rng = np.random.default_rng(0)
    params = {k: v.numpy() for k, v in network.state_dict().items()}
    run = jax.jit(inception.network)
    shapes = ((299, 299, 3), (32, 32, 3), (45, 67, 3), (28, 28, 1), (320, 301, 3))
    for shape in shapes:
        x = rng.integers(0, 256, (1, *shape), dtype=np.uint8)
        rgb = np.broadcast_to(x, (*x.shape[:3], 3)).transpose(0, 3, 1, 2).copy()
        expected = dict(
            zip(network.features_list, network(torch.tensor(rgb)), strict=True)
        )
        size = inception.SIZE
        got = run(params, inception.resize(x.astype(np.float32), size, size))
        assert got.keys() == expected.keys() and len(got) == 6
        for name, value in got.items():
            theirs = expected[name].numpy()
            assert value.shape == theirs.shape
            scale = np.abs(theirs).max()
            np.testing.assert_allclose(value, theirs, rtol=1e-4, atol=1e-5 * scale)


@pytest.mark.parametrize("size", ((7, 5), (299, 299), (30, 600), (1, 1)))
def test_resize_is_tensorflow_1_s(size):
    x = np.random.default_rng(0).uniform(0, 255, (2, *size, 3)).astype(np.float32)
    theirs = interpolate_bilinear_2d_like_tensorflow1x(
        torch.tensor(x.transpose(0, 3, 1, 2)), size=(299, 299), align_corners=False
    )
    got = inception.resize(x, 299, 299)
    np.testing.assert_allclose(
        got, theirs.numpy().transpose(0, 2, 3, 1), rtol=1e-4, atol=1e-3
    )


# --- files of weights


@pytest.mark.parametrize("form", ("zip", "stream"))
def test_state_dicts_are_read_without_torch(tmp_path, form):
    tensors = {
        "a.weight": torch.randn(3, 4),
        "transposed": torch.randn(5, 2).T,
        "slice": torch.randn(10)[3:7],
        "n": torch.tensor(12),
        "half": torch.randn(2, 2).half(),
        "empty": torch.zeros(0, 3),
    }
    path = tmp_path / "w.pth"
    torch.save(tensors, path, _use_new_zipfile_serialization=form == "zip")
    got = weights.state_dict(path)
    assert got.keys() == tensors.keys()
    for name, value in got.items():
        np.testing.assert_array_equal(value, tensors[name].numpy())
        assert value.dtype == tensors[name].numpy().dtype


class Attack:
    """Unpickling it would make a folder."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        import os

        return os.mkdir, (self.folder,)


@pytest.mark.parametrize("form", ("zip", "stream", "pickle"))
def test_a_pickle_that_runs_code_is_refused_and_not_run(tmp_path, form):
    path, trace = tmp_path / "w.pth", tmp_path / "trace"
    if form == "pickle":
        path.write_bytes(pickle.dumps(Attack(trace)))
    else:
        torch.save(
            {"w": Attack(trace)}, path, _use_new_zipfile_serialization=form == "zip"
        )
    with pytest.raises(UsageError, match=r"w.pth is refused: it asks for posix.mkdir"):
        weights.state_dict(path)
    assert not trace.exists()
    torch.load(path, weights_only=False) if form != "pickle" else pickle.loads(
        path.read_bytes()
    )
    assert trace.exists()  # so it was a real attack


@pytest.mark.parametrize("form", ("zip", "stream"))
def test_damaged_files_are_refused_in_one_sentence(tmp_path, form):
    path = tmp_path / "w.pth"
    torch.save(
        {"w": torch.randn(30)}, path, _use_new_zipfile_serialization=form == "zip"
    )
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UsageError, match="is no file of PyTorch weights"):
        weights.state_dict(path)
    path.write_bytes(b"")
    with pytest.raises(UsageError, match="is no file of PyTorch weights"):
        weights.state_dict(path)
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        weights.state_dict(tmp_path / "none.pth")


def test_one_flipped_byte_in_a_zip_is_noticed(tmp_path):
    path = tmp_path / "w.pth"
    torch.save({"w": torch.arange(1000.0)}, path)
    with zipfile.ZipFile(path) as archive:
        name = next(n for n in archive.namelist() if n.endswith("data/0"))
        start = archive.getinfo(name).header_offset
    raw = bytearray(path.read_bytes())
    raw[start + 2000] ^= 1
    path.write_bytes(raw)
    with pytest.raises(UsageError, match=r"is damaged|is no file of PyTorch weights"):
        weights.state_dict(path)


def test_something_else_than_tensors_is_refused(tmp_path):
    path = tmp_path / "w.pth"
    torch.save({"w": torch.zeros(2), "epoch": 3}, path)
    with pytest.raises(UsageError, match="holds something else than named tensors"):
        weights.state_dict(path)
