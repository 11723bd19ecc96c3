"""The order of examples: properties, and agreement of numpy with compiled jnp."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import data


def _epoch(seed, epoch, size):
    return data.indices(seed, epoch, size, size)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 97, 1000, 59999, 60000])
def test_every_epoch_is_a_permutation(size):
    for seed, epoch in ((0, 0), (0, 1), (2**32 - 1, 7), (-5, 3)):
        order = _epoch(seed, epoch, size)
        assert order.dtype == np.int32
        np.testing.assert_array_equal(np.sort(order), np.arange(size))


def test_batches_run_on_across_epochs():
    size, batch = 1000, 64
    steps = 3 * size // batch + 1
    run = np.concatenate([data.indices(4, k, batch, size) for k in range(steps)])
    expected = np.concatenate([_epoch(4, e, size) for e in range(4)])
    np.testing.assert_array_equal(run, expected[: len(run)])


def test_a_batch_may_be_larger_than_the_dataset():
    counts = np.bincount(data.indices(0, 0, 64, 5), minlength=5)
    assert counts.sum() == 64 and counts.min() >= 12 and counts.max() <= 13


def test_epochs_and_seeds_differ():
    orders = [_epoch(s, e, 1000) for s in range(5) for e in range(5)]
    for i, a in enumerate(orders):
        for b in orders[:i]:
            # Two random permutations agree in one place on average.
            assert (a == b).sum() < 10


def test_seeds_are_taken_modulo_2_to_the_32():
    np.testing.assert_array_equal(_epoch(-1, 0, 97), _epoch(2**32 - 1, 0, 97))
    np.testing.assert_array_equal(_epoch(np.int64(3), 0, 97), _epoch(3, 0, 97))


@pytest.mark.parametrize("size", [4, 10, 1000])
def test_positions_and_values_are_independent(size):
    epochs = 200_000 // size // 10
    cells = min(size, 10)
    counts = np.zeros((cells, cells))
    position = np.arange(size) * cells // size
    for epoch in range(epochs):
        np.add.at(counts, (position, _epoch(1, epoch, size) * cells // size), 1)
    expected = epochs * size / cells**2
    freedom = (cells - 1) ** 2
    chi2 = ((counts - expected) ** 2 / expected).sum()
    assert abs(chi2 - freedom) < 6 * np.sqrt(2 * freedom)


def test_neighbours_are_uncorrelated():
    size, epochs = 1000, 200
    orders = np.stack([_epoch(2, e, size) for e in range(epochs)])
    x = (orders - (size - 1) / 2) / np.sqrt((size**2 - 1) / 12)
    bound = 5 / np.sqrt(x.size)
    for lag in (1, 2, 25, 40):
        assert abs((x[:, lag:] * x[:, :-lag]).mean()) < bound
    assert abs((x[1:] * x[:-1]).mean()) < bound
    # The same order whatever the seed would show here, and nowhere above.
    seeds = np.stack([_epoch(s, 0, size) for s in range(epochs)])
    y = (seeds - (size - 1) / 2) / np.sqrt((size**2 - 1) / 12)
    assert abs((y[1:] * y[:-1]).mean()) < bound


def test_the_mean_of_the_first_hundred_varies_as_chance_has_it():
    size, drawn, seeds = 1000, 100, 300
    means = [data.indices(s, 0, drawn, size).mean() for s in range(seeds)]
    # Mean and deviation of a sample drawn without replacement.
    std = np.sqrt((size + 1) * (size - drawn) / (12 * drawn))
    assert abs(np.mean(means) - (size - 1) / 2) < 5 * std / np.sqrt(seeds)
    assert abs(np.std(means) / std - 1) < 5 / np.sqrt(2 * seeds)


@pytest.mark.parametrize("size", [1, 5, 997, 60000])
def test_numpy_equals_jnp_in_a_scan_with_traced_seed_and_step(size):
    @jax.jit
    def run(seed, first):
        def body(step, _):
            return step + 1, data.indices(seed, step, 64, size, jnp)

        return jax.lax.scan(body, first, None, length=20)[1]

    for seed, first in ((0, 0), (2**32 - 1, 930), (12345, 67_108_843)):
        ours = run(jnp.uint32(seed), jnp.int32(first))
        assert ours.dtype == jnp.int32
        steps = range(first, first + 20)
        expected = np.stack([data.indices(seed, k, 64, size) for k in steps])
        np.testing.assert_array_equal(ours, expected)


def test_python_seed_and_step_in_jnp():
    for seed in (3, -1, 2**32 - 1):
        ours = data.indices(seed, 11, 8, 97, jnp)
        np.testing.assert_array_equal(ours, data.indices(seed, 11, 8, 97))


def test_vmaps_over_seeds():
    seeds = jnp.arange(4, dtype=jnp.int32)
    ours = jax.vmap(lambda seed: data.indices(seed, 2, 8, 97, jnp))(seeds)
    expected = np.stack([data.indices(s, 2, 8, 97) for s in range(4)])
    np.testing.assert_array_equal(ours, expected)


def test_positions_are_exact_to_the_documented_limit():
    # The last whole batch below 2**32; each position is in the epoch it should be.
    size, batch = 1000, 64
    step = 2**32 // batch - 1
    position = step * batch + np.arange(batch, dtype=np.int64)
    expected = [_epoch(9, int(p // size), size)[p % size] for p in position]
    np.testing.assert_array_equal(data.indices(9, step, batch, size), expected)


@pytest.mark.parametrize("batch, size", [(0, 5), (-1, 5), (4, 0), (4, 2**31)])
def test_refuses_what_it_cannot_order(batch, size):
    with pytest.raises(ValueError, match="must be"):
        data.indices(0, 0, batch, size)
