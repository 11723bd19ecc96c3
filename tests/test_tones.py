"""The judge of tones of skin."""

import numpy as np
import pytest

from jaxgan import data, metrics
from jaxgan.metrics import tones


@pytest.mark.parametrize("size", [64, 32])
def test_real_emoji_have_the_tone_of_their_class(size):
    dataset = data.load("emoji_tones", "test", resize=size)
    rows = dataset.fetch(np.arange(dataset.size))
    right = tones.accuracy(rows["image"], rows["label"])["tone_accuracy"]
    assert right.mean() > 0.98
    assert min(right[rows["label"] == k].mean() for k in range(6)) > 0.95
    other = (rows["label"] + 1) % 6
    assert tones.accuracy(rows["image"], other)["tone_accuracy"].mean() < 0.02


def test_images_that_were_drawn_are_less_exact():
    dataset = data.load("emoji_tones", "test", resize=32)
    rows = dataset.fetch(np.arange(dataset.size))
    noise = np.random.default_rng(1).normal(0, 8, rows["image"].shape)
    noisy = np.clip(rows["image"] + noise, 0, 255).astype(np.uint8)
    assert (tones.tone(noisy) == rows["label"]).mean() > 0.95


def test_the_measure_is_of_emoji_with_tones_alone():
    fields, filters = frozenset({"image", "label"}), metrics.extractors.of_filters()
    emoji = metrics.Rows("some", 500, (32, 32, 3), fields, "emoji_tones")
    assert "classes" in metrics.available(emoji, filters)
    for other in (emoji._replace(content=""), emoji._replace(fields={"image"})):
        assert "classes" not in metrics.available(other, filters)
