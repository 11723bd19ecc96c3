"""`benchmark.py`: what is timed, the turns, the figures, and one short race."""
# ruff: noqa: E402

import functools
import itertools
import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxgan.ops.conv import conv
from jaxgan.types import UsageError

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
sys.path.append(str(EXPERIMENTS))

import benchmark
from benchmarks import cases, flops, jaxgan_side, race, report
from benchmarks.race import Raced, Setting

SECONDS = {"jaxgan": 0.002, "eager": 0.005}


def asked(name, side, log):
    """A side that takes the same time for every step, and says what it was asked."""

    def ask(verb, *args):
        log.append((name, side, verb, *args))
        if verb == "matmul":
            return 100.0
        if verb == "start":
            first = {"cold": 2.0, "warm": 1.0}
            known = {"weights": f"weights of {name}", "flops": 10**7}
            known |= {"losses": (0.5, 0.25)}
            return known | {"first": first, "memory": 2**20}
        return SECONDS[side] * args[0], 0.5, 0.25

    return ask


@pytest.fixture
def small(monkeypatch):
    """Cases whose data need not be read."""
    for name, case in cases.CASES.items():
        monkeypatch.setitem(cases.CASES, name, case._replace(data=lambda: np.zeros(3)))


def raced(names, **setting):
    log: list = []
    asks = {name: {side: asked(name, side, log) for side in SECONDS} for name in names}
    return race.raced(asks, Setting(**setting)), log


def test_turns_are_of_whole_periods(small):
    """Of the 16 steps after which StyleGAN2 has done all that it does lazily."""
    _, log = raced(("stylegan2_lazy", "ring"), rounds=1, steps=20)
    steps = {e[0]: e[3] for e in log if e[2] == "run" and e[3] > 10}
    assert steps == {"stylegan2_lazy": 32, "ring": 20}


def test_sides_take_turns_from_the_same_weights(small):
    found, log = raced(("plain", "r1"), rounds=2, steps=16)
    started = [entry for entry in log if entry[2] == "start"]
    assert [entry[1] for entry in started] == ["jaxgan", "eager"] * 2
    assert [entry[4] for entry in started if entry[1] == "jaxgan"] == [None, None]
    assert [entry[4] for entry in started if entry[1] == "eager"] == [
        "weights of plain",
        "weights of r1",
    ]
    timed = [(e[0], e[1], e[4]) for e in log if e[2] == "run" and e[3] == 16]
    ways = [("jaxgan", options) for options in race.ENTRANTS.values()] + [("eager", {})]
    first = [(name, *way) for name in ("plain", "r1") for way in ways]
    assert timed == first + first[::-1]
    known = found["r1"]
    assert known.ms["jaxgan"] == pytest.approx([2, 2])
    assert known.ms["eager"] == pytest.approx([5, 5])
    assert known.losses["eager"] == (0.5, 0.25)
    assert known.first["eager"] == {"cold": 2.0, "warm": 1.0}
    assert known.memory == dict.fromkeys(SECONDS, 2**20) and known.flops == 10**7


def test_a_turn_takes_half_a_second_of_the_slowest(small):
    _, log = raced(("ring",), rounds=1)
    assert max(entry[3] for entry in log if entry[2] == "run") == 100


def test_points_are_not_streamed(small):
    found, _ = raced(("ring", "mlp"), rounds=1, steps=1)
    assert "streamed" in found["mlp"].ms and "streamed" not in found["ring"].ms


def found_of(ms, operations=10**7):
    losses = {key: [1.0, 2.0] for key in ms}
    first = {key: {"cold": 9.0, "warm": 3.0} for key in ms}
    peaks = {"jaxgan": 90.0, "eager": 100.0}
    return Raced(ms, losses, first, dict.fromkeys(ms, 2**30), operations, peaks)


def test_figures_are_medians_over_rounds_of_the_fastest_mode():
    ms = {
        "jaxgan": [1.0, 2.0, 4.0],
        "dispatch of 1": [3.0, 3.0, 3.0],
        "eager": [3.0, 2.0, 16.0],
        "compiled": [9.0, 9.0, 9.0],
    }
    row = report.summary("ring", found_of(ms))
    assert row["best"] == "eager"
    assert row["ratio_of_rounds"] == [3, 1, 4] and row["ratio"] == 3
    assert row["ratios"] == {"eager": 3, "compiled": 4.5}
    assert row["ms"]["jaxgan"] == 2 and row["ms"]["compiled"] == 9
    assert row["share_of_peak"]["jaxgan"] == pytest.approx(1e7 / 2e-3 / 1e11)
    swept = {"members": 4, "title": "MLPs", "ratio": 2.5}
    text = report.table(
        {
            "versions": {"jax": "1"},
            "date": "2026-01-01",
            "device": "a CPU",
            "dtype": "float32",
            "modes": ("eager", "compiled"),
            "models": {"ring": row},
            "prices": {"r1": {"jaxgan": 1.5, "eager": 2, "compiled": 3}},
            "sweep": swept | {"compiled": {"together": 5.0, "alone": 2.0}},
        }
    )
    assert "| 2 | 3 | 9 | 3.00× (1.00–4.00) | 5% |" in text
    assert "| MLP GAN, 2-D ring | 1.50 | – | – |" in text
    assert "9.0 / 3.0 s; 1024 MiB" in text
    assert "without, times: jaxgan 1.50, eager 2.00, compiled 3.00." in text
    assert "4 seeds of MLPs as one program: 2.50× as fast" in text


def test_a_penalty_s_price_is_against_the_same_round():
    raced = {
        "plain": found_of({"jaxgan": [1.0, 2.0, 10.0]}),
        "r1": found_of({"jaxgan": [2.0, 3.0, 12.0]}),
    }
    assert report.prices(raced) == {"r1": {"jaxgan": 1.5}}
    assert report.prices({"r1": raced["r1"]}) == {}


@functools.cache
def fields_of(data):
    """Shapes of one example, by field."""
    return {name: rows.shape[1:] for name, rows in data().items()}


def shapes_of(name):
    """A case's GAN, and its step's arguments as shapes."""
    case, key = cases.CASES[name], jax.random.key(0)
    gan = case.build(jaxgan_side.Side("float32"))
    dtypes = {"label": "int32", "map": "uint8"}
    batch = {
        name: jax.ShapeDtypeStruct((case.batch, *shape), dtypes.get(name, "float32"))
        for name, shape in fields_of(case.data).items()
    }
    return gan, (jax.eval_shape(gan.init, key, batch), batch, key)


def dense(*widths):
    return sum(2 * a * b for a, b in itertools.pairwise(widths))


def convolution(positions, c_in, c_out):
    """4x4; of a transposed one, positions of its input."""
    return 2 * positions * 4 * 4 * c_in * c_out


def test_flops_of_a_step_are_counted():
    """3·F_G + 8·F_D an image, F of one forward pass; D's first layer needs no gradient
    in its input where D learns, nor G's, ever."""
    z, n = dense(100, 16 * 128), 64
    g = convolution(16, 128, 64) + convolution(49, 64, 32) + convolution(196, 32, 1)
    last = dense(16 * 128, 1)
    inner = convolution(49, 32, 64) + convolution(16, 64, 128) + last
    first = convolution(196, 1, 32)
    gan, args = shapes_of("digits")
    want = n * (2 * z + 3 * g + 8 * inner + (8 - 2) * first)
    assert flops.counted(gan.step, *args) == pytest.approx(want, rel=0.002)


def test_flops_are_those_that_xla_counts():
    """Of MLPs, which have little besides products."""
    G, D = jaxgan_side.models.mlp.Generator(), jaxgan_side.models.mlp.Discriminator()
    z, x = np.zeros((64, 100), np.float32), np.zeros((64, 28, 28, 1), np.float32)
    for net, given in ((G, z), (D, x)):
        params = net.init(jax.random.key(0), given)
        xla = jax.jit(net.apply).lower(params, given).cost_analysis()["flops"]
        ours = flops.counted(net.apply, params, given)
        assert ours == pytest.approx(xla, rel=0.01)


def test_flops_of_loops_branches_and_of_many_kernels_are_counted():
    """A scan's as often as it turns; of branches the longest; convolutions of several
    networks each."""

    def branched(x):
        return jax.lax.cond(x[0, 0] > 0, lambda x: x @ x, lambda x: (x @ x) @ x, x)

    assert flops.counted(branched, np.zeros((4, 4), "float32")) == 2 * 2 * 4**3

    def scanned(x):
        return jax.lax.scan(lambda x, _: (x @ x, None), x, length=5)[0]

    assert flops.counted(scanned, np.zeros((4, 4), "float32")) == 5 * 2 * 4**3
    x, w = np.zeros((3, 2, 8, 8, 4), "float32"), np.zeros((3, 3, 3, 4, 5), "float32")
    one = 2 * 2 * 8 * 8 * 3 * 3 * 4 * 5
    assert flops.counted(jax.vmap(conv), x, w) == 3 * one
    both = jax.vmap(jax.grad(lambda x, w: (conv(x, w) ** 2).sum(), (0, 1)))
    assert flops.counted(both, x, w) == 3 * 3 * one


@pytest.mark.parametrize("name", cases.CASES)
def test_every_case_is_a_gan_whose_losses_have_names(name):
    gan, args = shapes_of(name)
    after, metrics = jax.eval_shape(gan.step, *args)
    assert jax.tree.structure(after) == jax.tree.structure(args[0])
    assert {"d_loss", "g_loss"} <= set(metrics)
    assert ("d_penalty" in metrics) == (
        name in (*cases.PRICED["plain"], "r3gan", "r3gan64")
    )


def test_options_out_of_range_are_refused():
    with pytest.raises(UsageError, match="--rounds 0 must be 1 or more"):
        benchmark.benchmark(benchmark.Options(rounds=0))
    with pytest.raises(UsageError, match="--steps -1 must be 1 or more"):
        benchmark.benchmark(benchmark.Options(steps=-1))


def test_penalties_race_together():
    assert benchmark.groups(("r1", "mlp", "plain")) == [("mlp",), ("r1", "plain")]
    assert benchmark.groups(("mlp", "ring")) == [("mlp",), ("ring",)]
    styled = "stylegan2_r1", "stylegan2"
    assert benchmark.groups(("r1", *styled, "ring")) == [("ring",), ("r1",), styled]


def test_memory_is_that_of_a_process_and_not_of_its_parent():
    """Linux hands getrusage's down to a child."""
    large = np.ones(2**27)  # a GiB
    text = "from benchmarks import machine; print(machine.peak_memory())"
    command = [sys.executable, "-c", text]
    told = subprocess.run(command, cwd=EXPERIMENTS, capture_output=True, check=True)
    assert 2**22 < int(told.stdout) < 2**29 < large.nbytes


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
    """All sides in their processes; from equal weights, their losses are alike."""
    options = ["--models", "ring", "--rounds", "1", "--steps", "1", "--sweep", "2"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["benchmark.py", *options])
    runpy.run_path(str(EXPERIMENTS / "benchmark.py"), run_name="__main__")
    printed = capsys.readouterr().out
    assert "MLP GAN, 2-D ring" in printed
    (out,) = (tmp_path / "runs" / "benchmark").glob("*-cpu-float32.json")
    results = json.loads(out.read_text())
    row = results["models"]["ring"]
    assert all(ms > 0 for ms in row["ms"].values())
    ours, *others = row["first_losses"].values()
    for other in others:
        np.testing.assert_allclose(ours, other, rtol=0.1)
    assert results["sweep"]["members"] == 2 and results["sweep"]["ratio"] > 0
    monkeypatch.setattr(sys, "argv", ["benchmark.py", "--show", str(out)])
    runpy.run_path(str(EXPERIMENTS / "benchmark.py"), run_name="__main__")
    assert capsys.readouterr().out == printed


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits", "pix2pix", "cyclegan", "acgan", "spade"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_jaxgan_s_side_trains_in_every_way(name, dtype):
    case = cases.CASES[name]
    rows = {k: x[:64] for k, x in case.data().items()}
    # Flax's BatchNorm means bfloat16 with float32, which "strict" forbids.
    with jax.numpy_dtype_promotion("standard"):
        run = jaxgan_side.Side(dtype).start(case, rows, None)
        try:
            for options in race.ENTRANTS.values():
                seconds, *losses = run.run(3, **options)
                assert seconds > 0 and np.isfinite(losses).all()
            assert int(run.state.step) == 3 * len(race.ENTRANTS)
        finally:
            run.close()
