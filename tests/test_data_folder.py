"""Directories of images, written here by Pillow."""

import shutil
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from jaxgan import data
from jaxgan.data import decoding
from jaxgan.types import UsageError


def _save(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(array)).save(path, **options)


def _flat(value, shape=(6, 6, 3)):
    return np.full(shape, value, np.uint8)


def _load(directory, **options):
    return data.load(f"folder:{directory}", **options)


def _all(ours):
    return ours.fetch(np.arange(ours.size))


def _refusal(directory, *needles, **options):
    with pytest.raises(UsageError) as caught:
        _load(directory, **options)
    message = str(caught.value)
    assert message.startswith(f"data folder:{directory}") and "\n" not in message
    for needle in needles:
        assert needle in message, message


def test_flat_and_sorted_whatever_the_suffix(tmp_path):
    for value, name in enumerate(["b.PNG", "a.bmp", "c.tiff", "d.gif", "e.webp"]):
        _save(
            tmp_path / name,
            _flat(40 * value),
            **{"lossless": True} if value == 4 else {},
        )
    _save(tmp_path / "f.jpg", _flat(200), quality=100)
    for other in (".hidden.png", "notes.txt", "Thumbs.db", "checkpoint.npz"):
        (tmp_path / other).write_bytes(b"not an image")
    _save(tmp_path / ".cache/x.png", _flat(1))
    _save(tmp_path / "__MACOSX/x.png", _flat(1))
    ours = _load(tmp_path)
    assert ours.name == f"folder:{tmp_path}"
    (note,) = ours.notes
    assert "passed over 3 files" in note and "Thumbs.db, checkpoint.npz, notes" in note
    assert (ours.size, ours.shape, ours.class_names) == (6, (6, 6, 3), ())
    batch = _all(ours)
    assert batch.keys() == {"image"} and batch["image"].dtype == np.uint8
    assert batch["image"][:, 3, 3, 1].tolist() == [40, 0, 80, 120, 160, 200]


def test_classes_are_the_sorted_folders(tmp_path):
    for value, name in enumerate(
        ["dogs/2.png", "cats/deep/er/9.png", "cats/1.png", "dogs/10.png", "cats/.x.png"]
    ):
        _save(tmp_path / name, _flat(value))
    (tmp_path / "empty").mkdir()
    ours = _load(tmp_path)
    assert ours.class_names == ("cats", "dogs") and ours.num_classes == 2
    batch = _all(ours)
    assert batch["label"].tolist() == [0, 0, 1, 1]
    assert batch["image"][:, 0, 0, 0].tolist() == [2, 1, 3, 0]
    assert len(ours.notes) == 1 and "without images: empty" in ours.notes[0]


def test_images_beside_class_folders_are_refused(tmp_path):
    _save(tmp_path / "a.png", _flat(0))
    _save(tmp_path / "cats/b.png", _flat(0))
    _refusal(tmp_path, "images of its own (a.png)", "(cats)", "to have labels", "none")


def test_splits_are_not_classes(tmp_path):
    for value, name in enumerate(("train/b/1", "train/a/2", "Test/b/3", "valid/a/4")):
        _save(tmp_path / f"{name}.png", _flat(value))
    assert _load(tmp_path).splits == ("train", "test", "val")
    seen = {}
    for split in ("train", "test", "val"):
        ours = _load(tmp_path, split=split)
        assert ours.class_names == ("a", "b")  # those of the training images
        rows = _all(ours)
        seen[split] = rows["image"][:, 0, 0, 0].tolist(), rows["label"].tolist()
    assert seen == {"train": ([1, 0], [0, 1]), "test": ([2], [1]), "val": ([3], [0])}
    assert _load(tmp_path / "train").splits == ("train",)
    _save(tmp_path / "test2/c/1.png", _flat(0))
    _refusal(tmp_path, "the splits train and test and val, and test2/c/1.png in none")
    shutil.rmtree(tmp_path / "test2")
    _save(tmp_path / "Test/c/1.png", _flat(0))
    _refusal(tmp_path, "the class c has no training images", split="test")
    _save(tmp_path / "validation/a/5.png", _flat(0))
    _refusal(tmp_path, "valid, validation are one split")


def test_a_class_may_be_called_as_a_split_is(tmp_path):
    for name in ("bus", "plane", "train"):
        _save(tmp_path / name / "a.png", _flat(0))
    ours = _load(tmp_path)
    assert ours.class_names == ("bus", "plane", "train") and ours.splits == ("train",)
    for name in ("trainA", "trainB"):
        _save(tmp_path / "two" / name / "a.png", _flat(0))
    _refusal(tmp_path / "two", "two domains", f"unpaired:{tmp_path}/two")


def test_nothing_to_read(tmp_path):
    _refusal(tmp_path / "absent", "no directory")
    _refusal(tmp_path, "no images", ".png")
    (tmp_path / "sub").mkdir()
    (tmp_path / "readme.txt").write_text("hello")
    _refusal(tmp_path, "no images")
    (tmp_path / "a.png").write_bytes(b"hello")
    (tmp_path / "b.png").write_bytes(b"")
    _refusal(tmp_path, "none of its 2 files", "a.png")


def test_broken_files_are_skipped_and_named(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (6, 6, 3), np.uint8)
    for value in range(5):
        _save(tmp_path / f"c{value % 2}" / f"{value}.png", noise // (value + 1))
    whole = (tmp_path / "c1/3.png").read_bytes()
    (tmp_path / "c1/3.png").write_bytes(whole[:-30])  # a good header, half the pixels
    (tmp_path / "c0/1.jpg").write_bytes(b"<html>404</html>")
    ours = _load(tmp_path)
    batch = _all(ours)
    assert (ours.size, ours.class_names) == (4, ("c0", "c1"))
    assert batch["label"].tolist() == [0, 0, 0, 1]
    expected = [noise // (value + 1) for value in (0, 2, 4, 1)]
    np.testing.assert_array_equal(batch["image"], expected)
    (note,) = ours.notes
    assert note.startswith(f"folder:{tmp_path}: skipped 2 of 6 files")
    assert "c0/1.jpg (not an image" in note and "c1/3.png (" in note
    assert "\n" not in note


def test_every_image_broken_past_its_header(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (20, 20), np.uint8)
    _save(tmp_path / "a.png", noise)
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(whole[: len(whole) // 2])
    _refusal(tmp_path, "none of its 1 files", "a.png (")


def test_mixed_sizes_name_two_files_and_the_way_out(tmp_path):
    _save(tmp_path / "a.png", _flat(9, (6, 8, 3)))
    _save(tmp_path / "b.png", _flat(9, (6, 8, 3)))
    _save(tmp_path / "c.png", _flat(9, (9, 6, 3)))
    _refusal(tmp_path, "a.png is 6x8", "c.png is 9x6", "`resize` HxW", "`crop` N")
    _refusal(tmp_path, "a.png is 12x16", "c.png is 18x12", resize=12)
    assert _load(tmp_path, resize=12, crop=12).shape == (12, 12, 3)
    assert _load(tmp_path, resize=(5, 7)).shape == (5, 7, 3)
    ours = _load(tmp_path, crop=6)
    assert ours.shape == (6, 6, 3) and (_all(ours)["image"] == 9).all()
    _refusal(tmp_path, "a.png is 6x8", "`crop` 7x7", crop=7)


def test_gray_stays_one_channel_unless_any_is_colour(tmp_path):
    _save(tmp_path / "a.png", _flat(10, (4, 4)))
    _save(tmp_path / "b.png", np.ones((4, 4), bool))
    _save(tmp_path / "c.png", np.dstack([_flat(30, (4, 4)), _flat(255, (4, 4))]))
    _save(tmp_path / "d.png", np.full((4, 4), 40 * 257, np.uint16))
    _save(tmp_path / "e.gif", _flat(50, (4, 4)))  # a palette of grays
    _save(tmp_path / "f.tif", np.full((4, 4), 60 * 257, np.int32))
    ours = _load(tmp_path)
    assert ours.shape == (4, 4, 1)
    values = [10, 255, 30, 40, 50, 60]
    assert _all(ours)["image"][:, 0, 0, 0].tolist() == values
    _save(tmp_path / "g.png", np.tile(np.uint8([1, 2, 3]), (4, 4, 1)))
    ours = _load(tmp_path)
    assert ours.shape == (4, 4, 3)
    expected = [[v, v, v] for v in values] + [[1, 2, 3]]
    assert _all(ours)["image"][:, 0, 0].tolist() == expected


def test_sixteen_bits_are_scaled_and_rounded(tmp_path):
    deep = np.array([[0, 128, 129, 257], [32767, 32768, 65278, 65535]], np.uint16)
    _save(tmp_path / "a.png", deep)
    expected = np.round(deep / 65535 * 255)
    np.testing.assert_array_equal(_all(_load(tmp_path))["image"][0, ..., 0], expected)


def test_pixels_without_a_known_range_are_skipped(tmp_path):
    _save(tmp_path / "a.png", _flat(1, (4, 4)))
    _save(tmp_path / "b.tif", np.full((4, 4), 0.5, np.float32))
    _save(tmp_path / "c.tif", np.full((4, 4), 70000, np.int32))
    ours = _load(tmp_path)
    assert ours.size == 1
    assert "b.tif (floating-point" in ours.notes[0] and "c.tif (32-bit" in ours.notes[0]


def test_transparency_is_over_white(tmp_path):
    pixels = np.uint8([[[200, 0, 0, 255], [200, 0, 0, 0], [0, 100, 0, 51]]])
    _save(tmp_path / "a.png", pixels)
    expected = np.round(
        pixels[..., :3] * (pixels[..., 3:] / 255) + 255 * (1 - pixels[..., 3:] / 255)
    )
    ours = _all(_load(tmp_path))["image"][0].astype(int)
    assert abs(ours - expected).max() <= 1
    assert ours[0, 0].tolist() == [200, 0, 0] and ours[0, 1].tolist() == [255] * 3


def test_palettes(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([250, 10, 20, 5, 6, 7])
    image.putdata([0, 1])
    image.save(tmp_path / "a.png")
    image.save(tmp_path / "b.png", transparency=1)
    image.save(tmp_path / "c.png", transparency=bytes([255, 0]))
    ours = _all(_load(tmp_path))["image"]
    assert ours[0, 0].tolist() == [[250, 10, 20], [5, 6, 7]]
    for transparent in ours[1:]:
        assert transparent[0].tolist() == [[250, 10, 20], [255, 255, 255]]


def _late_exif(path, array):
    """A PNG whose orientation comes after its pixels, out of its header."""

    def chunk(kind, body):
        check = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + check

    exif = Image.Exif()
    exif[0x0112] = 6
    _save(path, array)
    content = path.read_bytes()
    body = exif.tobytes().removeprefix(b"Exif\0\0")
    path.write_bytes(content[:-12] + chunk(b"eXIf", body) + content[-12:])


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
def test_exif_orientation_is_applied(tmp_path, suffix):
    array = np.zeros((16, 32), np.uint8)
    array[:, :16] = 255  # the left half is white
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise: left becomes top
    _save(tmp_path / f"a.{suffix}", array, exif=exif)
    _save(tmp_path / "b.png", np.zeros((32, 16), np.uint8))
    ours = _load(tmp_path)
    assert ours.shape[:2] == (32, 16)
    image = _all(ours)["image"][0, ..., 0].astype(int)
    assert image[2:14].min() > 240 and image[18:30].max() < 15


def test_an_orientation_after_the_pixels_is_ignored(tmp_path):
    array = np.arange(8, dtype=np.uint8).reshape(2, 4)
    _late_exif(tmp_path / "a.png", array)
    np.testing.assert_array_equal(_all(_load(tmp_path))["image"][0, ..., 0], array)


def test_beyond_the_memory_budget_the_same_images(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    for value in range(6):
        _save(tmp_path / f"{value % 2}/{value}.png", rng.integers(0, 256, (4, 4), "u1"))
    (tmp_path / "0/1.png").write_bytes(b"broken")
    kept = _load(tmp_path, resize=8)
    monkeypatch.setattr(decoding, "MEMORY_BUDGET", 0)
    lazy = _load(tmp_path, resize=8)
    index = np.array([5, 0, 3, 3])
    for key, expected in kept.fetch(index).items():
        np.testing.assert_array_equal(lazy.fetch(index)[key], expected)
    assert (lazy.name, lazy.size, lazy.shape) == (kept.name, kept.size, kept.shape)
    assert (lazy.class_names, lazy.notes) == (kept.class_names, kept.notes)
