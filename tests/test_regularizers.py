"""Penalties against torch's double backward in float64, and against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from jax import random

from jaxgan import augment, regularizers
from jaxgan.augment import Augmentation
from jaxgan.metrics.float64 import enable_x64
from jaxgan.regularizers import Judged

B, H, C = 5, 6, 2
rng = np.random.default_rng(0)
WEIGHTS = (rng.normal(size=(3, 3, C, 4)) * 0.4, rng.normal(size=(H * H * 4, 1)) * 0.3)
REAL, FAKE = rng.normal(size=(2, B, H, H, C))
KEY = random.key(3)
STEP = jnp.int32(5)


@pytest.fixture(autouse=True)
def x64():
    with enable_x64(True):
        yield


def ours(weights):
    """A critic with a convolution and a smooth activation, and a dense layer."""
    kernel, dense = weights

    def D(x):
        x = jax.lax.conv_general_dilated(
            x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return (jnp.tanh(x).reshape(len(x), -1) @ dense)[:, 0]

    return D


def theirs(weights):
    """The same in torch, NHWC outside."""
    kernel, dense = weights

    def D(x):
        x = torch.nn.functional.conv2d(
            x.permute(0, 3, 1, 2), kernel.permute(3, 2, 0, 1), padding=1
        )
        return (torch.tanh(x).permute(0, 2, 3, 1).flatten(1) @ dense)[:, 0]

    return D


def grad_norm(D, x):
    x = x.detach().requires_grad_()
    (g,) = torch.autograd.grad(D(x).sum(), x, create_graph=True)
    return g.flatten(1).norm(dim=1)


def between(key):
    share = np.array(random.uniform(key, (B, 1, 1, 1), "float64"))
    return torch.tensor(share * REAL + (1 - share) * FAKE)


def around(key):
    """DRAGAN's program: X_p = X + 0.5 X.std() u, and X + α (X_p - X)."""
    on_noise, on_share = random.split(key)
    x = torch.tensor(REAL)
    noise = torch.tensor(np.array(random.uniform(on_noise, REAL.shape, "float64")))
    share = np.array(random.uniform(on_share, (B, 1, 1, 1), "float64"))
    perturbed = x + 0.5 * x.std(unbiased=False) * noise
    return x + torch.tensor(share) * (perturbed - x)


def flipped(images, key, step, memory):
    return images[:, :, ::-1]


FLIPPED = Augmentation(flipped)


def opinions(D):
    """Their consistency under a flip, weighed 3 and 5."""
    real, fake = torch.tensor(REAL), torch.tensor(FAKE)
    terms = [w * (D(x.flip(2)) - D(x)) ** 2 for x, w in ((real, 3), (fake, 5))]
    return sum(terms)


def anchored(D):
    """LeCam from anchors at 0, after one step of decay 0.9, weighed 2."""
    real, fake = D(torch.tensor(REAL)), D(torch.tensor(FAKE))
    anchor_r, anchor_f = (0.1 * logits.mean().detach() for logits in (real, fake))
    assert 0 < (real > anchor_f).sum() < B or 0 < (fake < anchor_r).sum() < B
    relu = torch.nn.functional.relu
    return 2 * (relu(real - anchor_f) ** 2 + relu(anchor_r - fake) ** 2)


def targeted(D, one_sided):
    above = grad_norm(D, between(KEY)) - 0.4
    return 4 * (above.clamp(min=0) if one_sided else above) ** 2


PENALTIES = {
    "r1": (
        regularizers.r1(7.0),
        lambda D: 3.5 * grad_norm(D, torch.tensor(REAL)) ** 2,
    ),
    "r2": (
        regularizers.r2(7.0),
        lambda D: 3.5 * grad_norm(D, torch.tensor(FAKE)) ** 2,
    ),
    "wgan_gp": (
        regularizers.wgan_gp(4.0),
        lambda D: 4 * (grad_norm(D, between(KEY)) - 1) ** 2,
    ),
    "dragan": (
        regularizers.dragan(4.0),
        lambda D: 4 * (grad_norm(D, around(KEY)) - 1) ** 2,
    ),
    "consistency": (regularizers.consistency(FLIPPED, 3.0, 5.0), opinions),
    "lecam": (regularizers.lecam_penalty(2.0, 0.9, 0), anchored),
    "target": (regularizers.wgan_gp(4.0, 0.4), lambda D: targeted(D, False)),
    "one-sided": (regularizers.wgan_gp(4.0, 0.4, True), lambda D: targeted(D, True)),
    "r1 + r2": (
        regularizers.total(regularizers.r1(7.0), regularizers.r2(3.0)),
        lambda D: (
            3.5 * grad_norm(D, torch.tensor(REAL)) ** 2
            + 1.5 * grad_norm(D, torch.tensor(FAKE)) ** 2
        ),
    ),
}


def value(penalty, weights):
    plain = ours(weights)
    D = lambda images, key=None: plain(images)  # noqa: E731
    judged = Judged(D, REAL, FAKE, D(jnp.array(REAL)), D(jnp.array(FAKE)), KEY)
    memory = jax.tree.map(lambda x: x.astype("float64"), penalty.memory)
    return penalty.of(
        judged._replace(real=jnp.array(REAL), fake=jnp.array(FAKE)), memory, STEP
    )[0]


@pytest.mark.parametrize("name", PENALTIES)
def test_values_and_weight_gradients_are_torch_s(name):
    penalty, reference = PENALTIES[name]
    weights = tuple(torch.tensor(w, requires_grad=True) for w in WEIGHTS)
    expected = reference(theirs(weights))
    slopes = torch.autograd.grad(expected.mean(), weights)
    got = value(penalty, WEIGHTS)
    assert got.shape == (B,) and got.dtype == "float64"
    np.testing.assert_allclose(got, expected.detach(), rtol=1e-6)
    grads = jax.grad(lambda w: value(penalty, w).mean())(
        jax.tree.map(jnp.array, WEIGHTS)
    )
    for ours_, theirs_ in zip(grads, slopes, strict=True):
        np.testing.assert_allclose(ours_, theirs_, rtol=1e-6, atol=1e-12)


# LeCam's anchors move with the weights, but are constants to its gradient.
@pytest.mark.parametrize("name", [name for name in PENALTIES if name != "lecam"])
def test_weight_gradients_are_finite_differences(name):
    penalty, _ = PENALTIES[name]
    direction = tuple(rng.normal(size=w.shape) for w in WEIGHTS)

    def along(t):
        moved = [w + t * d for w, d in zip(WEIGHTS, direction, strict=True)]
        return float(value(penalty, tuple(map(jnp.array, moved))).mean())

    grads = jax.grad(lambda w: value(penalty, w).mean())(
        jax.tree.map(jnp.array, WEIGHTS)
    )
    slope = sum(float((g * d).sum()) for g, d in zip(grads, direction, strict=True))
    assert slope == pytest.approx((along(1e-5) - along(-1e-5)) / 2e-5, rel=1e-6)


def test_a_line_in_closed_form():
    """D(x) = w·x has the gradient w everywhere."""
    w = jnp.array([3.0, 4.0])
    x = jnp.array([[1.0, 2.0], [0.5, -1.0]])
    np.testing.assert_allclose(regularizers.zero_centered(lambda x: x @ w, x), [25, 25])
    np.testing.assert_allclose(regularizers.one_centered(lambda x: x @ w, x), [16, 16])


def test_where_d_is_flat_the_gradient_is_not_nan():
    x = jnp.ones((2, 3))

    def loss(w):
        return regularizers.one_centered(lambda x: x @ w, x).mean()

    np.testing.assert_array_equal(jax.grad(loss)(jnp.zeros(3)), np.zeros(3))
    assert loss(jnp.zeros(3)) == 1


def test_points_lie_on_the_lines_and_around_the_images():
    a, b = jnp.zeros((1000, 2)), jnp.tile(jnp.array([[1.0, 3.0]]), (1000, 1))
    points = np.array(regularizers.between(b, a, KEY))
    np.testing.assert_allclose(points[:, 1], 3 * points[:, 0])
    assert 0 < points[:, 0].min() < 0.02 and 0.98 < points[:, 0].max() < 1
    noise = np.array(regularizers.around(b, KEY) - b)
    assert noise.min() >= 0 and noise.max() == pytest.approx(0.5, abs=0.01)
    wide = jnp.tile(jnp.array([[1.0, 3.0]]), (100, 500))
    largest = np.array(regularizers.around(wide, KEY) - wide).max(1)  # α σ/2 of each
    assert 0 < largest.min() < 0.03 and 0.45 < largest.max() < 0.5
    assert largest.mean() == pytest.approx(0.25, abs=0.04)


def test_one_sided_penalties_leave_small_gradients_alone():
    w, x = jnp.array([3.0, 4.0]), jnp.ones((2, 2))
    for target, expected in ((3.0, 4.0), (7.0, 0.0)):
        got = regularizers.one_centered(lambda x: x @ w, x, target, True)
        np.testing.assert_allclose(got, [expected] * 2)
    both = regularizers.one_centered(lambda x: x @ w, x, 7.0)
    np.testing.assert_allclose(both, [4, 4])


def test_lecam_is_the_authors_program_from_its_first_step_on():
    """`lecam_reg` and `ema_losses` of google/lecam-gan, with start_itr 3, in NumPy."""
    penalty = regularizers.lecam_penalty(2.0, 0.9, 3)
    memory, D = penalty.memory, lambda x, key=None: x[:, 0]
    anchors, draw = {"real": 1000.0, "fake": 1000.0}, np.random.default_rng(1)
    for step in range(8):
        real, fake = draw.normal(size=(2, 6, 1))
        for name, logits in (("real", real), ("fake", fake)):
            decay = 0.0 if step < 3 else 0.9
            anchors[name] = anchors[name] * decay + logits.mean() * (1 - decay)
        expected = np.zeros(6)
        if step > 3:
            expected = np.maximum(real[:, 0] - anchors["fake"], 0) ** 2
            expected += np.maximum(anchors["real"] - fake[:, 0], 0) ** 2
        real, fake = jnp.array(real), jnp.array(fake)
        judged = Judged(D, real, fake, D(real), D(fake), KEY)
        wide = jax.tree.map(lambda x: x.astype("float64"), memory)
        got, memory = penalty.of(judged, wide, jnp.int32(step))
        np.testing.assert_allclose(got, 2 * expected, rtol=1e-12)
        for name, anchor in anchors.items():
            assert float(memory[name]) == pytest.approx(anchor, rel=1e-12)


def test_what_is_of_d_s_gradient_says_so():
    reg = regularizers
    for term in (reg.r1(), reg.r2(), reg.wgan_gp(), reg.dragan()):
        assert term.of_gradient and reg.total(reg.lecam_penalty(), term).of_gradient
    for term in (reg.lecam_penalty(), reg.consistency(FLIPPED)):
        assert not term.of_gradient and not reg.total(term, term).of_gradient


def test_lecam_remembers_what_d_said():
    penalty = regularizers.lecam_penalty(1.0, 0.75, 0)
    memory, D = penalty.memory, lambda x, key=None: x[:, 0]
    for real, fake in ((4.0, -8.0), (2.0, -4.0)):
        real, fake = (jnp.full((3, 1), v, "float32") for v in (real, fake))
        judged = Judged(D, real, fake, D(real), D(fake), KEY)
        _, memory = penalty.of(judged, memory, STEP)
    expected = (0.75 * 0.25 * 4 + 0.25 * 2, 0.75 * 0.25 * -8 + 0.25 * -4)
    assert (memory["real"], memory["fake"]) == pytest.approx(expected)


def test_penalties_of_one_total_draw_different_noise():
    one = regularizers.wgan_gp(1.0)
    both = regularizers.total(one, one)
    assert not np.allclose(value(both, WEIGHTS), 2 * value(one, WEIGHTS))


def doubling(step):
    return 2.0 * step.astype("float64")


@pytest.mark.parametrize(
    ("made", "plain"),
    (
        (regularizers.r1(doubling), regularizers.r1(10.0)),
        (regularizers.r2(doubling), regularizers.r2(10.0)),
        (regularizers.wgan_gp(doubling), regularizers.wgan_gp(10.0)),
        (regularizers.dragan(doubling), regularizers.dragan(10.0)),
        (
            regularizers.lecam_penalty(doubling, 0.9, 0),
            regularizers.lecam_penalty(10.0, 0.9, 0),
        ),
        (
            regularizers.consistency(
                FLIPPED, doubling, lambda step: doubling(step) - 7
            ),
            regularizers.consistency(FLIPPED, 10.0, 3.0),
        ),
        (
            regularizers.total(regularizers.r1(doubling), regularizers.r2(1.0)),
            regularizers.total(regularizers.r1(10.0), regularizers.r2(1.0)),
        ),
    ),
    ids=("r1", "r2", "wgan_gp", "dragan", "lecam", "consistency", "total"),
)
def test_weights_may_be_functions_of_the_step(made, plain):
    """On step 5, twice the step is 10."""
    np.testing.assert_allclose(value(made, WEIGHTS), value(plain, WEIGHTS), rtol=1e-12)


# D adds its key's number to images w x: what is raw, and who draws, can be counted.


def keyed(images, key):
    return 3.0 * jnp.square(images[:, 0] + key)


LINE = Judged(
    keyed,
    jnp.full((2, 1), 1.0),
    jnp.full((2, 1), 2.0),
    jnp.full(2, 3.0 * (1 + 0.5) ** 2),
    jnp.full(2, 3.0 * (2 + 0.25) ** 2),
    KEY,
    0.5,
    0.25,
)


def test_terms_are_taken_at_raw_images_by_the_d_that_said_the_logits():
    """∇D = 6 (x + its augmentation): real images are moved by 0.5, fakes by 0.25."""
    for term, expected in (
        (regularizers.r1(2.0), (6 * 1.5) ** 2),
        (regularizers.r2(2.0), (6 * 2.25) ** 2),
    ):
        np.testing.assert_allclose(term.of(LINE, (), STEP)[0], expected)
    points = np.array(regularizers.between(LINE.real, LINE.fake, KEY))[:, 0]
    found, _ = regularizers.wgan_gp(1.0).of(LINE, (), STEP)
    np.testing.assert_allclose(found, (6 * (points + 0.25) - 1) ** 2, rtol=1e-6)
    points = np.array(regularizers.around(LINE.real, KEY))[:, 0]
    found, _ = regularizers.dragan(1.0).of(LINE, (), STEP)
    np.testing.assert_allclose(found, (6 * (points + 0.5) - 1) ** 2, rtol=1e-6)
    up = Augmentation(lambda x, key, step, memory: x + step.astype(x.dtype) / 5)
    found, _ = regularizers.consistency(up, 1.0, 1.0).of(LINE, (), STEP)
    real = 3 * (2.5**2 - 1.5**2)
    fake = 3 * (3.25**2 - 2.25**2)
    np.testing.assert_allclose(found, real**2 + fake**2)


def test_consistency_takes_no_transform_that_waits_to_be_adapted():
    with pytest.raises(ValueError, match="transform has a memory"):
        regularizers.consistency(augment.adaptive())
