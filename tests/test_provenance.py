"""What files of images say of how they were made, and that it is true."""

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import command_line
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import jaxgan
from jaxgan import tasks
from jaxgan.run import digests, files, images, marks, naming, provenance, settings
from jaxgan.types import Draw, TrainState, UsageError

sys.path.insert(0, str(Path(__file__).parent.parent / "experiments"))
import mlp_gan_mnist

ABOUT = {"jaxgan": "1.2", "source": marks.TRAINED, "draw": "é\n", "seed": 2**32 - 1}
IPTC = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"
WORD = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """Of a tiny run."""
    path = tmp_path_factory.mktemp("runs") / "a"
    few = "--steps", 2, "--g-hidden", 4, "--d-hidden", 4, "--no-report"
    assert command_line.run(mlp_gan_mnist, *few, "--workdir", path) == 0
    return path


def sample(workdir, folder, *flags):
    """The files that the command writes."""
    png, npz = folder / "s.png", folder / "s.npz"
    args = "--workdir", workdir, "--out", png, "--npz", npz
    assert command_line.run(mlp_gan_mnist, "sample", *args, *flags) == 0
    return png, npz


def flags_of(about):
    """The command line that an image's own words make."""
    values = about["options"] | {"seed": about["seed"]}
    for name, value in values.items():
        if value is True or value is False:
            yield from [settings.flag(name)] * value
        elif value is not None:
            yield from (settings.flag(name), value)


def test_a_sample_is_drawn_again_from_its_own_words_to_the_byte(workdir, tmp_path):
    files = sample(workdir, tmp_path, "--num", 5, "--seed", 7, "--live")
    elsewhere = tmp_path / "moved" / "run"
    shutil.copytree(workdir, elsewhere)
    for file in files:
        about = provenance.read(file)
        again = sample(elsewhere, tmp_path / "moved", *flags_of(about))
        for old, new in zip(files, again, strict=True):
            assert old.read_bytes() == new.read_bytes()
    assert about["options"]["num"] == 5 and about["options"]["live"] is True
    assert (about["draw"], about["seed"], about["step"]) == ("sample", 7, 2)
    assert (about["experiment"], about["jaxgan"]) == (
        "mlp_gan_mnist",
        jaxgan.__version__,
    )
    assert str(tmp_path) not in json.dumps(about)
    with np.load(files[1]) as held:
        assert {*held} == {"images", "provenance"} and len(held["images"]) == 5


def test_weights_are_those_of_the_checkpoint(workdir, tmp_path):
    known = workdir / "checkpoints" / "2" / "_CHECKPOINT_METADATA"
    saved = json.loads(known.read_text())["custom_metadata"]["digests"]
    fields = ".params", ".stats", ".ema"
    own = {
        f"['{path[1:].partition('[')[0]}'][{path.partition('[')[2]}": digest
        for path, digest in saved.items()
        if path.startswith(fields)
    }
    about = provenance.read(sample(workdir, tmp_path)[0])
    assert about["weights"] == digests.of_json(dict(sorted(own.items())))
    live = provenance.read(sample(workdir, tmp_path, "--live")[0])
    assert live["weights"] != about["weights"]


def test_training_says_it_of_its_samples_without_when_or_where(workdir):
    about = provenance.read(workdir / "samples" / "000002.png")
    assert about.keys() == {"jaxgan", "source", "draw", "step", "seed"}
    assert (about["draw"], about["step"], about["seed"]) == ("training", 2, 0)
    assert about["source"] == marks.TRAINED


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_png_tells_programs_that_a_model_has_drawn_it(tmp_path, channels):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 5, channels), np.uint8)
    images.save_png(tmp_path / "a.png", pixels, 1, ABOUT)
    naming.save(tmp_path / "b.png", pixels, None, ABOUT)
    for name in "ab":
        with Image.open(tmp_path / f"{name}.png") as picture:
            found = np.asarray(picture).reshape(pixels.shape)
            np.testing.assert_array_equal(found, pixels)
            assert picture.info["Software"] == "jaxgan 1.2"
            packet = picture.info["XML:com.adobe.xmp"]
        described = ElementTree.fromstring(packet.split("?>")[1].split("<?")[0])[0][0]
        assert described.attrib[IPTC] == WORD
        assert provenance.read(tmp_path / f"{name}.png") == ABOUT


def gif(about):
    frames = [Image.fromarray(np.full((4, 4), 60 * k, np.uint8)) for k in range(3)]
    buffer = io.BytesIO()
    frames[0].save(
        buffer, "GIF", save_all=True, append_images=frames[1:], duration=50, loop=0
    )
    return marks.gif(buffer.getvalue(), about)


def test_a_gif_says_it_and_moves_as_before(tmp_path):
    about = ABOUT | {"options": {"text": "long " * 200}}
    (tmp_path / "a.gif").write_bytes(gif(about))
    assert provenance.read(tmp_path / "a.gif") == about
    with Image.open(tmp_path / "a.gif") as picture:
        assert picture.n_frames == 3 and picture.info["loop"] == 0
        found = []
        for k in range(3):
            picture.seek(k)
            found.append(np.asarray(picture.convert("L"))[0, 0])
    assert found == [0, 60, 120]
    with pytest.raises(ValueError, match="no GIF"):
        marks.gif(b"GIF87a;", ABOUT)


@pytest.mark.skipif(not shutil.which("exiftool"), reason="needs exiftool")
def test_exiftool_reads_it(tmp_path):
    images.save_png(tmp_path / "a.png", np.zeros((4, 4, 3), np.uint8), 1, ABOUT)
    (tmp_path / "a.gif").write_bytes(gif(ABOUT))
    for name in ("a.png", "a.gif"):
        done = subprocess.run(
            ["exiftool", "-json", name], cwd=tmp_path, capture_output=True, check=True
        )
        (found,) = json.loads(done.stdout)
        assert found["DigitalSourceType"] == WORD
        assert found["CreatorTool"] == "jaxgan 1.2" and "Warning" not in found
        said = found.get("Jaxgan") or found["Comment"].removeprefix("jaxgan ")
        assert (json.loads(said) if isinstance(said, str) else said) == ABOUT


def test_files_that_say_nothing_and_files_that_are_none(tmp_path):
    images.save_png(tmp_path / "a.png", np.zeros((4, 4, 1), np.uint8))
    Image.new("L", (3, 3)).save(tmp_path / "a.gif")
    np.savez(tmp_path / "a.npz", images=np.zeros(3))
    for suffix in ("png", "gif", "npz"):
        file = tmp_path / f"a.{suffix}"
        assert provenance.read(file) is None
        file.write_bytes(file.read_bytes()[:20])
        with pytest.raises(UsageError, match="no sound PNG, GIF"):
            provenance.read(file)
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        provenance.read(tmp_path / "none.png")


@pytest.mark.parametrize(
    "array", [np.array("x" * 300_000), np.array(["{}"]), np.array(3), np.array("[1]")]
)
def test_what_is_no_object_is_not_believed(tmp_path, array):
    np.savez_compressed(tmp_path / "a.npz", provenance=array)
    try:
        assert provenance.read(tmp_path / "a.npz") is None
    except UsageError as error:
        assert array.size * array.itemsize > marks.MOST and "too large" in str(error)


def test_a_translation_says_what_it_is_of(tmp_path):
    empty = {name: {} for name in ("params", "stats", "opt", "ema", "memory")}
    state = TrainState(jnp.int32(7), **empty)
    draw = Draw(tasks.paired(), lambda state, given, key: -given[0], {})
    (tmp_path / "in/deep").mkdir(parents=True)
    Image.new("RGB", (8, 6), "red").save(tmp_path / "in/deep/a.bmp")
    args = draw, state, (6, 8, 3), tmp_path / "in", tmp_path / "out"
    about = provenance.drawn(state, "translate", 0)
    (written,) = files.translate(*args, about=about)
    found = provenance.read(written)
    assert found == about | {"input": "deep/a.bmp"} and found["step"] == 7
