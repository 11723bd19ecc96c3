"""A data set as a task sees it: what is given, and what it should become."""

from typing import NamedTuple

import jax
from jax import random

from jaxgan.data import Dataset, Group
from jaxgan.tasks import Task
from jaxgan.types import Model, UsageError, example

__all__ = ["Sides", "check", "map_classes", "sides"]

HAVING = {
    "input": "pairs:DIR or, for unpaired translation, unpaired:A,B",
    "map": "maps:DIR or mapped_mnist",
}


USING = {
    "input": "images of another side, which pix2pix (pairs) and CycleGAN use",
    "map": "label maps, which SPADE uses",
}


class Sides(NamedTuple):
    """What a task translates, and to what."""

    sources: Dataset
    """What is given is made of these."""
    targets: Dataset
    """What it should become, the `image` of them."""
    paired: bool
    """Whether a source and the target of its index belong together."""


def sides(dataset: Dataset, task: Task) -> Sides:
    """The group that a task reads, and the group of its target."""
    assert task.target is not None
    source = next((field for field in task.needs if field != task.target), task.target)
    here, there = _group_of(dataset, source), _group_of(dataset, task.target)
    first = there is dataset.groups[0] and task.target == "image"
    content = dataset.content if first else there.content
    target = _as_images(there, task.target)
    targets = dataset._replace(groups=(target,), content=content)
    return Sides(dataset._replace(groups=(here,)), targets, here is there)


def _group_of(dataset, field):
    return next(group for group in dataset.groups if field in group.fields)


def _as_images(group: Group, field: str) -> Group:
    """The group with one of its fields called `image`, its label `label`."""
    if field == "image":
        return group
    names = {field: "image", f"{field}_label": "label"}
    names = {old: new for old, new in names.items() if old in group.fields}

    def fetch(index):
        rows = group.fetch(index)
        return {new: rows[old] for old, new in names.items()}

    return Group(tuple(names.values()), group.size, fetch, group.content)


def check(model: Model, dataset: Dataset) -> None:
    """Refuses data that a task of the model cannot be made of, or of which a part
    beside labels would be left out.

    Raises:
        UsageError: naming what is missing, and what has it; or what would use it.
    """
    for draw in model.draws.values():
        needs = draw.task.needs if draw.task.target else ()
        for field in needs:
            if field not in dataset.fields:
                reason = f"has no {field} beside its images; give {HAVING[field]}."
                raise UsageError("data", dataset.name, reason)
        if needs and draw.task.in_pairs and not sides(dataset, draw.task).paired:
            reason = (
                "has images of two domains that are not in pairs, and this run learns "
                "from pairs; CycleGAN does without."
            )
            raise UsageError("data", dataset.name, reason)
        if "map" in needs:
            known = map_classes(draw.task, dataset.shape)
            if dataset.map_classes > known:
                raise UsageError(
                    "data",
                    dataset.name,
                    f"has maps with {_named(dataset.map_numbers)}, but networks for 0 "
                    f"... {known - 1}; give `map_classes` {dataset.map_classes}, or "
                    f"`void` {dataset.map_numbers[-1]} if that is of no class.",
                )
    used = {name for draw in model.draws.values() for name in draw.task.needs}
    for field, what in USING.items():
        if field in dataset.fields - used:
            reason = f"has {what}; this run would leave them out: give images alone."
            raise UsageError("data", dataset.name, reason)


def _named(numbers):
    """Numbers of classes, in ranges: "the classes 0 ... 2, 255"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    one = len(numbers) == 1
    parts = [
        f"{r[0]} ... {r[-1]}" if len(r) > 2 else ", ".join(map(str, r)) for r in runs
    ]
    return f"the class{'' if one else 'es'} {', '.join(parts)}"


def map_classes(task: Task, shape) -> int:
    """How many classes a task of label maps knows."""
    batch = example(shape)
    return jax.eval_shape(task.given, batch, random.key(0))[-1].shape[-1]
