"""`reproduce.py`: its commands are there, runs are kept, and tables say so."""
# ruff: noqa: E402

import importlib
import json
import runpy
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
import tyro
from PIL import Image

from jaxgan.run import cli, config
from jaxgan.types import UsageError

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
sys.path.append(str(EXPERIMENTS))

import reproduce
from reproduction import pictures, readings, runs, tables
from reproduction.entries import Figure
from reproduction.figures import FIGURES
from reproduction.tables import Cell, first

VERSIONS = {
    "jaxgan": "0.3.0",
    "jax": "0.10",
    "flax": "0.12",
    "optax": "0.2",
    "numpy": "2",
    "python": "3.11",
    "commit": "0123456789+changes",
}
MACHINE = {"cpu": "EPYC", "cores": 2, "system": "Linux"}


class Parsed(Exception):
    """A command line was understood; nothing else is done."""


@pytest.fixture
def parsed(monkeypatch):
    """`parse(script, *args) -> options or None`, by the experiment's own parser."""
    trained: list = []

    def keep(options, build, name, **lists):
        trained.append((options, build))

    def stop(*args, **options):
        raise Parsed

    monkeypatch.setattr(cli, "_cache_compilations", lambda: None)
    monkeypatch.setattr(cli, "train", keep)
    monkeypatch.setattr(cli, "load", stop)

    def parse(script, *args):
        monkeypatch.setattr(sys, "argv", [script, *args])
        if script == "mixture_2d.py":
            module = importlib.import_module("mixture_2d")
            return tyro.cli(module.Options, args=args), None
        trained.clear()
        try:
            runpy.run_path(str(EXPERIMENTS / script), run_name="__main__")
        except Parsed:
            return None
        return trained[0]

    return parse


@pytest.mark.slow
def test_every_command_is_one_that_there_is(parsed):
    """Options that were renamed, or no longer go together, are noticed here."""
    understood = {}
    for name, figure in FIGURES.items():
        for seeds in figure.groups:
            train, *after = runs.arguments(figure, Path("runs") / name, seeds)
            for args in (train, *after):
                if (line := shlex.join(args)) not in understood:
                    understood[line] = parsed(*args)
            options, build = understood[shlex.join(train)]
            assert all(understood[shlex.join(args)] is None for args in after)
            if build is None:
                assert options.seeds == len(seeds) and options.out == f"runs/{name}"
                continue
            assert options.seed == seeds[0] and options.workdir == f"runs/{name}"
            config.check(options)
            shape = (28, 28, 1) if options.data == "mnist" else (32, 32, 3)
            build(options, shape, 10)


def test_the_parser_of_this_test_refuses_what_there_is_not(parsed, capsys):
    with pytest.raises(SystemExit):
        parsed("dcgan_mnist.py", "--width-of-g", "3")
    with pytest.raises(SystemExit):
        parsed("dcgan_mnist.py", "evaluate", "--nom", "3", "--workdir", "x")
    assert "nom" in capsys.readouterr().err


def test_every_cell_has_a_place_and_every_picture_its_figures():
    for figure in FIGURES.values():
        assert figure.cells
        for cell in figure.cells:
            table = tables.TABLES[cell.table]
            assert cell.column in table.columns
            assert len(cell.row) == len(table.heads)
    for name, parts in pictures.PICTURES.items():
        assert pictures.place(name, EXPERIMENTS / "pictures").exists()
        for part in parts:
            assert 0 in FIGURES[part.figure].seeds
    there = {file.stem for file in (EXPERIMENTS / "pictures").iterdir()}
    assert there == set(pictures.PICTURES)


def test_names_are_figures_tables_or_all():
    assert [*reproduce.chosen(("all",))] == [*FIGURES]
    assert [*reproduce.chosen(("numbers",))] == ["dcgan_mnist"]
    assert [*reproduce.chosen(("spade", "inpaint"))] == ["inpaint", "spade"]
    with pytest.raises(
        UsageError, match=r"no figure 'dcgam'; there are all, .*spade\."
    ):
        reproduce.chosen(("dcgam",))
    with pytest.raises(UsageError, match="Give names of figures, or all"):
        reproduce.main(reproduce.Options())
    with pytest.raises(UsageError, match="--seeds 7 are of none of dcgan_mnist"):
        reproduce.main(reproduce.Options(names=("dcgan_mnist",), seeds=(7,)))


def test_from_the_shell(tmp_path, monkeypatch, capsys):
    def typed(*args):
        args = "reproduce.py", *args, "--workdir", str(tmp_path)
        monkeypatch.setattr(sys, "argv", [*args])
        with pytest.raises(SystemExit) as stopped:
            runpy.run_path(str(EXPERIMENTS / "reproduce.py"), run_name="__main__")
        return stopped.value.code, *capsys.readouterr()

    code, out, _ = typed("--list", "spade", "zoo")
    assert code == 0 and len(out.splitlines()) == 1 + 18 + 1
    code, out, _ = typed("--tables", "mixtures")
    assert code == 0 and out.endswith("(0 of 6 runs are on file.)\n")
    code, out, err = typed("dcgam")
    assert code == 2 and not out and len(err.splitlines()) == 1


# --- a figure of a stub, from the command to the table

STUB = """
import argparse, json, pathlib, sys
parser = argparse.ArgumentParser()
parser.add_argument("command", nargs="?")
for name in ("--seed", "--num"):
    parser.add_argument(name, type=int)
parser.add_argument("--workdir", type=pathlib.Path)
given = parser.parse_args()
folder = given.workdir
with (folder.parent.parent.parent / "calls.txt").open("a") as calls:
    print(*sys.argv[1:], file=calls)
if given.command is None:
    began = folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "seed").write_text(str(given.seed))
    if given.seed == 1 and not began:
        sys.exit(130)  # as a training that was stopped
    lines = [{"step": 50 * i, "images_per_s": 1000 * i} for i in (1, 2, 4)]
    (folder / "timings.jsonl").write_text("\\n".join(map(json.dumps, lines)))
    (folder / "config.json").write_text(json.dumps({"config": {"batch_size": 64}}))
    (folder / "log.txt").write_text("Compiled in 1.5 s. Training from step 0.\\n")
else:
    seed = int((folder / "seed").read_text())
    row = {"value": 1 + seed / 4, "error": 0.125, "floor": 0.02, "ceiling": None}
    share = {"value": 0.25, "error": None, "floor": 1.0, "ceiling": None}
    figures = {"metrics": {"fd": row, "share": share}}
    (folder / "evaluation.json").write_text(json.dumps(figures))
    print(f"Of {given.num} samples 97.5% are right.")
"""


def cells(row, *rest):
    cell = Cell("numbers", (row,), "seed 0", *rest)
    return cell, cell._replace(column="floor", text="{fd.floor:.2f}", join=first)


STUBBED = Figure(
    "stub.py",
    ("evaluate --num 5",),
    seeds=(0, 1),
    minutes=0.5,
    says=r"samples (?P<right>[\d.]+)% are",
    cells=(
        *cells("`fd`", "{fd:.2f} ± {fd.error:.3f}"),
        Cell("numbers", ("`fd`",), "ceiling", "{fd.ceiling:.2f}", " dB"),
        Cell("numbers", ("share",), "seed 0", "{share:.1%}", " %"),
        Cell("numbers", ("share",), "seed 0", "{step_ms:.0f}", " ms", tables.middle),
        Cell("numbers", ("share",), "seed 1", "{right:.1f}", " %", seeds=(1,)),
    ),
)


@pytest.fixture
def stub(tmp_path, monkeypatch):
    """`run(*names, **options) -> exit code`, of a table with one figure, and its
    calls so far."""
    (tmp_path / "stub.py").write_text(STUB)
    monkeypatch.setattr(reproduce, "FIGURES", {"stub": STUBBED})
    monkeypatch.setattr(runs.provenance, "made_by", lambda: VERSIONS)
    monkeypatch.setattr(runs.provenance, "machine", lambda: MACHINE)

    def run(*names, **options):
        workdir = str(tmp_path / "readme")
        asked = reproduce.Options(names=names, workdir=workdir, **options)
        return reproduce.main(asked, tmp_path)

    def calls():
        return (tmp_path / "calls.txt").read_text().splitlines()

    return run, calls


def test_a_figure_is_run_resumed_kept_and_shown(stub, tmp_path, capsys):
    run, calls = stub
    with pytest.raises(KeyboardInterrupt):
        run("stub")
    assert len(calls()) == 3  # seed 0 whole, seed 1 stopped while training
    assert run(list=True) == 0
    assert "1 of 2 runs" in capsys.readouterr().out
    assert run("stub") == 0
    assert len(calls()) == 5
    trained, evaluated = calls()[-2:]
    assert trained.startswith("--seed 1 --workdir") and trained == calls()[2]
    assert evaluated.startswith("evaluate --num 5 --workdir")
    assert run("stub") == 0 and len(calls()) == 5  # all is on file

    kept = json.loads((tmp_path / "readme" / "stub.json").read_text())
    whole, resumed = kept["runs"]
    assert [r["key"]["seeds"] for r in kept["runs"]] == [[0], [1]]
    assert [r["commands"][0]["parts"] for r in kept["runs"]] == [1, 2]
    assert resumed["commands"][0]["seconds"] > 0
    assert whole["commands"][0]["command"].startswith("python experiments/stub.py")
    assert whole["made_by"] == [VERSIONS] and whole["machine"] == MACHINE
    values = whole["values"]["0"]
    assert values["fd"] == {"value": 1, "error": 0.125, "floor": 0.02, "ceiling": None}
    assert values["step_ms"] == 32 and values["compile_seconds"] == 1.5
    assert values["right"] == 97.5 and values["evaluate_seconds"] > 0

    capsys.readouterr()
    assert run(tables=True) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:6] == [
        "### What the numbers mean",
        "",
        "| | seed 0 | seed 1 | seed 2 | floor | ceiling |",
        "|---|---|---|---|---|---|",
        "| `fd` | 1.00 ± 0.125, 1.25 ± 0.125 | | | 0.02 | |",
        "| share | 25.0, 25.0 %; 32 ms | 97.5 % | | | |",
    ]
    assert lines[7] == (
        f"({whole['date'][:10]}; jaxgan 0.3.0, jax 0.10, flax 0.12, optax 0.2, python "
        "3.11; commit 0123456+changes; on 2 × EPYC; 2 of 2 runs are on file.)"
    )


def test_again_begins_anew_and_other_commands_are_another_figure(
    stub, tmp_path, monkeypatch, capsys
):
    run, calls = stub
    assert run("stub", seeds=(0,)) == 0 and len(calls()) == 2
    old = tmp_path / "readme" / "stub" / "seed0" / "of before"
    old.touch()
    assert run("stub", seeds=(0,), again=True) == 0 and len(calls()) == 4
    assert not old.exists()
    old.touch()
    other = STUBBED._replace(after=("evaluate --num 7",))
    monkeypatch.setattr(reproduce, "FIGURES", {"stub": other})
    capsys.readouterr()
    assert run(tables=True) == 0
    assert "| `fd` | not measured | | | not measured |" in capsys.readouterr().out
    assert run("stub", seeds=(0,)) == 0 and len(calls()) == 6
    assert not old.exists()
    capsys.readouterr()
    assert run(tables=True) == 0
    assert "1.00 ± 0.125 (of seeds 0) |" in capsys.readouterr().out


def test_the_time_of_a_training_that_no_file_tells_of_is_not_known(stub, tmp_path):
    run, _ = stub
    (tmp_path / "readme" / "stub" / "seed0").mkdir(parents=True)
    assert run("stub", seeds=(0,)) == 0
    kept = json.loads((tmp_path / "readme" / "stub.json").read_text())
    assert kept["runs"][0]["values"]["0"]["train_seconds"] is None
    assert tables.shown("{train_seconds:.0f}", kept["runs"][0]["values"]["0"]) is None


def test_what_fails_is_said_and_the_others_are_run(stub, monkeypatch, capsys):
    run, calls = stub
    broken = STUBBED._replace(after=("evaluate --num none",))
    silent = STUBBED._replace(says="nothing")
    both = {"broken": broken, "silent": silent, "stub": STUBBED}
    monkeypatch.setattr(reproduce, "FIGURES", both)
    assert run("all", seeds=(0,)) == 1
    said = capsys.readouterr().err
    assert "evaluate --num none --workdir" in said and "ended with 2." in said
    assert "silent, seed 0: cannot be read: nothing printed is like nothing." in said
    assert calls()[-1].startswith("evaluate --num 5")
    assert run(list=True) == 0
    assert capsys.readouterr().out.count("1 of 2 runs") == 1
    for asked in ({"list": True, "again": True}, {"tables": True, "seeds": (0,)}):
        with pytest.raises(UsageError, match="run and draw nothing"):
            run(**asked)


def test_pictures_are_cut_from_runs(stub, tmp_path, monkeypatch, capsys):
    run, _ = stub
    parts = (
        pictures.Part("stub", "*.png", (0, 0, 99, 4)),
        pictures.Part("stub", "*.png"),
    )
    monkeypatch.setattr(pictures, "PICTURES", {"both": parts})
    assert run(pictures=True) == 0
    assert "both.png is not drawn: run stub first." in capsys.readouterr().out
    assert run("stub", seeds=(0,)) == 0
    for name, colour in (("1.png", "red"), ("2.png", "blue")):
        folder = tmp_path / "readme" / "stub" / "seed0"
        Image.new("RGB", (6, 8), colour).save(folder / name)
    assert not (tmp_path / "pictures").exists()
    assert run("stub", seeds=(0,), pictures=True) == 0
    with Image.open(tmp_path / "pictures" / "both.png") as image:
        pixels = np.asarray(image)
    assert pixels.shape == (8, 12 + pictures.GAP, 3)
    assert (pixels[:4, :6] == (0, 0, 255)).all()
    assert (pixels[4:, :6] == 255).all() and (pixels[:, 6:-6] == 255).all()


def test_the_class_asked_for_is_judged(tmp_path):
    from jaxgan import data

    rows = data.load("mnist", split="test").fetch(np.arange(0, 10000, 50))
    labels = rows["label"].copy()
    labels[:100] = (labels[:100] + 1) % 10
    np.savez(tmp_path / "asked.npz", images=rows["image"], labels=labels)
    found = readings.class_asked_for(tmp_path)["asked_for"]
    assert found == pytest.approx(0.5, abs=0.03)


def test_several_seeds_are_read_of_one_output():
    figure = FIGURES["mixture.ring.vanilla"]
    text = "".join(
        f"ring vanilla seed {seed}: modes {modes} of 8, high_quality 0.95{seed}, "
        "reverse_kl 0.123\n"
        for seed, modes in enumerate((6, 8, 7))
    )
    found = [readings.of_output(figure.says, text, seed) for seed in range(3)]
    assert [one["modes"] for one in found] == [6, 8, 7]
    assert found[2]["high_quality"] == 0.952
    with pytest.raises(ValueError, match="nothing printed"):
        readings.of_output(figure.says, text, 3)


def test_ways_to_join():
    assert tables.ranged(["0.98", "0.95", "0.96"]) == "0.95–0.98"
    assert tables.ranged(["0.95"]) == "0.95"
    assert tables.smallest(["7.6", "10.1"]) == "at least 7.6"
    assert tables.middle(["232", "99", "240"]) == "232"


def test_a_figure_says_what_made_it():
    made = runs.provenance.made_by()
    assert made.keys() >= VERSIONS.keys()
    assert made["python"] == ".".join(map(str, sys.version_info[:3]))
    assert runs.provenance.machine().keys() == MACHINE.keys()


def test_stages_stand_one_below_another_and_moving_pictures_are_copied(tmp_path):
    run = tmp_path / "run"
    (run / "samples").mkdir(parents=True)
    for k, step in enumerate((374, 1122, 1870, 2992)):
        sheet = Image.new("RGB", (540, 540), (60 * k, 0, 0))
        sheet.save(run / "samples" / f"{step:06d}.png")
    frames = [Image.new("L", (8, 8), 90 * k) for k in range(3)]
    frames[0].save(run / "digits.gif", save_all=True, append_images=frames[1:])
    folders = {"progan": run, "stylegan2.mnist": run}
    with Image.open(pictures.written("growing", folders, tmp_path)) as growing:
        assert growing.size == (540, 4 * 68)
        found = [growing.getpixel((5, 68 * k + 5))[0] for k in range(4)]
        assert found == [0, 60, 120, 180]
    with Image.open(pictures.written("interpolation", folders, tmp_path)) as moving:
        assert moving.format == "GIF" and moving.n_frames == 3
