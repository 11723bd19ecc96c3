"""The embedded emoji, and images with transparency."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxgan import data
from jaxgan.data import emoji
from jaxgan.types import UsageError

HERE = Path(emoji.__file__).parent
INDEX = json.loads((HERE / "emoji.json").read_text())


def everything(dataset, field="image"):
    group = next(g for g in dataset.groups if field in g.fields)
    return group.fetch(np.arange(group.size))[field]


@pytest.fixture(scope="module")
def sheets():
    """Both sheets cut by hand: by style, uint8 [3786, 64, 64, 4]."""
    found = {}
    for style in ("noto", "twemoji"):
        sheet = np.array(Image.open(HERE / f"emoji_{style}.webp"))
        cut = [
            sheet[y : y + 64, x : x + 64]
            for y in range(0, sheet.shape[0], 64)
            for x in range(0, sheet.shape[1], 64)
        ]
        found[style] = np.stack(cut[: len(INDEX)])
    return found


@pytest.fixture(scope="module")
def loaded():
    specs = ("emoji", "emoji_pairs", "emoji_unpaired", "emoji_tones", "emoji_tones:1,5")
    return {
        (spec, split): data.load(spec, split=split)
        for spec in specs
        for split in ("train", "test")
    }


def white(images):
    alpha = images[..., 3:].astype(np.float64) / 255
    return images[..., :3] * alpha + 255 * (1 - alpha)


def numbers(split):
    return [i for i, one in enumerate(INDEX) if one["split"] == split]


def known(sheets, images, style="noto"):
    """Which emoji images are: any that look the same."""
    by_bytes = {}
    for i, image in enumerate(np.rint(white(sheets[style])).astype(np.uint8)):
        by_bytes.setdefault(image.tobytes(), []).append(i)
    return [by_bytes[image.tobytes()] for image in images]


@pytest.mark.parametrize("split, size", [("train", 3199), ("test", 587)])
def test_emoji_are_seen_over_white(loaded, sheets, split, size):
    dataset = loaded["emoji", split]
    assert (dataset.size, dataset.shape, dataset.channels) == (size, (64, 64, 3), "RGB")
    expected = white(sheets["noto"][numbers(split)])
    assert np.abs(everything(dataset) - expected).max() <= 0.5 + 1e-9


def test_emoji_with_transparency(sheets):
    dataset = data.load("emoji", split="test", channels="rgba")
    assert (dataset.shape, dataset.channels) == ((64, 64, 4), "RGBA")
    found, raw = everything(dataset), sheets["noto"][numbers("test")]
    seen = raw[..., 3] > 0
    np.testing.assert_array_equal(found[seen], raw[seen])
    np.testing.assert_array_equal(found[~seen], [[255, 255, 255, 0]] * (~seen).sum())


def lanczos(planes):
    """float [64, 64, C] -> [32, 32, C], without rounding in between."""
    planes = [Image.fromarray(c.astype(np.float32)) for c in np.moveaxis(planes, 2, 0)]
    return np.stack([np.asarray(p.resize((32, 32), Image.LANCZOS)) for p in planes], -1)


def near(found, expected):
    """Pillow rounds, and clips, after each of its two passes."""
    off = np.abs(np.stack(found) - np.stack(expected))
    assert off.mean() < 0.4 and np.quantile(off, 0.999) <= 8


def test_emoji_are_resized_as_they_are_seen(sheets):
    found = everything(data.load("emoji", "test", resize=32))
    seen = white(sheets["noto"][numbers("test")])
    near(found, [lanczos(image).clip(0, 255) for image in seen])


def test_colours_are_resized_by_how_opaque_they_are(sheets):
    """The sheet is black where nothing is seen; none of it comes into the colours."""
    found = everything(data.load("emoji", "test", resize=32, channels="rgba"))
    images = sheets["noto"][numbers("test")] / 255.0
    alpha = images[..., 3:]
    images = np.concatenate([images[..., :3] * alpha, alpha], -1)
    mixed = np.stack([lanczos(image).clip(0, 1) for image in images])
    near(white(found), 255 * (mixed[..., :3] + 1 - mixed[..., 3:]).clip(0, 1))
    near(found[..., 3:], 255 * mixed[..., 3:])


def test_pairs_are_of_one_emoji(loaded, sheets):
    for spec, split in (("emoji_pairs", "train"), ("emoji_unpaired", "test")):
        dataset = loaded[spec, split]
        assert len(dataset.groups) == 1 and dataset.fields == {"input", "image"}
        rows = numbers(split)
        for field, style in (("input", "noto"), ("image", "twemoji")):
            expected = white(sheets[style][rows])
            assert np.abs(everything(dataset, field) - expected).max() <= 0.5 + 1e-9


def groups_of(sheets, images, style="noto"):
    found = known(sheets, images, style)
    return {INDEX[i]["group"] for row in found for i in row if len(row) == 1}


def test_domains_without_pairs_share_no_group(loaded, sheets):
    dataset = loaded["emoji_unpaired", "train"]
    a = groups_of(sheets, everything(dataset, "input"))
    b = groups_of(sheets, everything(dataset), "twemoji")
    assert len(a) > 500 and len(b) > 500 and not a & b
    assert len(everything(dataset)) + len(everything(dataset, "input")) == 3199
    tones = loaded["emoji_tones:1,5", "train"]
    a = groups_of(sheets, everything(tones, "input"))
    b = groups_of(sheets, everything(tones))
    assert len(a) > 20 and len(b) > 20 and not a & b
    train = {one["group"] for one in INDEX if one["split"] == "train"}
    assert a | b <= train


def test_tones_are_classes(loaded, sheets):
    sizes = []
    for split in ("train", "test"):
        dataset = loaded["emoji_tones", split]
        assert dataset.class_names[1] == "light" and dataset.num_classes == 6
        rows = dataset.fetch(np.arange(dataset.size))
        sizes.append(dataset.size)
        bases = []
        for found, label in zip(
            known(sheets, rows["image"]), rows["label"], strict=True
        ):
            assert label in {INDEX[i]["tone"] for i in found}
            assert {INDEX[i]["split"] for i in found} == {split}
            bases.append(INDEX[found[0]]["base"])
        names = {one["name"] for one in INDEX if one["base"] in bases}
        # Noto draws these alike in all tones.
        assert not names & {"SNOWBOARDER", "GOLFER", "SLEEPING ACCOMMODATION"}
    assert sum(sizes) > 6 * 300 and all(size % 6 == 0 for size in sizes)


def test_a_tone_is_changed_with_the_rest_as_it_was(loaded):
    dataset = loaded["emoji_tones:1,5", "test"]
    rows = dataset.fetch(np.arange(dataset.size))
    assert set(rows["label"]) == {5} and dataset.size >= 50
    before, after = (rows[name].astype(float) for name in ("input", "image"))
    changed = np.abs(before - after).max(-1) > 24
    darker = (after - before).mean(-1)[changed]
    assert 0.05 < changed.mean() < 0.6 and (darker < 0).mean() > 0.95


@pytest.mark.parametrize(
    "spec", ["emoji_tones:1", "emoji_tones:1,9", "emoji_tones:2,2"]
)
def test_tones_that_there_are_not_are_refused(spec):
    with pytest.raises(UsageError, match="give two tones of skin"):
        data.load(spec)


def test_the_files_come_with_their_licences():
    text = (HERE / "EMOJI.md").read_text()
    for named in ("Google", "Apache", "Twitter", "CC BY 4.0", "MIT", "Cal Henderson"):
        assert named in text
    project = Path(__file__).parents[1].joinpath("pyproject.toml").read_text()
    assert "Apache-2.0 AND CC-BY-SA-3.0 AND CC-BY-4.0 AND MIT" in project
