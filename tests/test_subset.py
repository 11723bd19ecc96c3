"""Training on a part of the images, as studies of few images do."""

import importlib
from pathlib import Path

import jax
import numpy as np
import pytest
from tiny_runs import build, options  # noqa: F401

from jaxgan import run
from jaxgan.data import Dataset, Group
from jaxgan.data.split import subset
from jaxgan.run import evaluation, inputs
from jaxgan.types import UsageError

training = importlib.import_module("jaxgan.run.train")

SIZE = 150


def numbered(*fields, size=SIZE):
    """Images whose pixels are their number."""

    def fetch(index):
        wide = np.asarray(index)[:, None, None, None]
        image = np.broadcast_to(wide, (len(index), 28, 28, 1))
        return {name: image.astype(np.uint8) for name in fields}

    return Group(fields, size, fetch)


def numbers(dataset, i=0):
    """The numbers of all images of a group, in order."""
    group = dataset.groups[i]
    rows = group.fetch(np.arange(group.size))
    first, *others = (x[:, 0, 0, 0].tolist() for x in rows.values())
    assert all(other == first for other in others)
    return first


def of(*groups):
    return Dataset("numbers", (28, 28, 1), groups)


def test_a_subset_is_always_the_same_and_in_order_and_within_a_larger_one():
    whole = of(numbered("image", "input"))
    small, large = (subset(whole, n) for n in (20, 60))
    assert small.size == 20 and numbers(small) == numbers(subset(whole, 20))
    assert numbers(small) == sorted({*numbers(small)} & {*numbers(large)})
    assert numbers(small) != list(range(20))
    assert numbers(subset(whole, SIZE)) == numbers(whole) == list(range(SIZE))


def test_it_is_drawn_from_all_alike():
    """The mean of 60 of 0 ... 149: its deviation is 4.3."""
    assert np.mean(numbers(subset(of(numbered("image")), 60))) == pytest.approx(
        74.5, abs=13
    )


def test_each_side_of_what_is_no_pair_has_so_many():
    both = subset(of(numbered("image"), numbered("input", size=90)), 40)
    assert [len(numbers(both, i)) for i in (0, 1)] == [40, 40]
    assert numbers(both) != numbers(both, 1)


def test_more_than_there_are_is_refused():
    both = of(numbered("image"), numbered("input", size=90))
    assert subset(both, 90).size == 90
    with pytest.raises(UsageError, match=r"^subset 91 is more than the 90 images of n"):
        subset(both, 91)


@pytest.fixture
def go(options, monkeypatch):  # noqa: F811
    """Trains; what was fed, and what it was compared with."""
    feed, follow = training.feed.feed, evaluation.follow
    fed, compared = [], []

    def watched(dataset, *args):
        fed.append(dataset)
        return feed(dataset, *args)

    def following(cfg, model, dataset, *args):
        compared.append(dataset)
        return follow(cfg, model, dataset, *args)

    monkeypatch.setattr(training.feed, "feed", watched)
    monkeypatch.setattr(evaluation, "follow", following)

    def train(**changes):
        cfg = options("run", **{"data": "numbers", "steps": 2} | changes)
        *_, state = run.train(cfg, build, data=of(numbered("image")))
        return state, fed[-1], compared, Path(cfg.workdir, "log.txt").read_text()

    return train


def test_a_run_sees_its_subset_alone_and_is_compared_with_all(go):
    many = {"evaluate_every": 2, "evaluate_num": 120}
    _, fed, (compared,), log = go(subset=16, **many)
    assert numbers(fed) == numbers(subset(of(numbered("image")), 16))
    assert numbers(compared) == list(range(SIZE))
    assert "16 images of 28x28x1 from numbers" in log


def test_a_run_of_another_subset_does_not_go_on(go):
    go(subset=16)
    with pytest.raises(UsageError, match="subset"):
        go(subset=17, steps=3)


def test_a_subset_of_all_is_all(go, tmp_path):
    state, *_ = go(subset=SIZE)
    other, fed, *_ = go(workdir=str(tmp_path / "other"))
    assert fed.size == SIZE
    same = jax.tree.map(np.array_equal, state.params, other.params)
    assert all(jax.tree.leaves(same))


def test_other_commands_measure_against_all(options):  # noqa: F811
    cfg = options("run", data="emoji", subset=500, resize="8")
    assert inputs.load(cfg).size > 3000 and inputs.trained_on(cfg).size == 500
