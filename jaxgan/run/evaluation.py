"""What a run draws, measured: what it is compared with, and how a run is followed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from jaxgan.data import Dataset
from jaxgan.metrics import MEASURES, Rows, extractors, report
from jaxgan.run import draws, workdir
from jaxgan.run.keys import other_seed
from jaxgan.run.progress import bars
from jaxgan.run.sides import sides
from jaxgan.types import Draw, Model, UsageError

__all__ = ["Followed", "evaluate", "extractor_for", "follow", "main_draw", "seen"]

FOLLOWING = {
    "metrics": "evaluate_metrics",
    "num": "evaluate_num",
    "reference_num": "evaluate_reference_num",
    "reference": "data",
    "samples": "data",
}
"""What options of a report are called among those of a run."""


class Followed(NamedTuple):
    """What follows a run, and decides which state is its best."""

    folder: Path
    """Where that is kept."""
    figure: str
    """What the first figure is of, in all that decides it."""
    lower_is_better: bool
    of: Callable
    """`state -> {name: float}`"""


def main_draw(model: Model) -> str:
    """The draw that stands for a model: its first."""
    return next(iter(model.draws))


def extractor_for(model: Model, of: Draw, weights: str | None, dataset: Dataset, mesh):
    """What images are compared by: another network than those that D sees them by.

    Raises:
        UsageError: the weights are not Inception's, or D sees images by them.
    """
    if draws.from_noise(of):
        found = extractors.choose(weights, dataset.content, dataset.shape, mesh)
    else:
        found = extractors.of_any(weights, mesh)
    if found.name in model.sees and weights:
        reason = ": D sees images by it, so that it judges none; leave it out."
        raise UsageError("inception_weights", weights, reason)
    if found.name in model.sees:
        found = extractors.of_filters(mesh)
    if found.name in model.sees:
        return extractors.none(f"D itself sees by {found.name}")
    return found


def seen(model: Model) -> tuple[str, ...]:
    """A note, where D sees images by networks that else would judge them."""
    if not model.sees:
        return ()
    names = " and ".join(model.sees)
    return (f"D sees images by {names}: no figure is of features of that.",)


def follow(
    cfg, model: Model, dataset: Dataset, held_out: Dataset, measures, seed, folder, mesh
) -> Followed:
    """Measures a run's draws against the same real images each time.

    What is drawn has latents of its own, so that the state that is best by them is not
    chosen by those that `evaluate` reports.

    Args:
        cfg: the run's options.
        model: its model.
        dataset: what it is compared with: what it is trained on, or with `subset` all
            images.
        held_out: what it is to translate: images held out from training, or `dataset`,
            of which then one half is translated and the other compared with.
        measures: what there is to measure.
        seed: of the run; another made of it decides what is drawn, and which images are
            taken.
        folder: where the best state is kept.
        mesh: the devices.

    Raises:
        UsageError: what is asked for cannot be measured.
    """
    of = model.draws[main_draw(model)]
    extractor = extractor_for(model, of, cfg.inception_weights, dataset, mesh)
    seed = other_seed(seed, "following")
    names, num = cfg.evaluate_metrics, cfg.evaluate_num
    options: dict[str, Any] = {
        "measures": measures,
        "reference_num": cfg.evaluate_reference_num,
        "cache": workdir.cache("features"),
        "progress": bars,
    }
    if draws.from_noise(of):
        options["training_set"] = True
        fields = frozenset({"image", *of.task.needs})
        rows = Rows("samples", num, dataset.shape, fields, dataset.content)
        reference = dataset
        labels = _labels(of, dataset, num, seed)

        def drawn(state):
            classes = {"num_classes": dataset.num_classes, "labels": labels}
            drawn = draws.samples(model, state, num, seed, **classes)
            return drawn._replace(content=dataset.content)
    else:
        reference = sides(dataset, of.task).targets
        shown = draws.plain(of, mesh, held_out, seed)
        styled = {"styled"} if "style" in of.encode else set()
        fields, size = frozenset(shown.fields | styled), shown.size
        rows = Rows(held_out.name, size, shown.shape, fields, shown.content)
        options |= {"aligned": True, "halved": held_out is dataset}

        def drawn(state):
            return draws.translations(of, state, held_out, seed)

    try:
        args = rows, reference, extractor, names, num, seed
        judge = report.judge(*args, **options)
    except UsageError as error:
        raise error.renamed(FOLLOWING.get(error.option or "", error.option)) from None
    better = judge.lower_is_better
    return Followed(folder, judge.figure, better, lambda state: judge.of(drawn(state)))


def _labels(of, dataset, num, seed):
    """Classes as often as the data has them, for what is drawn of labels."""
    if "label" not in of.task.needs or not dataset.num_classes:
        return None
    return draws.labels_like(dataset, num, seed)


def evaluate(
    model: Model,
    state,
    name: str,
    *,
    dataset: Dataset,
    reference: Dataset,
    floor: Dataset | None,
    num_classes: int,
    extractor,
    names,
    num: int,
    seed: int,
    reference_num: int | None = None,
    training_set: bool = False,
    measures=MEASURES,
) -> dict:
    """One report of what a model draws.

    Args:
        model: from a recipe.
        state: its train state.
        name: of the draw.
        dataset: what it is to translate; not read by draws from noise.
        reference: real images.
        floor: more of them, for draws from noise; None for a half of the reference.
        num_classes: that the model was built for.
        extractor: what images are compared by.
        names: of measures; None for all that suit.
        num: how many images at most.
        seed: decides what is drawn, and which images are taken.
        reference_num: how many real images at most to compare with; None for all.
        training_set: the reference is the training set, of which the model may have
            seen a subset.
        measures: what there is to measure.

    Raises:
        UsageError: what is asked for cannot be measured.
    """
    of = model.draws[name]
    options: dict[str, Any] = {
        "measures": measures,
        "reference_num": reference_num,
        "cache": workdir.cache("features"),
        "progress": bars,
    }
    if draws.from_noise(of):
        labels = None
        if reference.num_classes == num_classes:
            labels = _labels(of, reference, num, seed)
        drawn = draws.samples(
            model, state, num, seed, num_classes=num_classes, labels=labels, name=name
        )._replace(content=reference.content)
        columns = {"floor": floor, "ceiling": None}
        options["training_set"] = training_set
        args = drawn, reference, columns, extractor, names, num, seed
        result = report.evaluate(*args, **options)
        taken = "in turn" if labels is None else f"as often as in {reference.name}"
        conditional = "label" in of.task.needs
        result |= {"classes": taken if conditional else None}
        return _with_seen(model, result)
    mesh = draws.mesh_of(state)
    drawn = draws.translations(of, state, dataset, seed)
    plain = draws.plain(of, mesh, dataset, seed)
    columns = {"plain": plain, "real": sides(dataset, of.task).targets}
    targets = sides(reference, of.task).targets
    args = drawn, targets, columns, extractor, names, num, seed
    options |= {"aligned": True, "halved": reference is dataset}
    result = report.evaluate(*args, **options) | {"data": dataset.name, "draw": name}
    return _with_seen(model, result)


def _with_seen(model, result):
    """The report, with the networks that D sees images by."""
    notes = [*result["notes"], *seen(model)]
    return result | {"notes": notes, "discriminator_sees": list(model.sees)}
