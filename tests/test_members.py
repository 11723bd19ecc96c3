"""Members: one program, each of them the single run of its seed and options."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan import data, models, parallel, recipes
from jaxgan.data import feed
from jaxgan.run import cli, guard, load, program, settings, train
from jaxgan.run.config import Config
from jaxgan.run.members import Member, member_of, members
from jaxgan.run.settings import Count, Number
from jaxgan.types import Mean, Model, TrainState, UsageError


@dataclasses.dataclass(frozen=True)
class Learning:
    """What is swept."""

    g_lr: Number = 1e-3
    """G's learning rate."""
    n_critic: Count = 1
    """Updates of D for each of G."""


@dataclasses.dataclass(frozen=True)
class Options(Config):
    """A tiny GAN."""

    learning: Learning = Learning()


def build(cfg, shape, num_classes):
    G, D = models.mlp.Generator(shape, (4,)), models.mlp.Discriminator((4,))
    learning = cfg.learning
    return recipes.gan(
        models.flax_net("G", G),
        models.flax_net("D", D),
        latent_dim=3,
        n_critic=learning.n_critic,
        g_tx=optax.adam(learning.g_lr),
        d_tx=optax.adam(1e-3),
    )


def build_dcgan(cfg, shape, num_classes):
    G, D = models.dcgan.networks(shape, width=2)
    G, D = models.flax_net("G", G), models.flax_net("D", D)
    tx = optax.adam(cfg.learning.g_lr)
    return recipes.gan(G, D, latent_dim=3, g_tx=tx, d_tx=tx)


@pytest.fixture
def options(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1), np.uint8)
    np.savez(tmp_path / "data.npz", images=images)

    def make(name, **changes):
        defaults = {
            "data": f"npz:{tmp_path / 'data.npz'}",
            "workdir": str(tmp_path / name),
            "steps": 7,
            "batch_size": 8,
            "log_every": 2,
            "sample_every": 4,
            "checkpoint_every": 3,
        }
        return settings.changed(Options(), **(defaults | changes))

    return make


def go(cfg, build=build):
    return jax.device_get(train(cfg, build, "test")[1])


def assert_close(a, b):
    assert int(a.step) == int(b.step)
    close = lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-5)  # noqa: E731
    for field in ("params", "stats", "opt", "ema"):
        jax.tree.map(close, getattr(a, field), getattr(b, field))


def test_members_are_every_value_with_every_seed():
    cfg = settings.changed(Options(), seed=5, seeds=2, sweep=("g_lr=1e-3,1e-2",))
    assert members(cfg) == (
        Member(5, {"g_lr": 1e-3}),
        Member(6, {"g_lr": 1e-3}),
        Member(5, {"g_lr": 1e-2}),
        Member(6, {"g_lr": 1e-2}),
    )
    assert members(cfg)[3].name == "seed 6, g_lr 0.01"
    assert members(Options()) == (Member(0, {}),)


@pytest.mark.parametrize("n_critic", [1, 3])
@pytest.mark.parametrize("budget", [2**30, 0], ids=["resident", "streamed"])
@pytest.mark.parametrize("seeds", [2, 16], ids=["shared", "divided"])
def test_each_member_is_its_single_run(options, monkeypatch, n_critic, budget, seeds):
    """With data, noise and weights of its own, whatever is stacked beside it; of 8
    devices all share each batch of two members, and each has two of 16 of its own."""
    monkeypatch.setattr(feed, "budget", lambda mesh: budget)
    monkeypatch.setattr(feed, "AHEAD", 3)
    every = go(options("every", seeds=seeds, n_critic=n_critic))
    chosen = (0, 1) if seeds == 2 else (1, 14)
    for k in chosen:
        single = go(options(f"single{k}", seed=k, n_critic=n_critic))
        assert_close(member_of(every, k), single)
    first, second = (member_of(every, k).params["G"] for k in chosen)
    pairs = zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True)
    assert any(np.abs(a - b).max() > 1e-3 for a, b in pairs)


@pytest.mark.parametrize("make", [build, build_dcgan])
def test_a_member_on_a_cpu_of_its_own_has_every_bit_of_its_single_run(
    options, monkeypatch, make
):
    """Also of a batch that the devices could not share."""
    every = go(options("every", seeds=8, batch_size=6), make)
    one = parallel.mesh(jax.devices()[:1])
    monkeypatch.setattr(parallel, "mesh", lambda devices=None: one)
    single = go(options("single", seed=5, batch_size=6), make)
    jax.tree.map(np.testing.assert_array_equal, member_of(every, 5), single)


def test_divided_members_tell_one_another_nothing():
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1), np.uint8)
    dataset, mesh, shape = data.from_arrays(images), parallel.mesh(), (8, 8, 1)
    who = tuple(Member(seed, {}) for seed in range(8))
    model_of = lambda values: build_dcgan(Options(), shape, 0)  # noqa: E731
    source = feed.feed(dataset, tuple(range(8)), 6, feed.Change(True), mesh)
    state = program.start(model_of, who, shape, mesh).init()
    assert state.params["G"]
    for x in jax.tree.leaves(state.params):
        assert x.shape[0] == 8 and x.addressable_shards[3].data.shape[0] == 1
    made = program.program(model_of, who, source, state, mesh)
    cells = dict(zip(made.run.__code__.co_freevars, made.run.__closure__, strict=True))
    compiled = cells["here"].cell_contents(state)  # of the stage that it is in
    text = compiled.lower(state, made.begun(), source.at(0)[0], 2).compile().as_text()
    for word in ("all-reduce", "all-gather", "all-to-all", "collective-permute"):
        assert word not in text


def test_divided_members_are_read_on_one_device(options, monkeypatch):
    cfg = options("every", seeds=8)
    every = go(cfg)
    one = parallel.mesh(jax.devices()[:1])
    monkeypatch.setattr(parallel, "mesh", lambda devices=None: one)
    for k in (0, 6):
        found = load(cfg.workdir, Options, build, member=k)[0].state
        jax.tree.map(np.testing.assert_array_equal, found.ema, member_of(every, k).ema)


def test_members_of_convolutions_are_their_single_runs(options):
    both = go(options("both", seeds=2, steps=3), build_dcgan)
    single = go(options("single", seed=1, steps=3), build_dcgan)
    assert_close(member_of(both, 1), single)


def test_a_swept_option_is_the_member_s_own(options):
    both = go(options("both", sweep=("g_lr=1e-3,1e-2",)))
    for k, rate in enumerate((1e-3, 1e-2)):
        assert_close(member_of(both, k), go(options(f"single{k}", g_lr=rate)))


@pytest.mark.parametrize("seeds", [2, 8])
def test_continued_members_are_the_uninterrupted_ones_bit_for_bit(options, seeds):
    changes = {"seeds": seeds, "n_critic": 2}
    expected = go(options("whole", **changes))
    go(options("parts", steps=4, **changes))
    found = go(options("parts", **changes))
    jax.tree.map(np.testing.assert_array_equal, found, expected)


def test_a_member_that_diverges_is_named(options):
    cfg = options("run", sweep=("g_lr=1e-3,1e38",), steps=50)
    with pytest.raises(guard.Diverged, match=r"member 1 \(seed 0, g_lr 1e\+38\)"):
        go(cfg)


def test_what_cannot_be_swept_is_refused_before_anything_is_made(options):
    def branching(cfg, shape, num_classes):
        if cfg.learning.g_lr > 1:
            raise AssertionError("never")
        return build(cfg, shape, num_classes)

    for sweep, says in (
        (("width=1,2",), r"sweep width=1,2: it is NAME=VALUE,VALUE,... of one of g_lr"),
        (("g_lr=a",), r"sweep g_lr=a: give numbers, such as g_lr=0\.001"),
        (("g_lr=1", "g_lr=2"), "names an option twice"),
        (("g_lr=-1,1",), r"g_lr -1\.0 must be a finite number, 0 or more"),
    ):
        with pytest.raises(UsageError, match=says):
            go(options("run", sweep=sweep))
    with pytest.raises(UsageError, match="builds other networks or phases"):
        go(options("run", sweep=("g_lr=1e-3,1e-2",)), branching)
    assert not Path(options("run").workdir).exists()


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """`command(*args) -> (exit code, stdout, stderr)`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["experiments/tiny.py"])
    monkeypatch.setattr(cli, "_cache_compilations", lambda: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def run(*args):
        code = 0
        try:
            cli.main(Options(batch_size=8), build, [str(a) for a in args])
        except SystemExit as error:
            code = error.code
        return code, *capsys.readouterr()

    return run


def test_commands_are_of_one_member_and_figures_of_all(command, tmp_path):
    images = data.load("mnist").fetch(np.arange(300))["image"]  # known as digits
    np.savez(tmp_path / "data.npz", images=images)
    few = ("--steps", 4, "--sample-every", 4, "--log-every", 2)
    follow = ("--evaluate-every", 2, "--evaluate-num", 140)
    swept = ("--sweep", "g_lr=1e-3,1e-2")
    args = ("--data", "npz:data.npz", *few, *follow, *swept, "--workdir", "w")
    code, _, err = command(*args)
    assert code == 0, err
    sheets = sorted(p.name for p in Path("w/samples").iterdir())
    assert sheets == [f"{step:06d}-{k}.png" for step in (0, 4) for k in (0, 1)]
    rows = [
        json.loads(line)
        for line in Path("w/metrics.jsonl").read_text().split("\n")[:-1]
    ]
    assert all(len(r["d_loss"]) == 2 for r in rows if "d_loss" in r)
    figures = [r["fd_mnist"] for r in rows if "fd_mnist" in r]
    for k in range(2):
        best = json.loads(Path(f"w/best-{k}.json").read_text())
        assert best["value"] == min(one[k] for one in figures)

    code, _, err = command("sample", "--workdir", "w")
    assert (
        code == 2
        and err == "--workdir w holds 2 members; choose one by --member, such as 0.\n"
    )
    code, _, err = command("sample", "--workdir", "w", "--member", 2)
    assert code == 2 and err == "--member 2: w has 0 ... 1.\n"
    found = []
    for k in range(2):
        args = ("--workdir", "w", "--member", k, "--npz", f"{k}.npz", "--best")
        assert command("sample", *args)[0] == 0
        found.append(np.load(f"{k}.npz")["images"])
    assert (found[0] != found[1]).any()

    args = ("evaluate", "--workdir", "w", "--num", 140, "--metrics", "fd")
    code, out, err = command(*args)
    assert code == 0, err
    assert "Member 1: seed 0, g_lr 0.01." in out and "deviation" in out
    both = json.loads(Path("w/evaluation.json").read_text())["metrics"]["fd_mnist"]
    values = []
    for k in range(2):
        assert command(*args, "--member", k, "--out", f"{k}.json")[0] == 0
        one = json.loads(Path(f"{k}.json").read_text())
        assert one["member"] == k
        values.append(one["metrics"]["fd_mnist"]["value"])
    assert both["values"] == values
    np.testing.assert_allclose(both["mean"], np.mean(values))
    np.testing.assert_allclose(both["deviation"], np.std(values, ddof=1))


def test_a_single_run_has_no_members(options):
    cfg = options("run", steps=1)
    go(cfg)
    with pytest.raises(UsageError, match=r"member 0: .* has but one run"):
        load(cfg.workdir, Options, build, member=0)


def test_a_large_seed_is_a_seed(options):
    one = go(options("one", seed=2**32 - 1, steps=2))
    two = go(options("two", seed=2**32 - 1, seeds=2, steps=2))
    assert_close(member_of(two, 0), one)
    assert_close(member_of(two, 1), go(options("zero", seed=0, steps=2)))


def test_another_number_of_members_is_no_start(options):
    go(options("one", steps=1))
    says = r"init_from .* holds 1 members, and this run is to have 2\."
    with pytest.raises(UsageError, match=says):
        go(options("two", seeds=2, init_from=options("one").workdir))


@pytest.mark.parametrize("budget", [2**30, 0], ids=["resident", "streamed"])
@pytest.mark.parametrize(
    ("seeds", "devices"), [((3,), 1), ((3, 7, 2**32 - 1), 1), ((3, 9, 2, 5), 2)]
)
def test_each_member_is_fed_the_data_of_its_seed(monkeypatch, seeds, devices, budget):
    """By the order of `Dataset.batch`, told by the mean of each step's batch."""
    monkeypatch.setattr(feed, "budget", lambda mesh: budget)
    images = np.random.default_rng(0).integers(0, 256, (40, 4, 4, 1), np.uint8)
    dataset, mesh = data.from_arrays(images), parallel.mesh(jax.devices()[:devices])

    def step(state, batch, key):
        state = state._replace(step=state.step + 1)
        return state, {"mean": Mean.of(batch["image"].mean())}

    def init(key, batch):
        return TrainState(jnp.int32(0), {"G": jnp.ones(2)}, {}, {}, {}, {})

    model = Model(init, step, {}, {})
    who = tuple(Member(seed, {}) for seed in seeds)
    source = feed.feed(dataset, seeds, 8, feed.Change(), mesh)
    state = program.start(lambda values: model, who, (4, 4, 1), mesh).init()
    made = program.program(lambda values: model, who, source, state, mesh)
    state, totals = made.run(state, made.begun(), source.at(0)[0], 3)
    assert np.asarray(made.good(state, totals)).all()
    source.close()
    expected = [
        sum(dataset.batch(seed, t, 8)["image"].mean() for t in range(3))
        for seed in seeds
    ]
    found = np.atleast_1d(totals["mean"].total)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def _devices(code, **env):
    """How many devices JAX has in a process that begins with these lines."""
    imports = (
        "import jax\nfrom jaxgan.data import decoding\nfrom jaxgan.run import members"
    )
    lines = f"{imports}\n{code}\nprint(len(jax.devices()))"
    env = os.environ | {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": ""} | env
    run = [sys.executable, "-c", lines]
    return int(subprocess.run(run, env=env, check=True, capture_output=True).stdout)


def test_a_cpu_is_divided_as_its_cores_share_members():
    code = "decoding.cores = lambda: 4\nmembers.divide_cpu(%d)"
    assert _devices(code % 6) == 3
    assert _devices(code % 5) == _devices(code % 1) == 1
    assert _devices(code % 16) == 4
    # What has been decided stays.
    flags = "--xla_force_host_platform_device_count=2"
    assert _devices(code % 4, XLA_FLAGS=flags) == 2
    assert _devices(code % 4, JAX_NUM_CPU_DEVICES="1") == 1
    assert _devices("jax.devices()\n" + code % 4) == 1


def test_a_run_after_a_divided_one_is_as_if_alone():
    """It has one device, whatever ran before in the process."""
    code = """
decoding.cores = lambda: 4
members.divide_cpu(1)
members.divide_cpu(4)
of = [len(members.chosen(jax.devices(), n)) for n in (1, 2, 3, 4, 6, 8)]
assert of == [1, 2, 3, 4, 3, 4], of"""
    assert _devices(code) == 4
