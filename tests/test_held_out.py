"""What chooses a translator's best state is neither trained on nor reported."""

import importlib
import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan import data, models, recipes, run, tasks
from jaxgan.data.split import split
from jaxgan.run import config, evaluation, inputs
from jaxgan.types import UsageError

training = importlib.import_module("jaxgan.run.train")  # `run.train` is the function
SHAPE = (12, 12, 3)
SIZE = 1300


def images(size=SIZE):
    """Each tells its own number."""
    found = np.zeros((size, *SHAPE), np.uint8)
    found[:, 0, 0, 0], found[:, 0, 0, 1] = np.divmod(np.arange(size), 256)
    return found


def numbers(rows):
    return rows[:, 0, 0, 0].astype(int) * 256 + rows[:, 0, 0, 1]


def test_a_tenth_of_each_group_is_held_out_and_all_else_is_left():
    one, other = (
        data.Group((name,), size, lambda index: {name: images()[index]})  # noqa: B023
        for name, size in (("image", SIZE), ("input", 1000))
    )
    whole = data.Dataset("both", SHAPE, (one, other))
    rest, out = split(whole)
    for i, size in enumerate((SIZE, 1000)):
        assert (out.groups[i].size, rest.groups[i].size) == (size // 10, size * 9 // 10)
        known = [
            numbers(next(iter(g.fetch(np.arange(g.size)).values())))
            for g in (rest.groups[i], out.groups[i])
        ]
        assert not set(known[0]) & set(known[1])
        assert sorted(np.concatenate(known)) == list(range(size))
        assert all((np.diff(x) > 0).all() for x in known)
        spread = np.histogram(known[1], 5, (0, size))[0]
        assert spread.min() > size / 100  # from all over the data set
    again = split(whole)[1]
    rows = np.arange(20)
    for a, b in zip(out.groups, again.groups, strict=True):
        for x, y in zip(a.fetch(rows).values(), b.fetch(rows).values(), strict=True):
            np.testing.assert_array_equal(x, y)
    assert split(whole, 200)[1].size == 200
    with pytest.raises(UsageError, match="both has 1000 images, too few to hold out 6"):
        split(whole, 600)


def build(cfg, shape, num_classes):
    def init(key, x):
        return {"kernel": jnp.ones((1, 1, 1, 3))}, {}

    def apply(params, stats, x, train=True, rngs=None):
        return jnp.tanh(x.mean(3, keepdims=True) * params["kernel"]), stats

    G = models.Net("G", init, apply)
    return recipes.regression(G, tasks.colourization(), g_tx=optax.sgd(0.01))


@pytest.fixture
def go(tmp_path, monkeypatch):
    """Trains, and tells what was fed, of the log and of what follows the run."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    fed, followed = [], []
    feed, follow = training.feed.feed, evaluation.follow

    def watched(dataset, *args):
        fed.append(dataset)
        return feed(dataset, *args)

    def following(cfg, model, dataset, held_out, *args):
        followed.append((dataset, held_out))
        return follow(cfg, model, dataset, held_out, *args)

    monkeypatch.setattr(training.feed, "feed", watched)
    monkeypatch.setattr(evaluation, "follow", following)

    def train(**changes):
        values = {"steps": 2, "batch_size": 8, "workdir": str(tmp_path / "run")}
        values |= {"sample_every": 100, "evaluate_num": 100}
        values["evaluate_metrics"] = ("similarity",)
        cfg = run.changed(config.Config(), **values | changes)
        fed.clear()
        followed.clear()
        run.train(cfg, build, "held", data=images())
        log = Path(cfg.workdir, "log.txt").read_text()
        known = json.loads(Path(cfg.workdir, "config.json").read_text())
        there = set(numbers(fed[0].fetch(np.arange(fed[0].size))["image"]))
        apart = [
            set(numbers(out.fetch(np.arange(out.size))["image"])) for _, out in followed
        ]
        return there, apart, log, known["held_out"]

    return train


def test_a_translator_that_is_evaluated_is_not_trained_on_a_tenth(go, tmp_path):
    there, (apart,), log, known = go(evaluate_every=2)
    assert len(apart) == known == 130 and len(there) == 1170
    assert not there & apart
    assert "Held out from training, to choose the best state by: 130 of 1300" in log
    assert "Sheets show images that it is trained on. Nothing is known" in log
    # It goes on as it began.
    there, apart, _, known = go(evaluate_every=0, steps=3)
    assert len(there) == 1170 and not apart and known == 130


def test_a_subset_is_of_what_is_not_held_out(go):
    """It is chosen by the tenth of all, and compared with the others of all."""
    there, (apart,), log, known = go(evaluate_every=2, subset=90)
    assert len(apart) == known == 130 and len(there) == 90 and not there & apart
    assert "90 images of" in log


def test_one_that_is_not_evaluated_is_trained_on_all(go, tmp_path):
    there, apart, log, known = go()
    assert len(there) == SIZE and not apart and known == 0 and "Held out" not in log
    file = tmp_path / "run" / "config.json"
    old = json.loads(file.read_text())
    del old["held_out"]  # as 0.2 left it
    file.write_text(json.dumps(old))
    with pytest.raises(KeyError):
        go(steps=4, evaluate_every=2)  # it is continued, and this key not written
    log = (tmp_path / "run" / "log.txt").read_text()
    assert "began with no images held out: its best state is chosen by" in log
    assert "Held out from" not in log


def test_too_few_to_hold_out_are_refused(go, monkeypatch):
    monkeypatch.setattr("test_held_out.SIZE", 199)
    cfg = run.changed(config.Config(), evaluate_every=1, batch_size=8)
    with pytest.raises(UsageError, match=r"has 199 images, too few to hold out 100 of"):
        run.train(cfg, build, "few", data=images(199))


def test_why_no_test_images_are_shown_is_said(tmp_path):
    np.savez(tmp_path / "some.npz", images=images(20))
    cfg = run.changed(config.Config(), data=f"npz:{tmp_path}/some.npz")
    loaded = inputs.load(cfg)
    seen, (note,) = inputs.held_out(cfg, build(cfg, SHAPE, 0), loaded)
    assert seen is loaded
    assert note.startswith(
        "Sheets show images that it is trained on. There are no test"
    )
    assert inputs.test_images(cfg, loaded)[1][0].endswith("some.npz has none apart.")
    broken = loaded._replace(splits=("train", "test"))
    seen, (note,) = inputs.held_out(cfg, build(cfg, SHAPE, 0), broken)
    assert seen is broken and "it has no split 'test'" in note
