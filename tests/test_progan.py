"""Networks that grow: what a stage is to the one before, and a run through all."""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import tiny_runs
from jax import random

from jaxgan import losses, phases, recipes
from jaxgan import regularizers as reg
from jaxgan.models import flax_net, progan, stylegan
from jaxgan.models.layers import downsample, upsample
from jaxgan.recipes.progan import drift
from jaxgan.run import Config, changed, program, stages, train
from jaxgan.types import Mean, Phase, UsageError, merge

sys.path.append(str(Path(__file__).parents[1] / "experiments"))

import progan as experiment

KEY, SHAPE = random.key(0), (16, 16, 1)
ENDS, FADE = (3, 7), 3
ONE = jnp.float32(1)


def _nets(module=progan, **options):
    styles = (4, 2) if module is stylegan else ()
    G, D = module.networks(SHAPE, 2, 4, *styles, **options)
    return [flax_net("G", net) for net in G], [flax_net("D", net) for net in D]


def _model(module=progan, tx=None, **options):
    tx = tx or optax.adam(1e-2, 0.0, 0.99)
    options = {"penalty": reg.total(reg.wgan_gp(10.0), drift(1e-3))} | options
    sizes = {"latent_dim": 3, "ends": ENDS, "fade": FADE}
    return recipes.progan(*_nets(module), **sizes, g_tx=tx, d_tx=tx, **options)


BATCH = {"image": np.random.default_rng(0).uniform(-1, 1, (4, *SHAPE)).astype("f4")}


@pytest.mark.parametrize(
    ("module", "expected"),
    [(progan, 23_079_115), (stylegan, 26_219_627)],
)
def test_g_has_as_many_parameters_as_the_authors(module, expected):
    """As their programs print them; 23.1 and 26.2 million in StyleGAN's paper."""
    G, _ = module.networks((1024, 1024, 3))
    z = jax.ShapeDtypeStruct((2, 512), jnp.float32)
    made = jax.eval_shape(flax_net("G", G[-1]).init, KEY, z, ONE)[0]
    assert sum(leaf.size for leaf in jax.tree.leaves(made)) == expected


@pytest.mark.parametrize("module", [progan, stylegan], ids=["progan", "stylegan"])
def test_a_new_stage_is_at_first_the_old_one_enlarged(module):
    G, D = _nets(module)
    z = random.normal(KEY, (4, 3))
    params, stats = G[-1].init(KEY, z, ONE)
    d_params, _ = D[-1].init(KEY, BATCH["image"], ONE)
    x = random.normal(KEY, (4, 16, 16, 1))
    for k in (1, 2):
        draw = lambda net, alpha: net.apply(  # noqa: E731
            params, stats, z, jnp.float32(alpha), train=False
        )[0]
        before, after = draw(G[k - 1], 1), draw(G[k], 0)
        side = 4 << k
        assert after.shape == (4, side, side, 1)
        np.testing.assert_allclose(after, upsample(before), atol=1e-6)
        half, full = draw(G[k], 0.5), draw(G[k], 1)
        np.testing.assert_allclose(half, (after + full) / 2, atol=1e-5)
        assert np.abs(full - after).max() > 1e-2
        seen = x[:, :side, :side]
        judge = lambda net, x, alpha: net.apply(d_params, {}, x, jnp.float32(alpha))[0]  # noqa: E731
        old, new = judge(D[k - 1], downsample(seen), 1), judge(D[k], seen, 0)
        np.testing.assert_allclose(new, old, atol=1e-5)
        assert np.abs(judge(D[k], seen, 1) - new).max() > 1e-4


def _changed(before, after):
    """Names of parameters that moved."""
    pairs = zip(
        jax.tree_util.tree_leaves_with_path(before), jax.tree.leaves(after), strict=True
    )
    return {
        jax.tree_util.keystr(path)
        for (path, a), b in pairs
        if (np.asarray(a) != np.asarray(b)).any()
    }


def test_each_stage_trains_its_own_layers_and_begins_with_fresh_optimizers():
    model = _model()
    step = jax.jit(model.step)
    state = model.init(KEY, BATCH)
    for t in range(9):
        old = state
        state, metrics = step(state, BATCH, random.fold_in(KEY, t))
        k = sum(t >= end for end in ENDS)
        moved = _changed(old.params, state.params)
        stages = {int(n.split("stage")[1][0]) for n in moved if "stage" in n}
        assert stages == set(range(k + 1))
        heads = {n.split("image")[1][0] for n in moved if "from_image" in n}
        begin = max(b for b in (0, *ENDS) if b <= t)
        fades = k > 0 and t - begin + 1 < FADE
        assert heads == {str(i) for i in range(k - fades, k + 1)}
        count = int(state.opt["G"][0].count)
        assert count == t + 1 - begin
        assert np.isfinite(metrics["d_loss"].value())
    assert step._cache_size() == 1


def test_a_program_of_a_stage_alone_takes_the_same_steps():
    model = _model(tx=optax.sgd(1e-2))
    whole = state = model.init(KEY, BATCH)
    step = jax.jit(model.step)
    for begin, end in ((0, 3), (3, 7), (7, np.inf)):

        @jax.jit
        def alone(state, batch, key, begin=begin, end=end):
            with phases.steps_between(begin, end):
                return model.step(state, batch, key)

        text = alone.lower(state, BATCH, KEY).as_text()
        assert len(text) < 0.75 * len(step.lower(state, BATCH, KEY).as_text())
        for t in range(begin, min(end, 9)):
            key = random.fold_in(KEY, t)
            whole, wanted = step(whole, BATCH, key)
            state, found = alone(state, BATCH, key)
            assert found.keys() == wanted.keys()
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5),
        (whole.params, whole.ema),
        (state.params, state.ema),
    )


def test_it_draws_and_judges_as_the_stage_does_that_it_is_in():
    model = _model()
    state = model.init(KEY, BATCH)
    z = random.normal(KEY, (2, 3))
    G, D = _nets()
    for t, k, alpha in ((0, 0, 1), (3, 1, 1 / 3), (4, 1, 2 / 3), (6, 1, 1), (9, 2, 1)):
        now = state._replace(step=jnp.int32(t))
        images = model.draws["sample"].run(now, (z,), KEY)
        own = G[k].apply(state.ema["G"], {}, z, jnp.float32(alpha))[0]
        for _ in range(2 - k):
            own = upsample(own)
        np.testing.assert_allclose(images, own.clip(-1, 1), atol=1e-4)
        small = BATCH["image"]
        for _ in range(2 - k):
            small = downsample(small)
        wanted = D[k](state, small, jnp.float32(alpha))
        scores = model.scores["D"](now, BATCH["image"])
        np.testing.assert_allclose(scores, wanted, atol=1e-4)


def test_drift_is_the_square_of_d_at_real_images():
    judged = reg.Judged(None, None, None, jnp.array([2.0, -3.0]), None, None)
    np.testing.assert_allclose(drift(0.5).of(judged, (), 0)[0], [2.0, 4.5])


@pytest.mark.parametrize("ends", [(3,), (7, 3), (3, 3)])
def test_stages_rise(ends):
    with pytest.raises(ValueError, match="must be 2, rising"):
        phases.staged(ends, *[phases.chain()] * 3)


def test_a_run_that_would_end_before_it_is_grown_is_refused():
    cfg = changed(experiment.PRESETS["emoji"], steps=1874)
    with pytest.raises(UsageError, match="steps 1874 ends before the last"):
        experiment.build(cfg, (32, 32, 3), 0)
    assert experiment.build(changed(cfg, steps=1876), (32, 32, 3), 0).stages == (
        *(375, 1125, 1875),
    )


def _build(cfg, shape, num_classes):
    return _model(stylegan, loss=losses.nonsaturating, penalty=reg.r1(0.1))


def _tiny(tmp_path, name, **changes):
    file = tmp_path / "data.npz"
    images = np.random.default_rng(0).integers(0, 256, (12, *SHAPE), np.uint8)
    np.savez(file, images=images)
    options = {"steps": 10, "batch_size": 8, "log_every": 2, "sample_every": 5}
    options |= {"checkpoint_every": 50, "data": f"npz:{file}"} | changes
    return changed(Config(), **options, workdir=str(tmp_path / name))


def test_a_run_that_is_stopped_amid_a_fade_ends_as_one_that_is_not(tmp_path):
    """To the last bit; and where stages begin."""
    whole = train(_tiny(tmp_path, "whole"), _build, "test")[1]
    for stop in (4, 7):
        train(_tiny(tmp_path, "parts", steps=stop), _build, "test")
    parts = train(_tiny(tmp_path, "parts"), _build, "test")[1]
    jax.tree.map(np.testing.assert_array_equal, whole, parts)
    log = (tmp_path / "parts" / "log.txt").read_text()
    assert "Continuing from the checkpoint of step 7." in log
    assert (Path(tmp_path) / "whole" / "samples" / "000010.png").exists()


@pytest.mark.parametrize("end", [8, None])
def test_a_dispatch_ends_where_its_stage_does(end):
    at = stages.within(lambda step: ("arrays", end), (3, 7))
    assert [at(step)[1] for step in range(8)] == [3, 3, 3, 7, 7, 7, 7, end]
    assert at(0)[0] == "arrays"


def _tells(name, traced):
    def step(state, batch, key):
        traced.append(name)
        return state, {name: Mean.of(state.step), "all": Mean.of(1.0)}

    return Phase(lambda state: state, step)


def test_metrics_of_a_stage_are_reported_in_it(tmp_path):
    """By a program that knows no other stage; and by a run that goes on in the next."""
    traced = []

    def build(cfg, shape, num_classes):
        model = tiny_runs.build(cfg, shape, num_classes)
        told = phases.staged((2, 4), *[_tells(name, traced) for name in "abc"])

        def step(state, batch, key):
            state, told_of = told.step(state, batch, key)
            state, metrics = model.step(state, batch, key)
            return state, told_of | metrics

        return model._replace(step=step, stages=(2, 4))

    cfg = _tiny(tmp_path, "told", steps=6, log_every=3)
    train(changed(cfg, steps=4), build, "test")
    assert sorted(traced) == ["a", "a", "b", "b", "c"]  # for their names, and to run
    train(cfg, build, "test")
    rows = tiny_runs.rows(cfg)
    known = [{name: row[name] for name in "abc" if name in row} for row in rows]
    assert [row["step"] for row in rows] == [3, 4, 6]
    assert known == [{"a": 0.5, "b": 2.0}, {"b": 3.0}, {"c": 4.5}]


@pytest.mark.parametrize("some", [phases.every, phases.lazy])
def test_a_stage_within_other_phases_is_found_anew(some):
    state, found = _model().init(KEY, BATCH), []
    phase = some(2, phases.staged((2, 4), *[_tells(name, []) for name in "abc"]))
    for span in stages.spans((2, 4)):
        with phases.steps_between(*span):
            metrics = phase.step(state, BATCH, KEY)[1]
        found.append("".join(sorted(metrics.keys() - {"all"})))
    assert found == ["a", "b", "c"]


def test_names_of_all_stages_are_in_the_order_of_each():
    both = program._in_order([], ["D", "E", "Q"])
    assert both == ["D", "E", "Q"]
    assert program._in_order(both, ["D", "F", "Q", "R"]) == ["D", "F", "E", "Q", "R"]
    assert program._in_order(both, ["F", "Q"]) == ["F", "D", "E", "Q"]


def test_bad_steps_are_undone_across_a_stage_s_beginning(tmp_path):
    """Steps 4 and 5, of another program than the first ones."""

    def build(cfg, shape, num_classes):
        model = _build(cfg, shape, num_classes)

        def step(state, batch, key):
            bad = (state.step == 3) | (state.step == 4)
            new, metrics = model.step(state, batch, key)
            spoilt = jax.tree.map(lambda x: jnp.where(bad, jnp.nan, x), new.params["G"])
            return merge(new, params={"G": spoilt}), metrics

        return model._replace(step=step)

    state = train(_tiny(tmp_path, "bad"), build, "test")[1]
    assert int(state.step) == 10
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(state.params))
    assert (tmp_path / "bad" / "log.txt").read_text().count("Left out: ") in (1, 2)
