"""One device, many, and `pmap`: the same numbers. On 8 virtual CPU devices.

Optimizers are SGD, so that a gradient that is 8 times too large shows (Adam hides it).
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn
from jax import lax, random
from jax.sharding import PartitionSpec

from jaxgan import axis, losses, parallel
from jaxgan.models import Net, dcgan, flax_net, layers
from jaxgan.phases import carry, chain, every, game, refresh, update
from jaxgan.recipes import gan
from jaxgan.types import Mean, UsageError

KEY = random.key(0)
DEVICES = 8


@pytest.fixture(scope="module", autouse=True)
def eight_devices():
    assert jax.device_count() == DEVICES


def _host(tree):
    return jax.tree.map(np.asarray, tree)


def _copy(tree):
    """To give away: steps donate their state."""
    return jax.tree.map(lambda x: jnp.array(x, copy=True), tree)


def _close(a, b, rtol=1e-4, atol=1e-5):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    flat = jax.tree_util.tree_leaves_with_path(a)
    for (path, x), y in zip(flat, jax.tree.leaves(b), strict=True):
        assert x.dtype == y.dtype and x.shape == y.shape, jax.tree_util.keystr(path)
        np.testing.assert_allclose(x, y, rtol, atol, err_msg=jax.tree_util.keystr(path))


def _three_ways(step, state, batch, steps=3):
    """The last state and the last metrics by way of `jitted`, `sharded`, `pmapped`."""
    mesh = parallel.mesh()
    ways = {
        "jitted": (parallel.jitted(step), _copy(state), lambda s: s),
        "sharded": (parallel.sharded(step, mesh), _copy(state), lambda s: s),
        "pmapped": (
            parallel.pmapped(step),
            parallel.replicate(state),
            parallel.unreplicate,
        ),
    }
    for name, (run, now, finish) in ways.items():
        for i in range(steps):
            now, metrics = run(now, batch, random.fold_in(KEY, i))
        yield name, _host(finish(now)), _host(metrics)


def _agree(step, state, batch, **tolerance):
    (_, one, one_metrics), *others = _three_ways(step, state, batch)
    for name, params in one.params.items():
        before = jax.tree.leaves(state.params[name])
        moved = [
            np.abs(a - np.asarray(b)).max()
            for a, b in zip(jax.tree.leaves(params), before, strict=True)
        ]
        assert max(moved) > 1e-3, f"{name} hardly moves, which proves nothing"
    for _, state, metrics in others:
        _close(state, one, **tolerance)
        _close(metrics, one_metrics, **tolerance)
    return one, one_metrics


# --- one line, by hand: w x against SGD


def _line(w=2.0):
    return Net(
        "N",
        lambda key, *inputs: ({"w": jnp.float32(w)}, {}),
        lambda params, stats, x, train=True: (params["w"] * x, stats),
    )


def _toy(loss=None, lr=0.1, wrap=lambda phase: phase):
    """A game on mean((w x)²) / 2, whose gradient is w mean(x²)."""
    net = _line()

    def square(state, batch, key):
        value = jnp.mean(net(state, batch["x"]) ** 2) / 2
        return value, {"loss": value}

    init, step = game((net,), wrap(update("N", loss or square, optax.sgd(lr))))
    return init(KEY, {"N": ()}), step


X = np.arange(16, dtype="float32") / 8


def test_each_way_takes_the_step_that_is_taken_by_hand():
    state, step = _toy()
    power = np.mean(X**2)
    for name, new, metrics in _three_ways(step, state, {"x": X}, steps=1):
        np.testing.assert_allclose(new.params["N"]["w"], 2 - 0.1 * 2 * power, 1e-5)
        assert metrics["loss"].value() == pytest.approx(2 * power, rel=1e-5), name
        assert metrics["N_grad_norm"].value() == pytest.approx(2 * power, rel=1e-5)
        assert float(metrics["loss"].count) == 1
        assert new.step == 1


# --- whole GANs


def _dcgan(num_classes):
    G, D = dcgan.networks((8, 8, 1), 4, num_classes)
    return gan(
        flax_net("G", G),
        flax_net("D", D),
        latent_dim=6,
        g_tx=optax.sgd(0.2),
        d_tx=optax.sgd(0.2),
        num_classes=num_classes,
        ema_decay=0.5,
    )


def test_a_conditional_dcgan_is_the_same_on_one_device_on_eight_and_under_pmap():
    """Convolutions, BatchNorm, labels, noise, shared fakes."""
    recipe = _dcgan(num_classes=3)
    rng = np.random.default_rng(0)
    batch = {
        "image": np.tanh(rng.normal(size=(16, 8, 8, 1))).astype("float32"),
        "label": np.arange(16, dtype="int32") % 3,
    }
    _agree(recipe.step, recipe.init(KEY, batch), batch, rtol=2e-3, atol=2e-5)


def test_relativistic_pairs_stay_pairs():
    """And BatchNorm in both networks sees the whole batch."""
    recipe, batch = _mlp_gan(losses.relativistic_logistic), {"image": _points()}
    _agree(recipe.step, recipe.init(KEY, batch), batch)


def _points():
    return np.random.default_rng(1).normal(1, 2, (16, 2)).astype("float32")


class _Normalized(nn.Module):
    """Dense, BatchNorm over the whole batch, Dense."""

    features: int
    squeeze: bool = False

    @nn.compact
    def __call__(self, x, train: bool = True):
        x = nn.tanh(layers.batch_norm(train)(nn.Dense(4)(x)))
        x = nn.Dense(self.features)(x)
        return x[:, 0] if self.squeeze else x


def _mlp_gan(loss=losses.nonsaturating):
    return gan(
        flax_net("G", _Normalized(2)),
        flax_net("D", _Normalized(1, squeeze=True)),
        latent_dim=3,
        g_tx=optax.sgd(0.3),
        d_tx=optax.sgd(0.3),
        loss=loss,
        ema_decay=0.9,
    )


@pytest.mark.parametrize("which", ("D", "G"))
def test_single_steps_agree_too(which):
    def image(params, stats, z, train=True):
        return z * params["w"], stats

    def logit(params, stats, x, train=True):
        return jnp.sum(x**2 * params["w"], -1), stats

    first = lambda key, inputs: ({"w": jnp.ones((1, 2))}, {})  # noqa: E731
    recipe = gan(
        Net("G", first, image),
        Net("D", first, logit),
        latent_dim=2,
        g_tx=optax.sgd(0.1),
        d_tx=optax.sgd(0.1),
    )
    batch = {"image": _points()}
    state = recipe.init(KEY, batch)
    (_, one, one_metrics), *others = _three_ways(recipe.parts[which], state, batch)
    for _, new, metrics in others:
        _close(new, one)
        _close(metrics, one_metrics)


def test_schedules_memories_and_averages_agree():
    """`every`, `carry` of numbers, and BatchNorm's averages through `refresh`."""
    net = flax_net("N", _Normalized(2))

    def loss(state, batch, key):
        value = jnp.mean(net(state, batch["x"]) ** 2)
        old = state.memory["level"]
        level = 0.5 * old + 0.5 * lax.stop_gradient(value)
        return value * (1 + old), {"loss": value}, {"level": level}

    tx = optax.sgd(0.1)
    init, step = game(
        (net,),
        every(2, carry("level", jnp.float32(0), update("N", loss, tx))),
        refresh(net, lambda state, batch, key: (batch["x"] * 2,)),
    )
    batch = {"x": _points()}
    state = init(KEY, {"N": (batch["x"],)})
    one, _ = _agree(step, state, batch)
    assert one.memory["level"] > 0
    assert np.abs(one.stats["N"]["batch_stats"]["BatchNorm_0"]["mean"]).max() > 0


def test_a_loss_that_needs_the_whole_batch_s_mean_takes_it_with_axis_mean():
    """As a path length penalty does, and the average of a relativistic average GAN."""

    def loss(state, batch, key):
        y = _line()(state, batch["x"])
        spread = jnp.mean((y - axis.mean(jnp.mean(y))) ** 2)
        return spread, {"spread": spread}

    state, step = _toy(loss)
    (_, one, metrics), *_ = _three_ways(step, state, {"x": X}, steps=1)
    np.testing.assert_allclose(one.params["N"]["w"], 2 - 0.1 * 4 * X.var(), rtol=1e-5)
    assert metrics["spread"].value() == pytest.approx(4 * X.var(), rel=1e-5)
    _agree(step, state, {"x": X})


def test_a_memory_keeps_its_dtype():
    """A count, say: its mean over the devices is the count, not a float."""

    def loss(state, batch, key):
        count = state.memory["count"] + 1
        return jnp.mean(_line()(state, batch["x"]) ** 2), {}, {"count": count}

    state, step = _toy(loss, wrap=lambda p: carry("count", jnp.int32(0), p))
    one, _ = _agree(step, state, {"x": X})
    assert one.memory["count"] == 3 and one.memory["count"].dtype == np.int32


def test_noise_is_that_of_the_whole_batch():
    """Every device draws its own part of one draw, whatever the sampler."""

    def loss(state, batch, key):
        z = axis.draw(random.normal, key, batch["x"].shape)
        toss = lambda key, shape: random.bernoulli(key, 0.3, shape)  # noqa: E731
        coin = axis.draw(toss, random.fold_in(key, 1), (z.shape[0],))
        index = axis.draw(random.randint, random.fold_in(key, 2), (z.shape[0],), 0, 9)
        value = jnp.mean(state.params["N"]["w"] * z * batch["x"])
        return value, {"coin": coin, "index": index, "z": z, "zx": z * batch["x"]}

    state, step = _toy(loss)
    z = random.normal(random.split(random.fold_in(KEY, 2), 1)[0], X.shape)
    _, metrics = _agree(step, state, {"x": X})
    assert metrics["z"].value() == pytest.approx(float(z.mean()), rel=1e-4)


def test_functions_that_were_compiled_before_know_the_mapped_axis():
    """An inner `jit`, traced for one device first, must not be reused under `pmap`."""
    net = flax_net("N", _Normalized(1))

    @jax.jit
    def loss(state, batch, key):
        z = axis.draw(random.normal, key, batch["x"].shape)
        value = jnp.mean(net(state, batch["x"] + z) ** 2)
        return value, {"loss": value}

    init, step = game((net,), update("N", loss, optax.sgd(0.1)))
    batch = {"x": _points()}
    state = init(KEY, {"N": (batch["x"],)})
    for devices in (2, DEVICES):  # one device, 2 and 8, in this order
        local = jax.devices()[:devices]
        expected, _ = jax.jit(step)(state, batch, KEY)
        got, _ = parallel.pmapped(step, local)(
            parallel.replicate(state, local), batch, KEY
        )
        _close(_host(parallel.unreplicate(got)), _host(expected))


# --- batches


@pytest.mark.parametrize("batch_size", (12, 4, 9))
@pytest.mark.parametrize("way", ("sharded", "pmapped"))
def test_a_batch_that_the_devices_cannot_share_is_refused(way, batch_size):
    state, step = _toy()
    if way == "sharded":
        run = parallel.sharded(step, parallel.mesh())
    else:
        run, state = parallel.pmapped(step), parallel.replicate(state)
    with pytest.raises(UsageError, match=rf"{batch_size} must be .* multiple of the 8"):
        run(state, {"x": X[:batch_size]}, KEY)


@pytest.mark.parametrize("devices", (1, 2, 8))
def test_multiples_of_the_devices_pass(devices):
    for batch_size in range(1, 33):
        if batch_size % devices == 0:
            parallel.check_batch_size(batch_size, devices)
        else:
            with pytest.raises(UsageError):
                parallel.check_batch_size(batch_size, devices)


@pytest.mark.parametrize("batch_size", (0, -1, -8, 3, 12, 100))
def test_the_refusal_names_two_sizes_that_would_do(batch_size):
    with pytest.raises(UsageError) as refusal:
        parallel.check_batch_size(batch_size, 8)
    words = str(refusal.value)
    assert f"batch_size {batch_size} must be a positive multiple of the 8" in words
    named = [int(n) for n in words.split("such as")[1].strip(" .").split(" or ")]
    assert len(set(named)) == 2
    assert all(n > 0 and n % 8 == 0 for n in named)
    assert min(named) <= max(batch_size, 8) <= max(named)


def test_one_device_takes_any_batch_that_is_not_empty():
    with pytest.raises(UsageError, match="batch_size 0 must be 1 or more"):
        parallel.check_batch_size(0, 1)


def test_a_batch_is_where_it_should_be():
    """Divided along its first axis; states are whole everywhere."""
    mesh = parallel.mesh()
    assert mesh.axis_names == ("data",) and mesh.size == DEVICES
    assert parallel.mesh(jax.devices()[:3]).size == 3
    batch = jax.device_put(jnp.zeros((16, 2)), parallel.divided(mesh))
    assert {s.data.shape for s in batch.addressable_shards} == {(2, 2)}
    steps = jax.device_put(jnp.zeros((3, 16)), parallel.divided(mesh, 1))
    assert {s.data.shape for s in steps.addressable_shards} == {(3, 2)}
    assert parallel.divided(mesh, 1).spec == PartitionSpec(None, "data")
    whole = jax.device_put(jnp.zeros((3, 2)), parallel.replicated(mesh))
    assert {s.data.shape for s in whole.addressable_shards} == {(3, 2)}


def test_sharded_steps_run_on_what_sharded_steps_return():
    """And batches may lie anywhere: on the host, on one device, or divided."""
    state, step = _toy()
    mesh = parallel.mesh(jax.devices()[:4])
    run = parallel.sharded(step, mesh)
    w = 2.0
    for x in (X, jnp.asarray(X), jax.device_put(X, parallel.divided(mesh))):
        state, _ = run(state, {"x": x}, KEY)
        w -= 0.1 * w * np.mean(X**2)
        assert len(state.params["N"]["w"].sharding.device_set) == 4
        np.testing.assert_allclose(state.params["N"]["w"], w, rtol=1e-5)


def test_many_steps_in_one_program_are_the_same():
    """`scan` over steps inside `sharded`, as the loop does it."""
    state, step = _toy()

    def scanned(state, batch, key):
        return lax.scan(lambda s, _: step(s, batch, key), state, None, length=3)

    many, metrics = parallel.sharded(scanned, parallel.mesh())(state, {"x": X}, KEY)
    w = 2 * (1 - 0.1 * np.mean(X**2)) ** np.arange(4)
    np.testing.assert_allclose(many.params["N"]["w"], w[3], rtol=1e-5)
    by_hand = w[:3] ** 2 * np.mean(X**2) / 2
    np.testing.assert_allclose(metrics["loss"].total, by_hand, rtol=1e-5)
    assert many.step == 3


# --- states


def test_replicate_and_unreplicate_are_inverse():
    state = _mlp_gan().init(KEY, {"image": _points()})
    before = _host(state)
    for devices in (None, jax.devices()[:3]):
        copies = parallel.replicate(state, devices)
        n = DEVICES if devices is None else 3
        for leaf, original in zip(*map(jax.tree.leaves, (copies, before)), strict=True):
            assert leaf.shape == (n, *original.shape)
            assert len(leaf.sharding.device_set) == n
            for copy in np.asarray(leaf):
                np.testing.assert_array_equal(copy, original)
        _close(_host(parallel.unreplicate(copies)), before, 0, 0)


def test_replicas_stay_equal_and_the_original_stays_alive():
    """pmapped steps donate the copies, not the state they were made of."""
    state, step = _toy()
    batch, before = {"x": jnp.asarray(X)}, _host(state)
    copies = parallel.replicate(state)
    copies, _ = parallel.pmapped(step)(copies, batch, KEY)
    for leaf in jax.tree.leaves(copies):
        for copy in np.asarray(leaf)[1:]:
            np.testing.assert_array_equal(copy, np.asarray(leaf)[0])
    _close(_host(state), before, 0, 0)
    np.testing.assert_array_equal(batch["x"], X)


@pytest.mark.parametrize("way", ("jitted", "sharded"))
def test_a_donated_state_is_gone_as_a_whole_and_nothing_else_is(way):
    """So that using it by mistake is an error, never a wrong number."""
    (state, step), (other, _) = _toy(), _toy()
    batch, before = {"x": jnp.asarray(X)}, _host(other)
    if way == "jitted":
        run = parallel.jitted(step)
    else:
        run = parallel.sharded(step, parallel.mesh())
    new, _ = run(state, batch, KEY)
    with pytest.raises((RuntimeError, ValueError), match="deleted"):
        run(state, batch, KEY)
    _close(_host(other), before, 0, 0)
    np.testing.assert_array_equal(batch["x"], X)
    assert all(not leaf.is_deleted() for leaf in jax.tree.leaves(new))
    random.uniform(KEY)


@pytest.mark.parametrize(
    "tx", (optax.adam(0.1), optax.contrib.prodigy()), ids=("adam", "prodigy")
)
def test_any_optimizer_s_first_state_can_be_donated(tx):
    """Some optimizers remember the first parameters themselves, in the same buffer."""
    net = _line()
    loss = lambda state, batch, key: (jnp.mean(net(state, batch["x"])), {})  # noqa: E731
    init, step = game((net,), update("N", loss, tx))
    state, _ = parallel.jitted(step)(init(KEY, {"N": ()}), {"x": X}, KEY)
    assert np.isfinite(state.params["N"]["w"])


# --- the mapped axis


def test_outside_of_a_mapped_axis_nothing_is_special():
    assert axis.name() is None
    tree = {"a": jnp.ones(3), "b": Mean.of(2)}
    assert axis.mean(tree) is tree
    np.testing.assert_array_equal(
        axis.draw(random.normal, KEY, (4, 2)), random.normal(KEY, (4, 2))
    )


def test_the_mapped_axis_ends_even_after_an_error():
    with pytest.raises(ZeroDivisionError), axis.mapped("data"):
        assert axis.name() == "data"
        with axis.mapped("inner"):
            assert axis.name() == "inner"
        assert axis.name() == "data"
        raise ZeroDivisionError
    assert axis.name() is None


def test_draws_of_devices_are_slices_of_one_draw():
    def local(x):
        with axis.mapped("data"):
            return axis.draw(random.normal, KEY, x.shape)

    drawn = jax.pmap(local, axis_name="data")(jnp.zeros((DEVICES, 2, 3)))
    np.testing.assert_array_equal(
        np.asarray(drawn).reshape(16, 3), random.normal(KEY, (16, 3))
    )


def test_chains_of_losses_average_their_metrics_over_devices():
    """A per-example metric is the mean over all examples of all devices."""

    def loss(state, batch, key):
        y = _line()(state, batch["x"])
        return jnp.mean(y), {"y": y}

    state, step = _toy(loss, wrap=lambda p: chain(p, p))
    _, metrics = _agree(step, state, {"x": X})
    assert float(metrics["y"].count) == 2
