"""BigGAN: its parameter counts, a block against torch, and what is special about it."""

import math
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
import torch.nn.functional as F
from flax import linen as nn
from jax import random
from scipy import stats
from torch_weights import nchw

sys.path.append(str(Path(__file__).parents[1] / "experiments"))
import biggan as experiment

from jaxgan import recipes, run, tasks
from jaxgan.models import biggan, flax_net, mlp, resnet
from jaxgan.models.layers import SelfAttention
from jaxgan.types import UsageError, example

KEY = random.key(0)
TINY = {"g_width": 1, "d_width": 1, "latent_dim": 8, "shared_dim": 3}


def shapes(side, z, classes=1000, width=96):
    """Of the params of both."""
    G, D = biggan.networks((side, side, 3), z, width, width, classes)
    given = jax.ShapeDtypeStruct((2, z), jnp.float32)
    batch = example((side, side, 3))
    labels = (batch["label"],) if classes else ()
    return (
        jax.eval_shape(flax_net("G", G).init, KEY, given, *labels)[0],
        jax.eval_shape(flax_net("D", D).init, KEY, batch["image"], *labels)[0],
    )


@pytest.mark.parametrize(
    ("side", "z", "g", "d"),
    (
        (128, 120, 70_433_988, 87_982_370),
        (64, 120, 70_377_348, 45_511_970),
        (256, 119, 82_108_548, 99_225_890),
    ),
)
def test_parameters_are_as_many_as_published(side, z, g, d):
    """By the authors' program in PyTorch, of `ch` 96 and 1,000 classes."""
    found = [
        sum(math.prod(x.shape) for x in jax.tree.leaves(p)) for p in shapes(side, z)
    ]
    assert found == [g, d]


def test_any_size_has_a_network_or_a_reason():
    for shape in ((17, 30, 1), (48, 32, 4), (100, 70, 3)):
        ups = math.ceil(math.log2(min(shape[:2]) / 4))
        G, D = biggan.networks(shape, 4 * (ups + 1), 1, 1)
        z = jax.ShapeDtypeStruct((2, 4 * (ups + 1)), jnp.float32)
        made = jax.eval_shape(lambda z, G=G: G.init_with_output(KEY, z)[0], z)
        assert made.shape == (2, *shape)
        judged = jax.eval_shape(lambda x, D=D: D.init_with_output(KEY, x)[0], made)
        assert judged.shape == (2,)
    with pytest.raises(
        UsageError, match="17 to 512 pixels on the short side, not 16x40"
    ):
        biggan.networks((16, 40, 3), 120)
    with pytest.raises(UsageError, match="latent_dim 128 must be a multiple of 6"):
        biggan.networks((128, 128, 3), 128)


def torch_norm(p, x, condition):
    x = F.batch_norm(x, None, None, training=True)
    scale, shift = (F.linear(condition, p[n]["kernel"]) for n in ("scale", "shift"))
    return x * (1 + scale)[..., None, None] + shift[..., None, None]


def conv(p, x):
    return F.conv2d(x, p["kernel"], p["bias"], padding="same")


def drawn(params):
    """The same tree of weights, none of which is zero."""
    leaves, tree = jax.tree.flatten(params)
    keys = random.split(KEY, len(leaves))
    new = [random.normal(k, x.shape) * 0.3 for k, x in zip(keys, leaves, strict=True)]
    return jax.tree.unflatten(tree, new)


def test_a_block_of_g_is_torch_s():
    x = random.normal(KEY, (4, 5, 6, 3))
    condition = random.normal(random.key(1), (4, 7))
    norm = biggan._norm(condition, True, jnp.float32)
    block = resnet.GeneratorBlock(2, (10, 12), norm, kernel_init=biggan.orthogonal)
    params = drawn(block.init(KEY, x)["params"])
    found, _ = block.apply({"params": params}, x, mutable=["batch_stats"])
    p = from_torch_tree(params)
    y, c = nchw(x), torch.tensor(np.array(condition))
    up = lambda a: F.interpolate(a, scale_factor=2)  # noqa: E731
    h = up(F.relu(torch_norm(p["LinearConditionalBatchNorm_0"], y, c)))
    h = conv(p["Conv_0"], h)
    h = F.relu(torch_norm(p["LinearConditionalBatchNorm_1"], h, c))
    expected = conv(p["Conv_1"], h) + up(conv(p["Conv_2"], y))
    np.testing.assert_allclose(nchw(found), expected, atol=2e-5)


def from_torch_tree(params):
    """Kernels as torch has them."""

    def one(w):
        w = torch.tensor(np.array(w))
        return {4: lambda: w.permute(3, 2, 0, 1), 2: lambda: w.T}.get(
            w.ndim, lambda: w
        )()

    return jax.tree.map(one, params)


@pytest.mark.parametrize("first", (True, False))
def test_a_block_of_d_is_torch_s(first):
    x = random.normal(KEY, (4, 6, 8, 3))
    block = resnet.DiscriminatorBlock(5, True, first, wide=True)
    params = drawn(block.init(KEY, x)["params"])
    assert params["Conv_0"]["kernel"].shape == (3, 3, 3, 5)
    p, y = from_torch_tree(params), nchw(x)
    h = conv(p["Conv_0"], y if first else F.relu(y))
    h = F.avg_pool2d(conv(p["Conv_1"], F.relu(h)), 2)
    expected = h + F.avg_pool2d(conv(p["Conv_2"], y), 2)
    found = block.apply({"params": params}, x)
    np.testing.assert_allclose(nchw(found), expected, atol=2e-5)


def test_attention_is_torch_s_with_its_keys_pooled():
    x = random.normal(KEY, (2, 4, 6, 16))
    layer = SelfAttention(values=2, pool=True)
    params = drawn(layer.init(KEY, x)["params"])
    p, y = from_torch_tree(params), nchw(x)
    f, g, h = (torch.einsum("oc,bchw->bohw", p[n]["kernel"], y) for n in "fgh")
    assert h.shape[1] == 8 and f.shape[1] == 2
    f, h = (F.max_pool2d(a, 2).flatten(2) for a in (f, h))
    weights = torch.softmax(g.flatten(2).transpose(1, 2) @ f, -1)  # [b, j, i]
    o = p["v"]["kernel"] @ (h @ weights.transpose(1, 2))
    expected = y + p["gamma"] * o.view(y.shape)
    np.testing.assert_allclose(
        nchw(layer.apply({"params": params}, x)), expected, atol=2e-5
    )


def test_each_piece_of_z_goes_to_its_stage_and_the_class_to_all_blocks():
    G, _ = biggan.networks((32, 32, 3), 8, 1, 1, 5, 3)
    z, label = random.normal(KEY, (4, 8)), jnp.array([0, 3, 1, 1])
    net = flax_net("G", G)
    params, stats = net.init(KEY, z, label)
    images, _ = net.apply(params, stats, z, label)
    assert images.shape == (4, 32, 32, 3)
    soft, _ = net.apply(params, stats, z, jax.nn.one_hot(label, 5))
    np.testing.assert_allclose(soft, images, atol=1e-5)
    conditions = {}

    def watched(next_fun, args, kwargs, context):
        if context.module.name in ("scale", "shift"):
            block, layer = context.module.path[:2]
            conditions[block, layer] = np.array(args[0])
        return next_fun(*args, **kwargs)

    with nn.intercept_methods(watched):
        net.apply(params, stats, z, label)
    assert len(conditions) == 6
    own = np.array(params["shared"])[np.array(label)]
    for (block, _), seen in conditions.items():
        k = int(block[-1]) + 1
        np.testing.assert_array_equal(seen, np.c_[own, z[:, 2 * k : 2 * k + 2]])
    assert params["Dense_0"]["kernel"].shape == (2, 64)


def test_kernels_begin_orthogonal_and_their_regularization_is_numpy_s():
    G, _ = biggan.networks((32, 32, 3), 8, 2, 1, 20, 3)
    params, _ = flax_net("G", G).init(KEY, jnp.zeros((2, 8)), jnp.zeros(2, jnp.int32))
    of = biggan.orthogonal_regularization(0.3)
    params = drawn(params)
    expected = 0.0
    for path, w in jax.tree_util.tree_leaves_with_path(params):
        if "kernel" in str(path[-1]):
            w = np.float64(w).reshape(-1, w.shape[-1])
            gram = w.T @ w
            expected += 0.3 * ((gram - np.diag(np.diag(gram))) ** 2).sum()
    assert float(of(params)) == pytest.approx(expected, rel=1e-5)
    square = {"a": {"kernel": biggan.orthogonal(KEY, (3, 3, 4, 8))}}
    assert float(of(square)) == pytest.approx(0, abs=1e-9)
    assert float(of(square | {"shared": jnp.ones((9, 9))})) == float(of(square))


def test_g_s_penalty_is_in_its_loss_and_its_gradient():
    G = flax_net("G", mlp.Generator((4, 4, 1), (3,)))
    D = flax_net("D", mlp.Discriminator((3,)))
    of = biggan.orthogonal_regularization(10.0)
    batch = {"image": random.normal(KEY, (4, 4, 4, 1))}
    options = {"latent_dim": 2, "g_tx": optax.sgd(0.1), "d_tx": optax.sgd(0.1)}
    plain, penalized = (
        recipes.gan(G, D, g_penalty=term, **options) for term in (None, of)
    )
    state = plain.init(KEY, batch)
    (one, few), (other, more) = (
        gan.parts["G"](state, batch, KEY) for gan in (plain, penalized)
    )
    weights = state.params["G"]
    term = float(of(weights))
    assert more["g_penalty"].value() == pytest.approx(term, rel=1e-5)
    assert "g_penalty" not in few
    away = more["g_loss"].value() - few["g_loss"].value()
    assert away == pytest.approx(term, rel=1e-4)
    for a, b, slope in zip(
        *(jax.tree.leaves(new.params["G"]) for new in (one, other)),
        jax.tree.leaves(jax.grad(of)(weights)),
        strict=True,
    ):
        np.testing.assert_allclose(b, a - 0.1 * slope, atol=1e-5)


def test_the_experiment_s_networks_have_spectral_norm_but_for_the_shared_embedding():
    cfg = run.changed(experiment.EMOJI, **TINY)
    model = experiment.build(cfg, (32, 32, 3), 3)
    state = jax.eval_shape(model.init, KEY, example((32, 32, 3)))
    assert state.params["G"]["shared"].shape == (3, 3)
    assert "shared" not in state.stats["G"]["spectral"]
    kernels = state.stats["G"]["spectral"]["GeneratorBlock_0"]
    assert {"Conv_0", "LinearConditionalBatchNorm_0"} <= kernels.keys()
    assert "Embed_0" in state.stats["D"]["spectral"]
    paper = experiment.IMAGENET128
    assert paper.adversary.orthogonal == 1e-4 and paper.adversary.n_critic == 2


@pytest.mark.parametrize("threshold", (0.04, 0.5, 2.0, 20.0))
def test_truncated_noise_is_of_scipy_s_truncated_normal(threshold):
    z = random.normal(KEY, (50_000,))
    y = np.array(tasks.truncated(z, threshold))
    assert np.abs(y).max() <= threshold
    far = stats.kstest(y, stats.truncnorm(-threshold, threshold).cdf).statistic
    assert far < 0.01
    order = np.argsort(np.array(z))
    assert (np.diff(y[order]) >= 0).all()
    if threshold == 20:
        np.testing.assert_allclose(y, z, atol=1e-3)


def test_a_threshold_of_nothing_is_refused():
    with pytest.raises(UsageError, match=r"threshold 0\.0 must be above 0"):
        tasks.truncated(jnp.zeros(3), 0.0)
    found = tasks.truncated(jnp.array([-40.0, 0.0, 40.0]), 0.7)
    np.testing.assert_allclose(found, [-0.7, 0, 0.7], atol=1e-6)


@pytest.mark.slow
def test_a_run_goes_on_bit_for_bit(tmp_path):
    def go(name, steps):
        cfg = run.changed(
            experiment.EMOJI,
            steps=steps,
            workdir=str(tmp_path / name),
            batch_size=8,
            report=False,
            **TINY,
        )
        return jax.device_get(run.train(cfg, experiment.build, "test")[1])

    whole = go("whole", 3)
    go("parts", 2)
    jax.tree.map(np.testing.assert_array_equal, go("parts", 3), whole)


def test_what_it_has_not_is_refused():
    for changes, says in (
        ({"d_norm": "batch"}, "d_norm batch: BigGAN's D has none"),
        ({"g_norm": "none"}, "g_norm none: BigGAN's G has BatchNorm"),
    ):
        with pytest.raises(UsageError, match=says):
            experiment.build(run.changed(experiment.EMOJI, **changes), (32, 32, 3), 6)
    with pytest.raises(UsageError, match="no labels, which BigGAN needs"):
        experiment.build(experiment.EMOJI, (32, 32, 3), 0)
