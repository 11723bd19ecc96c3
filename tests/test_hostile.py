"""Files and flags that nobody means well: each is read, or refused in one sentence.

`JAXGAN_FUZZ=20 pytest tests/test_hostile.py` tries twenty times as many damaged ones.
"""

import functools
import io
import json
import os
import pickle
import signal
import struct
import sys
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path

import dcgan_mnist
import numpy as np
import pytest
from command_line import run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from jaxgan import data
from jaxgan.data import outside, records, tfds
from jaxgan.metrics import mnist, weights
from jaxgan.run import (
    best_state,
    cli,
    config,
    hosts,
    members,
    naming,
    reading,
    record,
    workdir,
)
from jaxgan.run import settings as options
from jaxgan.run.train import train
from jaxgan.types import UsageError

MORE = int(os.environ.get("JAXGAN_FUZZ", "1"))
SECONDS = 20
GIGABYTE = 1 << 30
KIND = type(dcgan_mnist.PRESET)


@contextmanager
def quickly(seconds=SECONDS):
    """An error where something hangs."""

    def late(number, frame):
        raise AssertionError(f"more than {seconds} seconds")

    old = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


def refused(function, *args, **kwargs):
    """The sentence that it is refused in, or None."""
    with quickly():
        try:
            function(*args, **kwargs)
        except UsageError as error:
            text = str(error)
            assert len(text.splitlines()) == 1 and text.isprintable(), text
            assert text.encode() and len(text) < 4000
            return text
    return None


def peak():
    """Bytes that this process has had at most."""
    text = Path("/proc/self/status").read_text()
    return int(text.partition("VmHWM:")[2].split()[0]) << 10


@contextmanager
def in_little_memory():
    """An error where a gigabyte more is touched."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak is from now on
    before = peak()
    yield
    assert peak() - before < GIGABYTE


def fuzz(count):
    """Of so many examples, the same each time."""
    return settings(
        max_examples=count * MORE,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


EXTREMES = [0, 1, 0x7F, 0xFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**40, 2**64 - 1]


@st.composite
def damaged(draw, whole):
    """One of some contents, with a few mistakes in it; or something else entirely."""
    content = bytearray(draw(st.sampled_from(whole)))
    if draw(st.integers(0, 19)) == 0:
        return draw(st.binary(max_size=200))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(content) - 1, 0)))
        kind = draw(st.sampled_from("flip cut insert drop swap number".split()))
        if kind == "flip" and content:
            content[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "cut":
            del content[at:]
        elif kind == "insert":
            content[at:at] = draw(st.binary(min_size=1, max_size=40))
        elif kind == "drop":
            del content[at : at + draw(st.integers(1, 40))]
        elif kind == "swap":
            content = content[at:] + content[:at]
        elif kind == "number":
            kind = draw(st.sampled_from(["B", ">H", "<I", ">I", "<Q"]))
            size = struct.calcsize(kind)
            number = draw(st.sampled_from(EXTREMES)) % (1 << 8 * size)
            content[at : at + size] = struct.pack(kind, number)
    return bytes(content)


RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (8, 8, 3), np.uint8)


def picture(kind, mode="RGB", **kwargs):
    file = io.BytesIO()
    Image.fromarray(PIXELS).convert(mode).save(file, kind, **kwargs)
    return file.getvalue()


def zipped(members, method=zipfile.ZIP_DEFLATED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def npz(compressed=False, **arrays):
    file = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(file, **arrays)
    return file.getvalue()


def npy(array, **kwargs):
    file = io.BytesIO()
    np.save(file, array, **kwargs)
    return file.getvalue()


PNG = picture("PNG")
FRAMES = [Image.fromarray(PIXELS), Image.fromarray(PIXELS[::-1])]
EXIF = Image.Exif()
EXIF[0x0112] = 6
PICTURES = {
    "png": [
        PNG,
        picture("PNG", "P"),
        picture("PNG", "LA"),
        picture("PNG", "L", transparency=3, exif=EXIF),
        picture("PNG", "I;16"),
        picture("PNG", icc_profile=b"acsp" * 40),
    ],
    "jpg": [picture("JPEG"), picture("JPEG", "CMYK"), picture("JPEG", exif=EXIF)],
    "webp": [picture("WEBP"), picture("WEBP", "RGBA", lossless=True)],
    "gif": [picture("GIF", "P", save_all=True, append_images=FRAMES)],
    "tif": [picture("TIFF"), picture("TIFF", compression="tiff_lzw")],
    "bmp": [picture("BMP"), picture("BMP", "P")],
}
IMAGES = RNG.integers(0, 256, (4, 6, 6, 1), np.uint8)
NPZ = [
    npz(images=IMAGES, labels=np.arange(4)),
    npz(True, images=IMAGES, labels=np.arange(4)),
    npz(images=np.asfortranarray(IMAGES[..., 0]), other=np.zeros(3)),
]
TREES = [
    zipped({"a/1.png": PNG, "a/2.png": PNG, "b/1.png": PNG, "b/notes.txt": "no"}),
    zipped({"train/1.png": PNG, "test/2.png": PNG}, zipfile.ZIP_STORED),
    zipped({"1.png": PNG, "dataset.json": json.dumps({"labels": [["1.png", 3]]})}),
    zipped({"A/1.png": PNG, "B/1.png": PNG, "images/1.png": PNG, "maps/1.png": PNG}),
    zipped({"trainA/1.png": PNG, "trainB/2.jpg": PICTURES["jpg"][0]}),
]
KINDS = ["folder", "pairs", "maps", "unpaired"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder for what is tried."""
    return tmp_path_factory.mktemp("hostile")


@pytest.fixture(scope="module", autouse=True)
def memory():
    """None of all this takes gigabytes."""
    with in_little_memory():
        yield


@fuzz(120)
@given(content=damaged(NPZ))
def test_any_npz_is_read_or_refused(place, content):
    file = place / "any.npz"
    file.write_bytes(content)
    refused(data.load, f"npz:{file}")


@fuzz(120)
@given(content=damaged(TREES), kind=st.sampled_from(KINDS))
def test_any_archive_of_images_is_read_or_refused(place, content, kind):
    file = place / "any.zip"
    file.write_bytes(content)
    refused(data.load, f"{kind}:{file}")


@fuzz(200)
@given(content=st.data(), depth=st.sampled_from([8, 16]))
@pytest.mark.filterwarnings("ignore")  # Pillow's, of what it mends
def test_any_image_is_read_or_refused(place, content, depth):
    suffix = content.draw(st.sampled_from(sorted(PICTURES)))
    file = place / "images" / f"any.{suffix}"
    file.parent.mkdir(exist_ok=True)
    for other in file.parent.iterdir():
        other.unlink()
    file.write_bytes(content.draw(damaged(PICTURES[suffix])))
    refused(data.load, f"folder:{file.parent}", depth=depth)
    refused(reading.mask, file)
    refused(reading.style, file, (8, 8, 3))


@fuzz(60)
@given(content=damaged([struct.pack(">4B3I", 0, 0, 8, 3, 2, 3, 3) + bytes(18)]))
def test_any_idx_file_is_read_or_refused(place, content):
    folder = place / "idx"
    folder.mkdir(exist_ok=True)
    labels = struct.pack(">4BI", 0, 0, 8, 1, 2) + bytes(2)
    (folder / "train-images-idx3-ubyte").write_bytes(content)
    (folder / "train-labels-idx1-ubyte").write_bytes(labels)
    refused(data.load, f"idx:{folder}")


def record_of(content):
    size = struct.pack("<Q", len(content))
    checks = (struct.pack("<I", records.masked(x)) for x in (size, content))
    return size + next(checks) + content + next(checks)


@fuzz(60)
@given(content=damaged([record_of(b"abc") + record_of(b"\x0a\x00")]))
def test_any_file_of_records_is_read_or_refused(place, content):
    file = place / "any.tfrecord"
    file.write_bytes(content)
    with quickly():
        try:
            found = records.records([file])
            for i in range(len(found.start)):
                records.example(found.content(i))
        except ValueError:  # which the one who asked words
            pass


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**31, 2**63, 10**400, -1, 0, 1e-320])
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["\0", "\ud800", "a\nb", "\x1b[2J", "../..", "npz:\0", "9" * 50]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=5,
)
NAMES = st.sampled_from(sorted(options.known(KIND)))
OPTIONS = st.dictionaries(NAMES | st.text(max_size=5), VALUES, max_size=4)
CONFIG = [json.dumps({"steps": 5, "g_lr": 1e-3, "data": "mnist"}).encode()]


def checked(cfg):
    """What is checked of a run's options before there is a model."""
    config.check(cfg)
    members.members(cfg)
    for name in ("resize", "crop", "random_crop"):
        config.size(name, getattr(cfg, name))


def from_file(file):
    checked(options.from_file(str(file), dcgan_mnist.PRESET))


@fuzz(60)
@given(content=damaged(CONFIG))
def test_any_file_of_options_is_read_or_refused(place, content):
    file = place / "options.json"
    file.write_bytes(content)
    refused(from_file, file)


@fuzz(150)
@given(values=OPTIONS)
def test_any_values_of_options_are_taken_or_refused(place, values):
    file = place / "values.json"
    file.write_text(json.dumps(values))
    refused(from_file, file)


RUN = {
    "experiment": "dcgan_mnist",
    "config": {"steps": 5},
    "shape": [8, 8, 1],
    "class_names": ["a", "b"],
    "levels": 255,
    "held_out": 0,
    "made_by": {"jax": "1"},
    "continued": [{"step": 3, "config": {}, "made_by": {}}],
}


def opened_run(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workdir, "_write", lambda file, values: None)
        found = workdir.read(folder, KIND)
        members.members(found.config)
        workdir.open_run(folder, found, {"jax": "2"}, 4)
    json.dumps(found._asdict() | {"config": options.to_dict(found.config)})


def run_of(folder):
    workdir.adopted(folder, dcgan_mnist.PRESET)
    workdir.last_made_by(folder)
    opened_run(folder)


@fuzz(60)
@given(content=damaged([json.dumps(RUN).encode()]))
def test_any_config_of_a_run_is_read_or_refused(place, content):
    folder = place / "run"
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_bytes(content)
    refused(run_of, folder)


@fuzz(150)
@given(name=st.sampled_from(sorted(RUN)), value=VALUES, inside=OPTIONS)
def test_any_values_in_a_run_are_taken_or_refused(place, name, value, inside):
    folder = place / "run of values"
    folder.mkdir(exist_ok=True)
    values = RUN | {"config": inside} | {name: value}
    (folder / "config.json").write_text(json.dumps(values))
    refused(run_of, folder)


@fuzz(60)
@given(content=damaged([b'{"step": 4, "figure": "fd", "value": 1.5}']))
def test_any_record_of_a_best_state_is_read_or_refused(place, content):
    (place / "best.json").write_bytes(content)
    refused(best_state.known, place / "best")


@fuzz(60)
@given(content=damaged([b'{"step": 2, "g": NaN}\n{"step": 4, "g": [1, null]}\n']))
def test_any_metrics_are_gone_on_with(place, content):
    folder = place / "metrics"
    folder.mkdir(exist_ok=True)
    file = folder / "metrics.jsonl"
    file.write_bytes(content)
    sink = record.jsonl(file, 3, lambda text: None)
    sink.close()
    for line in file.read_bytes().splitlines():
        assert outside.as_json(line)["step"] <= 3


@functools.cache
def pth():
    """A file of weights as PyTorch before 1.6 wrote it, and as it does now."""
    torch = pytest.importorskip("torch")
    found = []
    for new in (False, True):
        file = io.BytesIO()
        tensors = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2)}
        torch.save(tensors, file, _use_new_zipfile_serialization=new)
        found.append(file.getvalue())
    return found


@fuzz(150)
@given(content=st.data())
def test_any_file_of_weights_is_read_or_refused(place, content):
    file = place / "any.pth"
    file.write_bytes(content.draw(damaged(pth())))
    refused(weights.state_dict, file)


@fuzz(40)
@given(content=damaged([mnist.WEIGHTS.read_bytes()]))
def test_any_weights_of_a_classifier_are_read_or_refused(place, content):
    file = place / "classifier.npz"
    file.write_bytes(content)
    mnist.weights.cache_clear()
    refused(mnist.weights, file)


HOSTILE = [
    *("1e400", "-1e400", "nan", "-1", "0", "2147483648", "9" * 30, "9" * 5000, "1_0"),
    *("", " ", "\udcff", "\n", "é", "٣", "=", "--", "-", "None", "True", "[]", "{}"),
    *("x", "64x", "x64", "0x0", "99999x99999", "1x1x1", "../..", "/dev/null", "/"),
    *(
        "g_lr=",
        "g_lr=nan",
        "g_lr=1e400",
        "g_lr=1,1",
        "steps=1",
        "=1",
        "npz:",
    ),
]
FLAGS = [options.flag(name) for name in sorted(options.known(KIND))]
MORE_WORDS = "sample evaluate translate --input --num --tile --label --no-flip".split()
WORDS = st.sampled_from(FLAGS + MORE_WORDS)
TEXT = st.text(st.characters(exclude_characters="\0"), max_size=6)
PAIR = st.tuples(WORDS, st.sampled_from(HOSTILE) | TEXT | WORDS)
ARGV = st.lists(PAIR, min_size=1, max_size=4).map(lambda pairs: [*sum(pairs, ())])


def command_line(argv):
    """The exit code, and what was said, as a process says it."""
    bare = io.BytesIO()
    said = io.TextIOWrapper(bare, "utf-8", "backslashreplace", write_through=True)
    with pytest.MonkeyPatch.context() as patch, quickly():
        patch.setattr(sys, "stderr", said)
        patch.setattr(cli, "train", lambda cfg, *args, **kwargs: checked(cfg))
        patch.setattr(cli, "_cache_compilations", lambda: None)
        patch.setattr(hosts, "start", lambda *args: args[0] and hosts._check(*args))
        code = run(dcgan_mnist, *argv)
    return code, bare.getvalue().decode()


@fuzz(150)
@given(argv=ARGV)
def test_any_command_line_is_taken_or_refused(place, argv, monkeypatch):
    monkeypatch.chdir(place)
    code, said = command_line(argv)
    assert code in (0, 2) and "Traceback" not in said


# One by one: what somebody might well plant.


class Planted:
    """Makes a file where it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


def claiming(shape, dtype="|u1", content=b""):
    """An npz whose header claims more than there is."""
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}}}\n"
    head = b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header.encode()
    return zipped({"images.npy": head + content})


def huge(width, height):
    """A PNG of so many pixels, all of them black, in a few bytes."""

    def chunk(kind, content):
        check = zlib.crc32(kind + content)
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)
        )

    head = struct.pack(">2I5B", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(1 << 16))
    parts = [(b"IHDR", head), (b"IDAT", rows), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def lying(content, **changes):
    """An archive whose directory says other numbers of its one member."""
    content, at = bytearray(content), content.rindex(b"PK\1\2")
    where = {
        "flags": (8, "H"),
        "method": (10, "H"),
        "packed": (20, "I"),
        "size": (24, "I"),
    }
    for name, value in changes.items():
        start, kind = where[name]
        struct.pack_into(f"<{kind}", content, at + start, value)
    return bytes(content)


BOMB = zipped({"images.npy": bytes(300 << 20)})
DEEP = b"[" * 100_000
FILES = {
    "nothing": ("npz", b"", "is no .npz file"),
    "a text": ("npz", b"hello", "is no .npz file"),
    "a single array": ("npz", npy(IMAGES), "single array"),
    "a cut array": ("npz", claiming((4, 6, 6), content=b"12"), "it claims an array"),
    "terabytes": ("npz", claiming((1 << 20, 1 << 10, 1 << 10)), "it claims an array"),
    "more than there is": ("npz", claiming((1 << 62, 1 << 62)), "it claims an array"),
    "a negative side": ("npz", claiming((-1, 4, 4)), "it claims an array"),
    "sides of nothing": ("npz", claiming((0, 4, 4)), "not empty"),
    "a nested header": ("npz", claiming("(" * 5000), "is no .npz file"),
    "a call in a header": ("npz", claiming("__import__('os')"), "is no .npz file"),
    "objects": ("npz", claiming((4,), "|O", bytes(32)), "holds Python objects"),
    "texts": ("npz", npz(images=np.array(["a", "b"])), "uint8"),
    "numbers": ("npz", npz(images=np.zeros((2, 4, 4))), "must be uint8"),
    "five channels": (
        "npz",
        npz(images=np.zeros((2, 4, 4, 5), np.uint8)),
        "C 1, 3 or 4",
    ),
    "labels of more": ("npz", npz(images=IMAGES, labels=np.arange(5)), "one for each"),
    "labels of gaps": ("npz", npz(images=IMAGES, labels=np.arange(4) << 30), "classes"),
    "labels below 0": ("npz", npz(images=IMAGES, labels=-np.arange(4)), "classes"),
    "other names": ("npz", npz(other=IMAGES), "holds other"),
    "a bomb": ("npz", BOMB, "claims to unpack"),
    "a lie": ("npz", lying(BOMB, size=100), "is no .npz file"),
    "a lie of size": ("npz", lying(NPZ[1][:-22] + NPZ[1][-22:], size=2**32 - 2), "npz"),
    "a secret": ("npz", lying(zipped({"images.npy": b""}), flags=1), "is no .npz file"),
    "a method": ("npz", lying(zipped({"images.npy": b"a"}), method=12), "deflate"),
    "no archive": ("zip", b"PK\3\4", "no zip archive"),
    "an empty archive": ("zip", zipped({}), "no images"),
    "an archive of texts": ("zip", zipped({"a.txt": "a"}), "no images"),
    "an archive of a bomb": ("zip", zipped({"a.png": bytes(300 << 20)}), "claims to"),
    "above": ("zip", zipped({"a/../../x.png": PNG}), "no images"),
    "absolute": ("zip", zipped({"/etc/x.png": PNG}), "no images"),
    "a deep index": ("zip", zipped({"1.png": PNG, "dataset.json": DEEP}), "too deep"),
    "two indices": (
        "zip",
        zipped({"1.png": PNG, "dataset.json": b'{"a":1,"a":2}'}),
        "twice",
    ),
    "a far class": (
        "zip",
        zipped({"1.png": PNG, "dataset.json": b'{"labels": [["1.png", 2147483648]]}'}),
        "classes from 0",
    ),
    "a file beyond": (
        "zip",
        zipped({"1.png": PNG, "dataset.json": b'{"labels": [["../1.png", 0]]}'}),
        "no image",
    ),
    "mixed sizes": (
        "zip",
        zipped({"1.png": PNG, "2.png": huge(3, 3)}),
        "differ in size",
    ),
    "a huge picture": ("png", huge(60_000, 60_000), "decoded"),
    "a large picture": ("png", huge(10_000, 9_000), "too many pixels"),
    "a picture of no side": ("png", huge(0, 4), "decoded"),
    "a cut picture": ("png", PNG[:60], "decoded"),
    "an empty picture": ("png", b"", "decoded"),
    "a program as a picture": (
        "png",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n",
        "not an image",
    ),
    "a page as a picture": ("png", b"<svg><script/></svg>", "not an image"),
    "a link to nothing": ("png", "nowhere", "no images"),
    "a link to itself": ("png", "any.png", "no images"),
    "a link to a device": ("png", "/dev/zero", "no images"),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.filterwarnings("ignore")  # of large pictures
def test_a_planted_file_is_refused_in_one_sentence(tmp_path, name):
    kind, content, said = FILES[name]
    folder = tmp_path / "images"
    folder.mkdir()
    file = folder / f"any.{kind}"
    if isinstance(content, str):
        file.symlink_to(content)
    else:
        file.write_bytes(content)
    spec = (
        f"npz:{file}"
        if kind == "npz"
        else f"folder:{file if kind == 'zip' else folder}"
    )
    with in_little_memory():
        text = refused(data.load, spec)
    assert text and said in text and text.startswith("data ") and str(folder) in text


@pytest.mark.parametrize("kind", ["npz", "npy", "pth", "stream", "zip of objects"])
def test_no_pickle_is_run(tmp_path, kind):
    mark, file = tmp_path / "mark", tmp_path / "any.npz"
    planted = pickle.dumps(Planted(mark), 2)
    array = np.array([Planted(mark)] * 4, object)
    magic = pickle.dumps(weights.MAGIC, 2) + pickle.dumps(1001, 2)
    content = {
        "npz": npz(images=array),
        "npy": npy(array),
        "pth": zipped({"a/data.pkl": planted}),
        "stream": magic + pickle.dumps({"little_endian": True}, 2) + planted,
        "zip of objects": zipped({"images.npy": planted}),
    }[kind]
    file.write_bytes(content)
    assert refused(data.load, f"npz:{file}")
    assert refused(weights.state_dict, file)
    assert refused(mnist.weights, file)
    assert not mark.exists()
    pickle.loads(planted)  # it would have been seen
    assert mark.exists()


def test_a_pickle_that_numbers_too_much_is_refused(tmp_path):
    file = tmp_path / "any.pth"
    numbered = b"\x80\x02}r" + struct.pack("<I", 2**31) + b"."
    file.write_bytes(zipped({"a/data.pkl": numbered}))
    with in_little_memory():
        assert "numbers more" in refused(weights.state_dict, file)


def test_a_tensor_is_no_larger_than_its_storage(tmp_path):
    torch = pytest.importorskip("torch")
    file = tmp_path / "any.pth"
    torch.save({"a": torch.zeros(1).expand(1 << 20, 1 << 10)}, file)
    with in_little_memory():
        assert "beyond its storage" in refused(weights.state_dict, file)


def from_npz(path):
    data.load(f"npz:{path}")


def from_zip(path):
    data.load(f"folder:{path}")


def from_idx(path):
    labels = path.with_name("train-labels-idx1-ubyte")
    labels.write_bytes(struct.pack(">4BI", 0, 0, 8, 1, 1) + bytes(1))
    path.rename(path.with_name("train-images-idx3-ubyte"))
    data.load(f"idx:{path.parent}")


def from_run(path):
    path.rename(path.with_name("config.json"))
    workdir.read(path.parent, KIND)


def from_best(path):
    path.rename(path.with_name("best.json"))
    best_state.known(path.with_name("best"))


def from_metrics(path):
    path.rename(path.with_name("metrics.jsonl"))
    record.jsonl(path.with_name("metrics.jsonl"), 0)


READERS = {
    "npz": from_npz,
    "zip": from_zip,
    "idx": from_idx,
    "options": from_file,
    "run": from_run,
    "best": from_best,
    "metrics": from_metrics,
    "weights": weights.state_dict,
    "digest": weights.sha256,
    "mask": reading.mask,
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_is_no_file_is_refused_at_once(tmp_path, reader, kind):
    if (reader, kind) == ("zip", "folder"):
        pytest.skip("this reads folders")
    path = tmp_path / "any"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    with quickly(5):
        text = refused(READERS[reader], path)
    assert text and (str(path.parent) in text)


OPTIONS_REFUSED = {
    "nothing": ("", "is not JSON"),
    "a text": ("hello", "is not JSON"),
    "a list": ("[]", "must hold a JSON object"),
    "a number": ("1e400", "must hold a JSON object"),
    "deep": ("[" * 100_000, "nested too deep"),
    "deep and closed": ('{"a":' * 100_000 + "1" + "}" * 100_000, "nested too deep"),
    "twice": ('{"steps": 1, "steps": 2}', "has 'steps' twice"),
    "twice inside": ('{"config": {"steps": 1, "steps": 2}}', "has 'steps' twice"),
    "two spellings": ('{"batch-size": 1, "batch_size": 2}', "twice"),
    "a long number": (f'{{"steps": {"9" * 5000}}}', "is not JSON"),
    "a half": ('{"data": "\\ud800"}', "characters that no text has"),
    "a NUL": ('{"workdir": "a\\u0000b"}', "characters that no text has"),
    "an unknown option": ('{"stepz": 1}', "does not know"),
    "an unknown line": ('{"a\\nb": 1}', "does not know"),
    **{
        f"{name} {value}": (f'{{"{name}": {value}}}', said)
        for name, value, said in (
            ("steps", "1e400", "a whole number"),
            ("steps", "NaN", "a whole number"),
            ("steps", "2147483648", "below 2**31"),
            ("steps", "1.5", "a whole number"),
            ("steps", "true", "a whole number"),
            ("steps", "null", "a whole number"),
            ("steps", '"5"', "a whole number"),
            ("steps", "[5]", "a whole number"),
            ("steps", "0", "1 or more"),
            ("width", "2147483648", "below 2**31"),
            ("width", "9" * 40, "below 2**31"),
            ("width", "-1", "1 or more"),
            ("batch_size", "{}", "a whole number"),
            ("seed", "4294967296", "below 2**32"),
            ("seeds", "2147483647", "more than 10000"),
            ("g_lr", "1e400", "a finite number"),
            ("g_lr", "1e39", "a finite number"),
            ("g_lr", "9" * 400, "a finite number"),
            ("g_lr", "-Infinity", "a finite number"),
            ("g_lr", "NaN", "a finite number"),
            ("g_lr", '"1"', "a number"),
            ("beta1", "1", "below 1"),
            ("depth", "8.0", "one of 8, 16"),
            ("depth", "12", "one of 8, 16"),
            ("flip", "1", "true or false"),
            ("channels", "[]", "one of"),
            ("data", "5", "a text"),
            ("sweep", '"g_lr=1"', "a list"),
            ("sweep", "[1]", "a list"),
            ("sweep", '["g_lr=nan"]', "a finite number"),
            ("sweep", '["g_lr=1e400"]', "a finite number"),
            ("sweep", '["g_lr"]', "give numbers"),
            ("resize", '"99999"', "32768 pixels or less"),
            ("resize", '"0x9"', "must be N or HxW"),
            ("crop", '"1x1x1"', "must be N or HxW"),
            ("void", "256", "below 256"),
            ("process_id", "-1", "0 or more"),
        )
    },
}


@pytest.mark.parametrize("name", OPTIONS_REFUSED)
def test_a_planted_option_is_refused_in_one_sentence(tmp_path, name):
    content, said = OPTIONS_REFUSED[name]
    file = tmp_path / "options.json"
    file.write_text(content)
    text = refused(from_file, file)
    assert text and said in text
    assert str(file) in text or text.split()[0] in options.known(KIND)


ARGV_REFUSED = {
    "--steps 1e400": "--steps",
    "--steps 2147483648": "--steps 2147483648 must be 1 or more, and below 2**31.",
    "--steps -1": "--steps -1 must be 1 or more.",
    "--steps nan": "--steps",
    "--width 2147483648": "--width 2147483648 must be 1 or more, and below 2**31.",
    "--g-lr 1e400": "--g-lr inf must be a finite number",
    "--g-lr nan": "--g-lr nan must be a finite number",
    "--g-lr -1": "--g-lr -1.0 must be a finite number",
    "--seed 4294967296": "--seed 4294967296 must be 0 or more, and below 2**32.",
    "--seeds 999999": "--seeds 999999: 999999 members are more than 10000.",
    "--resize 99999x99999": "--resize 99999x99999 must be 32768 pixels or less",
    "--config nowhere.json": "--config nowhere.json cannot be read",
    "--config .": "--config . cannot be read: it is a folder.",
    "--config /dev/zero": "--config /dev/zero cannot be read: it is no plain file.",
    "--coordinator-address x": "--coordinator-address x must be HOST:PORT",
    "sample --num 2147483648": "--num 2147483648 must be 1 or more, and below 2**31.",
    "sample --workdir \udcff": "holds no run",
    "sample --workdir a\nb": "--workdir a\\nb holds no run",
    "evaluate --reference-num 0": "--reference-num 0 must be 1 or more.",
}


@pytest.mark.parametrize("argv", ARGV_REFUSED, ids=range(len(ARGV_REFUSED)))
def test_a_planted_flag_is_refused(tmp_path, argv, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, said = command_line(argv.split(" "))
    assert code == 2 and ARGV_REFUSED[argv] in said and "Traceback" not in said
    assert len(said.splitlines()) == 1 or "nan" in argv or "1e400" in argv


@pytest.mark.parametrize(
    "values",
    [
        {"shape": [8, 8]},
        {"shape": [8, 8, 1e400]},
        {"shape": [8, 8, 2**31]},
        {"shape": "881"},
        {"class_names": "ab"},
        {"class_names": [1]},
        {"levels": -1},
        {"held_out": "0"},
        {"config": []},
        {"config": {"batch_size": -1}},
        {"config": {"width": 2**31}},
        {"experiment": ["a"]},
        {"continued": "a"},
        {"continued": [1]},
    ],
    ids=str,
)
def test_a_planted_value_of_a_run_is_refused(tmp_path, values):
    file = tmp_path / "config.json"
    file.write_text(json.dumps(RUN | values))
    text = refused(run_of, tmp_path)
    assert text and str(file) in text


@pytest.mark.parametrize("widths", [{"width": 2**31 - 1}, {"latent_dim": 2**31 - 1}])
def test_networks_without_room_are_refused_before_they_are_compiled(tmp_path, widths):
    folder = tmp_path / "run"
    cfg = options.changed(dcgan_mnist.PRESET, workdir=str(folder), **widths)
    text = refused(
        train, cfg, dcgan_mnist.build, "a", data=np.zeros((64, 28, 28, 1), "u1")
    )
    assert text and "choose smaller ones" in text and not folder.exists()


# Paths.


@pytest.mark.parametrize(
    "name", ["/abs/x.png", "../x.png", "a/../../x.png", "..\\x.png"]
)
def test_no_name_of_an_archive_leads_out_of_the_output(tmp_path, name):
    file, out = tmp_path / "any.zip", tmp_path / "out"
    file.write_bytes(zipped({"in.png": PNG, name: PNG}))
    found = naming.given(file, out, {})
    assert [*found.names] == ["in.png"]
    assert all(to.is_relative_to(out) for to in found.names.values())


def test_a_link_at_the_output_is_not_followed(tmp_path):
    elsewhere, out, file = (tmp_path / n for n in ("elsewhere", "out", "any.zip"))
    elsewhere.mkdir(), out.mkdir()
    (out / "a").symlink_to(elsewhere)
    file.write_bytes(zipped({"a/in.png": PNG}))
    assert "leads out of it" in refused(naming.given, file, out, {})


@pytest.mark.parametrize("name", ["log.txt", "metrics.jsonl", "timings.jsonl"])
def test_a_link_in_a_workdir_is_not_followed(tmp_path, name):
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "run"
    elsewhere.write_text("mine")
    folder.mkdir()
    (folder / name).symlink_to(elsewhere)

    def write():
        with workdir.logger(folder) as log:
            log("text")
        sink = record.jsonl(folder / "metrics.jsonl", 0)
        sink.scalars(1, {"a": 1})
        sink.timings(1, {"a": 1})
        sink.close()

    refused(write)
    assert elsewhere.read_text() == "mine"


def test_links_that_multiply_are_walked_once(tmp_path):
    folders = [tmp_path / f"folder{k}" for k in range(12)]
    for folder in folders:
        folder.mkdir()
        (folder / "1.png").write_bytes(PNG)
    for folder in folders:
        for other in folders:
            (folder / f"to{other.name}").symlink_to(other)
    with quickly(10):
        found = data.load(f"folder:{tmp_path}")
    assert found.size >= 12 * 12


def test_folders_are_walked_to_a_depth(tmp_path):
    (tmp_path / "1.png").write_bytes(PNG)
    folders = [str(tmp_path)]
    for _ in range(1500):
        folders.append(f"{folders[-1]}/a")
        os.mkdir(folders[-1])
    try:
        assert any("deep" in note for note in data.load(f"folder:{tmp_path}").notes)
    finally:  # pytest would not get so deep
        for folder in folders[:0:-1]:
            os.rmdir(folder)


@pytest.mark.parametrize("name", ["../secret", "/secret", "a/../../secret"])
def test_no_name_leads_out_of_the_prepared_datasets(tmp_path, name):
    root, secret = tmp_path / "root", tmp_path / "secret"
    (secret / "1.0.0").mkdir(parents=True)
    root.mkdir()
    (secret / "1.0.0/dataset_info.json").write_text("{}")
    source = tfds.source(root)
    text = refused(data.load, f"tfds:{name}", sources=(source,))
    assert text and "a name has no .." in text


def test_words_of_others_stay_in_one_line():
    error = UsageError("data", "a\n\x1b[2J\ud800\udcff" + "b" * 10_000, "is\rnone.")
    text = str(error)
    assert text.isprintable() and len(text) < 600
    assert text.startswith(r"data a\n\x1b[2J\ud800\xffb")
