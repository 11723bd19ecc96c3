"""Recipes from image to image: by hand, against a plain pool, and learning."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import random

from jaxgan import augment, parallel, pool, recipes, tasks
from jaxgan import regularizers as reg
from jaxgan.models import cyclegan, flax_net, pix2pix, spade, spectral, srgan
from jaxgan.models.net import Net
from jaxgan.recipes.adversary import at_once
from jaxgan.run import checkpoint
from jaxgan.run.members import Member
from jaxgan.run.program import start
from jaxgan.types import TrainState, UsageError, example

KEY = random.key(0)
SHAPE = (8, 8, 3)
SGD = optax.sgd(0.1)
IMAGES = random.uniform(KEY, (4, *SHAPE), minval=-1)
BATCH = {
    "image": IMAGES,
    "input": random.uniform(random.key(1), (4, *SHAPE), minval=-1),
    "map": random.randint(KEY, (4, 8, 8), 0, 3),
}


def scaled(name, first):
    """A network whose one weight multiplies its first input."""

    def apply(params, stats, x, *others, train=True, rngs=None):
        return params["w"] * x, stats

    return Net(name, lambda key, *x: ({"w": jnp.float32(first)}, {}), apply)


def mean_of(name, first):
    """A critic: a weight times the mean of each image."""

    def apply(params, stats, x, *others, train=True, rngs=None):
        return params["w"] * x.mean((1, 2, 3)), stats

    return Net(name, lambda key, *x: ({"w": jnp.float32(first)}, {}), apply)


def unet(channels=3, **options):
    return flax_net("G", pix2pix.UNet(channels, 4, **options))


def patchgan(patch=16):
    return flax_net("D", pix2pix.PatchGAN(4, patch))


def values(metrics):
    return {name: mean.value() for name, mean in metrics.items()}


def translate(model, state, *given, name="translate"):
    return model.draws[name].run(state, given, KEY)


def softplus(x):
    return np.log1p(np.exp(x))


def weight(state, name):
    return float(state.params[name]["w"])


def run(model, steps, batch=BATCH, compiled=False):
    """Few steps outside of `jit`, where compiled operations are shared by all tests."""
    state, step = model.init(KEY, batch), model.step
    step = jax.jit(step) if compiled else step
    for t in range(steps):
        state, metrics = step(state, batch, random.fold_in(KEY, t))
    return state, metrics


def finite(*trees):
    return all(np.isfinite(x).all() for x in jax.tree.leaves(trees))


# --- pix2pix


def test_a_step_of_pix2pix_is_equation_4_by_hand():
    """G doubles what it is given, D(x) = w mean(x); plain gradient descent."""
    G, D = scaled("G", 2.0), mean_of("D", 0.5)
    sgd = {"g_tx": SGD, "d_tx": SGD}
    model = recipes.pix2pix(G, D, tasks.paired(), weight=7.0, **sgd)
    start = model.init(KEY, BATCH)
    state, metrics = model.step(start, BATCH, KEY)
    x, y = (np.array(BATCH[n], "float64") for n in ("input", "image"))
    mx, my = (v.mean((1, 2, 3)) for v in (x, y))
    real, fake = 0.5 * my, 0.5 * 2 * mx
    d_loss = (softplus(-real) + softplus(fake)).mean() / 2
    sigmoid = lambda v: 1 / (1 + np.exp(-v))  # noqa: E731
    slope = (-sigmoid(-real) * my + sigmoid(fake) * 2 * mx).mean() / 2
    w = 0.5 - 0.1 * slope
    assert weight(state, "D") == pytest.approx(w, rel=1e-4)
    away = np.abs(2 * x - y).mean()
    g_loss = softplus(-w * 2 * mx).mean()
    got = values(metrics)
    assert got["d_loss"] == pytest.approx(d_loss, rel=1e-4)
    assert got["g_loss"] == pytest.approx(g_loss, rel=1e-4)
    assert got["distance"] == pytest.approx(away, rel=1e-4)
    slope = (-sigmoid(-w * 2 * mx) * w * mx).mean()
    slope += 7 * (np.sign(2 * x - y) * x).mean()
    assert weight(state, "G") == pytest.approx(2 - 0.1 * slope, rel=1e-4)
    average = 2 + 0.9 * (weight(state, "G") - 2)
    assert float(state.ema["G"]["w"]) == pytest.approx(average, rel=1e-4)
    drawn = translate(model, state, BATCH["input"])
    expected = (average * BATCH["input"]).clip(-1, 1)
    np.testing.assert_allclose(drawn, expected, rtol=1e-4)


def test_a_regression_is_pix2pix_without_d():
    model = recipes.regression(scaled("G", 2.0), tasks.paired(), g_tx=SGD)
    state, metrics = model.step(model.init(KEY, BATCH), BATCH, KEY)
    x, y = (np.array(BATCH[n], "float64") for n in ("input", "image"))
    slope = (np.sign(2 * x - y) * x).mean()
    assert weight(state, "G") == pytest.approx(2 - 0.1 * slope, rel=1e-4)
    assert values(metrics)["distance"] == pytest.approx(np.abs(2 * x - y).mean(), 1e-4)
    assert set(state.params) == {"G"}


TASKS = {
    "paired": (tasks.paired(), 3),
    "reverse": (tasks.paired(reverse=True), 3),
    "colourization": (tasks.colourization(), 3),
    "inpainting": (tasks.inpainting(tasks.square()), 3),
    "free form": (tasks.inpainting(tasks.free_form()), 3),
    "edges": (tasks.edges(), 3),
    "maps": (tasks.of_maps(3), 3),
}


@pytest.mark.parametrize("name", TASKS)
def test_any_task_takes_two_finite_steps(name):
    task, channels = TASKS[name]
    tx = optax.adam(1e-3, 0.5)
    model = recipes.pix2pix(unet(channels), patchgan(), task, g_tx=tx, d_tx=tx)
    state, metrics = run(model, 2)
    assert finite(state, metrics)
    given = task.given(BATCH, KEY)
    drawn = translate(model, state, *given)
    assert drawn.shape == IMAGES.shape and abs(drawn).max() <= 1
    other = model.draws["translate"].run(state, given, random.key(9))
    assert (drawn != other).any()  # dropout
    like = jax.eval_shape(model.init, KEY, example(SHAPE))
    assert jax.tree.map(jnp.shape, like) == jax.tree.map(jnp.shape, state)


def test_what_is_given_is_made_once_in_a_step():
    made = []

    def given(batch, key, n=None):
        made.append(1)
        return (batch["input"],)

    tx = optax.adam(1e-3)
    task = tasks.Task(given, ("image", "input"), "image")
    model = recipes.pix2pix(unet(), patchgan(), task, g_tx=tx, d_tx=tx)
    state = model.init(KEY, BATCH)
    made.clear()
    jax.make_jaxpr(model.step)(state, BATCH, KEY)
    assert len(made) == 1


def test_one_trace_serves_all_steps_of_four_networks():
    traces = []
    ab = numbers(pool=2)

    def step(state, batch, key):
        traces.append(1)
        return ab.step(state, batch, key)

    step, state = jax.jit(step), ab.init(KEY, BATCH)
    for t in range(3):
        state, _ = step(state, BATCH, random.fold_in(KEY, t))
    assert len(traces) == 1


def test_pix2pix_learns_to_turn_colours_around():
    batch = {"input": IMAGES, "image": -IMAGES}
    tx = optax.adam(5e-3, 0.5)
    G, D = unet(stages=2, dropout=0.0), patchgan(1)
    model = recipes.pix2pix(G, D, tasks.paired(), g_tx=tx, d_tx=tx)
    _, first = run(model, 1, batch)
    _, last = run(model, 150, batch, compiled=True)
    assert values(last)["distance"] < 0.4 * values(first)["distance"]


# --- SRGAN


def sr(pretrain, **options):
    """SRGAN of networks of one weight each."""

    def twice(params, stats, x, train=True, rngs=None):
        return params["w"] * x.repeat(2, 1).repeat(2, 2), stats

    G = Net("G", lambda key, x: ({"w": jnp.float32(0.5)}, {}), twice)
    task = tasks.super_resolution(2)
    args = {"g_tx": SGD, "d_tx": SGD, "pretrain": pretrain}
    return recipes.srgan(G, mean_of("D", 1.0), task, **args | options)


def test_srgan_s_networks_go_together():
    G = flax_net("G", srgan.SRResNet(3, 2, 0, 2))
    D = flax_net("D", srgan.Discriminator(1, 2))
    txs = {"g_tx": SGD, "d_tx": SGD, "pretrain": 0}
    model = recipes.srgan(G, D, tasks.super_resolution(2), **txs)
    state = jax.eval_shape(model.init, KEY, example(SHAPE))
    after, _ = jax.eval_shape(model.step, state, BATCH, KEY)
    assert jax.tree.structure(after) == jax.tree.structure(state)


def test_srgan_learns_the_squared_error_first():
    model = sr(2)
    state = model.init(KEY, BATCH)
    for t in range(4):
        old, (state, metrics) = state, model.step(state, BATCH, random.fold_in(KEY, t))
        got = values(metrics)
        moved = {
            n: any(
                (a != b).any()
                for a, b in zip(
                    *map(jax.tree.leaves, (old.params[n], state.params[n])), strict=True
                )
            )
            for n in "GD"
        }
        assert moved == {"G": True, "D": t >= 2}
        assert (got["distance"] is None) == (t >= 2)
        for name in ("content_loss", "g_loss", "d_loss", "D(fake)"):
            assert (got[name] is None) == (t < 2)


def test_srgan_s_terms_are_its_own():
    """With content 0 and all, what moves G is the adversarial term alone."""
    still = sr(0, content=lambda a, b: 0 * a.mean((1, 2, 3)), adversarial=0.0)
    state = still.init(KEY, BATCH)
    _, metrics = still.step(state, BATCH, KEY)
    assert values(metrics)["G_grad_norm"] == 0
    pushed = sr(0, content=lambda a, b: 0 * a.mean((1, 2, 3)), adversarial=1.0)
    _, metrics = pushed.step(state, BATCH, KEY)
    one = values(metrics)["G_grad_norm"]
    twice = sr(0, content=lambda a, b: 0 * a.mean((1, 2, 3)), adversarial=2.0)
    _, metrics = twice.step(state, BATCH, KEY)
    assert values(metrics)["G_grad_norm"] == pytest.approx(2 * one, rel=1e-3) and one


def test_srgan_s_content_moves_g_by_hand():
    """G copies w · x twice as large, and its content loss is a mean square."""
    x = np.array(BATCH["image"], "float64")
    # What G makes of the small copies, which the task makes bicubically.
    small = np.array(tasks.smaller(BATCH["image"], 2), "float64")
    large = small.repeat(2, 1).repeat(2, 2)
    model = sr(0, adversarial=0.25)
    state, metrics = model.step(model.init(KEY, BATCH), BATCH, KEY)
    got = values(metrics)
    content = ((0.5 * large - x) ** 2).mean()
    assert got["content_loss"] == pytest.approx(content, rel=1e-4)
    w = weight(state, "D")
    m = 0.5 * large.mean((1, 2, 3))
    slope = (2 * (0.5 * large - x) * large).mean()
    slope += 0.25 * (-1 / (1 + np.exp(w * m)) * w * large.mean((1, 2, 3))).mean()
    assert weight(state, "G") == pytest.approx(0.5 - 0.1 * slope, rel=1e-5)
    assert got["G_grad_norm"] == pytest.approx(abs(slope), rel=1e-3)


# --- penalties and augmentations, of any D

TWICE = augment.Augmentation(lambda images, key, step, memory: 2 * images)


def pix(**options):
    nets = scaled("G", 2.0), mean_of("D", 0.5)
    return recipes.pix2pix(*nets, tasks.paired(), g_tx=SGD, d_tx=SGD, **options)


def test_pix2pix_takes_a_penalty_and_an_augmentation():
    """D of 2 x has the slope 2 w / n by each of an image's n numbers."""
    model = pix(penalty=reg.r1(2.0), augment=TWICE)
    state, metrics = model.step(model.init(KEY, BATCH), BATCH, KEY)
    x, y = (np.array(BATCH[n], "float64") for n in ("input", "image"))
    mx, my, n = x.mean((1, 2, 3)), y.mean((1, 2, 3)), 8 * 8 * 3
    real, fake = 0.5 * 2 * my, 0.5 * 2 * 2 * mx
    got, penalty = values(metrics), 4 * 0.5**2 / n
    assert got["d_penalty"] == pytest.approx(penalty, rel=1e-4)
    d_loss = (softplus(-real) + softplus(fake)).mean() / 2 + penalty
    assert got["d_loss"] == pytest.approx(d_loss, rel=1e-4)
    g_loss = softplus(-weight(state, "D") * 2 * 2 * mx).mean()
    assert got["g_loss"] == pytest.approx(g_loss, rel=1e-4)
    assert got["distance"] == pytest.approx(np.abs(2 * x - y).mean(), rel=1e-4)


def test_each_d_of_cyclegan_has_a_penalty_and_an_augmentation():
    model = numbers(penalty=reg.lecam_penalty(1.0, 0.75, 0), augment=TWICE, pool=0)
    state, metrics = model.step(model.init(KEY, BATCH), BATCH, KEY)
    ma, mb = (np.array(BATCH[n], "float64").mean() for n in ("input", "image"))
    means = {"a": (2 * ma, 2 * 3 * mb), "b": (-4 * mb, -4 * 0.5 * ma)}
    for name, (real, fake) in means.items():
        memory = state.memory[f"penalty_{name}"]  # anchors begin at the first means
        assert float(memory["real"]) == pytest.approx(real, rel=1e-3)
        assert float(memory["fake"]) == pytest.approx(fake, rel=1e-3)
        assert values(metrics)[f"D_{name}(real)"] == pytest.approx(real, rel=1e-3)
        assert values(metrics)[f"d_penalty_{name}"] == 0
    _, metrics = model.step(state, BATCH, random.key(5))
    assert all(values(metrics)[f"d_penalty_{name}"] > 0 for name in "ab")


@pytest.mark.parametrize("which", ("pix2pix", "srgan", "spade", "cyclegan"))
def test_translators_keep_their_structure_with_every_option(which):
    """ADA's p and LeCam's anchors are in the state, and parts step by themselves."""
    options = {
        "penalty": reg.total(reg.lecam_penalty(), reg.r1()),
        "augment": augment.adaptive(),
        "ema_decay": lambda step: 0.5,
    }
    of = {"pix2pix": pix, "srgan": lambda **o: sr(1, **o), "cyclegan": numbers}
    model = painter(True, **options) if which == "spade" else of[which](**options)
    state = jax.eval_shape(model.init, KEY, BATCH)
    names = ("penalty", "augment")
    suffixes = ("_a", "_b") if which == "cyclegan" else ("",)
    expected = {name + suffix for name in names for suffix in suffixes}
    assert set(state.memory) - {"pool"} == expected
    assert set(model.parts) == {"D", "G"}
    for step in (model.step, *model.parts.values()):
        after, _ = jax.eval_shape(step, state, BATCH, KEY)
        assert jax.tree.structure(after) == jax.tree.structure(state)


def test_parts_of_a_translator_are_what_a_step_is_made_of():
    """D's update, then G's against the new D, on fakes of their own, which are equal
    where G draws no noise."""
    model = numbers(pool=0)
    state = model.init(KEY, BATCH)
    apart, _ = model.parts["D"](state, BATCH, KEY)
    assert weight(apart, "G") == 0.5 and weight(apart, "D_a") != 1.0
    apart, _ = model.parts["G"](apart, BATCH, KEY)
    whole, _ = model.step(state, BATCH, KEY)
    for name in ("G", "F", "D_a", "D_b"):
        assert weight(apart, name) == pytest.approx(weight(whole, name), rel=1e-5)
    assert apart.step == 0 and whole.step == 1


# --- CycleGAN


def numbers(**options):
    """A CycleGAN of networks of one weight each."""
    nets = scaled("G", 0.5), scaled("F", 3.0), mean_of("D_a", 1.0), mean_of("D_b", -2.0)
    txs = {"g_tx": SGD, "d_tx": SGD}
    return recipes.cyclegan(*nets, shape=SHAPE, **txs | options)


def cycle_pair(**options):
    G, F = (flax_net(n, cyclegan.ResNetGenerator(3, 2, 1)) for n in "GF")
    D_a, D_b = (flax_net(n, pix2pix.PatchGAN(2, 16)) for n in ("D_a", "D_b"))
    tx = {"g_tx": optax.adam(1e-3), "d_tx": optax.adam(1e-3)}
    return recipes.cyclegan(G, F, D_a, D_b, shape=SHAPE, **tx | options)


def test_a_step_of_cyclegan_is_by_hand():
    """G and F multiply by 0.5 and 3, the critics' weights are 1 and -2."""
    ab = numbers(pool=0)
    state, metrics = ab.step(ab.init(KEY, BATCH), BATCH, KEY)
    a, b = (np.array(BATCH[n], "float64") for n in ("input", "image"))
    ma, mb = (v.mean((1, 2, 3)) for v in (a, b))

    def critic(w, real, fake):
        value = ((w * real - 1) ** 2 + (w * fake) ** 2).mean() / 2
        slope = ((w * real - 1) * real + w * fake**2).mean()
        return value, w - 0.1 * slope

    loss_a, w_a = critic(1.0, ma, 3 * mb)
    loss_b, w_b = critic(-2.0, mb, 0.5 * ma)
    got = values(metrics)
    assert got["d_loss"] == pytest.approx(loss_a + loss_b, rel=1e-4)
    cycled = np.abs(1.5 * a - a).mean() + np.abs(1.5 * b - b).mean()
    assert got["cycle_loss"] == pytest.approx(cycled, rel=1e-4)
    same = np.abs(0.5 * b - b).mean() + np.abs(3 * a - a).mean()
    assert got["identity_loss"] == pytest.approx(same, rel=1e-4)
    for name, real, fake in (("D_a", ma, 3 * mb), ("D_b", -2 * mb, -2 * 0.5 * ma)):
        assert got[f"{name}(real)"] == pytest.approx(real.mean(), rel=1e-4)
        assert got[f"{name}(fake)"] == pytest.approx(fake.mean(), rel=1e-4)
    for name, expected in (("D_a", w_a), ("D_b", w_b)):
        assert weight(state, name) == pytest.approx(expected, rel=1e-4)
    given = jnp.full((2, *SHAPE), 0.25)
    there, back = (
        translate(ab, state, given, name=name)[0, 0, 0, 0]
        for name in ("translate", "back")
    )
    tasks_ = {name: draw.task.target for name, draw in ab.draws.items()}
    assert tasks_ == {"translate": "image", "back": "input"}
    averages = [float(state.ema[n]["w"]) for n in "GF"]
    np.testing.assert_allclose([there, back], 0.25 * np.array(averages), rtol=1e-5)


def test_devices_keep_their_examples_of_batches_that_pass_at_once():
    """What they exchange are sums of gradients alone."""
    ab = cycle_pair(pool=0)
    batch = {n: jnp.zeros((8, *SHAPE)) for n in ("input", "image")}
    mesh = parallel.mesh(jax.devices()[:4])
    whole, parts = parallel.replicated(mesh), parallel.divided(mesh)
    step = jax.jit(ab.step, in_shardings=(whole, parts, whole), out_shardings=whole)
    state = jax.eval_shape(ab.init, KEY, batch)
    text = step.lower(state, batch, KEY).compile().as_text()
    assert "all-reduce" in text
    for exchange in ("all-to-all", "all-gather", "collective-permute"):
        assert exchange not in text


@pytest.mark.parametrize("norm", ("instance", "batch"))
def test_batches_pass_a_network_at_once_without_mixing(norm):
    G = flax_net("G", cyclegan.ResNetGenerator(3, 2, 1, norm=norm))
    params, stats = G.init(KEY, BATCH["image"])
    state = TrainState(jnp.int32(0), {"G": params}, {"G": stats}, {}, {}, {})
    batches = BATCH["image"], BATCH["input"] * 0.1
    found = at_once(G, state, *batches)
    for one, images in zip(found, batches, strict=True):
        np.testing.assert_allclose(one, G(state, images), atol=1e-5)


def test_the_pools_are_those_of_the_authors():
    """Against `ImagePool` of their program in plain Python, one for each domain, fed
    the same draws."""
    size, n = 3, 2
    kept, stored = pool.empty(size, (1, 1, 1)), {d: [] for d in "ab"}
    swapped = {d: [] for d in "ab"}
    for t in range(60):
        key = random.fold_in(KEY, t)
        fakes = {
            d: jnp.float32([100 * t + 10 * i + j for i in range(n)]).reshape(n, 1, 1, 1)
            for j, d in enumerate("ab")
        }
        shown, kept = pool.query(kept, fakes, key)
        for j, d in enumerate("ab"):
            on_slot, on_coin = random.split(random.fold_in(key, j))
            slots = random.randint(on_slot, (n,), 0, size).tolist()
            coins = random.bernoulli(on_coin, 0.5, (n,)).tolist()
            for i in range(n):
                expected = new = float(fakes[d][i, 0, 0, 0])
                if len(stored[d]) < size:
                    stored[d].append(new)
                elif coins[i]:
                    expected, stored[d][slots[i]] = stored[d][slots[i]], new
                swapped[d].append(expected != new)
                assert float(shown[d][i, 0, 0, 0]) == expected
    for d in "ab":
        assert [float(x) for x in kept[d][:, 0, 0, 0]] == stored[d]
    assert int(kept["count"]) == size
    assert swapped["a"] != swapped["b"]  # by coins of their own


def test_cyclegan_keeps_its_pool_in_the_state():
    ab = numbers(pool=6)
    state, metrics = run(ab, 2)
    kept = state.memory["pool"]
    assert int(kept["count"]) == 6 and kept["a"].shape == (6, *SHAPE)
    assert finite(state, metrics)
    with_none = numbers(pool=0, identity=0.0)
    state, metrics = run(with_none, 1)
    assert "pool" not in state.memory and "identity_loss" not in metrics


def test_each_d_is_shown_what_its_pool_gives():
    ab = numbers(pool=6)
    state, key = ab.init(KEY, BATCH), random.key(3)
    for t in range(3):
        state, _ = ab.parts["D"](state, BATCH, random.fold_in(key, t))
    other = {name: BATCH[name][::-1] / 2 for name in ("image", "input")}
    fakes = {"a": 3.0 * other["image"], "b": 0.5 * other["input"]}
    shown, _ = pool.query(state.memory["pool"], fakes, key)
    _, metrics = ab.parts["D"](state, other, key)
    for name in "ab":
        w = weight(state, f"D_{name}")
        seen = values(metrics)[f"D_{name}(fake)"]
        assert seen == pytest.approx(w * float(shown[name].mean()), rel=1e-5)
        assert abs(seen - w * float(fakes[name].mean())) > 1e-4


def test_cyclegan_s_networks_go_together():
    ab = cycle_pair()
    state = jax.eval_shape(ab.init, KEY, example(SHAPE))
    after, _ = jax.eval_shape(ab.step, state, BATCH, KEY)
    assert jax.tree.structure(after) == jax.tree.structure(state)


def test_cyclegan_agrees_under_pmap_with_one_device():
    ab = numbers(pool=20)
    batch = {n: random.uniform(random.key(i), (8, *SHAPE)) for i, n in enumerate(BATCH)}
    batch.pop("map")
    one = ab.init(KEY, batch)
    many = parallel.replicate(one)
    for t in range(2):
        key = random.fold_in(KEY, t)
        one, _ = jax.jit(ab.step)(one, batch, key)
        many, _ = parallel.pmapped(ab.step)(many, batch, key)
    many = parallel.unreplicate(many)
    np.testing.assert_array_equal(one.memory["pool"]["count"], 16)
    for name in "ab":
        pools = one.memory["pool"][name], many.memory["pool"][name]
        np.testing.assert_allclose(*pools, atol=2e-6)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5),
        one.params,
        many.params,
    )


# --- resuming


@pytest.mark.parametrize("which", ("cyclegan's pool", "srgan's stages"))
def test_a_run_that_is_saved_and_restored_goes_on_as_it_was(which, tmp_path):
    """Bit for bit, through a checkpoint: before a pool is full, and between stages."""
    model = numbers(pool=10) if "pool" in which else sr(3)
    step, state = jax.jit(model.step), model.init(KEY, BATCH)
    with checkpoint.writer(tmp_path / "saved") as saved:
        for t in range(5):
            if t == 2:
                checkpoint.save(saved, state)
            state, _ = step(state, BATCH, random.fold_in(KEY, t))
    mesh = parallel.mesh(jax.devices()[:1])
    template, others = (
        start(lambda values, m=m: m, (Member(0, {}),), SHAPE, mesh).template
        for m in (model, painter(True))
    )
    with checkpoint.reader(tmp_path / "saved") as saved:
        again = checkpoint.restore(saved, template)
        with pytest.raises(UsageError, match="states of other networks or optimizers"):
            checkpoint.restore(saved, others)
    assert int(again.step) == 2
    for t in range(2, 5):
        again, metrics = step(again, BATCH, random.fold_in(KEY, t))
    same = jax.tree.map(np.array_equal, again, state)
    assert all(jax.tree.leaves(same))
    if "pool" in which:
        assert int(state.memory["pool"]["count"]) == 10
    else:
        assert values(metrics)["distance"] is None  # the second stage


def test_dropout_is_the_same_under_pmap_and_under_jit():
    x = random.uniform(KEY, (8, 8, 8, 1))
    given = {"input": x, "image": random.uniform(random.key(1), x.shape)}
    tx = optax.sgd(1.0)
    model = recipes.regression(unet(1, stages=2), tasks.paired(), g_tx=tx)
    one = model.init(KEY, given)
    many = parallel.replicate(one)
    one, _ = jax.jit(model.step)(one, given, KEY)
    many, _ = parallel.pmapped(model.step)(many, given, KEY)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
        one.params,
        parallel.unreplicate(many).params,
    )


# --- SPADE


def painter(encoder=False, **options):
    G = spectral.normalized(flax_net("G", spade.Generator(3, 2, 4)))
    D = spectral.normalized(flax_net("D", pix2pix.MultiScale(1, 2, 16)))
    E = flax_net("E", spade.Encoder(5, 2)) if encoder else None
    tx = {"g_tx": optax.adam(1e-3), "d_tx": optax.adam(1e-3)}
    of = tasks.of_maps(3)
    return recipes.spade(G, D, of, latent_dim=5, encoder=E, **tx | options)


@pytest.mark.slow
@pytest.mark.parametrize("encoder", (False, True))
def test_spade_takes_finite_steps_and_draws_with_any_noise(encoder):
    model = painter(encoder)
    state, metrics = run(model, 2)
    assert finite(state, metrics)
    assert set(state.params) == {"G", "D"} | ({"E"} if encoder else set())
    draw = model.draws["translate"]
    givens = [draw.task.given(BATCH, random.key(i)) for i in (0, 1)]
    a, b = (draw.run(state, given, KEY) for given in givens)
    assert a.shape == IMAGES.shape and (a != b).any()
    before = model.init(KEY, BATCH).stats["G"]["spectral"]
    after = state.stats["G"]["spectral"]
    pairs = zip(*map(jax.tree.leaves, (before, after)), strict=True)
    assert any((x != y).any() for x, y in pairs)
    assert set(state.ema) == {"G"} | ({"E"} if encoder else set())
    assert set(draw.encode) == ({"style"} if encoder else set())
    if encoder:
        style = lambda state, images: draw.run(  # noqa: E731
            state, draw.encode["style"](state, givens[0], images), KEY
        )
        a, b = style(state, BATCH["image"]), style(state, BATCH["image"][::-1])
        assert a.shape == IMAGES.shape and (a != b).any()
        live = state._replace(params=jax.tree.map(jnp.zeros_like, state.params))
        np.testing.assert_array_equal(style(live, BATCH["image"]), a)


def test_the_encoder_of_styles_sees_a_tint():
    """More of it than of a texture: with instance norm, no more."""
    E = spade.Encoder(6, 4)
    tints = jnp.float32([[0.5, -0.5, -0.5], [-0.5, -0.5, 0.5]])
    red, blue = tints[:, None, None, None]
    one, two = 0.2 * random.normal(KEY, (2, 1, 32, 32, 3))
    weights = E.init(random.key(7), one)
    code, tinted, textured = (
        E.apply(weights, x)[0] for x in (one + red, one + blue, two + red)
    )
    by_tint, by_texture = (jnp.linalg.norm(code - x) for x in (tinted, textured))
    assert by_tint > 2 * by_texture


def test_spade_s_losses_by_hand():
    """D has two scales of two layers; logits and features are multiples of images."""

    def drawn(params, stats, z, given, train=True, rngs=None):
        return params["w"] * given, stats

    def judged(params, stats, x, given, train=True, rngs=None):
        mean = x.mean((1, 2, 3))
        logits = [params["w"] * mean, 2 * params["w"] * mean]
        return (logits, [x, 3 * x, x, x]), stats

    def encoded(params, stats, x, train=True, rngs=None):
        ones = jnp.ones((len(x), 2))
        return (params["w"] * ones, 0 * ones + jnp.log(2.0)), stats

    def net(name, apply, w):
        return Net(name, lambda key, *x: ({"w": jnp.float32(w)}, {}), apply)

    model = recipes.spade(
        net("G", drawn, 0.5),
        net("D", judged, 0.25),
        tasks.of_maps(3),
        latent_dim=2,
        encoder=net("E", encoded, 1.5),
        feature_matching=4.0,
        kl_divergence=0.25,
        g_tx=optax.sgd(0.0),
        d_tx=optax.sgd(0.0),
    )
    _, metrics = model.step(model.init(KEY, BATCH), BATCH, KEY)
    got = values(metrics)
    real = np.array(IMAGES, "float64")
    fake = 0.5 * np.array(jax.nn.one_hot(BATCH["map"], 3), "float64")
    mr, mf = (v.mean((1, 2, 3)) for v in (real, fake))
    hinge = [
        np.maximum(0, 1 - s * mr).mean() + np.maximum(0, 1 + s * mf).mean()
        for s in (0.25, 0.5)
    ]
    assert got["d_loss"] == pytest.approx(np.mean(hinge), rel=1e-4)
    assert got["g_loss"] == pytest.approx(-0.375 * mf.mean(), rel=1e-4)
    matching = 3 * np.abs(real - fake).mean()
    assert got["feature_matching"] == pytest.approx(matching, rel=1e-4)
    kl = (1.5**2 + 2 - 1 - np.log(2)) * 2 / 2  # of N(1.5, 2) from N(0, 1), twice
    assert got["kl_divergence"] == pytest.approx(kl, rel=1e-4)
    # What moves G's one weight w, of fakes w · map: each term's slope by its weight.
    maps = fake / 0.5
    slope = -0.375 * maps.mean((1, 2, 3)).mean()
    slope += 4.0 * 3 * (np.sign(fake - real) * maps).mean()
    assert got["G_grad_norm"] == pytest.approx(abs(slope), rel=1e-3)
    # And the encoder's, of means w: G takes no notice of z here.
    assert got["E_grad_norm"] == pytest.approx(0.25 * 2 * 1.5, rel=1e-3)
