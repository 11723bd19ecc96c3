"""The command line: what it accepts, and one sentence for what it refuses."""

import dataclasses
import errno
import gzip
import json
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import optax
import pytest
from PIL import Image

from jaxgan import models, recipes
from jaxgan.run import cli, config
from jaxgan.run.settings import Count, Fraction, Number
from jaxgan.types import UsageError

ROOT = Path(__file__).parent.parent
EXPERIMENTS = [
    "dcgan_mnist",
    "cgan_mnist",
    "mlp_gan_mnist",
    "acgan_mnist",
    "infogan_mnist",
    "cgan_emoji",
]
TRANSLATORS = "colorize", "cyclegan", "inpaint", "pix2pix", "spade", "srgan"
NAMED = {"gan_mnist": "wgan_gp", "gan_cifar10": "sagan", "stacked_mnist": "r3gan"}
NAMED |= {
    "stylegan2": "mnist",
    "progan": "stylegan",
    "biggan": "emoji",
    "r3gan": "emoji",
    "adversarial_flow": "emoji",
}


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """Adam."""

    lr: Number = 1e-3
    """Learning rate."""
    beta1: Fraction = 0.9
    """Adam's."""
    ema_decay: Fraction = 0.9
    """Of the averaged weights."""


@dataclasses.dataclass(frozen=True)
class Tiny(config.Config):
    """A tiny conditional GAN."""

    width: Count = 4
    """Of the hidden layers."""
    optimizer: Optimizer = Optimizer()


TINY = Tiny(steps=2, batch_size=8)


def build(cfg, shape, num_classes):
    G = models.mlp.Generator(shape, (cfg.width,), num_classes)
    D = models.mlp.Discriminator((cfg.width,), num_classes)
    return recipes.gan(
        models.flax_net("G", G),
        models.flax_net("D", D),
        latent_dim=2,
        num_classes=num_classes,
        g_tx=optax.adam(cfg.optimizer.lr, cfg.optimizer.beta1),
        d_tx=optax.adam(cfg.optimizer.lr, cfg.optimizer.beta1),
        ema_decay=cfg.optimizer.ema_decay,
    )


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """`run(*args) -> (exit code, stdout, stderr)`, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["experiments/tiny.py"])
    monkeypatch.setattr(cli, "_cache_compilations", lambda: None)

    def run(*args):
        code = 0
        try:
            cli.main(TINY, build, [str(a) for a in args])
        except SystemExit as error:
            code = error.code
        return code, *capsys.readouterr()

    return run


def save_npz(path, n=16, shape=(6, 6, 1), classes=3):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (n, *shape), np.uint8)
    np.savez(path, images=images, labels=np.arange(n) % classes)
    return f"npz:{path}"


def save_image(path, shape):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(str(path)))
    Image.fromarray(rng.integers(0, 256, shape, np.uint8)).save(path)


def test_training_goes_to_runs_named_after_the_experiment(run, tmp_path):
    code, _, err = run("--data", save_npz(tmp_path / "d.npz"))
    assert code == 0 and "Done" in err
    assert (tmp_path / "runs" / "tiny" / "samples" / "000002.png").exists()


def test_sample_draws_the_class_it_is_asked_for_into_png_and_npz(run, tmp_path):
    run("--data", save_npz(tmp_path / "d.npz"))
    code, out, _ = run("sample", "--num", 5, "--npz", "o/s.npz", "--label", 2)
    assert code == 0 and "5 images in samples.png and o/s.npz" in out
    with np.load(tmp_path / "o" / "s.npz") as file:
        assert file["images"].shape == (5, 6, 6, 1)
        assert file["images"].dtype == np.uint8
        assert file["labels"].tolist() == [2] * 5
    with Image.open(tmp_path / "samples.png") as grid:
        assert grid.mode == "L"
    run("sample", "--num", 7, "--npz", "all.npz")
    with np.load(tmp_path / "all.npz") as file:
        assert file["labels"].tolist() == [0, 1, 2, 0, 1, 2, 0]


def labels_of(file):
    with np.load(file) as arrays:
        return arrays["labels"].tolist()


def test_sample_knows_classes_by_name_without_their_data(run, tmp_path):
    for name in ("cat", "dog", "2"):
        for i in range(8):
            save_image(tmp_path / "d" / name / f"{i}.png", (6, 6))
    run("--data", f"folder:{tmp_path / 'd'}")
    shutil.rmtree(tmp_path / "d")
    for label, number in (("dog", 2), ("cat", 1), ("2", 0), ("1", 1)):  # names first
        code, *_ = run("sample", "--num", 3, "--npz", "s.npz", "--label", label)
        assert code == 0 and labels_of("s.npz") == [number] * 3
    code, _, err = run("sample", "--label", "horse")
    assert code == 2 and sentence(err) == "--label horse must be one of 2, cat, dog."


def test_numbers_of_classes_keep_their_names(run, tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (16, 6, 6, 1), np.uint8)
    np.savez(tmp_path / "d.npz", images=images, labels=1 + np.arange(16) % 3)
    code, _, err = run("--data", f"npz:{tmp_path / 'd.npz'}")
    assert code == 0 and "no image has the label 0" in err
    run("sample", "--num", 6, "--npz", "s.npz")
    assert labels_of("s.npz") == [0, 1, 2, 0, 1, 2]
    run("sample", "--num", 2, "--npz", "s.npz", "--label", 3)
    assert labels_of("s.npz") == [2, 2]
    code, _, err = run("sample", "--label", 0)
    assert code == 2 and sentence(err) == "--label 0 must be one of 1, 2, 3."


def test_a_run_of_other_classes_is_not_continued(run, tmp_path):
    for name in ("cat", "dog"):
        for i in range(8):
            save_image(tmp_path / "d" / name / f"{i}.png", (6, 6))
    spec = f"folder:{tmp_path / 'd'}"
    run("--data", spec)
    (tmp_path / "d/cat").rename(tmp_path / "d/eel")
    code, _, err = run("--data", spec, "--steps", 4)
    assert code == 2 and "class 0 is cat there, dog here" in sentence(err)


def test_home_is_expanded_in_every_name_of_a_file(run, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    save_npz(tmp_path / "home/d.npz")
    (tmp_path / "home/o.json").write_text('{"width": 8}')
    data = "--data", "npz:~/d.npz", "--config", "~/o.json", "--workdir", "~/run"
    assert run(*data)[0] == 0
    assert (tmp_path / "home/run/config.json").exists()
    out = "--out", "~/x/s.png", "--npz", "~/x/s.npz", "--workdir", "~/run"
    assert run("sample", *out)[0] == 0
    assert sorted(p.name for p in (tmp_path / "home/x").iterdir()) == ["s.npz", "s.png"]
    more = "--init-from", "~/run", "--workdir", "~/more"
    assert run("--data", "npz:~/d.npz", "--width", 8, *more)[0] == 0
    assert not (tmp_path / "~").exists()


def test_a_full_disk_is_named(run, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device", "runs/tiny/x.png")

    monkeypatch.setattr("jaxgan.run.hooks.save_png", full)
    code, _, err = run("--data", save_npz(tmp_path / "d.npz"))
    assert code == 1 and "Stopped: No space left on device (runs/tiny/x.png)" in err
    assert "Traceback" not in err


def test_a_run_of_sixteen_bits_says_so(run, tmp_path):
    (tmp_path / "d").mkdir()
    for i in range(16):
        deep = np.random.default_rng(i).integers(0, 65536, (6, 6), np.uint16)
        Image.fromarray(deep).save(tmp_path / f"d/{i}.png")
    spec = f"folder:{tmp_path / 'd'}"
    code, *_ = run("--data", spec, "--depth", 16, "--resize", "6x6")
    values = json.loads((tmp_path / "runs/tiny/config.json").read_text())
    assert code == 0 and values["levels"] == 65535
    code, _, err = run("--data", spec, "--steps", 4)
    assert code == 2 and "depth is 16 there, 8 here" in sentence(err)
    code, _, err = run("--data", "mnist", "--depth", 16, "--workdir", "other")
    assert code == 2 and "leave out --depth" in sentence(err)


def test_what_sample_writes_can_be_trained_on(run, tmp_path):
    run("--data", save_npz(tmp_path / "d.npz"))
    run("sample", "--num", 16, "--npz", "s.npz")
    assert run("--data", "npz:s.npz", "--workdir", "again")[0] == 0


def test_precedence_is_defaults_then_file_then_flags(run, tmp_path):
    spec = save_npz(tmp_path / "d.npz")
    values = {"data": spec, "width": 5, "seed": 7}
    (tmp_path / "c.json").write_text(json.dumps(values))
    assert run("--config", "c.json", "--seed", 9, "--workdir", "w")[0] == 0
    kept = json.loads((tmp_path / "w" / "config.json").read_text())["config"]
    assert (kept["width"], kept["seed"], kept["batch_size"]) == (5, 9, 8)
    # A run's own config.json is such a file.
    assert run("--config=w/config.json", "--workdir", "w2")[0] == 0
    again = json.loads((tmp_path / "w2" / "config.json").read_text())["config"]
    assert {**kept, "workdir": "", "config": ""} == {
        **again,
        "workdir": "",
        "config": "",
    }


def test_idx_files_train(run, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (16, 6, 6), np.uint8)
    header = struct.pack(">BBBBIII", 0, 0, 8, 3, 16, 6, 6)
    for part in ("train", "t10k"):
        with gzip.open(tmp_path / f"{part}-images-idx3-ubyte.gz", "wb") as file:
            file.write(header + images.tobytes())
        labels = struct.pack(">BBBBI", 0, 0, 8, 1, 16) + bytes(i % 4 for i in range(16))
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(labels)
    assert run("--data", f"idx:{tmp_path}")[0] == 0


def test_a_folder_of_mixed_images_with_a_broken_one_trains_and_says_so(run, tmp_path):
    shapes = [(9, 8), (12, 20), (8, 8, 3), (30, 10, 3)]
    for i in range(16):
        save_image(tmp_path / "d" / "ab"[i % 2] / f"{i}.png", shapes[i % 4])
    (tmp_path / "d" / "a" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    spec = f"folder:{tmp_path / 'd'}"
    code, _, err = run("--data", spec, "--resize", "8", "--crop", "8")
    assert code == 0 and "broken.png" in err
    values = json.loads((tmp_path / "runs" / "tiny" / "config.json").read_text())
    assert values["shape"] == [8, 8, 3] and values["class_names"] == ["a", "b"]


def sentence(err):
    """The error must be one line of plain text, without a traceback."""
    lines = err.strip().splitlines()
    assert len(lines) == 1, err
    return lines[0]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--steps", 0], ["--steps 0", "1 or more"]),
        (["--steps", -5], ["--steps -5", "1 or more"]),
        (["--batch-size", 0], ["--batch-size 0", "1 or more"]),
        (["--batch-size", 12], ["--batch-size 12", "8 devices", "8 or 16"]),
        (["--width", 0], ["--width 0", "1 or more"]),
        (["--lr", "nan"], ["--lr nan", "finite"]),
        (["--ema-decay", "1.0"], ["--ema-decay 1.0", "below 1"]),
        (["--beta1", "1.0"], ["--beta1 1.0", "below 1"]),
        (["--tpu", "--platform", "cpu"], ["--tpu", "--platform cpu", "exclude"]),
        (["--config", "dtype.json"], ["dtype = 'float64'", "float32, bfloat16"]),
        (["--config", "resize.json"], ["resize = 64", "a text or null"]),
        (["--seed", -1], ["--seed -1", "0 or more"]),
        (["--steps", 2**30], ["--steps", "2**32"]),
        (["--tpu"], ["tpu", "JAX sees no TPU", "cpu"]),
        (["--platform", "gpu"], ["gpu", "JAX sees no GPU", "cpu"]),
        (["--resize", "8by8"], ["--resize 8by8", "HxW"]),
        (["--void", 300], ["--void 300", "below 256"]),
        (["--void", 255], ["--void 255", "has no label maps"]),
        (["--data", "cifar"], ["--data cifar", "mnist", "folder:DIR"]),
        (["--data", "npz:none.npz"], ["--data npz:none.npz", "no file"]),
        (["--data", "idx:none"], ["--data idx:none"]),
        (["--data", "folder:none"], ["--data folder:none"]),
        (["--data", "tfds:no_such_set"], ["--data tfds:no_such_set"]),
        (["--workdir", "d.npz/run"], ["--workdir d.npz/run", "cannot be written"]),
        (["--config", "none.json"], ["--config none.json", "cannot be read"]),
        (["--config", "d.npz"], ["--config d.npz", "not JSON"]),
        (["--config", "bad.json"], ["--config bad.json", "widht", "width"]),
        (["--config", "type.json"], ["--config type.json", "width = 'wide'"]),
        (["sample", "--workdir", "none"], ["--workdir none", "no run"]),
    ],
    ids=lambda value: " ".join(map(str, value)),
)
def test_mistakes_end_in_one_sentence_and_code_2(
    run, tmp_path, monkeypatch, args, words
):
    # Nothing may get as far as compiling.
    monkeypatch.setattr(sys.modules["jaxgan.run.train"], "_train", None)
    spec = save_npz(tmp_path / "d.npz")
    (tmp_path / "bad.json").write_text('{"widht": 3}')
    (tmp_path / "dtype.json").write_text('{"dtype": "float64"}')
    (tmp_path / "resize.json").write_text('{"resize": 64}')
    (tmp_path / "type.json").write_text('{"width": "wide"}')
    code, _, err = run(*args, *_data(args, spec))
    assert code == 2
    text = sentence(err)
    for word in words:
        assert word in text, text


def _data(args, spec):
    return [] if "--data" in args or args[0] == "sample" else ["--data", spec]


def test_sample_refuses_bad_requests(run, tmp_path):
    run("--data", save_npz(tmp_path / "d.npz"))
    for args, words in [
        (["--num", 0], "--num 0"),
        (["--label", 3], "--label 3 must be in 0 ... 2"),
        (["--out", "d.npz/x.png"], "cannot be written"),
    ]:
        code, _, err = run("sample", *args)
        assert code == 2 and words in sentence(err)


def test_unknown_flags_and_values_exit_with_2(run):
    assert run("--wdith", 3)[0] == 2
    assert run("--width", "wide")[0] == 2
    assert run("--platform", "abacus")[0] == 2


def test_an_experiment_without_labels_refuses_to_be_conditional(tmp_path):
    sys.path.insert(0, str(ROOT / "experiments"))
    import cgan_mnist

    with pytest.raises(UsageError, match="no labels"):
        cgan_mnist.build(cgan_mnist.PRESET, (28, 28, 1), 0)


SHOWN = """
import contextlib, io, json, runpy, sys
found = []
for sys.argv in json.loads(sys.argv[1]):
    shown, code = io.StringIO(), "no exit"
    with contextlib.redirect_stdout(shown):
        try:
            runpy.run_path(sys.argv[0], run_name="__main__")
        except SystemExit as error:
            code = error.code
    found.append((code, shown.getvalue()))
print(json.dumps(found))
"""


def test_every_experiment_shows_help():
    """All in one process of Python, which takes seconds to begin."""
    asked = {}
    for name in (*EXPERIMENTS, *NAMED, *TRANSLATORS):
        file = str(ROOT / "experiments" / f"{name}.py")
        first = [NAMED[name]] if name in NAMED else []
        other, option = (
            ("translate", "--input") if name in TRANSLATORS else ("sample", "--label")
        )
        asked[file, *first, "--help"] = "--batch-size"
        asked[file, *first, other, "--help"] = option
    out = subprocess.run(
        [sys.executable, "-W", "error", "-c", SHOWN, json.dumps([*asked])],
        capture_output=True,
        text=True,
    )
    assert out.returncode == 0 and not out.stderr, out.stderr
    found = json.loads(out.stdout)
    for (args, option), (code, shown) in zip(asked.items(), found, strict=True):
        assert not code and option in shown, args
