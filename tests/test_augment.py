"""What D is shown: DiffAugment by the paper's formulae, and that gradients pass."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

from jaxgan import augment

KEY = random.key(0)
STEP = jnp.int32(0)
X = random.uniform(random.key(1), (64, 12, 16, 3), minval=-1)


def test_color_keeps_what_it_should():
    """Differences of channels scale, by saturation; of pixels also, by contrast."""
    new = augment.color(X, KEY)
    x, new = np.array(X), np.array(new)
    gray, new_gray = x.mean(3), new.mean(3)
    away, new_away = x - gray[..., None], new - new_gray[..., None]
    factor = (new_away / away).reshape(64, -1)
    np.testing.assert_allclose(factor, factor[:, :1].repeat(12 * 16 * 3, 1), rtol=1e-2)
    shifted = gray - gray.mean((1, 2), keepdims=True)
    new_shifted = new_gray - new_gray.mean((1, 2), keepdims=True)
    contrast = (new_shifted / shifted).reshape(64, -1)
    np.testing.assert_allclose(contrast, contrast[:, :1].repeat(192, 1), rtol=2e-2)
    contrast, saturation = contrast[:, 0], factor[:, 0] / contrast[:, 0]
    brightness = new.mean((1, 2, 3)) - x.mean((1, 2, 3))
    for values, low, high in (
        (contrast, 0.5, 1.5),
        (saturation, 0, 2),
        (brightness, -0.5, 0.5),
    ):
        assert low - 1e-3 < values.min() < low + 0.15 * (high - low)
        assert high - 0.15 * (high - low) < values.max() < high + 1e-3


def test_translation_moves_each_image_and_brings_in_zeros():
    new, seen = np.array(augment.translation(X, KEY)), set()
    for image, moved in zip(np.array(X), new, strict=True):
        padded = np.pad(image, ((2, 2), (2, 2), (0, 0)))
        fits = [
            (dy, dx)
            for dy in range(-2, 3)
            for dx in range(-2, 3)
            if (padded[2 - dy : 14 - dy, 2 - dx : 18 - dx] == moved).all()
        ]
        assert len(fits) == 1
        seen.add(fits[0])
    assert len(seen) > 15 and {-2, 2} <= {dy for dy, _ in seen}


def test_cutout_sets_one_rectangle_to_zero():
    gone = (np.array(augment.cutout(X, KEY)) == 0).all(-1)
    rows, columns = gone.any(2), gone.any(1)
    np.testing.assert_array_equal(gone, rows[:, :, None] & columns[:, None])
    assert rows.sum(1).max() == 6 and columns.sum(1).max() == 8
    assert rows.sum(1).min() >= 3 and columns.sum(1).min() >= 4
    kept = np.where(gone[..., None], 0, X)
    np.testing.assert_array_equal(augment.cutout(X, KEY), kept)


def test_affine_shears_scales_and_moves():
    """Of images whose pixels say where they are, seen where no border is near."""
    h, w, n = 40, 48, 64
    rows, columns = np.mgrid[:h, :w].astype(np.float32)
    image = np.stack([rows - (h - 1) / 2, columns - (w - 1) / 2], -1)
    x = jnp.broadcast_to(image, (n, h, w, 2))
    np.testing.assert_array_equal(augment.affine(x, KEY, 0, 0, 0), x)
    inner = np.abs(image) < [h / 8, w / 8]
    here = image[inner.all(-1)]
    found = [
        np.linalg.lstsq(np.c_[here, np.ones(len(here))], new[inner.all(-1)])
        for new in np.array(augment.affine(x, KEY))
    ]
    assert max(residual.max() for _, residual, *_ in found) < 1e-6
    of_rows, of_columns, moved = np.stack([fit[0] for fit in found], 1)
    # The first pass moves columns by rows that the second has yet to move.
    slant = of_rows[:, 1] / of_rows[:, 0]
    for values, most in (
        (of_rows[:, 0] - 1, 0.15),
        (of_columns[:, 0], 0.4 / 3),
        (slant, 0.4),
        (of_columns[:, 1] - slant * of_columns[:, 0] - 1, 0.15),
        (moved[:, 0], 0.07 * h),
        (moved[:, 1] - slant * moved[:, 0], 0.07 * w),
    ):
        assert 0.85 * most < values.max() <= most * (1 + 1e-4)
        assert -0.85 * most > values.min() >= -most * (1 + 1e-4)


def test_affine_is_between_pixels_and_repeats_the_border():
    image = np.arange(8.0, dtype=np.float32)[None, :, None].repeat(3, 0)
    new = np.array(augment.affine(jnp.stack([image] * 32), KEY, 0, 0, 0.3))[..., 0]
    by = np.median(new - np.arange(8), (1, 2))
    expected = np.clip(np.arange(8) + by[:, None, None], 0, 7)
    np.testing.assert_allclose(new, np.broadcast_to(expected, new.shape), atol=1e-5)


def test_every_policy_lets_gradients_through_and_is_drawn_anew():
    policies = augment.color, augment.translation, augment.affine, augment.cutout
    shown = augment.diff_augment(*policies)

    def total(x, key):
        return (shown.of(x, key, STEP, ()) ** 2).sum()

    gradient = jax.grad(total)(X, KEY)
    assert np.isfinite(gradient).all() and (gradient != 0).mean() > 0.5
    a, b = (shown.of(X, key, STEP, ()) for key in (KEY, random.key(2)))
    assert (a != b).any()
    one = augment.diff_augment(augment.translation)
    np.testing.assert_array_equal(
        one.of(X, KEY, STEP, ()), augment.translation(X, random.split(KEY, 1)[0])
    )


@pytest.mark.parametrize(("step", "left"), ((0, 1), (500, 0.5), (1000, 0), (2000, 0)))
def test_instance_noise_fades(step, left):
    noise = augment.instance_noise(0.2, 1000).of(X, KEY, jnp.int32(step), ()) - X
    assert float(noise.std()) == pytest.approx(0.2 * left, rel=0.05)


def test_ada_shows_each_image_each_policy_with_probability_p():
    policies = (lambda x, key: x + 10, lambda x, key: x + 100)
    shown = augment.by_chance(*policies)
    x = jnp.zeros((4000, 1, 1, 1))
    for p in (0.0, 0.3, 1.0):
        ada = augment.scheduled(lambda step, p=p: p * step.astype("float32"), shown)
        new = np.array(ada.of(x, KEY, STEP + 1, ()))[:, 0, 0, 0]
        assert {*np.unique(new)} <= {0.0, 10.0, 100.0, 110.0}
        one, other = new % 100 == 10, new >= 100
        for where in (one, other):
            assert where.mean() == pytest.approx(p, abs=0.03)
        assert (one & other).mean() == pytest.approx(p * p, abs=0.03)


def test_ada_s_p_follows_the_sign_of_d_s_real_logits():
    """arXiv:2006.06676, eq. 1: r_t is .6 where four in five logits are positive."""
    ada = augment.adaptive(target=0.6, images=1000, every=2)
    of = lambda positive: jnp.where(jnp.arange(10) < positive, 3.0, -0.1)  # noqa: E731
    memory, found = ada.memory, []
    for positive in (10, 9, 9, 8, 8, 8, 10, 7, 0, 10, 7, 7, 0, 0, 0, 0, 0):
        memory = ada.adapt(memory, of(positive))
        found.append(float(memory["p"]))
        metrics = ada.metrics(memory, of(positive))
        assert float(metrics["r_t"]) == pytest.approx(positive / 5 - 1)
        assert metrics["ada_p"] is memory["p"]
    pairs = 0, 0.02, 0.04, 0.04, 0.06, 0.04, 0.02, 0, 0  # 2 batches of 10, of 1000
    np.testing.assert_allclose(found, np.repeat(pairs, 2)[:17], atol=1e-6)
    top = {"p": np.float32(1), "signs": np.float32(2), "judged": np.int32(2)}
    assert float(ada.adapt(top, of(10))["p"]) == 1
