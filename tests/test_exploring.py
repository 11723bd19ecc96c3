"""Commands that look into a run: what they write, and one sentence for the rest."""

import importlib.util
import json
import shutil
import subprocess
from pathlib import Path

import command_line
import numpy as np
import optax
import pytest
from flax import nnx
from PIL import Image

from jaxgan import data, explore, models, recipes, run
from jaxgan.run import animation, provenance
from jaxgan.run.loading import load
from jaxgan.run.sampler import sampler

CLASSES = "cat", "dog", "eel"


class Experiment:
    """An experiment's module, as `command_line.run` takes it."""

    PRESET = run.Config(steps=3, batch_size=8, sample_every=3)

    def __init__(self, build):
        self.build, self.__name__ = build, "tiny"


def networks(shape, num_classes=0):
    G = models.mlp.Generator(shape, (5,), num_classes)
    D = models.mlp.Discriminator((4,), num_classes)
    return models.flax_net("G", G), models.flax_net("D", D)


def gan(nets, num_classes=0):
    tx = optax.adam(1e-2)
    options = {"latent_dim": 4, "num_classes": num_classes, "g_tx": tx, "d_tx": tx}
    return recipes.gan(*nets, **options)


CONDITIONAL = Experiment(lambda cfg, shape, n: gan(networks(shape, n), n))
PLAIN = Experiment(lambda cfg, shape, n: gan(networks(shape)))


class Linear(nnx.Module):
    def __init__(self, rngs):
        self.layer = nnx.Linear(4, 64, rngs=rngs)

    def __call__(self, z):
        return nnx.tanh(self.layer(z)).reshape(-1, 8, 8, 1)


OF_NNX = Experiment(
    lambda cfg, shape, n: gan((models.nnx_net("G", Linear), networks(shape)[1]))
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two trained runs, of images in folders named by classes."""
    home = tmp_path_factory.mktemp("runs")
    rng = np.random.default_rng(0)
    for split, count in (("train", 8), ("test", 3)):
        for name in CLASSES:
            folder = home / "data" / split / name
            folder.mkdir(parents=True)
            for i in range(count):
                image = rng.integers(0, 256, (8, 8), np.uint8)
                Image.fromarray(image).save(folder / f"{i}.png")
    data = "--data", f"folder:{home / 'data'}"
    for name, experiment in (("by_class", CONDITIONAL), ("plain", PLAIN)):
        assert command_line.run(experiment, *data, "--workdir", home / name) == 0
    return home


@pytest.fixture
def call(runs, tmp_path, monkeypatch, capsys):
    """`call(command, *options, of="by_class") -> (code, stdout, stderr)`."""
    monkeypatch.chdir(tmp_path)

    def call(command, *options, of="by_class", experiment=None):
        experiment = experiment or (CONDITIONAL if of == "by_class" else PLAIN)
        args = command, "--workdir", runs / of, *options
        return command_line.run(experiment, *args), *capsys.readouterr()

    return call


def pixels(file):
    with Image.open(file) as image:
        return np.asarray(image.convert("L"))


def one_image(file, row, column, side=8, gap=2):
    """An image of a sheet, on which each pixel is two wide."""
    step = 2 * (side + gap)
    y, x = row * step, column * step
    return pixels(file)[y : y + 2 * side : 2, x : x + 2 * side : 2]


def test_each_image_is_of_its_own_seed(call):
    out = "--folder", "each", "--npz", "s.npz", "--label", "dog"
    code, said, _ = call("sample", "--seeds", "3,7,9-10", *out)
    assert code == 0 and "4 images in samples.png and s.npz and each" in said
    with np.load("s.npz") as found:
        images, labels = found["images"], found["labels"]
    assert labels.tolist() == [1] * 4
    np.testing.assert_array_equal(pixels("each/seed9.png"), images[2, ..., 0])
    np.testing.assert_array_equal(one_image("samples.png", 0, 1), images[1, ..., 0])
    # Of whatever list it is part, and as the only sample of --seed.
    call("sample", "--seeds", "9", "--npz", "one.npz", "--label", "dog")
    call("sample", "--seed", 9, "--num", 1, "--npz", "alone.npz", "--label", "dog")
    for file in ("one.npz", "alone.npz"):
        with np.load(file) as found:
            np.testing.assert_array_equal(found["images"][0], images[2])
    assert len({image.tobytes() for image in images}) == 4


def test_a_folder_of_samples_is_numbered(call):
    assert call("sample", "--num", 3, "--folder", "each", of="plain")[0] == 0
    found = sorted(p.name for p in Path("each").iterdir())
    assert found == ["00000.png", "00001.png", "00002.png"]


def test_the_way_is_by_its_samples_and_from_class_to_class(call):
    call("sample", "--seeds", "1,2", "--npz", "s.npz")  # of cat and dog
    with np.load("s.npz") as found:
        keys = found["images"][..., 0]
    way = "--seeds", "1,2", "--labels", "cat", "dog", "--steps", 4
    code, said, _ = call("interpolate", *way, "--out", "way.png")
    assert code == 0 and "8 images in way.png" in said
    for row, (begin, end) in enumerate((keys, keys[::-1])):
        np.testing.assert_array_equal(one_image("way.png", row, 0), begin)
        np.testing.assert_array_equal(one_image("way.png", row, 3), end)
    assert call("interpolate", *way, "--no-loop", "--out", "way.gif")[0] == 0
    with Image.open("way.gif") as shown:
        assert shown.n_frames == 5 and shown.info["loop"] == 0
        assert shown.size == (256, 256) and shown.info["duration"] == 80
        np.testing.assert_array_equal(
            np.asarray(shown.convert("L"))[::32, ::32], keys[0]
        )
        shown.seek(4)
        last = np.asarray(shown.convert("L"))[::32, ::32].astype(int)
        assert np.abs(last - keys[1]).max() <= 1  # a palette of each frame
    # Of one seed, z stays: the classes alone differ.
    one = "--seeds", "1", "--labels", "cat", "eel", "--steps", 3, "--out", "one.png"
    assert call("interpolate", *one)[0] == 0
    np.testing.assert_array_equal(one_image("one.png", 0, 0), keys[0])
    assert (one_image("one.png", 0, 1) != keys[0]).any()


def test_a_film_is_one(call):
    way = "--seeds", "1-3", "--steps", 5, "--out", "way.mp4", "--fps", 10
    assert call("interpolate", *way, of="plain")[0] == 0
    import imageio_ffmpeg

    read = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", "way.mp4"]
    raw = "-f", "rawvideo", "-pix_fmt", "gray", "-"
    done = subprocess.run([*read, *raw], capture_output=True, check=True)
    frames = np.frombuffer(done.stdout, np.uint8).reshape(-1, 256, 256)
    assert len(frames) == 15
    call("sample", "--seeds", "1-3", "--npz", "s.npz", of="plain")
    with np.load("s.npz") as found:
        keys = found["images"][..., 0].astype(int)
    middles = frames[::5, 16::32, 16::32].astype(int)
    assert np.abs(middles - keys).mean() < 4  # it is compressed


def test_without_its_library_there_is_no_film(call, monkeypatch):
    find = importlib.util.find_spec

    def without(name, *args):
        return None if name == "imageio_ffmpeg" else find(name, *args)

    monkeypatch.setattr(animation.importlib.util, "find_spec", without)
    code, _, err = call("interpolate", "--out", "way.mp4")
    assert code == 2 and err.strip() == (
        "--out way.mp4 needs a library: pip install 'jaxgan[video]'; or end it in .gif."
    )


def test_directions_are_those_of_the_first_layer(call, runs):
    call("sample", "--seeds", "5", "--label", "eel", "--npz", "s.npz")
    out = "--out", "d.png", "--npz", "d.npz"
    which = "--seed", 5, "--label", "eel", "--count", 3, "--steps", 5
    code, said, _ = call("directions", *which, *out)
    assert code == 0 and "3 of 4 directions" in said
    (loaded,) = load(runs / "by_class", run.Config, CONDITIONAL.build)
    kernel = np.asarray(loaded.state.ema["G"]["Dense_0"]["kernel"], np.float64)[:4]
    _, values, vectors = np.linalg.svd(kernel.T)
    with np.load("d.npz") as found:
        np.testing.assert_allclose(found["eigenvalues"], values[:3] ** 2, rtol=1e-4)
        cosines = np.abs((found["directions"] * vectors[:3]).sum(1))
        np.testing.assert_allclose(cosines, 1, rtol=1e-5)
        first = found["directions"][0]
    with np.load("s.npz") as sample:
        for row in range(3):
            np.testing.assert_array_equal(
                one_image("d.png", row, 2), sample["images"][0, ..., 0]
            )
    one = sampler(loaded)
    z, label = one.given([5], 2)
    moved = one.images(((z + 3 * first).astype(np.float32), label))[0, ..., 0]
    np.testing.assert_array_equal(one_image("d.png", 0, 4), moved)


def test_a_sample_is_projected_to_where_it_came_from(call):
    call("sample", "--seeds", "900", "--label", "dog", "--folder", "each")
    given = "--input", "each/seed900.png", "--draws", 60, "--npz", "p.npz"
    code, said, _ = call("project", *given, "--prior", 0)
    assert code == 0 and "of class" in said and "nearest of 60 samples" in said
    target = pixels("each/seed900.png")
    np.testing.assert_array_equal(one_image("projection.png", 0, 0), target)
    with np.load("p.npz") as found:
        image = found["images"][0, ..., 0]
        assert found["z"].shape == (1, 4) and found["labels"].shape == (1,)
    np.testing.assert_array_equal(one_image("projection.png", 0, 1), image)
    away = explore.distance(*(x[None, ..., None] / 127.5 - 1 for x in (target, image)))
    assert float(away[0]) < 0.02
    assert float(said.split()[1].rstrip(",")) == pytest.approx(float(away[0]), abs=2e-3)
    assert call("project", *given, "--label", "eel")[0] == 0
    with np.load("p.npz") as found:
        assert found["labels"].tolist() == [2]


@pytest.mark.parametrize("of", ("by_class", "plain"))
def test_scores_are_of_three_kinds_of_images(call, of):
    code, said, _ = call("scores", "--batch-size", 8, of=of)
    assert code == 0 and "samples" in said
    found = json.loads(Path("scores.json").read_text())
    of_each = found["scores"]
    counts = {name: one["count"] for name, one in of_each.items()}
    # Whole batches alone: D may have BatchNorm.
    assert counts == {"training images": 24, "held out": 8, "samples": 2000}
    for name, shares in found["shares"].items():
        assert sum(shares) == pytest.approx(1)
        middles = np.convolve(found["edges"], [0.5, 0.5], "valid")
        mean = of_each[name]["mean"]
        assert (middles * shares).sum() == pytest.approx(mean, abs=0.05)
    assert of_each["samples"]["above_samples"] == pytest.approx(0.5)
    assert pixels("scores.png").shape == (400, 720)


def test_units_are_ordered_by_what_leaves(call):
    code, said, _ = call("dissect")
    assert code == 0 and "Dense_0: 5 units" in said and "Choose one by --layer." in said
    shown = "--layer", "Dense_0", "--units", 2, "--examples", 3, "--num", 6
    assert call("dissect", *shown)[0] == 0
    found = json.loads(Path("units.json").read_text())["units"]
    effects = [row["effect"] for row in found]
    assert effects == sorted(effects, reverse=True) and len(effects) == 5
    sheet = pixels("units.png")
    strip = 8 + 2 + 8
    assert sheet.shape == (2 * (2 * 8 + 8), 2 * (3 * strip + 2 * 8))


def test_neighbours_are_beside_samples(call, runs):
    code, said, _ = call("neighbours", "--num", 12, "--rows", 3, "--npz", "n.npz")
    assert code == 0 and " of 12 samples, by pixels: " in said
    train = data.load(f"folder:{runs / 'data'}").fetch(np.arange(24))["image"]
    with np.load("n.npz") as found:
        images, index, distance = (found[x] for x in ("images", "index", "distance"))
    away = (images[:, None].astype(float) - train[None]) ** 2
    away = away.mean((2, 3, 4)) ** 0.5 / 255
    np.testing.assert_allclose(distance, np.sort(away, 1)[:, :2], rtol=1e-9)
    np.testing.assert_array_equal(index, away.argsort(1)[:, :2])
    ratio = distance[:, 0] / distance[:, 1]
    assert (np.diff(ratio) >= 0).all()
    shown = [one_image("neighbours.png", 0, k) for k in range(3)]
    for got, expected in zip(shown, (images[0], *train[index[0]]), strict=True):
        np.testing.assert_array_equal(got, expected[..., 0])


def test_a_classifier_learns_of_samples_and_beside_them_of_real_images(call, runs):
    few = "--num", 20, "--steps", 2, "--batch-size", 8
    code, said, _ = call("cas", *few)
    assert code == 0 and "Of 9 real test images" in said
    found = json.loads((runs / "by_class/cas.json").read_text())
    assert found["counts"] == {"samples": 20, "real": 20, "test": 9}
    for name in ("classification_accuracy_score", "real"):
        one = found["metrics"][name]
        assert one["value"] * 9 == pytest.approx(round(one["value"] * 9))
        spread = (one["value"] * (1 - one["value"]) / 9) ** 0.5
        assert one["error"] == pytest.approx(spread)
    code, _, err = call("cas", *few, of="plain")
    assert code == 2 and "draws no classes, so its samples teach none." in err


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["sample", "--seeds", "5-3"], "--seeds 5-3 must be whole numbers"),
        (["sample", "--seeds", "a"], "--seeds a must be whole numbers"),
        (["sample", "--seeds", "0-99999"], "--seeds 0-99999 names more than 10000."),
        (["sample", "--label", "cow"], "--label cow must be one of cat, dog, eel."),
        (["interpolate", "--labels", "cow"], "--labels cow must be one of cat, dog"),
        (["interpolate", "--seeds", "4"], "--seeds 4 names one sample"),
        (["interpolate", "--out", "a.avi"], "must end in one of .png, .gif, .mp4."),
        (["directions", "--label", "7"], "--label 7 must be in 0 ... 2."),
        (["project", "--input", "no.png"], "--input no.png cannot be read"),
        (["scores", "--out", "a.jpg"], "--out a.jpg must end in .png."),
        (["directions", "--out", "a.jpg"], "--out a.jpg must end in .png."),
        (["neighbours", "--out", "/dev/null/a.png"], "--out /dev/null cannot be writ"),
        (["project", "--input", "a", "--npz", "/dev/null/a"], "--npz /dev/null cannot"),
        (["directions", "--steps", "4"], "--steps 4 must be odd"),
        (
            ["sample", "--seeds", "1-3", "--num", "3"],
            "--num 3 is not used: there are 3",
        ),
        (["sample", "--seeds", "3,3", "--folder", "f"], "--seeds 3,3 names one twice"),
        (["project", "--input", "a.png", "--out", "./a.png"], "is the input, which"),
        (["dissect", "--layer", "Dense_7"], "Dense_7 must be one of Dense_0, Dense_1."),
    ],
)
def test_mistakes_end_in_one_sentence(call, args, words):
    code, _, err = call(*args)
    assert code == 2 and words in err and len(err.strip().splitlines()) == 1


def test_no_file_of_the_run_itself_is_replaced(call, runs):
    config = (runs / "plain" / "config.json").read_bytes()
    for command in (["scores"], ["dissect", "--layer", "Dense_0"]):
        code, _, err = call(
            *command, "--out", runs / "plain" / "config.png", of="plain"
        )
        assert code == 2 and "choose another folder" in err
    assert (runs / "plain" / "config.json").read_bytes() == config


def test_images_say_nothing_of_where_data_lie(call, runs):
    one = pixels(next((runs / "data").rglob("*.png")))
    Image.fromarray(one).save("mine.png")
    for args in (
        ["sample", "--folder", "each"],
        ["neighbours"],
        ["project", "--input", "mine.png"],
        ["directions"],
        ["interpolate"],
        ["dissect", "--layer", "Dense_0", "--data", f"folder:{runs / 'data'}"],
    ):
        assert call(*args)[0] == 0
    written = [*Path().rglob("*.png"), *Path().rglob("*.gif")]
    known = {file: provenance.read(file) for file in written if file.name != "mine.png"}
    assert len(known) == 64 + 6 and all(known.values())
    assert str(runs) not in json.dumps([*known.values()])


def test_held_out_images_without_labels_are_left_out(
    runs, tmp_path, monkeypatch, capsys
):
    """By training, which looks whether D overfits, and `scores`; `cas` needs them."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(runs / "data" / "train", "data/train")
    (tmp_path / "data" / "test").mkdir()
    for i, file in enumerate(sorted((runs / "data" / "train").rglob("*.png"))):
        shutil.copy(file, f"data/test/{i}.png")
    args = "--data", "folder:data", "--workdir", "run"
    assert command_line.run(CONDITIONAL, *args) == 0
    assert command_line.run(CONDITIONAL, "scores", "--workdir", "run") == 0
    assert "Held-out images are not scored" in capsys.readouterr().out
    assert "held out" not in json.loads(Path("scores.json").read_text())["scores"]
    assert command_line.run(CONDITIONAL, "cas", "--workdir", "run") == 2
    assert "no labels" in capsys.readouterr().err


def test_packs_are_scored_whole(runs, tmp_path, monkeypatch):
    def build(cfg, shape, n):
        tx = optax.adam(1e-2)
        G, D = networks(shape)
        D = models.net.packed(D, 2)
        return recipes.gan(G, D, latent_dim=4, g_tx=tx, d_tx=tx)

    monkeypatch.chdir(tmp_path)
    packed = Experiment(build)
    args = "--data", f"folder:{runs / 'data'}", "--workdir", "run"
    assert command_line.run(packed, *args) == 0
    assert command_line.run(packed, "scores", "--workdir", "run", "--num", 15) == 0
    assert json.loads(Path("scores.json").read_text())["scores"]["samples"]["count"]


def test_runs_that_have_not_what_is_asked_for_say_so(call, runs):
    for args in (["interpolate", "--labels", "cat"], ["directions", "--label", "0"]):
        code, _, err = call(*args, of="plain")
        assert code == 2 and "this run is not class-conditional" in err
    data = "--data", f"folder:{runs / 'data'}", "--workdir", runs / "nnx"
    assert command_line.run(OF_NNX, *data) == 0
    code, _, err = call("dissect", of="nnx", experiment=OF_NNX)
    assert code == 2 and "without layers of Flax linen" in err
    assert call("directions", of="nnx", experiment=OF_NNX)[0] == 0
