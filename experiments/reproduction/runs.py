"""Figures' commands, run as a user types them, and the file that is kept of each.

A run is the commands of one seed, or of all seeds of a figure that trains them
together. What is on file is known by commands and seed alone. The file is written after
every command, so that what was interrupted goes on: jaxgan continues a training by the
same command.
"""

import datetime
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from reproduction import provenance, readings

INTERRUPTED = 130
"""The exit code of an experiment that was stopped, and saved."""


class Failed(Exception):
    """A command failed; its text says which."""


class Place(NamedTuple):
    """Where things are."""

    root: Path
    """Below it are runs, NAME/seed0, and what is kept of them, NAME.json."""
    experiments: Path
    """The folder of the experiments."""

    def file(self, name: str) -> Path:
        return self.root / f"{name}.json"

    def folder(self, name: str, seeds: tuple[int, ...]) -> Path:
        """Of a run."""
        return self.root / name / f"seed{'-'.join(map(str, seeds))}"


def key(figure, seeds: tuple[int, ...]) -> dict:
    """What a run on file is known by."""
    return {"train": figure.train, "after": [*figure.after], "seeds": [*seeds]}


def on_file(place: Place, name: str, figure) -> list[dict]:
    """The runs that are done, of the figure's commands as they are now."""
    found = _read(place, name)
    wanted = [key(figure, seeds) for seeds in figure.groups]
    return [run for run in found if run["key"] in wanted and run["done"]]


def measure(place: Place, name: str, figure, seeds, again: bool = False) -> None:
    """Runs what is not on file of one run.

    Args:
        place: where.
        name: of the figure.
        figure: its commands.
        seeds: of the run, one of `figure.groups`.
        again: begin anew.

    Raises:
        Failed: a command failed, or says nothing of what should be read.
        KeyboardInterrupt: it was stopped; the same goes on.
    """
    folder = place.folder(name, seeds)
    run = next((r for r in _read(place, name) if r["key"]["seeds"] == [*seeds]), None)
    if again or (run and run["key"] != key(figure, seeds)):
        run = None
        shutil.rmtree(folder, ignore_errors=True)
    if run and run["done"]:
        return
    run = run or _begun(place, name, figure, seeds)
    made = provenance.made_by()
    run["made_by"] += [made] if made not in run["made_by"] else []
    run["machine"] = provenance.machine()
    for i, command in enumerate(run["commands"]):
        if not command["done"]:
            goes_on = i == 0 and "{workdir}" not in figure.train
            _run(place, name, run, command, goes_on)
    run["values"] = {str(seed): _values(run, figure, folder, seed) for seed in seeds}
    run["date"] = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    run["done"] = True
    _write(place, name, run)


def _begun(place, name, figure, seeds):
    """A run of which nothing is done, so far as is known."""
    folder = place.folder(name, seeds)
    unknown = folder.exists()  # of a training that no file tells of
    every = arguments(figure, folder, seeds)
    empty = {"done": False, "parts": 0, "seconds": 0.0, "cpu_seconds": 0.0}
    commands = [
        {"command": shlex.join(["python", f"experiments/{script}", *rest])} | empty
        for script, *rest in every
    ]
    if unknown:
        commands[0] |= {"parts": 1, "seconds": None}
    return {
        "figure": name,
        "key": key(figure, seeds),
        "done": False,
        "made_by": [],
        "commands": commands,
        "values": {},
    }


def arguments(figure, folder: Path, seeds: tuple[int, ...]) -> list[list[str]]:
    """The command lines of a run, the experiment's file first."""
    script, *options = shlex.split(figure.train)
    own = "{workdir}" in figure.train
    ends = [] if own else ["--seed", str(seeds[0]), "--workdir", str(folder)]
    found = [[script, *options, *ends]]
    for after in figure.after:
        found.append([script, *shlex.split(after), "--workdir", str(folder)])
    return [[a.replace("{workdir}", str(folder)) for a in args] for args in found]


def _run(place, name, run, command, goes_on):
    """Runs a command, and adds up its time where it goes on from before."""
    before = command["seconds"] if goes_on else 0.0
    used = command["cpu_seconds"] if goes_on else 0.0
    command["parts"] = command["parts"] + 1 if goes_on else 1
    command["seconds"] = None  # not known, should this process die
    _write(place, name, run)
    print(f"$ {command['command']}", file=sys.stderr)
    began, cpu = time.perf_counter(), _children()
    code, output, stopped = _called(place, command["command"])
    spent = time.perf_counter() - began
    command["seconds"] = None if before is None else before + spent
    command["cpu_seconds"] = used + _children() - cpu
    command["output"], command["done"] = output, code == 0
    _write(place, name, run)
    if stopped or code == INTERRUPTED:
        raise KeyboardInterrupt
    if code:
        raise Failed(f"{command['command']} ended with {code}.")
    print(output, end="", file=sys.stderr)


def _called(place, command):
    """Exit code, standard output, and whether this process was stopped meanwhile: then
    it has passed that on, and the command has saved."""
    _, script, *rest = shlex.split(command)
    args = [sys.executable, str(place.experiments / Path(script).name), *rest]
    stopped = False
    with tempfile.TemporaryFile("w+") as out, _stopping():
        # In a group of its own: Ctrl-C reaches this process alone.
        process = subprocess.Popen(args, stdout=out, process_group=0)
        while process.poll() is None:
            try:
                process.wait()
            except KeyboardInterrupt:
                stopped = True
                process.send_signal(signal.SIGINT)
        out.seek(0)
        return process.returncode, out.read(), stopped


class _stopping:
    """Within, SIGTERM and SIGHUP are as Ctrl-C."""

    def __enter__(self):
        names = [s for s in ("SIGTERM", "SIGHUP") if hasattr(signal, s)]
        handler = signal.default_int_handler
        self.old = {s: signal.signal(getattr(signal, s), handler) for s in names}

    def __exit__(self, *_):
        for name, handler in self.old.items():
            signal.signal(getattr(signal, name), handler)


def _children():
    """CPU seconds of all commands so far."""
    times = os.times()
    return times.children_user + times.children_system


def _values(run, figure, folder, seed):
    """What is read of a seed, by name."""
    train = run["commands"][0]
    found = {"train_seconds": train["seconds"], "train_cpu": train["cpu_seconds"]}
    for after, command in zip(figure.after, run["commands"][1:], strict=True):
        found[f"{after.split()[0]}_seconds"] = command["seconds"]
    try:
        found |= readings.of_folder(folder)
        if figure.says:
            text = "".join(command["output"] for command in run["commands"])
            found |= readings.of_output(figure.says, text, seed)
        if figure.judge:
            found |= figure.judge(folder)
    except (OSError, KeyError, ValueError) as error:
        name = run["figure"]
        raise Failed(f"{name}, seed {seed}: cannot be read: {error}.") from None
    return found


def _read(place, name) -> list[dict]:
    file = place.file(name)
    return json.loads(file.read_text())["runs"] if file.exists() else []


def _write(place, name, run):
    """Puts a run in the place of the one of its seeds."""
    seeds = run["key"]["seeds"]
    others = [r for r in _read(place, name) if r["key"]["seeds"] != seeds]
    runs = sorted([*others, run], key=lambda r: r["key"]["seeds"])
    file = place.file(name)
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps({"figure": name, "runs": runs}, indent=2) + "\n")
    partial.replace(file)
