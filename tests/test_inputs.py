"""What a run is shown and measured on: images that are held out, where there are."""

import types

import numpy as np
import pytest
from PIL import Image

from jaxgan import data, tasks
from jaxgan.run import config, inputs, references
from jaxgan.types import Draw, Model


def save(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), (value,) * 3).save(path)


def first(dataset):
    return int(dataset.fetch(np.zeros(1, int))["image"][0, 0, 0, 0])


def model_of(task):
    return Model(None, None, {}, {"draw": Draw(task, None)})


@pytest.mark.parametrize(
    "splits, expected, noted",
    [
        (("train", "test", "val"), "test", False),
        (("train", "valid"), "valid", True),
        (("train",), "train", False),
    ],
)
def test_what_is_held_out_is_shown_and_measured(tmp_path, splits, expected, noted):
    for value, split in enumerate(splits):
        save(tmp_path / split / "1.png", value)
    cfg = config.Config(data=f"folder:{tmp_path}")
    own, value = inputs.load(cfg), splits.index(expected)
    seen, _ = inputs.held_out(cfg, model_of(tasks.colourization()), own)
    assert first(seen) == value
    noise = model_of(tasks.noise(tasks.normal(2)))
    assert first(inputs.held_out(cfg, noise, own)[0]) == 0
    assert first(inputs.measured(cfg, f"folder:{tmp_path}")) == value
    found, notes = inputs.test_images(cfg, own)
    assert (found is None) == (expected == "train")
    assert any("of the split val" in note for note in notes) == noted
    run = types.SimpleNamespace(config=cfg, shape=own.shape)
    loaded = types.SimpleNamespace(run=run, sources=data.SOURCES)
    for asked in (None, f"folder:{tmp_path}"):
        options = types.SimpleNamespace(data=asked)
        measured, said = references._to_translate(options, loaded, own)
        assert first(measured) == value
        assert any("trained on" in note for note in said) == (expected == "train")


def test_other_images_are_of_the_split_that_they_have(tmp_path):
    save(tmp_path / "a/train/1.png", 1)
    save(tmp_path / "b/test/1.png", 2)
    cfg = config.Config(data=f"folder:{tmp_path / 'a'}")
    assert first(inputs.measured(cfg, f"folder:{tmp_path / 'b'}")) == 2
