"""Real processes that train together by `jax.distributed`: equal to one, and none
outlives another."""

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest

from jaxgan import distributed, parallel, run
from jaxgan.run import hosts
from jaxgan.types import UsageError

ROOT = Path(__file__).parents[1]
SIX = "--steps=6 --batch-size=8 --log-every=3 --sample-every=3 --checkpoint-every=3"
MLP = "mlp_gan_mnist.py", "--g-hidden=8", "--d-hidden=8", *SIX.split()
STREAMED = "from jaxgan.data import feed; feed.HOST_BUDGET = 0"


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def environment(devices):
    """With so many virtual devices, and the quick compilations of all tests."""
    flags = [x for x in os.environ["XLA_FLAGS"].split() if "device_count" not in x]
    flags.append(f"--xla_force_host_platform_device_count={devices}")
    return os.environ | {"XLA_FLAGS": " ".join(flags), "JAX_PLATFORMS": "cpu"}


def begin(argv, devices=1, before="", prefix=()):
    """A process that runs an experiment, with so many virtual devices of its own."""
    lines = (
        before,
        "import runpy, sys",
        f"sys.argv = {[str(ROOT / 'experiments' / argv[0]), *map(str, argv[1:])]}",
        "runpy.run_path(sys.argv[0], run_name='__main__')",
    )
    code = "\n".join(lines)
    command = [sys.executable, "-c", code]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, env=environment(devices), **pipes)


def together(n, argv, workdir, **options):
    """n processes of one run; each but the first sees no other's workdir."""
    where = f"--coordinator-address=127.0.0.1:{free_port()}", f"--num-processes={n}"
    return [
        begin(
            (*argv, *where, f"--process-id={k}", f"--workdir={workdir}{k or ''}"),
            **options,
        )
        for k in range(n)
    ]


def ended(processes, timeout=300):
    """What each wrote, when all have ended."""
    try:
        return [one.communicate(timeout=timeout)[0] for one in processes]
    finally:
        for one in processes:
            one.kill()


def ran(processes):
    said = ended(processes)
    assert [one.returncode for one in processes] == [0] * len(processes), said
    return said


def state(workdir, step):
    """A checkpoint's arrays, by their path."""
    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    with ocp.CheckpointManager(workdir / "checkpoints") as saved:
        shapes = saved.item_metadata(step)
        where = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=device), shapes
        )
        tree = saved.restore(step, args=ocp.args.StandardRestore(where))
    found = jax.tree.flatten_with_path(tree)[0]
    return {jax.tree_util.keystr(path): np.asarray(x) for path, x in found}


def numbers(workdir):
    """Lines of metrics.jsonl, without what the clock says."""
    lines = map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines())
    return lines


def assert_same(workdir, other):
    one, two = state(workdir, 6), state(other, 6)
    assert one.keys() == two.keys()
    for name, x in one.items():
        np.testing.assert_allclose(x, two[name], 0, 1e-5, err_msg=name)
    sheets = sorted(p.name for p in (other / "samples").iterdir())
    assert sheets == sorted(p.name for p in (workdir / "samples").iterdir())
    for name in sheets:
        same = (workdir / "samples" / name).read_bytes()
        assert (other / "samples" / name).read_bytes() == same, name
    for a, b in zip(numbers(workdir), numbers(other), strict=True):
        assert a.keys() == b.keys()
        for name in a:
            np.testing.assert_allclose(a[name], b[name], 1e-5, 1e-5, err_msg=name)


@pytest.mark.slow
def test_two_are_one_where_each_fetches_its_own_rows(tmp_path):
    argv = *MLP, "--seeds=2"
    ran([begin((*argv, f"--workdir={tmp_path / 'one'}"), 2, STREAMED)])
    ran(together(2, argv, tmp_path / "many", before=STREAMED))
    assert_same(tmp_path / "one", tmp_path / "many")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["many", "one"]


@pytest.mark.slow
def test_a_run_of_processes_is_continued_by_other_numbers_of_them(tmp_path):
    argv = *MLP, "--flip"
    ran([begin((*argv, f"--workdir={tmp_path / 'one'}"), 4)])
    half = *argv, "--steps=3"
    ran(together(2, half, tmp_path / "many", devices=2))
    (said, other) = ran(together(4, argv, tmp_path / "many"))[:2]
    assert "Continuing from the checkpoint of step 3." in said
    assert "processes 2 there and 4 here" in said
    assert "[process 1] Continuing from the checkpoint of step 3." in other
    assert_same(tmp_path / "one", tmp_path / "many")
    out = tmp_path / "grid.png"
    ran([begin((MLP[0], "sample", f"--workdir={tmp_path / 'many'}", f"--out={out}"))])
    assert out.exists()


def when_training(processes, workdir):
    """Waits until checkpoints come."""
    for _ in range(600):
        if list((workdir / "checkpoints").glob("[0-9]*")):
            return
        assert all(one.poll() is None for one in processes), ended(processes, 60)
        time.sleep(0.2)
    raise AssertionError(ended(processes, 60))


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_none_outlives_one_that_is_killed(victim, tmp_path):
    long = *MLP, "--steps=1000000", "--sample-every=1000000"
    processes = together(2, long, tmp_path / "w")
    when_training(processes, tmp_path / "w")
    processes[victim].kill()
    said = ended(processes, timeout=120)
    assert all(one.returncode for one in processes)
    last = said[1 - victim].strip().splitlines()[-1]
    assert last.startswith(f"Process {1 - victim} of 2 "), said
    assert "another" in last and ("died" in last or "ended before" in last)


@pytest.mark.slow
def test_weights_that_are_not_finite_at_first_stop_all(tmp_path):
    before = (
        "import jax; from jaxgan.run import program; one = program.start",
        "nan = lambda x: x * float('nan')",
        "def start(*args):",
        "    this = one(*args)",
        "    def init():",
        "        state = this.init()",
        "        return state._replace(params=jax.tree.map(nan, state.params))",
        "    return this._replace(init=init)",
        "program.start = start",
    )
    said = ended(
        processes := together(2, MLP, tmp_path / "w", before="\n".join(before))
    )
    assert [one.returncode for one in processes] == [1, 1], said
    assert all("by step 0: weights of D, weights of G are not" in one for one in said)


@pytest.mark.slow
def test_an_error_of_one_ends_the_others(tmp_path):
    before = (
        "from jaxgan.run import hooks",
        "def save(*args): raise RuntimeError('no such disk')",
        "hooks.save_png = save",
    )
    said = ended(
        processes := together(2, MLP, tmp_path / "w", before="\n".join(before))
    )
    assert all(one.returncode for one in processes), said
    last = [one.strip().splitlines()[-1] for one in said]
    assert last[0].startswith("Process 0 of 2 stopped, and stops the others (RuntimeE")
    assert last[1].startswith("Process 1 of 2 ") and "another" in last[1]


@pytest.mark.slow
def test_one_that_is_asked_to_stop_stops_all_at_one_step(tmp_path):
    long = *MLP, "--steps=1000000", "--sample-every=1000000"
    processes = together(2, long, tmp_path / "w")
    when_training(processes, tmp_path / "w")
    processes[1].send_signal(signal.SIGTERM)
    said = [one.strip().splitlines()[-1] for one in ended(processes, timeout=120)]
    assert [one.returncode for one in processes] == [130, 130], said
    stopped = [one.removeprefix("[process 1] ") for one in said]
    assert stopped[0] == stopped[1] and stopped[0].startswith("Stopped and saved at")


@pytest.mark.slow
@pytest.mark.parametrize(
    "others, text",
    [
        (("--batch-size=7",), "--batch-size is 7 in process 1 and 8 in process 0"),
        (("--data=nothing",), "--data is nothing in process 1 and mnist in process 0"),
    ],
)
def test_processes_of_other_options_are_refused_by_all(others, text, tmp_path):
    where = f"--coordinator-address=127.0.0.1:{free_port()}", "--num-processes=2"
    same = *MLP, *where, f"--workdir={tmp_path / 'w'}"
    processes = [begin((*same, f"--process-id={k}", *others[:k])) for k in (0, 1)]
    said = ended(processes)
    assert [one.returncode for one in processes] == [2, 2], said
    assert all(text in one for one in said), said
    assert not (tmp_path / "w").exists()


@pytest.mark.slow
def test_what_one_process_lacks_is_said_by_all(tmp_path):
    images = np.zeros((40, 8, 8, 1), np.uint8)
    argv = (
        "mlp_gan_mnist.py",
        "--g-hidden=8",
        "--d-hidden=8",
        *SIX.split(),
        "--data=npz:mine.npz",
    )
    where = f"--coordinator-address=127.0.0.1:{free_port()}", "--num-processes=2"
    (tmp_path / "there").mkdir()
    np.savez(tmp_path / "there" / "mine.npz", images=images)
    before = "import os; os.chdir({!r})"
    processes = [
        begin(
            (*argv, *where, f"--process-id={k}", f"--workdir={tmp_path / 'w'}"),
            before=before.format(str(tmp_path / name)),
        )
        for k, name in enumerate(("there", ""))
    ]
    first, second = ended(processes)
    assert [one.returncode for one in processes] == [2, 2], (first, second)
    assert "In process 1: --data npz:mine.npz" in first
    assert "--data npz:mine.npz" in second and "In process" not in second


LIBRARY = """
    import sys
    import jax
    import numpy as np
    import optax
    jax.distributed.initialize(f"127.0.0.1:{sys.argv[1]}", 2, int(sys.argv[2]))
    from jaxgan import distributed, parallel, recipes
    from jaxgan.models import flax_net, mlp
    G = flax_net("G", mlp.Generator((4, 4, 1), (8,)))
    D = flax_net("D", mlp.Discriminator((8,)))
    gan = recipes.gan(G, D, latent_dim=4, g_tx=optax.sgd(0.1), d_tx=optax.sgd(0.1))
    images = np.random.default_rng(0).normal(size=(5, 8, 4, 4, 1)).astype("float32")
    key, mesh = jax.random.key(0), parallel.mesh()
    begin = gan.init(key, {"image": images[0]})
    state = distributed.everywhere(begin, mesh)
    step = parallel.sharded(gan.step, mesh)
    me = jax.process_index()
    for batch in images:
        mine = {"image": batch[4 * me : 4 * me + 4]}
        state, metrics = step(state, distributed.from_each(mine, mesh), key)
    alone = jax.jit(gan.step)
    for batch in images:
        begin, known = alone(begin, {"image": batch}, key)
    for a, b in zip(jax.tree.leaves(begin), jax.tree.leaves(distributed.here(state))):
        np.testing.assert_allclose(a, b, 0, 1e-6)
        assert b.is_fully_addressable and len(b.devices()) == 2
    assert distributed.gathered(b"abc"[: me + 1]) == [b"a", b"ab"]
    assert distributed.gathered(b"") == [b"", b""]
    assert distributed.broadcast(b"of 0" if me == 0 else None) == b"of 0"
    assert distributed.least(5 - me) == 4
    rows = distributed.rows_here(mesh, 8)
    assert rows.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]][me]
    whole = np.arange(48).reshape(2, 8, 3)
    shared = distributed.shared_rows(whole[:, rows], mesh, 8, 1)
    for shard in shared.addressable_shards:
        assert (whole[shard.index] == shard.data).all()
    assert int(jax.jit(lambda x: (x == whole).all())(shared)) == 1
    least = jax.jit(lambda n: n.min())(distributed.shared_number(7 + me, mesh))
    assert int(least) == 7
    try:
        distributed.from_each({"image": images[0][:3]}, mesh)
    except ValueError as error:
        assert str(error).startswith("batch 3 rows of a process are not divided")
    else:
        raise AssertionError
"""


@pytest.mark.slow
def test_steps_and_agreements_of_two_processes_by_hand():
    port, env = free_port(), environment(2)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    command = [sys.executable, "-c", textwrap.dedent(LIBRARY), str(port)]
    ran([subprocess.Popen([*command, str(k)], env=env, **pipes) for k in (0, 1)])


@pytest.mark.parametrize(
    "where, text",
    [
        (("here", 2, 0), "coordinator_address here must be HOST:PORT of process 0"),
        (("here:x", 2, 0), "coordinator_address here:x must be HOST:PORT"),
        (("a:1", None, 0), "coordinator_address a:1 needs `num_processes` too."),
        (("a:1", 2, None), "coordinator_address a:1 needs `process_id` too."),
        (("a:1", 2, 2), "process_id 2 must be below `num_processes` 2."),
        ((None, 2, None), "num_processes 2 goes with `coordinator_address` HOST:PORT."),
        (("auto", None, 1), "process_id 1 goes with `coordinator_address` HOST:PORT."),
    ],
)
def test_where_the_others_are_is_said_whole(where, text):
    with pytest.raises(UsageError) as error:
        hosts.start(*where)
    assert str(error.value).startswith(text)


def test_no_cluster_is_found_here():
    argv = *MLP, "--coordinator-address=auto"
    (process,) = processes = [begin(argv)]
    (said,) = ended(processes)
    assert process.returncode == 2
    last = said.strip().splitlines()[-1]
    assert last.startswith("--coordinator-address auto: this process could not join")


def test_how_processes_start_is_for_the_command_line(tmp_path):
    cfg = run.config.Config(num_processes=2, workdir=str(tmp_path / "w"))
    with pytest.raises(UsageError, match="num_processes 2 is for the command line"):
        run.train(cfg, None)
    assert not (tmp_path / "w").exists()


def test_of_one_process_all_stays_as_it_is():
    mesh = parallel.mesh()
    tree = {"x": jax.device_put(np.arange(8.0), parallel.replicated(mesh))}
    assert distributed.alone() and distributed.primary()
    assert distributed.local(mesh) is mesh
    assert distributed.here(tree) is tree
    assert distributed.rows_here(mesh, 16).tolist() == list(range(16))
    assert distributed.shared_number(3, mesh) == 3
    assert distributed.gathered(b"x") == [b"x"] and distributed.least(3) == 3
    for way in (hosts.every, hosts.first):
        with pytest.raises(UsageError, match="accumulate 2 parts do not divide"):
            way(lambda: parallel.check_parts(1, 2))
