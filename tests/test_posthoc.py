"""Post-hoc EMA: averages that are kept, snapshots of them, and others rebuilt."""

import dataclasses
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import mlp_gan_mnist
import numpy as np
import pytest
from command_line import run
from scipy import stats
from tiny_runs import assert_same, build, go

from jaxgan import phases
from jaxgan.phases.posthoc import LONGEST
from jaxgan.run import Config, checkpoint, load, snapshots, tables, weights
from jaxgan.run.loading import rebuilt
from jaxgan.run.loop import Now
from jaxgan.types import TrainState, UsageError

KEPT = 0.05, 0.1


def direct(trajectory, sigma_rel):
    """The average of weights `[T, ...]` by its definition, in float64: ∫ of the profile
    over each step."""
    power = phases.power_gamma(sigma_rel) + 1
    ends = (np.arange(len(trajectory) + 1) / len(trajectory)) ** power
    return np.tensordot(np.diff(ends), np.asarray(trajectory, np.float64), 1)


@pytest.mark.parametrize("sigma_rel", [0.01, 0.05, 0.1, 0.2, 0.28])
def test_gamma_gives_the_profile_its_deviation(sigma_rel):
    gamma = phases.power_gamma(sigma_rel)
    profile = stats.beta(gamma + 1, 1)  # x^γ on [0, 1]
    assert gamma > 0
    assert profile.std() == pytest.approx(sigma_rel, rel=1e-9)


def test_gamma_is_the_papers():
    found = [phases.power_gamma(sigma) for sigma in KEPT]
    assert found == pytest.approx([16.97, 6.94], abs=0.005)


@pytest.mark.parametrize("sigma_rel", [0, -0.1, LONGEST, 0.3, float("nan")])
def test_a_sigma_rel_that_no_profile_has_is_refused(sigma_rel):
    with pytest.raises(UsageError, match=r"must be 0\.001 or more, and below 0"):
        phases.power_gamma(sigma_rel)


def wandering(steps, size=6, seed=0):
    """Weights `[steps, size]` on a walk that ends in the neighbourhood of one point."""
    rng = np.random.default_rng(seed)
    away = np.exp(-np.arange(1, steps + 1) / steps)[:, None] * rng.normal(size=size)
    return np.float32(3 + away + 0.3 * rng.normal(size=(steps, size)))


def kept_along(trajectory, sigma_rels=KEPT):
    """`state.memory["power_ema"]` after each step."""
    phase = phases.power_ema("G", sigma_rels)
    first = {"w": jnp.full(trajectory.shape[1:], 7.0)}  # is forgotten at once
    state = phase.init(TrainState(jnp.int32(0), {"G": first}, {}, {}, {}, {}))

    def step(state, w):
        state = state._replace(params={"G": {"w": w}})
        state, _ = phase.step(state, {}, None)
        return state._replace(step=state.step + 1), state.memory["power_ema"]

    return jax.device_get(
        jax.jit(lambda s, x: jax.lax.scan(step, s, x))(state, trajectory)[1]
    )


def test_an_average_is_the_sum_that_defines_it():
    trajectory = wandering(500)
    found = kept_along(trajectory)["G"]
    for t in (1, 2, 17, 500):
        for sigma in KEPT:
            expected = direct(trajectory[:t], sigma)
            got = found[str(sigma)]["w"][t - 1]
            np.testing.assert_allclose(got, expected, rtol=2e-6)


@pytest.mark.parametrize("sigma_rel", [0.03, 0.07, 0.1, 0.15, 0.25])
def test_weights_are_the_least_squares_fit_of_sampled_profiles(sigma_rel):
    kept = [(t, sigma) for t in (3, 10, 12, 21, 30) for sigma in KEPT]
    x = (np.arange(60_000) + 0.5) / 2000  # up to 30

    def profile(t, sigma):
        gamma = phases.power_gamma(sigma)
        inside = np.minimum(x / t, 1)
        return np.where(x < t, (gamma + 1) * inside**gamma / t, 0)

    columns = np.stack([profile(*one) for one in kept], 1)
    wanted = profile(30, sigma_rel)
    expected = np.linalg.lstsq(columns, wanted)[0]
    expected /= expected.sum()
    found, error = phases.power_weights(kept, (30, sigma_rel))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    off = np.linalg.norm(columns @ expected - wanted) / np.linalg.norm(wanted)
    assert error == pytest.approx(off, rel=1e-3, abs=1e-6)


def test_of_an_earlier_step_what_comes_later_is_of_no_use():
    """Up to that step its profiles are those of the same σ_rel that end there."""
    kept = [(t, sigma) for t in (40, 80, 120, 160) for sigma in KEPT]
    expected, error = phases.power_weights(kept[:4], (80, 0.07))
    found, same = phases.power_weights(kept, (80, 0.07))
    np.testing.assert_allclose(found, [*expected, 0, 0, 0, 0], atol=1e-10)
    assert same == pytest.approx(error, rel=1e-6) and 0 < error < 0.06


@pytest.mark.parametrize(("last", "step"), [(20, 21), (20, 0), (0, 0)])
def test_a_step_that_nothing_was_kept_of_is_refused(last, step):
    with pytest.raises(UsageError, match=f"step {step} must be 1 or more, and"):
        phases.power_weights([(last, 0.05)] if last else [], (step, 0.1))


def test_what_is_rebuilt_is_the_average_that_was_not_kept():
    """With 50 snapshots to a few ten-thousandths, whatever its length."""
    trajectory = wandering(1000)
    found = kept_along(trajectory)["G"]
    kept = [(t, sigma) for t in range(20, 1001, 20) for sigma in KEPT]
    for sigma in (0.04, 0.07, 0.1, 0.15, 0.2):
        ours, error = phases.power_weights(kept, (1000, sigma))
        trees = ({"w": found[str(s)]["w"][t - 1]} for t, s in kept)
        got = phases.reconstruct(trees, ours)["w"]
        assert got.dtype == np.float32
        assert error < 3e-3
        np.testing.assert_allclose(got, direct(trajectory, sigma), atol=3e-4)
    far = np.abs(direct(trajectory, 0.2) - direct(trajectory, 0.1)).max()
    assert far > 0.05


EVERY = {"steps": 24, "snapshot_every": 3, "checkpoint_every": 5, "posthoc_ema": KEPT}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The options, and the state, of a run with all its checkpoints."""
    folder = tmp_path_factory.mktemp("posthoc")
    images = np.random.default_rng(0).integers(0, 256, (40, 28, 28, 1), np.uint8)
    np.savez(folder / "data.npz", images=images)
    every = EVERY | {"batch_size": 8, "log_every": 6, "sample_every": 24, "keep": 100}
    data = f"npz:{folder / 'data.npz'}"
    cfg = Config(data, workdir=str(folder / "run"), **every)
    return cfg, go(cfg)


@pytest.fixture
def another(whole, tmp_path):
    """`(copy, **changes) -> options` of the same run in another folder."""

    def make(copy=True, **changes):
        folder = tmp_path / str(len([*tmp_path.iterdir()]))
        if copy:
            shutil.copytree(whole[0].workdir, folder)
        return dataclasses.replace(whole[0], workdir=str(folder), **changes)

    return make


def held(cfg):
    """The snapshots of a run."""
    folder = Path(cfg.workdir) / snapshots.FOLDER
    assert not [*folder.glob("*.partial")]
    return {file.name: weights.read(file) for file in sorted(folder.glob("*.npz"))}


def names(*steps):
    return [f"{step:06d}.npz" for step in steps]


def test_a_run_keeps_them_beside_what_it_does_anyway(whole, another):
    cfg, state = whole
    plain = go(another(copy=False, posthoc_ema=()))

    def close(a, b):  # in another program
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)

    for field in ("params", "opt", "ema"):
        jax.tree.map(close, getattr(state, field), getattr(plain, field))
    assert [*held(cfg)] == names(*range(3, 25, 3))


def test_a_run_rebuilds_what_the_definition_has_of_its_weights(whole, another):
    cfg, _ = whole
    often = another(copy=False, checkpoint_every=1)
    go(often)
    (loaded,) = load(cfg.workdir, Config, build)
    with checkpoint.reader(Path(often.workdir) / checkpoint.NEWEST) as saved:
        each = [checkpoint.restore(saved, loaded.state, step=t) for t in range(1, 25)]
    each = jax.device_get([one.params for one in each])
    for sigma in (0.05, 0.08, 0.13):
        (found,) = load(cfg.workdir, Config, build, sigma_rel=sigma)
        assert found.sigma_rel == sigma and found.profile_error < 0.03

        def near(got, *steps, sigma=sigma):
            expected = direct(steps, sigma)
            np.testing.assert_allclose(got, expected, atol=2e-5)

        jax.tree.map(near, found.state.ema["G"], *(one["G"] for one in each))
    moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), each[0]["G"], each[-1]["G"])
    assert max(jax.tree.leaves(moved)) > 1e-2


def stopped(cfg, when):
    """What a run leaves that is killed as a snapshot of a step is, or is not, there."""
    old = weights.save

    def save(file, state, metadata):
        if int(state.step) == when and file.parent.name == snapshots.FOLDER:
            with file.with_name(f"{file.name}.1.partial").open("wb") as half:
                half.write(b"PK")
            raise KeyboardInterrupt
        old(file, state, metadata)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weights, "save", save)
        with pytest.raises(KeyboardInterrupt):
            go(cfg)


@pytest.mark.parametrize("step", [12, 15])  # of a snapshot alone; of both
def test_a_run_that_is_killed_and_goes_on_has_the_same(whole, another, step):
    half = another(copy=False)
    stopped(half, step)
    files = snapshots._found(Path(half.workdir))
    assert [*files] == [*range(3, step, 3)]
    assert_same(go(half), whole[1])
    assert_same(held(half), held(whole[0]))


def test_a_run_that_stops_in_between_leaves_no_snapshot_there(whole, another):
    parts = another(copy=False)
    go(dataclasses.replace(parts, steps=10))
    assert_same(go(parts), whole[1])
    assert_same(held(parts), held(whole[0]))


def gone_back(cfg):
    """Its newest state is that of step 10."""
    for step in (15, 20, 24):
        shutil.rmtree(Path(cfg.workdir) / checkpoint.NEWEST / str(step))
    return cfg


def test_of_a_future_that_is_undone_nothing_is_kept(another):
    cfg = gone_back(another(steps=18, snapshot_every=4))
    go(cfg)
    assert [*held(cfg)] == names(3, 6, 9, 12, 16)


def test_while_steps_are_left_out_none_is_written(whole, tmp_path):
    cfg, state = whole
    this = SimpleNamespace(cfg=cfg, members=[None], path=tmp_path)
    for streak, found in (({"steps": 1}, []), (None, names(24))):
        (hook,) = snapshots.hooks(this, lambda streak=streak: streak)
        hook.run(Now(24, state, {}, 0.0))
        assert [file.name for file in tmp_path.glob("snapshots/*")] == found


def test_each_member_has_its_own(whole, another):
    many = another(copy=False, seeds=2)
    go(many)
    steps = range(3, 25, 3)
    assert [*held(many)] == [f"{t:06d}-{k}.npz" for t in steps for k in range(2)]
    (expected,) = load(whole[0].workdir, Config, build, sigma_rel=0.08)
    found = load(many.workdir, Config, build, sigma_rel=0.08)
    assert [one.sigma_rel for one in found] == [0.08, 0.08]

    def close(a, b):
        np.testing.assert_allclose(a, b, atol=1e-4)

    jax.tree.map(close, found[0].state.ema, expected.state.ema)
    apart = [jax.tree.leaves(one.state.ema)[0] for one in found]
    assert np.abs(apart[0] - apart[1]).max() > 1e-3
    snapshots.forget(Path(many.workdir), 3, 2)
    assert [*held(many)] == ["000003-0.npz", "000003-1.npz"]


def test_what_cannot_be_rebuilt_is_refused(options, another, capsys):
    plain = options("plain", steps=2)
    go(plain)
    with pytest.raises(UsageError, match="rebuilt: train with `posthoc_ema`"):
        load(plain.workdir, Config, build, sigma_rel=0.08)
    cfg = another()
    with pytest.raises(UsageError, match="live and `sigma_rel` exclude each other"):
        load(cfg.workdir, Config, build, live=True, sigma_rel=0.08)
    with pytest.raises(UsageError, match=r"sigma_rel 0\.3 must be 0\.001 or more"):
        load(cfg.workdir, Config, build, sigma_rel=0.3)
    capsys.readouterr()
    load(cfg.workdir, Config, build, sigma_rel=0.08)
    assert capsys.readouterr().out == ""
    load(cfg.workdir, Config, build, sigma_rel=0.28)
    assert "sigma_rel 0.28 is rebuilt with an error of 35 %, from snapshots of 7" in (
        capsys.readouterr().out
    )
    (loaded,) = load(cfg.workdir, Config, build)
    begun = loaded.state._replace(step=jnp.int32(0))
    with pytest.raises(UsageError, match="has taken no step yet"):
        rebuilt(loaded._replace(state=begun), 0.08)
    file = Path(cfg.workdir) / snapshots.FOLDER / "000012.npz"
    file.write_bytes(file.read_bytes()[:-300])
    with pytest.raises(UsageError, match=r"000012\.npz cannot be read"):
        load(cfg.workdir, Config, build, sigma_rel=0.08)
    shutil.copy(Path(cfg.workdir) / snapshots.FOLDER / "000009.npz", file)
    held_now = dict(weights.read(file))
    held_now.pop(next(iter(held_now)))
    np.savez(file, **held_now)
    with pytest.raises(UsageError, match=r"000012\.npz does not fit: It has no ema/G/"):
        load(cfg.workdir, Config, build, sigma_rel=0.08)
    with pytest.raises(UsageError, match=r"posthoc_ema 0\.1 0\.1: some are too near"):
        go(options("twice", posthoc_ema=(0.1, 0.1)))


def test_weights_of_a_run_with_other_averages_are_taken_by_export(whole, another):
    """Its workdir is refused with the reason; one with the same averages is not."""
    cfg, state = whole
    fresh = another(copy=False, posthoc_ema=(), init_from=cfg.workdir, steps=1)
    with pytest.raises(UsageError, match=r"averages by `posthoc_ema`.* what export"):
        go(fresh)
    file = Path(fresh.workdir).with_suffix(".npz")
    weights.save(file, state, {})
    go(dataclasses.replace(fresh, init_from=str(file)))
    go(another(copy=False, init_from=cfg.workdir, steps=1))


def test_figures_by_sigma_rel_of_runs_and_of_members():
    def report(value):
        about = dict.fromkeys(tables.SHARED, "x") | {"extractor": {"name": "bank"}}
        return {"metrics": {"fd": {"value": value}}, "notes": ["one note"], **about}

    each = {0.05: report(2.0), 0.1: report(None)}
    found = tables.swept(each)
    assert found["metrics"] == {"fd": {"values": [2.0, None]}}
    assert found["reports"] == {"0.05": each[0.05], "0.1": each[0.1]}
    assert tables.swept_table(found).splitlines() == [
        f"{'sigma_rel':20}       0.05        0.1",
        f"{'fd':20}          2           ",
        "By bank, against x.",
        "one note",
    ]
    both = tables.joined([report(1.0), report(4.0)], ["a", "b"])
    found = tables.swept({0.05: both})
    assert found["metrics"] == {"fd": {"values": [2.5]}}
    assert tables.swept_table(found).endswith("against x.\none note")


@pytest.mark.slow
def test_from_the_shell(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    small = "--g-hidden", 4, "--d-hidden", 4, "--batch-size", 8
    kept = "--posthoc-ema", *KEPT, "--snapshot-every", 2, "--seeds", 2
    assert run(mlp_gan_mnist, *small, *kept, "--steps", 8, "--workdir", "w") == 0
    of = "--workdir", "w", "--num", 140, "--metrics", "fd"
    assert run(mlp_gan_mnist, "evaluate", *of, "--sigma-rels", 0.05, 0.12) == 0
    swept = json.loads(Path("w/evaluation.json").read_text())
    one = *of, "--member", 1, "--sigma-rel", 0.12
    assert run(mlp_gan_mnist, "evaluate", *one) == 0
    alone = json.loads(Path("w/evaluation.json").read_text())
    name = next(iter(alone["metrics"]))
    value = alone["metrics"][name]["value"]
    assert alone["sigma_rel"] == 0.12 and 0 < alone["profile_error"] < 0.2
    assert swept["reports"]["0.12"]["metrics"][name]["values"][1] == value
    assert swept["metrics"][name]["values"][0] != swept["metrics"][name]["values"][1]
    said = capsys.readouterr().out
    assert "The averaged weights of sigma_rel 0.12, of step 8." in said
    drawn = "sample", "--workdir", "w", "--member", 1, "--num", 4
    assert run(mlp_gan_mnist, *drawn, "--sigma-rel", 0.12) == 0
    for asked, text in (
        (
            ("--sigma-rel", 0.4),
            "--sigma-rel 0.4 must be 0.001 or more, and below 0.288675.",
        ),
        (("--sigma-rel", 0.1, "--live"), "--live and --sigma-rel exclude each other."),
    ):
        assert run(mlp_gan_mnist, *drawn, *asked) == 2
        assert text in capsys.readouterr().err
    both = "--sigma-rels", 0.1, "--sigma-rel", 0.1
    assert run(mlp_gan_mnist, "evaluate", *of, *both) == 2
    assert "--sigma-rels and --sigma-rel exclude each other." in capsys.readouterr().err
