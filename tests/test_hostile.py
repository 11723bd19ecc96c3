"""Files and flags that nobody means well: each is read, or refused in one sentence.

`JAXGAN_FUZZ=20 pytest tests/test_hostile.py` tries twenty times as many damaged ones.
"""

import functools
import io
import json
import os
import signal
import struct
import zipfile
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
from jaxgan.data import outside, records
from jaxgan.metrics import mnist, weights
from jaxgan.run import (
    best_state,
    cli,
    config,
    hosts,
    members,
    reading,
    record,
    workdir,
)
from jaxgan.run import settings as options
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
    said = io.TextIOWrapper(
        io.BytesIO(), "utf-8", "backslashreplace", write_through=True
    )
    with pytest.MonkeyPatch.context() as patch, quickly():
        patch.setattr(sys, "stderr", said)
        patch.setattr(cli, "train", lambda cfg, *args, **kwargs: checked(cfg))
        patch.setattr(cli, "_cache_compilations", lambda: None)
        patch.setattr(hosts, "start", lambda *args: args[0] and hosts._check(*args))
        code = run(dcgan_mnist, *argv)
    return code, said.buffer.getvalue().decode()


@fuzz(150)
@given(argv=ARGV)
def test_any_command_line_is_taken_or_refused(place, argv, monkeypatch):
    monkeypatch.chdir(place)
    code, said = command_line(argv)
    assert code in (0, 2) and "Traceback" not in said
