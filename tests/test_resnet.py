"""Residual networks and their layers, against torch on the same weights."""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
import torch.nn.functional as F
from jax import random
from torch_weights import from_torch, nchw

sys.path.append(str(Path(__file__).parents[1] / "experiments"))
from benchmarks import torch_translators as twins

from jaxgan import losses, recipes
from jaxgan.models import flax_net, layers, resnet, spectral
from jaxgan.types import UsageError

KEY = random.key(0)
CLASSES = 3
LABEL = jnp.array([0, 2, 1, 1])


def conv(p, x):
    return F.conv2d(x, p["kernel"], p["bias"], padding="same")


def norm(p, x, label):
    if "shift" in p:
        x = F.batch_norm(x, None, None, training=True)
        return (
            x * p["scale"][label][..., None, None] + p["shift"][label][..., None, None]
        )
    return F.batch_norm(x, None, None, p["scale"], p["bias"], training=True)


def attention(p, x):
    b, c, h, w = x.shape
    places = x.flatten(2)  # [b, c, n]
    f, g, v = (p[name]["kernel"] @ places for name in "fgh")
    weights = torch.softmax(f.transpose(1, 2) @ g, 1)  # over i, for every j
    o = p["v"]["kernel"] @ (v @ weights)
    return x + p["gamma"] * o.view(b, c, h, w)


def torch_generator(p, z, label, sizes, at):
    kind = "ConditionalBatchNorm" if CLASSES and label is not None else "BatchNorm"
    x = F.linear(z, p["Dense_0"]["kernel"], p["Dense_0"]["bias"])
    x = x.view(len(z), *sizes[0], -1).permute(0, 3, 1, 2)
    if sizes[0][0] == at:
        x = attention(p["SelfAttention_0"], x)
    for i, (h, w) in enumerate(sizes[1:]):
        b = p[f"GeneratorBlock_{i}"]

        def up(x, h=h, w=w):
            return F.interpolate(x, scale_factor=2, mode="nearest")[..., :h, :w]

        y = conv(b["Conv_0"], up(F.relu(norm(b[f"{kind}_0"], x, label))))
        y = conv(b["Conv_1"], F.relu(norm(b[f"{kind}_1"], y, label)))
        x = y + conv(b["Conv_2"], up(x))
        if h == at:
            x = attention(p["SelfAttention_0"], x)
    x = F.relu(norm(p["BatchNorm_0"], x, None))
    return torch.tanh(conv(p["Conv_0"], x))


def torch_discriminator(p, x, label, downs, at, pool="sum"):
    def act(b, i, x):
        if f"GroupNorm_{i}" in b:  # over all of an image, then by channel
            n = b[f"GroupNorm_{i}"]
            x = F.layer_norm(x, x.shape[1:])
            x = x * n["scale"][:, None, None] + n["bias"][:, None, None]
        return F.relu(x)

    def down(x):
        return F.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False)

    for i in range(4):
        b = p[f"DiscriminatorBlock_{i}"]
        y = act(b, 1, conv(b["Conv_0"], x if i == 0 else act(b, 0, x)))
        y = conv(b["Conv_1"], y)
        if i < downs:
            y = down(y)
            x = down(conv(b["Conv_2"], x))  # in the order that the paper has it
        elif "Conv_2" in b:
            x = conv(b["Conv_2"], x)
        x = x + y
        if i < downs and x.shape[2] == at:
            x = attention(p["SelfAttention_0"], x)
    features = getattr(F.relu(x), pool)((2, 3))
    out = F.linear(features, p["Dense_0"]["kernel"], p["Dense_0"]["bias"])[:, 0]
    if label is not None:
        out = out + (p["Embed_0"]["embedding"][label] * features).sum(1)
    return out


@pytest.mark.parametrize(
    ("shape", "classes"), (((12, 12, 3), 0), ((14, 19, 1), CLASSES))
)
def test_networks_are_torch_s_with_their_gradients(shape, classes):
    G, D = resnet.networks(shape, 16, 8, classes, attention=True)
    given = (LABEL,) if classes else ()
    z, x = random.normal(KEY, (4, 6)), random.uniform(KEY, (4, *shape), minval=-1)
    g_params = flax_net("G", G).init(KEY, z, *given)[0]
    d_params = flax_net("D", D).init(KEY, x, *given)[0]
    # γ starts at 0, and shifts and scales alike for all classes: move them all.
    moved = lambda p: jax.tree.map(  # noqa: E731
        lambda w: w + 0.3 * random.normal(random.fold_in(KEY, w.size), w.shape), p
    )
    g_params, d_params = moved(g_params), moved(d_params)

    def images(params):
        return G.apply({"params": params}, z, *given, mutable=["batch_stats"])[0]

    def logits(params):
        return D.apply({"params": params}, x, *given)

    label = torch.tensor(np.array(LABEL)).long() if classes else None
    at = -(-shape[0] // 2)
    sizes = [(4, 5), (7, 10), (14, 19)] if classes else [(6, 6), (12, 12)]
    for function, params, twin in (
        (
            images,
            g_params,
            lambda p: torch_generator(
                p, torch.tensor(np.array(z)), label, sizes, at
            ).permute(0, 2, 3, 1),
        ),
        (logits, d_params, lambda p: torch_discriminator(p, nchw(x), label, 2, at)),
    ):
        weights = twins.weights(params)
        expected = twin(weights)
        toward = random.normal(KEY, jax.eval_shape(function, params).shape)

        @jax.jit
        def with_gradients(params, toward, function=function):
            got, back = jax.vjp(function, params)
            return got, back(toward)[0]

        got, grads = with_gradients(params, toward)
        np.testing.assert_allclose(got, expected.detach(), rtol=1e-4, atol=1e-4)
        (expected * torch.tensor(np.array(toward))).sum().backward()

        expected = from_torch(weights)
        most = max(np.abs(b).max() for b in jax.tree.leaves(expected))

        def close(a, b, most=most):
            # Biases that BatchNorm takes away again have no gradient but rounding.
            scale = max(np.abs(b).max(), 1e-3 * most)
            np.testing.assert_allclose(a / scale, b / scale, atol=2e-4)

        jax.tree.map(close, grads, expected)


def test_a_wgan_gp_s_critic_is_torch_s():
    """Mean pooling and LayerNorm, which the first block has none of."""
    _, D = resnet.networks((12, 12, 3), 16, 8, pool="mean", layer_norm=True)
    x = random.uniform(KEY, (4, 12, 12, 3), minval=-1)
    params, stats = flax_net("D", D).init(KEY, x)
    params = jax.tree.map(
        lambda w: w + 0.3 * random.normal(random.fold_in(KEY, w.size), w.shape), params
    )
    norms = [name for block in params.values() for name in block if "Norm" in name]
    assert len(norms) == 6 and not stats  # it judges each image by itself
    got = D.apply({"params": params}, x)
    expected = torch_discriminator(
        twins.weights(params), nchw(x), None, 2, 0, pool="mean"
    )
    np.testing.assert_allclose(got, expected.detach(), rtol=1e-4, atol=1e-4)


def test_images_of_48_pixels_begin_at_6_as_sngan_s():
    """Miyato et al., table 5 of STL-10: G from 6x6x512, D down to 3x3x1024."""
    G, D = resnet.networks((48, 48, 3))
    assert G.channels == (512, 256, 128, 64)
    assert D.channels == (64, 128, 256, 512, 1024) and D.downs == 4
    variables = jax.eval_shape(lambda: G.init(KEY, jnp.zeros((1, 128))))
    dense = variables["params"]["Dense_0"]["kernel"]
    assert dense.shape == (128, 6 * 6 * 512)


def test_sizes_are_the_published_ones():
    """Channels, and the parameters of mimicry's SNGAN at 32 pixels."""

    def count(module, *inputs):
        variables = jax.eval_shape(lambda: module.init(KEY, *inputs))
        return sum(x.size for x in jax.tree.leaves(variables["params"]))

    G, D = resnet.networks((32, 32, 3))
    assert count(G, jnp.zeros((1, 128))) == 4276739
    assert count(D, jnp.zeros((1, 32, 32, 3))) == 1053825
    G, D = resnet.networks((128, 128, 3), attention=True)
    assert G.channels == (1024, 1024, 512, 256, 128, 64) and G.attention == 32
    assert D.channels == (64, 128, 256, 512, 1024, 1024) and D.downs == 5
    G, D = resnet.networks((64, 64, 3))
    assert G.channels == (1024, 512, 256, 128, 64)
    assert D.channels == (64, 128, 256, 512, 1024)


@pytest.mark.parametrize(
    "shape", ((28, 28, 1), (32, 32, 3), (48, 64, 3), (128, 128, 3), (7, 9, 1))
)
def test_any_size_is_drawn_and_judged(shape):
    G, D = resnet.networks(shape, 2, 2, CLASSES, attention=min(shape[:2]) > 8)
    z, label = jnp.zeros((2, 3)), jnp.zeros(2, int)

    def both():
        g = G.init_with_output(KEY, z, label)[0]
        return g, D.init_with_output(KEY, g, label)[0]

    images, logits = jax.eval_shape(both)
    assert images.shape == (2, *shape) and logits.shape == (2,)


def test_attention_needs_room():
    with pytest.raises(UsageError, match=r"^attention needs .* wider than 8, not 8x8"):
        resnet.networks((8, 8, 1), attention=True)


def test_attention_begins_as_the_identity_and_sees_all_places():
    layer, x = layers.SelfAttention(), random.normal(KEY, (2, 5, 4, 16))
    params = layer.init(KEY, x)["params"]
    np.testing.assert_array_equal(layer.apply({"params": params}, x), x)
    assert params["f"]["kernel"].shape == (16, 2)

    def corner(x):
        return layer.apply({"params": params | {"gamma": jnp.float32(1)}}, x)[0, 0, 0]

    seen = np.abs(jax.jit(jax.jacobian(corner))(x)).sum((0, 4))
    assert (seen[0] > 0).all() and (seen[1] == 0).all()


def test_down_and_upsampling_at_odd_sizes():
    x = jnp.arange(15.0).reshape(1, 3, 5, 1)
    down = layers.downsample(x)[0, :, :, 0]
    np.testing.assert_allclose(down, [[3, 5, 6.5], [10.5, 12.5, 14]])
    up = layers.upsample(down[None, :, :, None], (3, 5))[0, :, :, 0]
    np.testing.assert_allclose(up, np.repeat(np.repeat(down, 2, 0), 2, 1)[:3, :5])


def test_conditional_batch_norm_is_batch_norm_at_first_and_each_class_s_own():
    layer = layers.ConditionalBatchNorm(CLASSES)
    x = random.normal(KEY, (4, 3, 3, 2)) * 3 + 1
    variables = layer.init(KEY, x, LABEL)
    y, _ = layer.apply(variables, x, LABEL, mutable=["batch_stats"])
    np.testing.assert_allclose(y.mean((0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(y.std((0, 1, 2)), 1, atol=1e-4)
    shift = variables["params"]["shift"].at[2].set(7.0)
    variables = variables | {"params": variables["params"] | {"shift": shift}}
    z, _ = layer.apply(variables, x, LABEL, mutable=["batch_stats"])
    expected = np.where(np.array(LABEL) == 2, 7.0, 0.0)[:, None, None, None]
    np.testing.assert_allclose(z - y, expected + 0 * y, atol=1e-5)


def test_sagan_takes_finite_steps_with_both_networks_normalized():
    G, D = resnet.networks((10, 10, 1), 4, 4, CLASSES, attention=True)
    G, D = (spectral.normalized(flax_net(n, m)) for n, m in (("G", G), ("D", D)))
    tx = optax.adam(1e-3, 0.0, 0.9)
    gan = recipes.gan(
        G, D, latent_dim=4, g_tx=tx, d_tx=tx, loss=losses.hinge, num_classes=CLASSES
    )
    batch = {"image": random.uniform(KEY, (4, 10, 10, 1)), "label": LABEL}
    state, step = gan.init(KEY, batch), jax.jit(gan.step)
    assert "gamma" not in str(state.stats["G"]["spectral"])
    for _ in range(3):
        state, _ = step(state, batch, KEY)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(state.params))
    for name in "GD":
        assert float(state.params[name]["SelfAttention_0"]["gamma"]) != 0
    draw = gan.draws["sample"]
    state, sample = jax.jit(gan.settle)(state, KEY), jax.jit(draw.run)
    z, _ = draw.task.given({"label": LABEL}, KEY, 4)
    of = [sample(state, (z, jnp.full(4, c)), KEY) for c in (0, 1)]
    assert np.abs(of[0] - of[1]).max() > 1e-4
