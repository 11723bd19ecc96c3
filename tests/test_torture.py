"""Real programs are killed, stopped, starved and damaged, and lose nothing.

A few of each kind are in `.ci/run` (slow); many, behind the marker `torture`, are run
by hand: README has the last figures.
"""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from test_faults import files_of, flip

ROOT = Path(__file__).parents[1]
OFTEN = "--steps=240 --batch-size=8 --log-every=7 --sample-every=40".split()
OFTEN += ["--checkpoint-every=15"]
RECIPES = {
    "gan": ("mlp_gan_mnist.py", "--g-hidden=8", "--d-hidden=8"),
    "n_critic": ("gan_mnist.py", "wgan_gp", "--g-width=2", "--d-width=2"),
    "pool": ("cyclegan.py", "--resize=16", "--width=2", "--blocks=1"),
    "pre-training": ("srgan.py", "--width=4", "--blocks=1", "--pretrain=100"),
    "members": ("mlp_gan_mnist.py", "--g-hidden=8", "--d-hidden=8", "--seeds=2"),
}


def command(name, workdir, *more):
    script, *options = RECIPES[name]
    code = (
        "import runpy, sys; sys.argv = sys.argv[1:]; "
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    where = f"--workdir={workdir}"
    return [
        *(sys.executable, "-c", code, str(ROOT / "experiments" / script)),
        *(*options, *OFTEN, where, *more),
    ]


def environment(**more):
    flags = [x for x in os.environ["XLA_FLAGS"].split() if "device_count" not in x]
    return os.environ | {"XLA_FLAGS": " ".join(flags)} | more


def begun(name, workdir, *more, **env):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    args = command(name, workdir, *more)
    return subprocess.Popen(args, env=environment(**env), **pipes)


def ran(name, workdir, *more, code=0):
    """A run to its end; what it said."""
    process = begun(name, workdir, *more)
    said = process.communicate(timeout=600)[0]
    assert process.returncode == code, said
    assert "Traceback" not in said, said
    return said


def left(workdir):
    """All that must be the same: the digests of the last state, metrics, samples."""
    newest = max(
        (p for p in (workdir / "checkpoints").iterdir() if p.name.isdigit()),
        key=lambda path: int(path.name),
    )
    saved = json.loads((newest / "_CHECKPOINT_METADATA").read_text())
    samples = {p.name: p.read_bytes() for p in (workdir / "samples").iterdir()}
    config = json.loads((workdir / "config.json").read_text())
    return {
        "step": newest.name,
        "state": saved["custom_metadata"],
        "metrics": (workdir / "metrics.jsonl").read_bytes(),
        "samples": samples,
        "config": config["config"] | {"workdir": None},
    }


def until(what, process, seconds=300):
    end = time.monotonic() + seconds
    while not what() and process.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.002)


def killed_often(name, folder, kills, seed):
    """Kills a run at random moments, then lets it end: how many it took, in what."""
    rng, met = random.Random(seed), {}
    whole, workdir = folder / "whole", folder / "killed"
    start = time.monotonic()
    ran(name, whole)
    seconds = time.monotonic() - start
    for k in range(3 * kills):
        if sum(met.values()) == kills:
            break
        process = begun(name, workdir)
        if k % 2:  # in what takes but a moment: a save, a commit, a line, a sample
            steps = workdir / "checkpoints"
            before = {*steps.glob("*")}
            seen = lambda: {*steps.glob("*")} - before  # noqa: E731, B023
            until(seen, process)
            time.sleep(rng.random() * 0.1)
        else:  # in imports, compilation, or steps
            time.sleep(rng.random() * seconds)
        tmp = [*(workdir / "checkpoints").glob("*tmp*")] if workdir.exists() else []
        when = "saving" if tmp else "elsewhere"
        process.kill()
        process.communicate()
        if process.returncode == -signal.SIGKILL:
            met[when] = met.get(when, 0) + 1
        if process.returncode == 0:  # it was done; begin anew
            assert left(workdir) == left(whole)
            shutil.rmtree(workdir)
    ran(name, workdir)
    assert left(workdir) == left(whole)
    return met


@pytest.mark.slow
def test_a_run_that_is_killed_five_times_is_the_run_that_was_not(tmp_path):
    assert sum(killed_often("gan", tmp_path, 5, 0).values()) == 5


@pytest.mark.torture
@pytest.mark.parametrize("name", RECIPES)
def test_fifty_kills_over_five_recipes(tmp_path, name):
    met = killed_often(name, tmp_path, 10, len(name))
    print(f"{name}: {met}")
    assert sum(met.values()) == 10


@pytest.mark.torture
@pytest.mark.parametrize("name", RECIPES)
def test_two_hundred_flips_and_each_file_damaged(tmp_path, name):
    whole, workdir = tmp_path / "whole", tmp_path / "run"
    ran(name, whole, "--steps=60")
    expected, found = left(whole), {"flips": 0, "set aside": 0}
    rng = np.random.default_rng(len(name))
    for _ in range(40):
        shutil.copytree(whole, workdir)
        files = files_of(workdir / "checkpoints" / "60")
        weights = [file.stat().st_size + 1 for file in files]
        file = files[rng.choice(len(files), p=[w / sum(weights) for w in weights])]
        if file.stat().st_size:
            flip(file, rng)
            found["flips"] += 1
        said = ran(name, workdir, "--steps=60")
        found["set aside"] += "called 60.damaged now" in said
        assert left(workdir)["state"]["digests"] == expected["state"]["digests"]
        assert left(workdir)["metrics"] == expected["metrics"]
        shutil.rmtree(workdir)
    print(f"{name}: {found}")


@pytest.mark.slow
@pytest.mark.parametrize("number", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_signal_ends_a_compilation_at_once_and_training_after_a_save(
    tmp_path, number
):
    sent = getattr(signal, number)
    workdir = tmp_path / "run"
    log = workdir / "log.txt"
    said = lambda text: log.exists() and text in log.read_text()  # noqa: E731
    process = begun(
        "gan", workdir, "--steps=10000000", JAX_COMPILATION_CACHE_DIR=str(tmp_path)
    )
    until(lambda: said("Compiling"), process)
    process.send_signal(sent)
    out = process.communicate(timeout=30)[0]
    assert process.returncode in (128 + sent, 130) and "Traceback" not in out, out
    assert not (workdir / "lock").exists()
    process = begun("gan", workdir, "--steps=10000000")
    until(lambda: said("Training from step"), process)
    time.sleep(0.5)
    process.send_signal(sent)
    out = process.communicate(timeout=30)[0]
    assert process.returncode == 130 and "Traceback" not in out, out
    assert "Stopped and saved at step" in out


@pytest.mark.slow
def test_a_run_that_stood_still_goes_on(tmp_path):
    """SIGSTOP and SIGCONT; nobody else came in between."""
    ran("gan", tmp_path / "whole")
    process = begun("gan", tmp_path / "run")
    until(lambda: (tmp_path / "run" / "metrics.jsonl").exists(), process)
    process.send_signal(signal.SIGSTOP)
    time.sleep(2)
    process.send_signal(signal.SIGCONT)
    assert "Traceback" not in process.communicate(timeout=300)[0]
    assert process.returncode == 0
    assert left(tmp_path / "run") == left(tmp_path / "whole")


@pytest.mark.slow
def test_a_second_writer_is_refused_while_the_first_goes_on(tmp_path):
    ran("gan", tmp_path / "whole")
    first = begun("gan", tmp_path / "run")
    until(lambda: (tmp_path / "run" / "lock").exists(), first)
    others = [begun("gan", tmp_path / "run") for _ in range(2)]
    for other in others:
        said = other.communicate(timeout=300)[0]
        if other.returncode != 0:  # else it came when the first was done
            assert other.returncode == 2 and "is being written by process" in said
            assert "Traceback" not in said
    assert "Done." in first.communicate(timeout=300)[0]
    assert left(tmp_path / "run") == left(tmp_path / "whole")
    assert not (tmp_path / "run" / "lock").exists()


@pytest.mark.slow
@pytest.mark.parametrize("sent", ["SIGSEGV", "SIGABRT"])
def test_a_crash_loses_no_more_than_a_kill(tmp_path, sent):
    ran("gan", tmp_path / "whole")
    process = begun("gan", tmp_path / "run")
    until(lambda: [*(tmp_path / "run").glob("checkpoints/*/default")], process)
    process.send_signal(getattr(signal, sent))
    process.communicate(timeout=60)
    assert "which is gone; taking over" in ran("gan", tmp_path / "run")
    assert left(tmp_path / "run") == left(tmp_path / "whole")


@pytest.mark.slow
def test_a_workdir_that_is_removed_ends_the_run_in_a_sentence(tmp_path):
    process = begun("gan", tmp_path / "run", "--steps=10000000")
    until(lambda: (tmp_path / "run" / "metrics.jsonl").exists(), process)
    shutil.rmtree(tmp_path / "run", ignore_errors=True)
    said = process.communicate(timeout=120)[0]
    assert process.returncode in (1, 2), said
    assert "Traceback" not in said
    last = said.strip().splitlines()[-1]
    assert "was removed" in last or last.startswith("Stopped: "), said


def mounted(folder, size):
    folder.mkdir(exist_ok=True)
    args = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(args, capture_output=True).returncode:
        pytest.skip("needs the right to mount")


@pytest.mark.torture
@pytest.mark.parametrize("size", ["6m", "2m", "1m", "400k", "100k", "30k", "8k"])
def test_a_full_disk_gets_one_sentence_and_the_run_goes_on_after(tmp_path, size):
    disk = tmp_path / "disk"
    mounted(disk, size)
    try:
        more = "--keep=1000", "--checkpoint-every=3"
        process = begun("gan", disk / "run", *more)
        said = process.communicate(timeout=300)[0]
        assert process.returncode in (1, 2), said
        assert "Traceback" not in said
        assert "No space left on device" in said.strip().splitlines()[-1]
        remount = ["mount", "-o", "remount,size=200m", str(disk)]
        subprocess.run(remount, check=True)
        ran("gan", disk / "run", *more)
        ran("gan", tmp_path / "whole", *more)
        found, expected = left(disk / "run"), left(tmp_path / "whole")
        assert found["state"] == expected["state"]
        assert found["metrics"] == expected["metrics"]
        assert found["samples"] == expected["samples"]
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.torture
def test_a_disk_that_becomes_read_only_gets_one_sentence(tmp_path):
    disk = tmp_path / "disk"
    mounted(disk, "200m")
    try:
        process = begun("gan", disk / "run", "--steps=10000000")
        until(lambda: (disk / "run" / "metrics.jsonl").exists(), process)
        args = ["mount", "-o", "remount,ro", str(disk)]
        if subprocess.run(args, capture_output=True).returncode:
            process.kill()
            process.communicate()
            pytest.skip("a disk with open files does not become read-only here")
        said = process.communicate(timeout=120)[0]
        assert process.returncode in (1, 2) and "Traceback" not in said
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.torture
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")
@pytest.mark.parametrize("name", RECIPES)
def test_ten_thousand_steps_need_no_more_memory_and_no_compilation(tmp_path, name):
    every = "--log-every=100", "--sample-every=500", "--checkpoint-every=500"
    args = command(name, tmp_path / "run", "--steps=10000", *every)
    said, held = tmp_path / "said.txt", {}
    with said.open("w") as out:
        env = environment(JAX_LOG_COMPILES="1")
        process = subprocess.Popen(args, env=env, stdout=out, stderr=out)
        while process.poll() is None:
            time.sleep(0.2)
            try:
                pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
                last = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1]
                held[json.loads(last)["step"]] = pages * 4096 / 1e6
            except (OSError, ValueError, IndexError):  # not yet, or amid a line
                continue
    text = said.read_text()
    assert process.returncode == 0, text
    after = text[text.index("Training from step") :]
    half = [mb for step, mb in held.items() if 4000 <= step <= 6000]
    end = [mb for step, mb in held.items() if step >= 9000]
    print(f"{name}: {max(half):.0f} MB at the half, {max(end):.0f} MB at the end")
    assert max(end) < 1.02 * max(half) + 5
    assert not re.findall(r"Compiling (\S+)", after)
