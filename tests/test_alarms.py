"""Runs that go wrong quietly are warned of, by the name of the trouble."""

import dataclasses
from functools import partial

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tiny_runs import build, go

from jaxgan import data
from jaxgan.data import mnist
from jaxgan.run import alarms, hooks
from jaxgan.run.loop import Now
from jaxgan.run.members import Member
from jaxgan.run.sheets import Sheet
from jaxgan.types import Mean, merge

ONE = (Member(0, {}),)


def told(rows, members=ONE):
    """What is said of lines of metrics."""
    said = []
    look = alarms.of_metrics(members, said.append, {})
    for row in rows:
        look(row["step"], {n: m for n, m in row.items() if n != "step"})
    return said


def mnist_train():
    return data.from_arrays(*mnist.read("train"))


def lines(every=50, until=2000, **means):
    return [{"step": step} | means for step in range(every, until + 1, every)]


@pytest.mark.parametrize(
    ("means", "says"),
    [
        ({"D(real>fake)": 1.0}, "D is too strong: "),
        ({"D_A(real>fake)": 0.9995}, "D_A is too strong: "),
        ({"D(real>fake)": 0.05}, "D is too weak: "),
        ({"G_grad_norm": 1e-5, "D_grad_norm": 2.0}, "Unbalanced gradients: G's norm"),
        ({"G_grad_norm": 0.0}, "Dead gradients: G's gradient is zero"),
        ({"D_grad_norm": 1e6}, "Values blow up: D's gradient is 1e+06"),
        ({"g_loss": -9.7e14}, "Values blow up: g_loss is -9.7e+14"),
    ],
)
def test_each_trouble_is_named_once(means, says):
    (said,) = told(lines(**means))
    assert says in said and said.startswith("Warning at step ")
    assert not told(lines(**dict.fromkeys(means, 0.7)))


def test_what_does_not_last_is_not_said():
    rows = lines(**{"D(real>fake)": 1.0}, until=alarms.HOLDS)
    assert not told(rows)
    rows[3]["D(real>fake)"] = 0.9
    assert not told([*rows, *lines(until=0)])
    longer = lines(**{"D(real>fake)": 1.0}, until=alarms.HOLDS + 50)
    assert len(told(longer)) == 1
    longer[3]["D(real>fake)"] = 0.9  # and begins anew
    assert not told(longer)


def test_members_are_told_apart():
    members = Member(0, {}), Member(1, {"g_lr": 1e-3})
    rows = lines(**{"D(real>fake)": [0.8, 1.0], "d_loss": [1.0, None]})
    (said,) = told(rows, members)
    assert f", member 1 ({members[1].name}): D is too strong" in said


def images(n, seed=0, shape=(8, 8, 1)):
    return np.random.default_rng(seed).integers(0, 256, (n, *shape), np.uint8)


def test_training_images_that_are_few_or_alike_are_said_to_be():
    (said,) = alarms.of_data(data.from_arrays(images(64)), False)
    assert "D overfits, it learns 64 images by heart" in said
    (said,) = alarms.of_data(data.from_arrays(images(1).repeat(500, 0)), False)
    assert "of 500 training images that were looked at, 1 are different" in said
    assert not alarms.of_data(data.from_arrays(images(400)), False)


def test_shuffled_labels_are_said_to_be():
    dataset = mnist_train()
    assert not alarms.of_data(dataset, True)
    arrays = dataset.groups[0].fetch(np.arange(5000))
    for seed in range(5):
        labels = np.random.default_rng(seed).permutation(arrays["label"])
        shuffled = data.from_arrays(arrays["image"], labels)
        said = alarms.of_data(shuffled, True, seed)
        assert len(said) == 1 and "Labels say nothing of the images" in said[0]
        assert not alarms.of_data(shuffled, False)


def of_samples(samples, real, weights=None):
    said = []
    look = alarms.of_samples(ONE, data.from_arrays(real), said.append, {})
    for step, shown in enumerate(samples):
        params = {"G": {"w": np.float32([step if weights is None else weights])}}
        state = TrainStub(params, {"G": ()})
        look(500 * step, 0, state, Sheet(shown[0], shown, None))
    return said


@dataclasses.dataclass
class TrainStub:
    params: dict
    opt: dict


def test_samples_that_are_alike_are_mode_collapse():
    real, rng = images(500), np.random.default_rng(1)
    few = images(4, 2).repeat(16, 0)
    near = np.clip(few + rng.integers(-5, 6, few.shape), 0, 255).astype(np.uint8)
    (said,) = of_samples([near] * 5, real)
    assert said.startswith("Warning at step 1500: Mode collapse: samples are ")
    assert not of_samples([images(64, k) for k in range(5)], real)
    assert not of_samples([images(64), near, images(64), near], real)  # not for long


def test_who_does_not_learn_yet_may_stand_still():
    """D before its first step: pre-training; G between two of its own: n_critic."""
    said, real = [], data.from_arrays(images(500))
    for gap, seen in ((500, {0: {"D"}}), (50, {0: {"D", "G"}})):
        look = alarms.of_samples(ONE, real, said.append, seen)
        for k in range(3):
            shown = images(64, k)
            state = TrainStub({"G": {"w": np.float32([1])}}, {"G": ()})
            look(gap * k if gap == 500 else 49 * (k > 0), 0, state, _sheet(shown))
    assert not said


def _sheet(shown):
    return Sheet(shown[0], shown, None)


def test_weights_that_stand_still_are_said_to():
    shown = [images(64, k) for k in range(4)]
    (said,) = of_samples(shown, images(500), weights=1.0)
    assert said.startswith("Warning at step 500: G stands still")


# Whole runs, as they go wrong.


@pytest.fixture
def digits(options, tmp_path):
    """Makes a config of small digits."""
    arrays = mnist_train().groups[0].fetch(np.arange(2000))
    np.savez(tmp_path / "digits.npz", images=arrays["image"], labels=arrays["label"])

    def make(name, **changes):
        often = {"log_every": 25, "sample_every": 100, "checkpoint_every": 10**6}
        defaults = {"data": f"npz:{tmp_path / 'digits.npz'}", "steps": 500}
        return options(name, **(defaults | {"batch_size": 16} | often | changes))

    return make


def warned(capsys):
    said = capsys.readouterr().err
    return [line for line in said.splitlines() if line.startswith("Warning")]


def test_a_frozen_player_is_named(digits, capsys, monkeypatch):
    monkeypatch.setattr(alarms, "HOLDS", 100)
    for name in "GD":

        def frozen(cfg, shape, num_classes, name=name):
            model = build(cfg, shape, num_classes)

            def step(state, batch, key):
                new, metrics = model.step(state, batch, key)
                return merge(new, params={name: state.params[name]}), metrics

            return model._replace(step=step)

        go(digits(f"frozen{name}", steps=300), frozen)
        said = warned(capsys)
        assert any(f"{name} stands still" in line for line in said), said


@pytest.mark.parametrize("rate", [1.0, 1e6])
def test_rates_that_are_far_too_high_are_warned_of(digits, capsys, rate, monkeypatch):
    monkeypatch.setattr(alarms, "HOLDS", 100)
    go(digits("run", steps=300), partial(build, tx=optax.adam(rate)))
    said = warned(capsys)
    kinds = "Values blow up", "Dead gradients", "too strong", "Mode collapse"
    assert any(kind in line for line in said for kind in kinds), said


def test_the_bar_counts_warnings(options, capsys):
    shown = []

    class Bar:
        n = 0

        def set_postfix_str(self, text):
            shown.append(text)

    look = alarms.of_metrics(ONE, lambda text: None, {})
    hook = hooks.log(10, 0, 8, [], Bar(), look)
    for step in (10, 20):
        mean = Mean(jnp.float32(0), jnp.float32(10))
        hook.run(Now(step, None, {"G_grad_norm": mean}, 1.0))
    assert shown[-1].endswith("1 warning: see the log")
