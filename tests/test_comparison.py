"""Figures of translations: by hand, on translators whose errors are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
from jax import random
from skimage.metrics import structural_similarity

from jaxgan import data, tasks
from jaxgan.data import painted as paint
from jaxgan.metrics import evaluation, extractors, filters, painted
from jaxgan.recipes import Translator
from jaxgan.run import comparison
from jaxgan.types import TrainState, UsageError

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


def state():
    empty = {name: {} for name in ("params", "stats", "opt", "ema", "memory")}
    return TrainState(jnp.int32(0), **empty)


def by(task, function):
    return Translator(task, None, None, lambda s, x, key: function(x))


def compared(model, dataset=FEW, names=None, num=300, reference=TEST, **more):
    names = names or comparison.available(model, dataset)
    args = model, dataset, reference, extractors.of_filters(), names, num
    return comparison.compare(comparison.Comparison(*args, **more), state())


def test_similarity_is_scikit_image_s():
    a, b = (rng.integers(0, 256, (4, 16, 20, 3), np.uint8) for _ in range(2))
    got = comparison.similarity(a, b)
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
    assert set(comparison.similarity(a[..., :1], b[..., :1])) == {"l1", "psnr", "ssim"}


def test_colour_spread_is_that_of_the_paint():
    gray = np.full((2, 8, 8, 3), 90, np.uint8)
    np.testing.assert_allclose(comparison.colour_spread(gray), 0, atol=1e-9)
    chroma = np.array([0.5, 0.2 * np.cos(1), 0.2 * np.sin(1)])
    colour = np.rint(255 * (np.linalg.inv(paint.TO_YIQ) @ chroma)).astype(np.uint8)
    even = np.broadcast_to(colour, (2, 8, 8, 3))
    np.testing.assert_allclose(comparison.colour_spread(even), 0.2, atol=0.003)


def test_painted_digits_are_read_as_they_were_painted():
    images, labels = SOME["image"], SOME["label"]
    maps = data.load("mapped_mnist", split="test").fetch(np.arange(600))["map"]
    found = comparison.classes(
        images, {"label": labels, "map": maps}, extractors.of_digits()
    )
    means = {name: values.mean() for name, values in found.items()}
    assert means["digit_accuracy"] > 0.98 and means["colour_accuracy"] > 0.998
    assert means["map_accuracy"] > 0.98 and means["ink_iou"] > 0.85


def test_what_is_wrong_with_painted_digits_is_seen():
    images, labels = SOME["image"], SOME["label"]
    maps = data.load("mapped_mnist", split="test").fetch(np.arange(600))["map"]
    of = {"label": labels, "map": maps}, extractors.of_digits()

    def means(images):
        found = comparison.classes(images, *of)
        return {name: values.mean() for name, values in found.items()}

    swapped = means(images[..., ::-1])  # red for blue
    assert swapped["colour_accuracy"] < 0.3 and swapped["ink_iou"] < 0.3
    gray = means(images.mean(-1, keepdims=True).repeat(3, -1).astype(np.uint8))
    assert gray["colour_accuracy"] < 0.3
    empty = means(np.zeros_like(images))
    assert empty["colour_accuracy"] == 0 and empty["ink_iou"] == 0
    assert empty["map_accuracy"] == pytest.approx((maps == 0).mean())
    upside_down = means(images[:, ::-1])
    assert upside_down["digit_accuracy"] < 0.7


def test_digits_in_chalk_are_read():
    unpaired = data.load("unpaired_mnist", split="test").unpaired
    rows = unpaired.fetch(np.arange(400))
    found = comparison.classes(
        rows["image"], {"label": rows["label"]}, extractors.of_digits(), chalk=True
    )
    assert set(found) == {"digit_accuracy"} and found["digit_accuracy"].mean() > 0.98


def test_a_perfect_translator_is_as_good_as_real_images():
    task = tasks.colourization()._replace(given=lambda batch, key: batch["image"])
    task = task._replace(finish=lambda given, drawn: drawn, plain=tasks.luma)
    result = compared(by(task, lambda x: x))
    figures = result["metrics"]
    for name, row in figures.items():
        assert set(row) == {"value", "error", "plain", "real"}
        assert row["value"] == pytest.approx(row["real"], abs=1e-9), name
    assert figures["psnr"]["value"] == pytest.approx(58.92, abs=0.01)
    assert figures["psnr"]["plain"] < 30
    assert figures["colour_spread"]["plain"] < 1e-9 < figures["colour_spread"]["value"]
    far = figures["fd_filters"]
    assert far["plain"] > 20 * far["value"] > 0  # against other real images
    text = evaluation.table(result)
    assert "colour_accuracy" in text and "plain" in text


def test_of_one_data_set_halves_are_compared():
    """Or the distance of real images would be 0."""
    model = by(tasks.colourization(), lambda x: x.repeat(3, -1))
    result = compared(model, reference=FEW, names=("fd",))
    assert 0.05 < result["metrics"]["fd_filters"]["real"] < 1
    assert result["notes"] == ["Distances are between halves of these images."]
    few = compared(model, names=("fd",), num=152)["notes"]
    assert "needs more than 192 samples; from 152 it is too large" in few[0]


def test_means_and_errors_are_of_the_images():
    task = tasks.inpainting(tasks.square(0.25))
    model = by(task, lambda x: x[..., :-1])  # leaves the hole gray, at 0
    result = compared(model, names=("similarity",), num=100, seed=3)
    index = np.random.default_rng(3).permutation(600)[:100]
    key = random.split(random.fold_in(random.key(3), 0))[0]
    index = np.concatenate([index, np.repeat(index[-1:], -len(index) % 8)])
    rows = data.scaled(FEW.fetch(index))
    given = task.given(jax.tree.map(jnp.asarray, rows), key)
    shown = np.rint((np.clip(given[:100, ..., :-1], -1, 1) + 1) * 127.5)
    away = np.abs(shown - FEW.fetch(index[:100])["image"]).mean((1, 2, 3)) / 255
    got = result["metrics"]["l1"]
    assert got["value"] == pytest.approx(away.mean(), rel=1e-3)
    assert got["error"] == pytest.approx(away.std(ddof=1) / 10, rel=1e-2)
    assert got["plain"] < got["value"] and got["real"] == 0
    assert result["counts"] == {"images": 100}


def test_a_translation_in_its_target_s_own_style_has_a_figure():
    model = by(tasks.colourization(), lambda x: x.repeat(3, -1))
    assert "style_l1" not in compared(model, names=("similarity",))["metrics"]
    model = model._replace(styled=lambda s, given, style: jnp.clip(style, -1, 0))
    found = compared(model, names=("similarity",), num=100)["metrics"]["style_l1"]
    index = np.random.default_rng(0).permutation(600)[:100]
    away = np.maximum(FEW.fetch(index)["image"] / 127.5 - 1, 0).mean() / 2
    assert found["value"] == pytest.approx(away, rel=0.02) and found["plain"] is None


def test_unpaired_translations_are_compared_with_the_other_domain():
    unpaired = data.load("unpaired_mnist", split="test")
    there = by(tasks.paired(), lambda x: x)
    names = comparison.available(there, unpaired)
    assert names == ("fd", "kid", "colours", "classes")
    figures = compared(there, unpaired, reference=unpaired)["metrics"]
    same = figures["fd_filters"]
    assert same["value"] == pytest.approx(same["plain"]) and same["real"] < 0.5
    assert same["value"] > 20 * same["real"]
    assert figures["digit_accuracy"]["real"] > 0.97
    back = by(tasks.paired(reverse=True), lambda x: x)
    figures = compared(back, unpaired, reference=unpaired)["metrics"]
    assert "colour_accuracy" not in figures
    assert figures["colour_spread"]["real"] < 1e-6 < figures["colour_spread"]["value"]
    assert figures["digit_accuracy"]["real"] > 0.97


def test_what_cannot_be_measured_is_refused():
    model = by(tasks.colourization(), lambda x: x)
    with pytest.raises(UsageError, match=r"--metrics score: .* there are fd, kid, sim"):
        comparison.check(model, FEW, TEST, ("score",), 200)
    with pytest.raises(UsageError, match="--evaluate-num 20 must be 100 or more"):
        comparison.check(model, FEW, TEST, ("fd",), 20, option="--evaluate-")
    with pytest.raises(UsageError, match="names none"):
        comparison.check(model, FEW, TEST, (), 200)
    tiny = FEW._replace(size=20)
    with pytest.raises(UsageError, match="20 images; figures say nothing below 100"):
        comparison.check(model, tiny, TEST, ("fd",), 200)
    with pytest.raises(UsageError, match=r"150 images; .* below 200, half of them"):
        both = FEW._replace(size=150)
        comparison.check(model, both, both, ("fd",), 200)
    with pytest.raises(UsageError, match="20 images"):
        comparison.check(model, FEW, tiny, ("fd",), 200)
    with pytest.raises(UsageError, match="--evaluate-metrics colours: the first"):
        args = ("colours", "fd"), 200
        comparison.check(model, FEW, TEST, *args, option="--evaluate-")
    small = FEW._replace(shape=(8, 8, 3), name="small")
    with pytest.raises(UsageError, match="11 pixels or more each way, not 8x8"):
        comparison.check(model, small, TEST, ("similarity",), 200)
    assert "classes" not in comparison.available(model, small)


def test_a_judge_s_first_figure_is_that_of_the_first_name():
    model = by(tasks.colourization(), lambda x: x.repeat(3, -1))
    args = model, FEW, FEW, extractors.of_filters()
    for names, first, lower in (
        (("similarity", "fd"), "l1", True),
        (("fd", "similarity"), "fd_filters", True),
        (("classes", "fd", "similarity"), "digit_accuracy", False),
    ):
        judge = comparison.judge(comparison.Comparison(*args, names, 200))
        assert next(iter(judge.of(state()))) == first
        assert judge.lower_is_better is lower and judge.figure.startswith(names[0])


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
    seen = lambda x: evaluation.Seen(np.array(filters.features(x)), None, x)  # noqa: E731

    def distance(images):
        found = evaluation.measure(
            extractors.of_filters(), seen(others), seen(images), ("fd",)
        )
        return found["fd_filters"]

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
