"""Networks: shapes, sizes and first weights; flax modules as pure functions."""

import itertools
import math
from functools import partial

import jax
import jax.experimental
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from flax import linen as nn
from jax import random

from jaxgan.models import Net, dcgan, flax_net, layers, mlp, standing
from jaxgan.phases import game, refresh, update
from jaxgan.types import TrainState, UsageError

KEY = random.key(0)


def _shapes(module, *inputs):
    """Of the outputs and of the variables, without computing anything."""
    return jax.eval_shape(
        lambda *inputs: module.init_with_output(KEY, *inputs), *inputs
    )


def _zeros(*shape, dtype="float32"):
    return jax.ShapeDtypeStruct(shape, dtype)


def _count(variables):
    return sum(math.prod(p.shape) for p in jax.tree.leaves(variables["params"]))


def _leaves(variables, name):
    """All parameters of a name, as one numpy vector."""
    found = [
        np.asarray(leaf).ravel()
        for path, leaf in jax.tree_util.tree_leaves_with_path(variables["params"])
        if path[-1].key == name
    ]
    return np.concatenate(found)


def _state(net, params, stats):
    return TrainState(jnp.int32(0), {net.name: params}, {net.name: stats}, {}, {}, {})


def _started(module, *inputs, name="N"):
    net = flax_net(name, module)
    return net, _state(net, *net.init(KEY, *inputs))


# --- DCGAN

# (H, W), base -> D's stages below the image, as the paper and the README say
STAGES = {
    ((28, 28), 4): [(14, 14), (7, 7), (4, 4)],
    ((28, 28), 7): [(14, 14), (7, 7)],
    ((32, 32), 4): [(16, 16), (8, 8), (4, 4)],
    ((64, 64), 4): [(32, 32), (16, 16), (8, 8), (4, 4)],
    ((128, 128), 4): [(64, 64), (32, 32), (16, 16), (8, 8), (4, 4)],
    ((8, 8), 4): [(4, 4)],
    ((5, 5), 4): [(3, 3)],
    ((30, 45), 4): [(15, 23), (8, 12), (4, 6)],
}


@pytest.mark.parametrize(("shape", "base"), STAGES, ids=str)
@pytest.mark.parametrize("channels", (1, 3))
@pytest.mark.parametrize("num_classes", (0, 10))
def test_dcgan_s_shapes_and_parameters(shape, base, channels, num_classes):
    """Parameters counted by hand, layer by layer."""
    stages = STAGES[shape, base]
    assert dcgan.stages(shape, base) == [shape, *stages]
    width, z, batch = 16, 20, 3
    G, D = dcgan.networks((*shape, channels), width, num_classes, base=base)
    label = (_zeros(batch, dtype="int32"),) if num_classes else ()
    pixels = math.prod(stages[-1])

    images, variables = _shapes(G, _zeros(batch, z), *label)
    assert images.shape == (batch, *shape, channels)
    c = width * 2 ** (len(stages) - 1)
    expected = (z + num_classes) * pixels * c + 2 * c
    for _ in stages[1:]:
        expected += 4 * 4 * c * (c // 2) + 2 * (c // 2)
        c //= 2
    assert c == width
    assert _count(variables) == expected + 4 * 4 * c * channels + channels

    logits, variables = _shapes(D, images, *label)
    assert logits.shape == (batch,)
    seen = channels + (1 if num_classes else 0)
    expected = num_classes * math.prod(shape) + 4 * 4 * seen * width + width
    c = width
    for _ in stages[1:]:
        expected += 4 * 4 * c * (2 * c) + 2 * (2 * c)
        c *= 2
    assert _count(variables) == expected + pixels * c + 1


def test_dcgan_at_64_has_as_many_parameters_as_pytorch_s_example():
    """pytorch/examples/dcgan: 3,576,704 and 2,765,568, there without any bias."""
    G, D = dcgan.networks((64, 64, 3))
    images, variables = _shapes(G, _zeros(1, 100))
    assert _count(variables) == 3_576_704 + 3
    assert _count(_shapes(D, images)[1]) == 2_765_568 + 64 + 1


@pytest.mark.parametrize("h, w, base", ((4, 4, 4), (28, 3, 4), (0, 28, 4), (7, 9, 7)))
def test_dcgan_names_the_sizes_it_can_draw(h, w, base):
    says = f"^base {base} is for images .* wider than {base}, not {h}x{w}; .*`resize`"
    with pytest.raises(UsageError, match=says):
        dcgan.networks((h, w, 3), base=base)
    with pytest.raises(UsageError, match=says):
        _shapes(dcgan.Generator((h, w, 1), base=base), _zeros(1, 8))
    with pytest.raises(UsageError, match=says):
        _shapes(dcgan.Discriminator(base=base), _zeros(1, h, w, 1))


@pytest.fixture(scope="module")
def small_dcgan():
    """Both networks at 28x28, narrow, with their first variables."""
    G, D = dcgan.networks((28, 28, 1), 16, 10)
    z, label = random.normal(KEY, (6, 8)), jnp.arange(6)
    images, g = jax.jit(G.init_with_output)(KEY, z, label)
    d = jax.jit(D.init)(random.key(1), images, label)
    sample = jax.jit(partial(G.apply, train=False))
    judge = jax.jit(partial(D.apply, train=False))
    return sample, judge, g, d, z, label, images


def test_images_are_in_minus_1_to_1_and_use_the_range(small_dcgan):
    sample, _, g, _, z, label, images = small_dcgan
    assert images.dtype == jnp.float32 and jnp.abs(images).max() <= 1
    loud = jax.tree.map(lambda w: 30 * w, g["params"])
    images = sample(g | {"params": loud}, z, label)
    assert jnp.abs(images).max() > 0.9 and jnp.abs(images).max() <= 1


def test_dcgan_s_first_weights_are_normal_of_deviation_002(small_dcgan):
    for variables in small_dcgan[2:4]:
        kernels = _leaves(variables, "kernel")
        n = len(kernels)
        assert abs(kernels.mean()) < 5 * 0.02 / math.sqrt(n)
        assert abs(kernels.std() / 0.02 - 1) < 5 / math.sqrt(2 * n)
        # Not truncated: of n normals the largest is near √(2 ln n) deviations.
        assert np.abs(kernels).max() > 0.02 * 0.8 * math.sqrt(2 * math.log(n))
        scales = _leaves(variables, "scale")
        n = len(scales)
        assert abs(scales.mean() - 1) < 5 * 0.02 / math.sqrt(n)
        assert abs(scales.std() / 0.02 - 1) < 5 / math.sqrt(2 * n)
        np.testing.assert_array_equal(_leaves(variables, "bias"), 0)


def test_no_two_layers_start_alike(small_dcgan):
    kernels = [
        np.asarray(leaf).ravel()[:200]
        for variables in small_dcgan[2:4]
        for leaf in jax.tree.leaves(variables["params"])
        if leaf.size > 200
    ]
    correlations = np.abs(np.corrcoef(kernels) - np.eye(len(kernels)))
    assert len(kernels) >= 6 and correlations.max() < 0.5


def test_both_networks_look_at_the_label(small_dcgan):
    sample, judge, g, d, z, label, images = small_dcgan
    other = (label + 1) % 10
    moved = np.asarray(sample(g, z, other) - sample(g, z, label))
    assert (np.abs(moved).max((1, 2, 3)) > 1e-6).all()
    moved = np.asarray(judge(d, images, other) - judge(d, images, label))
    assert (np.abs(moved) > 1e-7).all()


def test_batch_norm_sees_the_batch_in_training_only(small_dcgan):
    """G's images of a repeated batch: the same statistics; of a part: others."""
    sample, _, g, _, z, label, images = small_dcgan
    part = sample(g, jnp.tile(z[:2], (3, 1)), jnp.tile(label[:2], 3))
    np.testing.assert_allclose(part[:2], sample(g, z, label)[:2], atol=1e-5)
    train = jax.jit(
        partial(dcgan.Generator((28, 28, 1), 16, 10).apply, mutable=["batch_stats"])
    )
    alone, _ = train(g, jnp.tile(z[:2], (3, 1)), jnp.tile(label[:2], 3))
    assert jnp.abs(alone[:2] - images[:2]).max() > 1e-4


@pytest.mark.parametrize("family", ("dcgan", "mlp"))
def test_bfloat16_is_for_activations_only(family):
    """Parameters, averages, images and logits stay float32; layers run in bfloat16."""
    # flax's BatchNorm mixes dtypes; nothing here does.
    with jax.numpy_dtype_promotion("standard" if family == "dcgan" else "strict"):
        _check_bfloat16(family)


def _check_bfloat16(family):
    if family == "dcgan":
        G, D = dcgan.networks((28, 28, 1), 4, 3, jnp.bfloat16)
    else:
        G = mlp.Generator((28, 28, 1), (8, 8), 3, dtype=jnp.bfloat16)
        D = mlp.Discriminator((8, 8), 3, dtype=jnp.bfloat16)
    label = _zeros(2, dtype="int32")
    images, g = _shapes(G, _zeros(2, 8), label)
    logits, d = _shapes(D, images, label)
    for leaf in jax.tree.leaves((images, logits, g, d)):
        assert leaf.dtype == jnp.float32
    for module, variables, x in ((G, g, _zeros(2, 8)), (D, d, images)):
        sample = lambda *args: module.apply(*args, train=False)  # noqa: B023, E731
        sample = sample if family == "dcgan" else module.apply
        text = str(jax.make_jaxpr(sample)(variables, x, label))
        heavy = [
            line
            for line in text.splitlines()
            if "= dot_general" in line or "= jaxgan_conv" in line
        ]
        assert len(heavy) >= 3
        assert all(":bf16" in line.split("=")[0] for line in heavy)


# --- MLP


def test_mlp_is_the_classic_one():
    """100→256→512→1024→784 and 784→512→256→1: 1,486,352 and 533,505 parameters."""
    images, g = _shapes(mlp.Generator(), _zeros(5, 100))
    assert images.shape == (5, 28, 28, 1) and images.dtype == jnp.float32
    logits, d = _shapes(mlp.Discriminator(), images)
    assert logits.shape == (5,) and logits.dtype == jnp.float32
    for sizes, variables in (
        ((100, 256, 512, 1024, 784), g),
        ((784, 512, 256, 1), d),
    ):
        by_hand = sum((a + 1) * b for a, b in itertools.pairwise(sizes))
        assert _count(variables) == by_hand
    assert (_count(g), _count(d)) == (1_486_352, 533_505)


def test_mlp_computes_what_numpy_computes():
    G = mlp.Generator((2, 2), (5, 4), num_classes=3, output=jnp.tanh)
    z, label = random.normal(KEY, (3, 6)), jnp.array([2, 0, 1])
    images, variables = jax.jit(G.init_with_output)(KEY, z, label)
    p = jax.tree.map(np.asarray, variables["params"])
    x = np.concatenate([z, np.eye(3)[label]], 1)
    for i in range(2):
        x = x @ p[f"Dense_{i}"]["kernel"] + p[f"Dense_{i}"]["bias"]
        x = np.where(x > 0, x, 0.2 * x)
    x = np.tanh(x @ p["Dense_2"]["kernel"] + p["Dense_2"]["bias"]).reshape(3, 2, 2)
    np.testing.assert_allclose(images, x, rtol=1e-4, atol=1e-5)

    D = mlp.Discriminator((5,), num_classes=3)
    logits, variables = jax.jit(D.init_with_output)(KEY, images, label)
    p = jax.tree.map(np.asarray, variables["params"])
    x = np.concatenate([x.reshape(3, 4), np.eye(3)[label]], 1)
    x = x @ p["Dense_0"]["kernel"] + p["Dense_0"]["bias"]
    x = np.where(x > 0, x, 0.2 * x) @ p["Dense_1"]["kernel"] + p["Dense_1"]["bias"]
    np.testing.assert_allclose(logits, x[:, 0], rtol=1e-4, atol=1e-5)


def test_mlp_takes_any_shape_and_output():
    images, _ = _shapes(mlp.Generator((2,), (4,), output=lambda x: x), _zeros(3, 5))
    assert images.shape == (3, 2)
    logits, _ = _shapes(mlp.Discriminator((4,)), _zeros(3, 2))
    assert logits.shape == (3,)


# --- layers


def test_conv_transpose_is_torch_s_with_the_same_weights():
    x = np.random.default_rng(0).normal(size=(2, 5, 4, 3)).astype("float32")
    layer = layers.ConvTranspose(6, (4, 4), (2, 2), padding=1)
    y, variables = jax.jit(layer.init_with_output)(KEY, x)
    bias = np.linspace(-1, 1, 6, dtype="float32")
    variables["params"]["bias"] = jnp.asarray(bias)
    twin = torch.nn.ConvTranspose2d(3, 6, 4, 2, 1)
    kernel = np.asarray(variables["params"]["kernel"])  # [kh, kw, out, in]
    with torch.no_grad():
        twin.weight.copy_(torch.tensor(kernel.transpose(3, 2, 0, 1)))
        twin.bias.copy_(torch.tensor(bias))
        expected = twin(torch.tensor(x.transpose(0, 3, 1, 2))).permute(0, 2, 3, 1)
    assert y.shape == (2, 10, 8, 6)
    np.testing.assert_allclose(layer.apply(variables, x), expected, atol=1e-5)
    same = layers.ConvTranspose(6, (4, 4), (2, 2)).apply(variables, x)
    np.testing.assert_allclose(same, expected, atol=1e-5)


def test_conv_transpose_starts_with_the_variance_of_its_inputs():
    """lecun_normal: a variance of 1 / (kh kw C_in)."""
    layer = layers.ConvTranspose(64, (4, 4))
    variables = jax.jit(layer.init)(KEY, jnp.zeros((1, 2, 2, 32)))
    kernel = np.asarray(variables["params"]["kernel"])
    assert kernel.shape == (4, 4, 64, 32)
    np.testing.assert_allclose(kernel.std(), (4 * 4 * 32) ** -0.5, rtol=0.02)
    assert set(variables["params"]) == {"kernel", "bias"}
    bare = layers.ConvTranspose(4, (2, 2), use_bias=False)
    assert set(_shapes(bare, _zeros(1, 2, 2, 1))[1]["params"]) == {"kernel"}


class _Norm(nn.Module):
    """BatchNorm alone; `jaxgan`'s, or flax's own with another momentum."""

    momentum: float | None = None

    @nn.compact
    def __call__(self, x, train: bool = True):
        if self.momentum is None:
            return layers.batch_norm(train)(x)
        return nn.BatchNorm(
            use_running_average=not train, momentum=self.momentum, epsilon=1e-5
        )(x)


def test_batch_norm_is_torch_s():
    x = np.random.default_rng(0).normal(2, 3, (4, 5, 6, 3)).astype("float32")
    net, state = _started(_Norm(), x)
    twin = torch.nn.BatchNorm2d(3)
    t = torch.tensor(x.transpose(0, 3, 1, 2))
    expected = twin(t).detach().permute(0, 2, 3, 1)
    np.testing.assert_allclose(net(state, x), expected, atol=1e-4)
    new = net.apply(state.params["N"], state.stats["N"], x)[1]
    averages = new["batch_stats"]["BatchNorm_0"]
    np.testing.assert_allclose(averages["mean"], twin.running_mean, rtol=1e-4)
    # torch's average is of the unbiased variance.
    n = x.size // 3
    np.testing.assert_allclose(
        averages["var"], 0.9 + (twin.running_var.numpy() - 0.9) * (n - 1) / n, rtol=1e-4
    )


# --- Net


class _NeedsTrain(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        return nn.BatchNorm(use_running_average=not train)(x)


class _NamesTrain(nn.Module):
    @nn.compact
    def __call__(self, x, *, train=True):
        return nn.BatchNorm(use_running_average=not train)(x)


class _Spectral(nn.Module):
    @nn.compact
    def __call__(self, x, train: bool = True):
        return nn.SpectralNorm(nn.Dense(5))(x, update_stats=train)


class _Dropout(nn.Module):
    @nn.compact
    def __call__(self, x, train: bool = True):
        return nn.Dropout(0.5, deterministic=not train)(nn.Dense(50)(x))


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(1).normal(1, 2, (7, 3)).astype("float32")


def test_a_module_without_train_is_the_same_in_training_and_sampling(x):
    net, state = _started(nn.Sequential([nn.Dense(4), nn.relu]), x)
    p = state.params["N"]["layers_0"]
    expected = np.maximum(x @ np.asarray(p["kernel"]) + np.asarray(p["bias"]), 0)
    for train in (True, False):
        np.testing.assert_allclose(net(state, x, train=train), expected, atol=1e-5)
    assert state.stats["N"] == {}


@pytest.mark.parametrize("module", (_NeedsTrain(), _NamesTrain(), _Norm(0.9)), ids=str)
def test_train_may_have_a_default_or_not_and_be_keyword_only(module, x):
    net, state = _started(module, x)
    normal = (x - x.mean(0)) / x.std(0)
    np.testing.assert_allclose(net(state, x), normal, atol=1e-3)
    # The averages are still mean 0 and variance 1.
    np.testing.assert_allclose(net(state, x, train=False), x, atol=1e-4)


def test_calling_a_network_leaves_the_state_alone_and_apply_returns_the_new(x):
    net, state = _started(_Norm(0.75), x)
    before = jax.tree.map(np.asarray, state.stats)
    net(state, x)
    jax.tree.map(np.testing.assert_array_equal, before, state.stats)
    _, new = net.apply(state.params["N"], state.stats["N"], x)
    np.testing.assert_allclose(
        new["batch_stats"]["BatchNorm_0"]["mean"], 0.25 * x.mean(0), rtol=1e-5
    )
    _, same = net.apply(state.params["N"], state.stats["N"], x, train=False)
    jax.tree.map(np.testing.assert_array_equal, before["N"], same)


def test_a_network_takes_several_inputs_of_any_dtype():
    G = dcgan.Generator((8, 8, 1), 4, num_classes=3)
    net = flax_net("G", G)
    z, label = jnp.ones((2, 5)), jnp.array([0, 2])
    params, stats = net.init(KEY, _zeros(2, 5), _zeros(2, dtype="int32"))
    state = _state(net, params, stats)
    images = jax.eval_shape(lambda *inputs: net(state, *inputs), z, label)
    assert images.shape == (2, 8, 8, 1)


def test_spectral_norm_advances_by_refresh_and_ends_at_the_largest_singular_value(x):
    net = flax_net("D", _Spectral())
    loss = lambda state, batch, key: (net(state, batch["x"]).mean(), {})  # noqa: E731
    init, step = game(
        (net,),
        refresh(net, lambda state, batch, key: (batch["x"],)),
        update("D", loss, optax.sgd(0.0)),
    )
    state = init(KEY, {"D": (x,)})
    first = state.stats["D"]
    step = jax.jit(step)
    for _ in range(50):
        state, _ = step(state, {"x": x}, KEY)
    dense = state.params["D"]["Dense_0"]
    kernel = np.asarray(dense["kernel"])
    largest = np.linalg.svd(kernel)[1][0]
    stats = state.stats["D"]["batch_stats"]["SpectralNorm_0"]
    np.testing.assert_allclose(stats["Dense_0/kernel/sigma"], largest, rtol=1e-4)
    expected = x @ kernel / largest + np.asarray(dense["bias"])
    np.testing.assert_allclose(net(state, x, train=False), expected, atol=1e-3)
    assert jax.tree.structure(first) == jax.tree.structure(state.stats["D"])


def test_dropout_is_given_its_keys_in_training(x):
    net, state = _started(_Dropout(), x)
    p = state.params["N"]["Dense_0"]
    dense = x @ np.asarray(p["kernel"]) + np.asarray(p["bias"])
    np.testing.assert_allclose(net(state, x, train=False), dense, atol=1e-5)
    a, b, c = (
        np.asarray(net(state, x, rngs={"dropout": random.key(i)})) for i in (1, 2, 1)
    )
    np.testing.assert_array_equal(a, c)
    assert (a != b).any()
    kept = a != 0
    assert 0.35 < kept.mean() < 0.65
    np.testing.assert_allclose(a[kept], 2 * dense[kept], rtol=1e-4, atol=1e-5)


def test_a_network_may_be_any_two_functions():
    net = Net(
        "N",
        lambda key, x: ({"w": jnp.float32(3)}, {"seen": jnp.int32(0)}),
        lambda params, stats, x, train=True: (
            params["w"] * x,
            {"seen": stats["seen"] + 1},
        ),
    )
    state = _state(net, *net.init(KEY, 1.0))
    assert net(state, 2.0) == 6
    assert net.apply(state.params["N"], state.stats["N"], 2.0)[1]["seen"] == 1


def test_a_network_can_be_transformed_as_it_is(x):
    net, state = _started(nn.Dense(2), x)
    expected = net(state, x)
    np.testing.assert_allclose(jax.vmap(net, (None, 0))(state, x), expected, rtol=1e-5)
    np.testing.assert_allclose(jax.jit(net)(state, x), expected, rtol=1e-5)
    assert jax.eval_shape(net, state, x).shape == (7, 2)


@pytest.mark.parametrize("dtype", ("bfloat16", "float16", "float32", "float64"))
def test_outputs_are_float32_or_wider(dtype):
    new = hasattr(jax, "enable_x64")
    with jax.enable_x64(True) if new else jax.experimental.enable_x64():
        out = layers.full_precision(jnp.ones(2, dtype))
    assert out.dtype == ("float64" if dtype == "float64" else "float32")


# --- standing statistics


def _batches(n, mean=0.0, scale=1.0, size=32):
    rng = np.random.default_rng(2)
    mean = mean + np.array([0.0, 1.0, -2.0])
    return (mean + scale * rng.normal(size=(n, size, 3))).astype("float32")


def _weighted(momentum, values):
    """Their average with momentum, freed of its start."""
    weights = momentum ** np.arange(len(values))[::-1]
    return np.tensordot(weights / weights.sum(), values, 1)


@pytest.mark.parametrize("momentum", (0.0, 0.9, 0.99))
@pytest.mark.parametrize("n", (1, 2, 16))
def test_standing_averages_the_statistics_of_batches(momentum, n):
    data = _batches(n)
    net, state = _started(_Norm(momentum), data[0])
    gather = lambda: standing(  # noqa: E731
        net, state.params["N"], state.stats["N"], lambda i: (jnp.asarray(data)[i],), n
    )
    for stats in (gather(), jax.jit(gather)()):
        stats = stats["batch_stats"]["BatchNorm_0"]
        wide = data.astype("float64")
        np.testing.assert_allclose(
            stats["mean"], _weighted(momentum, wide.mean(1)), rtol=1e-4, atol=1e-5
        )
        np.testing.assert_allclose(
            stats["var"], _weighted(momentum, wide.var(1)), rtol=1e-4
        )


def test_standing_comes_to_the_distribution_s_moments():
    net, state = _started(_Norm(0.99), np.zeros((1, 3), "float32"))

    def inputs(i):
        return (3 + 2 * random.normal(random.fold_in(KEY, i), (512, 3)),)

    stats = standing(net, state.params["N"], state.stats["N"], inputs, 64)
    stats = stats["batch_stats"]["BatchNorm_0"]
    np.testing.assert_allclose(stats["mean"], 3, atol=5 * 2 / math.sqrt(64 * 512))
    np.testing.assert_allclose(stats["var"], 4, rtol=5 * math.sqrt(2 / (64 * 512)))


def test_standing_fits_layers_after_the_first():
    """A second BatchNorm is fed by the first one's batch statistics, not averages."""

    class Two(nn.Module):
        @nn.compact
        def __call__(self, x, train: bool = True):
            x = nn.relu(layers.batch_norm(train)(x))
            return layers.batch_norm(train)(x)

    data = _batches(4)
    net, state = _started(Two(), data[0])
    stats = standing(
        net, state.params["N"], state.stats["N"], lambda i: (jnp.asarray(data)[i],), 4
    )["batch_stats"]
    wide = data.astype("float64")
    hidden = wide - wide.mean(1, keepdims=True)
    hidden = np.maximum(hidden / np.sqrt(wide.var(1, keepdims=True) + 1e-5), 0)
    np.testing.assert_allclose(
        stats["BatchNorm_1"]["mean"], _weighted(0.9, hidden.mean(1)), rtol=1e-4
    )
    np.testing.assert_allclose(
        stats["BatchNorm_1"]["var"], _weighted(0.9, hidden.var(1)), rtol=1e-4
    )


@pytest.mark.parametrize("stale", (0.0, 5.0, np.inf, np.nan))
def test_standing_does_not_depend_on_the_averages_before(stale):
    """One diverged moment must not spoil all later samples."""
    data = _batches(2)
    net, state = _started(_Norm(0.9), data[0])
    stats = jax.tree.map(lambda s: jnp.full_like(s, stale), state.stats["N"])
    stats = standing(
        net, state.params["N"], stats, lambda i: (jnp.asarray(data)[i],), 2
    )["batch_stats"]["BatchNorm_0"]
    np.testing.assert_allclose(
        stats["mean"], _weighted(0.9, data.mean(1)), rtol=1e-4, atol=1e-5
    )


def test_standing_averages_that_cancel_are_zero():
    """A mean of 1 and then of -0.9 average, with momentum 0.9, to 0 and rounding."""
    channels = np.geomspace(0.1, 10, 64, dtype="float32")
    data = np.stack([np.tile(channels, (4, 1)), np.tile(-0.9 * channels, (4, 1))])
    net, state = _started(_Norm(0.9), data[0])
    stats = jax.tree.map(lambda s: jnp.full_like(s, 5.0), state.stats["N"])
    stats = standing(
        net, state.params["N"], stats, lambda i: (jnp.asarray(data)[i],), 2
    )["batch_stats"]["BatchNorm_0"]
    np.testing.assert_allclose(stats["mean"], 0, atol=1e-5)


@pytest.mark.parametrize("scale", (1e-3, 1.0, 1e3))
def test_standing_is_as_good_at_any_scale_of_activations(scale):
    data = _batches(16, scale=scale) - np.array([0, 1, -2], "float32")
    net, state = _started(_Norm(0.99), data[0])
    stats = standing(
        net, state.params["N"], state.stats["N"], lambda i: (jnp.asarray(data)[i],), 16
    )["batch_stats"]["BatchNorm_0"]
    expected = _weighted(0.99, data.astype("float64").var(1))
    np.testing.assert_allclose(stats["var"], expected, rtol=1e-3)


def test_standing_leaves_all_else_as_it_was(x):
    """Spectral norm's vectors, and a network without averages."""

    class Both(nn.Module):
        @nn.compact
        def __call__(self, x, train: bool = True):
            x = nn.SpectralNorm(nn.Dense(4))(x, update_stats=train)
            return layers.batch_norm(train)(x)

    net, state = _started(Both(), x)
    before = state.stats["N"]["batch_stats"]["SpectralNorm_0"]
    stats = standing(net, state.params["N"], state.stats["N"], lambda i: (x,), 3)
    after = stats["batch_stats"]["SpectralNorm_0"]
    jax.tree.map(np.testing.assert_array_equal, before, after)
    assert jax.tree.structure(stats) == jax.tree.structure(state.stats["N"])

    net, state = _started(_Spectral(), x)
    same = standing(net, state.params["N"], state.stats["N"], lambda i: (x,), 3)
    jax.tree.map(np.testing.assert_array_equal, same, state.stats["N"])


def test_standing_leaves_frozen_means_as_they_were(x):
    """Constants that happen to be called mean and var: nothing averages there."""

    class Whitened(nn.Module):
        @nn.compact
        def __call__(self, x, train: bool = True):
            mean = self.variable("constants", "mean", lambda: jnp.full((1, 3), 0.5))
            return layers.batch_norm(train)(x - mean.value)

    net, state = _started(Whitened(), x)
    stats = standing(net, state.params["N"], state.stats["N"], lambda i: (x,), 3)
    np.testing.assert_array_equal(stats["constants"]["mean"], 0.5)
    averages = stats["batch_stats"]["BatchNorm_0"]
    np.testing.assert_allclose(averages["mean"], x.mean(0) - 0.5, rtol=1e-4)
