"""Four channels everywhere: tasks, runs, files, measures."""

import json
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent.parent / "experiments"))
import cgan_emoji
import colorize
from command_line import run

from jaxgan import data, metrics, tasks

RNG = np.random.default_rng(0)
ROWS = RNG.integers(1, 256, (120, 12, 12, 4), np.uint8)
BATCH = {"image": jnp.asarray(ROWS[:4] / 127.5 - 1, jnp.float32)}
KEY = jax.random.key(0)


def white(rows):
    alpha = rows[..., 3:] / 255
    return rows[..., :3] * alpha + 255 * (1 - alpha)


def test_over_white_is_as_a_page_shows_it():
    seen = tasks.over_white(BATCH["image"])
    expected = white(ROWS[:4]) / 127.5 - 1
    np.testing.assert_allclose(seen, expected, atol=1e-5)
    pictures = [Image.fromarray(x) for x in ROWS[:4]]
    page = Image.new("RGBA", (12, 12), "white")
    theirs = [np.array(Image.alpha_composite(page, x))[..., :3] for x in pictures]
    ours = data.over_white(data.from_arrays(ROWS)).fetch(np.arange(4))["image"]
    assert np.abs(ours.astype(int) - theirs).max() <= 1
    luma = white(ROWS[:4]) @ [0.299, 0.587, 0.114] / 127.5 - 1
    np.testing.assert_allclose(tasks.luma(BATCH["image"])[..., 0], luma, atol=1e-5)


def test_colourization_keeps_luma_and_alpha():
    task = tasks.colourization()
    (given,) = task.given(BATCH, KEY)
    assert given.shape == (4, 12, 12, 2)
    drawn = jax.random.normal(KEY, (4, 12, 12, 4))
    out = task.finish((given,), drawn)
    np.testing.assert_array_equal(out[..., 3], BATCH["image"][..., 3])
    luma = BATCH["image"][..., :3] @ np.float32([0.299, 0.587, 0.114])
    np.testing.assert_allclose(
        out[..., :3] @ np.float32([0.299, 0.587, 0.114]), luma, atol=1e-5
    )
    assert task.show((given,)).shape == (4, 12, 12, 4)


def test_what_is_unseen_gives_no_colour_to_a_smaller_copy():
    """Red, beside green that is fully transparent: no yellow between them."""
    images = np.full((1, 12, 12, 4), [1, -1, -1, 1], np.float32)
    images[:, :, 6:] = -1, 1, -1, -1
    small = tasks.smaller(jnp.asarray(images), 4)
    assert small.shape == (1, 3, 3, 4)
    colours, alpha = small[..., :3], small[..., 3]
    middle = colours[0, 1, 1]
    np.testing.assert_allclose(middle, [1, -1, -1], atol=1e-4)
    assert 0 < (float(alpha[0, 1, 1]) + 1) / 2 < 1
    page = tasks.over_white(jnp.asarray(images))
    seen = jax.image.resize(page, (1, 3, 3, 3), "cubic")
    both = (np.clip(x[0, 1], -1, 1) for x in (tasks.over_white(small), seen))
    np.testing.assert_allclose(*both, atol=1e-4)


@pytest.mark.parametrize("channels, depth", [("gray", 1), ("rgb", 3), ("rgba", 4)])
def test_any_source_gives_the_channels_that_are_asked_for(channels, depth, tmp_path):
    Image.fromarray(ROWS[0]).save(tmp_path / "a.png")
    Image.fromarray(ROWS[1, ..., 0]).save(tmp_path / "b.png")
    np.savez(tmp_path / "x.npz", images=ROWS)
    for spec in (f"folder:{tmp_path}", f"npz:{tmp_path}/x.npz", "stacked_mnist"):
        dataset = data.load(spec, channels=channels)
        image = dataset.fetch(np.arange(2))["image"]
        assert dataset.shape[2] == image.shape[3] == depth
    folder = data.load(f"folder:{tmp_path}", channels=channels)
    found = folder.fetch(np.arange(2))["image"]
    expected = {
        "gray": white(ROWS[0]) @ [0.299, 0.587, 0.114],
        "rgb": white(ROWS[0]),
        "rgba": ROWS[0],
    }[channels]
    assert np.abs(found[0].squeeze() - expected.astype(float)).max() <= 1.01
    if channels == "rgba":
        assert (found[1, ..., 3] == 255).all()
        np.testing.assert_array_equal(found[1, ..., 2], ROWS[1, ..., 0])


def test_transparent_images_are_measured_over_white():
    half = data.from_arrays(ROWS, name="soft"), data.from_arrays(ROWS[::-1].copy())
    filters = metrics.extractors.of_filters()
    found = metrics.evaluate(*half, {}, filters, ("fd", "colours"), num=120)
    seen = [
        data.from_arrays(np.rint(white(x)).astype(np.uint8)) for x in (ROWS, ROWS[::-1])
    ]
    expected = metrics.evaluate(*seen, {}, filters, ("fd", "colours"), num=120)
    for name, figures in expected["metrics"].items():
        got = found["metrics"][name]["value"]
        assert got == pytest.approx(figures["value"], rel=1e-2, abs=1e-3)
    assert "measured over white" in found["notes"][0]


def test_a_run_draws_translates_and_keeps_transparency(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("soft.npz", images=ROWS, labels=np.arange(120) % 2)
    here = "--data", "npz:soft.npz", "--channels", "rgba", "--batch-size", 8
    few = "--steps", 1, "--sample-every", 1
    thin = "--g-width", 2, "--d-width", 2, "--resize", 12
    assert run(cgan_emoji, *here, *few, *thin) == 0
    assert run(cgan_emoji, "sample", "--num", 4, "--npz", "drawn.npz") == 0
    assert np.load("drawn.npz")["images"].shape == (4, 12, 12, 4)
    with Image.open("samples.png") as sheet:
        assert sheet.mode == "RGBA"
    small = "--width", 2, "--d-width", 2, "--patch", 1
    assert run(colorize, *here, *few, *small) == 0
    Image.fromarray(ROWS[0]).convert("LA").save("a.png")
    assert run(colorize, "translate", "--input", "a.png", "--out", "out") == 0
    drawn = np.array(Image.open("out/a.png"))
    assert drawn.shape == (12, 12, 4)
    np.testing.assert_array_equal(drawn[..., 3], ROWS[0, ..., 3])
    kept = json.loads(Path("runs/colorize/config.json").read_text())
    assert kept["config"]["channels"] == "rgba"
