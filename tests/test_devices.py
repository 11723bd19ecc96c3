"""Every recipe on 1, 2, 4 and 8 devices, and in parts, is what it is on one at once."""

import functools
import re
import sys
from pathlib import Path

import jax
import numpy as np
import optax
import pytest
from jax import random

from jaxgan import axis, parallel
from jaxgan.models import Net, mlp
from jaxgan.phases import carry, game, update
from jaxgan.types import Mean, UsageError

sys.path.append(str(Path(__file__).parents[1] / "experiments"))

from benchmarks.small_recipes import (
    ALONE,
    RECIPES,
    WHOLE,
    gan,
    model,
    net,
    rows,
)

BATCH = 64
ROWS, KEY = rows(BATCH), random.key(0)


def after(step, state, steps=5):
    """State and metrics after some steps, on the host."""
    state = jax.tree.map(lambda x: jax.numpy.array(x, copy=True), state)
    for t in range(steps):
        state, metrics = step(state, ROWS, random.fold_in(KEY, t))
    return jax.tree.map(np.asarray, (state, metrics))


@functools.cache
def expected(name):
    made = model(name)
    start = made.init(KEY, ROWS)
    found = after(parallel.jitted(made.step), start)
    for trained in found[0].params:
        moved = jax.tree.map(
            lambda a, b: np.abs(a - b).max(),
            found[0].params[trained],
            start.params[trained],
        )
        assert max(jax.tree.leaves(moved)) > 1e-4, f"{trained} hardly moves"
    return start, found


def same(found, wanted, weights=1e-5):
    """Weights within so much; what is made with them, such as a pool's images, as near
    as it can be."""
    flat = jax.tree_util.tree_leaves_with_path(found)
    for (path, a), b in zip(flat, jax.tree.leaves(wanted), strict=True):
        where = jax.tree_util.keystr(path)
        assert a.dtype == b.dtype and a.shape == b.shape, where
        if "params" in where or "ema" in where:
            np.testing.assert_allclose(a, b, 0, weights, err_msg=where)
        else:
            np.testing.assert_allclose(a, b, 1e-4, 1e-4, err_msg=where)


def quick_or_slow(names):
    """Compiling each four times takes minutes, so most wait behind `slow`."""
    slow = pytest.mark.slow
    return [n if n == "gan" else pytest.param(n, marks=slow) for n in names]


@pytest.mark.parametrize("name", quick_or_slow(RECIPES))
def test_a_recipe_is_the_same_on_any_number_of_devices(name):
    """By XLA's communication on two and on eight, and by ours on four."""
    start, wanted = expected(name)
    sharded, mapped = parallel.sharded, parallel.shard_mapped
    for devices, way in ((2, sharded), (8, sharded), (4, mapped)):
        step = way(model(name).step, parallel.mesh(jax.devices()[:devices]))
        same(after(step, start), wanted)


@pytest.mark.parametrize("name", ("gan", pytest.param("SPADE", marks=pytest.mark.slow)))
def test_pmap_is_shard_map(name):
    start, wanted = expected(name)
    copies, run = parallel.replicate(start), parallel.pmapped(model(name).step)
    for t in range(5):
        copies, found = run(copies, ROWS, random.fold_in(KEY, t))
    same((parallel.unreplicate(copies), found), wanted)


@pytest.mark.parametrize("name", quick_or_slow(WHOLE))
def test_accumulated_gradients_are_those_of_the_batch(name):
    """4 times 16 are 64, in weights of about 1."""
    start, wanted = expected(name)
    step = parallel.jitted(parallel.accumulated(model(name).step, 4))
    same(after(step, start), wanted, 1e-6)


def test_accumulation_divides_what_devices_hold():
    """A part has rows of every device, so that none has to move."""
    start, wanted = expected("gan")
    mesh = parallel.mesh(jax.devices()[:2])
    for way in (parallel.sharded, parallel.shard_mapped):
        step = way(parallel.accumulated(model("gan").step, 4), mesh)
        same(after(step, start), wanted)
    few = parallel.accumulated(model("gan").step, 8)  # an image each
    same(after(parallel.shard_mapped(few, parallel.mesh()), start), wanted)
    whole, parts = parallel.replicated(mesh), parallel.divided(mesh)
    compiled = jax.jit(in_four_parts("gan"), in_shardings=(whole, parts, whole))
    text = compiled.lower(start, ROWS, KEY).compile().as_text()
    assert "all-reduce" in text
    assert "all-gather" not in text and "all-to-all" not in text


@pytest.mark.parametrize("parts", (1, 2))
def test_what_is_made_of_noise_alone_is_divided_too(parts):
    """By itself XLA has each device make all of it: G's step under `cond`, and G's
    gradient in parts."""
    name = "n_critic, WGAN-GP" if parts == 1 else "gan"
    devices = parallel.mesh(jax.devices()[:4])
    whole, share = parallel.replicated(devices), parallel.divided(devices)
    step = parallel.over(parallel.accumulated(model(name).step, parts), devices)
    compiled = jax.jit(step, in_shardings=(whole, share, whole))
    start = jax.eval_shape(model(name).init, KEY, ROWS)
    text = compiled.lower(start, ROWS, KEY).compile().as_text()
    rows = {int(n) for n in re.findall(r"f32\[(\d+),8\]\S* dot\(", text)}
    assert BATCH // parts // 4 in rows and BATCH // parts not in rows


def in_four_parts(name):
    """As `sharded` has it on two devices."""

    def program(*args):
        with axis.divided(2):
            return parallel.accumulated(model(name).step, 4)(*args)

    return program


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in RECIPES if n not in ALONE])
def test_any_recipe_may_be_accumulated_on_any_devices(name):
    start = jax.eval_shape(model(name).init, KEY, ROWS)
    after, _ = jax.eval_shape(in_four_parts(name), start, ROWS, KEY)
    assert jax.tree.structure(after) == jax.tree.structure(start)
    for a, b in zip(jax.tree.leaves(after), jax.tree.leaves(start), strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype


def test_means_over_parts_are_of_any_numbers():
    """Whole numbers that a loss leaves as they are, and a metric's counts."""
    first = {"byte": jax.numpy.uint8(200), "many": jax.numpy.int32(20000001)}
    toy = Net("N", lambda key, *x: ({"w": jax.numpy.ones(())}, {}), None)

    def loss(state, batch, key):
        value = (state.params["N"]["w"] * batch["x"]).mean()
        seen = Mean(batch["x"].sum(), len(batch["x"]))
        return value, {"seen": seen}, {"kept": state.memory["kept"]}

    init, step = game((toy,), carry("kept", first, update("N", loss, optax.sgd(0.1))))
    batch = {"x": np.arange(12, dtype="float32")}
    state = init(KEY, {"N": ()})
    state, metrics = jax.jit(parallel.accumulated(step, 3))(state, batch, KEY)
    assert state.memory["kept"] == first
    assert metrics["seen"].value() == pytest.approx(5.5)


def test_accumulation_takes_less_memory():
    """Of networks whose activations are much larger than images and weights."""
    G = net("G", mlp.Generator((2, 2, 1), (64,) * 4))
    made = gan((G, net("D", mlp.Discriminator((64,) * 4))))
    rows = {"image": jax.ShapeDtypeStruct((4096, 2, 2, 1), "float32")}
    start = jax.eval_shape(made.init, KEY, rows)

    def memory(n):
        step = jax.jit(parallel.accumulated(made.step, n))
        analysis = step.lower(start, rows, KEY).compile().memory_analysis()
        return analysis.temp_size_in_bytes

    assert memory(8) < memory(1) / 2


def test_examples_that_meet_meet_within_a_part():
    """BatchNorm's statistics are of a part, as documented: not the same, and finite."""
    start, wanted = expected("relativistic average")
    step = parallel.jitted(parallel.accumulated(model("relativistic average").step, 4))
    state, metrics = after(step, start)
    with pytest.raises(AssertionError):
        same((state, metrics), wanted)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves((state, metrics)))


def test_an_unlucky_batch_is_refused():
    step = parallel.accumulated(model("gan").step, 3)
    with pytest.raises(UsageError, match="accumulate 3 parts do not divide a batch of"):
        step(expected("gan")[0], ROWS, KEY)
    step = parallel.accumulated(model("gan").step, 16)
    with pytest.raises(UsageError, match="accumulate 16 parts on each of 8 devices d"):
        parallel.sharded(step, parallel.mesh())(expected("gan")[0], ROWS, KEY)
    empty = {"image": ROWS["image"][:0]}
    with pytest.raises(UsageError, match="parts do not divide a batch of 0"):
        step(expected("gan")[0], empty, KEY)
    with pytest.raises(UsageError, match="accumulate 0 must be 1 or more"):
        parallel.accumulated(model("gan").step, 0)


def test_a_loss_that_is_compiled_by_itself_is_refused():
    """By JAX: its trace is kept, and with it the noise of another part."""
    toy = Net(
        "N",
        lambda key, *inputs: ({"w": jax.numpy.float32(2)}, {}),
        lambda params, stats, x, train=True: (params["w"] * x, stats),
    )

    @jax.jit
    def loss(state, batch, key):
        z = axis.draw(random.normal, key, batch["x"].shape)
        return jax.numpy.mean(toy(state, batch["x"] + z) ** 2), {}

    init, step = game((toy,), update("N", loss, optax.sgd(0.1)))
    state, batch = init(KEY, {"N": ()}), {"x": np.arange(8, dtype="float32")}
    step(state, batch, KEY)
    with pytest.raises(jax.errors.UnexpectedTracerError):
        jax.jit(parallel.accumulated(step, 4))(state, batch, KEY)


@pytest.mark.parametrize("name", ALONE)
def test_losses_that_need_the_whole_batch_refuse_a_part(name):
    made = model(name)
    start = jax.eval_shape(made.init, KEY, ROWS)
    with pytest.raises(UsageError, match="accumulate"):
        jax.eval_shape(parallel.accumulated(made.step, 2), start, ROWS, KEY)
