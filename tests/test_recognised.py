"""MNIST's digits are known by what they show, wherever they are loaded from."""

import struct

import numpy as np
import pytest
from PIL import Image

from jaxgan import data
from jaxgan.data import mnist, sources
from jaxgan.metrics import extractors
from jaxgan.types import UsageError


@pytest.fixture(scope="module")
def digits():
    return mnist.read("train")[0][1000:1300], mnist.read("train")[1][1000:1300]


def clothes(n=300):
    """Of MNIST's form, and as dark at the border, but not its images."""
    rng = np.random.default_rng(0)
    found = np.zeros((n, 28, 28, 1), np.uint8)
    found[:, 4:24, 6:22] = rng.integers(0, 256, (n, 20, 16, 1))
    return found


def as_npz(images, folder):
    np.savez(folder / "some.npz", images=images)
    return f"npz:{folder / 'some.npz'}"


def as_folder(images, folder):
    for i, image in enumerate(images):
        Image.fromarray(image[..., 0]).save(folder / f"{i:04d}.png")
    return f"folder:{folder}"


def as_idx(images, folder):
    head = struct.pack(">HBB3I", 0, 8, 3, *images.shape[:3])
    (folder / "train-images-idx3-ubyte").write_bytes(head + images.tobytes())
    labels = struct.pack(">HBBI", 0, 8, 1, len(images)) + bytes(len(images))
    (folder / "train-labels-idx1-ubyte").write_bytes(labels)
    return f"idx:{folder}"


@pytest.mark.parametrize("kept", (as_npz, as_folder, as_idx))
def test_digits_are_digits_and_clothes_are_not(kept, digits, tmp_path):
    for name, images, content in (
        ("digits", digits[0], "digits"),
        ("clothes", clothes(), ""),
        ("negative", 255 - digits[0], ""),
        ("one of them another", np.concatenate([digits[0][:63], clothes(1)]), ""),
    ):
        (tmp_path / name).mkdir()
        loaded = data.load(kept(images, tmp_path / name))
        assert loaded.content == content, name
        by = extractors.choose(None, loaded.content, loaded.shape).distance
        assert by == ("fd_mnist" if content else "fd_filters")


def test_digits_of_another_size_are_not_looked_up(digits, tmp_path, monkeypatch):
    monkeypatch.setattr(mnist, "holds", lambda dataset: pytest.fail("it was"))
    spec = as_npz(digits[0], tmp_path)
    assert data.load(spec, resize=32).content == ""
    assert data.load("mnist").content == "digits"  # as is known without


def test_any_source_s_digits_are_known_and_few_are_enough(digits):
    ours = data.from_arrays(digits[0][:3], digits[1][:3], name="ours")
    source = data.Source("ours", "ours", "", lambda r: ("train",), lambda r: ours)
    known = data.load("ours", sources=(source, *sources.SOURCES))
    assert known.content == "digits" and known.size == 3


def test_a_python_that_cannot_tell_says_so(digits, tmp_path, monkeypatch):
    spec = as_npz(digits[0], tmp_path)

    def broken(split):
        raise UsageError("data", "mnist", ": this Python cannot unpack it")

    monkeypatch.setattr(mnist, "read", broken)
    mnist._hashes.cache_clear()
    loaded = data.load(spec)
    assert loaded.content == "" and "cannot unpack it." in loaded.notes[-1]
