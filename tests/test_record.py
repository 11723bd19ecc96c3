"""What a run leaves of itself for others: W&B's runs, versions, changes."""

import json
import os
import subprocess
import sys
import types
from importlib import metadata

import jax
import numpy as np
import pytest

import jaxgan
from jaxgan.run import changed, provenance, record, workdir
from jaxgan.run.config import Config


@pytest.fixture
def wandb(monkeypatch):
    """W&B in small: it knows the runs that were begun, and takes some back."""
    fake = types.ModuleType("wandb")
    fake.errors = types.SimpleNamespace(Error=type("Error", (Exception,), {}))
    fake.Image, fake.calls, fake.rewinds = (lambda image: image), [], True
    fake.runs = {}

    class Run:
        def __init__(self, steps):
            self.steps = steps

        def log(self, values, step):
            if not self.steps or step >= max(self.steps):  # others are dropped
                self.steps.setdefault(step, {}).update(values)

        def finish(self):
            pass

    def init(id=None, resume=None, resume_from=None, **common):
        fake.calls.append(common | {"id": id, "resume_from": resume_from})
        if resume_from is None:
            return Run(fake.runs.setdefault(id, {}))
        name, _, step = resume_from.partition("?_step=")
        if not fake.rewinds or name not in fake.runs:
            raise fake.errors.Error("no such thing")
        kept = {k: v for k, v in fake.runs[name].items() if k <= int(step)}
        fake.runs[name] = kept
        return Run(kept)

    fake.init = init
    monkeypatch.setitem(sys.modules, "wandb", fake)
    return fake


def logged(folder, steps, start, value):
    sink = record.wandb(folder, {"width": 4}, start)
    for step in steps:
        sink.scalars(step, {"loss": value})
    sink.close()


def test_two_workdirs_of_one_name_are_two_runs(wandb, tmp_path, monkeypatch):
    for side in "ab":
        logged(tmp_path / side / "run", (1, 2), 0, 1.0)
    assert len(wandb.runs) == 2
    assert {call["name"] for call in wandb.calls} == {"run"}
    (tmp_path / "a" / "run").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a")  # the same, named otherwise
    logged(tmp_path / "b" / ".." / "a" / "run", (3,), 0, 1.0)
    logged(type(tmp_path)("run"), (4,), 0, 1.0)
    assert len(wandb.runs) == 2
    assert all(name.startswith("run-") and len(name) == 16 for name in wandb.runs)


def test_a_continued_run_has_no_step_twice(wandb, tmp_path):
    logged(tmp_path, (10, 20, 30, 40), 0, 1.0)
    logged(tmp_path, (30, 40), 20, 2.0)  # killed behind the checkpoint of 20
    (steps,) = wandb.runs.values()
    assert {k: v["loss"] for k, v in steps.items()} == {10: 1, 20: 1, 30: 2, 40: 2}


def test_where_w_and_b_cannot_go_back_it_is_said(wandb, tmp_path):
    logged(tmp_path, (10, 20), 0, 1.0)
    wandb.rewinds = False
    with pytest.warns(
        UserWarning, match=r"back to step 10 \(no such thing\): it keeps"
    ):
        logged(tmp_path, (20, 30), 10, 2.0)
    (steps,) = wandb.runs.values()
    assert list(steps) == [10, 20, 30]


def run_of(**options):
    return workdir.Run("some", changed(Config(), **options), (8, 8, 1), ())


def test_config_json_says_what_a_run_was_continued_with(tmp_path):
    made = {"jax": "1", "device": "cpu"}
    file = tmp_path / "config.json"

    def known():
        return json.loads(file.read_text())

    assert not workdir.open_run(tmp_path, run_of(steps=10), made)
    assert known()["made_by"] == made and "continued" not in known()
    assert workdir.open_run(tmp_path, run_of(steps=10), made, 5)
    assert "continued" not in known()  # as it began
    more = {"steps": 20, "evaluate_metrics": ("fd", "kid")}
    for _ in range(2):  # noted once
        assert workdir.open_run(tmp_path, run_of(**more), made, 10)
    other = made | {"jax": "2"}
    workdir.open_run(tmp_path, run_of(**more), other, 15)
    workdir.open_run(tmp_path, run_of(steps=10), made, 17)
    options = {"steps": 20, "evaluate_metrics": ["fd", "kid"]}
    assert known()["continued"] == [
        {"step": 10, "config": options, "made_by": made},
        {"step": 15, "config": options, "made_by": other},
        {"step": 17, "config": {}, "made_by": made},
    ]
    assert known()["config"]["steps"] == 10
    assert workdir.read(tmp_path, Config).config.steps == 10
    assert not list(tmp_path.glob("*.partial"))


def test_versions_and_device_are_those_of_this_program():
    made = provenance.made_by(jax.devices()[:2])
    assert made["jax"] == jax.__version__ and made["numpy"] == np.__version__
    assert made["optax"] == metadata.version("optax")
    assert made["jaxgan"] == jaxgan.__version__ and made["device"] == "cpu"
    assert made["devices"] == 2 and 1 <= made["cores"] <= os.cpu_count()
    assert made["python"] == ".".join(map(str, sys.version_info[:3]))


def test_a_run_that_goes_on_elsewhere_is_told_that_bits_will_differ(tmp_path):
    here = provenance.made_by(jax.devices()[:1])
    assert workdir.last_made_by(tmp_path) == {}
    assert provenance.moved({}, here) is None  # of a run before 0.3, or a new one
    assert provenance.moved(here | {"jax": "0"}, here) is None
    workdir.open_run(tmp_path, run_of(steps=10), here | {"cores": here["cores"] + 1})
    there = workdir.last_made_by(tmp_path)
    text = f"(cores {here['cores'] + 1} there and {here['cores']} here)"
    assert text in provenance.moved(there, here)
    tpus = here | {"device": "TPU v5e", "devices": 8}
    workdir.open_run(tmp_path, run_of(steps=10), tpus, 5)
    there = workdir.last_made_by(tmp_path)
    said = provenance.moved(there, here)
    assert "device TPU v5e there and cpu here, devices 8 there and 1 here" in said
    (tmp_path / "config.json").write_text("[]")
    assert workdir.last_made_by(tmp_path) == {}


def test_the_commit_is_the_checkout_s_own(tmp_path):
    def git(*args):
        who = "-c", "user.name=a", "-c", "user.email=a@b"
        command = ["git", "-C", str(tmp_path), *who, *args]
        return subprocess.run(command, check=True, capture_output=True, text=True)

    package, other = tmp_path / "package", tmp_path / "site"
    for folder in (package, other):
        folder.mkdir()
        (folder / "__init__.py").write_text("")
    assert provenance.commit(package) is None  # no checkout
    git("init")
    git("add", "package")
    git("commit", "-m", "some")
    head = git("rev-parse", "HEAD").stdout.strip()
    assert provenance.commit(package) == head
    assert provenance.commit(other) is None  # lies within, but is not of it
    (package / "__init__.py").write_text("x = 1")
    assert provenance.commit(package) == head + "+changes"
