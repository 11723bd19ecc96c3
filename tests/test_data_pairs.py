"""Pairs of images, label maps and two domains, from folders and from MNIST."""

import jax
import numpy as np
import pytest
from jax import random
from PIL import Image

from jaxgan import data, parallel
from jaxgan.data import feed, mnist, painted
from jaxgan.data.feed import Change
from jaxgan.types import UsageError

rng = np.random.default_rng(0)


def picture(h=6, w=8, c=3):
    array = rng.integers(0, 256, (h, w, c), np.uint8)
    return array[..., 0] if c == 1 else array


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return array


def everything(dataset):
    return dataset.fetch(np.arange(dataset.size))


def other(dataset):
    """The other domain, as a dataset of its own."""
    return data.select(dataset, {"input": "image", "input_label": "label"})


def refused(spec, *needles, **options):
    with pytest.raises(UsageError) as caught:
        data.load(spec, **options)
    message = str(caught.value)
    assert message.startswith(f"data {spec}") and "\n" not in message
    for needle in needles:
        assert needle in message, message


def test_pairs_side_by_side(tmp_path):
    both = [save(tmp_path / f"{i}.png", picture(6, 16)) for i in range(3)]
    pairs = data.load(f"pairs:{tmp_path}")
    assert (pairs.size, pairs.shape, pairs.class_names) == (3, (6, 8, 3), ())
    assert pairs.fields == {"image", "input"}
    rows = everything(pairs)
    np.testing.assert_array_equal(rows["input"], [x[:, :8] for x in both])
    np.testing.assert_array_equal(rows["image"], [x[:, 8:] for x in both])
    batch = pairs.batch(0, 0, 2)
    assert batch["input"].dtype == np.float32 and batch["input"].min() >= -1


def test_pairs_by_name_whatever_the_suffix(tmp_path):
    a = [save(tmp_path / f"A/{n}.png", picture(c=1)) for n in "xy"]
    b = [save(tmp_path / f"B/{n}.bmp", picture()) for n in "xy"]
    (tmp_path / "B/notes.txt").write_text("no image")
    pairs = data.load(f"pairs:{tmp_path}", crop=(4, 4))
    rows = everything(pairs)
    gray = np.stack(a)[:, 1:5, 2:6, None].repeat(3, -1)
    np.testing.assert_array_equal(rows["input"], gray)  # as colour, since B is
    np.testing.assert_array_equal(rows["image"], np.stack(b)[:, 1:5, 2:6])


def test_maps_keep_the_numbers_of_classes(tmp_path):
    images = [save(tmp_path / f"images/{i}.png", picture(8, 8)) for i in range(2)]
    gray = save(tmp_path / "maps/0.png", rng.integers(0, 5, (8, 8), np.uint8))
    numbers = rng.integers(0, 5, (8, 8), np.uint8)
    palette = Image.fromarray(numbers)
    palette.putpalette([7, 7, 7, 200, 0, 0, 9, 9, 9, 1, 2, 3, 255, 255, 255])
    palette.save(tmp_path / "maps/1.png")
    maps = data.load(f"maps:{tmp_path}")
    rows = everything(maps)
    np.testing.assert_array_equal(rows["map"], [gray, numbers])
    np.testing.assert_array_equal(rows["image"], images)
    assert maps.batch(0, 0, 2)["map"].dtype == np.int32
    # Two numbers far apart: a mean of them would be a third.
    for i in range(2):
        far = save(
            tmp_path / f"maps/{i}.png", 200 * rng.integers(0, 2, (8, 8), np.uint8)
        )
    small = everything(data.load(f"maps:{tmp_path}", resize=4))["map"]
    assert small.shape == (2, 4, 4) and {*small.ravel()} == {*far.ravel()} == {0, 200}


def test_pairs_that_do_not_fit_are_refused_by_name(tmp_path):
    for side in "AB":
        save(tmp_path / f"{side}/x.png", picture())
    save(tmp_path / "A/lonely.png", picture())
    refused(f"pairs:{tmp_path}", "A/lonely.png has no partner of its name in B/")
    (tmp_path / "A/lonely.png").rename(tmp_path / "B/lonely.png")
    refused(f"pairs:{tmp_path}", "B/lonely.png has no partner of its name in A/")
    save(tmp_path / "A/lonely.png", picture(6, 9))
    refused(f"pairs:{tmp_path}", "A/lonely.png is 6x9 and its partner B/lonely.png 6x8")
    save(tmp_path / "A/lonely.jpg", picture())
    refused(f"pairs:{tmp_path}", "A/lonely.jpg", "A/lonely.png", "have one name")
    odd = tmp_path / "odd"
    save(odd / "x.png", picture(6, 9))
    refused(f"pairs:{odd}", "x.png is 6x9", "an even width")
    save(odd / "x.png", picture(6, 8))
    save(odd / "y.png", picture(6, 10))
    refused(f"pairs:{odd}", "differ in size, x.png is 6x4 and y.png is 6x5")
    refused(f"pairs:{tmp_path / 'nowhere'}", "there is no directory")
    refused(f"maps:{odd}", f"there is no directory {odd}/images")
    (tmp_path / "empty").mkdir()
    refused(f"pairs:{tmp_path / 'empty'}", "there are no images in")
    refused(f"pairs:{odd}", "no split 'test'", split="test")


def test_a_corrupt_file_is_left_out_with_its_partner_and_named(tmp_path):
    for side in "AB":
        for name in "xyz":
            save(tmp_path / f"{side}/{name}.png", picture())
    (tmp_path / "A/y.png").write_bytes(b"no picture")
    whole = (tmp_path / "B/z.png").read_bytes()
    (tmp_path / "B/z.png").write_bytes(whole[: len(whole) // 2])
    pairs = data.load(f"pairs:{tmp_path}")
    assert pairs.size == 1
    (note,) = pairs.notes
    assert "skipped 2 of 3" in note and "A/y.png (not an image" in note
    assert "B/z.png" in note
    (tmp_path / "A/x.png").write_bytes(b"")
    refused(f"pairs:{tmp_path}", "none of its 3 files", "A/x.png")


def test_a_map_with_colours_is_named(tmp_path):
    for i in range(2):
        save(tmp_path / f"images/{i}.png", picture())
        save(tmp_path / f"maps/{i}.png", picture(c=3 if i else 1))
    (note,) = data.load(f"maps:{tmp_path}").notes
    assert "maps/1.png (mode RGB: a map has one number for each pixel" in note


def test_two_domains_are_two_data_sets(tmp_path):
    a = np.stack([save(tmp_path / f"a/{i}.png", picture()) for i in range(5)])
    b = np.stack([save(tmp_path / f"b/{i}.png", picture()) for i in range(3)])
    both = data.load(f"unpaired:{tmp_path / 'a'},folder:{tmp_path / 'b'}")
    assert [group.size for group in both.groups] == [3, 5]
    assert both.fields == {"image", "input"}
    np.testing.assert_array_equal(everything(both)["image"], b)
    np.testing.assert_array_equal(everything(other(both))["image"], a)
    refused(f"unpaired:{tmp_path / 'a'},mnist", "6x8 in", "28x28 in mnist")
    with pytest.raises(UsageError, match="no split 'test'"):
        data.load(f"unpaired:{tmp_path / 'a'},{tmp_path / 'b'}", split="test")
    with pytest.raises(UsageError, match="has no images of A"):
        data.load(f"unpaired:{tmp_path / 'a'}")
    with pytest.raises(UsageError, match="there is no such dataset"):
        data.load("unpaired:a,b,c")
    with pytest.raises(UsageError, match="there is no directory"):
        data.load(f"unpaired:{tmp_path / 'a'},{tmp_path / 'c'}")


@pytest.mark.parametrize("budget", (2**30, 0))
def test_flips_and_crops_are_alike_for_all_of_a_pair(budget, monkeypatch):
    """Of pictures whose pixels say where they are."""
    place = np.arange(48, dtype=np.uint8).reshape(1, 6, 8)

    def fetch(index):
        image = np.repeat(place[..., None] + index[:, None, None, None], 3, 3)
        image = image.astype(np.uint8)
        return {"image": image, "input": image + 100, "map": image[..., 0]}

    group = data.Group(("image", "input", "map"), 20, fetch)
    dataset = data.Dataset("places", (6, 8, 3), (group,))
    monkeypatch.setattr(feed, "budget", lambda mesh: budget)
    source = feed.feed(dataset, (0,), 16, Change(True, (4, 5)), parallel.mesh())
    batch = jax.jit(source.batch)(source.at(0)[0], 0, random.key(0), 0)
    source.close()
    assert batch["map"].shape == (16, 4, 5) and batch["map"].dtype == np.int32
    image, given = ((np.array(batch[n]) + 1) * 127.5 for n in ("image", "input"))
    np.testing.assert_allclose(image[..., 0], batch["map"], atol=1e-3)
    np.testing.assert_allclose(given, image + 100, atol=1e-3)
    steps = np.diff(np.array(batch["map"]), axis=2)
    assert {*steps[:, 0, 0]} == {1, -1}
    assert (np.diff(np.array(batch["map"]), axis=1) == 8).all()
    index = data.indices(0, 0, 16, 20)
    corners = np.minimum(batch["map"][:, 0, 0], batch["map"][:, 0, -1]) - index
    assert len({*corners.tolist()}) > 5 and corners.max() <= 2 * 8 + 3


def test_unpaired_images_have_an_order_of_their_own(tmp_path):
    dataset = data.load("unpaired_mnist")
    assert [group.size for group in dataset.groups] == [30000, 30000]
    source = feed.feed(dataset, (3,), 16, Change(), parallel.mesh())
    batch = jax.jit(source.batch)(source.at(2)[0], 2, random.key(0), 3)
    source.close()
    expected = dataset.batch(3, 2, 16)
    for name in ("image", "input"):
        np.testing.assert_allclose(batch[name], expected[name], atol=1e-6)
    orders = [data.indices(s, 2, 16, 30000) for s in (3, data.other_seed(3))]
    assert not set(orders[0]) & set(orders[1])
    np.testing.assert_array_equal(
        expected["input"],
        data.scaled(other(dataset).fetch(orders[1]))["image"],
    )


def test_the_centre_is_what_evaluation_sees():
    dataset = data.load("mapped_mnist", split="test")
    rows, centre = everything(dataset), everything(data.centred(dataset, (20, 16)))
    np.testing.assert_array_equal(centre["image"], rows["image"][:, 6:26, 8:24])
    np.testing.assert_array_equal(centre["map"], rows["map"][:, 6:26, 8:24])
    unpaired = data.centred(data.load("unpaired_mnist", split="test"), (20, 16))
    assert unpaired.shape == (20, 16, 3)
    rows = unpaired.groups[1].fetch(np.arange(3))
    assert rows["input"].shape == (3, 20, 16, 3) and rows["input_label"].shape == (3,)


@pytest.mark.parametrize("form", ("{split}/{side}", "{side}/{split}", "{split}{side}"))
@pytest.mark.parametrize("kind, sides", (("pairs", "AB"), ("maps", ("images", "maps"))))
def test_splits_of_pairs_are_named_by_their_directories(tmp_path, form, kind, sides):
    made = {}
    for split, count in (("train", 3), ("test", 2)):
        for side in sides:
            folder = tmp_path / form.format(split=split, side=side)
            c = 1 if side == "maps" else 3
            some = [save(folder / f"x/{i}.png", picture(c=c)) for i in range(count)]
            made[split, side] = np.stack(some)
    names = ("input", "image") if kind == "pairs" else ("image", "map")
    for split in ("train", "test"):
        ours = data.load(f"{kind}:{tmp_path}", split=split)
        assert ours.splits == ("train", "test") and ours.notes == ()
        for name, side in zip(names, sides, strict=True):
            np.testing.assert_array_equal(everything(ours)[name], made[split, side])


def test_splits_of_pairs_side_by_side(tmp_path):
    x = save(tmp_path / "train" / "1.png", picture(6, 16))
    save(tmp_path / "val" / "1.png", picture(6, 16))
    ours = data.load(f"pairs:{tmp_path}")
    assert ours.splits == ("train", "val") and ours.size == 1
    np.testing.assert_array_equal(everything(ours)["input"][0], x[:, :8])
    refused(f"pairs:{tmp_path}", "no split 'test', just train and val", split="test")


@pytest.mark.parametrize("form", ("{split}{side}", "{side}/{split}", "{split}_{side}"))
def test_one_directory_of_two_domains(tmp_path, form):
    made = {}
    for split, side, count in (("train", "A", 3), ("train", "B", 2), ("test", "A", 1)):
        folder = tmp_path / form.format(split=split, side=side)
        made[split, side] = np.stack(
            [save(folder / f"{i}.png", picture()) for i in range(count)]
        )
    refused(f"unpaired:{tmp_path}", "has no images of B of the split test")
    save(tmp_path / form.format(split="test", side="B") / "1.png", picture())
    ours = data.load(f"unpaired:{tmp_path}")
    assert ours.splits == ("train", "test")
    np.testing.assert_array_equal(everything(ours)["image"], made["train", "B"])
    np.testing.assert_array_equal(everything(other(ours))["image"], made["train", "A"])
    test = data.load(f"unpaired:{tmp_path}", split="test")
    np.testing.assert_array_equal(everything(other(test))["image"], made["test", "A"])


def test_a_name_with_a_comma_stands_in_quotes(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    a = save(tmp_path / "a,b/1.png", picture())
    b = save(tmp_path / "it's/1.png", picture())
    ours = data.load("unpaired:'~/a,b',~/it's")
    np.testing.assert_array_equal(everything(ours)["image"][0], b)
    np.testing.assert_array_equal(everything(other(ours))["image"][0], a)


def test_unequal_pairs_are_brought_to_one_size(tmp_path):
    save(tmp_path / "A/1.png", np.full((6, 8, 3), 7, np.uint8))
    save(tmp_path / "B/1.png", np.full((9, 5, 3), 200, np.uint8))
    refused(f"pairs:{tmp_path}", "must be of one size", "`resize` HxW", resize=4)
    rows = everything(data.load(f"pairs:{tmp_path}", resize=(4, 5)))
    assert rows["input"].shape == rows["image"].shape == (1, 4, 5, 3)
    assert (rows["input"] == 7).all() and (rows["image"] == 200).all()


def test_painted_digits_can_be_read_off_their_colours():
    images, labels = mnist.read("test")
    dataset = data.load("painted_mnist", split="test")
    some = np.arange(2000)
    rows = dataset.fetch(some)
    np.testing.assert_array_equal(rows["label"], labels[:2000])
    mapped = data.load("mapped_mnist", split="test")
    assert mapped.num_classes == 0 and mapped.fields == {"image", "map"}
    maps = mapped.fetch(some)["map"]
    ink = np.pad(images[:2000, ..., 0], ((0, 0), (2, 2), (2, 2))) > 127
    np.testing.assert_array_equal(maps, np.where(ink, 1 + labels[:2000, None, None], 0))
    luma, i, q = np.moveaxis(rows["image"] / 255 @ painted.TO_YIQ.T, -1, 0)
    assert ((luma > 0.54) == ink).mean() > 0.99
    hue = np.arctan2((q * ink).sum((1, 2)), (i * ink).sum((1, 2))) % (2 * np.pi)
    assert (hue // (2 * np.pi / 10) == labels[:2000]).mean() > 0.999
    ground = np.arctan2((q * ~ink).sum((1, 2)), (i * ~ink).sum((1, 2)))
    counts = np.histogram(ground, 8, (-np.pi, np.pi))[0]
    assert counts.min() > 180  # of 250: any hue, whatever the class
    again = painted.paint(images[7:9], labels[7:9], np.array([7, 8]))
    np.testing.assert_array_equal(again[0], rows["image"][7:9])
