"""StyleGAN2: its networks' sizes, path lengths against torch, and its recipe."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from jax import random

from jaxgan import augment, axis, phases, recipes
from jaxgan.models import flax_net, layers, stylegan2
from jaxgan.recipes.stylegan2 import path_lengths
from jaxgan.run import Config, train
from jaxgan.types import UsageError, merge

KEY = random.key(0)
SHAPE = (8, 16, 3)


def _counts(size, **options):
    """Numbers of G and D, of images of a size."""
    options = {"width": 64, "depth": 8} | options
    networks = stylegan2.networks((size, size, 3), **options)
    spec = partial(jax.ShapeDtypeStruct, dtype=jnp.float32)
    w = spec((2, networks[0].layers, 512))
    inputs = spec((2, 512)), w, spec((2, size, size, 3))
    found = []
    for module, x in zip(networks, inputs, strict=True):
        shapes = jax.eval_shape(flax_net("", module).init, KEY, x)[0]
        found.append(sum(leaf.size for leaf in jax.tree.leaves(shapes)))
    mapping, synthesis, D = found
    return mapping + synthesis, D


@pytest.mark.parametrize(
    ("size", "options", "expected"),
    [
        (1024, {"width": 32}, (30_370_060, 29_012_513)),  # config F
        (256, {}, (24_767_458, 24_001_089)),  # StyleGAN2-ADA's paper256
        (256, {"depth": 2}, (23_191_522, 24_001_089)),  # and its auto
    ],
)
def test_they_have_as_many_parameters_as_the_authors(size, options, expected):
    """As their programs print them."""
    assert _counts(size, **options) == expected


def _model(num_classes=0, shape=SHAPE, **options):
    widths = {"width": 4, "most": 8, "w_dim": 8, "depth": 2}
    nets = stylegan2.networks(shape, num_classes=num_classes, **widths)
    names = "mapping", "synthesis", "D"
    nets = [flax_net(name, net) for name, net in zip(names, nets, strict=True)]
    adam = partial(phases.lazy_adam, 1e-3, 0.0, 0.99)
    options = {"g_tx": adam(4), "d_tx": adam(16)} | options
    return recipes.stylegan2(*nets, latent_dim=6, num_classes=num_classes, **options)


def _batch(n=4, shape=SHAPE):
    rng = np.random.default_rng(0)
    image = rng.uniform(-1, 1, (n, *shape)).astype(np.float32)
    return {"image": image, "label": np.arange(n, dtype=np.int32) % 3}


@pytest.fixture(scope="module")
def trained():
    """A model with classes, and its state after a step."""
    model = _model(3)
    state = jax.jit(model.init)(KEY, _batch())
    step = jax.jit(model.step)
    return model, step, state, *step(state, _batch(), KEY)


def test_a_step_trains_three_networks_and_remembers_path_lengths(trained):
    _, step, first, state, metrics = trained
    assert jax.tree.structure(first) == jax.tree.structure(state)
    for name in ("mapping", "synthesis", "D"):
        assert any(
            (np.asarray(a) != np.asarray(b)).any()
            for a, b in zip(
                *map(jax.tree.leaves, (first.params[name], state.params[name])),
                strict=True,
            )
        )
    length = metrics["path_length"].value()
    assert state.memory["path_length"] == pytest.approx(0.01 * length, rel=1e-5)
    penalty = metrics["path_penalty"].value()
    assert penalty >= 2 * (0.99 * length) ** 2 * (1 - 1e-5)
    assert step._cache_size() == 1


def test_regularizers_have_periods_of_their_own(trained):
    _, step, _, state, _ = trained
    counts = []
    for t in range(1, 18):
        state, metrics = step(state, _batch(), random.fold_in(KEY, t))
        counts.append([float(metrics[n].count) for n in ("r1", "path_length")])
    r1, path = np.array(counts).T
    np.testing.assert_array_equal(np.flatnonzero(r1) + 1, [16])
    np.testing.assert_array_equal(np.flatnonzero(path) + 1, [4, 8, 12, 16])
    assert step._cache_size() == 1


# --- path lengths


def test_path_lengths_and_their_gradients_are_torch_s_double_backward():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(6, 9)), rng.normal(size=(9, 4 * 3 * 2))
    w = rng.normal(size=(5, 2, 3))

    def ours(a, b):
        G = lambda w: (jnp.tanh(w.reshape(5, 6) @ a) ** 2 @ b).reshape(5, 4, 3, 2)  # noqa: E731
        lengths = path_lengths(G, jnp.asarray(w, jnp.float32), KEY)
        return jnp.square(lengths - 0.3).mean(), lengths

    weights = jnp.asarray(a, jnp.float32), jnp.asarray(b, jnp.float32)
    gradient = jax.value_and_grad(ours, (0, 1), has_aux=True)
    (value, lengths), found = gradient(*weights)

    y = np.asarray(axis.draw(random.normal, KEY, (5, 4, 3, 2)), np.float64)
    a, b, w, y = (
        torch.tensor(np.asarray(x), dtype=torch.float64) for x in (a, b, w, y)
    )
    for x in (a, b, w):
        x.requires_grad_(True)
    images = (torch.tanh(w.reshape(5, 6) @ a) ** 2 @ b).reshape(5, 4, 3, 2)
    (slopes,) = torch.autograd.grad((images * y).sum() / 12**0.5, w, create_graph=True)
    theirs = slopes.square().sum(2).mean(1).sqrt()
    penalty = (theirs - 0.3).square().mean()
    expected = torch.autograd.grad(penalty, (a, b))
    np.testing.assert_allclose(lengths, theirs.detach(), rtol=1e-4)
    assert float(value) == pytest.approx(penalty.item(), rel=1e-4)
    for x, y in zip(found, expected, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-4 * y.abs().max().item())


def test_some_rows_are_as_many_of_every_device_s_share():
    x = jnp.arange(24)
    np.testing.assert_array_equal(axis.some(x, 2), np.arange(0, 24, 2))
    with axis.divided(4):
        rows = np.arange(24).reshape(4, 6)[:, [0, 4]].reshape(-1)
        np.testing.assert_array_equal(axis.some(x, 4), rows)


def test_regularizers_may_be_left_out():
    model = _model(r1=None, path_weight=None)
    state = model.init(KEY, _batch())
    _, metrics = jax.eval_shape(model.step, state, _batch(), KEY)
    assert not {"r1", "path_length", "path_penalty"} & metrics.keys()


# --- styles, noise, truncation


def _given(model, n=3):
    return model.draws["sample"].task.given(_batch(n), KEY, n)


def test_an_image_is_of_its_own_w_alone(trained):
    model, _, _, state, _ = trained
    draw = model.draws["sample"]
    given = _given(model)
    images = draw.run(state, given, KEY)
    assert images.shape == (3, *SHAPE) and np.abs(images).max() <= 1
    alone = draw.run(state, tuple(x[2:] for x in given), random.key(7))
    np.testing.assert_allclose(alone[0], images[2], atol=1e-5)
    w = draw.latent.of(state, given)
    assert w.shape == (3, 4, 8)
    np.testing.assert_array_equal(draw.latent.run(state, w, KEY), images)


def test_each_layer_has_its_own_style(trained):
    """A w changes what its layers draw, and later layers change less of the rest."""
    model, _, _, state, _ = trained
    latent = model.draws["sample"].latent
    w = latent.of(state, _given(model))
    for layer in range(4):
        mixed = latent.run(state, w.at[:, layer].set(w[::-1, layer]), KEY)
        assert np.abs(mixed - latent.run(state, w, KEY)).max() > 1e-4


def test_noise_is_drawn_anew_in_training_alone():
    _, synthesis, _ = stylegan2.networks(SHAPE, 4, 8, 8, 2)
    net = flax_net("S", synthesis)
    w = random.normal(KEY, (2, 4, 8))
    params, stats = net.init(KEY, w)
    params = jax.tree.map(lambda x: x + 0.1, params)  # strengths begin at 0

    def drawn(seed, train):
        keys = {"noise": random.key(seed)}
        return net.apply(params, stats, w, train=train, rngs=keys)[0]

    assert np.abs(drawn(1, True) - drawn(2, True)).max() > 0.01
    np.testing.assert_array_equal(drawn(1, False), drawn(2, False))
    same = net.apply(params, stats, w[:1].repeat(2, 0), train=True,
                     rngs={"noise": KEY})[0]  # fmt: skip
    assert np.abs(same[0] - same[1]).max() > 0.01


def test_truncation_draws_w_to_its_mean(trained):
    model, _, _, state, _ = trained
    settled = jax.jit(model.settle)(state, KEY)
    mean = np.asarray(settled.stats["mapping"]["average"]["w"])
    draw = model.draws["sample"]
    keys = random.split(KEY, 100)
    many = [
        np.asarray(draw.latent.of(state, draw.task.given(_batch(90), key, 90))[:, 0])
        for key in keys
    ]
    sampled = np.concatenate(many)
    error = sampled.std(0) * (1 / 9000 + 1 / 10240) ** 0.5
    assert (np.abs(mean - sampled.mean(0)) < 5 * error).all()
    given = _given(model)
    w = np.asarray(draw.latent.of(settled, given))
    half = np.asarray(draw.truncated(0.5).latent.of(settled, given))
    np.testing.assert_allclose(half - mean, (w - mean) / 2, atol=1e-6)
    nothing = draw.truncated(0.0).run(settled, given, KEY)
    np.testing.assert_allclose(nothing[0], nothing[1], atol=1e-6)
    np.testing.assert_array_equal(
        draw.truncated(1.0).run(settled, given, KEY), draw.run(settled, given, KEY)
    )


def test_mixing_takes_a_second_style_from_some_layer_on():
    """By a mapping network that says which z it was, and a G that shows its styles."""
    from jaxgan.models import Net

    mapping = Net(
        "mapping",
        lambda key, z: ({"one": jnp.ones(())}, {"average": {"w": jnp.zeros(1)}}),
        lambda p, s, z, train=True: (p["one"] * jnp.tile(z[:, None, :1], (1, 5, 1)), s),
    )
    shown = []

    def show(params, stats, w, train=True, rngs=None):
        jax.debug.callback(lambda w: shown.append(np.asarray(w)), w)
        return jnp.zeros((len(w), 4, 4, 1)) + params["one"] * w.mean(), stats

    G = Net("G", lambda key, w: ({"one": jnp.ones(())}, {}), show)
    D = Net(
        "D",
        lambda key, x: ({"one": jnp.ones(())}, {}),
        lambda p, s, x, train=True: (p["one"] * x.mean((1, 2, 3)), s),
    )
    for mixing, expected in ((0.0, 0), (1.0, 200), (0.5, 100)):
        shown.clear()
        tx = optax.sgd(0.0)
        model = recipes.stylegan2(
            mapping, G, D, latent_dim=2, g_tx=tx, d_tx=tx, mixing=mixing, path_weight=0
        )
        batch = {"image": np.zeros((200, 4, 4, 1), np.float32)}
        model.step(model.init(KEY, batch), batch, KEY)
        jax.effects_barrier()
        w = next(w for w in shown if len(w) == 200)[..., 0]
        changes = (np.diff(w, axis=1) != 0).sum(1)
        assert changes.max(initial=0) <= 1
        assert abs(changes.sum() - expected) <= 4 * (200 * mixing * (1 - mixing)) ** 0.5
        if mixing == 1:
            layers = 1 + np.argmax(np.diff(w, axis=1) != 0, 1)
            assert set(layers) == {1, 2, 3, 4}


# --- classes, shapes, mistakes


def test_classes_reach_both_networks(trained):
    model, _, _, state, _ = trained
    w = [
        model.draws["sample"].latent.of(state, (jnp.ones((1, 6)), jnp.array([k])))
        for k in range(2)
    ]
    assert np.abs(w[0] - w[1]).max() > 1e-3
    images = _batch()["image"]
    score = [model.scores["D"](state, images, jnp.full(4, k)) for k in range(2)]
    assert np.abs(score[0] - score[1]).max() > 1e-3


@pytest.mark.parametrize("size", [(32, 32), (28, 28), (24, 48), (64, 16), (5, 10)])
def test_any_halves_will_do(size):
    found = layers.sizes((*size, 3))
    assert found[0] == size and 4 <= min(found[-1]) < 8
    for large, small in itertools.pairwise(found):
        assert large == (2 * small[0], 2 * small[1])


@pytest.mark.parametrize("size", [(36, 36), (3, 8), (50, 64), (64, 36)])
def test_other_sizes_are_refused(size):
    with pytest.raises(UsageError, match=f"resize {size[0]}x{size[1]}: the shorter"):
        stylegan2.networks((*size, 3))


def test_a_state_of_no_finite_path_length_is_seen():
    model = _model()
    state = model.init(KEY, _batch())
    state = merge(state, memory={"path_length": jnp.float32(np.nan)})
    _, metrics = jax.jit(model.step)(state, _batch(), KEY)
    assert not np.isfinite(metrics["path_penalty"].value())


@pytest.mark.slow
def test_a_run_that_is_stopped_at_any_offset_of_its_periods_ends_the_same(tmp_path):
    """To the last bit: with ADA's p and the mean of path lengths on their way."""
    images = np.random.default_rng(0).integers(0, 256, (24, *SHAPE), np.uint8)
    np.savez(tmp_path / "data.npz", images=images)
    shown = augment.adaptive(augment.pipeline("blit"), target=-0.5, images=100, every=2)

    def build(cfg, shape, num_classes):
        return _model(augment=shown, r1_every=3, path_every=2)

    def run(name, steps):
        options = {"batch_size": 8, "log_every": 50, "sample_every": 50}
        options |= {"data": f"npz:{tmp_path / 'data.npz'}", "steps": steps}
        cfg = Config(**options, workdir=str(tmp_path / name))
        return train(cfg, build, "test")[1]

    whole = run("whole", 9)
    for stop in (1, 2, 3, 4, 5, 6, 9):
        parts = run("parts", stop)
    jax.tree.map(np.testing.assert_array_equal, whole, parts)
    assert whole.memory["path_length"] > 0
    assert any(0 < np.max(p) < 1 for p in jax.tree.leaves(whole.memory["augment"]))
