"""Specs, the embedded MNIST, IDX and .npz files, and bringing images to size."""

import gzip
import hashlib
import struct

import numpy as np
import pytest
from PIL import Image

from jaxgan import data
from jaxgan.data import decoding
from jaxgan.types import UsageError

FIELDS = "image", "label"


def _refuses(*needles, spec, **options):
    with pytest.raises(UsageError) as caught:
        data.load(spec, **options)
    message = str(caught.value)
    assert "\n" not in message
    for needle in needles:
        assert needle in message, message
    return message


def _idx(array):
    """IDX bytes of a uint8 array."""
    header = struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return header + array.tobytes()


def _write_idx(directory, count=7, prefix="train", sep="-", gz=False):
    rng = np.random.default_rng(count)
    images = rng.integers(0, 256, (count, 5, 4), np.uint8)
    labels = (np.arange(count) % 3).astype(np.uint8)
    for kind, array in (("images", images), ("labels", labels)):
        path = directory / f"{prefix}-{kind}{sep}idx{array.ndim}-ubyte"
        content = _idx(array)
        if gz:
            path, content = path.with_name(f"{path.name}.gz"), gzip.compress(content)
        path.write_bytes(content)
    return images, labels


@pytest.fixture(scope="module")
def mnist():
    return data.load("mnist")


def test_mnist_is_the_real_one(mnist):
    assert mnist.name == "mnist"
    assert (mnist.size, mnist.shape, mnist.notes) == (60000, (28, 28, 1), ())
    assert mnist.class_names == tuple("0123456789") and mnist.num_classes == 10
    assert mnist.nbytes == 47_040_000 + 4 * 60000 and mnist.fields == {*FIELDS}
    everything = mnist.fetch(np.arange(60000))
    raw = struct.pack(">4I", 0x803, 60000, 28, 28) + everything["image"].tobytes()
    assert hashlib.sha256(raw).hexdigest() == (
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
    )
    assert everything["label"][:5].tolist() == [5, 0, 4, 1, 9]
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(everything["label"]).tolist() == counts


def test_stacked_mnist_has_a_digit_in_each_colour(mnist):
    stacked, test = (data.load("stacked_mnist", split=s) for s in ("train", "test"))
    assert (stacked.size, test.size, stacked.shape) == (128000, 26000, (28, 28, 3))
    assert stacked.num_classes == 1000 and stacked.class_names[42] == "042"
    rows = stacked.fetch(np.array([5, 127999, 0]))
    again = data.load("stacked_mnist").fetch(np.array([5, 127999, 0]))
    np.testing.assert_array_equal(rows["image"], again["image"])
    digits = mnist.fetch(np.arange(60000))
    known = {
        d.tobytes(): y for d, y in zip(digits["image"], digits["label"], strict=True)
    }
    for image, label in zip(rows["image"], rows["label"], strict=True):
        colors = [np.ascontiguousarray(image[..., c : c + 1]) for c in range(3)]
        r, g, b = (known[color.tobytes()] for color in colors)
        assert label == 100 * r + 10 * g + b
    labels = stacked.fetch(np.arange(stacked.size))["label"]
    counts = np.bincount(labels, minlength=1000)
    assert counts.min() > 60 and abs(counts - 128).mean() < 20
    small = data.load("stacked_mnist", resize=14).fetch(np.array([5]))["image"]
    assert small.shape == (1, 14, 14, 3) and small.std((1, 2)).min() > 0


def test_mnist_test_split():
    test = data.load("mnist", split="test")
    labels = test.fetch(np.arange(test.size))["label"]
    assert test.size == 10000 and labels[:5].tolist() == [7, 2, 1, 0, 4]
    counts = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert np.bincount(labels).tolist() == counts


def test_fetch_gives_a_batch(mnist):
    batch = mnist.fetch(data.indices(0, 0, 16, mnist.size))
    assert batch["image"].shape == (16, 28, 28, 1)
    assert batch["image"].dtype == np.uint8
    assert batch["label"].shape == (16,) and batch["label"].dtype == np.int32
    with pytest.raises(IndexError):
        mnist.fetch(np.array([60000]))


@pytest.mark.parametrize("gz", [False, True])
@pytest.mark.parametrize("sep", ["-", "."])
def test_idx_reads_what_was_written(tmp_path, sep, gz):
    train = _write_idx(tmp_path, 7, "train", sep, gz)
    test = _write_idx(tmp_path, 4, "t10k", sep, gz)
    for split, (images, labels) in {"train": train, "test": test}.items():
        ours = data.load(f"idx:{tmp_path}", split=split)
        assert (ours.size, ours.shape) == (len(images), (5, 4, 1))
        assert ours.class_names == ("0", "1", "2")
        batch = ours.fetch(np.arange(ours.size)[::-1])
        np.testing.assert_array_equal(batch["image"][..., 0], images[::-1])
        np.testing.assert_array_equal(batch["label"], labels[::-1])


def test_idx_goes_by_content_not_by_suffix(tmp_path):
    images, _ = _write_idx(tmp_path, gz=True)
    for path in tmp_path.glob("*.gz"):
        path.write_bytes(gzip.decompress(path.read_bytes()))
    ours = data.load(f"idx:{tmp_path}").fetch(np.arange(7))["image"]
    np.testing.assert_array_equal(ours[..., 0], images)


@pytest.mark.parametrize(
    "damage, needle",
    [
        (lambda b: b[:-3], "137 bytes where its header promises 140"),
        (lambda b: b + b"x", "141 bytes where its header promises 140"),
        (lambda b: b[:9], "is not an IDX file"),
        (lambda b: b"", "is not an IDX file"),
        (
            lambda b: b"<!DOCTYPE html>" * 20,
            "begins with 0x3c21444f instead of 0x00000803",
        ),
        (lambda b: b[:3] + b"\x01" + b[4:], "is not an IDX file"),
        (lambda b: gzip.compress(b)[:-12], "cannot read train-images-idx3-ubyte"),
        (lambda b: b"\x1f\x8b" + b, "cannot read train-images-idx3-ubyte"),
    ],
)
def test_idx_refuses_damaged_files(tmp_path, damage, needle):
    _write_idx(tmp_path)
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(damage(path.read_bytes()))
    _refuses("data idx:", path.name, needle, spec=f"idx:{tmp_path}")


def test_idx_refuses_what_does_not_belong_together(tmp_path):
    _refuses("no directory", spec=f"idx:{tmp_path / 'absent'}")
    _refuses("lacks train-images-idx3-ubyte", ".gz", spec=f"idx:{tmp_path}")
    _write_idx(tmp_path)
    _refuses("lacks t10k-images", spec=f"idx:{tmp_path}", split="test")
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(_idx(np.zeros(6, np.uint8)))
    _refuses("7 images", "6 labels", spec=f"idx:{tmp_path}")


@pytest.mark.parametrize("shape", [(6, 5, 4), (6, 5, 4, 1), (6, 5, 4, 3)])
def test_npz_reads_what_was_written(tmp_path, shape):
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    labels = np.array([0, 2, 1, 0, 0, 2])
    np.savez(tmp_path / "a.npz", images=images, labels=labels)
    np.savez_compressed(tmp_path / "b.npz", images=images)
    labelled = data.load(f"npz:{tmp_path}/a.npz")
    plain = data.load(f"npz:{tmp_path}/b.npz")
    assert labelled.shape == plain.shape == (5, 4, (*shape, 1)[3])
    assert labelled.class_names == ("0", "1", "2") and plain.class_names == ()
    index = np.array([5, 1, 1])
    batch = labelled.fetch(index)
    np.testing.assert_array_equal(batch["image"].reshape(3, *shape[1:]), images[index])
    assert batch["label"].tolist() == [2, 2, 2] and batch["label"].dtype == np.int32
    assert plain.fetch(index).keys() == {"image"}


_GOOD = np.zeros((3, 4, 4, 3), np.uint8)


@pytest.mark.parametrize(
    "arrays, needles",
    [
        ({"images": np.linspace(-1, 1, 48, dtype=np.float32).reshape(1, 4, 4, 3)},
         ("float32", "uint8", "np.round((x + 1) * 127.5)")),
        ({"images": np.linspace(0, 1, 48).reshape(1, 4, 4, 3)},
         ("float64", "uint8", "np.round(x * 255)")),
        ({"images": _GOOD.astype(np.int32)}, ("int32", "uint8")),
        ({"images": _GOOD[..., :2]}, ("[3, 4, 4, 2]", "C 1, 3 or 4")),
        ({"images": _GOOD[0, 0]}, ("[4, 3]", "[N, H, W]")),
        ({"images": _GOOD[:0]}, ("[0, 4, 4, 3]", "not empty")),
        ({"x_train": _GOOD}, ("holds x_train", "`images`")),
        ({}, ("holds nothing",)),
        ({"images": _GOOD, "labels": np.zeros(2, int)}, ("[2]", "[3]")),
        ({"images": _GOOD, "labels": np.zeros((3, 10), int)}, ("[3, 10]", "[3]")),
        ({"images": _GOOD, "labels": np.zeros(3)}, ("float64", "integers")),
        ({"images": _GOOD, "labels": np.array([0, -1, 1])}, ("-1..1", "from 0")),
        ({"images": np.array([{}, None])}, ("plain arrays",)),
    ],
)  # fmt: skip
def test_npz_refuses_other_contents(tmp_path, arrays, needles):
    np.savez(tmp_path / "a.npz", **arrays)
    _refuses("data npz:", *needles, spec=f"npz:{tmp_path}/a.npz")


def test_npz_refuses_other_files(tmp_path):
    _refuses("no file", spec=f"npz:{tmp_path}/absent.npz")
    np.save(tmp_path / "a.npy", _GOOD)
    _refuses("a single array", "np.savez", spec=f"npz:{tmp_path}/a.npy")
    np.savez(tmp_path / "a.npz", images=_GOOD)
    whole = (tmp_path / "a.npz").read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"hello, world"):
        (tmp_path / "b.npz").write_bytes(content)
        _refuses("b.npz", "`images`", spec=f"npz:{tmp_path}/b.npz")


@pytest.mark.parametrize(
    "spec", ["", "cifar10", "mnist:", "mnist:/x", "idx", "npz:", "folder:", "/a/folder"]
)
def test_an_unknown_spec_lists_the_forms(spec):
    forms = ("mnist", "folder:DIR", "npz:FILE", "idx:DIR", "tfds:NAME")
    _refuses(f"data {spec}:", *forms, spec=spec)


def test_splits_are_checked(tmp_path):
    _refuses("no split 'val'", "train and test", spec="mnist", split="val")
    _refuses("no split 'test'", "all of it", spec="npz:x", split="test")
    Image.new("L", (2, 2)).save(tmp_path / "a.png")
    _refuses("no split 'test'", "all of it", spec=f"folder:{tmp_path}", split="test")


def test_home_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    np.savez(tmp_path / "a.npz", images=_GOOD)
    assert data.load("npz:~/a.npz").size == 3


def _gradient(height, width):
    """A picture whose value says where each pixel came from: 10 row + column."""
    return (10 * np.arange(height)[:, None] + np.arange(width)).astype(np.uint8)


def _load_one(tmp_path, image, **options):
    np.savez(tmp_path / "one.npz", images=image[None])
    return data.load(f"npz:{tmp_path}/one.npz", **options).fetch(np.array([0]))["image"]


def test_crop_takes_the_centre(tmp_path):
    image = _gradient(7, 8)
    ours = _load_one(tmp_path, image, crop=(3, 4))[0, ..., 0]
    np.testing.assert_array_equal(ours, image[2:5, 2:6])
    assert _load_one(tmp_path, image, crop=7).shape == (1, 7, 7, 1)


@pytest.mark.parametrize(
    "options, shape",
    [
        ({"resize": 16}, (16, 24)),
        ({"resize": (10, 30)}, (10, 30)),
        ({"resize": 16, "crop": 16}, (16, 16)),
        ({"resize": 33}, (33, 50)),  # 49.5 rounds to even
        ({"resize": (8, 8), "crop": (4, 6)}, (4, 6)),
    ],
)
def test_resize_gives_the_size_asked_for(tmp_path, options, shape):
    for channels in (1, 3):
        image = np.full((32, 48, channels), 77, np.uint8)
        ours = _load_one(tmp_path, image, **options)
        assert ours.shape == (1, *shape, channels)
        # A filter that sums to one leaves a constant alone.
        assert (ours == 77).all()


def test_resize_is_antialiased(tmp_path):
    stripes = np.tile(np.array([0, 255], np.uint8), (64, 32))
    ours = _load_one(tmp_path, stripes, resize=16)[0, 2:-2, 2:-2, 0].astype(int)
    # Point sampling would return stripes or black; the mean is 127.5.
    assert abs(ours - 127.5).max() < 5


def test_a_resize_and_crop_back_to_the_same_size_still_zooms(tmp_path):
    image = np.zeros((8, 8), np.uint8)
    image[2:6, 2:6] = 255
    ours = _load_one(tmp_path, image, resize=16, crop=8)[0, ..., 0]
    assert ours.shape == (8, 8) and ours[1:7, 1:7].min() > 200


@pytest.mark.parametrize("bad", [0, -3, 2.5, (4,), (4, 0), "64", True])
def test_sizes_are_checked(bad):
    _refuses("resize", "64x48", spec="mnist", resize=bad)
    _refuses("crop", "64x48", spec="mnist", crop=bad)


def test_a_crop_larger_than_the_image_is_refused():
    _refuses("28x28", "`crop` 32x32", "`resize`", spec="mnist", crop=32)
    _refuses("16x16 after `resize`", spec="mnist", resize=16, crop=(10, 20))


def test_decode_beyond_the_memory_budget_reads_again(monkeypatch):
    calls = []

    def read(item):
        calls.append(item)
        if item == 3:
            raise OSError("broken")
        return np.full((2, 2, 1), item, np.uint8)

    reads = []
    for budget in (10 * 4, 10 * 4 - 1):
        monkeypatch.setattr(decoding, "MEMORY_BUDGET", budget)
        calls.clear()
        decoded = decoding.decode(read, 10, (2, 2, 1))
        assert sorted(calls) == list(range(10))
        assert decoded.kept.tolist() == [0, 1, 2, 4, 5, 6, 7, 8, 9]
        assert decoded.failures == {3: "broken"}
        images = decoded.images(np.array([3, 0, 8]))
        assert images[:, 0, 0, 0].tolist() == [4, 0, 9] and images.dtype == np.uint8
        reads.append(len(calls))
        assert decoded.images(np.array([], int)).shape == (0, 2, 2, 1)
    assert reads == [10, 13]


@pytest.mark.parametrize("threads", [1, 2, 16])
def test_decode_keeps_the_order_whatever_a_thread_takes_at_a_time(monkeypatch, threads):
    monkeypatch.setattr(decoding, "MEMORY_BUDGET", 0)
    monkeypatch.setattr(decoding, "cores", lambda: threads)
    monkeypatch.setattr(decoding, "_BLOCK", 50)

    def read(item):
        if item in (0, 7, 8, 99):
            raise OSError(f"no {item}")
        return np.full((1, 1, 1), item, np.uint8)

    decoded = decoding.decode(read, 123, (1, 1, 1))
    assert decoded.failures == {i: f"no {i}" for i in (0, 7, 8, 99)}
    assert decoded.kept.tolist() == [i for i in range(123) if i not in (0, 7, 8, 99)]
    for count in (1, 7, 64, 119):
        index = np.random.default_rng(0).permutation(119)[:count]
        images = decoded.images(index)
        assert images[:, 0, 0, 0].tolist() == decoded.kept[index].tolist()


class _Seen:
    """A `progress` that keeps what it was shown."""

    def __init__(self):
        self.shown = []

    def __call__(self, iterable, total, label):
        self.shown.append([label, total, 0])
        for item in iterable:
            self.shown[-1][2] += 1
            yield item


def test_progress_is_shown_by_what_is_given_for_it_and_by_nothing_else(capsys):
    def read(item):
        return np.full((1, 1, 1), item, np.uint8)

    seen = _Seen()
    shown = decoding.decode(read, 20, (1, 1, 1), seen)
    assert seen.shown == [["decoding", 20, 20]]
    silent = decoding.decode(read, 20, (1, 1, 1))
    every = np.arange(20)
    np.testing.assert_array_equal(shown.images(every), silent.images(every))
    assert capsys.readouterr() == ("", "")


def test_progress_reaches_the_files(tmp_path):
    for i in range(3):
        Image.fromarray(np.full((4, 4), i, np.uint8)).save(tmp_path / f"{i}.png")
    seen = _Seen()
    data.load(f"unpaired:{tmp_path},{tmp_path}", progress=seen)
    assert seen.shown == [["reading headers", 3, 3], ["decoding", 3, 3]] * 2


def test_pil_resizes_as_pil_does(tmp_path):
    image = np.random.default_rng(1).integers(0, 256, (40, 30, 3), np.uint8)
    expected = Image.fromarray(image).resize((15, 20), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(_load_one(tmp_path, image, resize=15)[0], expected)


def test_a_batch_is_the_images_of_its_step_scaled_to_minus_one_to_one():
    mnist = data.load("mnist", split="test")
    batch = mnist.batch(seed=3, step=5, batch_size=16)
    rows = mnist.fetch(data.indices(3, 5, 16, 10_000))
    assert batch["image"].dtype == np.float32
    assert batch["image"].shape == (16, 28, 28, 1)
    np.testing.assert_allclose((batch["image"] + 1) * 127.5, rows["image"], atol=1e-4)
    np.testing.assert_array_equal(batch["label"], rows["label"])
    assert batch["image"].min() == -1 and batch["image"].max() == 1
