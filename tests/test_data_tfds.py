"""Prepared TFDS datasets, written here by a tiny builder, without TensorFlow."""

import functools
import io
import shutil
import socket
import struct

import numpy as np
import pytest
from PIL import Image

from jaxgan import data
from jaxgan.data import decoding, records, tfds
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


def test_classes_without_images_are_said(load, prepared):
    _prepare(prepared, "ants", [(6, 8, 3)] * 2, label=lambda i: 0)
    ours = load("tfds:ants")
    assert ours.class_names == ("ant", "bee")  # as the data set has them
    (note,) = ours.notes
    assert note.endswith("of 1 classes there is no image, so none is learned: bee")
    assert load("tfds:ants", split="test").notes == load("tfds:even").notes == ()


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


# --- TFRecord, written here from its specification


def checksum(content):
    """CRC-32C, bit by bit (RFC 3720, B.4), masked as TFRecord has it."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def varint(n):
    n %= 2**64
    low, rest = n & 0x7F, n >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def serialized(packed=True, **features):
    """A `tf.train.Example` of bytes and integers."""
    entries = b""
    for name, value in features.items():
        if isinstance(value, bytes):
            inside = field(1, field(1, value))
        elif packed:
            inside = field(3, field(1, varint(value)))
        else:
            inside = field(3, varint(1 << 3) + varint(value))
        entries += field(1, field(1, name.encode()) + field(2, inside))
    return field(1, entries)


def tfrecord(path, contents):
    body = b""
    for content in contents:
        length = struct.pack("<Q", len(content))
        body += length + checksum(length) + content + checksum(content)
    path.write_bytes(body)


@pytest.fixture
def recorded(prepared):
    """`recorded(name, split) -> file`: a data set prepared as TFRecord, and its file
    of a split, with the same examples in the same order."""

    def of(name, split="train"):
        there = prepared / f"{name}_records/1.0.0"
        if not there.exists():
            shutil.copytree(prepared / f"{name}/1.0.0", there)
            info = there / "dataset_info.json"
            info.write_text(info.read_text().replace("array_record", "tfrecord"))
            for old in there.glob("*.array_record*"):
                old.unlink()
                part = old.name.split("-")[1].split(".")[0]
                given = data.load(
                    f"tfds:{name}", split=part, sources=(tfds.source(prepared),)
                ).fetch(np.arange(7 if part == "train" and name == "even" else 1))
                rows = [
                    serialized(
                        packed=i % 2 == 0,
                        image=_png(image).read(),
                        label=int(given["label"][i]),
                        number=-1,
                    )
                    for i, image in enumerate(given["image"])
                ]
                tfrecord(there / old.name.replace("array_record", "tfrecord"), rows)
        return next(there.glob(f"*-{split}.tfrecord*"))

    return of


def test_checksums_are_those_of_rfc_3720():
    for content, crc in (
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (b"123456789", 0xE3069283),
    ):
        turned = crc >> 15 | crc << 17 & 0xFFFFFFFF
        assert records.masked(content) == (turned + 0xA282EAD8) % 2**32
    rng = np.random.default_rng(0)
    for size in (0, 1, 2, 3, 4, 5, 63, 64, 65, 1000, 4097):
        content = rng.integers(0, 256, size, np.uint8).tobytes()
        ours = struct.pack("<I", records.masked(content))
        assert ours == checksum(content), size


def test_examples_are_parsed():
    floats = field(2, field(1, struct.pack("<2f", 0.5, -2)))
    entry = field(1, field(1, b"x") + field(2, floats))
    more = field(1, field(1, b"none") + field(2, b""))
    found = records.example(field(1, entry + more))
    assert found == {"x": [0.5, -2], "none": []}
    found = records.example(serialized(image=b"abc", label=-3, number=2**40))
    assert found == {"image": [b"abc"], "label": [-3], "number": [2**40]}
    for broken in (b"\x0a\x05ab", b"\x0b", b"\xff" * 11):
        with pytest.raises(ValueError, match=r"no tf\.train\.Example"):
            records.example(broken)


def test_tfrecord_is_read_without_tensorflow(load, recorded, monkeypatch):
    assert recorded("even").name.startswith("even-train.tfrecord-00000-of-")
    for split in ("train", "test"):
        ours = load("tfds:even_records", split=split)
        there = load("tfds:even", split=split)
        assert (ours.splits, ours.class_names) == (there.splits, there.class_names)
        for budget in (2**30, 0):  # kept, and streamed
            monkeypatch.setattr(decoding, "MEMORY_BUDGET", budget)
            ours = load("tfds:even_records", split=split)
            rows, expected = (x.fetch(np.arange(x.size)) for x in (ours, there))
            assert rows.keys() == expected.keys()
            for name, x in rows.items():
                np.testing.assert_array_equal(x, expected[name])


def test_damaged_tfrecords_are_refused(refusal, recorded):
    file = recorded("even")
    whole = file.read_bytes()
    for broken, needle in (
        (whole[:-1], "is cut short"),
        (whole[:5], "is cut short"),
        (whole[:3] + b"\1" + whole[4:], "a checksum does not fit"),
        (whole[:60] + bytes([whole[60] ^ 1]) + whole[61:], "a checksum does not fit"),
        (b"", "it has 0 of 7 examples"),
    ):
        file.write_bytes(broken)
        refusal("even_records", needle, "prepare it again")
    file.write_bytes(whole)


def test_other_formats_need_tensorflow(refusal, prepared):
    shutil.copytree(prepared / "even/1.0.0", prepared / "bags/1.0.0")
    info = prepared / "bags/1.0.0/dataset_info.json"
    info.write_text(info.read_text().replace("array_record", "riegeli"))
    needles = ("prepared as riegeli", "only tensorflow", "tfds convert_format")
    refusal("bags", *needles, f"{prepared}/bags/1.0.0")


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
