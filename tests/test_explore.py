"""Looking into a generator: each against what defines it."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.linalg
from flax import linen as nn
from flax import nnx
from jax import random

from jaxgan import explore, models, recipes
from jaxgan.types import UsageError, example

KEY = random.key(0)
rng = np.random.default_rng(0)


def test_slerp_begins_and_ends_exactly_and_keeps_angle_and_length():
    a, b = rng.normal(size=(2, 5, 16)).astype(np.float32)
    np.testing.assert_array_equal(explore.slerp(a, b, np.zeros(5)), a)
    np.testing.assert_array_equal(explore.slerp(a, b, np.ones(5)), b)
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
    whole = np.arccos((a * b).sum(1))
    for t in (0.25, 0.5, 0.9):
        c = explore.slerp(a, b, np.full(5, t))
        np.testing.assert_allclose(np.linalg.norm(c, axis=1), 1, rtol=1e-6)
        np.testing.assert_allclose(np.arccos((a * c).sum(1)), t * whole, rtol=1e-4)
    same = explore.slerp(a, a, np.full(5, 0.3))
    np.testing.assert_allclose(same, a, rtol=1e-6)


def test_a_path_goes_by_all_its_samples():
    keys = rng.normal(size=(3, 4)).astype(np.float32)
    found = explore.path(keys, np.roll(keys, -1, 0), np.arange(5) / 5)
    assert found.shape == (15, 4)
    np.testing.assert_array_equal(found[::5], keys)
    line = explore.path(keys[:1], keys[1:2], [0, 0.5], lambda a, b, t: a + b)
    np.testing.assert_array_equal(line, np.tile(keys[:1] + keys[1:2], (2, 1)))


# --- SeFa


def test_directions_are_right_singular_vectors_by_numpy():
    a = rng.normal(size=(40, 9))
    found = explore.directions(a, 4)
    _, values, vectors = np.linalg.svd(a)
    np.testing.assert_allclose(found.eigenvalues, values[:4] ** 2, rtol=1e-10)
    cosines = np.abs((found.vectors * vectors[:4]).sum(1))
    np.testing.assert_allclose(cosines, 1, rtol=1e-10)
    np.testing.assert_allclose(found.vectors @ found.vectors.T, np.eye(4), atol=1e-12)
    moved = np.linalg.norm(a @ found.vectors.T, axis=0) ** 2
    np.testing.assert_allclose(moved, found.eigenvalues, rtol=1e-10)
    assert (found.vectors.max(1) >= -found.vectors.min(1)).all()


def generator(net, z, *rest):
    params, stats = net.init(KEY, z, *rest)
    return params, lambda z: net.apply(params, stats, z, *rest, train=False)[0]


def dcgan(num_classes=0):
    G, _ = models.dcgan.networks((8, 8, 1), 4, num_classes)
    return models.flax_net("G", G)


class Linear(nnx.Module):
    def __init__(self, rngs):
        self.first = nnx.Linear(6, 12, rngs=rngs)
        self.last = nnx.Linear(12, 16, rngs=rngs)

    def __call__(self, z):
        return self.last(nnx.relu(self.first(z))).reshape(-1, 4, 4, 1)


def test_the_first_layer_is_the_one_that_z_enters():
    z = jnp.zeros((1, 6))
    params, of = generator(dcgan(), z)
    kernel = np.asarray(params["Dense_0"]["kernel"])
    np.testing.assert_allclose(explore.first_layer(of, 6), kernel.T, atol=1e-6)
    params, of = generator(dcgan(3), z, jnp.array([1]))
    kernel = np.asarray(params["Dense_0"]["kernel"])[:6]  # behind z there is the class
    np.testing.assert_allclose(explore.first_layer(of, 6), kernel.T, atol=1e-6)
    hidden = models.flax_net("G", models.mlp.Generator((4, 4, 1), (6, 6)))
    params, of = generator(hidden, z)
    kernel = np.asarray(params["Dense_0"]["kernel"])  # not the next, as large
    np.testing.assert_allclose(explore.first_layer(of, 6), kernel.T, atol=1e-6)
    params, of = generator(models.nnx_net("G", Linear), z)
    kernel = next(x for x in jax.tree.leaves(params) if x.shape == (6, 12))
    np.testing.assert_allclose(explore.first_layer(of, 6), kernel.T, atol=1e-6)


def test_a_generator_without_such_a_layer_is_refused():
    with pytest.raises(UsageError, match="no layer that z enters"):
        explore.first_layer(lambda z: jnp.tanh(z * 2), 3)
    weight = jnp.ones((3, 5))
    with pytest.raises(UsageError, match="changes z before its first layer"):
        explore.first_layer(lambda z: jnp.tanh(z) @ weight, 3)
    with pytest.raises(UsageError, match="no layer that z enters"):
        explore.first_layer(lambda z: z + jnp.ones((1, 5)) @ weight.T, 3)


# --- projection


def test_a_sample_of_known_z_is_found_again():
    """Of a generator that is linear in z, where least squares is the answer."""
    basis = rng.normal(size=(4, 64)).astype(np.float32) / 8

    def generate(given):
        (z,) = given
        return (z @ basis).reshape(-1, 8, 8, 1)

    drawn = (rng.normal(size=(50, 4)).astype(np.float32),)
    z = rng.normal(size=4).astype(np.float32)
    target = np.asarray(generate((z[None],)))[0]
    project = explore.project(generate, drawn, prior=0.0)
    found = project(target)
    np.testing.assert_allclose(found.given[0], z, atol=1e-3)
    assert found.distance < 1e-3
    again = project(target)
    np.testing.assert_array_equal(again.given[0], found.given[0])
    # What it cannot draw is as near as least squares without scales comes, about.
    other = rng.normal(size=(8, 8, 1)).astype(np.float32)
    best, *_ = scipy.linalg.lstsq(basis.T, other.ravel())
    least = np.sqrt(np.mean((best @ basis - other.ravel()) ** 2)) / 2
    assert least <= project(other).distance < 1.1 * least
    # The prior keeps z where draws are.
    near = explore.project(generate, drawn, prior=1.0)(10 * target)
    assert np.linalg.norm(near.given[0]) < np.linalg.norm(10 * z) / 2


def test_a_projection_is_never_worse_than_where_it_began_and_keeps_its_label():
    def generate(given):
        z, label = given
        return (z + label[:, None])[:, None, None].repeat(8, 1).repeat(8, 2)

    drawn = np.zeros((6, 1), np.float32), np.arange(6, dtype=np.float32)
    found = explore.project(generate, drawn, steps=3, learning_rate=100.0)(
        np.full((8, 8, 1), 4.02, np.float32)
    )
    assert found.distance == pytest.approx(0.01, rel=1e-3)  # no step came nearer
    assert found.given[1] == 4 and found.given[0] == 0
    assert explore.distance(jnp.ones((1, 2, 2, 1)), -jnp.ones((1, 2, 2, 1))) == 1


# --- units


class Two(nn.Module):
    """Unit 0 of the layer draws the left half, unit 1 the right, unit 2 nothing."""

    @nn.compact
    def __call__(self, z):
        x = nn.Dense(3, name="units")(z)
        halves = jnp.zeros((3, 4, 4)).at[0, :, :2].set(1).at[1, :, 2:].set(0.5)
        return jnp.einsum("bu,uhw->bhw", x, halves)[..., None]


def test_a_unit_that_is_switched_off_takes_its_part_with_it():
    net = models.flax_net("G", Two())
    z = jnp.asarray(rng.normal(size=(5, 3)).astype(np.float32))
    params, _ = net.init(KEY, z)

    def run(z):
        return net.apply(params, {}, z, train=False)[0]

    assert explore.layers(run, z) == {"units": (5, 3)}
    off = explore.switched(run, "units")
    np.testing.assert_array_equal(off(jnp.ones(3), z), run(z))
    without = np.asarray(off(jnp.array([0.0, 1, 1]), z))
    assert not without[:, :, :2].any()
    np.testing.assert_array_equal(without[:, :, 2:], run(z)[:, :, 2:])
    left = jnp.zeros((5, 4, 4, 3)).at[:, :, :2, 1].set(1).at[:, :, 2:, 2].set(1)
    found = explore.effects(off, 3, z, maps=left)
    units = np.abs(np.asarray(nn.Dense(3).apply({"params": params["units"]}, z)))
    np.testing.assert_allclose(found.by_image[0], units[:, 0] / 4, rtol=1e-5)
    np.testing.assert_allclose(found.whole[:2], [1, 0.5] * units.mean(0)[:2] / 4, 1e-5)
    assert found.whole[2] == 0
    expected = np.array([[1, 0], [0, 0.5], [0, 0]]) * units.mean(0)[:, None] / 2
    np.testing.assert_allclose(found.by_class[:, 1:], expected, rtol=1e-5)
    assert np.isnan(found.by_class[:, 0]).all()  # a class of no pixel


def test_networks_of_other_libraries_have_no_named_layers():
    _, of = generator(models.nnx_net("G", Linear), jnp.zeros((1, 6)))
    assert explore.layers(of, jnp.zeros((2, 6))) == {}


# --- weights of classes


@pytest.mark.parametrize("kind", ("dcgan", "mlp", "resnet"))
def test_weights_of_classes_are_between_classes(kind):
    if kind == "resnet":
        module, _ = models.resnet.networks((8, 8, 1), 4, 4, num_classes=3)
    elif kind == "mlp":
        module = models.mlp.Generator((8, 8, 1), (5,), 3)
    else:
        module, _ = models.dcgan.networks((8, 8, 1), 4, 3)
    net = models.flax_net("G", module)
    z, label = random.normal(KEY, (3, 6)), jnp.arange(3)
    params, stats = net.init(KEY, z, label)
    # As made, classes are alike to conditional BatchNorm.
    params = jax.tree.map(lambda x: x + 0.1 * random.normal(KEY, x.shape), params)
    of = [net.apply(params, stats, z, y, train=False)[0] for y in (label, jnp.eye(3))]
    np.testing.assert_allclose(*of, atol=1e-5)
    half = jnp.tile(jnp.array([[0.5, 0.5, 0]]), (3, 1))
    between = net.apply(params, stats, z, half, train=False)[0]
    both = [net.apply(params, stats, z, jnp.full(3, y), train=False)[0] for y in (0, 1)]
    assert min(float(jnp.abs(between - x).max()) for x in both) > 1e-4


# --- what D scores


def test_scores_are_the_logits_that_training_sees():
    tx = optax.sgd(0.0)
    G = models.mlp.Generator((6, 6, 1), (4,), 2)
    plain = models.mlp.Discriminator((4,), 2)
    nets = models.flax_net("G", G), models.flax_net("D", plain)
    shown = {"latent_dim": 3, "num_classes": 2, "g_tx": tx, "d_tx": tx}
    gan = recipes.gan(*nets, **shown)
    two, _ = models.dcgan.networks((6, 6, 1), 2), None
    D = two[1].clone(outputs=2)
    acgan = recipes.acgan(nets[0], models.flax_net("D", D), **shown)
    infogan = recipes.infogan(
        models.flax_net("G", models.mlp.Generator((6, 6, 1), (4,))),
        models.flax_net("D", D.clone(outputs=12)),
        g_tx=tx,
        d_tx=tx,
        noise=3,
    )
    images = random.uniform(KEY, (8, 6, 6, 1)) * 2 - 1
    batch = {"image": images, "label": jnp.arange(8) % 2}
    for model in (gan, acgan, infogan):
        state = model.init(KEY, example((6, 6, 1), 8))
        needs = model.draws["sample"].task.needs
        given = [batch[k] for k in ("image", *needs)]
        logits = model.scores["D"](state, *given)
        assert logits.shape == (8,)
        _, seen = model.parts["D"](state, batch, KEY)
        mean = jax.nn.sigmoid(logits).mean()
        np.testing.assert_allclose(seen["D(real)"].value(), mean, rtol=1e-5)
