"""The classifier that is trained of any labelled images."""

import numpy as np

from jaxgan import data
from jaxgan.metrics import training


def test_what_can_be_told_is_learned_and_what_cannot_is_not():
    """Of three classes, of colour images of no size of MNIST's: where the light is."""
    rng = np.random.default_rng(0)
    labels = np.arange(90) % 3
    images = rng.integers(0, 60, (90, 9, 12, 3), np.uint8)
    for i, label in enumerate(labels):
        images[i, :, 4 * label : 4 * label + 4, label] += 150
    dataset = data.from_arrays(images, labels)
    seen = []

    def progress(steps, total, label):
        seen.append((total, label))
        return steps

    found = training.train(dataset, 60, batch_size=16, progress=progress, label="some")
    right = training.correct(*found, dataset, size=40)
    assert right.shape == (90,) and right.mean() > 0.95 and seen == [(60, "some")]
    others = data.from_arrays(images, np.roll(labels, 1))
    assert training.correct(*found, others).mean() < 0.05
