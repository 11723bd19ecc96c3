"""Nothing below a directory, or in an archive, is left out without a word."""

import json
import os
import socket
import zipfile

import numpy as np
import pytest
from PIL import Image

from jaxgan import data
from jaxgan.types import UsageError

rng = np.random.default_rng(0)


def save(path, value=None, shape=(4, 4, 3), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    array = rng.integers(0, 256, shape, np.uint8)
    array = array if value is None else np.full(shape, value, np.uint8)
    Image.fromarray(array).save(path, **options)
    return array


def zipped(folder, archive):
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(folder.rglob("*")):
            file.write(path, path.relative_to(folder))
    return archive


def images_of(spec, **options):
    ours = data.load(spec, **options)
    return ours.fetch(np.arange(ours.size))["image"], ours


def refused(spec, *needles, **options):
    with pytest.raises(UsageError) as caught:
        data.load(spec, **options)
    message = str(caught.value)
    assert "\n" not in message
    message.encode()
    for needle in needles:
        assert needle in message, message


def test_files_of_every_format_that_pillow_opens_are_read(tmp_path):
    names = ["a.jfif", "b.jp2", "c.avif", "d.tga", "e.ppm", "f.sgi", "g.pcx", "h.jpe"]
    for value, name in enumerate(names):
        save(tmp_path / name, 20 * value + 20)
    found, ours = images_of(f"folder:{tmp_path}")
    assert ours.notes == () and len(found) == len(names)
    seen = found[:, 2, 2, 1].astype(int)
    assert np.abs(seen - 20 * np.arange(1, 9)).max() <= 2


def test_links_are_followed_and_all_that_is_passed_over_is_said(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    one, other = save(here / "cats/1.png"), save(there / "deep/2.png")
    (here / "dogs").symlink_to(there)
    (here / "cats/3.png").symlink_to(there / "deep/2.png")
    (here / "cats/circle").symlink_to(here)
    (here / "cats/lost.png").symlink_to(tmp_path / "nowhere.png")
    (here / "cats/self.png").symlink_to("self.png")
    os.mkfifo(here / "cats/pipe.png")
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(here)
        listener.bind("socket.png")
    (here / "folder.png").mkdir()
    for name in ("notes.txt", "Thumbs.db", "a.pdf", "b.pdf"):
        (here / name).write_text("no image")
    found, ours = images_of(f"folder:{here}")
    assert ours.class_names == ("cats", "dogs")
    np.testing.assert_array_equal(found, [one, other, other])
    note = next(n for n in ours.notes if "passed over" in n)
    assert "\n" not in note
    for needle in (
        "4 files that are no images by their suffix (Thumbs.db, a.pdf, b.pdf, ...)",
        "2 pipes, sockets or devices (cats/pipe.png, socket.png)",
        "2 links to nothing (cats/lost.png, cats/self.png)",
        "1 links into a circle (cats/circle)",
    ):
        assert needle in note, note
    assert any("without images: folder.png" in n for n in ours.notes)


def test_directories_that_cannot_be_read_are_said(tmp_path, monkeypatch):
    save(tmp_path / "a/1.png")
    save(tmp_path / "b/1.png")
    scandir, closed = os.scandir, str(tmp_path / "b")

    def refusing(path):
        if path == closed:
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    note = data.load(f"folder:{tmp_path}").notes[-1]
    assert "1 directories that cannot be read (b/)" in note
    refused(f"folder:{tmp_path}/b", "cannot be read (Permission denied)")


def test_names_outside_utf_8(tmp_path):
    name = os.fsdecode(b"caf\xe9")
    for i in range(2):
        save(tmp_path / name / f"{name}{i}.png", i)
    (tmp_path / name / f"{name}.txt").write_text("no image")
    (tmp_path / name / f"{name}2.png").write_bytes(b"broken")
    found, ours = images_of(f"folder:{tmp_path}")
    assert found[:, 0, 0, 0].tolist() == [0, 1] and ours.class_names == (name,)
    for note in ours.notes:
        note.encode()  # for a log
    assert any(r"caf\xe9/caf\xe92.png" in note for note in ours.notes)
    save(tmp_path / name / f"{name}3.png", shape=(5, 4, 3))
    refused(f"folder:{tmp_path / name}", r"caf\xe93.png is 5x4")


def test_nested_pairs_and_what_is_beside_them(tmp_path):
    for side in "AB":
        save(tmp_path / side / "x/1.png")
    save(tmp_path / "C/1.png")
    save(tmp_path / "2.png")
    (note,) = data.load(f"pairs:{tmp_path}").notes
    assert "2 images beside A and B (2.png, C/1.png)" in note


# --- StyleGAN's index


def indexed(folder, labels):
    (folder / "dataset.json").write_text(json.dumps({"labels": labels}))


def test_stylegan_s_index_says_labels_and_order(tmp_path):
    names = ["00001/b.png", "00000/a.png", "00000/c.png"]
    for value, name in enumerate(names):
        save(tmp_path / name, value)
    save(tmp_path / "00000/d.png")
    indexed(
        tmp_path, [[name, label] for name, label in zip(names, (7, 2, 7), strict=True)]
    )
    for spec in (tmp_path, zipped(tmp_path, tmp_path / "all.zip")):
        found, ours = images_of(f"folder:{spec}")
        assert found[:, 0, 0, 0].tolist() == [0, 1, 2]
        assert ours.class_names == ("2", "7")
        assert ours.fetch(np.arange(3))["label"].tolist() == [1, 0, 1]
        assert any("images that dataset.json does not name" in n for n in ours.notes)
        assert any("no image has the label 0, 1, 3, ..." in n for n in ours.notes)
    indexed(tmp_path, None)
    found, ours = images_of(f"folder:{tmp_path}")
    assert ours.class_names == () and len(found) == 4


@pytest.mark.parametrize(
    "labels, needle",
    [
        ([["00000/x.png", 0]], "names 00000/x.png, of which there is no image"),
        ([["00000/a.png", [0.5, 0.5]]], "must have labels as [file, class]"),
        ([["00000/a.png", -1]], "must have labels as [file, class]"),
        ([["00000/a.png"]], "must have labels as [file, class]"),
        ([], "must have labels as [file, class]"),
    ],
)
def test_an_index_that_does_not_fit_is_refused(tmp_path, labels, needle):
    save(tmp_path / "00000/a.png")
    indexed(tmp_path, labels)
    refused(f"folder:{tmp_path}", needle)


def test_an_index_that_is_another_program_s_or_damaged(tmp_path):
    save(tmp_path / "cats/a.png")
    (tmp_path / "dataset.json").write_text('{"name": "mine"}')
    ours = data.load(f"folder:{tmp_path}")
    assert ours.class_names == ("cats",) and "dataset.json" in ours.notes[-1]
    (tmp_path / "dataset.json").write_text('{"labels": ')
    refused(f"folder:{tmp_path}", "dataset.json cannot be read")


# --- archives


def test_archives_are_read_in_place(tmp_path):
    folder = tmp_path / "in"
    for split in ("train", "test"):
        for name in ("cats/1.png", "dogs/2.jpg"):
            save(folder / split / name)
    (folder / "train/readme.txt").write_text("no image")
    (folder / "__MACOSX").mkdir()
    (folder / "__MACOSX/x.png").write_bytes(b"")
    archive = zipped(folder, tmp_path / "in.zip")
    for split in ("train", "test"):
        expected, plain = images_of(f"folder:{folder}", split=split)
        found, ours = images_of(f"folder:{archive}", split=split)
        np.testing.assert_array_equal(found, expected)
        assert (ours.class_names, ours.splits) == (plain.class_names, plain.splits)
        inside, _ = images_of(f"folder:{archive}/{split}")
        np.testing.assert_array_equal(inside, expected)
    assert "1 files that are no images by their suffix (train/read" in ours.notes[0]
    refused(f"folder:{archive}/nowhere", "there are no images in")
    save(tmp_path / "a.png")
    refused(f"folder:{tmp_path}/a.png", "is a file, but no zip archive")
    whole = archive.read_bytes()
    archive.write_bytes(whole[: len(whole) // 2])
    refused(f"folder:{archive}", "no zip archive")


def test_pairs_and_maps_and_domains_of_archives(tmp_path):
    folder = tmp_path / "in"
    for side in ("A", "B", "images"):
        save(folder / side / "1.png")
    save(folder / "maps/1.png", 3, (4, 4))
    archive = zipped(folder, tmp_path / "in.zip")
    for kind, names in (("pairs", "input"), ("maps", "map"), ("unpaired", "image")):
        found, expected = (data.load(f"{kind}:{x}") for x in (archive, folder))
        rows, others = (x.fetch(np.zeros(1, int))[names] for x in (found, expected))
        np.testing.assert_array_equal(rows, others)


def test_a_damaged_member_of_an_archive_is_skipped_and_named(tmp_path):
    save(tmp_path / "in/1.png")
    save(tmp_path / "in/2.png")
    archive = zipped(tmp_path / "in", tmp_path / "in.zip")
    content = bytearray(archive.read_bytes())
    at = content.index(b"2.png") + 60
    content[at] ^= 255
    archive.write_bytes(bytes(content))
    (note,) = data.load(f"folder:{archive}").notes
    assert "skipped 1 of 2" in note and "2.png (Bad CRC-32" in note


# --- classes


def test_numbers_that_name_classes_are_in_their_order(tmp_path):
    for name in ("10", "2", "1"):
        save(tmp_path / name / "a.png", int(name))
    found, ours = images_of(f"folder:{tmp_path}")
    assert ours.class_names == ("1", "2", "10")
    assert found[:, 0, 0, 0].tolist() == [1, 2, 10]
    save(tmp_path / "b/a.png")
    assert data.load(f"folder:{tmp_path}").class_names == ("1", "10", "2", "b")


def test_classes_without_images_are_none(tmp_path):
    images = rng.integers(0, 256, (6, 4, 4, 3), np.uint8)
    labels = np.array([1, 3, 1, 2, 3, 1])
    np.savez(tmp_path / "a.npz", images=images, labels=labels)
    for ours in (
        data.from_arrays(images, labels, name="x"),
        data.load(f"npz:{tmp_path}/a.npz"),
    ):
        assert ours.class_names == ("1", "2", "3")
        (note,) = ours.notes
        assert "no image has the label 0; the 3 classes are called by" in note
        found = ours.fetch(np.arange(6))["label"]
        assert [ours.class_names[k] for k in found] == [str(k) for k in labels]
    named = data.from_arrays(images, labels, class_names=tuple("abcd"))
    assert named.class_names == tuple("abcd")  # the user's own
    np.testing.assert_array_equal(named.fetch(np.arange(6))["label"], labels)


def idx(path, array):
    head = bytes((0, 0, 8, array.ndim)) + b"".join(
        n.to_bytes(4, "big") for n in array.shape
    )
    path.write_bytes(head + array.astype(np.uint8).tobytes())


def test_a_test_split_has_the_classes_of_the_training_images(tmp_path):
    for split, labels in (("train", [1, 2, 3, 3]), ("t10k", [3, 2])):
        idx(tmp_path / f"{split}-images-idx3-ubyte", np.zeros((len(labels), 4, 4)))
        idx(tmp_path / f"{split}-labels-idx1-ubyte", np.array(labels))
    test = data.load(f"idx:{tmp_path}", split="test")
    assert test.class_names == ("1", "2", "3")
    assert test.fetch(np.arange(2))["label"].tolist() == [2, 1]
    idx(tmp_path / "t10k-labels-idx1-ubyte", np.array([3, 7]))
    refused(f"idx:{tmp_path}", "its test images have the label 7", split="test")
