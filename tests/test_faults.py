"""What a run survives: damage, kills between two writes, a second owner."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from tiny_runs import assert_same, build, go, rows

from jaxgan import parallel
from jaxgan.data import feed
from jaxgan.run import (
    atomic,
    best_state,
    checkpoint,
    hooks,
    load,
    lock,
    record,
    signals,
    train,
)
from jaxgan.run.config import Config
from jaxgan.run.images import save_png
from jaxgan.types import UsageError

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run of 7 steps with checkpoints of the steps 6 and 7; its options and state."""
    folder = tmp_path_factory.mktemp("faults")
    images = np.random.default_rng(0).integers(0, 256, (40, 28, 28, 1), np.uint8)
    np.savez(folder / "data.npz", images=images)
    every = {"log_every": 2, "sample_every": 4, "checkpoint_every": 3}
    data = f"npz:{folder / 'data.npz'}"
    cfg = Config(data, workdir=str(folder / "run"), steps=7, batch_size=8, **every)
    return cfg, go(cfg)


def copied(whole, folder):
    """The same run in another folder."""
    shutil.copytree(whole[0].workdir, folder)
    return Config(**{**vars(whole[0]), "workdir": str(folder)})


def files_of(folder):
    return sorted(file for file in Path(folder).rglob("*") if file.is_file())


def flip(file, rng):
    """Another bit in one byte."""
    data = bytearray(file.read_bytes())
    data[rng.integers(len(data))] ^= 1 << rng.integers(8)
    file.write_bytes(data)


def harm(step, template):
    """Flips bits until one matters: some files are left over, or have gaps."""
    rng = np.random.default_rng(0)
    while True:
        flip(rng.choice(files_of(step / "default")), rng)
        with checkpoint.reader(step.parent) as saved:
            if checkpoint.damage(saved, int(step.name), template):
                return


def is_same_again(cfg, whole):
    """The run ends as it did, and its last step is there again."""
    assert_same(go(cfg), whole[1])
    assert 7 in checkpoint.steps(Path(cfg.workdir) / "checkpoints")
    with checkpoint.reader(Path(cfg.workdir) / "checkpoints") as saved:
        assert checkpoint.damage(saved, 7, whole[1]) is None


@pytest.mark.parametrize("seed", range(20))
def test_a_flipped_bit_is_never_believed(whole, tmp_path, seed):
    cfg, rng = copied(whole, tmp_path / "run"), np.random.default_rng(seed)
    files = files_of(tmp_path / "run" / "checkpoints" / "7")
    weights = [file.stat().st_size for file in files]
    file = files[rng.choice(len(files), p=np.divide(weights, sum(weights)))]
    flip(file, rng)
    is_same_again(cfg, whole)


def test_any_file_of_the_newest_step_may_be_cut_emptied_or_gone(whole, tmp_path):
    names = [
        file.relative_to(whole[0].workdir)
        for file in files_of(Path(whole[0].workdir) / "checkpoints" / "7")
    ]
    assert len(names) > 5
    for name in names:
        for k, harm in enumerate((_cut, _emptied, Path.unlink)):
            folder = tmp_path / f"{name.name}-{k}"
            cfg = copied(whole, folder)
            harm(folder / name)
            is_same_again(cfg, whole)
            shutil.rmtree(folder)


def _cut(file):
    os.truncate(file, file.stat().st_size // 2)


def _emptied(file):
    os.truncate(file, 0)


@pytest.mark.parametrize("harm", ["cut", "emptied", "gone", "renamed key"])
def test_a_checkpoint_without_its_digests_is_not_believed(options, tmp_path, harm):
    """In mid-run, where its metrics matter, too."""
    changes = {"steps": 12, "log_every": 4, "checkpoint_every": 3}
    expected = go(options("whole", **changes))
    cfg = options("run", **changes)
    _killed_after(cfg, 6)
    file = Path(cfg.workdir) / "checkpoints" / "6" / "_CHECKPOINT_METADATA"
    if harm == "renamed key":
        file.write_text(file.read_text().replace("custom_metadata", "custom_metadatb"))
    else:
        {"cut": _cut, "emptied": _emptied, "gone": Path.unlink}[harm](file)
    assert_same(go(cfg), expected)
    assert (file.parent.parent / "6.damaged").is_dir()
    whole = tmp_path / "whole" / "metrics.jsonl"
    assert (Path(cfg.workdir) / "metrics.jsonl").read_bytes() == whole.read_bytes()


def test_a_damaged_step_is_named_set_aside_and_saved_again(whole, tmp_path, capsys):
    cfg = copied(whole, tmp_path / "run")
    newest = tmp_path / "run" / "checkpoints" / "7"
    harm(newest, whole[1])
    (loaded,) = load(cfg.workdir, Config, build)  # looking at it moves nothing
    assert int(loaded.state.step) == 6 and newest.is_dir()
    assert "Checkpoint 7 is damaged (" in capsys.readouterr().out
    is_same_again(cfg, whole)
    said = capsys.readouterr().err
    assert "Checkpoint 7 is damaged (" in said and "called 7.damaged now; 6 is" in said
    assert (newest.parent / "7.damaged").is_dir()
    assert "Traceback" not in said and said.count("damaged (") == 1
    go(cfg)
    assert "All 7 steps are done" in capsys.readouterr().err  # nothing is retrained
    harm(newest, whole[1])
    is_same_again(cfg, whole)
    assert (newest.parent / "7.damaged.1").is_dir()


def test_a_newest_step_without_its_state_hides_no_older_one(whole, tmp_path):
    cfg = copied(whole, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "7" / "default")
    is_same_again(cfg, whole)


def test_where_nothing_can_be_read_all_stays_where_it_is(whole, tmp_path, capsys):
    cfg = copied(whole, tmp_path / "run")
    for step in (6, 7):
        shutil.rmtree(tmp_path / "run" / "checkpoints" / str(step) / "default")
    with pytest.raises(UsageError, match="holds no checkpoint that can be read"):
        go(cfg)
    assert checkpoint.steps(tmp_path / "run" / "checkpoints") == [6, 7]
    assert capsys.readouterr().err.count("is damaged (") == 2


def test_the_state_of_another_step_or_of_a_newer_jaxgan_is_refused(whole, tmp_path):
    folder = tmp_path / "run" / "checkpoints"
    cfg = copied(whole, tmp_path / "run")
    shutil.rmtree(folder / "7")
    shutil.copytree(folder / "6", folder / "7")
    is_same_again(cfg, whole)
    assert (folder / "7.damaged").is_dir()
    for file in folder.glob("*/_CHECKPOINT_METADATA"):
        file.write_text(file.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(UsageError, match="of a newer jaxgan; update jaxgan"):
        go(cfg)
    assert checkpoint.steps(folder) == [6, 7]


def test_a_checkpoint_for_which_there_is_no_memory_is_not_damaged(
    whole, tmp_path, monkeypatch
):
    cfg = copied(whole, tmp_path / "run")

    def restore(self, step, **options):
        raise MemoryError

    monkeypatch.setattr(checkpoint.ocp.CheckpointManager, "restore", restore)
    with pytest.raises(UsageError, match="needs more memory than there is"):
        go(cfg)
    assert checkpoint.steps(tmp_path / "run" / "checkpoints") == [6, 7]


def test_states_of_other_networks_get_one_sentence(whole, tmp_path, capfd):
    cfg = copied(whole, tmp_path / "run")

    def wider(cfg, shape, num_classes):
        return build(cfg, (28, 28, 3), num_classes)

    with pytest.raises(UsageError, match="states of other networks or optimizers than"):
        train(cfg, wider, "test")
    assert "Traceback" not in (said := capfd.readouterr().err) and len(said) < 1000
    assert checkpoint.steps(tmp_path / "run" / "checkpoints") == [6, 7]


def test_a_damaged_best_state_is_found_anew(options, tmp_path, capsys):
    images = np.random.default_rng(0).integers(0, 256, (200, 28, 28, 1), np.uint8)
    np.savez(tmp_path / "more.npz", images=images)
    changes = {"data": f"npz:{tmp_path / 'more.npz'}"}
    changes |= {"evaluate_every": 2, "evaluate_num": 100, "evaluate_metrics": ("kid",)}
    cfg = options("run", steps=4, **changes)
    state = go(cfg)
    best = best_state.folder(Path(cfg.workdir))
    step = best_state.known(best).step
    harm(best / str(step), state)
    go(options("run", steps=6, **changes))
    assert f"The best state, of step {step}, is damaged (" in capsys.readouterr().err
    assert best_state.known(best).step == 6
    assert (best / f"{step}.damaged").is_dir()
    (loaded,) = load(cfg.workdir, Config, build, best=True)
    assert int(loaded.state.step) == 6
    shutil.rmtree(best / "6")
    go(options("run", steps=8, **changes))
    assert "of step 6, is not there" in capsys.readouterr().err


def test_metrics_of_a_continued_run_are_the_same_to_the_byte(options, tmp_path):
    """Also between two lines, where the checkpoint falls into the middle of a mean."""
    changes = {"steps": 24, "log_every": 10, "checkpoint_every": 7, "sample_every": 9}
    go(options("whole", **changes))
    expected = (tmp_path / "whole" / "metrics.jsonl").read_bytes()
    assert expected.count(b"\n") == 3
    for step in (7, 14, 21):
        half = options(f"half{step}", **changes)
        _killed_after(half, step)
        go(half)
        assert (Path(half.workdir) / "metrics.jsonl").read_bytes() == expected


def _killed_after(cfg, step):
    """What a run leaves that is killed behind the checkpoint of a step."""
    old = checkpoint.save

    def save(saved, state, window=None):
        old(saved, state, window)
        if int(state.step) == step:
            saved.wait_until_finished()
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "save", save)
        with pytest.raises(KeyboardInterrupt):
            go(cfg)


def test_damaged_lines_of_metrics_are_kept_aside(options, capsys):
    cfg = options("run", steps=6)
    go(cfg)
    file = Path(cfg.workdir) / "metrics.jsonl"
    good = file.read_bytes().splitlines(keepends=True)
    bad = [b"[1, 2]\n", b'{"loss": 1}\n', b"\xff\xfe\n", b"[" * 10**5 + b"\n", b"nul\n"]
    file.write_bytes(b"".join((good[0], *bad, *good[1:])) + b'{"step": 7, "d_lo')
    go(options("run", steps=8))
    assert "5 damaged lines were moved to metrics.jsonl.damaged" in (
        capsys.readouterr().err
    )
    assert [row["step"] for row in rows(cfg)] == [2, 4, 6, 8]
    assert file.with_name("metrics.jsonl.damaged").read_bytes() == b"".join(bad)


def test_a_kill_amid_rewriting_metrics_loses_no_line(tmp_path, monkeypatch):
    file = tmp_path / "metrics.jsonl"
    file.write_text("".join(json.dumps({"step": k}) + "\n" for k in range(9)))
    before = file.read_bytes()

    def killed(self, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        record.jsonl(file, 4)
    assert file.read_bytes() == before


def test_what_a_killed_process_left_half_written_is_removed(whole, tmp_path):
    cfg = copied(whole, tmp_path / "run")
    halves = [tmp_path / "run" / name for name in ("best.json", "samples/000004.png")]
    halves = [file.with_name(f"{file.name}.77{atomic.PARTIAL}") for file in halves]
    for file in halves:
        file.write_bytes(b"half")
    go(cfg)
    assert not any(file.exists() for file in halves)


@pytest.mark.parametrize("kind", ["text", "png", "link"])
def test_a_file_is_whole_or_as_it_was(tmp_path, kind, monkeypatch):
    file, other = tmp_path / "file", tmp_path / "other"
    other.write_text("other")
    if kind == "link":
        file.symlink_to(other)
    else:
        file.write_text("old")

    def write():
        if kind == "png":
            save_png(file, np.zeros((4, 4, 3), np.uint8))
        else:
            atomic.write_text(file, "new" * 1000)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", _full)
        with pytest.raises(OSError, match="No space left"):
            write()
    assert file.read_text() == ("other" if kind == "link" else "old")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "other"]
    write()
    assert not file.is_symlink() and file.stat().st_size > 60
    assert other.read_text() == "other"


def _full(number):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("name", [".", "/", "folder"])
def test_a_folder_is_not_replaced(tmp_path, monkeypatch, name):
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(IsADirectoryError):
        atomic.write_text(name, "text")
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


def test_what_is_no_file_is_written_to(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    found = []
    reader = threading.Thread(target=lambda: found.append(pipe.read_text()))
    reader.start()
    atomic.write_text(pipe, "text")
    reader.join(10)
    assert found == ["text"] and pipe.is_fifo()


# Signals.


def test_a_run_that_was_begun_with_nohup_does_not_heed_it():
    old = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals.stopping() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            time.sleep(0.05)
            assert not stop.asked()
            os.kill(os.getpid(), signal.SIGTERM)
            until = time.monotonic() + 10
            while not stop.asked() and time.monotonic() < until:
                time.sleep(0.01)
            assert stop.asked()
    finally:
        signal.signal(signal.SIGHUP, old)


def test_another_loop_s_signals_stay_its_own():
    read, write = os.pipe()
    os.set_blocking(write, False)
    old = signal.set_wakeup_fd(write)
    try:
        with signals.ending_early(lambda: None):
            assert signal.set_wakeup_fd(write) == write
        assert signal.set_wakeup_fd(write) == write
    finally:
        signal.set_wakeup_fd(old)
        os.close(read)
        os.close(write)


# One owner.


def test_what_a_kill_leaves_of_a_lock_keeps_nobody_out(options):
    cfg = options("run")
    folder = Path(cfg.workdir)
    folder.mkdir()
    left = [folder / f"lock.0{atomic.PARTIAL}", folder / f"tmpx{atomic.PARTIAL}"]
    for file in left:
        file.write_text("")
    go(cfg)
    assert not any(file.exists() for file in left)


def test_a_lock_that_cannot_be_read_for_a_while_ends_no_run(tmp_path, monkeypatch):
    def broken(file):
        raise OSError(5, "Input/output error")

    with lock.owned(tmp_path, print) as still:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(lock.outside, "read_json", broken)
            still()
            patch.setattr(lock, "DEAD", 0.0)
            with pytest.raises(UsageError, match="taken over by another run"):
                still()
        still()


def test_a_second_run_is_refused_in_one_sentence(whole, tmp_path):
    cfg = copied(whole, tmp_path / "run")
    code = (
        "import sys, time, pathlib\n"
        "from jaxgan.run import lock\n"
        "with lock.owned(pathlib.Path(sys.argv[1]), print):\n"
        "    print('owns', flush=True); time.sleep(600)"
    )
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    args = [sys.executable, "-c", code, cfg.workdir]
    with subprocess.Popen(args, stdout=subprocess.PIPE, env=env, text=True) as other:
        assert other.stdout.readline() == "owns\n"
        before = {f: f.read_bytes() for f in files_of(cfg.workdir)}
        with pytest.raises(UsageError, match=f"being written by process {other.pid}"):
            go(cfg)
        assert before == {f: f.read_bytes() for f in files_of(cfg.workdir)}
        other.kill()
    is_same_again(cfg, whole)  # a killed owner is known to be gone
    assert not (tmp_path / "run" / "lock").exists()


def test_of_two_threads_one_owns(tmp_path):
    with lock.owned(tmp_path, print):
        with pytest.raises(UsageError, match="gave a sign of life 0 seconds ago"):
            lock.owned(tmp_path, print).__enter__()
        assert (tmp_path / "lock").is_file()
    assert not list(tmp_path.iterdir())


def left(folder, **changes):
    """A lock of an owner that is not here."""
    with lock.owned(folder, print):
        owner = json.loads((folder / "lock").read_text())
    (folder / "lock").write_text(json.dumps(owner | changes))


def aged(folder, seconds):
    now = time.time()
    os.utime(folder / "lock", (now - seconds, now - seconds))


def test_an_owner_without_a_sign_of_life_is_dead_on_whatever_host(tmp_path):
    said = []
    left(tmp_path, host="elsewhere", namespace="another", pid=1)
    for seconds in (0, 299 - 10):
        aged(tmp_path, seconds)
        with pytest.raises(UsageError, match="process 1 on elsewhere"):
            lock.owned(tmp_path, said.append).__enter__()
    aged(tmp_path, 301)
    with lock.owned(tmp_path, said.append):
        pass
    assert len(said) == 1
    assert "by process 1 on elsewhere, which gave no sign of life for 301" in said[0]


@pytest.mark.parametrize("changes", [{"pid": 2**22 + 1}, {"started": "1"}])
def test_a_process_of_this_machine_that_is_gone_is_dead_at_once(tmp_path, changes):
    """Also where another process has its number now."""
    said = []
    left(tmp_path, **changes)
    with lock.owned(tmp_path, said.append):
        pass
    assert "which is gone; taking over" in said[0]


def test_a_clock_that_was_set_back_keeps_no_dead_owner_alive(tmp_path):
    left(tmp_path, host="elsewhere", namespace="another")
    aged(tmp_path, -3600)
    with lock.owned(tmp_path, print):
        pass


def test_a_lock_that_cannot_be_read_is_dead_in_time(tmp_path):
    (tmp_path / "lock").write_text("{")
    with pytest.raises(UsageError, match="is being written by another run"):
        lock.owned(tmp_path, print).__enter__()
    aged(tmp_path, 301)
    with lock.owned(tmp_path, print):
        pass


def test_of_many_that_see_a_dead_owner_one_takes_over(tmp_path):
    left(tmp_path, host="elsewhere", namespace="another")
    aged(tmp_path, 1000)
    code = (
        "import sys, time, pathlib\n"
        "from jaxgan.run import lock\n"
        "from jaxgan.types import UsageError\n"
        "input()\n"
        "try:\n"
        "    with lock.owned(pathlib.Path(sys.argv[1]), lambda text: None):\n"
        "        print('owns', flush=True); input()\n"
        "except UsageError: print('refused', flush=True); input()\n"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    args = [sys.executable, "-c", code, str(tmp_path)]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    several = [subprocess.Popen(args, env=env, **pipes) for _ in range(4)]
    for one in several:
        one.stdin.write("go\n")
        one.stdin.flush()
    said = sorted(one.stdout.readline().strip() for one in several)
    for one in several:
        one.communicate("go\n")
    assert said == ["owns", "refused", "refused", "refused"]


def test_signs_of_life_are_given_and_a_lost_place_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "BEAT", 0.05)
    with lock.owned(tmp_path, print) as still:
        aged(tmp_path, 1000)
        until = time.monotonic() + 20
        while time.time() - (tmp_path / "lock").stat().st_mtime > 100:
            assert time.monotonic() < until
            time.sleep(0.05)
        still()
        (tmp_path / "lock").unlink()
        with pytest.raises(UsageError, match="was removed, or its lock, while this"):
            still()
        (tmp_path / "lock").write_text(json.dumps({"pid": 7, "host": "elsewhere"}))
        with pytest.raises(UsageError, match="taken over by process 7 on elsewhere"):
            still()
    assert json.loads((tmp_path / "lock").read_text())["pid"] == 7  # theirs stays


def test_a_run_whose_place_was_taken_writes_no_more(options, monkeypatch):
    cfg, old = options("run"), checkpoint.save

    def save(saved, state, window=None):
        old(saved, state, window)
        file = Path(cfg.workdir) / "lock"
        file.write_text(json.dumps({"pid": 7, "host": "elsewhere"}))

    monkeypatch.setattr(checkpoint, "save", save)
    with pytest.raises(UsageError, match="taken over by process 7 on elsewhere"):
        go(cfg)
    assert checkpoint.steps(Path(cfg.workdir) / "checkpoints") == [3]


# --- errors amid a run: of a hook, of the thread that feeds it, of a step


class Boom(Exception):
    pass


def _at(step, error=Boom):
    """Raises once it is called at a step, or later."""

    def called(now):
        if now >= step:
            raise error("boom")

    return called


def in_a_hook(monkeypatch):
    old = hooks.save_png

    def save(path, *picture):
        _at(12)(int(path.stem))
        old(path, *picture)

    monkeypatch.setattr(hooks, "save_png", save)
    return Boom, build


def in_the_feed_s_thread(monkeypatch):
    monkeypatch.setattr(feed, "budget", lambda mesh: 0)
    old = feed.indices
    threads = set()

    def indices(seed, step, *sizes, **options):
        threads.add(threading.current_thread().name)
        _at(2 * feed.AHEAD)(step)
        return old(seed, step, *sizes, **options)

    monkeypatch.setattr(feed, "indices", indices)
    return Boom, build


def in_a_callback(monkeypatch):
    return Exception, stepping(lambda step: _at(12)(step))


def out_of_memory(monkeypatch):
    return Exception, stepping(lambda step: _at(12, MemoryError)(step))


def stepping(called):
    """`build`, whose steps call back a function of their number on the host."""

    def make(*args):
        model = build(*args)

        def step(state, batch, key):
            def back(step):
                called(int(step))
                return np.int32(0)

            seen = jax.pure_callback(
                back, jax.ShapeDtypeStruct((), "int32"), state.step
            )
            new, metrics = model.step(state, batch, key)
            return new._replace(step=new.step + seen), metrics

        return model._replace(step=step)

    return make


@pytest.mark.parametrize(
    "fault", [in_a_hook, in_the_feed_s_thread, in_a_callback, out_of_memory]
)
def test_an_error_amid_a_run_costs_no_more_than_a_kill(options, fault, monkeypatch):
    every = {"steps": 2 * feed.AHEAD + 8, "checkpoint_every": 5, "log_every": 7}
    one = parallel.devices("cpu")[:1]  # of several, XLA ends the process at an error
    monkeypatch.setattr(parallel, "devices", lambda platform: one)
    with pytest.MonkeyPatch.context() as patch:
        error, make = fault(patch)
        with pytest.raises(error, match="boom"):
            go(options("run", **every), make)
    folder = Path(options("run").workdir)
    assert not (folder / "lock").exists()
    assert max(checkpoint.steps(folder / "checkpoints")) >= 10
    with pytest.MonkeyPatch.context() as patch:
        if fault is in_the_feed_s_thread:
            patch.setattr(feed, "budget", lambda mesh: 0)
        make = build if make is build else stepping(lambda step: None)
        state = go(options("run", **every), make)
        assert_same(state, go(options("whole", **every), make))
    for name in ("metrics.jsonl", "samples/000012.png"):
        whole = Path(options("whole").workdir) / name
        assert (folder / name).read_bytes() == whole.read_bytes()
