"""Prepared TFDS datasets, written here by a tiny builder, without TensorFlow."""

import functools
import importlib.util
import io
import shutil
import socket

import numpy as np
import pytest
from PIL import Image

from jaxgan import data
from jaxgan.data import tfds
from jaxgan.types import UsageError


def _png(array):
    file = io.BytesIO()
    Image.fromarray(array).save(file, "png")
    file.seek(0)
    return file


def _image(number, shape):
    return np.random.default_rng(number).integers(0, 256, shape, np.uint8)


def _prepare(
    root, name, shapes, *, channels=3, label=lambda i: i % 2, key="image", splits=None
):
    """Writes splits train (all shapes) and test (the first) as array_record."""
    splits = splits or {"train": shapes, "test": shapes[:1]}
    import tensorflow_datasets as tfds

    features = {
        key: tfds.features.Image(shape=(None, None, channels)),
        "label": tfds.features.ClassLabel(names=["ant", "bee"]),
        "number": np.int64,
    }
    if label is None:
        del features["label"]

    class Written(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            described = tfds.features.FeaturesDict(features)
            return tfds.core.DatasetInfo(builder=self, features=described)

        def _split_generators(self, _):
            return {name: self._examples(some) for name, some in splits.items()}

        def _generate_examples(self):
            raise NotImplementedError

        def _examples(self, shapes):
            for i, shape in enumerate(shapes):
                example = {key: _png(_image(i, shape)), "number": i}
                yield i, example | ({"label": label(i)} if label else {})

    Written.name = name
    Written(data_dir=root, file_format="array_record").download_and_prepare()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    root = tmp_path_factory.mktemp("tfds")
    _prepare(root, "even", [(6, 8, 3)] * 7)
    _prepare(root, "gray", [(6, 8)] * 3, channels=1, label=lambda i: -1)
    _prepare(root, "uneven", [(6, 8, 3), (9, 6, 3)], label=None)
    _prepare(root, "pictureless", [(6, 8, 3)], key="photo")
    size = [(6, 8, 3)]
    parts = {"trainA": 3, "trainB": 4, "testA": 1, "testB": 2}
    parts = {name: size * n for name, n in parts.items()}
    _prepare(root, "zebras", size, label=None, splits=parts)
    shutil.copytree(root / "zebras/1.0.0", root / "cycle_gan/horse2zebra/1.0.0")
    parts["trainA"] = [(5, 5, 3)]
    _prepare(root, "maps", size, label=None, splits=parts)
    shutil.copytree(root / "maps/1.0.0", root / "cycle_gan/maps/1.0.0")
    shutil.copytree(root / "even/1.0.0", root / "many/one/1.0.0")
    shutil.copytree(root / "even/1.0.0", root / "versions/1.9.0")
    shutil.copytree(root / "gray/1.0.0", root / "versions/1.10.0")
    (root / "versions/incomplete.ABC_2.0.0").mkdir()
    shutil.copytree(root / "even/1.0.0", root / "records/1.0.0")
    info = root / "records/1.0.0/dataset_info.json"
    info.write_text(info.read_text().replace("array_record", "tfrecord"))
    return root


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def connect(*_):
        raise AssertionError("reached for the network")

    monkeypatch.setattr(socket.socket, "connect", connect)


@pytest.fixture
def load(prepared):
    """`data.load` of what is prepared."""
    return functools.partial(data.load, sources=(tfds.source(prepared), *data.SOURCES))


@pytest.fixture
def refusal(load):
    return functools.partial(_refusal, load)


def _refusal(load, name, *needles, **options):
    with pytest.raises(UsageError) as caught:
        load(f"tfds:{name}", **options)
    message = str(caught.value)
    assert message.startswith(f"data tfds:{name}: ") and "\n" not in message
    for needle in needles:
        assert needle in message, message


def _number(image, shape):
    """Which of the written images this is."""
    return next(i for i in range(9) if np.array_equal(image, _image(i, shape)))


def test_reads_what_was_prepared(load, caplog):
    ours = load("tfds:even")
    assert (ours.size, ours.shape) == (7, (6, 8, 3))
    assert ours.class_names == ("ant", "bee") and ours.name == "tfds:even"
    batch = ours.fetch(np.arange(7))
    assert batch["image"].dtype == np.uint8 and batch["label"].dtype == np.int32
    numbers = [_number(image, (6, 8, 3)) for image in batch["image"]]
    assert sorted(numbers) == list(range(7))  # TFDS shuffles as it writes
    assert batch["label"].tolist() == [n % 2 for n in numbers]
    assert load("tfds:even", split="test").size == 1
    assert caplog.text == ""


def test_cycle_gan_s_are_two_domains(load, refusal):
    ours = load("tfds:cycle_gan/horse2zebra")
    assert [group.size for group in ours.groups] == [4, 3] and ours.fields == {
        "image",
        "input",
    }
    test = load("tfds:cycle_gan/horse2zebra", split="test")
    assert [group.size for group in test.groups] == [2, 1]
    assert test.splits == ours.splits == ("train", "test")
    assert load("tfds:even").splits == ("train", "test")
    batch = ours.batch(0, 0, 2)
    assert batch["input"].shape == batch["image"].shape == (2, 6, 8, 3)
    refusal("cycle_gan/maps", "images are 5x5 in", "`resize` HxW")
    sized = load("tfds:cycle_gan/maps", resize=(4, 4))
    assert sized.shape == (4, 4, 3)
    assert sized.batch(0, 0, 2)["input"].shape == (2, 4, 4, 3)
    refusal("cycle_gan/horse2zebra", "no split 'trainA'", split="trainA")


def test_gray_and_withheld_labels(load):
    ours = load("tfds:gray")
    assert (ours.shape, ours.class_names) == ((6, 8, 1), ())
    assert ours.fetch(np.arange(3)).keys() == {"image"}


def test_sizes_must_agree(load, refusal):
    refusal("uneven", "differ in size", "6x8", "9x6", "`resize`")
    ours = load("tfds:uneven", resize=12, crop=12)
    assert (ours.shape, ours.class_names) == ((12, 12, 3), ())


def test_configs_and_versions(load, refusal):
    assert load("tfds:many/one").size == 7
    refusal("many", "say which config", "one")
    assert load("tfds:versions").shape == (6, 8, 1)
    assert load("tfds:versions:1.9.0").shape == (6, 8, 3)
    refusal("versions:2.0.0", "2.0.0 is not prepared", "1.9.0, 1.10.0")


def test_what_is_not_prepared_is_not_downloaded(refusal, prepared):
    refusal("mnist", "not prepared", f"{prepared}", "tfds build mnist")
    refusal("even", "no split 'validation'", "train and test", split="validation")
    refusal("pictureless", "no feature `image`")


def test_the_default_directory(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TFDS_DATA_DIR", "/elsewhere")  # the program's affair
    _refusal(data.load, "even", f"{tmp_path}/tensorflow_datasets")


@pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is not None, reason="TensorFlow is here"
)
def test_tfrecord_needs_tensorflow(refusal, prepared):
    needles = ("prepared as tfrecord", "pip install tensorflow", "tfds convert_format")
    refusal("records", *needles, f"{prepared}/records/1.0.0")


def test_tfrecord_is_read_through_tensorflow_where_it_is_installed(load, monkeypatch):
    # A stand-in for TensorFlow, at the two calls that reach for it.
    import tensorflow_datasets

    builder = tensorflow_datasets.core.read_only_builder.ReadOnlyBuilder
    examples = [{"image": _image(i, (4, 4, 3)), "label": 1 - i} for i in range(2)]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(builder, "as_dataset", lambda self, split: split)
    monkeypatch.setattr(tensorflow_datasets, "as_numpy", lambda split: iter(examples))
    batch = load("tfds:records").fetch(np.array([1, 0]))
    assert [_number(image, (4, 4, 3)) for image in batch["image"]] == [1, 0]
    assert batch["label"].tolist() == [0, 1]


def test_a_missing_reader_and_damaged_metadata(refusal, monkeypatch, prepared):
    import tensorflow_datasets

    def no_reader(self, split):
        raise ImportError("no array_record here")

    builder = tensorflow_datasets.core.read_only_builder.ReadOnlyBuilder
    monkeypatch.setattr(builder, "as_data_source", no_reader)
    refusal("even", "prepared as array_record", "pip install array_record")
    shutil.copytree(prepared / "even/1.0.0", prepared / "torn/1.0.0")
    (prepared / "torn/1.0.0/dataset_info.json").write_text('{"name": "to')
    refusal("torn", "cannot be opened", "prepare it again")
