"""Weights as files and back, artifacts without jaxgan, and workdirs that name a format.

The oracles are numpy, the library safetensors, a process that cannot import jaxgan, and
what the other commands draw.
"""

import json
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import optax
import pytest
import safetensors
import safetensors.numpy
from PIL import Image
from tiny_runs import assert_same, build_dcgan, go

sys.path.insert(0, str(Path(__file__).parent.parent / "experiments"))
import cgan_mnist
import colorize
import cyclegan
import dcgan_mnist
import inpaint
import pix2pix
import spade
import srgan
from command_line import run

from jaxgan import models, recipes, visual
from jaxgan.data import SOURCES
from jaxgan.run import artifact, changed, draws, load, prepare, weights, workdir
from jaxgan.types import TrainState, UsageError, example

SUFFIXES = pytest.mark.parametrize("suffix", weights.SUFFIXES)
OUTSIDE = """
import json, sys
sys.modules["jaxgan"] = None  # an import of it raises
import numpy as np
from jax import export
f = export.deserialize(open("ARTIFACT", "rb").read())
calls = np.load("calls.npz")
drawn = {}
for k in sorted({name[0] for name in calls.files}):
    args = [calls[name] for name in sorted(calls.files) if name[0] == k]
    drawn[k] = np.asarray(f.call(*args))
np.savez("drawn.npz", **drawn)
print([name for name in sys.modules if name.startswith("jaxgan.")], f.platforms)
"""


def outside(folder, file, *calls):
    """What an artifact makes of each call's arguments where there is no jaxgan."""
    named = {f"{k}{i}": x for k, args in enumerate(calls) for i, x in enumerate(args)}
    np.savez(folder / "calls.npz", **named)
    code = OUTSIDE.replace("ARTIFACT", str(file))
    command = [sys.executable, "-P", "-c", code]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[] ('cpu', 'cuda', 'tpu')"
    drawn = np.load(folder / "drawn.npz")
    return [drawn[str(k)] for k in range(len(calls))]


def assert_alike(a, b):
    """The same images but for rounding, which a process of its own may do otherwise."""
    assert a.shape == b.shape and a.dtype == b.dtype
    assert np.abs(a.astype(int) - b).max() <= 1
    assert b.std() > 1


def about(file):
    return json.loads(Path(f"{file}.json").read_text())


def leaves(state):
    """By name, as one would write it down."""
    found = {}

    def walk(name, tree):
        if isinstance(tree, dict):
            for key, inner in tree.items():
                walk(f"{name}/{key}", inner)
        else:
            found[name] = np.asarray(tree)

    for field in ("params", "stats", "ema"):
        walk(field, getattr(state, field))
    return found


# --- weights


@pytest.fixture
def trained(options):
    """The state of a tiny run with BatchNorm, and its workdir."""
    cfg = options("old", steps=3, seed=1)
    return go(cfg, build_dcgan), Path(cfg.workdir)


@SUFFIXES
def test_weights_come_back_to_the_bit(trained, tmp_path, suffix):
    state, _ = trained
    file, text = tmp_path / f"w{suffix}", {"step": "3", "who": "ü"}
    weights.save(file, state, text)
    expected = leaves(state)
    assert "ema/G/Conv_0/kernel" in expected or "params/D/Conv_0/kernel" in expected
    found = weights.read(file)
    assert list(found) and found.keys() == expected.keys()
    assert_same(found, expected)
    assert weights.about(file) == text
    # Read by others.
    if suffix == ".npz":
        others = dict(np.load(file, allow_pickle=False))
        assert json.loads(str(others.pop("metadata"))) == text
    else:
        others = safetensors.numpy.load_file(file)
        with safetensors.safe_open(file, "numpy") as opened:
            assert opened.metadata() == text
    assert_same(others, expected)
    assert [x.dtype for x in others.values()] == [others[n].dtype for n in others]
    # And back into a state of the same networks.
    other = jax.tree.map(jnp.zeros_like, state)
    again = weights.into(other, found)
    assert_same(again, other._replace(**{f: getattr(state, f) for f in weights.FIELDS}))
    assert not list(tmp_path.glob("*.partial"))


def state_of(**params):
    return TrainState(jnp.int32(0), {"G": params}, {}, {}, {"G": {}}, {})


@SUFFIXES
def test_arrays_of_any_layout_and_dtype_are_kept(tmp_path, suffix):
    flat = np.arange(12, dtype=np.float32)
    turned = flat.reshape(3, 4).T  # its memory is in another order
    more = {"number": np.float32(3), "empty": np.zeros((0, 2), np.float32)}
    more |= {"whole": np.arange(3, dtype=np.int32), "yes": np.array([True, False])}
    state = state_of(turned=turned, every_other=flat[::2], several=[flat, flat], **more)
    weights.save(tmp_path / f"w{suffix}", state, {})
    found = weights.read(tmp_path / f"w{suffix}")
    assert found["params/G/number"].shape == ()
    assert {"params/G/several/0", "params/G/several/1"} <= found.keys()
    assert_same(weights.into(jax.tree.map(jnp.asarray, state), found), state)


def test_what_a_format_has_no_dtype_for_is_refused_or_kept(tmp_path):
    state = state_of(w=np.arange(3).astype(ml_dtypes.bfloat16))
    with pytest.raises(UsageError, match="params/G/w, which is bfloat16; use"):
        weights.save(tmp_path / "w.npz", state, {})
    assert not list(tmp_path.iterdir())
    weights.save(tmp_path / "w.safetensors", state, {})
    found = weights.read(tmp_path / "w.safetensors")
    assert found["params/G/w"].dtype == ml_dtypes.bfloat16
    assert_same(found["params/G/w"], state.params["G"]["w"])


@SUFFIXES
def test_a_run_begins_from_a_file_as_from_the_workdir(trained, options, suffix):
    state, path = trained
    file = path.parent / f"w{suffix}"
    weights.save(file, state, {})
    still = lambda *args: build_dcgan(*args, optax.sgd(0.0))  # noqa: E731
    kept = go(options("kept", init_from=str(file), steps=1), still)
    assert_same(kept.params, state.params)  # its learning rate is 0
    begun = [
        go(options(name, init_from=str(where), steps=2), build_dcgan)
        for name, where in (("file", file), ("run", path))
    ]
    assert_same(*begun)
    first = [path.parent / n / "samples/000000.png" for n in ("file", "run")]
    assert first[0].read_bytes() == first[1].read_bytes()


def test_averages_come_from_the_file_too(trained, options):
    state, path = trained
    ema = jax.tree.map(lambda x: x + 1, state.ema)
    weights.save(path.parent / "w.npz", state._replace(ema=ema), {})
    cfg, mesh = prepare.devices(
        options("new", init_from=str(path.parent / "w.npz"), steps=1)
    )
    there = prepare.there(Path(cfg.workdir), cfg, "test")
    args = cfg, there, Path(cfg.workdir), mesh, build_dcgan, None, (), SOURCES
    donor = prepare.donor(prepare.prepared(*args))
    assert_same(donor.ema, ema)
    assert_same(donor.params, state.params)
    assert int(donor.step) == 0


def renamed(found, old, new):
    return {new if name == old else name: x for name, x in found.items()}


BIAS = "params/G/BatchNorm_0/bias"
OTHERS = {
    "lacks one": (lambda f: renamed(f, BIAS, "x"), f"It has no {BIAS}, which these"),
    "one more": (lambda f: f | {"params/E/w": f[BIAS]}, "It has params/E/w, which"),
    "shape": (lambda f: f | {BIAS: f[BIAS][:1]}, f"{BIAS} is float32 [1] there, float"),
    "dtype": (lambda f: f | {BIAS: f[BIAS].astype("f8")}, f"{BIAS} is float64 ["),
}


@pytest.mark.parametrize("which", OTHERS)
def test_files_of_other_networks_are_refused_by_the_first_that_differs(
    which, trained, options, tmp_path, monkeypatch
):
    monkeypatch.setattr(sys.modules["jaxgan.run.train"], "_train", None)
    change, words = OTHERS[which]
    found = change(weights.arrays(trained[0]))
    np.savez(tmp_path / "w.npz", **found)
    with pytest.raises(UsageError) as caught:
        go(options("new", init_from=str(tmp_path / "w.npz")), build_dcgan)
    text = str(caught.value)
    assert text.startswith(f"init_from {tmp_path / 'w.npz'} does not fit: ")
    assert words in text and text.count(".\n") == 0
    assert not (tmp_path / "new").exists()


def test_files_that_cannot_be_read_are_refused_in_a_sentence(options, tmp_path):
    files = {
        "none.npz": None,
        "none.safetensors": None,
        "text.npz": b"text",
        "text.safetensors": b"text, of more than eight bytes",
        "short.safetensors": b"\xff\xff\xff\xff\xff\xff\xff\x7f{}",
        "empty.npz": b"",
        "empty.safetensors": b"",
    }
    for name, data in files.items():
        if data is not None:
            (tmp_path / name).write_bytes(data)
    np.savez(tmp_path / "pickled.npz", params=np.array([{}], object))
    with (tmp_path / "single.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    whole = tmp_path / "cut.npz"
    np.savez(whole, x=np.zeros(1000))
    whole.write_bytes(whole.read_bytes()[:500])
    for name in (*files, "pickled.npz", "single.npz", "cut.npz"):
        words = "is no file" if name.startswith("none") else "cannot be read"
        with pytest.raises(UsageError, match=words) as caught:
            go(options("new", init_from=str(tmp_path / name)), build_dcgan)
        assert "\n" not in str(caught.value) and name in str(caught.value)
    with pytest.raises(UsageError, match="holds one member, and this run is to have 2"):
        go(options("two", seeds=2, init_from=str(whole)), build_dcgan)


def test_a_missing_library_is_named_before_anything_is_loaded(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda name: None)
    for name in ("w.safetensors", "w.jaxexport"):
        args = "--workdir", tmp_path / "none", "--out", tmp_path / name
        assert run(dcgan_mnist, "export", *args) == 2
        said = capsys.readouterr().err
        assert "pip install 'jaxgan[export]'" in said and said.count("\n") == 1
    with pytest.raises(UsageError, match="pip install"):
        weights.read(tmp_path / "w.safetensors")


# --- the command


def save_npz(path, shape, n=24):
    images = np.random.default_rng(0).integers(0, 256, (n, *shape), np.uint8)
    np.savez(path, images=images, labels=np.arange(n) % 3)
    return f"npz:{path}"


def tiny_run(module, tmp_path, *more, shape=(16, 16, 3)):
    """Trains for two steps; the workdir."""
    spec = save_npz(tmp_path / "data.npz", shape)
    few = "--batch-size", 8, "--steps", 2, "--sample-every", 9, "--width", 2
    where = "--data", spec, "--workdir", tmp_path / "run"
    assert run(module, *where, *few, *more) == 0
    return tmp_path / "run"


def test_bad_requests_end_in_a_sentence_before_anything_is_loaded(tmp_path, capsys):
    (tmp_path / "folder.npz").mkdir()
    (tmp_path / "file").write_text("")
    for args, words in (
        (["--out", "w.onnx"], "--out w.onnx must end in .safetensors, .npz or .jaxex"),
        (["--out", "w"], "--out w must end in"),
        (["--out", tmp_path / "folder.npz"], "is a folder; name a file."),
        (["--out", tmp_path / "file/w.npz"], "cannot be written to"),
        (["--out", "w.npz", "--size", "64"], "--size 64 is for files that end in .jax"),
        (["--out", "w.npz", "--back"], "--back is for files that end in .jaxexport."),
        (["--out", "w.jaxexport", "--size", "big"], "--size big must be N or HxW"),
        (["--out", tmp_path / "w.npz"], "holds no run"),
    ):
        assert run(dcgan_mnist, "export", "--workdir", tmp_path / "none", *args) == 2
        said = capsys.readouterr().err
        assert words in said and said.count("\n") == 1, said


def test_the_command_writes_the_newest_or_live_weights_and_what_they_are(
    tmp_path, capsys
):
    path = tiny_run(dcgan_mnist, tmp_path, "--latent-dim", 3, shape=(8, 8, 1))
    capsys.readouterr()
    (one,) = load(path, type(dcgan_mnist.PRESET), dcgan_mnist.build)
    for name, more in (("a.npz", ()), ("b.safetensors", ("--live",))):
        out = tmp_path / "new" / name
        assert run(dcgan_mnist, "export", "--workdir", path, "--out", out, *more) == 0
        assert str(out) in capsys.readouterr().out
        state = draws.live(one.state) if more else one.state
        assert_same(weights.read(out), leaves(state))
        known = weights.about(out)
        assert (known["experiment"], known["step"]) == ("dcgan_mnist", "2")
        assert json.loads(known["shape"]) == [8, 8, 1]
        assert json.loads(known["class_names"]) == ["0", "1", "2"]
    more = "--workdir", path, "--out", tmp_path / "w.jaxexport", "--size", 9
    assert run(dcgan_mnist, "export", *more) == 2
    assert "--size 9" in capsys.readouterr().err


# --- artifacts


@pytest.mark.parametrize("module", [dcgan_mnist, cgan_mnist], ids=lambda m: m.__name__)
def test_a_sampler_runs_without_jaxgan(module, tmp_path):
    path = tiny_run(module, tmp_path, "--latent-dim", 3, shape=(8, 12, 1))
    file = tmp_path / "f.jaxexport"
    assert run(module, "export", "--workdir", path, "--out", file) == 0
    (one,) = load(path, type(module.PRESET), module.build)
    of = one.model.draws["sample"]
    calls, expected = [], []
    for n in (2, 5):
        labels = np.arange(n, dtype=np.int32) % 3
        given = of.task.given({"label": labels}, jax.random.key(n), n)
        calls.append([np.asarray(x) for x in given])
        state = draws.settled(one.model, one.state)
        expected.append(visual.to_uint8(of.run(state, given, None)))
    for found, right in zip(outside(tmp_path, file, *calls), expected, strict=True):
        assert_alike(found, right)
    known = about(file)
    names = ["z", "labels"] if module is cgan_mnist else ["z"]
    assert [x["name"] for x in known["inputs"]] == names
    assert known["inputs"][0]["shape"] == ["b", 3]
    assert known["output"]["shape"] == ["b", 8, 12, 1]
    assert known["output"]["dtype"] == str(found.dtype)
    assert known["class_names"] == ["0", "1", "2"] and known["step"] == 2


def test_a_sampler_draws_what_the_command_sample_draws(tmp_path):
    """As `sample` does from its seed, where the given z is that of its seed."""
    path = tiny_run(dcgan_mnist, tmp_path, "--latent-dim", 3, shape=(8, 8, 1))
    (one,) = load(path, type(dcgan_mnist.PRESET), dcgan_mnist.build)
    args = "--workdir", path, "--num", 6
    more = "--out", tmp_path / "s.png", "--npz", tmp_path / "s.npz"
    assert run(dcgan_mnist, "sample", *args, *more) == 0
    key = jax.random.split(draws.root(0, "samples"))[1]
    (z,) = one.model.draws["sample"].task.given({}, key, 6)
    file = tmp_path / "f.jaxexport"
    assert run(dcgan_mnist, "export", "--workdir", path, "--out", file) == 0
    (found,) = outside(tmp_path, file, [np.asarray(z)])
    assert_alike(found, np.load(tmp_path / "s.npz")["images"])


TRANSLATORS = {
    srgan: ("--blocks", 1, "--d-width", 2, "--hidden", 4),
    colorize: ("--d-width", 2),
    cyclegan: ("--blocks", 1, "--d-width", 2, "--pool", 0),
}


def translated(module, path, images, *more):
    """As PNG files by the command `translate`."""
    (path.parent / "in").mkdir()
    for k, image in enumerate(images):
        Image.fromarray(image.squeeze()).save(path.parent / f"in/{k}.png")
    args = "--workdir", path, "--input", path.parent / "in", "--noise", "same"
    assert run(module, "translate", *args, "--out", path.parent / "out", *more) == 0
    files = sorted((path.parent / "out").iterdir())
    return np.stack([np.array(Image.open(file)) for file in files])


@pytest.mark.parametrize("module", TRANSLATORS, ids=lambda m: m.__name__)
def test_a_translator_runs_without_jaxgan(module, tmp_path):
    more, ways = TRANSLATORS[module], ()
    if module is cyclegan:
        (tmp_path / "b").mkdir()
        more = (*more, "--data", f"unpaired:{save_npz(tmp_path / 'b/a.npz', SHAPE)},"
                f"{save_npz(tmp_path / 'b/b.npz', SHAPE)}")  # fmt: skip
        ways = ("--back",)
    path = tiny_run(module, tmp_path, *more, shape=SHAPE)
    file = tmp_path / "f.jaxexport"
    args = "--workdir", path, "--out", file, "--size", "20x28", *ways
    assert run(module, "export", *args) == 0
    images = np.random.default_rng(1).integers(0, 256, (5, 20, 28, 3), np.uint8)
    known = about(file)
    assert known["inputs"][0]["shape"] == ["b", 20, 28, 3]
    assert [x["name"] for x in known["inputs"]] == ["images"]  # no seed: nothing random
    assert known["draw"] == ("back" if ways else "translate")
    two, five = outside(tmp_path, file, [images[:2]], [images])
    right = translated(module, path, images, *ways)
    assert_alike(five, right)
    assert_alike(two, right[:2])


SHAPE = (16, 16, 3)


def test_the_default_size_is_that_of_training(tmp_path):
    path = tiny_run(srgan, tmp_path, *TRANSLATORS[srgan], shape=SHAPE)
    file = tmp_path / "f.jaxexport"
    assert run(srgan, "export", "--workdir", path, "--out", file) == 0
    known = about(file)
    assert known["inputs"][0]["shape"] == ["b", 4, 4, 3]  # a quarter, each way
    assert known["output"]["shape"] == ["b", 16, 16, 3]


def small(module, shape, **options):
    """A model of random weights."""
    model = module.build(changed(module.PRESET, **options), shape, 10)
    return model, model.init(jax.random.key(0), example(shape))


def in_one(made, tmp_path, *calls):
    (tmp_path / "f.jaxexport").write_bytes(made.data)
    return outside(tmp_path, tmp_path / "f.jaxexport", *calls)


def test_what_a_network_draws_at_random_comes_of_a_seed(tmp_path):
    """pix2pix with Dropout and BatchNorm, where each image is as if alone."""
    options = {"width": 2, "d_width": 2, "norm": "batch", "dropout": 0.5}
    model, state = small(pix2pix, (16, 16, 1), **options)
    made = artifact.artifact(model, "translate", state, (16, 16, 1))
    assert [x.name for x in made.inputs] == ["images", "seed"]
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3, 16, 16, 1), np.uint8)
    seeds = [np.uint32(x) for x in (0, 1)]
    a, b = in_one(made, tmp_path, *([images, seed] for seed in seeds))
    assert (a != b).any()
    of = model.draws["translate"]
    for found, seed in ((a, seeds[0]), (b, seeds[1])):
        batch = {"image": images.astype(np.float32) / np.float32(127.5) - 1}
        task, key = of.task, jax.random.key(seed)
        batch["input"] = batch["image"]
        given = task.reads(batch) if task.reads else task.given(batch, key)
        assert_alike(found, visual.to_uint8(of.run(state, given, key)))


def test_holes_and_maps_and_their_noise_are_inputs(tmp_path):
    model, state = small(inpaint, (16, 16, 3), width=2, d_width=2)
    made = artifact.artifact(model, "translate", state, (16, 16, 3))
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2, 16, 16, 3), np.uint8)
    holes = np.zeros((2, 16, 16, 1), bool)
    holes[:, 4:8, 4:8] = True
    assert [x.name for x in made.inputs][:2] == ["images", "holes"]
    more = [np.uint32(0)] * (len(made.inputs) - 2)
    (found,) = in_one(made, tmp_path, [images, holes, *more])
    around = ~np.broadcast_to(holes, found.shape)
    assert_same(found[around], images[around])
    assert (found[~around] != images[~around]).mean() > 0.5
    few = {"width": 1, "hidden": 2, "d_width": 2, "scales": 1, "latent_dim": 3}
    model, state = small(spade, (16, 16, 3), **few)
    made = artifact.artifact(model, "translate", state, (16, 16, 3))
    assert [(x.name, x.dtype) for x in made.inputs] == [
        ("maps", "int32"),
        ("seed", "uint32"),
    ]
    maps = rng.integers(0, 10, (2, 16, 16), np.int32)
    a, b = in_one(made, tmp_path, *([maps, np.uint32(seed)] for seed in (0, 1)))
    assert a.shape == (2, 16, 16, 3) and (a != b).any()


def test_sixteen_bits_are_kept(tmp_path):
    model, state = small(pix2pix, (16, 16, 1), width=2, d_width=2)
    made = artifact.artifact(model, "translate", state, (16, 16, 1), deep=True)
    assert made.inputs[0].dtype == made.output.dtype == "uint16"
    images = np.random.default_rng(0).integers(0, 65536, (2, 16, 16, 1), np.uint16)
    more = [np.uint32(0)] * (len(made.inputs) - 1)
    (found,) = in_one(made, tmp_path, [images, *more])
    assert found.dtype == np.uint16 and len({*(found % 257).ravel()}) > 50


def test_a_network_that_counts_its_images_is_exported_for_one(tmp_path):
    def counted(net):
        def apply(params, stats, z, train=True):
            assert len(z) > 0
            return net.apply(params, stats, z, train=train)

        return models.Net(net.name, net.init, apply)

    shape = (6, 6, 1)
    G = counted(models.flax_net("G", models.mlp.Generator(shape, (4,))))
    D = models.flax_net("D", models.mlp.Discriminator((4,)))
    tx = optax.sgd(0.1)
    gan = recipes.gan(G, D, latent_dim=3, g_tx=tx, d_tx=tx)
    state = gan.init(jax.random.key(0), example(shape))
    made = artifact.artifact(gan, "sample", state, shape)
    assert made.inputs[0].shape == (1, 3) and made.output.shape == (1, *shape)
    z = np.random.default_rng(0).normal(size=(1, 3)).astype(np.float32)
    (found,) = in_one(made, tmp_path, [z])
    of = gan.draws["sample"]
    assert_alike(found, visual.to_uint8(of.run(state, (z,), None)))


# --- workdirs


def test_a_workdir_names_its_format_and_a_newer_one_is_refused(options):
    cfg = options("run", steps=1)
    go(cfg)
    file = Path(cfg.workdir) / "config.json"
    values = json.loads(file.read_text())
    assert values["format"] == workdir.FORMAT == 1
    known = workdir.read(file.parent, type(cfg))
    del values["format"]  # of 0.3 and before
    file.write_text(json.dumps(values))
    assert workdir.read(file.parent, type(cfg)) == known
    go(changed(cfg, steps=2))
    for newer, words in ((2, "is of a newer jaxgan; update jaxgan."), ("1", "damaged")):
        file.write_text(json.dumps(values | {"format": newer}))
        for look in (
            lambda: go(changed(cfg, steps=3)),
            lambda: load(file.parent, type(cfg), lambda *a: None),
        ):
            with pytest.raises(UsageError, match=words):
                look()
