"""Sources as values, a user's own among them, and datasets of arrays."""

import numpy as np
import pytest
from PIL import Image

from jaxgan import data
from jaxgan.data import arrays
from jaxgan.types import UsageError

rng = np.random.default_rng(0)


def images(n=6, h=8, w=9, c=3, dtype=np.uint8):
    return rng.integers(0, np.iinfo(dtype).max + 1, (n, h, w, c), dtype)


def noise(name="noise", splits=("train",), fits=True):
    """A source of `name:N` images, whose first pixel is their split's number."""

    def load(request):
        x = images(int(request.argument))
        x[:, 0, 0] = splits.index(request.split)
        dataset = data.from_arrays(x, np.arange(len(x)) % 2, name=request.spec)
        return data.fitted(dataset, request.fit) if fits else dataset

    return data.Source(name, f"{name}:N", "N images", lambda request: splits, load)


def refused(spec, *needles, **options):
    with pytest.raises(UsageError) as caught:
        data.load(spec, **options)
    assert caught.value.option == "data" and caught.value.value == spec
    message = str(caught.value)
    assert "\n" not in message and "--" not in message
    for needle in needles:
        assert needle in message, message


def test_each_source_says_what_it_is():
    assert len({source.form for source in data.SOURCES}) == len(data.SOURCES) == 17
    for source in data.SOURCES:
        assert source.form.partition(":")[0] == source.name
        assert source.help and "\n" not in source.help


def test_a_source_of_one_s_own_is_one_value():
    sources = *data.SOURCES, noise(splits=("train", "held_out"))
    ours = data.load("noise:7", sources=sources)
    assert (ours.name, ours.size, ours.shape) == ("noise:7", 7, (8, 9, 3))
    assert ours.splits == ("train", "held_out") and ours.class_names == ("0", "1")
    held_out = data.load("noise:7", "held_out", sources=sources)
    assert (held_out.fetch(np.arange(7))["image"][:, 0, 0] == 1).all()
    assert data.load("noise:7", resize=(4, 5), sources=sources).shape == (4, 5, 3)
    refused("noise:7", "no such dataset", "mnist, ", "tfds:NAME")
    refused("nothing", "no such dataset", "folder:DIR", " or noise:N", sources=sources)
    refused("noise", "no such dataset", sources=sources)
    reason = "no split 'test', just train and held_out"
    refused("noise:7", reason, split="test", sources=sources)


def test_the_first_source_of_a_name_is_asked():
    sources = noise("folder", fits=True), *data.SOURCES
    assert data.load("folder:3", sources=sources).size == 3
    with pytest.raises(UsageError) as caught:
        data.load("x", sources=(*sources, noise("folder")))
    assert str(caught.value).count("folder:N") == 1


@pytest.mark.parametrize(
    "fit", [{"resize": 4}, {"resize": (4, 4)}, {"crop": 4}, {"resize": 16, "crop": 4}]
)
def test_a_source_that_ignores_the_size_asked_for_is_refused(fit):
    refused("noise:3", "`resize`", "`crop`", sources=(noise(fits=False),), **fit)
    assert data.load("noise:3", sources=(noise(),), **fit).shape[0] == 4


def test_sizes_that_images_have_already_are_met():
    sources = (noise(fits=False),)
    for fit in ({"resize": 8}, {"resize": (8, 9)}, {"crop": (8, 9)}):
        assert data.load("noise:3", sources=sources, **fit).shape == (8, 9, 3)


def test_two_domains_are_of_any_sources(tmp_path):
    for i in range(3):
        Image.fromarray(images(1)[0]).save(tmp_path / f"{i}.png")
    a = noise(splits=("train", "val", "test"))
    sources = *data.SOURCES, a, noise("other", splits=("test", "train"))
    ours = data.load(f"unpaired:{tmp_path},noise:5", sources=sources)
    assert [group.size for group in ours.groups] == [5, 3]
    assert ours.splits == ("train",) and ours.class_names == ("0", "1")
    assert ours.groups[0].fields == ("image", "label")
    assert ours.groups[1].fields == ("input",)
    both = data.load("unpaired:noise:5,other:4", "test", sources=sources)
    assert both.splits == ("train", "test")
    assert both.fields == {"image", "label", "input", "input_label"}
    assert (both.groups[0].fetch(np.arange(4))["image"][:, 0, 0] == 0).all()
    assert (both.groups[1].fetch(np.arange(5))["input"][:, 0, 0] == 2).all()
    refused("unpaired:noise:5,other:4", "no split 'val'", split="val", sources=sources)
    with pytest.raises(UsageError, match="no such dataset"):
        data.load("unpaired:noise:5,absent:4", sources=sources)


def test_what_is_known_of_images_is_said_and_forgotten_when_they_change():
    def content(spec, **fit):
        dataset = data.load(spec, split="test", **fit)
        return [dataset.content, *(group.content for group in dataset.groups[1:])]

    assert content("mnist") == content("mnist", resize=28) == ["digits"]
    assert content("mnist", resize=16) == content("mnist", crop=20) == [""]
    assert content("mnist", resize=56, crop=28) == [""]
    assert content("stacked_mnist") == ["stacked_digits"]
    assert content("stacked_mnist", resize=14) == [""]
    unpaired = data.load("unpaired_mnist", split="test")
    assert unpaired.content == "painted_digits"
    chalk = data.select(unpaired, {"input": "image", "input_label": "label"})
    assert chalk.content == "chalk_digits" and chalk.fields == {"image", "label"}
    assert data.centred(unpaired, (20, 20)).content == ""
    assert data.centred(unpaired, (32, 32)).content == "painted_digits"
    assert data.select(unpaired, {"image": "image"}).content == "painted_digits"


def test_every_dataset_of_mnist_has_a_test_split():
    for spec in ("mnist", "stacked_mnist"):
        assert data.load(spec).splits == ("train", "test")


def test_maps_are_resized_to_the_nearest_pixel():
    maps = 200 * rng.integers(0, 2, (2, 8, 8), np.uint8)
    x = images(2, 8, 8)
    ours = data.fitted(data.from_arrays(x, map=maps), data.Fit(4))
    rows = ours.fetch(np.arange(2))
    assert {*rows["map"].ravel()} == {0, 200} and ours.map_classes == 201
    expected = [np.asarray(Image.fromarray(i).resize((4, 4), 1)) for i in x]
    np.testing.assert_array_equal(rows["image"], expected)


# --- arrays


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("c, name", [(1, "gray"), (3, "RGB"), (4, "RGBA")])
def test_arrays_of_each_kind(c, name, dtype):
    x, y = images(c=c, dtype=dtype), images(c=c, dtype=dtype)
    x[0, 0, 0], x[0, 0, 1] = 0, np.iinfo(dtype).max
    ours = data.from_arrays(x, [0, 3, 1, 1, 2, 3], input=y)
    assert (ours.channels, ours.levels) == (name, np.iinfo(dtype).max)
    assert ours.class_names == ("0", "1", "2", "3") and ours.content == ""
    assert ours.fields == {"image", "label", "input"} and len(ours.groups) == 1
    rows = ours.fetch(np.array([5, 1]))
    np.testing.assert_array_equal(rows["image"], x[[5, 1]])
    np.testing.assert_array_equal(rows["input"], y[[5, 1]])
    assert rows["label"].tolist() == [3, 3] and rows["label"].dtype == np.int32
    batch = data.scaled(ours.fetch(np.arange(6)))
    np.testing.assert_allclose(
        batch["image"], x / float(np.iinfo(dtype).max) * 2 - 1, atol=1e-6
    )
    assert (batch["image"][0, 0, 0] == -1).all() and (
        batch["image"][0, 0, 1] == 1
    ).all()


def test_maps_and_names_of_arrays():
    maps = rng.integers(0, 5, (6, 8, 9), np.uint8)
    maps[2, 2, 2] = 6
    ours = data.from_arrays(images()[..., 0], [0, 1] * 3, map=maps, class_names="ab")
    assert ours.shape == (8, 9, 1) and ours.map_classes == 7
    assert ours.class_names == ("a", "b") and ours.name.startswith("maps:")
    np.testing.assert_array_equal(ours.fetch(np.array([2]))["map"], maps[2:3])


@pytest.mark.parametrize(
    "arguments, needles",
    [
        ({"images": np.ones((2, 4, 4, 3))}, ("images", "float64", "round(x * 255)")),
        ({"images": images(c=2)}, ("images", "[6, 8, 9, 2]", "C 1, 3 or 4")),
        ({"images": images()[:0]}, ("images", "not empty")),
        ({"labels": [0, 1]}, ("labels", "[2]", "[6]")),
        ({"labels": np.ones(6)}, ("labels", "float64", "integers")),
        ({"labels": [0, 1, 2, 3, 4, -1]}, ("labels", "-1..4")),
        ({"input": images(5)}, ("input", "[5, 8, 9, 3]", "as `images`, uint8 [6, 8")),
        ({"input": images(dtype=np.uint16)}, ("input", "uint16", "`images`, uint8")),
        ({"map": images()}, ("map", "[6, 8, 9, 3]", "[6, 8, 9]")),
        ({"map": images()[..., 0].astype(int)}, ("map", "int64", "uint8")),
        ({"labels": [0, 1, 2, 0, 1, 2], "class_names": "ab"}, ("class_names", "the 3")),
        ({"class_names": "ab"}, ("class_names", "the 0")),
    ],
)  # fmt: skip
def test_other_arrays_are_refused(arguments, needles):
    with pytest.raises(UsageError) as caught:
        data.from_arrays(**{"images": images()} | arguments)
    assert caught.value.option == needles[0]
    for needle in needles:
        assert needle in str(caught.value)


def test_npz_of_sixteen_bits_and_of_four_channels(tmp_path):
    deep, soft = images(c=1, dtype=np.uint16), images(c=4)
    np.savez(tmp_path / "deep.npz", images=deep)
    np.savez(tmp_path / "soft.npz", images=soft)
    ours = data.load(f"npz:{tmp_path}/deep.npz")
    assert (ours.levels, ours.channels) == (65535, "gray")
    np.testing.assert_array_equal(ours.fetch(np.arange(6))["image"], deep)
    ours = data.load(f"npz:{tmp_path}/soft.npz")
    assert (ours.levels, ours.channels, ours.shape) == (255, "RGBA", (8, 9, 4))
    np.testing.assert_array_equal(ours.fetch(np.arange(6))["image"], soft)
    spec = f"unpaired:npz:{tmp_path}/deep.npz,npz:{tmp_path}/flat.npz"
    np.savez(tmp_path / "flat.npz", images=images(c=1))
    refused(spec, "8 bits", "16")


def test_sixteen_bits_are_resized_as_finely():
    """A ramp of steps of 3 in 65535, which 8 bits could not tell apart."""
    ramp = np.broadcast_to(30000 + 3 * np.arange(32, dtype=np.uint16), (1, 32, 32))
    rgb = np.stack([ramp, ramp + 7, 60000 - ramp], -1)
    ours = arrays.fitted(data.from_arrays(rgb), data.Fit(16)).fetch(np.array([0]))
    found = ours["image"][0, 4:-4, 4:-4].astype(int)
    assert ours["image"].dtype == np.uint16
    middle = 30000 + 3 * (2 * np.arange(16) + 0.5)[4:-4]
    for channel, expected in enumerate((middle, middle + 7, 60000 - middle)):
        assert abs(found[..., channel] - expected).max() <= 1


# --- groups


def test_a_selection_is_of_one_group():
    both = data.load("unpaired:noise:5,noise:4", sources=(*data.SOURCES, noise()))
    only = data.select(both, {"input": "target"})
    assert only.fields == {"target"} and only.size == 5 and only.class_names == ()
    np.testing.assert_array_equal(
        only.fetch(np.arange(5))["target"], both.groups[1].fetch(np.arange(5))["input"]
    )
    with pytest.raises(ValueError, match="2 groups"):
        data.select(both, {"input": "input", "image": "image"})
    with pytest.raises(ValueError, match="0 groups"):
        data.select(both, {"map": "map"})
