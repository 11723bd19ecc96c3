"""Steps after which something is not finite are left out, and too many end the run."""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import random
from tiny_runs import assert_same, build, go, rows

from jaxgan import parallel
from jaxgan.data import SOURCES, feed
from jaxgan.run import checkpoint, finite, guard, loop, members, prepare, program
from jaxgan.types import Mean, merge

SITES = ("d_loss", "G_grad_norm", "params", "opt", "ema", "stats", "memory")


def spoiled(model, site, when, value=jnp.nan):
    """The model, but what a site holds becomes NaN after some steps."""

    def init(key, batch):
        state = model.init(key, batch)
        mark = random.uniform(key)
        more = {"stats": {"S": {"mean": jnp.ones(2)}}, "memory": {"mark": mark}}
        return merge(state, **more)

    def step(state, batch, key):
        bad = when(state.step + 1, state.memory["mark"])
        after, metrics = model.step(state, batch, key)

        def spoil(x):
            floats = jnp.issubdtype(x.dtype, jnp.floating)
            return jnp.where(bad, jnp.asarray(value, x.dtype), x) if floats else x

        if site in metrics:
            metrics = metrics | {site: Mean(*map(spoil, metrics[site]))}
        else:
            name = {"memory": "mark", "stats": "S"}.get(site, "G")
            entry = jax.tree.map(spoil, getattr(after, site)[name])
            after = merge(after, **{site: {name: entry}})
        return after, metrics

    return model._replace(init=init, step=step)


def built(site, when, value=jnp.nan):
    return lambda *args: spoiled(build(*args), site, when, value)


def at(*steps):
    return lambda step, mark: jnp.isin(step, jnp.array(steps))


def ready(cfg, make):
    """What a run is made of, compiled: `(init, program, source, members, mesh)`."""
    cfg, mesh = prepare.devices(cfg)
    nothing = prepare.There({}, [], None, 0, {})
    args = Path("none"), mesh, make, None, (), SOURCES
    run = prepare.prepared(cfg, nothing, *args)
    source = feed.feed(run.whole, (cfg.seed,), cfg.batch_size, run.change, mesh)
    made = program.program(run.model_of, run.members, source, run.start.init(), mesh)
    return run.start.init, made, source, run.members, mesh


def by_hand(steps, bad, init, made, source, members, mesh):
    """The state of a run whose bad steps are undone from outside, one by one."""
    state = init()
    for step in range(1, steps + 1):
        before = jax.tree.map(np.array, state)
        state, _ = made.run(state, made.begun(), source.at(step - 1)[0], 1)
        if step in bad:
            kept = before._replace(step=np.int32(step))
            state = jax.device_put(kept, parallel.replicated(mesh))
    return jax.device_get(state)


@pytest.mark.parametrize("site", SITES)
def test_all_but_the_step_stays_as_it_was_at_every_site(options, site):
    cfg = options("run", steps=9)
    state = go(cfg, make := built(site, at(4, 7)))
    run = ready(cfg, make)
    assert_same(state, by_hand(9, (4, 7), *run))
    run[2].close()
    assert int(state.step) == 9
    lines = {row["step"]: row for row in rows(cfg)}
    assert [k for k, row in lines.items() if finite.SKIPPED in row] == [4, 8]
    assert lines[4][finite.SKIPPED] == 1
    assert all(np.isfinite(v) for row in lines.values() for v in row.values())


@pytest.mark.parametrize("budget", [2**30, 0], ids=["resident", "streamed"])
@pytest.mark.parametrize("copies", [1, 32])
def test_how_steps_are_dispatched_changes_no_bit(options, monkeypatch, budget, copies):
    monkeypatch.setattr(guard, "COPY_EVERY", copies)
    monkeypatch.setattr(feed, "budget", lambda mesh: budget)
    make = built("params", at(3, 4, 19, 20, 21, 38))
    rare = dict.fromkeys(("sample_every", "checkpoint_every"), 1000)
    states = []
    for seconds in (0, 1000):
        monkeypatch.setattr(loop, "DISPATCH_SECONDS", seconds)
        cfg = options(f"{seconds}", steps=40, log_every=10, **rare)
        states.append(go(cfg, make))
        lines = [row.get(finite.SKIPPED, 0) for row in rows(cfg)]
        assert lines == [2, 2, 1, 1]
    assert_same(*states)
    files = [options(n, **rare).workdir + "/metrics.jsonl" for n in ("0", "1000")]
    assert Path(files[0]).read_bytes() == Path(files[1]).read_bytes()


def test_a_run_that_is_continued_leaves_the_same_steps_out(options):
    make = built("opt", at(3, 6, 7, 12), jnp.inf)
    expected = go(options("whole", steps=14), make)
    for steps in (3, 7):
        go(options("parts", steps=steps), make)
    assert_same(go(options("parts", steps=14), make), expected)


def test_an_infinite_moment_is_seen_though_all_else_is_finite(options, capsys):
    """Adam's second moment, of a gradient whose square is too large for float32: the
    weights would stand still for ever."""

    def huge(model):
        def step(state, batch, key):
            new, metrics = model.step(state, batch, key)
            adam = new.opt["G"][0]
            nu = jax.tree.map(lambda x: jnp.where(state.step == 4, jnp.inf, x), adam.nu)
            opt = {"G": (adam._replace(nu=nu), *new.opt["G"][1:])}
            return merge(new, opt=opt), metrics

        return model._replace(step=step)

    state = go(options("run", steps=8), lambda *args: huge(build(*args)))
    said = capsys.readouterr().err
    assert "At step 5, in G's update, moments of G are not finite." in said
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(state))


@pytest.mark.parametrize("seconds", [0, 1000])
@pytest.mark.parametrize("limit", [1, 3])
def test_too_many_in_a_row_end_the_run_with_the_last_good_state(
    options, monkeypatch, limit, seconds
):
    monkeypatch.setattr(loop, "DISPATCH_SECONDS", seconds)
    rare = dict.fromkeys(("log_every", "sample_every", "checkpoint_every"), 1000)
    bad = (4, 5, 7, *range(11, 1000)) if limit == 3 else range(11, 1000)
    make = built("d_loss", at(*bad))
    cfg = options("run", steps=60, max_bad_steps=limit, **rare)
    with pytest.raises(guard.Diverged, match=rf"at step 11: .*d_loss is .* {limit} st"):
        go(cfg, make)
    folder = Path(cfg.workdir) / "checkpoints"
    assert checkpoint.steps(folder) == [10]
    expected = go(options("until", **rare, steps=10), make)
    with checkpoint.reader(folder) as saved:
        assert_same(checkpoint.restore(saved, expected), expected)
    said = (Path(cfg.workdir) / "log.txt").read_text()
    assert "The state of step 10 is from before. It is kept;" in said
    with pytest.raises(guard.Diverged, match="at step 11"):  # and so it goes on
        go(cfg, make)


def test_a_streak_may_reach_over_dispatches_and_end_within_one(options, monkeypatch):
    make = built("params", at(*range(5, 9), *range(13, 17)))
    for seconds in (0, 1000):
        monkeypatch.setattr(loop, "DISPATCH_SECONDS", seconds)
        state = go(options(f"ok{seconds}", steps=20, max_bad_steps=5), make)
        assert int(state.step) == 20
        with pytest.raises(guard.Diverged, match=r"at step 5: .* for 4 steps"):
            go(options(f"no{seconds}", steps=20, max_bad_steps=4), make)


def test_a_streak_goes_on_where_a_run_is_continued(options):
    """It was stopped amid bad steps; the last good state stays the newest but for the
    one that was asked for."""
    make = built("params", at(*range(5, 100)))
    rare = {"steps": 30, "max_bad_steps": 8, "checkpoint_every": 2, "log_every": 3}
    with pytest.raises(guard.Diverged, match=r"at step 5: .* for 8 steps"):
        go(options("whole", **rare), make)
    assert checkpoint.steps(Path(options("whole").workdir) / "checkpoints") == [2, 4]
    go(options("parts", **rare | {"steps": 9}), make)
    with pytest.raises(guard.Diverged, match=r"at step 5: .* for 8 .* of step 9 is"):
        go(options("parts", **rare), make)
    assert rows(options("parts"))[-1][finite.SKIPPED] == 3


def test_members_leave_out_steps_of_their_own(options):
    """Each is its single run, but for rounding; the other loses nothing."""

    def make(*args, marks=()):
        def when(step, mark):
            bad = [(step == 4 + 2 * k) & (mark == x) for k, x in enumerate(marks)]
            return jnp.stack(bad).any() if bad else step < 0

        return spoiled(build(*args), "params", when)

    singles = [options(f"free{k}", steps=1, seed=k) for k in range(2)]
    marks = [np.float32(go(cfg, make).memory["mark"]) for cfg in singles]
    assert marks[0] != marks[1]
    make = partial(make, marks=marks)
    cfg = options("run", steps=8, seeds=2)
    state = go(cfg, make)
    for k in range(2):
        one = go(options(f"one{k}", steps=8, seed=k), make)
        close = partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-6)
        jax.tree.map(close, members.member_of(state, k), one)
    lines = [row.get(finite.SKIPPED) for row in rows(cfg)]
    assert lines == [None, [1.0, 0.0], [0.0, 1.0], None]
    assert rows(cfg)[1]["d_loss"][0] != rows(cfg)[1]["d_loss"][1]


def test_one_member_that_is_lost_ends_all_where_it_was_good(options):
    def make(*args, bad=2.0):
        def when(step, mark):
            return (step > 5) & (mark == bad)

        return spoiled(build(*args), "d_loss", when)

    marks = go(options("free", steps=1, seeds=3), make).memory["mark"]
    make = partial(make, bad=np.float32(marks[1]))
    cfg = options("run", steps=30, seeds=3, max_bad_steps=2, checkpoint_every=1000)
    with pytest.raises(guard.Diverged, match=r"member 1 \(seed 1\) diverged at step 6"):
        go(cfg, make)
    assert checkpoint.steps(Path(cfg.workdir) / "checkpoints") == [5]
    expected = go(options("until", steps=5, seeds=3), make)
    with checkpoint.reader(Path(cfg.workdir) / "checkpoints") as saved:
        assert_same(checkpoint.restore(saved, expected), expected)


def test_weights_that_begin_as_nan_are_no_run(options):
    def make(*args):
        model = build(*args)

        def init(key, batch):
            state = model.init(key, batch)
            nan = jax.tree.map(lambda x: x * jnp.nan, state.params["G"])
            return merge(state, params={"G": nan})

        return model._replace(init=init)

    with pytest.raises(guard.Diverged, match="by step 0: weights of G are not"):
        go(options("run"), make)


def test_an_infinity_that_an_optimizer_begins_with_is_no_harm(options):
    """Such as the best loss so far of `optax.contrib.reduce_on_plateau`."""
    best = optax.GradientTransformation(
        lambda params: {"best": jnp.float32(jnp.inf)}, lambda g, s, p=None: (g, s)
    )
    tx = optax.chain(optax.adam(1e-3), best)
    assert int(go(options("run"), partial(build, tx=tx)).step) == 7


def test_samples_that_hold_nan_are_not_drawn_and_training_goes_on(options, capsys):
    """Weights may be finite, and what they make of noise is not."""

    def make(*args):
        model = build(*args)

        def step(state, batch, key):
            state, metrics = model.step(state, batch, key)
            huge = jax.tree.map(lambda x: x * 0 + 3e38, state.ema["G"])
            return merge(state, ema={"G": huge}), metrics

        return model._replace(step=step)

    cfg = options("run")
    go(cfg, make)
    said = capsys.readouterr().err
    assert "Step 4: no samples. The images that it draws hold NaN" in said
    names = [p.name for p in (Path(cfg.workdir) / "samples").iterdir()]
    assert names == ["000000.png"]
