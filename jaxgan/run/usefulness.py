"""The command `cas`: what a classifier learns from samples of a run."""

import dataclasses
from pathlib import Path
from typing import Annotated

import numpy as np

from jaxgan import data
from jaxgan.data import Dataset
from jaxgan.metrics import training
from jaxgan.run import atomic, draws, inputs, workdir
from jaxgan.run.loading import Loaded
from jaxgan.run.progress import bars
from jaxgan.run.settings import FILE, Count, Number, Seed
from jaxgan.run.trained import Trained, of_noise
from jaxgan.types import UsageError

__all__ = ["Usefulness", "usefulness"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Usefulness(Trained):
    """Measure the Classification Accuracy Score (arXiv:1905.10887) of a
    class-conditional run: a classifier is trained on its samples and tested on real
    images, beside one that is trained on as many real images. Here it is the small one
    that comes with jaxgan; two trainings of 1,000 steps on 28x28 images take three
    minutes on two CPU cores."""

    num: Count = 10000
    """Samples, and real images, that are trained on."""
    steps: Count = 1000
    """Of each training."""
    batch_size: Count = 128
    """Images per step."""
    lr: Number = 2e-3
    """Adam's rate, at first; it falls along a half cosine."""
    out: Annotated[str | None, FILE] = None
    """The JSON to write. Default WORKDIR/cas.json."""
    seed: Seed = 0
    """Decides the samples, which real images are taken, and the training."""


def usefulness(options: Usefulness, loaded: Loaded) -> None:
    """Prints both accuracies, and writes them as JSON."""
    name, of = of_noise(loaded)
    if "label" not in of.task.needs:
        reason = "holds a run that draws no classes, so its samples teach none."
        raise UsageError("workdir", loaded.path, reason)
    out = loaded.path / "cas.json" if options.out is None else Path(options.out)
    workdir.writable(out.parent, "out")
    cfg, classes = loaded.run.config, loaded.run.class_names
    real = inputs.trained_on(cfg, sources=loaded.sources)
    test, notes = inputs.test_images(cfg, real, sources=loaded.sources)
    if test is None or "label" not in test.fields:
        why = notes[0] if test is None else "Its test images have no labels."
        raise UsageError("workdir", loaded.path, f"has nothing to test on. {why}")
    test = _of_classes(test, np.arange(test.size), classes)
    labels = draws.labels_like(real, options.num, options.seed)
    args = loaded.model, loaded.state, options.num, options.seed
    images, _ = draws.draw(*args, num_classes=len(classes), labels=labels, name=name)
    samples = data.from_arrays(images, labels, name="samples", class_names=classes)
    rows = np.random.default_rng(options.seed).permutation(real.size)[: options.num]
    figures = {
        "classification_accuracy_score": _learned(options, samples, test, "samples"),
        "real": _learned(options, _of_classes(real, rows, classes), test, "real"),
    }
    result = {
        "metrics": figures,
        "counts": {"samples": options.num, "real": len(rows), "test": test.size},
        "steps": options.steps,
        "seed": options.seed,
        "step": int(loaded.state.step),
        "notes": notes,
    }
    with atomic.written("out", out):
        atomic.write_json(out, result)
    for label, one in figures.items():
        print(f"{label:30} {one['value']:.2%} ± {one['error']:.2%}")
    print(*notes, f"Of {test.size} real test images. Written to {out}.", sep="\n")


def _of_classes(dataset: Dataset, rows, classes) -> Dataset:
    """Some images, with the run's numbers of classes.

    Raises:
        UsageError: they are of other classes.
    """
    blocks = data.blocks(rows, min(200, len(rows)))
    found = [(dataset.fetch(some), n) for some, n in blocks]
    images, labels = (
        np.concatenate([x[field][:n] for x, n in found]) for field in ("image", "label")
    )
    if unknown := [name for name in dataset.class_names if name not in classes]:
        reason = f"has the class {unknown[0]}, which the run does not know."
        raise UsageError("data", dataset.name, reason)
    number = np.array([classes.index(name) for name in dataset.class_names])
    named = {"name": dataset.name, "class_names": classes}
    images = data.eight_bits({"image": images})["image"]
    return data.from_arrays(images, number[labels], **named)


def _learned(options, dataset, test, label):
    """How many test images are told right by what learned from a data set."""
    found = training.train(
        dataset,
        options.steps,
        batch_size=min(options.batch_size, dataset.size),
        learning_rate=options.lr,
        seed=options.seed,
        progress=bars,
        label=f"learning from {label}",
    )
    right = training.correct(*found, test)
    return {
        "value": float(right.mean()),
        "error": float(right.std() / len(right) ** 0.5),
    }
