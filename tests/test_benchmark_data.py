"""`benchmark_data.py`: the files, that both sides feed the same, turns and figures."""
# ruff: noqa: E402

import json
import multiprocessing
import os
import runpy
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxgan import data
from jaxgan.data import decoding, feed
from jaxgan.types import UsageError

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
sys.path.append(str(EXPERIMENTS))

import benchmark_data
from benchmarks import (
    feed_race,
    feed_report,
    image_files,
    jaxgan_feed,
    machine,
    shell,
)
from benchmarks.feed_turn import BATCH, Turn, timed

proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="Linux alone")


@pytest.fixture
def folder(tmp_path):
    """As many PNG files as a batch: all batches are the same, in other orders."""
    image_files.write(tmp_path / "png", "png", BATCH, 64)
    return tmp_path / "png"


@pytest.mark.parametrize("kind", image_files.KINDS)
@pytest.mark.parametrize("side", [64, 80])
def test_both_sides_feed_the_same_pixels(tmp_path, kind, side):
    torch_feed = pytest.importorskip("benchmarks.torch_feed")
    image_files.write(tmp_path / "files", kind, 5, side)
    for file in (tmp_path / "files").iterdir():
        with Image.open(file) as image:
            assert (image.format, image.size) == (kind.upper(), (side, side))
    resize = None if side == 64 else 64
    ours = data.load(f"folder:{tmp_path / 'files'}", resize=resize)
    theirs = torch_feed.Files(tmp_path / "files", resize)
    rows = data.scaled(ours.fetch(np.arange(5)))["image"]
    assert rows.shape == (5, 64, 64, 3) and len(theirs) == 5
    for row, tensor in zip(rows, theirs, strict=True):
        np.testing.assert_allclose(tensor.permute(1, 2, 0).numpy(), row, atol=1e-6)
    assert len({row.tobytes() for row in rows}) == 5


def test_every_way_of_jaxgan_brings_what_is_in_the_files(folder, monkeypatch):
    monkeypatch.setattr(feed, "AHEAD", 2)
    budget = decoding.MEMORY_BUDGET
    ways, close = jaxgan_feed.start(folder, None)
    assert budget == decoding.MEMORY_BUDGET
    every = np.arange(BATCH)
    mean = data.scaled(data.load(f"folder:{folder}").fetch(every))["image"].mean()
    turns = {way: run(3) for way, run in ways.items()}
    close()
    assert turns["load"].images == BATCH and turns["load"].mean is None
    for way, batches in (("streamed", 4), ("resident", 3)):
        assert turns[way].images == batches * BATCH
        assert turns[way].mean == pytest.approx(mean, abs=1e-4)
    assert list(turns) == [way for way, s in feed_race.WAYS.items() if s == "jaxgan"]


def test_ways_take_turns_of_their_own_length():
    log = []

    def ask(way, batches):
        log.append((way, batches))
        return Turn(64 * batches, batches * (0.1 if way == "loader" else 0.01), 1.0)

    sides = {"jaxgan": ask, "torch": ask}
    found = feed_race.race(sides, rounds=2)
    ways = [*feed_race.WAYS]
    assert log[:8] == [(way, 8) for way in ways for _ in range(2)]
    assert [way for way, _ in log[8:]] == ways + ways[::-1]
    assert {n for way, n in log[8:] if way == "loader"} == {15}
    assert {n for way, n in log[8:] if way != "loader"} == {150}
    assert {way: len(turns) for way, turns in found.items()} == dict.fromkeys(ways, 2)
    log.clear()
    feed_race.race(sides, rounds=1, batches=3)
    assert log == [(way, 3) for way in ways]


def test_figures_are_medians_over_rounds():
    turns = {
        "streamed": [Turn(200, 1.0, 1.5), Turn(100, 1.0, 1.0), Turn(900, 1.0, 2.0)],
        "loader": [Turn(100, 1.0, None), Turn(100, 1.0, None), Turn(300, 1.0, None)],
    }
    rows = feed_report.summary(turns)
    ours, theirs = rows["streamed"], rows["loader"]
    assert ours["images_per_second"] == 200 and ours["cores"] == 1.5
    assert ours["ratio_of_rounds"] == [2, 1, 3] and ours["ratio"] == 2
    assert ours["images_per_cpu_second"] == pytest.approx(200 / 1.5)
    assert theirs["cores"] is None and theirs["ratio"] == 1
    known = {"versions": {"jax": "1"}, "cores": 2, "images": 64, "side": 64}
    text = feed_report.table(known | {"kinds": {"png": rows}})
    assert "2.00x (1.00-3.00)" in text and "PNG of 64x64" in text
    assert text.splitlines()[-1].split()[-3:] == ["100", "-", "-"]


@proc
def test_cpu_seconds_of_a_worker_are_read_as_it_lives():
    own = time.process_time()
    assert machine._of_worker(os.getpid()) == pytest.approx(own, abs=0.5)
    turn = timed(lambda: (7, 0.5))
    assert (turn.images, turn.mean) == (7, 0.5) and turn.cpu >= 0


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({"images": 63}, "--images 63 must be 64 or more"),
        ({"side": 32}, "--side 32 must be 64 or more"),
        ({"rounds": 0}, "--rounds 0 must be 1 or more"),
        ({"batches": 0}, "--batches 0 must be 1 or more"),
    ],
)
def test_options_out_of_range_are_refused(wrong, said):
    with pytest.raises(UsageError, match=said):
        benchmark_data.benchmark(benchmark_data.Options(**wrong))


def test_without_pytorch_it_says_so_in_a_sentence(monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(sys, "argv", ["benchmark_data.py"])
    with pytest.raises(SystemExit, match="2"):
        shell.main(benchmark_data.Options, benchmark_data.benchmark, str)
    said = capsys.readouterr().err
    assert said == "PyTorch is not installed: pip install 'jaxgan[torch]'.\n"


def _children(pid):
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if stat.read_text().rpartition(")")[2].split()[1] == str(pid):
                yield int(stat.parent.name)
        except OSError:  # it ended meanwhile
            pass


@proc
@pytest.mark.slow
def test_workers_end_with_their_side(folder):
    pytest.importorskip("torch")
    with feed_race.launched(feed_race.torch, folder, None) as ask:
        assert ask("loader", 2).images == 2 * BATCH
        (side,) = multiprocessing.active_children()
        workers = [*_children(side.pid)]
        assert len(workers) >= 2
    assert not multiprocessing.active_children()
    for _ in range(100):
        if not any(Path(f"/proc/{pid}").exists() for pid in workers):
            break
        time.sleep(0.1)
    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]


@pytest.mark.slow
def test_a_short_race_from_the_shell(tmp_path, monkeypatch, capsys):
    """Of as many images as a batch has, every batch has the same mean."""
    pytest.importorskip("torch")
    options = ["--kinds", "png", "--images", "64", "--rounds", "1", "--batches", "1"]
    out = tmp_path / "fed.json"
    monkeypatch.setattr(
        sys, "argv", ["benchmark_data.py", *options, "--json", f"{out}"]
    )
    runpy.run_path(str(EXPERIMENTS / "benchmark_data.py"), run_name="__main__")
    assert "DataLoader of 2 workers" in capsys.readouterr().out
    rows = json.loads(out.read_text())["kinds"]["png"]
    assert all(row["images_per_second"] > 0 for row in rows.values())
    mean = rows["loader"]["mean_of_pixels"]
    assert rows["streamed"]["mean_of_pixels"] == pytest.approx(mean, abs=1e-4)
    assert rows["resident"]["mean_of_pixels"] == pytest.approx(mean, abs=1e-4)
    assert not multiprocessing.active_children()
