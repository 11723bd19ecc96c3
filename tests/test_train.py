"""The loop: what a run leaves behind, and that a continued run is the same run."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import command_line
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from PIL import Image
from tiny_runs import (
    ADAM,
    DATA_SIZE,
    assert_same,
    build,
    build_dcgan,
    build_diverging,
    go,
    rows,
)

from jaxgan import data, metrics, models, parallel, recipes
from jaxgan.data import feed
from jaxgan.data.feed import Change
from jaxgan.metrics import report
from jaxgan.run import (
    Config,
    best_state,
    checkpoint,
    draws,
    guard,
    load,
    loop,
    members,
    program,
    train,
)
from jaxgan.run.images import write
from jaxgan.run.keys import other_seed
from jaxgan.types import UsageError

ROOT = Path(__file__).parent.parent


def test_a_run_leaves_config_metrics_samples_checkpoints_and_log(options):
    cfg = options("run")
    state = go(cfg)
    path = Path(cfg.workdir)
    assert int(state.step) == 7
    assert json.loads((path / "config.json").read_text())["config"]["steps"] == 7
    assert [r["step"] for r in rows(cfg)] == [2, 4, 6, 7]
    assert rows(cfg)[-1]["kimg"] == pytest.approx(7 * 8 / 1000)
    names = {"d_loss", "g_loss", "D(real)", "D(fake)", "D_grad_norm", "G_grad_norm"}
    assert names <= rows(cfg)[0].keys()
    timings = (path / "timings.jsonl").read_text().splitlines()
    known = {"step", "images_per_s", "host_gib"}
    assert [json.loads(t).keys() for t in timings] == [known] * 4
    grids = sorted(p.name for p in (path / "samples").iterdir())
    assert grids == ["000000.png", "000004.png", "000007.png"]
    assert sorted(p.name for p in (path / "checkpoints").iterdir()) == ["6", "7"]
    log = (path / "log.txt").read_text()
    assert "A step takes about" in log and "of memory on a device" in log
    assert "Done" in log


def test_the_first_grid_is_of_the_first_weights(options):
    cfg = options("run", steps=1)
    go(cfg)
    with Image.open(Path(cfg.workdir) / "samples" / "000000.png") as file:
        grid = np.asarray(file)
    # Untrained, tanh(0 ± a little): mid-gray.
    assert abs(grid[2:50, 2:50].astype(float).mean() - 127.5) < 10


def test_metrics_are_means_over_the_steps_between_two_lines(options):
    fine, coarse = options("fine", log_every=1), options("coarse", log_every=7)
    go(fine)
    go(coarse)
    expected = np.mean([r["d_loss"] for r in rows(fine)])
    assert rows(coarse)[0]["d_loss"] == pytest.approx(expected, rel=1e-5)


def test_a_continued_run_is_the_uninterrupted_one_bit_for_bit(options):
    whole, parts = options("whole"), options("parts", steps=3)
    expected = go(whole, build_dcgan)
    go(parts, build_dcgan)
    assert_same(go(options("parts"), build_dcgan), expected)
    keys = ("step", "d_loss", "g_loss")
    pick = lambda cfg: [tuple(r[k] for k in keys) for r in rows(cfg)]  # noqa: E731
    assert pick(options("parts"))[-1] == pick(whole)[-1]
    assert [r["step"] for r in rows(parts)] == [2, 3, 4, 6, 7]


def test_a_run_of_eight_devices_goes_on_with_fewer(options, tmp_path, monkeypatch):
    """By SGD: Adam's steps would hide gradients of a wrong scale."""
    sgd = partial(build, tx=optax.sgd(0.1))
    saved = go(options("eight", steps=3), sgd)
    for n in (1, 2, 4):
        shutil.copytree(tmp_path / "eight", tmp_path / str(n))
    expected = go(options("eight", steps=9), sgd)
    far = jax.tree.map(lambda a, b: abs(a - b).max(), saved.params, expected.params)
    assert min(jax.tree.leaves(far)) > 5e-3
    for n in (4, 2, 1):
        few = jax.devices()[:n]
        monkeypatch.setattr(parallel, "devices", lambda platform="auto", few=few: few)
        _, restored = train(options(str(n), steps=3), sgd, "test")
        assert {len(x.devices()) for x in jax.tree.leaves(restored)} == {n}
        assert_same(jax.device_get(restored), saved)
        found = go(options(str(n), steps=9), sgd)
        log = (tmp_path / str(n) / "log.txt").read_text()
        assert log.count("Continuing from the checkpoint of step 3.") == 2
        near = partial(np.testing.assert_allclose, rtol=0, atol=1e-5)
        jax.tree.map(near, found, expected)
    out = tmp_path / "eight.npz"
    this = SimpleNamespace(__name__="test", PRESET=Config(), build=sgd)
    args = "sample", "--workdir", tmp_path / "eight", "--num", 3, "--npz", out
    assert command_line.run(this, *args, "--out", tmp_path / "eight.png") == 0
    with np.load(out) as file:
        assert file["images"].shape == (3, 28, 28, 1)


def test_the_number_of_steps_in_a_dispatch_changes_no_bit(options, monkeypatch):
    expected = go(options("long"))
    monkeypatch.setattr(loop, "DISPATCH_SECONDS", 0.0)
    assert_same(go(options("short")), expected)


@pytest.mark.parametrize("budget", [2**30, 0], ids=["resident", "streamed"])
@pytest.mark.parametrize("flip", [False, True])
def test_batches_are_the_dataset_in_its_order_scaled(
    options, monkeypatch, budget, flip
):
    monkeypatch.setattr(feed, "AHEAD", 3)
    monkeypatch.setattr(feed, "budget", lambda mesh: budget)
    dataset = data.load(options("run").data)
    source = feed.feed(dataset, (5,), 16, Change(flip), parallel.mesh())
    for step in (0, 1, 4, 9):
        arrays, end = source.at(step)
        assert end is None or end > step
        key = jax.random.key(step)
        batch = jax.jit(source.batch)(arrays, step, key, 5)
        rows = dataset.fetch(data.indices(5, step, 16, dataset.size))
        expected = rows["image"].astype(np.float32) / np.float32(127.5) - 1
        if flip:
            mirror = jax.random.bernoulli(jax.random.split(key)[0], 0.5, (16,))
            mirror = mirror.reshape(16, 1, 1, 1)
            expected = np.where(mirror, expected[:, :, ::-1], expected)
        np.testing.assert_allclose(batch["image"], expected, atol=1e-6)
    source.close()


def test_data_that_does_not_fit_is_streamed(options, monkeypatch):
    expected = go(options("resident", steps=20))
    monkeypatch.setattr(feed, "budget", lambda mesh: 0)
    monkeypatch.setattr(feed, "resident", None)
    streamed = go(options("streamed", steps=20))
    close = lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5)  # noqa: E731
    jax.tree.map(close, streamed.params, expected.params)


def test_flips_change_the_run(options):
    a, b = go(options("a")), go(options("b", flip=True))
    leaves = zip(jax.tree.leaves(a.params), jax.tree.leaves(b.params), strict=True)
    assert any((x != y).any() for x, y in leaves)


def test_seeds_change_weights_and_order(options):
    a, b = go(options("a")), go(options("b", seed=1))
    assert (
        a.params["G"]["Dense_0"]["kernel"] != b.params["G"]["Dense_0"]["kernel"]
    ).any()


def test_interrupting_saves_and_the_same_command_continues(options):
    """kill -INT at some step of a real process, then the same command again."""
    whole = options("whole", steps=60)
    expected = go(whole)
    killed = options("killed", steps=60)
    script = (
        "import os, sys; sys.path.insert(0, 'tests')\n"
        "import conftest, time, test_train as t\n"
        "from jaxgan.run import hooks, loop\n"
        "drawn = hooks.save_png\n"  # slow enough to be met, however busy we are
        "hooks.save_png = lambda *a: (time.sleep(0.5), drawn(*a))\n"
        "from jaxgan.run.train import Interrupted\n"
        "loop.DISPATCH_SECONDS = 0.0\n"
        f"try: t.train(t.Config(**{vars(killed)!r}), t.build, 'test')\n"
        "except Interrupted: sys.exit(130)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    metrics = Path(killed.workdir) / "metrics.jsonl"
    while process.poll() is None and not (metrics.exists() and metrics.read_text()):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    told = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert told.index("Stopping after this step") < told.index("Stopped and saved")
    saved = max(int(p.name) for p in (Path(killed.workdir) / "checkpoints").iterdir())
    assert 2 <= saved < 60
    assert_same(go(killed), expected)


def test_a_damaged_checkpoint_is_reported_and_an_older_one_used(options, capsys):
    expected = go(options("run"))
    newest = Path(options("run").workdir) / "checkpoints" / "7"
    for file in newest.rglob("*"):
        if file.is_file():
            os.truncate(file, file.stat().st_size // 2)
    assert_same(go(options("run")), expected)
    assert "Checkpoint 7 is damaged" in capsys.readouterr().err


def test_a_finished_run_does_nothing_and_says_so(options, capsys):
    go(options("run"))
    go(options("run"))
    assert "raise --steps" in capsys.readouterr().err
    assert [r["step"] for r in rows(options("run"))] == [2, 4, 6, 7]


def test_another_configuration_is_refused_by_name(options):
    go(options("run", steps=1))
    with pytest.raises(UsageError, match=r"seed is 0 there, 5 here; .*batch|seed is 0"):
        go(options("run", seed=5))
    with pytest.raises(UsageError, match="flip is False there, True here"):
        go(options("run", flip=True, sample_every=1))


def test_a_workdir_with_other_files_is_left_alone(options, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    with pytest.raises(UsageError, match=r"thesis\.tex"):
        go(options("mine"))
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("steps", (5, 50))
def test_divergence_stops_the_run_and_is_never_saved(options, steps):
    """Also when it comes with the last step, which no later step's metrics tell."""
    changes = {"checkpoint_every": 1, "log_every": 50, "max_bad_steps": 1}
    cfg = options("run", steps=steps, **changes)
    with pytest.raises(guard.Diverged, match=r"at step 5: .*weights of G.* not finite"):
        go(cfg, build_diverging)
    folder = Path(cfg.workdir) / "checkpoints"
    with checkpoint.reader(folder) as saved:
        who = members.members(cfg)
        model_of = members.varied(build_diverging, cfg, (28, 28, 1), 0)
        start = program.start(model_of, who, (28, 28, 1), parallel.mesh())
        state = checkpoint.restore(saved, start.template)
    assert int(state.step) == 4
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(state.params))


def test_divergence_is_seen_between_checkpoints_by_the_metrics(options):
    never = dict.fromkeys(("checkpoint_every", "sample_every", "log_every"), 10**6)
    cfg = options("run", steps=10**6, **never)
    with pytest.raises(guard.Diverged, match=r"step 5: in G's update, .* 10 steps"):
        go(cfg, build_diverging)


def test_looking_at_a_run_leaves_its_unfinished_save_alone(options):
    cfg = options("run")
    go(cfg)
    unfinished = Path(cfg.workdir) / "checkpoints" / "99.orbax-checkpoint-tmp"
    unfinished.mkdir()
    load(cfg.workdir, Config, build)
    go(options("new", init_from=cfg.workdir, steps=1))
    assert unfinished.exists()


def test_another_experiment_is_refused_before_its_options_are_read(options):
    cfg = options("run", steps=1)
    go(cfg)
    file = Path(cfg.workdir) / "config.json"
    values = json.loads(file.read_text())
    values["config"]["no_such_option"] = 1
    file.write_text(json.dumps(values | {"experiment": "other"}))
    with pytest.raises(UsageError, match=r"holds a run of other, not of test; choose"):
        go(cfg)
    with pytest.raises(UsageError, match=r"holds a run of other, not of test; choose"):
        load(cfg.workdir, Config, build, experiment="test")


def test_what_is_missing_is_said_before_the_workdir_is_claimed(options, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for name in ("tensorboard", "wandb"):
        with pytest.raises(UsageError, match=rf"^{name} needs .*pip install"):
            go(options("run", **{name: True}))
    with pytest.raises(UsageError, match="init_from nowhere holds no checkpoints"):
        go(options("run", init_from="nowhere"))
    assert not Path(options("run").workdir).exists()


def test_init_from_starts_anew_from_old_weights(options):
    with pytest.raises(UsageError, match="init_from /nowhere"):
        go(options("bad", init_from="/nowhere"))
    old = go(options("old", seed=1))
    new = go(options("new", init_from=options("old").workdir, steps=1))
    assert int(new.step) == 1
    distance = np.abs(
        new.params["G"]["Dense_0"]["kernel"] - old.params["G"]["Dense_0"]["kernel"]
    )
    assert 0 < distance.max() < 1.1e-3  # one step of Adam at 1e-3


def test_tensorboard_files_are_written_when_asked(options):
    cfg = options("run", tensorboard=True)
    go(cfg)
    assert list((Path(cfg.workdir) / "tensorboard").glob("events.*"))


def test_samples_come_from_the_workdir_alone(options, tmp_path):
    cfg = options("run")
    go(cfg)
    (tmp_path / "data.npz").unlink()
    (found,) = load(cfg.workdir, Config, build)
    model, state = found.model, found.state
    images, labels = draws.draw(model, state, num=300, seed=1)
    assert found.run.shape == (28, 28, 1) and labels is None
    assert images.shape == (300, 28, 28, 1) and images.dtype == np.uint8
    again, _ = draws.draw(model, state, num=300, seed=1)
    other, _ = draws.draw(model, state, num=300, seed=2)
    np.testing.assert_array_equal(images, again)
    assert (images != other).any()
    assert len(np.unique(images.reshape(300, -1), axis=0)) == 300
    write(images, labels, str(tmp_path / "g.png"), str(tmp_path / "s.npz"))
    with np.load(tmp_path / "s.npz") as file:
        np.testing.assert_array_equal(file["images"], images)


def test_devices_must_divide_the_batch(options):
    with pytest.raises(UsageError, match="batch_size 12 must be a positive multiple"):
        go(options("run", batch_size=12))


@pytest.fixture
def judged(monkeypatch, tmp_path):
    """Evaluations whose first figure is a list's next, and which samples they saw."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    seen = []

    def replace(figures):
        figures = iter(figures)

        def judge(samples, reference, extractor, names, num, seed, **options):
            assert (reference.size, names, num) == (DATA_SIZE, ("fd",), 120)

            def figure(samples):
                seen.append(samples.fetch(np.arange(5))["image"])
                return {"fd_mnist": next(figures)}

            return report.Judge("fd", True, figure)

        monkeypatch.setattr(report, "judge", judge)
        return seen

    return replace


def best_step(cfg):
    path = Path(cfg.workdir)
    steps = checkpoint.steps(path / "best")
    assert steps == [best_state.known(path / "best").step]
    return steps[0]


def test_the_best_state_is_kept_besides_the_newest(options, judged):
    seen = judged([5.0, 2.0, 3.0, 4.0])
    cfg = options("run", evaluate_every=2, evaluate_num=120, keep=1)
    go(cfg)
    figures = {r["step"]: r["fd_mnist"] for r in rows(cfg) if "fd_mnist" in r}
    assert figures == {2: 5, 4: 2, 6: 3, 7: 4}
    assert best_step(cfg) == 4
    assert checkpoint.steps(Path(cfg.workdir) / "checkpoints") == [7]
    (best,) = load(cfg.workdir, Config, build, best=True)
    assert int(best.state.step) == 4
    seed = other_seed(cfg.seed, "following")
    images, _ = draws.draw(best.model, best.state, 120, seed)
    np.testing.assert_array_equal(images[:5], seen[1])
    reported, _ = draws.draw(best.model, best.state, 120, cfg.seed)
    assert (reported[:5] != images[:5]).any((1, 2, 3)).all()
    (newest,) = load(cfg.workdir, Config, build)
    assert int(newest.state.step) == 7


def test_evaluations_leave_training_as_it_is(options, judged):
    judged([1.0] * 9)
    expected = go(options("plain"))
    assert_same(go(options("judged", evaluate_every=1, evaluate_num=120)), expected)


def test_a_continued_run_knows_its_best(options, judged):
    judged([5.0, 2.0, 1.0, 9.0, 9.0])
    changes = {"evaluate_every": 1, "evaluate_num": 120}
    go(options("run", steps=3, **changes))
    assert best_step(options("run")) == 3
    go(options("run", steps=5, **changes))
    assert best_step(options("run")) == 3


def test_a_new_run_does_not_take_an_older_one_s_best(options, judged):
    judged([1.0, 5.0])
    cfg = options("run", steps=1, evaluate_every=1, evaluate_num=120)
    go(cfg)
    shutil.rmtree(Path(cfg.workdir) / "checkpoints")
    cfg = options("run", steps=2, evaluate_every=2, evaluate_num=120)
    go(cfg)
    assert best_step(cfg) == 2


@pytest.fixture
def tiny():
    """Makes a state of a step."""
    gan = build(None, (28, 28, 1), 0)
    state = gan.init(jax.random.key(0), {"image": jnp.zeros((2, 28, 28, 1))})
    return lambda step: state._replace(step=jnp.int32(step))


@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_figure_that_is_not_finite_is_never_the_best(tmp_path, tiny, value, lower):
    best = tmp_path / "best"
    assert not best_state.keep(best, tiny(1), "kid", value, lower)
    assert best_state.keep(best, tiny(2), "kid", 1.0, lower)
    assert not best_state.keep(best, tiny(3), "kid", value, lower)
    assert best_state.known(best) == best_state.Best(2, "kid", 1.0)
    assert checkpoint.steps(best) == [2]


def test_the_best_is_kept_until_a_better_one_is_safe(tmp_path, tiny, monkeypatch):
    def save(step, figure, value, lower):
        return best_state.keep(best, tiny(step), figure, value, lower)

    best = tmp_path / "best"

    for step, figure, value, lower, kept in (
        (10, "fd", 3.0, True, 10),
        (20, "fd", 5.0, True, 10),
        (30, "score", 1.0, False, 30),
        (40, "score", 4.0, False, 40),
        (50, "score", 2.0, False, 40),
        (6, "score", 9.0, False, 6),  # found later, of an earlier step
        (6, "kid", 1.0, True, 6),
    ):
        assert save(step, figure, value, lower) == (step == kept)
        assert checkpoint.steps(best) == [kept]
        assert best_state.known(best).step == kept

    def killed(self, target):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            save(70, "kid", 0.5, True)
    assert checkpoint.steps(best) == [6, 70]
    assert best_state.known(best) == best_state.Best(6, "kid", 1.0)
    with monkeypatch.context() as patch:  # now by another figure, of the same step
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            save(6, "fd", 9.0, True)
    assert 6 in checkpoint.steps(best)
    assert save(70, "kid", 0.5, True)
    assert checkpoint.steps(best) == [70]
    (tmp_path / "best.json").write_text("{")
    with pytest.raises(UsageError, match=r"best\.json is damaged: .*; delete it"):
        best_state.known(best)


def test_a_real_judge_compares_by_the_first_metric_named(
    options, tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    changes = {"data": "mnist", "evaluate_every": 3, "evaluate_num": 150, "steps": 6}
    changes["evaluate_reference_num"] = 500
    cfg = options("run", evaluate_metrics=("classes", "fd"), **changes)
    go(cfg)
    best = best_state.known(Path(cfg.workdir) / "best")
    assert best.figure.startswith("classes of 150 by mnist")
    found = [r for r in rows(cfg) if "fd_mnist" in r]
    assert [r["step"] for r in found] == [3, 6]
    assert best.value == max(r["class_entropy"] for r in found)
    (found_again,) = load(cfg.workdir, Config, build)
    model, state = found_again.model, found_again.state
    rows_of = metrics.Rows("samples", 150, (28, 28, 1))
    args = rows_of, data.load("mnist"), metrics.extractors.of_digits(), ("fd",), 150
    seed = other_seed(cfg.seed, "following")
    judge = metrics.judge(*args, seed, reference_num=500)
    expected = judge.of(draws.samples(model, state, 150, seed))
    assert found[-1]["fd_mnist"] == pytest.approx(expected["fd_mnist"], rel=1e-6)
    digits = data.load("mnist", split="test")
    real = data.make("real", lambda i: digits.fetch(i)["image"], 150, (28, 28, 1))
    assert judge.of(real)["fd_mnist"] < expected["fd_mnist"] / 10


def test_what_cannot_be_evaluated_is_said_before_the_workdir_is_claimed(options):
    for changes, says in (
        ({"evaluate_num": 99}, "evaluate_num 99 must be 100 or more"),
        ({"evaluate_metrics": ()}, "evaluate_metrics names none: by filters there are"),
        ({}, f"has {DATA_SIZE} images; figures say nothing below 100"),
        ({"data": "mnist", "evaluate_metrics": ("nothing",)}, "evaluate_metrics no"),
        ({"inception_weights": "none.pth"}, r"inception_weights none\.pth cannot be"),
    ):
        with pytest.raises(UsageError, match=says):
            go(options("run", evaluate_every=1, **changes))
    assert not Path(options("run").workdir).exists()


def test_gradients_in_parts_train_and_unlucky_parts_are_refused(options):
    sizes = {"steps": 2, "batch_size": 32}
    _, whole = train(options("whole", **sizes), build_dcgan)
    _, state = train(options("parts", **sizes, accumulate=4), build_dcgan)
    rest = jax.tree.map(lambda a, b: abs(a - b).max(), state.params, whole.params)
    # BatchNorm sees parts, so it came there; and Adam's steps are of 1e-3 either way.
    assert 1e-5 < max(jax.tree.leaves(rest)) < 5e-3
    cfg = options("wrong", **sizes, accumulate=3)
    with pytest.raises(UsageError, match="accumulate 3 parts on each of 8 devices do"):
        train(cfg, build)
    assert not Path(cfg.workdir).exists()


def test_a_run_continued_on_fewer_cores_says_so(options):
    cfg = options("elsewhere", steps=1)
    train(cfg, build)
    folder = Path(cfg.workdir)
    log, file = folder / "log.txt", folder / "config.json"
    assert "goes on elsewhere" not in log.read_text()
    values = json.loads(file.read_text())
    values["made_by"]["cores"] += 7
    file.write_text(json.dumps(values))
    train(options("elsewhere", steps=2), build)
    assert "It goes on elsewhere (cores" in log.read_text()
    train(options("elsewhere", steps=3), build)
    assert log.read_text().count("goes on elsewhere") == 1
    values = json.loads(file.read_text())
    values["continued"][-1]["made_by"]["cores"] += 7
    file.write_text(json.dumps(values))
    train(options("elsewhere", steps=3), build)  # of which there is nothing to do
    assert log.read_text().count("goes on elsewhere") == 1
    train(options("elsewhere", steps=4), build)
    assert log.read_text().count("goes on elsewhere") == 2


def test_a_run_from_before_accumulation_takes_it_up(options):
    """It may change in a run, so that the run is older than it is no reason not to."""
    train(options("old", steps=1, batch_size=32), build)
    file = Path(options("old").workdir) / "config.json"
    values = json.loads(file.read_text())
    del values["config"]["accumulate"]
    file.write_text(json.dumps(values))
    train(options("old", steps=2, batch_size=32, accumulate=4), build)
    (continued,) = json.loads(file.read_text())["continued"]
    assert continued["config"]["accumulate"] == 4


def test_parts_that_a_network_cannot_take_are_refused(options):
    def packs(cfg, shape, num_classes):
        G, D = models.mlp.Generator(shape, (4,)), models.mlp.Discriminator((4,))
        D = models.packed(models.flax_net("D", D), 16)
        G = models.flax_net("G", G)
        return recipes.gan(G, D, latent_dim=3, g_tx=ADAM, d_tx=ADAM)

    cfg = options("packs", batch_size=48, accumulate=2)
    says = (
        "accumulate 2 leaves 24 images a part: packed: 16 must divide the batch of 24"
    )
    with pytest.raises(UsageError, match=says):
        train(cfg, packs)
    assert not Path(cfg.workdir).exists()
