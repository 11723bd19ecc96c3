"""The algebra of phases, on networks of one number whose training is done by hand."""

import jax
import jax.experimental
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn
from jax import lax, random

from jaxgan.models import Net, flax_net
from jaxgan.phases import (
    carry,
    chain,
    ema,
    every,
    game,
    lazy,
    lazy_adam,
    prepared,
    project,
    refresh,
    repeat,
    share,
    together,
    until,
    update,
)
from jaxgan.types import Mean, Phase, TrainState, merge

LR = 0.1
SGD = optax.sgd(LR)
KEY = random.key(0)
X = {"x": jnp.array([1.0, 2.0])}  # the mean of x is 1.5, of x² 2.5


def _x64():
    """Double precision for a while; the context moved between versions of jax."""
    new = hasattr(jax, "enable_x64")
    return jax.enable_x64(True) if new else jax.experimental.enable_x64()


def _line(name, w):
    """The network x -> w · x."""

    def init(key, *inputs):
        return {"w": jnp.asarray(w, jnp.result_type(float))}, {}

    def apply(params, stats, x, train=True):
        return params["w"] * x, stats

    return Net(name, init, apply)


G, D = _line("G", 2.0), _line("D", 3.0)


def _square(net):
    """The loss mean((w x)²) / 2 = 1.25 w², whose gradient is 2.5 w."""

    def loss(state, batch, key):
        value = jnp.mean(net(state, batch["x"]) ** 2) / 2
        return value, {"loss": value}

    return loss


def _product(sign):
    """The bilinear game: G descends and D ascends w_G · w_D."""

    def loss(state, batch, key):
        return sign * state.params["G"]["w"] * state.params["D"]["w"], {}

    return loss


def _start(*phases, nets=(G, D)):
    """The first state of a game, and its step."""
    init, step = game(nets, *phases)
    return init(KEY, {net.name: () for net in nets}), step


def _weights(state):
    return {n: np.asarray(p["w"]) for n, p in state.params.items()}


def _assert_weights(state, **expected):
    for name, w in _weights(state).items():
        np.testing.assert_allclose(w, expected[name], rtol=1e-5, err_msg=name)


def _run(state, step, steps, batch=X):
    """Several steps; all states after them, and all metrics."""
    states, metrics = [], []
    for i in range(steps):
        state, new = step(state, batch, random.fold_in(KEY, i))
        states.append(state)
        metrics.append({n: m.value() for n, m in new.items()})
    return states, metrics


def _types(tree):
    return jax.tree.map(lambda x: (x.shape, x.dtype, x.weak_type), tree)


# --- update


def test_update_is_one_step_of_gradient_descent_on_the_named_network():
    state, step = _start(update("G", _square(G), SGD))
    new, metrics = step(state, X, KEY)
    _assert_weights(new, G=2 - LR * 2.5 * 2, D=3)
    assert metrics["loss"].value() == pytest.approx(1.25 * 2**2)
    assert metrics["G_grad_norm"].value() == pytest.approx(2.5 * 2)
    assert set(metrics) == {"loss", "G_grad_norm"}


def test_networks_updated_together_see_each_others_old_weights():
    state, step = _start(update(("G", "D"), _product(1), SGD))
    new, metrics = step(state, X, KEY)
    _assert_weights(new, G=2 - LR * 3, D=3 - LR * 2)
    assert metrics["G_grad_norm"].value() == pytest.approx(3)
    assert metrics["D_grad_norm"].value() == pytest.approx(2)


def test_networks_updated_in_turn_see_new_weights():
    state, step = _start(update("D", _product(-1), SGD), update("G", _product(1), SGD))
    d = 3 + LR * 2
    _assert_weights(step(state, X, KEY)[0], G=2 - LR * d, D=d)


def test_the_grad_norm_is_over_all_of_a_network_s_parameters():
    net = Net(
        "G",
        lambda key: ({"a": jnp.array([1.0, 2.0]), "b": {"c": jnp.float32(3)}}, {}),
        lambda params, stats, train=True: (params, stats),
    )

    def loss(state, batch, key):
        params = net(state)
        return params["a"].sum() * 2 + params["b"]["c"], {}

    state, step = _start(update("G", loss, SGD), nets=(net,))
    assert step(state, X, KEY)[1]["G_grad_norm"].value() == pytest.approx(3)  # √(4+4+1)


def test_parameters_may_have_several_dtypes():
    net = Net(
        "G",
        lambda key: ({"a": jnp.bfloat16(1), "b": jnp.float32(1)}, {}),
        lambda params, stats, train=True: (
            params["a"].astype("float32") * 3 + params["b"] * 4,
            stats,
        ),
    )
    state, step = _start(
        update("G", lambda state, batch, key: (net(state), {}), SGD), nets=(net,)
    )
    new, metrics = step(state, X, KEY)
    assert _types(new.params) == _types(state.params)
    assert metrics["G_grad_norm"].value() == pytest.approx(5)


def test_phases_that_train_one_network_share_its_momentum():
    tx = optax.sgd(LR, momentum=0.5)
    state, step = _start(update("G", _square(G), tx), update("G", _square(G), tx))
    w, trace = 2.0, 0.0
    for _ in range(2):
        trace = 2.5 * w + 0.5 * trace
        w -= LR * trace
    _assert_weights(step(state, X, KEY)[0], G=w, D=3)


def test_the_first_step_of_adam_is_the_learning_rate():
    state, step = _start(update("G", _square(G), optax.adam(0.25)))
    _assert_weights(step(state, X, KEY)[0], G=2 - 0.25, D=3)


def test_optimizers_may_have_schedules():
    tx = optax.sgd(lambda count: jnp.where(count == 0, 0.1, 0.2))
    state, step = _start(update("G", _square(G), tx))
    (_, last), _ = _run(state, step, 2)
    _assert_weights(last, G=2 * (1 - 0.1 * 2.5) * (1 - 0.2 * 2.5), D=3)


# --- chain


def test_chain_gives_every_phase_a_key_of_its_own():
    def noisy(name):
        def loss(state, batch, key):
            return _square(G)(state, batch, key)[0], {name: random.uniform(key)}

        return update("G", loss, SGD)

    nested = chain(noisy("a"), chain(noisy("b"), every(1, noisy("c"))), noisy("d"))
    state, step = _start(nested, noisy("e"))
    _, metrics = _run(state, step, 2)
    draws = [m[n] for m in metrics for n in "abcde"]
    assert len(set(draws)) == 10


@pytest.mark.parametrize(
    "wrap",
    [
        lambda phase: phase,
        lambda phase: chain(phase),
        lambda phase: every(2, phase),
        lambda phase: repeat(2, phase),
        lambda phase: carry("m", jnp.float32(0), phase),
        lambda phase: share("v", "D", lambda *args: 0, phase),
    ],
    ids=("update", "chain", "every", "repeat", "carry", "share"),
)
def test_chain_refuses_two_optimizers_for_one_network(wrap):
    """However deep they hide, and even when they are equal: state is by network."""
    first, second = (update("G", _square(G), optax.sgd(LR)) for _ in range(2))
    with pytest.raises(ValueError, match=r"train 'G' with different optimizers"):
        chain(first, wrap(second))
    with pytest.raises(ValueError, match=r"train 'G' with different optimizers"):
        game((G,), first, wrap(second))


def test_metrics_of_one_name_are_averaged():
    state, step = _start(update("G", _square(G), SGD), update("D", _square(D), SGD))
    _, metrics = step(state, X, KEY)
    assert metrics["loss"].value() == pytest.approx(1.25 * (2**2 + 3**2) / 2)


# --- every and repeat


@pytest.mark.parametrize("n", (1, 2, 3, 5))
def test_every_runs_on_steps_0_n_2n(n):
    state, step = _start(every(n, update("G", _square(G), SGD)))
    states, metrics = _run(state, jax.jit(step), 7)
    w = 2.0
    for k, (state, new) in enumerate(zip(states, metrics, strict=True)):
        if k % n == 0:
            assert new["loss"] == pytest.approx(1.25 * w**2)
            w *= 1 - LR * 2.5
        else:
            assert new == {"loss": None, "G_grad_norm": None}
        _assert_weights(state, G=w, D=3)
        assert state.step == k + 1


def test_a_skipped_phase_weighs_nothing_in_a_sum_of_metrics():
    """What a loop does between two lines of its log."""
    state, step = _start(every(3, update("G", _square(G), SGD)))
    total, w, seen = None, 2.0, []
    for i in range(7):
        seen += [1.25 * w**2] if i % 3 == 0 else []
        w *= (1 - LR * 2.5) if i % 3 == 0 else 1
        state, metrics = step(state, X, KEY)
        total = metrics["loss"] if total is None else total + metrics["loss"]
    assert float(total.count) == 3
    assert total.value() == pytest.approx(np.mean(seen))


def test_every_of_every_runs_when_both_would():
    state, step = _start(every(2, every(3, update("G", _square(G), SGD))))
    _, metrics = _run(state, jax.jit(step), 13)
    ran = [k for k, m in enumerate(metrics) if m["loss"] is not None]
    assert ran == [0, 6, 12]


def test_every_refuses_what_is_not_a_period():
    for n in (0, -1):
        with pytest.raises(ValueError, match=f"every: n is {n}; it must be 1 or more"):
            every(n, update("G", _square(G), SGD))


@pytest.mark.parametrize("n", (1, 2, 5))
def test_repeat_takes_n_steps_on_the_same_batch(n):
    state, step = _start(repeat(n, update("G", _square(G), SGD)))
    new, metrics = step(state, X, KEY)
    shrink = 1 - LR * 2.5
    _assert_weights(new, G=2 * shrink**n, D=3)
    losses = [1.25 * (2 * shrink**i) ** 2 for i in range(n)]
    assert metrics["loss"].value() == pytest.approx(np.mean(losses))
    assert new.step == 1


def test_repeat_draws_new_randomness_each_time():
    def loss(state, batch, key):
        draw = random.uniform(key)
        return state.params["G"]["w"] * draw, {"draw": draw}

    state, step = _start(repeat(64, update("G", loss, SGD)))
    new, metrics = step(state, X, KEY)
    mean = metrics["draw"].value()
    assert abs(mean - 0.5) < 4 / np.sqrt(12 * 64)
    _assert_weights(new, G=2 - LR * 64 * mean, D=3)


@pytest.mark.parametrize(("n", "at"), ((2, 1), (3, 2), (3, 0)))
def test_every_may_start_later(n, at):
    state, step = _start(every(n, update("G", _square(G), SGD), at))
    _, metrics = _run(state, jax.jit(step), 7)
    ran = [t for t, m in enumerate(metrics) if m["loss"] is not None]
    assert ran == [t for t in range(7) if t % n == at]
    with pytest.raises(ValueError, match=rf"at is {n}; it must be in 0 ... {n - 1}"):
        every(n, update("G", _square(G), SGD), n)


# --- what a phase writes


def test_every_entry_that_a_phase_does_not_write_keeps_its_identity():
    phases = every(2, update("D", _square(D), SGD)), every(2, ema("G", 0.5))
    state, _ = _start(*phases)
    for phase, touched in zip(phases, (("params", "opt"), ("ema",)), strict=True):
        name = "D" if "params" in touched else "G"
        new, _ = phase.step(state, X, KEY)
        for field in ("params", "opt", "ema"):
            for n, entry in getattr(state, field).items():
                same = getattr(new, field)[n] is entry
                assert same == (field not in touched or n != name), (field, n)
    assert phases[0].writes == frozenset() and phases[1].writes == {("ema", "G")}


def test_what_combinators_write_is_what_they_are_made_of():
    clip = project("D", lambda params: params)
    kept = carry("m", jnp.float32(0), update("G", _remember(), SGD))
    net = _averaging()
    expected = {("params", "D"), ("memory", "m"), ("ema", "G"), ("stats", "G")}
    average, advance = ema("G", 0.5), refresh(net, lambda *_: ())
    parts = (clip, kept, average, advance)
    of = chain(*parts)
    for phase in (
        of,
        every(2, of),
        repeat(2, of),
        until(1, chain(clip, kept), chain(average, advance)),
        prepared(lambda batch, key: batch, of),
        share("v", "D", lambda *args: 0, of),
        lazy(2, of),
        together(*parts),
    ):
        assert phase.writes == expected


def _sneak(field="ema", name="G"):
    """A phase that changes an entry and declares nothing."""

    def step(state, batch, key):
        entry = jax.tree.map(lambda x: x + 1, getattr(state, field)[name])
        return merge(state, **{field: {name: entry}}), {}

    return Phase(lambda state: state, step)


@pytest.mark.parametrize(
    "wrap",
    (
        lambda phase: every(2, phase),
        lambda phase: until(2, phase, update("G", _square(G), SGD)),
        lambda phase: until(2, update("G", _square(G), SGD), phase),
        lambda phase: together(phase, update("G", _square(G), SGD)),
    ),
    ids=("every", "until, first", "until, then", "together"),
)
@pytest.mark.parametrize(("field", "name"), (("ema", "G"), ("params", "D")))
def test_what_a_phase_writes_undeclared_is_named(wrap, field, name):
    state, step = _start(ema("G", 0.5), wrap(_sneak(field, name)))
    says = rf"writes {field}\['{name}'\], which it does not declare"
    with pytest.raises(ValueError, match=says):
        jax.eval_shape(step, state, X, KEY)
    declared = _sneak(field, name)._replace(writes=frozenset({(field, name)}))
    _, step = _start(ema("G", 0.5), wrap(declared))
    jax.eval_shape(step, state, X, KEY)


def test_only_game_counts_steps():
    count = Phase(
        lambda state: state, lambda state, *_: (state._replace(step=state.step + 1), {})
    )
    state, step = _start(every(2, count))
    with pytest.raises(ValueError, match="counts `step`"):
        step(state, X, KEY)


def test_phases_that_do_not_always_run_go_together():
    """Both start from one state, also where D skips a step."""
    d, g = update("D", _product(-1), SGD), update("G", _product(1), SGD)
    state, step = _start(together(every(2, d, 1), g))
    step, w = jax.jit(step), {"G": 2.0, "D": 3.0}
    for t in range(4):
        state, _ = step(state, X, KEY)
        old = dict(w)
        w["G"] = old["G"] - LR * old["D"]
        w["D"] = old["D"] + LR * old["G"] * (t % 2 == 1)
        _assert_weights(state, **w)


def test_together_refuses_two_writers_of_one_entry_when_it_is_made():
    kept = [carry("m", 0.0, update(n, _remember(), SGD)) for n in "GD"]
    with pytest.raises(ValueError, match=r"two phases write memory\['m'\]"):
        together(*kept)
    clip = project("G", lambda params: params)
    with pytest.raises(ValueError, match=r"two phases write params\['G'\]"):
        together(every(2, update("G", _square(G), SGD)), clip)


# --- lazy


def test_a_lazy_phase_runs_on_every_nth_step_with_its_gradient_n_fold():
    """By hand, with a shared momentum: 2.5 w in each step, n w_D now and then."""
    n, tx = 3, optax.sgd(LR, momentum=0.5)
    lazily = lazy(n, update("G", _product(1), tx))
    state, step = _start(update("G", _square(G), tx), lazily)
    step, w, trace = jax.jit(step), 2.0, 0.0
    for t in range(5):
        trace = 2.5 * w + 0.5 * trace
        w -= LR * trace
        if t % n == 0:
            trace = n * 3.0 + 0.5 * trace
            w -= LR * trace
        state, metrics = step(state, X, KEY)
        _assert_weights(state, G=w, D=3)
        norms = {name for name in metrics if name.endswith("_norm")}
        assert norms == {"G_grad_norm", "G_lazy_grad_norm"}
        lazy_norm = metrics["G_lazy_grad_norm"].value()
        assert lazy_norm == (pytest.approx(n * 3.0) if t % n == 0 else None)
    other = optax.sgd(LR, momentum=0.5)
    with pytest.raises(ValueError, match="different optimizers"):
        chain(update("G", _square(G), other), lazily)


@pytest.mark.parametrize("schedule", (False, True))
def test_lazy_adam_is_corrected_as_stylegan2_has_it(schedule):
    """c = n / (n + 1); Adam by hand in numpy, over both phases."""
    n, lr, b1, b2, eps = 4, 0.05, 0.5, 0.99, 1e-8
    rate = (lambda count: lr) if schedule else lr
    tx = lazy_adam(rate, b1, b2, n, eps)
    main, term = update("G", _square(G), tx), lazy(n, update("G", _product(1), tx))
    state, step = _start(main, term)
    c, step = n / (n + 1), jax.jit(step)
    w, m, v, count = 2.0, 0.0, 0.0, 0
    for t in range(6):
        for gradient in (lambda w: 2.5 * w, lambda w: n * 3.0)[: 1 + (t % n == 0)]:
            g, count = gradient(w), count + 1
            m = b1**c * m + (1 - b1**c) * g
            v = b2**c * v + (1 - b2**c) * g**2
            m_hat, v_hat = m / (1 - b1 ** (c * count)), v / (1 - b2 ** (c * count))
            w -= c * lr * m_hat / (np.sqrt(v_hat) + eps)
        state, _ = step(state, X, KEY)
        np.testing.assert_allclose(_weights(state)["G"], w, rtol=1e-5)
    with pytest.raises(ValueError, match="n is 0"):
        lazy_adam(lr, b1, b2, 0)


# --- a skipped phase leaves no NaN


def test_nan_comes_from_no_phase_that_was_skipped():
    """On odd steps the batch's `poison` is NaN; only even steps read it."""

    def poisoned(state, batch, key):
        value = jnp.mean(D(state, batch["poison"]) ** 2) / 2
        return value, {"d_loss": value}

    state, step = _start(
        every(2, chain(update("D", poisoned, SGD), ema("D", 0.5))),
        update("G", _square(G), SGD),
    )
    many = jax.tree.map(lambda x: jnp.stack([x, x]), state)
    for run, now in ((jax.jit(step), state), (jax.jit(jax.vmap(step)), many)):
        like = lambda x: jnp.broadcast_to(x, (*now.step.shape, *x.shape))  # noqa: B023, E731
        for k in range(4):
            poison = X["x"] if k % 2 == 0 else jnp.full(2, jnp.nan)
            batch = jax.tree.map(like, X | {"poison": poison})
            now, metrics = run(now, batch, like(KEY))
            for leaf in jax.tree.leaves((now, metrics)):
                assert np.isfinite(leaf).all(), k
            np.testing.assert_array_equal(metrics["d_loss"].count, k % 2 == 0)


def test_nan_in_a_phase_that_ran_is_seen():
    state, step = _start(every(1, update("G", _square(G), SGD)))
    _, metrics = step(state, {"x": jnp.full(2, jnp.nan)}, KEY)
    assert np.isnan(metrics["loss"].value())


# --- share

DATA = {"z": jnp.array([0.5, -1.0, 2.0]), "x": jnp.array([1.0, 3.0, -2.0])}


def _critic(fakes):
    """D's loss: a least-squares critic, w_D x to 1 and w_D G(z) to 0."""

    def loss(state, batch, key):
        fake = fakes(state, batch, key)
        value = jnp.mean((D(state, batch["x"]) - 1) ** 2 + D(state, fake) ** 2)
        return value, {"d_loss": value}

    return loss


def _generator(fakes):
    def loss(state, batch, key):
        value = jnp.mean((D(state, fakes(state, batch, key)) - 1) ** 2)
        return value, {"g_loss": value}

    return loss


def _produce(state, batch, key):
    return jnp.tanh(G(state, batch["z"]))


def _twins(d=SGD, g=SGD):
    """The same game with and without sharing the fakes."""
    recall = lambda state, batch, key: batch["fake"]  # noqa: E731
    both = []
    for fakes in (_produce, recall):
        phases = update("D", _critic(fakes), d), update("G", _generator(fakes), g)
        if fakes is recall:
            phases = (share("fake", "G", _produce, *phases),)
        both.append(_start(*phases, ema("G", 0.5)))
    return both


def _by_hand(w_g, w_d, lr=LR):
    """One step of `_twins` in numpy: D on G's old fakes, G against the new D."""
    z, x = (np.asarray(DATA[n], "float64") for n in "zx")
    fake = np.tanh(w_g * z)
    w_d = w_d - lr * np.mean(2 * (w_d * x - 1) * x + 2 * w_d * fake**2)
    slope = 2 * (w_d * fake - 1) * w_d * (1 - fake**2) * z
    return w_g - lr * np.mean(slope), w_d


def test_sharing_fakes_changes_nothing_but_the_cost():
    (state, apart), (same, together) = _twins(optax.adam(0.1), optax.adam(0.2))
    a, metrics_a = _run(state, apart, 3, DATA)
    b, metrics_b = _run(same, jax.jit(together), 3, DATA)
    for m, n in zip(metrics_a, metrics_b, strict=True):
        assert m == pytest.approx(n, rel=1e-5)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5)


def test_gradients_flow_through_what_is_shared():
    _, (state, step) = _twins()
    w_g, w_d = 2.0, 3.0
    for _ in range(3):
        state, _ = step(state, DATA, KEY)
        w_g, w_d = _by_hand(w_g, w_d)
        _assert_weights(state, G=w_g, D=w_d)


def test_what_is_shared_is_produced_once():
    calls = 0

    def produce(state, batch, key):
        nonlocal calls
        calls += 1
        return _produce(state, batch, key)

    fakes = lambda state, batch, key: batch["fake"]  # noqa: E731
    state, step = _start(
        share(
            "fake",
            "G",
            produce,
            repeat(3, update("D", _critic(fakes), SGD)),
            update("G", _generator(fakes), SGD),
        )
    )
    step(state, DATA, KEY)
    assert calls == 1
    text = str(jax.make_jaxpr(step)(state, DATA, KEY))
    assert text.count("tanh") == 1


def test_what_is_shared_may_be_random_and_a_tree_with_integers():
    seen = []

    def produce(state, batch, key):
        z = random.normal(key, (3,))
        return {"fake": G(state, z), "z": z, "label": jnp.arange(3)}

    def loss(state, batch, key):
        made = batch["made"]
        seen.append(random.uniform(key))
        value = jnp.mean(made["fake"])
        return value, {"z": made["z"], "label": made["label"], "fake": made["fake"]}

    state, step = _start(
        share("made", "G", produce, every(1, update("D", loss, SGD)),
              every(1, update("G", loss, SGD)))
    )  # fmt: skip
    new, metrics = step(state, X, KEY)
    z = metrics["z"].value()
    assert z != 0 and metrics["label"].value() == 1
    assert metrics["fake"].value() == pytest.approx(2 * z, rel=1e-5)
    _assert_weights(new, G=2 - LR * z, D=3)


def test_meta_gradients_through_a_shared_step():
    """d G'(w)/dw to second order: against the unshared step and finite differences."""
    with _x64():
        (state, apart), (same, together) = _twins()
        data = {n: jnp.asarray(np.asarray(v), "float64") for n, v in DATA.items()}

        def after(step, state, w):
            for i in range(2):
                params = {n: {"w": v} for n, v in w.items()} if i == 0 else {}
                state, _ = step(merge(state, params=params), data, KEY)
            return jnp.sin(state.params["G"]["w"]) * state.params["D"]["w"]

        w = {"G": jnp.float64(0.7), "D": jnp.float64(-0.4)}
        shared = jax.jit(jax.grad(lambda w: after(together, same, w)))(w)
        unshared = jax.jit(jax.grad(lambda w: after(apart, state, w)))(w)

    def numpy_after(w_g, w_d):
        for _ in range(2):
            w_g, w_d = _by_hand(w_g, w_d)
        return np.sin(w_g) * w_d

    h = 1e-6
    slopes = {
        "G": (numpy_after(0.7 + h, -0.4) - numpy_after(0.7 - h, -0.4)) / (2 * h),
        "D": (numpy_after(0.7, -0.4 + h) - numpy_after(0.7, -0.4 - h)) / (2 * h),
    }
    for n in "GD":
        np.testing.assert_allclose(shared[n], unshared[n], rtol=1e-9)
        np.testing.assert_allclose(shared[n], slopes[n], rtol=1e-6)


def test_a_loss_may_use_what_is_shared_and_the_network_too():
    """Both ways reach the weights: the gradient of mean(fake · G(x)) is a sum."""

    def loss(state, batch, key):
        value = jnp.mean(batch["fake"] * G(state, batch["x"]))
        return value, {"loss": value}

    produce = lambda state, batch, key: G(state, batch["z"])  # noqa: E731
    state, step = _start(share("fake", "G", produce, update("G", loss, SGD)))
    new, metrics = step(state, DATA, KEY)
    zx = np.mean(np.asarray(DATA["z"]) * np.asarray(DATA["x"]))
    assert metrics["loss"].value() == pytest.approx(2 * 2 * zx)
    _assert_weights(new, G=2 - LR * 2 * 2 * zx, D=3)


def test_two_things_can_be_shared_and_one_made_of_the_other():
    """As a cycle is: b by way of G, and of b an a by way of D."""
    first = lambda state, batch, key: G(state, batch["x"])  # noqa: E731
    second = lambda state, batch, key: D(state, batch["b"])  # noqa: E731

    def loss(state, batch, key):
        return jnp.mean(batch["a"] * batch["b"]), {}

    together = update(("G", "D"), loss, SGD)
    try:
        state, step = _start(share("b", "G", first, share("a", "D", second, together)))
        new, _ = step(state, X, KEY)
    except ValueError as e:
        assert "share" in str(e)
        return
    # (w_D w_G x) (w_G x), where the mean of x² is 2.5.
    _assert_weights(new, G=2 - LR * 2.5 * 2 * 2 * 3, D=3 - LR * 2.5 * 2**2)


def test_share_refuses_to_share_what_goes_out_of_date():
    recall = lambda state, batch, key: batch["fake"]  # noqa: E731
    d = update("D", _critic(recall), SGD)
    g = update("G", _generator(recall), SGD)
    share("fake", "G", _produce, d, g)
    for stale in ((g, d), (every(2, g), g), (chain(d, g), d)):
        with pytest.raises(ValueError, match="only the last phase may train 'G'"):
            share("fake", "G", _produce, *stale)


def _both(state, batch, key):
    """G's output, which D multiplies again: of two networks."""
    return D(state, G(state, batch["x"]))


def test_what_two_networks_make_is_shared_by_one_update_of_both():
    def loss(state, batch, key):
        return jnp.mean(batch["made"] ** 2) / 2, {}

    def alone(state, batch, key):
        return loss(state, batch | {"made": _both(state, batch, key)}, key)

    first = update("D", lambda state, batch, key: (jnp.mean(batch["made"]), {}), SGD)
    shared, step = _start(
        share("made", ("G", "D"), _both, update(("G", "D"), loss, SGD))
    )
    apart, other = _start(update(("G", "D"), alone, SGD))
    expected = _weights(other(apart, X, KEY)[0])
    _assert_weights(step(shared, X, KEY)[0], **expected)
    # (w_D w_G x)² / 2, where the mean of x² is 2.5.
    by_hand = {"G": 2 - LR * 2.5 * 9 * 2, "D": 3 - LR * 2.5 * 4 * 3}
    _assert_weights(step(shared, X, KEY)[0], **by_hand)
    with pytest.raises(ValueError, match="only the last phase may train 'G', 'D'"):
        share("made", ("G", "D"), _both, first, update(("G", "D"), loss, SGD))
    for names in ("G", "D"):
        state, step = _start(share("made", ("G", "D"), _both, update(names, loss, SGD)))
        with pytest.raises(
            ValueError, match=r"'made' is shared by way of .* train all"
        ):
            step(state, X, KEY)


def test_a_batch_is_prepared_once_for_all_phases_inside():
    calls = []

    def prepare(batch, key):
        calls.append(1)
        return {"x": 2 * batch["x"] + random.normal(key)}

    seen = []

    def loss(state, batch, key):
        seen.append(batch["x"])
        return jnp.mean(G(state, batch["x"])), {}

    state, step = _start(prepared(prepare, *[update("G", loss, SGD)] * 2))
    new, _ = step(state, X, KEY)
    assert len(calls) == 1
    np.testing.assert_array_equal(seen[0], seen[1])
    mean = float(np.mean(seen[0]))
    assert mean != pytest.approx(3.0)  # it has noise, of the step's key
    _assert_weights(new, G=2 - 2 * LR * mean, D=3)
    other, _ = step(state, X, random.key(1))
    assert _weights(other)["G"] != pytest.approx(_weights(new)["G"])


def test_until_a_step_one_phase_and_then_another():
    up = update(
        "G", lambda state, batch, key: (-state.params["G"]["w"], {"up": 1.0}), SGD
    )
    on_d = update(
        "D", lambda state, batch, key: (state.params["D"]["w"], {"down": 2.0}), SGD
    )
    down = chain(up, on_d)
    state, step = _start(until(2, up, down))
    assert {*state.opt} == {"G", "D"}
    states, metrics = _run(state, jax.jit(step), 4)
    g, d = ([float(_weights(s)[n]) for s in states] for n in "GD")
    np.testing.assert_allclose(g, [2.1, 2.2, 2.3, 2.4], rtol=1e-5)
    np.testing.assert_allclose(d, [3.0, 3.0, 2.9, 2.8], rtol=1e-5)
    assert [m["down"] for m in metrics] == [None, None, 2.0, 2.0]
    assert [m["up"] for m in metrics] == [1.0] * 4
    state, step = _start(until(0, up, down))
    assert float(_weights(step(state, X, KEY)[0])["D"]) == pytest.approx(2.9)
    with pytest.raises(ValueError, match="n is -1"):
        until(-1, up, down)
    other = update("G", _square(G), optax.sgd(LR))
    with pytest.raises(ValueError, match="different optimizers"):
        until(1, up, other)


@pytest.mark.parametrize("twice", (lambda g: repeat(2, g), lambda g: chain(g, g)))
def test_the_last_phase_may_train_once_only(twice):
    """Inside the last phase, too, the second update would use old fakes."""
    recall = lambda state, batch, key: batch["fake"]  # noqa: E731
    g = update("G", _generator(recall), SGD)
    try:
        state, step = _start(share("fake", "G", _produce, twice(g)))
    except ValueError:
        return
    new, _ = step(state, DATA, KEY)
    honest, step = _start(twice(update("G", _generator(_produce), SGD)))
    expected = _weights(step(honest, DATA, KEY)[0])
    _assert_weights(new, **expected)


# --- ema, project


@pytest.mark.parametrize("decay", (0.0, 0.5, 0.999))
def test_ema_averages_the_weights_with_a_decay_that_warms_up(decay):
    state, step = _start(update("G", _square(G), SGD), ema("G", decay))
    states, _ = _run(state, jax.jit(step), 12)
    w = average = 2.0
    for t, state in enumerate(states):
        w *= 1 - LR * 2.5
        d = min(decay, (1 + t) / (10 + t))
        average = d * average + (1 - d) * w
        np.testing.assert_allclose(state.ema["G"]["w"], average, rtol=1e-5)
        _assert_weights(state, G=w, D=3)
    assert set(state.ema) == {"G"}


def test_ema_remembers_the_first_weights_only_briefly():
    """Without the warming up, 0.999¹⁰⁰ = 90 % of them would be left."""
    jump = project("G", lambda params: {"w": jnp.float32(1)})
    state, step = _start(jump, ema("G", 0.999))
    step = jax.jit(step)
    for _ in range(100):
        state, _ = step(state, X, KEY)
    # ∏ (1 + t)/(10 + t) over t < 100: 9! · 100! / 109!.
    left = np.prod([(1 + t) / (10 + t) for t in range(100)])
    assert left < 1e-12
    np.testing.assert_allclose(state.ema["G"]["w"], 1 + left, rtol=1e-6)


def test_ema_starts_at_the_weights_in_a_buffer_of_its_own():
    state, step = _start(update("G", _square(G), SGD), ema("G", 0.9))
    assert state.ema["G"]["w"] == 2
    jax.jit(step, donate_argnums=0)(state, X, KEY)  # a shared buffer cannot be donated


def test_ema_s_decay_may_be_a_function_of_the_step():
    """Karras et al., 2020, let the average's half-life grow; here it jumps."""
    decay = lambda step: jnp.where(step < 20, 0.5, 0.9)  # noqa: E731
    state, step = _start(update("G", _square(G), optax.sgd(0.01)), ema("G", decay))
    step, w, average = jax.jit(step), 2.0, 2.0
    for t in range(100):
        state, _ = step(state, X, KEY)
        w *= 1 - 0.01 * 2.5
        d = min(0.5 if t < 20 else 0.9, (1 + t) / (10 + t))
        average = d * average + (1 - d) * w
        np.testing.assert_allclose(state.ema["G"]["w"], average, rtol=1e-4)


@pytest.mark.parametrize("decay", (-0.1, 1.0, 999))
def test_ema_refuses_a_decay_outside_0_to_1(decay):
    with pytest.raises(ValueError, match=f"ema: decay is {decay}"):
        ema("G", decay)


def test_project_clips_the_weights_of_one_network():
    clip = lambda params: jax.tree.map(lambda w: jnp.clip(w, -1, 1), params)  # noqa: E731
    state, step = _start(update("D", _square(D), SGD), project("D", clip))
    new, metrics = step(state, X, KEY)
    _assert_weights(new, G=2, D=1)
    assert set(metrics) == {"loss", "D_grad_norm"}


# --- refresh


def _averaging(name="G"):
    """A network that remembers the mean of its input with momentum 0.9, in training."""

    def apply(params, stats, x, train=True):
        new = {"mean": 0.9 * stats["mean"] + 0.1 * jnp.mean(x)} if train else stats
        return params["w"] * (x - jnp.mean(x)), new

    return Net(
        name, lambda key: ({"w": jnp.float32(2)}, {"mean": jnp.float32(0)}), apply
    )


def test_losses_leave_statistics_alone_and_refresh_advances_them():
    net = _averaging()
    inputs = lambda state, batch, key: (batch["x"],)  # noqa: E731
    plain, step = _start(update("G", _square(net), SGD), nets=(net,))
    assert step(plain, X, KEY)[0].stats["G"]["mean"] == 0
    state, step = _start(
        update("G", _square(net), SGD), every(2, refresh(net, inputs)), nets=(net,)
    )
    states, _ = _run(state, jax.jit(step), 4)
    means = [float(state.stats["G"]["mean"]) for state in states]
    assert means == pytest.approx([0.15, 0.15, 0.285, 0.285])


def test_refresh_gathers_batch_norm_s_averages():
    class Norm(nn.Module):
        @nn.compact
        def __call__(self, x, train: bool = True):
            return nn.BatchNorm(use_running_average=not train, momentum=0.9)(x)

    net = flax_net("G", Norm())
    x = np.random.default_rng(0).normal(3, 2, (32, 4)).astype("float32")
    init, step = game((net,), refresh(net, lambda state, batch, key: (batch["x"] + 1,)))
    state, _ = step(init(KEY, {"G": (x,)}), {"x": x}, KEY)
    stats = state.stats["G"]["batch_stats"]["BatchNorm_0"]
    np.testing.assert_allclose(stats["mean"], 0.1 * (x + 1).mean(0), rtol=1e-5)
    np.testing.assert_allclose(stats["var"], 0.9 + 0.1 * x.var(0), rtol=1e-4)


# --- carry


def _remember(net=G):
    """Remembers m <- m/2 + w, and adds the old m to the loss's gradient: w m."""

    def loss(state, batch, key):
        w = net(state, jnp.ones(()))
        value = w * state.memory["m"]
        new = {"m": state.memory["m"] / 2 + lax.stop_gradient(w)}
        return value, {"seen": value}, new

    return loss


def test_carry_hands_a_memory_to_the_next_step():
    state, step = _start(carry("m", jnp.float32(1), update("G", _remember(), SGD)))
    w, m = 2.0, 1.0
    assert state.memory["m"] == 1
    for _ in range(3):
        state, metrics = step(state, X, KEY)
        assert set(metrics) == {"seen", "G_grad_norm"}
        assert metrics["seen"].value() == pytest.approx(w * m)
        w, m = w - LR * m, m / 2 + w
        _assert_weights(state, G=w, D=3)
        np.testing.assert_allclose(state.memory["m"], m, rtol=1e-6)


def test_carry_keeps_trees_of_any_dtype():
    value = {"pool": jnp.zeros((2, 2)), "count": jnp.int32(0)}

    def loss(state, batch, key):
        old = state.memory["history"]
        pool = jnp.concatenate([batch["x"][None], old["pool"][:-1]])
        new = {"pool": pool, "count": old["count"] + 1}
        return _square(G)(state, batch, key)[0], {}, {"history": new}

    state, step = _start(carry("history", value, update("G", loss, SGD)))
    states, _ = _run(state, jax.jit(step), 3)
    assert states[-1].memory["history"]["count"] == 3
    np.testing.assert_array_equal(states[0].memory["history"]["pool"], [[1, 2], [0, 0]])
    assert _types(states[-1].memory) == _types(state.memory)


@pytest.mark.parametrize("value", (0.0, np.float32(0), jnp.float32(0)), ids=type)
def test_carry_makes_an_array_of_its_first_value(value):
    """DESIGN writes `carry("pl_mean", 0., ...)`; it must not cost a second trace."""
    state, step = _start(every(2, carry("m", value, update("G", _remember(), SGD))))
    assert isinstance(state.memory["m"], jax.Array)
    step = jax.jit(step)
    states, _ = _run(state, step, 3)
    assert _types(states[-1].memory) == _types(state.memory)
    assert step._cache_size() == 1


def test_carry_can_be_initialized_twice_although_steps_donate():
    init, step = game((G,), carry("m", jnp.zeros(()), update("G", _remember(), SGD)))
    jax.jit(step, donate_argnums=0)(init(KEY, {"G": ()}), X, KEY)
    assert init(KEY, {"G": ()}).memory["m"] == 0


def test_carry_inside_every_remembers_only_when_it_ran():
    state, step = _start(
        every(2, carry("m", jnp.float32(1), update("G", _remember(), SGD)))
    )
    states, _ = _run(state, jax.jit(step), 4)
    memory = [float(state.memory["m"]) for state in states]
    w = 2 - LR * 1
    assert memory == pytest.approx([2.5, 2.5, 1.25 + w, 1.25 + w])


# One run of `_remember` takes m to m/2 + w and w to w - LR m, from m = 1 and w = 2.
ONCE, TWICE = 2.5, 2.5 / 2 + 1.9


@pytest.mark.parametrize(
    ("wrap", "memories"),
    [
        (lambda p: every(2, p), [ONCE, ONCE]),
        (lambda p: repeat(2, p), [TWICE]),
        (lambda p: chain(p, p), [TWICE]),
    ],
    ids=("every", "repeat", "chain"),
)
def test_carry_outside_of_other_phases_works_or_is_refused(wrap, memories):
    """These skip, sum or average metrics; to a memory that must not happen."""
    try:
        state, step = _start(
            carry("m", jnp.float32(1), wrap(update("G", _remember(), SGD)))
        )
        states, _ = _run(state, jax.jit(step), len(memories))
    except ValueError as e:
        assert "carry" in str(e)
        return
    assert [float(new.memory["m"]) for new in states] == pytest.approx(memories)


def test_a_memory_is_of_whoever_returns_it():
    def doubles(state, batch, key):
        value, metrics = _square(D)(state, batch, key)
        return value, metrics | {"m": value}, {"m": 2 * state.memory["m"]}

    state, step = _start(
        carry("m", jnp.float32(1), update("G", _remember(), SGD)),
        update("D", doubles, SGD),
    )
    new, metrics = step(state, X, KEY)
    assert new.memory["m"] == 2 * ONCE
    # A metric of that name stays one.
    assert metrics["m"].value() == pytest.approx(1.25 * 3**2)


def test_carry_names_what_the_loss_forgot_to_return():
    state, step = _start(carry("m", jnp.float32(0), update("G", _square(G), SGD)))
    with pytest.raises((KeyError, ValueError), match=r"carry.*'m'"):
        step(state, X, KEY)


def test_a_memory_that_nothing_keeps_is_refused():
    state, step = _start(update("G", lambda *_: (jnp.float32(0), {}, {"m": 1.0}), SGD))
    with pytest.raises(ValueError, match=r"remembers \['m'\], which no `carry` keeps"):
        step(state, X, KEY)


def test_carry_swallows_no_metric_of_its_name():
    """As `carry("d_loss", ...)` did, which made the loss the next memory."""

    def loss(state, batch, key):
        value = state.params["G"]["w"] * state.memory["loss"]
        return value, {"loss": value}, {"loss": state.memory["loss"] + 1}

    state, step = _start(carry("loss", jnp.float32(1), update("G", loss, SGD)))
    states, metrics = _run(state, step, 2)
    assert [float(state.memory["loss"]) for state in states] == [2, 3]
    values = [m["loss"] for m in metrics]
    assert values == pytest.approx([2 * 1, (2 - LR) * 2])


# --- game


def test_game_starts_networks_from_different_keys():
    nets = [flax_net(n, nn.Dense(3)) for n in ("A", "B")]
    init, _ = game(nets, ema("A", 0.5))
    x = jnp.ones((1, 2))
    state = init(KEY, {"A": (x,), "B": (x,)})
    assert not np.array_equal(state.params["A"]["kernel"], state.params["B"]["kernel"])
    again = init(KEY, {"A": (x,), "B": (x,)})
    np.testing.assert_array_equal(
        state.params["A"]["kernel"], again.params["A"]["kernel"]
    )
    assert state.step == 0 and state.step.dtype == jnp.int32


def test_game_takes_shapes_for_inputs():
    init, _ = game((flax_net("A", nn.Dense(3)),))
    state = init(KEY, {"A": (jax.ShapeDtypeStruct((1, 2), "float32"),)})
    assert state.params["A"]["kernel"].shape == (2, 3)


def test_game_refuses_twin_names_and_unknown_trainees():
    with pytest.raises(ValueError, match=r"names of their own; got \['G', 'G'\]"):
        game((G, _line("G", 0.0)))
    with pytest.raises(ValueError, match=r"'D'.*trained but not among \['G'\]"):
        game((G,), every(2, update("D", _square(D), SGD)))


# --- the whole


def _everything(trace=lambda: None):
    """A game of every combinator at once."""
    net = _averaging("D")
    adam = optax.adam(0.05)
    fakes = lambda state, batch, key: batch["fake"]  # noqa: E731

    def produce(state, batch, key):
        return G(state, random.normal(key, batch["x"].shape))

    def critic(state, batch, key):
        real, fake = net(state, batch["x"]), net(state, fakes(state, batch, key))
        value = jnp.mean((real - 1) ** 2 + fake**2)
        return value, {"d_loss": value, "real": real}

    def generator(state, batch, key):
        value = jnp.mean((net(state, fakes(state, batch, key)) - 1) ** 2)
        return value, {"g_loss": value}

    init, step = game(
        (G, net),
        share(
            "fake",
            "G",
            produce,
            repeat(2, update("D", critic, adam)),
            update("G", generator, SGD),
        ),
        every(3, carry("m", jnp.float32(0), update("G", _remember(), SGD))),
        every(2, refresh(net, lambda state, batch, key: (batch["x"],))),
        project("D", lambda p: jax.tree.map(lambda w: jnp.clip(w, -1, 1), p)),
        ema("G", 0.9),
    )

    def traced(state, batch, key):
        trace()
        return step(state, batch, key)

    return init, traced


def test_a_step_keeps_the_state_s_structure_and_dtypes():
    init, step = _everything()
    state = init(KEY, {"G": (), "D": ()})
    new = jax.eval_shape(step, state, X, KEY)[0]
    assert jax.tree.structure(new) == jax.tree.structure(state)
    assert _types(new) == _types(state)


def test_many_steps_take_one_trace():
    traces = []
    init, step = _everything(lambda: traces.append(1))
    state, step = init(KEY, {"G": (), "D": ()}), jax.jit(step)
    _run(state, step, 7)
    assert len(traces) == 1


def test_jit_and_scan_equal_eager():
    init, step = _everything()
    state = init(KEY, {"G": (), "D": ()})
    eager, metrics = _run(state, step, 4)
    jitted, metrics_jitted = _run(state, jax.jit(step), 4)
    keys = jnp.stack([random.fold_in(KEY, i) for i in range(4)])
    last, scanned = lax.scan(lambda state, key: step(state, X, key), state, keys)
    for a, b, c in zip(
        *map(jax.tree.leaves, (eager[-1], jitted[-1], last)), strict=True
    ):
        np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(c, a, rtol=1e-5, atol=1e-6)
    for k, (m, n) in enumerate(zip(metrics, metrics_jitted, strict=True)):
        for name, value in m.items():
            assert (value is None) == (n[name] is None)
            assert value is None or n[name] == pytest.approx(value, rel=1e-4)
            one = Mean(scanned[name].total[k], scanned[name].count[k]).value()
            assert one is None if value is None else one == pytest.approx(value, 1e-4)


def test_vmap_over_seeds_equals_single_runs():
    init, step = _everything()
    inputs = {"G": (), "D": ()}
    seeds = random.split(KEY, 3)
    states = jax.vmap(lambda key: init(key, inputs))(seeds)
    spread = jax.tree.map(lambda w: w * jnp.array([1.0, -0.5, 0.3]), states.params)
    states = merge(states, params=spread)
    many = jax.jit(jax.vmap(step, (0, None, 0)))
    one = jax.jit(step)
    now, singles = states, [jax.tree.map(lambda x, i=i: x[i], states) for i in range(3)]
    for k in range(4):
        keys = jax.vmap(lambda key: random.fold_in(key, k))(seeds)  # noqa: B023
        now, metrics = many(now, X, keys)
        for i in range(3):
            singles[i], expected = one(singles[i], X, keys[i])
            for name, m in expected.items():
                np.testing.assert_allclose(metrics[name].total[i], m.total, rtol=1e-5)
                np.testing.assert_allclose(metrics[name].count[i], m.count)
    for i, single in enumerate(singles):
        mine = jax.tree.map(lambda x, i=i: x[i], now)
        for a, b in zip(*map(jax.tree.leaves, (mine, single)), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_gradients_through_an_unrolled_step():
    """Metz et al., 2017: G's gradient through D's step. By hand for w_G w_D."""
    state, step = _start(update("D", _product(-1), SGD), ema("D", 0.5))

    def after(w):
        new, _ = step(merge(state, params={"G": {"w": w}}), X, KEY)
        return w * new.params["D"]["w"] + new.ema["D"]["w"]

    # D' = 3 + LR w; its first average is 0.1 · 3 + 0.9 D'.
    slope = 3 + 2 * LR * 2 + 0.9 * LR
    np.testing.assert_allclose(jax.grad(after)(2.0), slope, rtol=1e-6)


@pytest.mark.parametrize("loop", ("python", "scan"))
def test_meta_gradients_are_finite_where_a_player_s_gradient_is_zero(loop):
    """A saturated hinge: the norm of a zero gradient must not leak a NaN."""

    def saturated(state, batch, key):
        return jax.nn.relu(-1 - D(state, jnp.ones(()))), {}

    state, step = _start(
        every(1, update("D", saturated, SGD)), update("G", _product(1), SGD)
    )

    def after(params):
        now = merge(state, params=params)
        if loop == "scan":
            keys = random.split(KEY, 3)
            now, _ = lax.scan(lambda state, key: step(state, X, key), now, keys)
        else:
            now = _run_quietly(now, step, 3)
        return now.params["G"]["w"] * now.params["D"]["w"]

    grads = jax.jit(jax.grad(after))(state.params)
    # D stays; G' = G - 3 LR D.
    np.testing.assert_allclose(grads["G"]["w"], 3, rtol=1e-6)
    np.testing.assert_allclose(grads["D"]["w"], 2 - 2 * 3 * LR * 3, rtol=1e-5)


def _run_quietly(state, step, steps):
    for i in range(steps):
        state, _ = step(state, X, random.fold_in(KEY, i))
    return state


# --- types


def test_mean_is_a_sum_and_a_count():
    m = Mean.of(jnp.array([1.0, 2.0, 6.0]))
    assert m.value() == 3 and float(m.count) == 1
    assert Mean.of(m) is m
    assert (m + Mean.of(5)).value() == 4
    assert Mean(jnp.float32(0), jnp.float32(0)).value() is None
    assert Mean.of(jnp.bfloat16(2)).total.dtype == jnp.float32
    assert Mean.of(jnp.array([True, False])).value() == 0.5


def test_merge_replaces_only_what_is_named():
    state = TrainState(jnp.int32(1), {"G": 1, "D": 2}, {"G": 3}, {}, {}, {})
    new = merge(state, params={"G": 5}, memory={"m": 6})
    assert new.params == {"G": 5, "D": 2} and new.memory == {"m": 6}
    assert new.stats == {"G": 3} and state.params == {"G": 1, "D": 2}
