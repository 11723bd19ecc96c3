"""Runs that jaxgan 0.1 left at step 4 open, sample and go on to where it went.

What has been mended since is put back for it, see `as_in_0_1`.

`fixtures/workdirs_0_1.tar.xz` has them, their data, and `continued.json`: for each, the
command line, and of the state that 0.1 had at step 8 the mean size of each array.
"""

import importlib
import json
import sys
import tarfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest
from jax import random

from jaxgan import parallel, phases, pool, regularizers
from jaxgan.data import dataset, feed
from jaxgan.run import cli, program
from jaxgan.run.presets import classic

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "experiments"))
ARCHIVE = Path(__file__).parent / "fixtures" / "workdirs_0_1.tar.xz"
KINDS = {
    "lecam": ("gan_mnist", "sample"),
    "cgan": ("cgan_mnist", "sample"),
    "infogan": ("infogan_mnist", "codes"),
    "srgan": ("srgan", "translate"),
    "cyclegan": ("cyclegan", "translate"),
    "spade": ("spade", "translate"),
}


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    """A folder with the workdirs."""
    folder = tmp_path_factory.mktemp("old")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder


def sizes(tree):
    """The mean size of each array."""
    return {
        jax.tree_util.keystr(path): float(np.abs(x.astype(np.float64)).mean())
        for path, x in jax.tree_util.tree_leaves_with_path(tree)
    }


def one_coin_for_both(kept, fakes, key):
    """`pool.query` of 0.1: each D's pool has its own since 0.3."""
    shown, new = {}, {}
    for name, images in fakes.items():
        one = {"images": kept[name], "count": kept["count"]}
        one, shown[name] = pool._query(one, jax.lax.stop_gradient(images), key)
        new |= {name: one["images"], "count": one["count"]}
    return shown, new


def lecam(play):
    """That of 0.1: since 0.3 its differences are clipped, and it begins later."""

    def of(j, anchors, step):
        means = {"real": j.real_logits.mean(), "fake": j.fake_logits.mean()}
        means = jax.lax.stop_gradient(means)
        new = {name: 0.99 * anchors[name] + 0.01 * means[name] for name in means}
        apart = j.real_logits - new["fake"], j.fake_logits - new["real"]
        return play.lecam * (apart[0] ** 2 + apart[1] ** 2), new

    return regularizers.Term(of, dict.fromkeys(("real", "fake"), jnp.float32(0)))


def as_in_0_1(monkeypatch):
    """Its methods where they were others, and its roots of randomness, with which the
    runs went on to what is recorded."""
    monkeypatch.setattr(pool, "query", one_coin_for_both)
    monkeypatch.setitem(classic.PENALTIES, "lecam", lecam)
    g_first = lambda n, phase, at=0: phases.every(n, phase)  # noqa: E731
    monkeypatch.setattr(sys.modules["jaxgan.recipes.gan"], "every", g_first)

    def split(seed, purpose):
        keys = random.split(random.key(seed), 4)
        return keys[("weights", "steps", "data").index(purpose)]

    monkeypatch.setattr(program, "root", split)
    for module in (dataset, feed):
        monkeypatch.setattr(module, "other_seed", lambda seed, group=1: seed + group)


LONG = "cyclegan", "spade"  # their networks take long to compile


@pytest.mark.parametrize(
    "kind", [pytest.param(k, marks=pytest.mark.slow) if k in LONG else k for k in KINDS]
)
def test_an_old_workdir_opens_and_goes_on_as_it_would_have(kind, old, monkeypatch):
    name, command = KINDS[kind]
    monkeypatch.chdir(old)
    monkeypatch.setattr(sys, "argv", [f"experiments/{name}.py"])
    monkeypatch.setattr(cli, "_cache_compilations", lambda: None)
    as_in_0_1(monkeypatch)
    one = jax.devices()[:1]  # batches are of 4
    monkeypatch.setattr(parallel, "devices", lambda platform="auto": one)
    module = importlib.import_module(name)
    named = getattr(module, "PRESETS", {})
    presets = named.get("painted") or named or module.PRESET
    build = getattr(module, "build", classic.build)
    commands = getattr(module, "COMMANDS", None)
    known = json.loads((old / "continued.json").read_text())[kind]
    first = known["command"][1:2] if presets is named else []

    def run(*args):
        cli.main(presets, build, [*first, *args], commands=commands)

    given = {"spade": "maps/maps/0.png"}.get(kind, "maps/images/0.png")
    more = ["--input", given] if command == "translate" else []
    more += ["--out", f"{kind}.png"]
    run(command, "--workdir", kind, *more)
    assert (old / f"{kind}.png").exists()
    run(*known["command"][1 + len(first) :], "--workdir", kind)
    with ocp.CheckpointManager(old / kind / "checkpoints") as saved:
        assert saved.latest_step() == 8
        state = saved.restore(8, args=ocp.args.StandardRestore())
    expected = {path: value for path, (*_, value) in known["state"].items()}
    found = sizes(jax.tree.map(np.asarray, state))
    assert found.keys() == expected.keys()
    for path, value in expected.items():
        assert found[path] == pytest.approx(value, rel=1e-3, abs=1e-6), path
    said = "older than --consistent, --judged, and goes on as it began" in (
        (old / kind / "log.txt").read_text()
    )
    assert said == (kind == "srgan")
