"""`device_check.py`: its parts, what it keeps when one fails, and what it says."""

import json
import sys
from pathlib import Path

import jax
import pytest

sys.path.append(str(Path(__file__).parents[1] / "experiments"))

import device_check
from benchmarks import device_numbers, device_parts
from benchmarks.device_parts import Part, done
from benchmarks.small_recipes import model


def python(text, read=lambda said: said, env=None):
    return Part("a part", [sys.executable, "-c", text], read, env or {})


def test_a_part_is_a_process_whose_words_are_read():
    part = python("print(2 * 3)", lambda said: int(said) + 1)
    assert done(part, 60)["found"] == 7


def test_a_part_has_its_environment():
    part = python(
        "import os; print(os.environ['XLA_FLAGS'])", str.strip, {"XLA_FLAGS": "a"}
    )
    assert done(part, 60)["found"] == "a"


def test_a_part_that_fails_says_how():
    found = done(python("raise ValueError('no such thing')"), 60)
    assert "exit code 1" in found["error"] and "no such thing" in found["error"]
    assert "found" not in found


def test_a_part_that_cannot_be_read_says_so():
    found = done(python("print('nothing')", json.loads), 60)
    assert "JSONDecodeError" in found["error"] and "found" not in found


def test_a_part_that_takes_too_long_is_ended_with_its_children():
    child = "import time; time.sleep(60)"
    text = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    found = done(python(text), 1.0)
    assert found["error"] == "ended after 1 s, when time was up"
    assert found["seconds"] < 30


def test_the_rest_goes_on_and_all_is_kept(tmp_path, monkeypatch, capsys):
    parts = [
        python("raise SystemExit('oh')")._replace(name="first"),
        python('print(\'{"digest": "a", "seconds": 2}\')', json.loads)._replace(
            name="deterministic"
        ),
    ]
    monkeypatch.setattr(device_parts, "parts", lambda *args: parts)
    found = device_check.main(device_check.Options(f"{tmp_path}", "cpu"))
    assert json.loads((tmp_path / "device_check.json").read_text()) == found
    text = device_check.table(found)
    assert "first: exit code 1: oh" in text and "deterministic: 2.000 s" in text
    nothing = device_check.main(device_check.Options(f"{tmp_path}", "cpu", minutes=0))
    errors = {part["error"] for part in nothing["parts"].values()}
    assert errors == {"not begun: no time was left"}


def test_what_is_said_of_numbers_and_digests():
    far = {
        "gan": {"float32": 1e-6, "bfloat16": 0.1},
        "r1": {"float32": 0.5, "bfloat16": 0},
    }
    said = device_check.said("numbers", {"found": far}, {})
    assert "float32 off by 5.0e-01 at most (r1)" in said and "FAR OFF: r1" in said
    lost = {"gan": {"float32": float("nan"), "bfloat16": 0.1}}
    assert "FAR OFF: gan" in device_check.said("numbers", {"found": lost}, {})
    one = {"found": {"digest": "a", "seconds": 1}}
    other = {"found": {"digest": "b", "seconds": 1}}
    name = "deterministic again"
    assert device_check.said(name, one, {"deterministic": one}) == "the same bits"
    assert device_check.said(name, one, {"deterministic": other}) == "OTHER BITS"
    assert device_check.said(name, one, {"deterministic": {}}) == "OTHER BITS"


def test_all_parts_are_there_for_a_gpu(tmp_path):
    names = [part.name for part in device_parts.parts("gpu", tmp_path, tiny=False)]
    assert names[:3] == ["train", "evaluate", "numbers"]
    assert "dcgan64 in bfloat16" in names and "ring in float32" in names
    flags = [part.env for part in device_parts.parts("gpu", tmp_path, tiny=False)]
    assert flags.count(device_parts.DETERMINISTIC) == 2


def test_numbers_of_a_device_are_compared_with_its_hosts():
    """Of two virtual ones, which are alike in float32; bfloat16 is rougher."""
    # Flax's BatchNorm means bfloat16 with float32, which "strict" forbids.
    with jax.numpy_dtype_promotion("standard"):
        found = device_numbers.compared("gan", jax.devices()[1], jax.devices()[0])
    assert found["float32"] < 1e-6 < 1e-3 < found["bfloat16"] < 0.3


def test_steps_are_taken_on_the_device_that_is_checked():
    for device in jax.devices()[:2]:
        weights = jax.tree.leaves(device_numbers._after(model("gan"), device))
        assert {d for x in weights for d in x.devices()} == {device}


@pytest.mark.slow
def test_the_rehearsal_runs_all_but_the_benchmark(tmp_path, monkeypatch):
    monkeypatch.setattr(device_parts, "_rows", lambda *args: [])
    options = device_check.Options(f"{tmp_path}", "cpu", tiny=True)
    found = device_check.main(options)
    text = device_check.table(found)
    assert all("found" in part for part in found["parts"].values()), text
    assert "from the command to the last sample" in text
    assert "fd_mnist" in text and "the same bits" in text and "FAR OFF" not in text
