"""Adversarial losses against numpy formulae, at ordinary and at extreme logits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import losses

SHAPE = (3, 5)


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _log_sigmoid(x):
    """log of the sigmoid in float64, without overflow."""
    return np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))


def _clip0(x):
    return np.where(x > 0, x, 0.0)


# name: (D's loss, G's loss, D(x)), of real logits r and fake logits f, as the papers
# write them. D maximizes there, so its losses here are the negatives.
PAPERS = {
    "nonsaturating": (
        lambda r, f: -(_log_sigmoid(r) + _log_sigmoid(-f)),
        lambda r, f: -_log_sigmoid(f),
        _sigmoid,
    ),
    "minimax": (
        lambda r, f: -(_log_sigmoid(r) + _log_sigmoid(-f)),
        lambda r, f: _log_sigmoid(-f),
        _sigmoid,
    ),
    "least_squares": (
        lambda r, f: 0.5 * (r - 1) ** 2 + 0.5 * f**2,
        lambda r, f: 0.5 * (f - 1) ** 2,
        lambda x: x,
    ),
    "wasserstein": (lambda r, f: -(r - f), lambda r, f: -f, lambda x: x),
    "hinge": (
        lambda r, f: -(np.minimum(0, r - 1) + np.minimum(0, -f - 1)),
        lambda r, f: -f,
        lambda x: x,
    ),
    "relativistic_logistic": (
        lambda r, f: -_log_sigmoid(r - f),
        lambda r, f: -_log_sigmoid(f - r),
        lambda x: x,
    ),
    "relativistic_least_squares": (
        lambda r, f: (r - f - 1) ** 2,
        lambda r, f: (f - r - 1) ** 2,
        lambda x: x,
    ),
    "relativistic_hinge": (
        lambda r, f: _clip0(1 - (r - f)),
        lambda r, f: _clip0(1 - (f - r)),
        lambda x: x,
    ),
}
LOGISTIC = ("nonsaturating", "minimax", "relativistic_logistic")

every_loss = pytest.mark.parametrize("name", PAPERS)
both_players = pytest.mark.parametrize("player", ("d", "g"))


def _logits(seed=0, scale=3.0, shape=SHAPE):
    r, f = np.random.default_rng(seed).normal(0, scale, (2, *shape))
    return r.astype(np.float32), f.astype(np.float32)


def _expected(name, player):
    return PAPERS[name][("d", "g").index(player)]


def test_every_published_pair_is_tested():
    pairs = {
        n for n, v in vars(losses).items() if isinstance(v, losses.AdversarialLoss)
    }
    assert pairs == set(PAPERS) | set(AVERAGES)


@every_loss
@both_players
def test_equals_the_formula_element_by_element(name, player):
    r, f = _logits()
    value = getattr(getattr(losses, name), player)(jnp.asarray(r), jnp.asarray(f))
    assert value.shape == SHAPE and value.dtype == jnp.float32
    expected = _expected(name, player)(r.astype("float64"), f.astype("float64"))
    np.testing.assert_allclose(value, expected, rtol=2e-6, atol=2e-6)


@every_loss
def test_output_is_what_the_paper_calls_d_of_x(name):
    r, _ = _logits()
    np.testing.assert_allclose(
        getattr(losses, name).output(jnp.asarray(r)), PAPERS[name][2](r), rtol=1e-6
    )


@every_loss
@both_players
def test_scalars_are_as_good_as_batches(name, player):
    fn = getattr(getattr(losses, name), player)
    value = fn(jnp.float32(0.3), jnp.float32(-1.2))
    assert value.shape == ()
    np.testing.assert_allclose(value, _expected(name, player)(0.3, -1.2), rtol=1e-6)


@every_loss
@both_players
def test_jit_equals_eager_and_vmap_equals_batch(name, player):
    fn = getattr(getattr(losses, name), player)
    r, f = map(jnp.asarray, _logits())
    eager = fn(r, f)
    np.testing.assert_allclose(jax.jit(fn)(r, f), eager, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(jax.vmap(fn)(r, f), eager, rtol=1e-6, atol=1e-7)


@every_loss
@both_players
def test_gradients_are_the_formula_s(name, player):
    """Central differences of the float64 formula, away from the hinge's corners."""
    r, f = _logits(seed=3)
    fn = getattr(getattr(losses, name), player)
    grads = jax.grad(lambda r, f: fn(r, f).sum(), (0, 1))(jnp.asarray(r), f)
    formula, h = _expected(name, player), 1e-5
    r, f = r.astype("float64"), f.astype("float64")
    slopes = (
        (formula(r + h, f) - formula(r - h, f)) / (2 * h),
        (formula(r, f + h) - formula(r, f - h)) / (2 * h),
    )
    for grad, slope in zip(grads, slopes, strict=True):
        np.testing.assert_allclose(grad, slope, rtol=1e-5, atol=2e-6)


@every_loss
@both_players
@pytest.mark.parametrize("size", (1e2, 1e4))
def test_extreme_logits_give_finite_values_and_gradients(name, player, size):
    r = jnp.array([size, size, -size, -size, 0.0], jnp.float32)
    f = jnp.array([size, -size, size, -size, 0.0], jnp.float32)
    fn = getattr(getattr(losses, name), player)
    np.testing.assert_allclose(
        fn(r, f),
        _expected(name, player)(np.asarray(r, "float64"), np.asarray(f, "float64")),
        rtol=1e-6,
        atol=1e-30,
    )
    for grad in jax.grad(lambda r, f: fn(r, f).sum(), (0, 1))(r, f):
        assert np.isfinite(grad).all()
        if name in LOGISTIC:
            assert np.abs(grad).max() <= 1


def test_bfloat16_logits_stay_bfloat16_and_finite():
    r, f = (jnp.asarray(x, jnp.bfloat16) for x in _logits(scale=100.0))
    for name in PAPERS:
        for fn in getattr(losses, name)[:2]:
            value = fn(r, f)
            assert value.dtype == jnp.bfloat16 and jnp.isfinite(value).all()


def test_a_sure_discriminator_leaves_g_a_gradient_only_if_nonsaturating():
    """Goodfellow et al., 2014, section 3: why the minimax loss is not the one used."""
    slope = {
        name: jax.grad(getattr(losses, name).g, argnums=1)(*map(jnp.float32, (0, -20)))
        for name in ("nonsaturating", "minimax")
    }
    assert abs(slope["nonsaturating"] + 1) < 1e-6
    assert abs(slope["minimax"]) < 1e-8


def test_one_sided_smoothing_is_cross_entropy_with_a_softer_label_for_real_images():
    """Salimans et al., 2016: labels α and 0; D's best answer is α p / (p + q)."""
    loss = losses.one_sided(0.8)
    r, f = _logits()
    of_real = -(0.8 * _log_sigmoid(r) + 0.2 * _log_sigmoid(-r))
    np.testing.assert_allclose(loss.d(r, f), of_real - _log_sigmoid(-f), rtol=1e-5)
    np.testing.assert_allclose(loss.g(r, f), -_log_sigmoid(f), rtol=1e-5)
    # Where data and fakes are as likely, D(x) = 0.4 is stationary.
    at = jnp.float32(np.log(0.4 / 0.6))
    assert abs(jax.grad(lambda x: loss.d(x, x))(at)) < 1e-6
    np.testing.assert_allclose(loss.output(at), 0.4, rtol=1e-6)


def test_at_chance_the_losses_are_log_4_and_log_2():
    zero = jnp.zeros(4)
    np.testing.assert_allclose(losses.nonsaturating.d(zero, zero), np.log(4), rtol=1e-6)
    np.testing.assert_allclose(losses.nonsaturating.g(zero, zero), np.log(2), rtol=1e-6)
    np.testing.assert_allclose(losses.minimax.g(zero, zero), -np.log(2), rtol=1e-6)
    np.testing.assert_allclose(losses.nonsaturating.output(zero), 0.5)


@every_loss
def test_a_step_downhill_moves_logits_the_right_way(name):
    """D pushes real up and fake down; G pushes fake up."""
    r, f = map(jnp.float32, (-0.3, 0.4))
    pair = getattr(losses, name)
    d_real, d_fake = jax.grad(pair.d, (0, 1))(r, f)
    assert d_real < 0 < d_fake
    assert jax.grad(pair.g, 1)(r, f) < 0


@pytest.mark.parametrize("name", [n for n in PAPERS if "relativistic" in n])
def test_relativistic_losses_see_only_differences(name):
    """Shifting all logits alike changes nothing; G's gradients in real and fake cancel
    (Jolicoeur-Martineau, 2018)."""
    r, f = map(jnp.asarray, _logits(scale=1.0))
    pair = getattr(losses, name)
    np.testing.assert_allclose(pair.d(r + 2, f + 2), pair.d(r, f), atol=1e-5)
    np.testing.assert_array_equal(pair.g(r, f), pair.d(f, r))
    g_real, g_fake = jax.grad(lambda r, f: pair.g(r, f).sum(), (0, 1))(r, f)
    np.testing.assert_allclose(g_real, -g_fake, rtol=1e-6)
    assert np.abs(g_real).max() > 0


@pytest.mark.parametrize("name", [n for n in PAPERS if "relativistic" not in n])
def test_other_losses_ignore_real_logits_for_g(name):
    r, f = map(jnp.asarray, _logits())
    g_real = jax.grad(lambda r: getattr(losses, name).g(r, f).sum())(r)
    np.testing.assert_array_equal(g_real, 0)


def test_relativistic_takes_any_function_and_output():
    pair = losses.relativistic(lambda t: t**3, output=jnp.exp)
    np.testing.assert_allclose(pair.d(jnp.float32(5), jnp.float32(3)), 8)
    np.testing.assert_allclose(pair.g(jnp.float32(5), jnp.float32(3)), -8)
    np.testing.assert_allclose(pair.output(jnp.float32(0)), 1)


@pytest.mark.parametrize("shapes", (((4,), (4, 1)), ((4,), (1,)), ((4,), (3,))))
def test_real_and_fake_logits_of_other_shapes_are_refused(shapes):
    """[B] against [B, 1] would broadcast to [B, B] and train on nonsense, silently,
    for whoever has not turned rank promotion off."""
    r, f = (jnp.zeros(s) for s in shapes)
    for name in PAPERS:
        with (
            jax.numpy_rank_promotion("allow"),
            pytest.raises((ValueError, TypeError), match=r"\(4,\)"),
        ):
            getattr(losses, name).d(r, f)


# --- relativistic average: f of an image's logit and of the mean of the other kind

AVERAGES = {
    "relativistic_average_logistic": lambda own, other: (
        -_log_sigmoid(own - other.mean()) - _log_sigmoid(-(other - own.mean()))
    ),
    "relativistic_average_least_squares": lambda own, other: (
        (own - other.mean() - 1) ** 2 + (other - own.mean() + 1) ** 2
    ),
    "relativistic_average_hinge": lambda own, other: (
        _clip0(1 - (own - other.mean())) + _clip0(1 + (other - own.mean()))
    ),
}


@pytest.mark.parametrize("name", AVERAGES)
@both_players
def test_averages_are_the_paper_s_formulae(name, player):
    """D and G have the same, with real images and fakes in each other's place."""
    r, f = _logits()
    value = getattr(getattr(losses, name), player)(jnp.asarray(r), jnp.asarray(f))
    assert value.shape == SHAPE and value.dtype == jnp.float32
    pair = (r, f) if player == "d" else (f, r)
    expected = AVERAGES[name](*(x.astype("float64") for x in pair))
    np.testing.assert_allclose(value, expected, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("name", AVERAGES)
@both_players
def test_gradients_of_averages_are_torch_s(name, player):
    """Through the means, too."""
    import torch

    softplus = torch.nn.functional.softplus
    f_of = {
        "logistic": lambda t: softplus(-t),
        "least_squares": lambda t: (t - 1) ** 2,
        "hinge": lambda t: torch.relu(1 - t),
    }[name.removeprefix("relativistic_average_")]
    logits = [torch.tensor(x, requires_grad=True) for x in _logits(1, shape=(7,))]
    own, other = logits if player == "d" else logits[::-1]
    value = (f_of(own - other.mean()) + f_of(own.mean() - other)).mean()
    slopes = torch.autograd.grad(value, logits)
    loss = getattr(getattr(losses, name), player)
    got = jax.grad(lambda r, f: loss(r, f).mean(), (0, 1))(*_logits(1, shape=(7,)))
    for ours, theirs in zip(got, slopes, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)
