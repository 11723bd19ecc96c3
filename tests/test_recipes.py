"""Recipes beside the plain GAN: by hand, against closed forms, and in combination."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.stats
from jax import random

from jaxgan import augment, losses, parallel, recipes
from jaxgan import regularizers as reg
from jaxgan.models import Net, dcgan, flax_net, mlp, packed, resnet, spectral
from jaxgan.recipes.infogan import codes, mutual_information
from jaxgan.types import UsageError

KEY = random.key(0)
LR = 0.1
SHAPE = (12, 12, 1)
BATCH = {
    "image": random.uniform(KEY, (4, *SHAPE), minval=-1),
    "label": jnp.array([0, 1, 2, 1]),
}
TX = optax.adam(1e-3)


def line(**options):
    """G(z) = c for every z, D(x) = b x + a; images are [B, 1]."""

    def image(params, stats, z, train=True):
        return params["c"] * jnp.ones((len(z), 1)), stats

    def logit(params, stats, x, train=True):
        return params["b"] * x[:, 0] + params["a"], stats

    first = {"b": jnp.float32(-0.7), "a": jnp.float32(0)}
    G = Net("G", lambda key, z: ({"c": jnp.float32(0.5)}, {}), image)
    D = Net("D", lambda key, x: (first, {}), logit)
    sgd = {"g_tx": optax.sgd(LR), "d_tx": optax.sgd(LR), "latent_dim": 2}
    return G, D, sgd | {"loss": losses.wasserstein} | options


POINTS = {"image": jnp.array([[1.0], [2.0], [-0.5], [3.0]])}
MEAN = 5.5 / 4


# --- schedules, clipping, packing


@pytest.mark.parametrize("n", (1, 2, 3))
def test_g_learns_after_every_nth_step_of_the_critic(n):
    G, D, options = line(n_critic=n)
    gan = recipes.gan(G, D, **options)
    state, c, average, b = gan.init(KEY, POINTS), 0.5, 0.5, -0.7
    for t in range(7):
        state, metrics = gan.step(state, POINTS, random.fold_in(KEY, t))
        b += LR * (MEAN - c)
        if t % n == n - 1:
            c += LR * b
            average += max(1 - 0.999, 9 / (10 + t)) * (c - average)
        assert float(metrics["g_loss"].count) == (t % n == n - 1)
        assert float(state.params["G"]["c"]) == pytest.approx(c, rel=1e-5)
        assert float(state.params["D"]["b"]) == pytest.approx(b, rel=1e-5)
        assert float(state.ema["G"]["c"]) == pytest.approx(average, rel=1e-5)


def test_the_critic_s_weights_are_clipped_after_its_step():
    G, D, options = line(clip=0.01)
    gan = recipes.gan(G, D, **options)
    start = gan.init(KEY, POINTS)
    for step in (gan.step, gan.parts["D"]):
        state, _ = step(start, POINTS, KEY)
        assert float(state.params["D"]["b"]) == pytest.approx(-0.01)
    assert float(start.params["G"]["c"]) == 0.5


def test_packed_images_lie_side_by_side_in_channels():
    x = jnp.arange(24.0).reshape(6, 2, 1, 2)
    D = packed(Net("D", lambda key, x: (x.shape, {}), lambda p, s, x, **_: (x, s)), 3)
    packs, _ = D.apply({}, {}, x)
    assert packs.shape == (2, 2, 1, 6)
    np.testing.assert_array_equal(packs[1, :, :, 2:4], x[4])
    assert D.init(KEY, x)[0] == (1, 2, 1, 6)
    # A checkpoint is restored into the shapes of two images, however many are packed.
    assert D.init(KEY, x[:2])[0] == (1, 2, 1, 6)
    with pytest.raises(ValueError, match="packed: 3 must divide the batch of 5"):
        D.apply({}, {}, x[:5])
    with pytest.raises(ValueError, match="packed: 3 images have no one label"):
        D.apply({}, {}, x, jnp.zeros(6))


def test_the_penalty_joins_d_s_loss():
    """On a line R1 is γ/2 b², whose slope is γ b."""
    G, D, options = line(penalty=reg.r1(3.0))
    gan = recipes.gan(G, D, **options)
    state, metrics = gan.parts["D"](gan.init(KEY, POINTS), POINTS, KEY)
    assert metrics["d_penalty"].value() == pytest.approx(1.5 * 0.49)
    assert metrics["d_loss"].value() == pytest.approx(
        -0.7 * (0.5 - MEAN) + 1.5 * 0.49, rel=1e-5
    )
    expected = -0.7 + LR * (MEAN - 0.5) + LR * 3 * 0.7
    assert float(state.params["D"]["b"]) == pytest.approx(expected, rel=1e-5)


def test_d_is_shown_augmented_images_by_both_steps():
    def darker(images, key, step, memory):
        return images - step.astype("float32") - 1

    G, D, options = line(augment=augment.Augmentation(darker))
    gan = recipes.gan(G, D, **options)
    state = gan.init(KEY, POINTS)._replace(step=jnp.int32(2))
    _, metrics = gan.step(state, POINTS, KEY)
    assert metrics["D(real)"].value() == pytest.approx(-0.7 * (MEAN - 3), rel=1e-5)
    assert metrics["D(fake)"].value() == pytest.approx(-0.7 * (0.5 - 3), rel=1e-5)
    b = -0.7 + LR * (MEAN - 0.5)
    assert metrics["g_loss"].value() == pytest.approx(-b * (0.5 - 3), rel=1e-5)


def test_a_term_is_given_raw_images():
    """Real ones, told by their mean, which the augmentation would move."""
    twice = augment.Augmentation(lambda images, key, step, memory: 2 * images + 5)

    def of(judged, memory, step):
        return judged.real.reshape(len(judged.real), -1).mean(1), memory

    of_real = reg.Term(of)
    G, D, options = line(penalty=of_real, augment=twice)
    gan = recipes.gan(G, D, **options)
    _, metrics = gan.step(gan.init(KEY, POINTS), POINTS, KEY)
    expected = float(POINTS["image"].mean())
    assert metrics["d_penalty"].value() == pytest.approx(expected, rel=1e-6)


def test_the_penalty_is_taken_at_raw_images_with_the_augmentation_in_d():
    """Of images augmented to 2 x + 5, D has the slope 2 b: R1 is γ/2 4 b²."""
    twice = augment.Augmentation(lambda images, key, step, memory: 2 * images + 5)
    G, D, options = line(penalty=reg.r1(3.0), augment=twice)
    gan = recipes.gan(G, D, **options)
    _, metrics = gan.parts["D"](gan.init(KEY, POINTS), POINTS, KEY)
    assert metrics["d_penalty"].value() == pytest.approx(1.5 * 4 * 0.49)
    real, fake = (-0.7 * (2 * x + 5) for x in (MEAN, 0.5))
    assert metrics["D(real)"].value() == pytest.approx(real, rel=1e-5)
    expected = fake - real + 1.5 * 4 * 0.49
    assert metrics["d_loss"].value() == pytest.approx(expected, rel=1e-5)


def test_the_penalty_s_weight_follows_the_step():
    G, D, options = line(penalty=reg.r1(lambda step: 1.0 + step.astype("float32")))
    gan = recipes.gan(G, D, **options)
    state = gan.init(KEY, POINTS)._replace(step=jnp.int32(4))
    _, metrics = gan.parts["D"](state, POINTS, KEY)
    assert metrics["d_penalty"].value() == pytest.approx(5 / 2 * 0.49)


def test_ada_remembers_its_p_in_the_state():
    """p rises while D's real logits are positive; G is shown what D is shown."""
    up = augment.by_chance(lambda images, key: images + 100)
    ada = augment.adaptive(up, target=0.6, images=16, every=2)  # by a half of a batch
    G, D, options = line(augment=ada, d_tx=optax.sgd(0.0), g_tx=optax.sgd(0.0))
    gan, batch = recipes.gan(G, D, **options), {"image": -POINTS["image"] - 20}
    state = gan.init(KEY, batch)
    found = []
    for _ in range(3):
        state, metrics = gan.step(state, batch, KEY)
        found.append(float(state.memory["augment"]["p"]))
        assert metrics["D(real)"].value() == pytest.approx(0.7 * (MEAN + 20), rel=1e-4)
        assert metrics["D(fake)"].value() == pytest.approx(-0.7 * 0.5, rel=1e-4)
        assert metrics["ada_p"].value() == 0 and metrics["r_t"].value() == 1
    assert found == [0, 0, 0.5]  # real logits are positive: it rises
    p = state.memory["augment"] | {"p": jnp.float32(1), "signs": jnp.float32(-2)}
    state = state._replace(memory={"augment": p | {"judged": jnp.int32(2)}})
    _, metrics = gan.parts["G"](state, batch, KEY)
    assert metrics["g_loss"].value() == pytest.approx(0.7 * 100.5, rel=1e-4)
    state, metrics = gan.parts["D"](state, batch, KEY)
    real = -0.7 * (100 - MEAN - 20)
    assert metrics["D(real)"].value() == pytest.approx(real, rel=1e-4)
    assert metrics["ada_p"].value() == 1 and metrics["r_t"].value() == -1
    assert float(state.memory["augment"]["p"]) == 0.5  # they were negative: it falls


def test_g_may_draw_fakes_of_its_own():
    """Shared ones are drawn once in a step, others twice, and G's with another key."""
    drawn = []

    def image(params, stats, z, train=True):
        drawn.append(z)
        return params["c"] * z[:, :1], stats

    _, D, options = line()
    G = Net("G", lambda key, z: ({"c": jnp.float32(0.5)}, {}), image)
    for share_fakes, passes in ((True, 1), (False, 2)):
        gan = recipes.gan(G, D, **options, share_fakes=share_fakes)
        state = gan.init(KEY, POINTS)
        drawn.clear()
        gan.step(state, POINTS, KEY)
        assert len(drawn) == passes
        assert passes == 1 or (drawn[0] != drawn[1]).all()


def test_ema_decay_may_be_a_function_of_the_step():
    G, D, options = line(ema_decay=lambda step: jnp.float32(0.05))
    gan = recipes.gan(G, D, **options)
    state, _ = gan.step(gan.init(KEY, POINTS), POINTS, KEY)
    c = float(state.params["G"]["c"])
    expected = 0.05 * 0.5 + 0.95 * c  # the warming up would allow 0.1
    assert float(state.ema["G"]["c"]) == pytest.approx(expected, rel=1e-6)
    assert abs(c - 0.5) > 0.01


# --- Unrolled GAN


@pytest.mark.parametrize("steps", (0, 1, 4))
def test_g_s_gradient_goes_through_d_s_steps_ahead(steps):
    """D's step adds η (mean x - c) to b, so after K of them G minimizes
    -(b + K η (mean x - c)) c, plus the bias, which no step of D moves."""
    G, D, options = line(steps=steps)
    gan = recipes.unrolled(G, D, **options)
    state, c, b = gan.init(KEY, POINTS), 0.5, -0.7
    for t in range(3):
        state, _ = gan.step(state, POINTS, random.fold_in(KEY, t))
        b += LR * (MEAN - c)
        c += LR * (b + steps * LR * (MEAN - c) - steps * LR * c)
        assert float(state.params["D"]["b"]) == pytest.approx(b, rel=1e-5)
        assert float(state.params["G"]["c"]) == pytest.approx(c, rel=1e-5)


@pytest.mark.parametrize("loss", ("logistic", "least_squares", "hinge"))
def test_gradients_through_adam_need_an_eps_root_with_relativistic_losses(loss):
    """D's bias has no gradient, and Adam's square root an infinite one at 0, but where
    no gradient depends on the bias's step. With it, the gradient is that of finite
    differences."""
    piecewise_linear = loss == "hinge"
    G, D, _ = line()
    loss = getattr(losses, f"relativistic_{loss}")
    gan = {}
    for name, more in (("plain", {}), ("rooted", {"eps_root": 1e-8})):
        tx = optax.adam(0.1, **more)
        txs = {"g_tx": optax.sgd(LR), "d_tx": tx, "latent_dim": 2}
        gan[name] = recipes.gan(G, D, loss=loss, **txs)

    def after(name, c):
        """D's weight two steps later, as G's weight now decides it."""
        state = gan[name].init(KEY, POINTS)
        state = state._replace(params=state.params | {"G": {"c": c}})
        for _ in range(2):
            state, _ = gan[name].parts["D"](state, POINTS, KEY)
        return state.params["D"]["b"]

    slope = jax.grad(after, 1)
    assert np.isnan(slope("plain", jnp.float32(0.5))) != piecewise_linear
    got = float(slope("rooted", jnp.float32(0.5)))
    assert np.isfinite(got) and np.isfinite(after("plain", jnp.float32(0.5)))
    by = 1e-2
    up, down = (float(after("rooted", jnp.float32(0.5 + d))) for d in (by, -by))
    assert got == pytest.approx((up - down) / (2 * by), rel=0.05, abs=2e-4)


def test_unrolled_is_finite_with_an_eps_root_and_a_relativistic_loss():
    G, D, _ = line()
    for root, finite in ((0.0, False), (1e-8, True)):
        gan = recipes.unrolled(
            G,
            D,
            latent_dim=2,
            g_tx=optax.sgd(LR),
            d_tx=optax.adam(0.1, eps_root=root),
            loss=losses.relativistic_logistic,
        )
        state, _ = gan.step(gan.init(KEY, POINTS), POINTS, KEY)
        assert np.isfinite(state.params["G"]["c"]) == finite


# --- what does not go together


@pytest.mark.parametrize("name", ("r1", "r2", "wgan_gp", "dragan", "sum"))
def test_penalties_of_d_s_gradient_refuse_batch_norm(name):
    """Which mixes the images, as the command line says it too."""
    G, D = (flax_net(n, m) for n, m in zip("GD", dcgan.networks(SHAPE, 2), strict=True))
    penalty = reg.total(reg.lecam_penalty(), reg.r1()) if name == "sum" else None
    penalty = penalty or getattr(reg, name)()
    args = {"latent_dim": 3, "g_tx": TX, "d_tx": TX, "penalty": penalty}
    says = r"^penalty is of D's gradient at each image, which its BatchNorm mixes; give"
    plain = flax_net("D", mlp.Discriminator((4,)))
    of_its_own = dataclasses.replace(plain, averages=("mean",))
    for judge in (D, spectral.normalized(D), of_its_own):
        gan = recipes.gan(G, judge, **args)
        state = gan.init(KEY, BATCH)
        for step in (gan.step, gan.parts["D"]):
            with pytest.raises(UsageError, match=says):
                jax.eval_shape(step, state, BATCH, KEY)
    for fine in (reg.lecam_penalty(), reg.consistency(augment.diff_augment())):
        gan = recipes.gan(G, D, **args | {"penalty": fine})
        jax.eval_shape(gan.step, gan.init(KEY, BATCH), BATCH, KEY)


# --- AC-GAN, InfoGAN


def nets(outputs=0, num_classes=0):
    G, _ = dcgan.networks(SHAPE, 2, num_classes)
    D = dcgan.Discriminator(2, outputs=outputs)
    return flax_net("G", G), flax_net("D", D)


def test_acgan_s_losses_are_the_paper_s():
    G, D = nets(outputs=3, num_classes=3)
    gan = recipes.acgan(
        G, D, latent_dim=5, num_classes=3, g_tx=optax.sgd(0.0), d_tx=optax.sgd(0.0)
    )
    state = gan.init(KEY, BATCH)
    _, metrics = gan.step(state, BATCH, KEY)
    # The fakes that the step shares are of the first key of the first phase.
    z_key = random.split(random.split(KEY, 4)[0])[0]
    fake = G(state, *gan.draws["sample"].task.given(BATCH, z_key, 4))
    (real, real_class), (fake, fake_class) = (
        jax.tree.map(lambda x: np.array(x, "float64"), D(state, x))
        for x in (BATCH["image"], fake)
    )
    rows, label = np.arange(4), np.array(BATCH["label"])

    def log_softmax(x):
        return x - np.log(np.exp(x).sum(1, keepdims=True))

    source = -np.log(1 / (1 + np.exp(-real))) - np.log(1 - 1 / (1 + np.exp(-fake)))
    classes = (
        -log_softmax(real_class)[rows, label] - log_softmax(fake_class)[rows, label]
    )
    assert metrics["d_loss"].value() == pytest.approx((source + classes).mean(), 1e-4)
    assert metrics["class_loss"].value() == pytest.approx(classes.mean(), 1e-4)
    right = np.mean(real_class.argmax(1) == label)
    assert metrics["class_accuracy"].value() == pytest.approx(right)
    g_loss = -np.log(1 / (1 + np.exp(-fake))) - log_softmax(fake_class)[rows, label]
    assert metrics["g_loss"].value() == pytest.approx(g_loss.mean(), 1e-4)


def test_codes_are_a_category_and_uniform_numbers():
    z = np.array(codes(5, 3, 2)(KEY, 3000))
    assert z.shape == (3000, 10)
    assert abs(z[:, :5].mean()) < 0.05 and abs(z[:, :5].std() - 1) < 0.05
    np.testing.assert_array_equal(np.sort(z[:, 5:8], 1), np.tile([0, 0, 1], (3000, 1)))
    np.testing.assert_allclose(z[:, 5:8].mean(0), 1 / 3, atol=0.05)
    assert -1 <= z[:, 8:].min() < -0.98 and 0.98 < z[:, 8:].max() <= 1


def test_information_is_scipy_s_log_likelihood_plus_entropy():
    rng = np.random.default_rng(0)
    z = np.array(codes(4, 3, 2)(KEY, 6))
    logits, mean = rng.normal(size=(6, 3)), rng.normal(size=(6, 2))
    said = np.concatenate([logits, mean], 1).astype("float32")
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    category = np.log(p[np.arange(6), z[:, 4:7].argmax(1)]) + np.log(3)
    density = scipy.stats.norm(mean).logpdf(z[:, 7:])
    got = mutual_information(jnp.array(said), jnp.array(z), 3, 2)
    np.testing.assert_allclose(got[0], category, rtol=1e-4)
    np.testing.assert_allclose(got[1], (density + np.log(2)).sum(1), rtol=1e-4)


def test_each_code_of_infogan_counts_by_its_weight():
    found = {}
    for weight in ((0.0, 0.0), (300.0, 0.0), (0.0, 3.0)):  # Q knows nothing yet
        G, D = nets(outputs=4)
        kinds = {"noise": 4, "categories": 3, "continuous": 1, "weight": weight}
        gan = recipes.infogan(G, D, **kinds, g_tx=TX, d_tx=TX)
        state = gan.init(KEY, BATCH)
        _, metrics = gan.parts["D"](state, BATCH, KEY)
        found[weight] = {name: mean.value() for name, mean in metrics.items()}
    plain = found[0.0, 0.0]
    for weight, metrics in found.items():
        parts = plain["category_information"], plain["continuous_information"]
        info_loss = -(weight[0] * parts[0] + weight[1] * parts[1])
        assert metrics["info_loss"] == pytest.approx(info_loss, rel=1e-3, abs=1e-6)
        expected = pytest.approx(plain["d_loss"] + info_loss, abs=1e-3)
        assert metrics["d_loss"] == expected
        assert abs(info_loss) > 0.1 or weight == (0.0, 0.0)


def test_infogan_shows_q_what_augment_makes_of_fakes():
    """And D the fakes themselves: here Q's are all one gray, which tells nothing."""
    G, D = nets(outputs=3)
    kinds = {"noise": 4, "categories": 3, "continuous": 0, "weight": (9.0, 0.0)}
    gray = augment.Augmentation(
        lambda x, key, step, memory: x * 0 + step.astype(x.dtype) / 9
    )
    found = []
    for shown_as in (None, gray):
        gan = recipes.infogan(G, D, **kinds, g_tx=TX, d_tx=TX, augment=shown_as)
        state = gan.init(KEY, BATCH)
        _, metrics = gan.parts["D"](state._replace(step=jnp.int32(3)), BATCH, KEY)
        found.append({name: mean.value() for name, mean in metrics.items()})
    plain, shown = found
    for name in ("D(real)", "D(fake)"):
        assert plain[name] == shown[name]
    assert plain["category_information"] != shown["category_information"]
    lower = plain["d_loss"] - shown["d_loss"]
    gained = 9 * (shown["category_information"] - plain["category_information"])
    assert lower == pytest.approx(gained, rel=1e-3)
    with pytest.raises(ValueError, match="infogan: augment adapts to D"):
        recipes.infogan(G, D, **kinds, g_tx=TX, d_tx=TX, augment=augment.adaptive())


def test_infogan_learns_its_codes_only_when_they_count():
    """G is a picture of its code; Q, which is D's second head, learns to read it."""
    found = {}
    for weight in (1.0, 0.0):
        G, D = nets(outputs=3)
        gan = recipes.infogan(
            G,
            D,
            noise=4,
            categories=3,
            continuous=0,
            weight=(weight, 0.0),
            g_tx=optax.adam(3e-3, 0.5),
            d_tx=optax.adam(3e-3, 0.5),
        )
        state, step = gan.init(KEY, BATCH), jax.jit(gan.step)
        images = random.uniform(KEY, (64, *SHAPE), minval=-1)
        for t in range(200):
            state, metrics = step(state, {"image": images}, random.fold_in(KEY, t))
        found[weight] = metrics["category_information"].value()
    assert found[1.0] > 0.9 * np.log(3) > 0.5 > found[0.0]


# --- every kind with every other

LOSSES = {
    name: loss
    for name, loss in vars(losses).items()
    if isinstance(loss, losses.AdversarialLoss)
} | {"one_sided": losses.one_sided()}
PENALTIES = {
    "none": None,
    "r1": reg.r1(),
    "r1 + r2": reg.total(reg.r1(), reg.r2()),
    "wgan_gp": reg.wgan_gp(),
    "dragan": reg.dragan(),
    "lecam": reg.lecam_penalty(start=0),
    "lecam + bcr": reg.total(
        reg.lecam_penalty(start=0), reg.consistency(augment.diff_augment())
    ),
}
SHOWN = (None, augment.diff_augment(), augment.instance_noise())
KINDS = ("plain", "classes", "projection", "pack", "spectral", "n_critic")
CONDITIONED = KINDS[:3]


@functools.cache
def kind_of_nets(kind):
    """`(G, D, options)`."""
    classes = 3 if kind in CONDITIONED[1:] else 0
    if kind == "projection":
        G, D = resnet.networks((8, 8, 1), 2, 2, classes)
    else:
        G = mlp.Generator((8, 8, 1), (4,), classes)
        D = mlp.Discriminator((4,), classes)
    G, D = flax_net("G", G), flax_net("D", D)
    D = spectral.normalized(D) if kind == "spectral" else D
    D = packed(D, 2) if kind == "pack" else D
    options = {"n_critic": 2} if kind == "n_critic" else {}
    return G, D, options | {"num_classes": classes}


def gan_of(kind, **options):
    """It, and a batch."""
    G, D, more = kind_of_nets(kind)
    gan = recipes.gan(G, D, latent_dim=3, g_tx=TX, d_tx=TX, **options, **more)
    return gan, BATCH | {"image": BATCH["image"][:, 2:10, 2:10]}


def two_finite_steps(kind, **options):
    """Outside of `jit`, where operations are compiled once for all combinations."""
    gan, batch = gan_of(kind, **options)
    start = state = gan.init(KEY, batch)
    for t in range(2):
        state, metrics = gan.step(state, batch, random.fold_in(KEY, t))
    assert jax.tree.structure(state) == jax.tree.structure(start)
    for tree in (state.params, state.ema, state.memory, metrics):
        assert all(np.isfinite(x).all() for x in jax.tree.leaves(tree))
    for name in ("G", "D"):
        old, new = (jax.tree.leaves(s.params[name]) for s in (start, state))
        assert any((a != b).any() for a, b in zip(old, new, strict=True)), name


def test_losses_are_all_there():
    assert len(LOSSES) == 12


@pytest.mark.parametrize("penalty", PENALTIES)
# Of the averages one, which stands for the others.
@pytest.mark.parametrize("loss", [n for n in LOSSES if "average_l" not in n])
def test_any_loss_goes_with_any_penalty_conditioning_and_augmentation(loss, penalty):
    """Every two of these meet in a run, with the others in turn."""
    place = [*LOSSES].index(loss) + [*PENALTIES].index(penalty)
    two_finite_steps(
        ("plain", "classes")[place % 2],
        loss=LOSSES[loss],
        penalty=PENALTIES[penalty],
        augment=SHOWN[place % 3],
    )


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("shown", range(3))
def test_a_step_keeps_the_state_s_structure_whatever_it_is_made_of(penalty, shown):
    for i, kind in enumerate(("plain", "classes")):
        loss = [*LOSSES.values()][([*PENALTIES].index(penalty) + shown + i) % 9]
        play = {"loss": loss, "penalty": PENALTIES[penalty], "augment": SHOWN[shown]}
        gan, batch = gan_of(kind, **play)
        state = jax.eval_shape(gan.init, KEY, batch)
        after, _ = jax.eval_shape(gan.step, state, batch, KEY)
        assert jax.tree.map(shape_of, after) == jax.tree.map(shape_of, state)


def shape_of(x):
    return x.shape, x.dtype


@pytest.mark.parametrize("kind", KINDS[2:])
@pytest.mark.parametrize("number", range(len(PENALTIES)))
def test_any_kind_goes_with_any_penalty(kind, number):
    """With the losses and what D is shown in turn."""
    name, loss = [*PENALTIES][number], [*LOSSES.values()][number]
    pair = {"penalty": PENALTIES[name], "loss": loss, "augment": SHOWN[number % 3]}
    if kind == "pack" and not {"none", "lecam", "lecam + bcr"} & {name}:
        with pytest.raises(ValueError, match="2 logits for 4 images"):
            two_finite_steps(kind, **pair)
    else:
        two_finite_steps(kind, **pair)


def test_gradient_clipping_and_two_time_scales_are_optax_s():
    G, D, options = line()
    options["d_tx"] = optax.chain(optax.clip_by_global_norm(0.05), optax.sgd(1.0))
    gan = recipes.gan(G, D, **options | {"g_tx": optax.sgd(1e-3)})
    state, _ = gan.step(gan.init(KEY, POINTS), POINTS, KEY)
    assert float(state.params["D"]["b"]) == pytest.approx(-0.7 + 0.05, rel=1e-5)
    moved = float(state.params["G"]["c"]) - 0.5
    assert moved == pytest.approx(1e-3 * -0.65, rel=1e-4)


def test_a_step_agrees_under_pmap_with_one_device():
    """Also what penalties draw and remember."""
    batch = {"image": random.uniform(KEY, (16, *SHAPE), minval=-1)}
    G = flax_net("G", mlp.Generator(SHAPE, (4,)))
    D = spectral.normalized(flax_net("D", mlp.Discriminator((4,))))
    sgd = optax.sgd(0.1)
    penalty = reg.total(reg.lecam_penalty(start=0), reg.dragan(), reg.wgan_gp())
    gan = recipes.gan(
        G,
        D,
        latent_dim=3,
        g_tx=sgd,
        d_tx=sgd,
        loss=losses.relativistic_average_least_squares,  # of all devices' means
        penalty=penalty,
        augment=SHOWN[1],
    )
    start = gan.init(KEY, batch)
    one, _ = jax.jit(gan.step)(start, batch, KEY)
    many, _ = parallel.pmapped(gan.step)(parallel.replicate(start), batch, KEY)
    many = parallel.unreplicate(many)
    for field in ("params", "stats", "memory"):
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-6),
            getattr(one, field),
            getattr(many, field),
        )
