"""Schedules against closed forms, and Adam with scheduled betas against PyTorch."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan import schedules


@pytest.mark.parametrize("step", [0, 1, 250, 500, 999, 1000, 5000])
def test_cosine_goes_from_one_value_to_another_and_stays(step):
    value = schedules.cosine(2.0, 0.2, 1000)(jnp.int32(step))
    done = min(step / 1000, 1)
    expected = 0.2 + 1.8 * math.cos(math.pi * done / 2) ** 2
    np.testing.assert_allclose(value, expected, rtol=1e-6)


def test_half_of_an_average_is_of_the_last_so_many_images():
    decay = schedules.half_life(640, batch_size=32)
    product = math.prod(float(decay(jnp.int32(t))) for t in range(20))
    np.testing.assert_allclose(product, 0.5, rtol=1e-5)


@pytest.mark.parametrize("step", [0, 1, 10, 99, 100, 1000])
def test_the_ramp_up_is_a_part_of_the_images_seen(step):
    decay = schedules.half_life(500, batch_size=100, ramp_up=0.05)
    life = min(500, 0.05 * step * 100)
    expected = 0.5 ** (100 / life) if life else 0.0
    np.testing.assert_allclose(decay(jnp.int32(step)), expected, rtol=1e-5)


def test_a_half_life_may_be_a_schedule():
    growing = schedules.half_life(schedules.cosine(0, 800, 10), batch_size=4)
    assert growing(jnp.int32(0)) == 0
    np.testing.assert_allclose(growing(jnp.int32(5)), 0.5**0.01, rtol=1e-6)
    np.testing.assert_allclose(growing(jnp.int32(10)), 0.5**0.005, rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: schedules.cosine(1, 0, 0), "steps is 0"),
        (lambda: schedules.half_life(1, 0), "batch_size is 0"),
        (lambda: schedules.half_life(1, 1, -1), "ramp_up is -1"),
    ],
)
def test_what_makes_no_sense_is_refused(make, reason):
    with pytest.raises(ValueError, match=reason):
        make()


def test_scheduled_adam_is_pytorchs_with_betas_set_on_every_step():
    torch = pytest.importorskip("torch")
    rate, b2 = schedules.cosine(0.1, 0.02, 6), schedules.cosine(0.5, 0.99, 6)
    gradients = np.random.default_rng(0).normal(size=(9, 5)).astype(np.float32)
    tx, ours = schedules.adam(rate, 0.3, b2), jnp.ones(5)
    state = tx.init(ours)
    theirs = torch.ones(5, requires_grad=True)
    optimizer = torch.optim.Adam([theirs], betas=(0.3, 0.5))
    for t, gradient in enumerate(gradients):
        with jax.numpy_dtype_promotion("standard"):  # as `update` has it for optax
            change, state = tx.update(jnp.asarray(gradient), state, ours)
        ours = optax.apply_updates(ours, change)
        group = optimizer.param_groups[0]
        group["lr"], group["betas"] = float(rate(t)), (0.3, float(b2(t)))
        theirs.grad = torch.tensor(gradient)
        optimizer.step()
        np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-5, atol=1e-6)
