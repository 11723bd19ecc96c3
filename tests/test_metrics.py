"""Metrics against torch-fidelity, prdc and closed forms."""
# ruff: noqa: E402

import sys
import warnings
from unittest.mock import MagicMock

import numpy as np
import pytest
import skimage
import torch
from scipy.ndimage import gaussian_filter

# torch-fidelity imports torchvision, for data sets and networks that are not used here,
# and its wheels do not fit every build of torch.
for _module in ("", ".datasets", ".transforms", ".transforms.functional"):
    sys.modules.setdefault("torchvision" + _module, MagicMock())

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import prdc as naver_prdc
    from torch_fidelity import metric_fid, metric_isc, metric_kid, metric_prc

from jaxgan import metrics
from jaxgan.metrics import neighbours
from jaxgan.metrics.float64 import enable_x64


@pytest.fixture(scope="module")
def features():
    """Two sets of 5,000 in 2,048 dimensions, which differ in mean and covariance."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 5000, 2048)).astype(np.float32)
    mix = np.eye(2048) + rng.normal(size=(2048, 2048)) * 0.1 / np.sqrt(2048)
    return a, (b @ mix + 0.02).astype(np.float32)


def test_the_frechet_distance_is_torch_fidelity_s(features):
    features = [x[:, :600] for x in features]  # theirs takes the cube of it
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


def test_precision_and_recall_are_torch_fidelity_s_and_prdc_s(features, monkeypatch):
    real, fake = (x[:2000, :500].astype(np.float64) for x in features)
    real[7] = real[8]  # a distance of 0 counts too
    theirs = metric_prc.prc_features_to_metric(
        torch.tensor(fake),
        torch.tensor(real),
        prc_neighborhood=3,
        prc_batch_size=10000,
        save_cpu_ram=False,
        verbose=False,
    )
    got = metrics.prdc(real, fake, k=3)
    assert got.precision == pytest.approx(theirs["precision"], rel=1e-6)
    assert got.recall == pytest.approx(theirs["recall"], rel=1e-6)
    assert got._asdict() == pytest.approx(naver_prdc.compute_prdc(real, fake, 3))
    for share in got._asdict().values():
        assert 0.05 < share < 0.95  # or the comparison would say little
    monkeypatch.setattr(neighbours, "BLOCK_BYTES", 8 * 2000 * 300)
    assert metrics.prdc(real, fake, k=3) == got


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
    # Two codes for class 0, of which one has to take class 2.
    codes, labels = [0, 0, 0, 1, 1, 2, 2], [0, 0, 2, 0, 2, 1, 1]
    assert metrics.matched_accuracy(codes, labels) == pytest.approx(5 / 7)
    assert metrics.matched_accuracy([3, 3, 0], [0, 0, 1]) == 1


BAD = {
    "1 features have no covariance": lambda x: metrics.moments(x[:1]),
    r"must be \[N, D\]; got shape \(7,\)": lambda x: metrics.moments(x[:, 0]),
    "7 values are not finite": lambda x: metrics.moments(x * [1, np.inf, 1]),
    "of 3 dimensions cannot be compared with features of 2": lambda x: (
        metrics.frechet_distance(metrics.moments(x), metrics.moments(x[:, :2]))
    ),
    "kid: features of 3 dimensions cannot be compared with features of 2": lambda x: (
        metrics.kid(x, x[:, :2], subset_size=3)
    ),
    "prdc: features of 3 dimensions cannot be compared with features of 2": lambda x: (
        metrics.prdc(x, x[:, :2])
    ),
    "kid: subsets 0 must be 1": lambda x: metrics.kid(x, x, 0, 3),
    "subset_size 8 must be 2 to 7": lambda x: metrics.kid(x, x, subset_size=8),
    "splits 8 must be 1 to 7": lambda x: metrics.inception_score(x, 8),
    "k 7 must be 1 to 6": lambda x: metrics.prdc(x, x, 7),
    r"got \(2,\) and \(3,\)": lambda x: metrics.matched_accuracy([0, 1], [0, 1, 2]),
    "labels must be": lambda x: metrics.class_shares([4], 4),
}


@pytest.mark.parametrize(("says", "call"), BAD.items(), ids=BAD)
def test_what_makes_no_sense_is_refused_in_words(says, call):
    x = np.random.default_rng(0).normal(size=(7, 3))
    with pytest.raises(ValueError, match=says):
        call(x)


# --- images


@pytest.fixture(
    scope="module", params=((28, 28, 1), (176, 195, 3), (11, 40, 3)), ids=str
)
def pictures(request):
    """Smooth images and the same with noise, uint8."""
    rng = np.random.default_rng(0)
    smooth = gaussian_filter(rng.normal(size=(3, *request.param)), (0, 2, 2, 0))
    a = 128 + 300 * smooth
    b = a + rng.normal(size=a.shape) * np.array([5, 20, 60]).reshape(3, 1, 1, 1)
    return tuple(np.clip(x, 0, 255).astype(np.uint8) for x in (a, b))


def skimage_ssim(x, y, **kwargs):
    """Wang et al.'s settings; of one channel."""
    kwargs |= {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    return skimage.metrics.structural_similarity(x, y, data_range=255, **kwargs)


def test_psnr_is_skimage_s(pictures):
    expected = [
        skimage.metrics.peak_signal_noise_ratio(*pair)
        for pair in zip(*pictures, strict=True)
    ]
    np.testing.assert_allclose(metrics.psnr(*pictures), expected, rtol=1e-6)
    scaled = [x / np.float32(127.5) - 1 for x in pictures]
    np.testing.assert_allclose(metrics.psnr(*scaled, data_range=2), expected, rtol=1e-5)
    assert metrics.psnr(pictures[0], pictures[0]).tolist() == [np.inf] * 3
    deep = [x.astype(np.uint16) * 257 for x in pictures]
    np.testing.assert_allclose(metrics.psnr(*deep), expected, rtol=1e-5)


@pytest.mark.parametrize("measure", (metrics.psnr, metrics.ssim, metrics.ms_ssim))
def test_only_8_and_16_bits_tell_the_range_of_pixels(measure):
    images = np.zeros((2, 16, 16, 1), np.float32)
    others = images.astype(np.uint8), images.astype(np.int32)
    for a, b in ((images, images), (others[0], images), (others[1], others[1])):
        with pytest.raises(ValueError, match=f"{measure.__name__}: .* a data_range"):
            measure(a, b)
        assert measure(a, b, 2).shape == (2,)
    with pytest.raises(ValueError, match=r"data_range 0 must be above 0\."):
        measure(images, images, 0)


PIQ_MS_SSIM = 0.8577939246983991, 0.8607004834985172


def test_ms_ssim_is_as_published_of_images_of_176_pixels():
    """`piq.multi_scale_ssim(a, b, data_range=1, reduction="none")`, piq 0.8.0, of these
    images as float64, which has the exponents of the paper, of sum 1.0001."""
    rng = np.random.default_rng(5)
    smooth = gaussian_filter(rng.normal(size=(2, 192, 208, 3)), (0, 2, 2, 0))
    a = np.clip(0.5 + 1.2 * smooth, 0, 1)
    b = np.clip(a + rng.normal(size=a.shape) * 0.2, 0, 1)
    with enable_x64(True):
        got = metrics.ms_ssim(a, b, 1)
    np.testing.assert_allclose(got, PIQ_MS_SSIM, rtol=1e-7)


def test_ssim_is_skimage_s(pictures):
    expected = [
        skimage_ssim(*pair, channel_axis=2) for pair in zip(*pictures, strict=True)
    ]
    assert 0.1 < min(expected) < 0.9 < max(expected)
    np.testing.assert_allclose(metrics.ssim(*pictures), expected, rtol=1e-5)
    with enable_x64(True):
        wide = metrics.ssim(*(x.astype(float) for x in pictures), 255)
    np.testing.assert_allclose(wide, expected, rtol=1e-12)


def halved(x):
    h, w = x.shape
    x = np.pad(x, ((0, h % 2), (0, w % 2)), mode="symmetric")
    return skimage.measure.block_reduce(x, (2, 2), np.mean)


def test_ms_ssim_is_made_of_skimage_s_ssim(pictures):
    """With K1 so large that luminance says nothing, its SSIM is the contrast term."""
    exponents = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
    room = sum(min(pictures[0].shape[1:3]) / 2**i >= 11 for i in range(5))
    exponents = np.array(exponents[:room])
    exponents = exponents if room == 5 else exponents / exponents.sum()
    expected = []
    for pair in zip(*(x.astype(float) for x in pictures), strict=True):
        by_channel = []
        for c in range(pair[0].shape[-1]):
            x, y = (image[..., c] for image in pair)
            factors = []
            for _ in exponents[1:]:
                factors.append(skimage_ssim(x, y, K1=1e9))
                x, y = halved(x), halved(y)
            factors.append(skimage_ssim(x, y))
            by_channel.append(np.prod(np.array(factors) ** exponents))
        expected.append(np.mean(by_channel))
    assert room == {28: 2, 176: 5, 11: 1}[len(pictures[0][0])]
    np.testing.assert_allclose(metrics.ms_ssim(*pictures), expected, rtol=1e-5)


def test_diversity_is_the_mean_over_pairs_of_different_images():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 256, (2, 28, 28, 1), np.uint8)
    both = np.stack([a, b])
    expected = float(metrics.ms_ssim(a[None], b[None])[0])
    assert metrics.diversity(both, 150) == pytest.approx(expected, rel=1e-6)
    assert metrics.diversity(np.stack([a] * 5)) == pytest.approx(1)
    half = metrics.diversity(np.stack([a] * 50 + [b] * 50), 4000)
    assert half == pytest.approx(50 / 99 * expected + 49 / 99, abs=0.03)


BAD_IMAGES = {
    r"psnr: images must be \[B, H, W, C\].* got \(2, 9, 9, 1\) and \(1, 9,": (
        lambda x: metrics.psnr(x, x[:1])
    ),
    r"ssim: .* got \(9, 9, 1\)": lambda x: metrics.ssim(x[0], x[0]),
    "ssim: images of 9x9 have no room for a window of 11x11": lambda x: metrics.ssim(
        x, x
    ),
    "diversity: pairs 0 must be 1": lambda x: metrics.diversity(x, 0),
    "diversity: 1 images make no pair": lambda x: metrics.diversity(x[:1]),
}


@pytest.mark.parametrize(("says", "call"), BAD_IMAGES.items(), ids=BAD_IMAGES)
def test_images_that_cannot_be_compared_are_refused_in_words(says, call):
    with pytest.raises(ValueError, match=says):
        call(np.zeros((2, 9, 9, 1), np.uint8))
