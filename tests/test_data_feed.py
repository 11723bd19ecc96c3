"""Batches on the device: resident and streamed, of one run and of members."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

from jaxgan import data, parallel
from jaxgan.data import feed
from jaxgan.data.feed import Change

rng = np.random.default_rng(0)
IMAGES = rng.integers(0, 256, (37, 6, 8, 3), np.uint8)
OTHERS = rng.integers(0, 256, (11, 6, 8, 3), np.uint8)
LABELS = np.arange(37) % 5
SEEDS = 3, 2**32 - 1, 4  # the last's order is that of the first's other domain


def dataset(groups):
    """Of one group, or of two."""
    b = data.from_arrays(IMAGES, LABELS)
    other = data.select(data.from_arrays(OTHERS), {"image": "input"})
    return b if groups == 1 else b._replace(groups=b.groups + other.groups)


@pytest.fixture(params=["resident", "streamed"])
def made(request, monkeypatch):
    """`made(dataset, seeds, change)`, a feed of batches of 16."""
    budget = 2**30 if request.param == "resident" else 0
    monkeypatch.setattr(feed, "budget", lambda mesh: budget)
    monkeypatch.setattr(feed, "AHEAD", 3)
    feeds = []

    def make(of, seeds, change):
        feeds.append(feed.feed(of, seeds, 16, change, parallel.mesh()))
        return feeds[-1]

    make.kind = request.param
    yield make
    for one in feeds:
        one.close()


def rows(seed, step, groups):
    """The batch of a step, straight from the arrays."""
    index = data.indices(seed, step, 16, 37)
    found = {"image": IMAGES[index] / 127.5 - 1, "label": LABELS[index]}
    if groups == 2:
        other = data.indices(data.other_seed(seed), step, 16, 11)
        found["input"] = OTHERS[other] / 127.5 - 1
    return found


@pytest.mark.parametrize("groups", [1, 2])
def test_each_group_has_the_order_of_its_seed(made, groups):
    of = dataset(groups)
    source = made(of, (2**32 - 1,), Change())
    batch = jax.jit(source.batch)
    for step in (0, 1, 5):
        key, seed = random.key(step), np.uint32(2**32 - 1)
        found = batch(source.at(step)[0], step, key, seed)
        expected = rows(2**32 - 1, step, groups)
        host = of.batch(2**32 - 1, step, 16)
        assert found.keys() == expected.keys() == host.keys() == of.fields
        for name, x in expected.items():
            np.testing.assert_allclose(found[name], x, atol=1e-6)
            np.testing.assert_allclose(host[name], x, atol=1e-6)


@pytest.mark.parametrize("groups", [1, 2])
def test_a_member_s_batches_are_those_of_its_own_run(made, groups):
    """Also what is changed at random: the program is the same, with a member axis."""
    change = Change(True, (5, 4))
    together = made(dataset(groups), SEEDS, change)
    assert together.axis == (None if made.kind == "resident" else 0)
    axes = together.axis, None, 0, 0
    batches = jax.jit(jax.vmap(together.batch, in_axes=axes))
    alone = [made(dataset(groups), (seed,), change) for seed in SEEDS]
    assert {one.axis for one in alone} == {None}
    keys, seeds = random.split(random.key(8), len(SEEDS)), jnp.asarray(SEEDS, "uint32")
    single = jax.jit(alone[0].batch)
    for step in (1, 4):
        found = batches(together.at(step)[0], step, keys, seeds)
        assert together.at(step)[1] == alone[0].at(step)[1]
        for k, one in enumerate(alone):
            expected = single(one.at(step)[0], step, keys[k], seeds[k])
            assert expected["image"].shape == (16, 5, 4, 3)
            for name, x in expected.items():
                np.testing.assert_array_equal(found[name][k], x)
    assert not np.array_equal(found["image"][0], found["image"][1])


def test_groups_are_changed_by_keys_of_their_own(made):
    """The first of two by the first half of the key, one alone by the key itself."""
    change, key = Change(True), random.key(2)
    halves = random.split(key)
    both, one = (made(dataset(n), (3,), change) for n in (2, 1))
    found = both.batch(both.at(0)[0], 0, key, 3)
    alone = one.batch(one.at(0)[0], 0, halves[0], 3)
    np.testing.assert_array_equal(found["image"], alone["image"])
    mirror = np.array(random.bernoulli(random.split(halves[1])[0], 0.5, (16,)))
    assert 0 < mirror.sum() < 16
    plain = rows(3, 0, 2)["input"]
    expected = np.where(mirror[:, None, None, None], plain[:, :, ::-1], plain)
    np.testing.assert_allclose(found["input"], expected, atol=1e-6)


def test_what_is_resident_is_all_that_fits_together(monkeypatch):
    of = dataset(2)
    room = IMAGES.nbytes + OTHERS.nbytes + 4 * len(LABELS)
    assert of.nbytes == room
    for budget, axis in ((room, None), (room - 1, 0)):
        monkeypatch.setattr(feed, "budget", lambda mesh, n=budget: n)
        assert feed.feed(of, SEEDS, 16, Change(), parallel.mesh()).axis == axis


def test_sixteen_bits_reach_the_device_whole(made):
    deep = rng.integers(0, 65536, (20, 4, 4, 1), np.uint16)
    source = made(data.from_arrays(deep), (1,), Change())
    found = source.batch(source.at(0)[0], 0, random.key(0), 1)["image"]
    expected = deep[data.indices(1, 0, 16, 20)] / 32767.5 - 1
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found.dtype == jnp.float32


@pytest.mark.parametrize("change", [Change(), Change(flip=True)])
def test_which_image_is_next_is_computed_once_not_for_each_pixel(change):
    """XLA fuses what it thinks is cheap into all that reads it."""
    dataset = data.from_arrays(np.zeros((100, 8, 8, 3), np.uint8))  # 10 x 10: no walk
    source = feed.resident(dataset, 16, change, parallel.mesh(jax.devices()[:1]))
    arrays, _ = source.at(0)
    lowered = jax.jit(source.batch).lower(arrays, 3, random.key(0), 0)
    text = lowered.compile().as_text()
    gathers = [part for part in text.split("\n\n") if " gather(" in part]
    assert gathers and not any("remainder(" in part for part in gathers)
