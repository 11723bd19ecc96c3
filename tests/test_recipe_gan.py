"""The GAN recipe: its algorithm by hand, labels, averages, and that it learns."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn
from jax import lax, random

from jaxgan import losses
from jaxgan.models import Net, dcgan, flax_net, mlp
from jaxgan.recipes import gan
from jaxgan.types import Mean, merge

KEY = random.key(0)
LR = 0.1


def sample_of(recipe):
    """`(state, *given) -> images`"""
    return lambda state, *given: recipe.draws["sample"].run(state, given, KEY)


# --- by hand: G draws a constant, D is a line


def _toy(**options):
    """G(z) = c for every z, D(x) = b x; images are [B, 1]."""

    def image(params, stats, z, train=True):
        return params["c"] * jnp.ones((z.shape[0], 1)), stats

    def logit(params, stats, x, train=True):
        return params["b"] * x[:, 0], stats

    G = Net("G", lambda key, z: ({"c": jnp.float32(0.5)}, {}), image)
    D = Net("D", lambda key, x: ({"b": jnp.float32(-0.7)}, {}), logit)
    options = {"g_tx": optax.sgd(LR), "d_tx": optax.sgd(LR)} | options
    return gan(G, D, latent_dim=2, **options)


BATCH = {"image": jnp.array([[1.0], [2.0], [-0.5], [3.0]])}


def _numbers(state):
    return state.params["G"]["c"], state.params["D"]["b"]


def _softplus(x):
    return np.logaddexp(x, 0)


# What D and G minimize, of real and fake logits.
LOSSES = {
    "nonsaturating": (
        lambda r, f: np.mean(_softplus(-r) + _softplus(f)),
        lambda r, f: np.mean(_softplus(-f)),
    ),
    "least_squares": (
        lambda r, f: np.mean((r - 1) ** 2 + f**2) / 2,
        lambda r, f: np.mean((f - 1) ** 2) / 2,
    ),
    "wasserstein": (lambda r, f: np.mean(f - r), lambda r, f: np.mean(-f)),
    "relativistic_logistic": (
        lambda r, f: np.mean(_softplus(f - r)),
        lambda r, f: np.mean(_softplus(r - f)),
    ),
}


def _slope(f, at, h=1e-6):
    return (f(at + h) - f(at - h)) / (2 * h)


@pytest.mark.parametrize("name", LOSSES)
def test_a_step_is_the_paper_s_algorithm(name):
    """D descends on data and G's fakes, then G against the new D; then the average."""
    d_loss, g_loss = LOSSES[name]
    recipe = _toy(loss=getattr(losses, name), ema_decay=0.6)
    state, step = recipe.init(KEY, BATCH), jax.jit(recipe.step)
    x = np.asarray(BATCH["image"][:, 0], "float64")
    c, b, average = 0.5, -0.7, 0.5
    for t in range(3):
        state, metrics = step(state, BATCH, random.fold_in(KEY, t))
        assert metrics["d_loss"].value() == pytest.approx(d_loss(b * x, b * c), 1e-5)
        b_slope = _slope(lambda b: d_loss(b * x, b * c), b)  # noqa: B023
        assert metrics["D_grad_norm"].value() == pytest.approx(abs(b_slope), rel=1e-4)
        b -= LR * b_slope
        assert metrics["g_loss"].value() == pytest.approx(g_loss(b * x, b * c), 1e-5)
        c -= LR * _slope(lambda c: g_loss(b * x, b * c), c)  # noqa: B023
        decay = min(0.6, (1 + t) / (10 + t))
        average = decay * average + (1 - decay) * c
        np.testing.assert_allclose(_numbers(state), (c, b), rtol=1e-5)
        np.testing.assert_allclose(state.ema["G"]["c"], average, rtol=1e-5)
        assert state.step == t + 1


def test_metrics_report_d_of_x_as_probabilities():
    recipe = _toy()
    _, metrics = recipe.step(recipe.init(KEY, BATCH), BATCH, KEY)
    sigmoid = lambda t: 1 / (1 + np.exp(-t))  # noqa: E731
    x = np.asarray(BATCH["image"][:, 0])
    assert metrics["D(real)"].value() == pytest.approx(sigmoid(-0.7 * x).mean(), 1e-5)
    assert metrics["D(fake)"].value() == pytest.approx(sigmoid(-0.7 * 0.5), 1e-5)
    names = {"d_loss", "g_loss", "D(real)", "D(fake)", "D_grad_norm", "G_grad_norm"}
    names |= {"D(real>fake)"}
    assert set(metrics) == names
    assert all(isinstance(m, Mean) and m.total.shape == () for m in metrics.values())


def test_d_step_and_g_step_touch_their_own_network_only():
    """And are what the step is made of: G's against the D it is given."""
    recipe = _toy(g_tx=optax.adam(LR), d_tx=optax.adam(LR))
    state = recipe.init(KEY, BATCH)
    for mine, other in ("DG", "GD"):
        step = recipe.parts[mine]
        new, _ = jax.jit(step)(state, BATCH, KEY)
        assert new.step == 0
        for field in ("params", "opt"):
            before, after = getattr(state, field), getattr(new, field)
            jax.tree.map(np.testing.assert_array_equal, before[other], after[other])
            assert any(
                (np.asarray(a) != np.asarray(b)).any()
                for a, b in zip(
                    *map(jax.tree.leaves, (before[mine], after[mine])), strict=True
                )
            )
        jax.tree.map(np.testing.assert_array_equal, state.ema, new.ema)
    both, _ = recipe.parts["G"](recipe.parts["D"](state, BATCH, KEY)[0], BATCH, KEY)
    whole, _ = recipe.step(state, BATCH, KEY)
    np.testing.assert_allclose(_numbers(both), _numbers(whole), rtol=1e-6)


def test_the_single_steps_report_means_like_the_whole():
    recipe = _toy()
    state = recipe.init(KEY, BATCH)
    for part, name in (("D", "d_loss"), ("G", "g_loss")):
        _, metrics = recipe.parts[part](state, BATCH, KEY)
        assert all(isinstance(m, Mean) for m in metrics.values())
        assert np.isfinite(metrics[name].value())


def test_z_is_drawn_anew_from_a_standard_normal():
    G = Net("G", lambda key, z: ({"w": jnp.float32(1)}, {}), lambda p, s, z, train=True:
            (z * p["w"], s))  # fmt: skip
    D = Net("D", lambda key, x: ({"b": jnp.float32(1)}, {}), lambda p, s, x, train=True:
            (p["b"] * x.reshape(x.shape[0], -1)[:, 0] ** 2, s))  # fmt: skip
    recipe = gan(
        G,
        D,
        latent_dim=3,
        g_tx=optax.sgd(0.0),
        d_tx=optax.sgd(0.0),
        loss=losses.wasserstein,
    )
    batch = {"image": jnp.zeros((4096, 3))}
    state = recipe.init(KEY, batch)
    step = jax.jit(recipe.step)
    powers = [step(state, batch, random.key(i))[1]["D(fake)"].value() for i in range(4)]
    assert len(set(powers)) == 4
    # z² has mean 1 and variance 2.
    np.testing.assert_allclose(powers, 1, atol=5 * np.sqrt(2 / 4096))


# --- the state


def _conditional():
    G = mlp.Generator((3,), (5,), num_classes=4, output=lambda x: x)
    D = mlp.Discriminator((5,), num_classes=4)
    return gan(
        flax_net("G", G),
        flax_net("D", D),
        latent_dim=2,
        g_tx=optax.adam(0.01),
        d_tx=optax.adam(0.01),
        num_classes=4,
    )


LABELLED = {
    "image": random.normal(KEY, (8, 3)),
    "label": jnp.array([0, 1, 2, 3, 3, 2, 1, 0]),
}


@pytest.fixture(scope="module")
def conditional():
    """A recipe with labels, and its first state."""
    recipe = _conditional()
    return recipe, recipe.init(KEY, LABELLED)


def test_one_trace_the_same_structure_and_the_same_run_again(conditional):
    (recipe, start), traces = conditional, []

    def traced(*args):
        traces.append(1)
        return recipe.step(*args)

    step, runs = jax.jit(traced), []
    for _ in range(2):
        state = start
        for i in range(3):
            state, _ = step(state, LABELLED, random.fold_in(KEY, i))
        runs.append(state)
    assert len(traces) == 1
    types = lambda tree: jax.tree.map(lambda x: (x.shape, x.dtype, x.weak_type), tree)  # noqa: E731
    assert types(runs[0]) == types(start)
    jax.tree.map(np.testing.assert_array_equal, *runs)


def test_jit_equals_eager():
    recipe = _toy(g_tx=optax.adam(LR))
    state = recipe.init(KEY, BATCH)
    eager = recipe.step(state, BATCH, KEY)
    jitted = jax.jit(recipe.step)(state, BATCH, KEY)
    for a, b in zip(*map(jax.tree.leaves, (eager, jitted)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_init_needs_only_shapes(conditional):
    recipe, state = conditional
    shapes = {n: jax.ShapeDtypeStruct(v.shape, v.dtype) for n, v in LABELLED.items()}
    jax.tree.map(np.testing.assert_array_equal, recipe.init(KEY, shapes), state)


# --- labels


def test_both_networks_are_given_each_image_s_label():
    """G draws the label; D's logit says how often image and label agree."""

    def image(params, stats, z, label, train=True):
        return params["c"] * label[:, None].astype("float32") + 0 * z[:, :1], stats

    def logit(params, stats, x, label, train=True):
        agree = x[:, 0] == label.astype("float32")
        return params["b"] * agree.astype("float32"), stats

    G = Net("G", lambda key, z, label: ({"c": jnp.float32(1)}, {}), image)
    D = Net("D", lambda key, x, label: ({"b": jnp.float32(1)}, {}), logit)
    recipe = gan(
        G,
        D,
        latent_dim=1,
        g_tx=optax.sgd(0.0),
        d_tx=optax.sgd(0.0),
        loss=losses.wasserstein,
        num_classes=4,
    )
    label = jnp.array([3, 1, 2, 0])
    batch = {"image": jnp.array([[3.0], [1.0], [0.0], [0.0]]), "label": label}
    _, metrics = recipe.step(recipe.init(KEY, batch), batch, KEY)
    assert metrics["D(real)"].value() == pytest.approx(0.75)
    assert metrics["D(fake)"].value() == pytest.approx(1)


def test_sampling_follows_the_label_and_the_noise(conditional):
    recipe, state = conditional
    draw = recipe.draws["sample"]
    given = draw.task.given({"label": jnp.arange(4)}, KEY, 4)
    assert draw.task.needs == ("label",)
    assert [x.shape for x in given] == [(4, 2), (4,)]
    z, label = jnp.ones((4, 2)), jnp.arange(4)
    images = jax.jit(sample_of(recipe))(state, z, label)
    assert images.shape == (4, 3)
    assert len({tuple(row) for row in np.round(images, 5).tolist()}) == 4
    same = sample_of(recipe)(state, z, jnp.full(4, 2))
    np.testing.assert_allclose(same, jnp.broadcast_to(images[2:3], (4, 3)), rtol=1e-5)
    assert jnp.abs(sample_of(recipe)(state, -z, label) - images).max() > 1e-3


def test_labels_that_are_missing_are_asked_for(conditional):
    recipe, _ = conditional
    with pytest.raises((KeyError, ValueError), match="label"):
        recipe.init(KEY, {"image": LABELLED["image"]})
    with pytest.raises(ValueError, match="label"):
        recipe.draws["sample"].task.given({}, KEY, 4)


# --- averages


def test_samples_come_from_averaged_weights_alone(conditional):
    recipe, state = conditional
    z, label = jnp.ones((4, 2)), jnp.arange(4)
    images = sample_of(recipe)(state, z, label)
    shaken = lambda tree: jax.tree.map(lambda w: w + 1, tree)  # noqa: E731
    live = merge(state, params=shaken(state.params))
    np.testing.assert_array_equal(sample_of(recipe)(live, z, label), images)
    averaged = merge(state, ema=shaken(state.ema))
    assert jnp.abs(sample_of(recipe)(averaged, z, label) - images).max() > 0.1


class _Normalized(nn.Module):
    """z -> BatchNorm(z W), whose statistics are known: mean 0, variance Σ W²."""

    num_classes: int = 0

    @nn.compact
    def __call__(self, z, label=None, train: bool = True):
        if self.num_classes:
            z = z + 2 * jax.nn.one_hot(label, self.num_classes)
        x = nn.Dense(3, use_bias=False)(z)
        return nn.BatchNorm(use_running_average=not train, momentum=0.95)(x)


@pytest.mark.parametrize("num_classes", (0, 4))
def test_settle_gathers_statistics_of_the_averaged_weights(num_classes):
    """With classes, of all classes alike."""
    recipe = gan(
        flax_net("G", _Normalized(num_classes)),
        flax_net("D", mlp.Discriminator((4,), num_classes)),
        latent_dim=4,
        g_tx=optax.sgd(LR),
        d_tx=optax.sgd(LR),
        num_classes=num_classes,
    )
    state = recipe.init(KEY, LABELLED)
    weights = jax.tree.map(lambda w: 3 * w, state.ema["G"])
    state = merge(state, ema={"G": weights})
    settled = jax.jit(recipe.settle)(state, KEY)
    stats = settled.stats["G"]["batch_stats"]["BatchNorm_0"]
    w = np.asarray(weights["Dense_0"]["kernel"], "float64")
    mean, covariance = np.zeros(4), np.eye(4)
    if num_classes:  # adds 2 to one coordinate in four
        mean = mean + 2 / 4
        covariance = covariance + 4 * (np.eye(4) / 4 - 1 / 16)
    variance = np.einsum("if,ij,jf->f", w, covariance, w)
    np.testing.assert_allclose(
        stats["mean"], mean @ w, atol=5 * np.sqrt(variance.max() / (12 * 64))
    )
    np.testing.assert_allclose(stats["var"], variance, rtol=5 * np.sqrt(2 / (12 * 64)))
    jax.tree.map(
        np.testing.assert_array_equal, settled, merge(state, stats=settled.stats)
    )
    assert jax.tree.structure(settled) == jax.tree.structure(state)


def test_settling_needs_no_batch_norm(conditional):
    recipe, state = conditional
    jax.tree.map(np.testing.assert_array_equal, recipe.settle(state, KEY), state)


def test_a_settled_dcgan_samples_what_training_shows():
    """With many samples, batch statistics and standing statistics are nearly one."""
    G, D = dcgan.networks((8, 8, 1), 4)
    recipe = gan(
        flax_net("G", G),
        flax_net("D", D),
        latent_dim=4,
        g_tx=optax.sgd(LR),
        d_tx=optax.sgd(LR),
    )
    state = recipe.init(KEY, {"image": jnp.zeros((2, 8, 8, 1))})
    state = merge(state, ema=jax.tree.map(lambda w: 20 * w, state.ema))
    state = jax.jit(recipe.settle)(state, KEY)
    z = random.normal(KEY, (512, 4))
    images = jax.jit(sample_of(recipe))(state, z)
    variables = {"params": state.ema["G"], **state.stats["G"]}
    training = jax.jit(lambda v, z: G.apply(v, z, mutable=["batch_stats"])[0])
    shown = training(variables, z)
    assert jnp.abs(images).mean() > 0.1
    assert jnp.abs(images - shown).mean() < 0.05


# --- that it learns


def _train(recipe, batches, steps, seeds=3):
    """Three seeds at once, each with data of its own; the final states."""

    def run(seed):
        key = random.key(seed)

        def one(state, i):
            k_data, k_step = random.split(random.fold_in(key, i))
            return recipe.step(state, batches(k_data), k_step)[0], None

        start = recipe.init(key, jax.eval_shape(batches, key))
        return lax.scan(one, start, jnp.arange(steps))[0]

    return jax.jit(jax.vmap(run))(jnp.arange(seeds))


def _learner(num_classes=0):
    tx = optax.adam(5e-3, b1=0.5, b2=0.9)
    return gan(
        flax_net("G", mlp.Generator((1,), (32,), num_classes, output=lambda x: x)),
        flax_net("D", mlp.Discriminator((32, 32), num_classes)),
        latent_dim=4,
        g_tx=tx,
        d_tx=tx,
        num_classes=num_classes,
        ema_decay=0.98,
    )


def test_it_learns_a_normal_distribution():
    recipe = _learner()
    batches = lambda key: {"image": 1.5 + 0.5 * random.normal(key, (128, 1))}  # noqa: E731
    states = _train(recipe, batches, 600)
    z = random.normal(KEY, (2000, 4))
    images = np.asarray(jax.jit(jax.vmap(sample_of(recipe), (0, None)))(states, z))
    np.testing.assert_allclose(images.mean((1, 2)), 1.5, atol=0.1)
    np.testing.assert_allclose(images.std((1, 2)), 0.5, atol=0.1)


def test_it_learns_a_mean_for_every_class():
    recipe = _learner(num_classes=2)

    def batches(key):
        k_label, k_image = random.split(key)
        label = random.randint(k_label, (128,), 0, 2)
        image = 2.0 * label[:, None].astype("float32") - 1
        return {"image": image + 0.3 * random.normal(k_image, (128, 1)), "label": label}

    states = _train(recipe, batches, 400)
    z = random.normal(KEY, (1000, 4))
    for label, mean in ((0, -1), (1, 1)):
        labels = jnp.full(1000, label)
        sample = jax.jit(jax.vmap(sample_of(recipe), (0, None, None)))
        images = np.asarray(sample(states, z, labels))
        np.testing.assert_allclose(images.mean((1, 2)), mean, atol=0.15)
        np.testing.assert_allclose(images.std((1, 2)), 0.3, atol=0.2)
