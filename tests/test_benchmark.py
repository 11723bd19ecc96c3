"""`benchmark.py`: what is timed, the turns, the figures, and one short race."""
# ruff: noqa: E402

import json
import os
import runpy
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxgan.types import UsageError

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
sys.path.append(str(EXPERIMENTS))

import benchmark
from benchmarks import cases, jaxgan_side, race, report

SECONDS = {"jaxgan": 0.002, "torch": 0.005}


def asked(side, log):
    """A side that takes the same time for every step, and says what it was asked."""

    def ask(verb, *args):
        log.append((side, verb, *args))
        if verb == "start":
            return f"weights of {args[0]}"
        return SECONDS[side] * args[1], 0.5, 0.25

    return ask


@pytest.fixture
def small(monkeypatch):
    """Cases whose data need not be read."""
    for name, case in cases.CASES.items():
        monkeypatch.setitem(cases.CASES, name, case._replace(data=lambda: np.zeros(3)))


def test_sides_take_turns_from_the_same_weights(small):
    log: list = []
    sides = {side: asked(side, log) for side in SECONDS}
    found = race.race(("plain", "r1"), sides, rounds=2, steps=16)
    started = [entry for entry in log if entry[1] == "start"]
    assert [entry[0] for entry in started] == ["jaxgan", "torch"] * 2
    assert [entry[4] for entry in started if entry[0] == "jaxgan"] == [None, None]
    assert [entry[4] for entry in started if entry[0] == "torch"] == [
        "weights of plain",
        "weights of r1",
    ]
    timed = [(e[2], e[0]) for e in log if e[1] == "run" and e[3] == 16]
    first = [(name, side) for name in ("plain", "r1") for side in SECONDS]
    assert timed == first + first[::-1]
    ms, losses = found["r1"]
    assert ms == {"jaxgan": pytest.approx([2, 2]), "torch": pytest.approx([5, 5])}
    assert losses == {"jaxgan": [0.5, 0.25], "torch": [0.5, 0.25]}


def test_a_turn_takes_half_a_second_of_the_slowest(small):
    log: list = []
    race.race(("ring",), {side: asked(side, log) for side in SECONDS}, rounds=1)
    assert max(entry[3] for entry in log if entry[1] == "run") == 100


def test_figures_are_medians_over_rounds():
    case = cases.CASES["ring"]
    ms = {"jaxgan": [1.0, 2.0, 4.0], "torch": [3.0, 2.0, 16.0]}
    row = report.summary(case, ms, {"jaxgan": [1, 2], "torch": [3, 4]}, peak=100.0)
    assert row["ratio_of_rounds"] == [3, 1, 4] and row["ratio"] == 3
    assert row["jaxgan"]["ms"] == 2 and row["torch"]["ms"] == 3
    assert row["jaxgan"]["gflops"] == pytest.approx(case.flops / 2e-3 / 1e9)
    assert row["jaxgan"]["share_of_peak"] == pytest.approx(case.flops / 2e-3 / 1e11)
    text = report.table(
        {
            "versions": {"jax": "1"},
            "cores": 2,
            "peak_gflops": 100.0,
            "models": {"ring": row},
            "prices": {"r1": {"jaxgan": 1.5}},
        }
    )
    assert "3.00x (1.00-4.00), bar 2.0x" in text
    assert "A step with r1 takes as long as without: jaxgan 1.50x" in text


def test_a_penalty_s_price_is_against_the_same_round():
    raced = {
        "plain": ({"jaxgan": [1.0, 2.0, 10.0]}, {}),
        "r1": ({"jaxgan": [2.0, 3.0, 12.0]}, {}),
    }
    assert report.prices(raced) == {"r1": {"jaxgan": 1.5}}
    assert report.prices({"r1": raced["r1"]}) == {}


def test_flops_are_those_that_xla_counts():
    """Of MLPs, which have little besides products."""
    G, D = jaxgan_side.models.mlp.Generator(), jaxgan_side.models.mlp.Discriminator()
    z, x = np.zeros((64, 100), np.float32), np.zeros((64, 28, 28, 1), np.float32)
    counted = []
    for net, given in ((G, z), (D, x)):
        params = net.init(jax.random.key(0), given)
        lowered = jax.jit(net.apply).lower(params, given)
        counted.append(lowered.cost_analysis()["flops"] / 64)
    flops = cases.step_flops(64, *counted)
    assert cases.CASES["mlp"].flops == pytest.approx(flops, rel=0.01)


@pytest.mark.parametrize("name", cases.CASES)
def test_every_case_is_a_gan_whose_losses_have_names(name):
    case = cases.CASES[name]
    gan = case.build(jaxgan_side)
    pair = (64, 64, 3)
    size = {"ring": (2,), "pix2pix": pair, "cyclegan": pair}.get(name, (28, 28, 1))
    image = jax.ShapeDtypeStruct((case.batch, *size), "float32")
    batch = dict.fromkeys(case.fields, image)
    key = jax.random.key(0)
    state = jax.eval_shape(gan.init, key, batch)
    after, metrics = jax.eval_shape(gan.step, state, batch, key)
    assert jax.tree.structure(after) == jax.tree.structure(state)
    assert {"d_loss", "g_loss"} <= set(metrics)
    assert ("d_penalty" in metrics) == (name in cases.PENALIZED[1:])


def test_options_out_of_range_are_refused():
    with pytest.raises(UsageError, match="--rounds 0 must be 1 or more"):
        benchmark.benchmark(benchmark.Options(rounds=0))
    with pytest.raises(UsageError, match="--steps -1 must be 1 or more"):
        benchmark.benchmark(benchmark.Options(steps=-1))


def test_penalties_race_together():
    assert benchmark.groups(("r1", "mlp", "plain")) == [("mlp",), ("r1", "plain")]
    assert benchmark.groups(("mlp", "ring")) == [("mlp",), ("ring",)]


@pytest.fixture
def one_core():
    """Threads of PyTorch that wait for each other on busy cores take seconds."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    yield
    os.sched_setaffinity(0, cores)


@pytest.mark.slow
def test_a_short_race_from_the_shell(one_core, tmp_path, monkeypatch, capsys):
    """Both sides in their processes; from equal weights, their losses are alike."""
    options = ["--models", "ring", "--rounds", "1", "--steps", "1"]
    out = tmp_path / "times.json"
    monkeypatch.setattr(sys, "argv", ["benchmark.py", *options, "--json", str(out)])
    runpy.run_path(str(EXPERIMENTS / "benchmark.py"), run_name="__main__")
    assert "MLP GAN, 2-D ring" in capsys.readouterr().out
    row = json.loads(out.read_text())["models"]["ring"]
    assert row["jaxgan"]["ms"] > 0 and row["torch"]["ms"] > 0
    ours, theirs = row["jaxgan"]["last_losses"], row["torch"]["last_losses"]
    np.testing.assert_allclose(ours, theirs, rtol=0.1)
