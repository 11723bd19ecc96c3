"""Networks of Flax NNX, of Equinox and of plain functions, in place of Flax linen's."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen, nnx
from jax import random

from jaxgan import axis, recipes
from jaxgan.models import Net, flax_net, nnx_net, packed, spectral, standing
from jaxgan.phases import refresh
from jaxgan.types import TrainState

KEY = random.key(0)


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(1).normal(1, 2, (8, 3)).astype("float32")


def state_of(net, params, stats):
    return TrainState(jnp.int32(0), {net.name: params}, {net.name: stats}, {}, {}, {})


def largest(matrix):
    return float(np.linalg.svd(np.asarray(matrix), compute_uv=False)[0])


def trained(G, D, shape, steps=3):
    """The state before and after some steps of a GAN of the two."""
    tx = optax.adam(1e-2, 0.5)
    gan = recipes.gan(G, D, latent_dim=2, g_tx=tx, d_tx=tx)
    batch = {"image": random.normal(KEY, (8, *shape))}
    first = state = gan.init(KEY, batch)
    step = jax.jit(gan.step)
    for i in range(steps):
        state, metrics = step(state, batch, random.fold_in(KEY, i))
    assert step._cache_size() == 1
    assert jax.tree.structure(state) == jax.tree.structure(first)
    assert all(np.isfinite(m.value()) for m in metrics.values())
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state.params))
    for name in "GD":
        moved = jax.tree.map(np.array_equal, state.params[name], first.params[name])
        assert not any(jax.tree.leaves(moved))
    return gan, first, state


# --- Flax NNX


class Plain(nnx.Module):
    """Two dense layers in a list, with a BatchNorm between."""

    def __init__(self, rngs, inputs=3, outputs=2):
        layers = [nnx.Linear(inputs, 4, rngs=rngs), nnx.Linear(4, outputs, rngs=rngs)]
        self.layers = nnx.List(layers) if hasattr(nnx, "List") else layers
        self.norm = nnx.BatchNorm(4, momentum=0.75, epsilon=1e-5, rngs=rngs)

    def __call__(self, x):
        first, last = self.layers
        return last(jnp.tanh(self.norm(first(x))))


def by_hand(params, x, mean=None, var=None):
    """`Plain` in numpy, in float64; and what BatchNorm is given."""
    x = np.asarray(x, "float64")
    p = jax.tree.map(partial(np.asarray, dtype="float64"), params)
    first, last = p["layers"]["0"], p["layers"]["1"]
    h = x @ first["kernel"] + first["bias"]
    moments = (h.mean(0), h.var(0)) if mean is None else (mean, var)
    mean, var = map(np.asarray, moments)
    y = (h - mean) / np.sqrt(var + 1e-5) * p["norm"]["scale"] + p["norm"]["bias"]
    return np.tanh(y) @ last["kernel"] + last["bias"], h


@pytest.fixture(scope="module")
def plain(x):
    net = nnx_net("N", Plain)
    return net, *net.init(KEY, x)


def test_an_nnx_module_becomes_nested_dicts_of_arrays(plain):
    _, params, stats = plain
    dense = lambda n, m: {"bias": (m,), "kernel": (n, m)}  # noqa: E731
    assert jax.tree.map(jnp.shape, params) == {
        "layers": {"0": dense(3, 4), "1": dense(4, 2)},
        "norm": {"bias": (4,), "scale": (4,)},
    }
    assert jax.tree.map(jnp.shape, stats) == {
        "batch_stats": {"norm": {"mean": (4,), "var": (4,)}}
    }
    leaves = jax.tree.leaves((params, stats))
    assert all(isinstance(leaf, jax.Array) for leaf in leaves)


def test_first_weights_depend_on_the_key(plain, x):
    net, params, _ = plain
    for key, same in ((KEY, True), (random.key(1), False)):
        kernel = net.init(key, x)[0]["layers"]["0"]["kernel"]
        assert np.array_equal(kernel, params["layers"]["0"]["kernel"]) == same


def test_an_nnx_network_computes_what_numpy_computes(plain, x):
    net, params, stats = plain
    expected, h = by_hand(params, x)
    got, new = net.apply(params, stats, x)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
    averages = new["batch_stats"]["norm"]
    np.testing.assert_allclose(averages["mean"], 0.25 * h.mean(0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(averages["var"], 0.75 + 0.25 * h.var(0), rtol=1e-4)
    expected, _ = by_hand(params, x, averages["mean"], averages["var"])
    got, same = net.apply(params, new, x, train=False)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
    assert same is new


def test_a_pass_mutates_nothing(plain, x):
    net, params, stats = plain
    state = state_of(net, params, stats)
    before = jax.tree.map(np.array, state)
    first = net(state, x)
    np.testing.assert_array_equal(net(state, x), first)
    jax.tree.map(np.testing.assert_array_equal, before, state)


def test_an_nnx_network_can_be_transformed(plain, x):
    net, params, stats = plain

    def loss(params, x):
        return (net.apply(params, stats, x)[0] ** 2).sum()

    expected, _ = by_hand(params, x)
    got = jax.jit(loss)(params, x)
    np.testing.assert_allclose(got, (expected**2).sum(), rtol=1e-4)
    xs = jnp.stack([x, 2 * x])
    many = jax.jit(jax.vmap(loss, (None, 0)))(params, xs)
    alone = [(by_hand(params, each)[0] ** 2).sum() for each in (x, 2 * x)]
    np.testing.assert_allclose(many, alone, rtol=1e-4)
    # The gradient by the last bias is of 2 Σ y.
    grads = jax.jit(jax.grad(loss))(params, x)
    np.testing.assert_allclose(
        grads["layers"]["1"]["bias"], 2 * expected.sum(0), rtol=1e-3, atol=1e-4
    )
    penalty = lambda x: (jax.grad(loss, 1)(params, x) ** 2).sum()  # noqa: E731
    assert (jax.jit(jax.grad(penalty))(x) != 0).all()

    def once(stats, x):
        return net.apply(params, stats, x)[1], None

    after, _ = jax.lax.scan(once, stats, xs)
    h = [by_hand(params, each)[1].mean(0) for each in (x, 2 * x)]
    mean = 0.25 * (0.75 * h[0] + h[1])
    np.testing.assert_allclose(
        after["batch_stats"]["norm"]["mean"], mean, rtol=1e-4, atol=1e-5
    )


def test_batch_norm_of_nnx_sees_the_batch_of_all_devices(plain, x):
    net, params, stats = plain

    def share(x):
        with axis.mapped("data"):
            return net.apply(params, stats, x)

    outputs, new = jax.pmap(share, "data")(x.reshape(2, 4, 3))
    expected, h = by_hand(params, x)
    np.testing.assert_allclose(outputs.reshape(8, 2), expected, rtol=1e-4, atol=1e-5)
    for mean in new["batch_stats"]["norm"]["mean"]:
        np.testing.assert_allclose(mean, 0.25 * h.mean(0), rtol=1e-4, atol=1e-5)


class Noisy(nnx.Module):
    """Two masks of Dropout, for inputs of ones."""

    def __init__(self, rngs):
        self.first = nnx.Dropout(0.5, rngs=rngs)
        self.second = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x):
        return self.first(x), self.second(x)


def test_keys_of_nnx_s_dropout_come_from_the_caller():
    net, ones = nnx_net("N", Noisy), jnp.ones((1, 500))
    params, stats = net.init(KEY, ones)
    assert params == {} and stats == {}  # no keys, and no counts
    state = state_of(net, params, stats)
    masks = [net(state, ones, rngs={"dropout": random.key(i)}) for i in (1, 2, 1)]
    jax.tree.map(np.testing.assert_array_equal, masks[0], masks[2])
    for mask in masks[0]:
        assert set(np.unique(mask)) == {0, 2} and 0.4 < (mask > 0).mean() < 0.6
    # Any two of the four are independent: equal at about half of the places.
    four = np.stack([*masks[0], *masks[1]]).reshape(4, -1)
    equal = (four[:, None] == four).mean(-1)[np.triu_indices(4, 1)]
    assert (abs(equal - 0.5) < 0.1).all()
    for mask in net(state, ones, train=False):
        np.testing.assert_array_equal(mask, ones)
    with pytest.raises(
        ValueError, match=r"'N' draws .* 'dropout'; .* rngs=\{'dropout'"
    ):
        net(state, ones)
    with pytest.raises(ValueError, match="'N' draws from the stream 'dropout'"):
        jax.jit(partial(net, rngs={"noise": KEY}))(state, ones)


class Told(nnx.Module):
    """Wants to know whether it is trained; counts, and holds what is not trained."""

    def __init__(self, rngs):
        self.w = nnx.Param(jnp.ones(2))
        self.unused = nnx.Param(None)
        self.calls = nnx.Variable(jnp.int32(0))
        self.kept = nnx.Cache(jnp.full(2, 3.0))

    def __call__(self, x, train: bool = True):
        self.calls[...] = self.calls[...] + 1
        return x * self.w[...] + (self.kept[...] if train else 0)


def test_train_is_given_to_those_who_ask_and_all_variables_are_kept():
    net = nnx_net("N", Told)
    params, stats = net.init(KEY)
    assert {*params} == {"w"} and len(stats) == 2
    (cached,) = (stats[name]["kept"] for name in stats if "kept" in stats[name])
    np.testing.assert_array_equal(cached, 3)
    got, new = net.apply(params, stats, jnp.ones(2))
    np.testing.assert_array_equal(got, 4)
    assert jax.tree.structure(new) == jax.tree.structure(stats)
    assert sum(float(leaf.sum()) for leaf in jax.tree.leaves(new)) == 1 + 3 + 3
    got, _ = net.apply(params, stats, jnp.ones(2), train=False)
    np.testing.assert_array_equal(got, 1)


def test_standing_statistics_of_an_nnx_network(plain, x):
    """Of one batch again and again, they are the batch's."""
    net, params, stats = plain
    settled = jax.jit(lambda: standing(net, params, stats, lambda i: (x,), 4))()
    _, h = by_hand(params, x)
    averages = settled["batch_stats"]["norm"]
    np.testing.assert_allclose(averages["mean"], h.mean(0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(averages["var"], h.var(0), rtol=1e-4)


def test_spectral_norm_of_an_nnx_network_is_carried_by_refresh(x):
    net = spectral.normalized(nnx_net("N", Plain))
    params, stats = net.init(KEY, x)
    assert jax.tree.map(jnp.shape, stats["spectral"]) == {
        "layers": {"0": {"kernel": (4,)}, "1": {"kernel": (2,)}}
    }
    state = state_of(net, params, stats)
    step = jax.jit(refresh(net, lambda state, batch, key: (x,), "spectral").step)
    for _ in range(100):
        state, _ = step(state, {}, KEY)
    jax.tree.map(
        np.testing.assert_array_equal,
        state.stats["N"]["batch_stats"],
        stats["batch_stats"],
    )
    divided = jax.tree.map(np.array, params)
    for layer in divided["layers"].values():
        layer["kernel"] = layer["kernel"] / largest(layer["kernel"])
    expected, _ = by_hand(divided, x)
    np.testing.assert_allclose(net(state, x), expected, rtol=1e-3, atol=1e-4)


def test_a_gan_of_nnx_networks():
    G = nnx_net("G", partial(Plain, inputs=2, outputs=3))

    class Critic(Plain):
        def __call__(self, x):
            return super().__call__(x)[:, 0]

    D = spectral.normalized(nnx_net("D", partial(Critic, outputs=1)))
    gan, first, state = trained(G, D, (3,))
    moved = jax.tree.map(
        np.array_equal, state.stats["D"]["spectral"], first.stats["D"]["spectral"]
    )
    assert moved["layers"]["0"] == {"kernel": False}
    settled = gan.settle(state, KEY)
    z = random.normal(KEY, (4, 2))
    averages = settled.stats["G"]["batch_stats"]["norm"]
    expected, _ = by_hand(state.ema["G"], z, averages["mean"], averages["var"])
    sample = gan.draws["sample"].run
    got = sample(settled, (z,), KEY)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(sample(state, (z,), KEY), expected, rtol=1e-2)


# --- Equinox


def eqx_net(name, make):
    """As README has it: a network of an Equinox module of one example."""
    static = eqx.partition(make(KEY), eqx.is_inexact_array)[1]

    def init(key, *inputs):
        return eqx.filter(make(key), eqx.is_inexact_array), {}

    def apply(params, stats, *inputs, train=True):
        return jax.vmap(eqx.combine(params, static))(*inputs), stats

    return Net(name, init, apply)


def images(key):
    one, other = random.split(key)
    return eqx.nn.Sequential(
        [
            eqx.nn.Linear(2, 4 * 3 * 3, key=one),
            eqx.nn.Lambda(lambda x: x.reshape(4, 3, 3)),
            eqx.nn.GroupNorm(2, 4),
            eqx.nn.Lambda(jnp.tanh),
            eqx.nn.ConvTranspose2d(4, 1, 4, 2, padding=1, key=other),
            eqx.nn.Lambda(lambda x: x.transpose(1, 2, 0)),
        ]
    )


def logits(key):
    one, other = random.split(key)
    return eqx.nn.Sequential(
        [
            eqx.nn.Lambda(lambda x: x.transpose(2, 0, 1)),
            eqx.nn.Conv2d(1, 4, (3, 2), 2, key=one),
            eqx.nn.Lambda(jnp.tanh),
            eqx.nn.Lambda(jnp.ravel),
            eqx.nn.Linear(4 * 2 * 3, "scalar", key=other),
        ]
    )


WEIGHTS = {"names": ("weight",), "outputs": 0}
"""What Equinox calls a kernel, and where its outputs are."""


def test_spectral_norm_of_an_equinox_network():
    net = spectral.normalized(eqx_net("D", logits), **WEIGHTS)
    x = random.normal(KEY, (5, 6, 6, 1))
    params, stats = net.init(KEY, x)
    assert jax.tree.map(jnp.shape, stats["spectral"]) == {
        "layers": {"1": {"weight": (4,)}, "4": {"weight": (1,)}}
    }
    advance = jax.jit(lambda stats: net.apply(params, stats, x)[1])
    for _ in range(100):
        stats = advance(stats)
    weights = lambda m: (m.layers[1].weight, m.layers[4].weight)  # noqa: E731
    normed = [w / largest(w.reshape(len(w), -1)) for w in weights(params)]
    static = eqx.partition(logits(KEY), eqx.is_inexact_array)[1]
    whole = eqx.combine(eqx.tree_at(weights, params, normed), static)
    got, same = net.apply(params, stats, x, train=False)
    np.testing.assert_allclose(got, jax.vmap(whole)(x), rtol=1e-3, atol=1e-4)
    assert same["spectral"] is stats["spectral"]


def test_spectral_norm_refuses_a_network_without_kernels():
    x = jnp.zeros((1, 6, 6, 1))
    says = "'D' has no .* called kernel or embedding; .* called bias, weight: give"
    with pytest.raises(ValueError, match=says):
        spectral.normalized(eqx_net("D", logits)).init(KEY, x)
    # A bias is of one axis, and no kernel by whatever name.
    with pytest.raises(ValueError, match=r"'D' has .* called scale"):
        bias = flax_net("D", linen.LayerNorm())
        spectral.normalized(bias, names=("scale",)).init(KEY, jnp.zeros((1, 3)))


def test_a_gan_of_equinox_networks():
    G, D = eqx_net("G", images), eqx_net("D", logits)
    gan, _, state = trained(G, spectral.normalized(D, **WEIGHTS), (6, 6, 1))
    z = random.normal(KEY, (4, 2))
    static = eqx.partition(images(KEY), eqx.is_inexact_array)[1]
    expected = jax.vmap(eqx.combine(state.ema["G"], static))(z)
    found = gan.draws["sample"].run(state, (z,), KEY)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert gan.settle(state, KEY).stats["G"] == {}


# --- plain functions


def centered(averages=None, decay=0.5):
    """A network that takes away the mean, and averages it under a name of its own."""

    def init(key, x):
        first = {"mu": jnp.zeros(x.shape[-1]), "calls": jnp.int32(0)}
        return {"w": jnp.ones(x.shape[-1])}, {"moments": first, "fixed": jnp.ones(2)}

    def apply(params, stats, x, train=True):
        now, mean = stats["moments"], x.mean(0) if train else stats["moments"]["mu"]
        y = (x - mean[None]) * params["w"][None]
        mu = decay * now["mu"] + (1 - decay) * mean
        new = {"mu": mu, "calls": now["calls"] + 1}
        return y, stats | {"moments": new} if train else stats

    return Net("N", init, apply, averages)


def test_standing_refuses_what_it_cannot_tell_apart(x):
    net = centered()
    params, stats = net.init(KEY, x)
    says = "a pass of 'N' changes moments/calls, moments/mu; name .* `averages`, \\(\\)"
    with pytest.raises(ValueError, match=says):
        standing(net, params, stats, lambda i: (x,))

    class Counted(linen.Module):
        @linen.compact
        def __call__(self, x, train: bool = True):
            n = self.variable("calls", "n", lambda: jnp.int32(0))
            n.value += 1
            return linen.BatchNorm(use_running_average=not train)(x)

    net = flax_net("N", Counted())
    with pytest.raises(ValueError, match="changes calls/n; name"):
        standing(net, *net.init(KEY, x), lambda i: (x,))


def test_standing_refuses_averages_of_other_names_among_flax_s(x):
    net = centered()
    inside = lambda stats: {"batch_stats": stats["moments"]}  # noqa: E731
    other = Net(
        "N",
        lambda key, x: (net.init(key, x)[0], inside(net.init(key, x)[1])),
        lambda params, stats, x, train=True: (
            x,
            inside(net.apply(params, {"moments": stats["batch_stats"]}, x)[1]),
        ),
    )
    with pytest.raises(ValueError, match="changes batch_stats/calls, batch_stats/mu"):
        standing(other, *other.init(KEY, x), lambda i: (x,))


def test_standing_gathers_averages_that_a_network_names(x):
    net = centered(("mu",))
    params, stats = net.init(KEY, x)
    stats["moments"]["mu"] = jnp.full(3, 7.0)
    batches = jnp.stack([x, 3 * x])
    settled = standing(net, params, stats, lambda i: (batches[i],), 2)
    # Weights of a half and a quarter, to a sum of 1.
    expected = (x.mean(0) + 2 * 3 * x.mean(0)) / 3
    np.testing.assert_allclose(settled["moments"]["mu"], expected, rtol=1e-5)
    assert settled["moments"]["calls"] == 0
    untouched = standing(centered(()), params, stats, lambda i: (x,))
    assert untouched is stats


def test_what_a_network_names_outlives_what_is_made_of_it():
    net = centered(("mu",))
    assert packed(net, 2).averages == ("mu",)
    assert spectral.normalized(net, names=("w",)).averages == ("mu",)


def test_standing_leaves_the_vectors_of_spectral_norm(x):
    """Even where an average is called as a kernel is."""

    def init(key, x):
        return {"w": random.normal(key, (3, 3))}, {"mine": {"w": jnp.zeros(3)}}

    def apply(params, stats, x, train=True):
        new = {"w": 0.5 * stats["mine"]["w"] + 0.5 * x.mean(0)}
        return x @ params["w"], {"mine": new if train else stats["mine"]}

    net = spectral.normalized(Net("N", init, apply, ("w",)), names=("w",))
    params, stats = net.init(KEY, x)
    settled = standing(net, params, stats, lambda i: (x,), 3)
    np.testing.assert_array_equal(settled["spectral"]["w"], stats["spectral"]["w"])
    np.testing.assert_allclose(settled["mine"]["w"], x.mean(0), rtol=1e-5)


def test_kernels_of_plain_functions_may_be_in_lists(x):
    def init(key, x):
        return [(random.normal(key, (3, 4)), jnp.ones(4))], {}

    def apply(params, stats, x, train=True):
        ((w, b),) = params
        return x @ w + b[None], stats

    net = spectral.normalized(Net("N", init, apply), names=("0",))
    params, stats = net.init(KEY, x)
    assert stats["spectral"]["0"]["0"].shape == (4,)
    for _ in range(100):
        _, stats = net.apply(params, stats, x)
    ((w, b),) = params
    expected = x @ (np.array(w) / largest(w)) + np.array(b)
    np.testing.assert_allclose(net.apply(params, stats, x)[0], expected, rtol=1e-4)
