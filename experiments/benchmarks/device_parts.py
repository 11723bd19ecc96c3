"""What `device_check.py` does on a device: commands, and what is read from them.

Each is a process of its own, so that one that fails, hangs or needs too much memory
takes nothing else with it.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

EXPERIMENTS = Path(__file__).parents[1]
DETERMINISTIC = {"XLA_FLAGS": "--xla_gpu_deterministic_ops=true"}
ROWS = {
    "bfloat16": (
        ("dcgan64",),
        ("stylegan2_128",),
        ("stylegan2_256",),
        ("r3gan64",),
        ("plain", "r1", "wgan_gp"),
        ("digits",),
    ),
    "float32": (("dcgan64",), ("ring",), ("mlp",), ("pix2pix",), ("cyclegan",)),
}
"""Models of `benchmark.py` that are timed together, the most telling first."""


class Part(NamedTuple):
    name: str
    command: list[str]
    read: Callable[[str], Any]
    """`standard output -> plain values`."""
    env: Mapping[str, str] = {}


def parts(platform: str, folder: Path, tiny: bool) -> list[Part]:
    """All there is to do, in order.

    Args:
        platform: "gpu" or "cpu".
        folder: where runs and results are written.
        tiny: with a few steps, to rehearse.
    """
    on = ["--platform", platform]
    return [
        *_main_job(on, folder, tiny),
        _numbers(platform, tiny),
        *_twice(platform, tiny),
        *_rows(on, folder, tiny),
    ]


def _main_job(on, folder, tiny):
    """What README's first command does, and what it learned."""
    script, workdir = _script("dcgan_mnist.py"), f"{folder / 'run'}"
    small = ["--steps", "20", "--width", "8", "--batch-size", "16"] if tiny else []
    num, out = "200" if tiny else "10000", folder / "evaluation.json"
    rest = ["--workdir", workdir, *on]
    yield Part("train", [*script, *small, *rest], lambda text: None)
    command = [*script, "evaluate", "--num", num, "--out", f"{out}", *rest]
    yield Part("evaluate", command, lambda text: json.loads(out.read_text()))


def _numbers(platform, tiny):
    names = ["gan", "pix2pix"] if tiny else []
    return Part("numbers", [*_module("device_numbers"), platform, *names], _last_line)


def _twice(platform, tiny):
    """The same steps twice, with XLA's deterministic forms, and what these cost."""
    command = [*_module("device_twice"), platform, "4" if tiny else "200"]
    yield Part("deterministic", command, _last_line, DETERMINISTIC)
    yield Part("deterministic again", command, _last_line, DETERMINISTIC)
    yield Part("not deterministic", command, _last_line)


def _rows(on, folder, tiny):
    """Rows of the benchmark, and the ring's sweep."""
    short = ["--rounds", "1", "--steps", "2"] if tiny else ["--rounds", "5"]
    rows = {"float32": (("ring",),)} if tiny else ROWS
    for dtype, groups in rows.items():
        for names in groups:
            out = folder / f"{dtype}-{'-'.join(names)}.json"
            swept = ["--sweep", "2" if tiny else "64"] if names == ("ring",) else []
            command = [*_script("benchmark.py"), *on, "--models", *names, *swept]
            command += ["--dtype", dtype, "--json", f"{out}", *short]
            name = f"{', '.join(names)} in {dtype}"
            yield Part(name, command, lambda text, out=out: json.loads(out.read_text()))


def _script(name):
    return [sys.executable, f"{EXPERIMENTS / name}"]


def _module(name):
    return [sys.executable, "-m", f"benchmarks.{name}"]


def _last_line(text):
    return json.loads(text.splitlines()[-1])


def done(part: Part, seconds: float) -> dict:
    """Runs a part.

    Args:
        part: the part.
        seconds: how long it may take.

    Returns:
        "command", "seconds", and "found", or "error": its last words, or that there
        was not enough time.
    """
    path = os.pathsep.join([f"{EXPERIMENTS}", os.environ.get("PYTHONPATH", "")])
    env = os.environ | {"PYTHONPATH": path} | part.env
    known: dict[str, Any] = {"command": " ".join(part.command[1:])}
    began = time.monotonic()
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(part.command, env=env, start_new_session=True, **pipes)
    try:
        said, words = process.communicate(timeout=max(1.0, seconds))
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        known["error"] = f"ended after {seconds:.0f} s, when time was up"
    else:
        if process.returncode:
            last = words.strip().splitlines()[-5:]
            known["error"] = f"exit code {process.returncode}: " + "\n".join(last)
        else:
            known |= _read(part, said)
    return known | {"seconds": round(time.monotonic() - began, 1)}


def _read(part, said):
    try:
        return {"found": part.read(said)}
    except Exception as error:  # other parts' findings are not to be lost for it
        return {"error": f"cannot be read: {type(error).__name__}: {error}"}
