"""No two purposes, no two seeds and no two groups share a stream."""

import itertools

import jax
import numpy as np
import pytest
from jax import random

from jaxgan import data
from jaxgan.run import keys


def test_no_purpose_and_no_seed_has_another_s_stream():
    """Nor what comes of splitting it or of folding numbers into it."""
    streams = [{random.key_data(random.key(seed)).tobytes()} for seed in range(3)]
    for seed, purpose in itertools.product(range(3), keys.PURPOSES):
        root = keys.root(seed, purpose)
        made = [
            root,
            *random.split(root, 4),
            *(random.fold_in(root, k) for k in (5, 9)),
        ]
        streams.append({np.asarray(random.key_data(k)).tobytes() for k in made})
    for one, other in itertools.combinations(streams, 2):
        assert not one & other


def test_what_follows_a_run_shares_no_stream_with_what_reports_it():
    """Latents, labels and rows are made of the other seed as reports make theirs."""
    streams = []
    for seed in range(3):
        for one in (seed, keys.other_seed(seed, "following")):
            assert 0 <= one < 2**32
            roots = [keys.root(one, purpose) for purpose in keys.PURPOSES]
            made = [k for root in roots for k in (root, *random.split(root, 2))]
            found = {np.asarray(random.key_data(k)).tobytes() for k in made}
            rows = np.random.default_rng(one), np.random.default_rng((one, 1))
            streams.append(found | {rng.bytes(16) for rng in rows})
    for one, other in itertools.combinations(streams, 2):
        assert not one & other


def test_purposes_keep_their_numbers():
    """Or runs that go on would draw other noise."""
    known = ["weights", "steps", "data", "sheets", "samples", "translations", "files"]
    assert list(keys.PURPOSES) == [*known, "codes", "following"]
    expected = random.fold_in(random.key(5), 1)
    found = jax.jit(lambda seed: keys.root(seed, "steps"))(np.uint32(5))
    np.testing.assert_array_equal(random.key_data(found), random.key_data(expected))


def test_a_group_s_order_is_not_the_next_seed_s():
    orders = {
        (seed, group): tuple(data.indices(data.other_seed(seed, group), 0, 64, 64))
        for seed, group in itertools.product(range(4), range(3))
    }
    assert len(set(orders.values())) == len(orders)


@pytest.mark.parametrize("seed", [0, 7, 2**32 - 1])
def test_a_traced_seed_orders_as_a_number_does(seed):
    traced = jax.jit(lambda s: data.other_seed(s, 2))(np.uint32(seed))
    assert int(traced) == data.other_seed(seed, 2)
