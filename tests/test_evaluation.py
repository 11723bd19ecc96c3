"""Evaluation of samples: known breakages must show, and what cannot be is refused."""

import numpy as np
import pytest
from PIL import Image, ImageFilter
from sklearn.datasets import load_digits

from jaxgan import data, metrics
from jaxgan.metrics import extractors, mnist, seen
from jaxgan.types import UsageError

NUM = 1000
OF_DIGITS = tuple(m for m in metrics.MEASURES if m.name in ("fd", "score", "diversity"))


@pytest.fixture(scope="module")
def digits():
    """Real digits to be judged, and their labels."""
    rows = data.load("mnist", split="test").fetch(np.arange(NUM))
    return rows["image"], rows["label"]


def dataset(images, labels=None, name="images"):
    names = () if labels is None else tuple("0123456789")
    shape = images.shape[1:]
    return data.make(name, images.__getitem__, len(images), shape, labels, names)


def evaluate(
    images,
    names=("fd", "prdc", "classes"),
    extractor=None,
    num=10000,
    split="train",
    **more,
):
    """The figures of images or of a dataset, against a split of the data."""
    samples = images if isinstance(images, data.Dataset) else dataset(images)
    extractor = extractor or extractors.of_digits()
    args = samples, data.load("mnist", split), None, extractor, names, num
    return metrics.evaluate(*args, **{"reference_num": 1000} | more)["metrics"]


def value(figures, name="fd_mnist"):
    return figures[name]["value"]


def blurred(images):
    smooth = ImageFilter.GaussianBlur(1.5)
    rows = [np.asarray(Image.fromarray(x[..., 0]).filter(smooth)) for x in images]
    return np.stack(rows)[..., None]


def test_the_classifier_is_right_on_993_of_1000():
    test = data.load("mnist", split="test")
    index = np.arange(10000)
    seen = metrics.see(test, index, extractors.of_digits(), OF_DIGITS)
    labels = test.fetch(index)["label"]
    assert (seen.logits.argmax(1) == labels).mean() >= 0.993
    assert mnist.WEIGHTS.stat().st_size <= 2**20
    assert seen.features.shape == (10000, 128) and seen.features.dtype == "float32"
    assert seen.pictures.shape == (1000, 28, 28, 1)


@pytest.mark.slow
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


# As evaluated before measures were values: value, error, floor, ceiling.
HALVES = {
    "fd_mnist": (0.610092, 0.0794140, 0.325170, 1465.21),
    "kd_mnist": (0.00334150, 0.00277795, -0.00463010, 3602.48),
    "score_mnist": (8.30211, 0.100051, 8.53791, 1),
    "precision": (0.942857, 0.0193358, 0.985714, 0),
    "coverage": (0.914286, 0.0260951, 0.971429, 0),
    "class_entropy": (2.27533, 0.00450215, 2.28663, 0),
    "least_class_share": (0.0657143, 0.00564038, 0.0771429, 0),
    "ms_ssim": (0.143002, 0.00869219, 0.142417, 0.0336850),
}
OTHERS = {
    "fd_mnist": (0.601266, 0.135672, 0.424400, 1465.21),
    "kd_mnist": (0.00367522, 0.00359276, -0.00125478, 3602.48),
    "recall": (0.951429, 0.0112183, 0.92, 0),
    "ms_ssim": (0.138335, 0.00807461, 0.141681, 0.0336850),
}


@pytest.mark.parametrize("expected", (HALVES, OTHERS), ids=("halves", "others"))
def test_figures_are_as_they_were(digits, expected):
    """Which images are taken, in which order and halves, and the errors by quarters."""
    train = data.load("mnist").fetch(np.arange(3700))["image"]
    columns = None
    if expected is OTHERS:
        columns = {"floor": dataset(train[3000:]), "ceiling": None}
    samples, real = dataset(digits[0][:400]), dataset(train[:3000])
    args = samples, real, columns, extractors.of_digits(), None, 350, 3
    figures = metrics.evaluate(*args, reference_num=350)["metrics"]
    for name, row in expected.items():
        got = figures[name]
        for column, figure in zip(("value", "error", "floor"), row, strict=False):
            assert got[column] == pytest.approx(figure, rel=3e-3, abs=1e-5), name
        assert got["ceiling"] == pytest.approx(row[3], rel=3e-3, abs=1e-5), name


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
    order = np.random.default_rng(0).permutation(10000)[:5000]
    real = pooled(data.load("mnist", "test").fetch(order)["image"]).astype(float)
    for images, features in zip((digits[0], blurred(digits[0])), expected, strict=True):
        distance = metrics.frechet_distance(
            metrics.moments(features), metrics.moments(real)
        )
        got = evaluate(images, ("fd",), extractor, NUM, "test", reference_num=None)
        assert value(got, "fd_pooled") == pytest.approx(distance)
    with pytest.raises(UsageError, match="metrics score: by pooled there are fd, kid"):
        evaluate(digits[0], ("score",), extractor)


def test_features_are_found_again_under_the_hash_of_the_images(digits, tmp_path):
    extractor, index = extractors.of_digits(), np.arange(300)
    runs = []

    def watch(images):
        runs.append(len(images))
        return extractor.run(images)

    def see(images, extractor):
        return metrics.see(images, index, extractor, OF_DIGITS, tmp_path)

    watched = extractor._replace(run=watch)
    images = dataset(digits[0])
    first = see(images, watched)
    calls = len(runs)
    again = see(images, watched)
    assert calls > 0 and len(runs) == calls
    for field in ("features", "logits", "pictures"):
        np.testing.assert_array_equal(getattr(again, field), getattr(first, field))
    changed = digits[0].copy()
    changed[299, 0, 0] += 1
    see(dataset(changed), watched)
    see(images, watched._replace(digest="other"))
    assert len(runs) == 3 * calls
    for file in tmp_path.iterdir():
        file.write_bytes(file.read_bytes()[:1000])
    repaired = see(images, watched)
    assert len(runs) == 4 * calls
    np.testing.assert_array_equal(repaired.features, first.features)


def test_features_that_cannot_be_kept_are_said_so(digits, tmp_path):
    (tmp_path / "file").write_text("")
    args = dataset(digits[0]), np.arange(100), extractors.of_digits(), OF_DIGITS
    with pytest.warns(UserWarning, match="Features are not kept in .*file/"):
        metrics.see(*args, tmp_path / "file/x")


def test_each_image_is_fetched_once_for_all_that_looks_at_it(digits, monkeypatch):
    """They are drawn as they are fetched. Features and pictures are those of before,
    block by block, whatever the size of the blocks."""
    images, fetched = np.tile(digits[0][:250], (1, 1, 1, 3)), []

    def fetch(index):
        fetched.extend(index)
        return {"image": images[index], "target": images[index]}

    group = data.Group(("image", "target"), 250, fetch)
    drawn = data.Dataset("drawn", (28, 28, 3), (group,))
    flat = extractors.of_function("flat", lambda x: x.reshape(len(x), -1))
    monkeypatch.setattr(seen, "PICTURES", 230)
    monkeypatch.setattr(seen, "PIXELS", 7 * 28 * 28)
    asked = ("fd", "diversity", "similarity", "colours")
    chosen = metrics.select(
        asked, metrics.Rows("drawn", 250, (28, 28, 3), {"target"}), flat
    )
    index, shown = np.random.default_rng(0).permutation(250)[:240], []

    def progress(iterable, total, label):
        shown.append((total, label))
        return iterable

    found = metrics.see(drawn, index, flat, chosen, None, progress, "a label")
    np.testing.assert_array_equal(fetched, index)
    np.testing.assert_array_equal(found.features, images[index].reshape(240, -1))
    np.testing.assert_array_equal(found.pictures, images[index[:230]])
    assert found.each[0] == found.each[1] == {} and set(found.each[3]) == {
        "colour_spread"
    }
    assert found.each[2]["l1"].shape == (240,) and found.count == 240
    assert shown == [(2, "a label")]
    fetched.clear()
    metrics.see(drawn, index, flat, [m for m in chosen if m.name == "diversity"])
    np.testing.assert_array_equal(fetched, index[:230])


def test_what_cannot_be_judged_is_refused_in_words(digits):
    with pytest.raises(UsageError, match="num 99 must be 100 or more"):
        evaluate(digits[0], num=99)
    with pytest.raises(UsageError, match=r"images has 99 images; .* below 100"):
        evaluate(digits[0][:99])
    with pytest.raises(UsageError, match=r"images of \(28, 28, 1\), the samples of"):
        evaluate(np.zeros((100, 8, 8, 3), np.uint8), ("fd",))
    few = dataset(digits[0][:99], name="few")
    with pytest.raises(UsageError, match=r"floor few has 99 images; .* below 100"):
        metrics.evaluate(
            dataset(digits[0]),
            data.load("mnist"),
            {"floor": few},
            extractors.of_digits(),
        )


def test_digits_alone_are_judged_as_digits():
    """Clothes of 28x28 are none, nor are digits of another size or kind."""
    choose = extractors.choose
    assert choose(None, "digits", (28, 28, 1)).name == "mnist"
    for content, shape in (
        ("", (28, 28, 1)),
        ("digits", (32, 32, 1)),
        ("digits", (28, 28, 3)),
        ("emoji_tones", (32, 32, 3)),
    ):
        assert choose(None, content, shape).distance == "fd_filters"


def test_stacked_digits_are_judged_colour_by_colour():
    digits = extractors.of_digits()
    stacked = extractors.choose(None, "stacked_digits", (28, 28, 3))
    assert stacked.distance == "fd_stacked_mnist"
    rows = data.load("stacked_mnist", split="test").fetch(np.arange(400))
    features, logits = map(np.array, stacked.run(rows["image"]))
    assert logits.shape == (400, 1000)
    assert (logits.argmax(1) == rows["label"]).mean() > 0.95
    green, _ = digits.run(rows["image"][..., 1:2])
    np.testing.assert_allclose(features[:, 128:256], green, rtol=1e-4, atol=1e-5)


def test_notes_say_what_figures_lack(digits):
    of = data.load("mnist"), None, extractors.of_digits(), ("fd",)
    result = metrics.evaluate(dataset(digits[0][:110]), *of, reference_num=300)
    for part in ("Value", "Floor"):
        assert any(
            n.startswith(part) and "needs more than 128 samples; from 110" in n
            for n in result["notes"]
        )
    assert any("halves of mnist" in n for n in result["notes"])
    assert "from 110" in metrics.table(result)
    few = dataset(data.load("mnist").fetch(np.arange(300))["image"], name="few")
    result = metrics.evaluate(dataset(digits[0]), few, *of[1:])
    assert any(
        "floor is of 150 images, the value of 1000" in n for n in result["notes"]
    )


def test_small_images_have_no_diversity_and_digits_no_other_size(digits):
    tiny = dataset(digits[0][:, ::4, ::4])
    extractor = extractors.of_function("pixels", lambda x: x.reshape(len(x), -1))
    found = metrics.evaluate(tiny, tiny, None, extractor)["metrics"]
    assert "fd_pixels" in found and "ms_ssim" not in found
    with pytest.raises(UsageError, match="diversity needs images of 11 pixels"):
        metrics.evaluate(tiny, tiny, None, extractor, ("diversity",))
    with pytest.raises(UsageError, match=r"of \(7, 7, 1\) cannot be compared by mnist"):
        metrics.evaluate(tiny, tiny, None, extractors.of_digits())


# --- measures as values


def test_a_measure_suits_what_the_extractor_and_the_images_have():
    gray, colours = (28, 28, 1), (32, 32, 3)
    digits, filters = extractors.of_digits(), extractors.of_filters()
    inception = digits._replace(name="inception", gives=("features", "logits"))
    every = metrics.Rows("some", 500, gray)
    of_features = ("fd", "kid", "prdc", "diversity")
    assert metrics.available(every, filters) == of_features
    known = ("fd", "kid", "score", "prdc", "diversity")
    assert metrics.available(every, inception) == known
    known = ("fd", "kid", "score", "prdc", "classes", "diversity")
    assert metrics.available(every, digits) == known
    fields = frozenset({"image", "target", "label"})
    painted = metrics.Rows("some", 500, colours, fields, "painted_digits")
    more = ("fd", "kid", "prdc", "classes", "diversity", "similarity", "colours")
    assert metrics.available(painted, filters) == more
    for other in (
        painted._replace(content=""),
        painted._replace(shape=(64, 64, 3)),
        painted._replace(fields={"image", "target"}),
    ):
        assert "classes" not in metrics.available(other, filters)
    maps = painted._replace(fields={"map"}), painted._replace(content="chalk_digits")
    for rows in maps:
        assert "classes" in metrics.available(rows, filters)
        assert len(metrics.select(("classes",), rows, filters)) == 1
    small = painted._replace(shape=(8, 8, 3))
    assert metrics.available(small, filters) == ("fd", "kid", "prdc", "colours")


def darkness(images):
    return {"darkness": 1 - images["image"].mean((1, 2, 3)) / 255}


def spread(seen, real, extractor, seed):
    away = seen.features.mean(0) - real.features.mean(0)
    return {f"away_{extractor.name}": float(np.abs(away).max())}


DARKNESS = metrics.Measure(
    "dark",
    "how dark images are",
    lower_is_better=True,
    of_each=lambda rows, extractor: darkness(rows),
    refuses=lambda images: None if images.shape[2] == 1 else "needs gray images.",
)
AWAY = metrics.Measure(
    "away", "how far off", ("features", "reference"), True, of_set=spread
)
MINE = (*metrics.MEASURES, DARKNESS, AWAY)


def test_a_measure_of_ones_own_reaches_checks_help_judge_and_report(digits):
    images, extractor = digits[0][:200], extractors.of_digits()
    samples, reference = dataset(images), dataset(digits[0][200:])
    text = metrics.help_text(MINE)
    assert "dark (how dark images are), away (how far off)" in text
    assert "dark" not in metrics.help_text()
    assert metrics.available(samples, extractor, MINE)[-2:] == ("dark", "away")
    with pytest.raises(UsageError, match="metrics dark: by mnist there are fd, kid"):
        metrics.select(("dark",), samples, extractor)
    with pytest.raises(UsageError, match=r"metrics dark needs gray images\.$"):
        rows = metrics.Rows("rows", 500, (28, 28, 3))
        metrics.check(("dark",), rows, rows, extractor, 200, measures=MINE)
    args = samples, reference, None, extractor
    assert "darkness" not in metrics.evaluate(*args, num=200)["metrics"]
    figures = metrics.evaluate(*args, num=200, measures=MINE)["metrics"]
    got = figures["darkness"]
    each = 1 - images.mean((1, 2, 3)) / 255
    assert got["value"] == pytest.approx(each.mean(), rel=1e-12)
    assert got["error"] == pytest.approx(each.std(ddof=1) / 200**0.5, rel=1e-12)
    assert got["floor"] == pytest.approx(each.mean(), abs=0.02)
    assert got["ceiling"] == pytest.approx(0.5, abs=0.01)
    assert 0 < figures["away_mnist"]["value"] < figures["away_mnist"]["ceiling"]
    following = metrics.judge(
        samples, reference, extractor, ("dark", "away"), 200, measures=MINE
    )
    assert following.lower_is_better and following.figure.startswith("dark of 200 by m")
    found = following.of(samples)
    assert list(found) == ["darkness", "away_mnist"]
    assert found["darkness"] == pytest.approx(each.mean(), rel=1e-12)


def test_a_column_without_what_a_measure_needs_has_no_figure_of_it(digits):
    flat = extractors.of_function("flat", lambda x: x.reshape(len(x), -1))
    images = dataset(digits[0])

    def fetch(index):
        rows = images.fetch(index)
        return rows | {"target": rows["image"][:, ::-1]}

    group = data.Group(("image", "target"), images.size, fetch)
    samples = images._replace(groups=(group,))
    figures = metrics.evaluate(samples, images, None, flat, ("similarity",), 200)
    assert figures["metrics"]["l1"]["value"] > 0
    assert figures["metrics"]["l1"]["floor"] is None
    assert "reference" not in figures["counts"]  # with which nothing is compared


def test_a_judge_sees_the_reference_once_and_says_which_figure_is_best(digits):
    runs, extractor = [], extractors.of_digits()

    def watch(images):
        runs.append(images)
        return extractor.run(images)

    samples, reference = dataset(digits[0][:200]), dataset(digits[0][200:])
    watched = extractor._replace(run=watch)
    following = metrics.judge(samples, reference, watched, ("fd", "score"), 200, 7)
    assert following.figure == f"fd of 200 by mnist {extractor.digest} against 800"
    assert not runs  # nothing yet
    first, again = following.of(samples), following.of(samples)
    assert len(runs) == 6 and first == again
    assert list(first) == ["fd_mnist", "score_mnist"]
    features = [extractor.run(x)[0] for x in (digits[0][:200], digits[0][200:])]
    expected = metrics.frechet_distance(*map(metrics.moments, features))
    assert first["fd_mnist"] == pytest.approx(expected, rel=1e-5)
    for names, lower in ((("score",), False), (("diversity",), True)):
        asked = metrics.judge(samples, reference, extractor, names, 200)
        assert asked.lower_is_better is lower
    with pytest.raises(UsageError, match="metrics names none: by mnist there are fd,"):
        metrics.judge(samples, reference, extractor, (), 200)
