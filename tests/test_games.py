"""Two players, in closed form: who diverges, circles and converges, as the papers say.

The bilinear game min_x max_y x y, and the Dirac-GAN (Mescheder, Geiger and Nowozin,
2018, arXiv:1801.04406): one number for G, a line through 0 for D, one real point at 0.
Their updates near the equilibrium are matrices, whose eigenvalues say what happens.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import random

from jaxgan import augment, games, losses, parallel, recipes
from jaxgan import regularizers as reg
from jaxgan.models import Net
from jaxgan.phases import carry, chain, every, game, together, update
from jaxgan.types import merge

KEY = random.key(0)
LR = 0.2
BATCH = {"image": jnp.zeros((4, 1))}


def number(name, first):
    """A network that is one number."""
    return Net(
        name,
        lambda key: ({"w": jnp.float32(first)}, {}),
        lambda params, stats, train=True: (params["w"], stats),
    )


X, Y = number("x", 3.0), number("y", 4.0)


def x_loss(state, batch, key):
    return X(state) * Y(state), {}


def y_loss(state, batch, key):
    return -X(state) * Y(state), {}


def bilinear(play, tx=None, steps=60, losses=(x_loss, y_loss)):
    """The distance from the equilibrium after every step, the first 1."""
    tx = tx or optax.sgd(LR)
    x, y = update("x", losses[0], tx), update("y", losses[1], tx)
    init, step = game((X, Y), play(x, y))
    state = init(KEY, {"x": (), "y": ()})

    def one(state, _):
        state, _ = step(state, {}, KEY)
        return state, jnp.hypot(state.params["x"]["w"], state.params["y"]["w"]) / 5

    return np.array(jax.lax.scan(one, state, None, steps)[1])


def powers(factor, steps=60):
    return factor ** np.arange(1, steps + 1)


def extra(*phases):
    return games.extragradient(together(*phases))


def test_descent_at_once_diverges_on_the_bilinear_game():
    np.testing.assert_allclose(
        bilinear(together), powers(np.sqrt(1 + LR**2)), rtol=1e-5
    )


def test_descent_in_turn_circles_on_the_bilinear_game():
    """x' = x - ηy, y' = y + ηx' keeps x² + y² - ηxy, an ellipse, for ever."""
    found = bilinear(chain, steps=3000)
    kept = 9 + 16 - LR * 12
    for part in (found[:300], found[-300:]):
        assert 5 * part.min() == pytest.approx(np.sqrt(kept / (1 + LR / 2)), 1e-3)
        assert 5 * part.max() == pytest.approx(np.sqrt(kept / (1 - LR / 2)), 1e-3)


def test_extragradient_converges_on_the_bilinear_game():
    """Korpelevich's factor: 1 - η² + η⁴."""
    factor = np.sqrt(1 - LR**2 + LR**4)
    np.testing.assert_allclose(bilinear(extra), powers(factor), rtol=1e-5)


def test_consensus_converges_on_the_bilinear_game():
    """The field has ½|v|² = ½(x² + y²): |1 - ηγ + iη| in all."""
    gamma = 2.0
    agreed = games.consensus(gamma, {"x": x_loss, "y": y_loss})
    found = bilinear(together, losses=(agreed["x"], agreed["y"]))
    factor = np.hypot(1 - LR * gamma, LR)
    np.testing.assert_allclose(found, powers(factor), rtol=1e-5)


def test_optimism_of_optax_converges_on_the_bilinear_game():
    """z'' = z' - 2ηF(z') + ηF(z), whose companion matrix has a radius below 1."""
    found = bilinear(together, optax.optimistic_gradient_descent(LR), 200)
    field = np.array([[0, 1], [-1, 0]])
    companion = np.block(
        [[np.eye(2) - 2 * LR * field, LR * field], [np.eye(2), np.zeros((2, 2))]]
    )
    radius = np.abs(np.linalg.eigvals(companion)).max()
    assert radius < 1
    rate = (found[-1] / found[99]) ** (1 / 100)
    assert rate == pytest.approx(radius, abs=1e-3)


def lookahead(of, period=5, rate=0.5):
    return lambda *phases: games.lookahead(of(*phases), period, rate)


def test_lookahead_converges_where_its_steps_circle_or_diverge():
    """Of k steps with eigenvalues λᵏ it goes back: 1 + α(λᵏ - 1)."""
    step = np.array([[1, -LR], [LR, 1]])  # both at once
    matrix = 0.5 * np.eye(2) + 0.5 * np.linalg.matrix_power(step, 5)
    factor = np.abs(np.linalg.eigvals(matrix)).max()
    assert factor < 1
    np.testing.assert_allclose(
        bilinear(lookahead(together))[4::5], powers(factor, 12), rtol=1e-5
    )


def test_lookahead_takes_both_players_back_at_once():
    """Algorithm 1 of arXiv:2006.14567, in turn, by hand."""
    x, y = 3.0, 4.0
    expected = []
    for t in range(60):
        if t % 5 == 0:
            slow = x, y
        x -= LR * y
        y += LR * x
        if t % 5 == 4:
            x, y = ((s + w) / 2 for s, w in zip(slow, (x, y), strict=True))
        expected.append(np.hypot(x, y) / 5)
    np.testing.assert_allclose(bilinear(lookahead(chain)), expected, rtol=1e-4)
    with pytest.raises(ValueError, match="period is 0"):
        lookahead(chain, 0)(update("x", x_loss, optax.sgd(LR)))


def optimistic(tx):
    """Optimistic Adam (Daskalakis et al., 2018, arXiv:1711.00141) of optax's parts."""
    return optax.chain(tx, optax.scale_by_optimistic_gradient())


# Near the equilibrium Adam's rate is 0.02/(√v + ε), and v forgets. With optax's ε of
# 1e-8 it grows until the play leaves again, in bursts whose height is left to rounding;
# with this ε it stays below 0.2.
ADAM = optax.adam(0.02, 0.0, eps=0.1)


@pytest.mark.parametrize(
    ("play", "tx", "converges"),
    (
        (together, ADAM, False),
        (extra, ADAM, True),
        (together, optimistic(ADAM), True),
        (lookahead(chain, 20), ADAM, True),
    ),
    ids=("adam at once", "extra adam", "optimistic", "lookahead"),
)
def test_adam_of_each_kind_on_the_bilinear_game(play, tx, converges):
    found = bilinear(play, tx, 20000)
    assert found[-1000:].max() < 1e-6 if converges else found[-1000:].min() > 0.1


# --- the Dirac-GAN, by recipes.gan


THETA = Net(
    "G",
    lambda key, z: ({"theta": jnp.float32(1)}, {}),
    lambda p, s, z, train=True: (p["theta"] * jnp.ones((len(z), 1)), s),
)
PSI = Net(
    "D",
    lambda key, x: ({"psi": jnp.float32(1)}, {}),
    lambda p, s, x, train=True: (p["psi"] * x[:, 0], s),
)
PLAYERS = {"latent_dim": 1, "g_tx": optax.sgd(LR), "d_tx": optax.sgd(LR)}


def dirac(**options):
    """θ and ψ of the Dirac-GAN after each of 400 steps from (1, 1)."""
    gan = recipes.gan(THETA, PSI, **PLAYERS, **options)

    def one(state, key):
        state, _ = gan.step(state, BATCH, key)
        params = state.params
        return state, jnp.stack([params["G"]["theta"], params["D"]["psi"]])

    return np.array(jax.lax.scan(one, gan.init(KEY, BATCH), random.split(KEY, 400))[1])


def in_turn(jacobian_d, jacobian_g):
    """The spectral radius of D's linear step, and then G's."""
    d, g = np.eye(2), np.eye(2)
    d[1] += LR * np.array(jacobian_d)
    g[0] += LR * np.array(jacobian_g)
    return np.abs(np.linalg.eigvals(g @ d)).max()


HALF = 0.5  # the slope of the logistic losses at 0


def test_the_plain_dirac_gan_circles():
    """Mescheder et al., lemma 2.3; alternating, its linear part has radius 1."""
    assert in_turn([-HALF, 0], [0, HALF]) == pytest.approx(1)
    found = np.linalg.norm(dirac(), axis=1)
    assert found[-1] > 0.25, "R1 is below 1e-8 by then"


@pytest.mark.parametrize("penalty", ("r1", "r2"))
def test_r1_and_r2_converge_at_the_rate_of_their_eigenvalues(penalty):
    """γ/2 ψ², at real points as at fakes (theorem 4.1)."""
    gamma = 0.5
    found = np.linalg.norm(dirac(penalty=getattr(reg, penalty)(gamma)), axis=1)
    radius = in_turn([-HALF, -gamma], [0, HALF])
    assert (found[300] / found[100]) ** (1 / 200) == pytest.approx(radius, abs=4e-3)
    assert radius < 0.96 and found[-1] < 1e-8


def test_relativistic_pairs_need_both_penalties_or_circle():
    """R3GAN's lemma: f(ψ(0 - θ)) has the plain GAN's dynamics at the equilibrium."""
    relativistic = {"loss": losses.relativistic_logistic}
    assert np.linalg.norm(dirac(**relativistic), axis=1)[-1] > 0.25
    both = reg.total(reg.r1(0.25), reg.r2(0.25))
    found = np.linalg.norm(dirac(penalty=both, **relativistic), axis=1)
    radius = in_turn([-HALF, -0.5], [0, HALF])
    assert (found[300] / found[100]) ** (1 / 200) == pytest.approx(radius, abs=4e-3)


def test_wgan_gp_does_not_converge_on_the_dirac_gan():
    """Mescheder et al., lemma 2.7: |ψ| is drawn to 1, not to its equilibrium."""
    found = dirac(loss=losses.wasserstein, penalty=reg.wgan_gp(1.0))
    assert np.linalg.norm(found[-100:], axis=1).min() > 0.3


def test_weight_clipping_does_not_converge_on_the_dirac_gan():
    """Lemma 2.4, and ψ stays in its box."""
    found = dirac(loss=losses.wasserstein, clip=0.7)
    assert np.abs(found[:, 1]).max() == pytest.approx(0.7)
    assert np.linalg.norm(found[-100:], axis=1).min() > 0.3


def test_instance_noise_converges_on_the_dirac_gan():
    """Lemma 3.2: noise of the data damps ψ."""
    noise = augment.instance_noise(1.0, steps=10**9)
    found = np.linalg.norm(dirac(augment=noise), axis=1)
    assert found[-100:].mean() < 0.3


def test_extragradient_converges_on_the_dirac_gan():
    found = np.linalg.norm(dirac(play=extra), axis=1)
    assert found[-1] < 0.1
    for more in ({"n_critic": 5}, {"clip": 0.1}):
        with pytest.raises(ValueError, match="with play there is neither"):
            dirac(play=extra, **more)


def test_consensus_is_a_recipe_that_converges_on_the_dirac_gan():
    gan = recipes.consensus(THETA, PSI, **PLAYERS, weight=2.0)
    state, step = gan.init(KEY, BATCH), jax.jit(gan.step)
    # At θ = ψ = 1: v = (-σ(-1), σ(1)) of (D by ψ, G by θ) in the logistic game.
    _, metrics = step(state, BATCH, KEY)
    s = 1 / (1 + np.exp(-1))
    expected = (s**2 + (1 - s) ** 2) / 2
    assert metrics["consensus"].value() == pytest.approx(expected, rel=1e-5)
    for _ in range(200):
        state, _ = step(state, BATCH, KEY)
    # At the equilibrium both eigenvalues are 1 - ηγ/4 ± iη/2.
    assert np.hypot(1 - LR * 2 * HALF**2, LR * HALF) < 1
    assert abs(float(state.params["G"]["theta"])) < 1e-4
    assert abs(float(state.params["D"]["psi"])) < 1e-4


# --- the combinators


def test_together_starts_every_phase_from_one_state():
    tx = optax.sgd(LR)
    x, y = update("x", x_loss, tx), update("y", y_loss, tx)
    init, step = game((X, Y), together(x, y))
    state, _ = step(init(KEY, {"x": (), "y": ()}), {}, KEY)
    assert float(state.params["x"]["w"]) == pytest.approx(3 - LR * 4)
    assert float(state.params["y"]["w"]) == pytest.approx(4 + LR * 3)
    with pytest.raises(ValueError, match="together: 'x' is trained by 2 phases"):
        together(x, x)
    init, step = game((X, Y), together(every(1, x), every(1, y)))
    again, _ = step(init(KEY, {"x": (), "y": ()}), {}, KEY)
    jax.tree.map(np.testing.assert_array_equal, again.params, state.params)


def test_extragradient_keeps_what_optimizers_remember_of_both_steps():
    tx = optax.adam(0.1)
    phase = games.extragradient(update("x", x_loss, tx))
    init, step = game((X, Y), phase)
    state, _ = step(init(KEY, {"x": (), "y": ()}), {}, KEY)
    assert int(state.opt["x"][0].count) == 2
    # Both of Adam's steps are of its rate.
    assert float(state.params["x"]["w"]) == pytest.approx(3 - 0.1, rel=1e-5)
    assert phase.trains == {"x": (tx, tx)}


def test_lookahead_of_one_player_is_optax_s():
    theirs = optax.lookahead(optax.adam(0.1), 3, 0.4)
    pair = optax.LookaheadParams.init_synced({"w": jnp.float32(3)})
    other = theirs.init(pair)
    phase = games.lookahead(update("x", x_loss, optax.adam(0.1)), 3, 0.4)
    init, step = game((X, Y), phase)
    state = init(KEY, {"x": (), "y": ()})
    # A new run from other weights looks back at those, not at its first ones.
    state = merge(state, memory={"lookahead": {"x": {"w": jnp.float32(99)}}})
    for _ in range(10):
        gradient = {"w": state.params["y"]["w"]}
        state, _ = step(state, {}, KEY)
        with jax.numpy_dtype_promotion("standard"):
            change, other = theirs.update(gradient, other, pair)
        pair = optax.apply_updates(pair, change)
        np.testing.assert_allclose(state.params["x"]["w"], pair.fast["w"], rtol=1e-6)


def test_consensus_keeps_what_losses_remember():
    def remembers(state, batch, key):
        return X(state) * Y(state), {}, {"m": state.memory["m"] + X(state)}

    agreed = games.consensus(lambda step: 2.0, {"x": remembers, "y": y_loss})
    x = carry("m", jnp.float32(0), update("x", agreed["x"], optax.sgd(LR)))
    init, step = game((X, Y), together(x, update("y", agreed["y"], optax.sgd(LR))))
    state, metrics = step(init(KEY, {"x": (), "y": ()}), {}, KEY)
    assert float(state.memory["m"]) == 3
    # v = (y, -x), so γ/2 |v|² adds γ (x, y) to the gradients.
    assert float(state.params["x"]["w"]) == pytest.approx(3 - LR * (4 + 2 * 3))
    assert float(state.params["y"]["w"]) == pytest.approx(4 - LR * (-3 + 2 * 4))
    assert metrics["consensus"].value() == pytest.approx((9 + 16) / 2)


def test_phases_of_games_declare_what_they_write():
    x = carry("m", 0.0, update("x", x_loss, optax.sgd(LR)))
    assert games.extragradient(x).writes == {("memory", "m")}
    assert games.lookahead(x, 2).writes == {("memory", "m"), ("memory", "lookahead")}


def test_consensus_is_the_same_over_devices():
    """½|v|² is of the mean gradient, not a mean over devices."""
    net = Net(
        "x",
        lambda key, z: ({"w": jnp.float32(0.5)}, {}),
        lambda p, s, z, train=True: (p["w"] * z, s),
    )

    def loss(state, batch, key):
        return (net(state, batch["image"]) ** 2).mean(), {}

    agreed = games.consensus(0.3, {"x": loss})["x"]
    init, step = game((net,), update("x", agreed, optax.sgd(LR)))
    batch = {"image": jnp.arange(16.0).reshape(16, 1) / 8}
    start = init(KEY, {"x": (batch["image"],)})
    one, _ = jax.jit(step)(start, batch, KEY)
    many, _ = parallel.pmapped(step)(parallel.replicate(start), batch, KEY)
    w, m = 0.5, float((batch["image"] ** 2).mean())
    # L = m w², v = 2 m w, so w - η(2 m w + γ 4 m² w).
    expected = w - LR * (2 * m * w + 0.3 * 4 * m**2 * w)
    got = parallel.unreplicate(many).params["x"]["w"]
    assert float(one.params["x"]["w"]) == pytest.approx(expected, rel=1e-5)
    assert float(got) == pytest.approx(expected, rel=1e-5)
    assert merge(one).step == 1
