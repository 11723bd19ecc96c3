"""Resampling by filters, against scipy and torch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import signal

from jaxgan.ops import fir

X = np.random.default_rng(0).normal(size=(2, 7, 10, 3)).astype(np.float32)
FILTERS = (1, 3, 3, 1), (1, 2, 4), (0.5,), (1, -2, 3, 5, 7, -1)


def scipy_upfirdn(x, taps, up, down):
    for axis in (1, 2):
        x = signal.upfirdn(taps, x, up, down, axis=axis)
    return x


@pytest.mark.parametrize("taps", FILTERS, ids=len)
@pytest.mark.parametrize(("up", "down"), [(1, 1), (2, 1), (1, 2), (3, 2), (2, 3)])
def test_it_is_scipy_s(taps, up, down):
    k = len(taps)
    found = fir.upfirdn(jnp.asarray(X), taps, up, down, (k - 1, k - up))
    expected = scipy_upfirdn(X.astype(np.float64), taps, up, down)
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("pad", [(0, 0), (3, 1), (-1, 2), (2, -3), (-2, -1)])
@pytest.mark.parametrize(("up", "down"), [(1, 1), (2, 1), (1, 2), (2, 2)])
def test_padding_is_of_what_has_zeros_between(up, down, pad):
    taps = np.array([1.0, 2, 4])
    wide = np.zeros((2, 7 * up, 10 * up, 3))
    wide[:, ::up, ::up] = X
    low, high = pad
    wide = np.pad(wide, [(0, 0), *[(max(low, 0), max(high, 0))] * 2, (0, 0)])
    cut = slice(max(-low, 0), -max(-high, 0) or None)
    wide = wide[:, cut, cut]
    for axis in (1, 2):
        wide = np.apply_along_axis(np.convolve, axis, wide, taps, "valid")
    expected = wide[:, ::down, ::down]
    found = fir.upfirdn(jnp.asarray(X), taps, up, down, pad)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize("taps", [(1, 3, 3, 1), (1, 4, 6, 4, 1), (1, 1)], ids=len)
def test_sizes_and_means_are_as_asked(taps, factor):
    x = jnp.ones((1, 8, 16, 2))
    if len(taps) >= factor:
        large = fir.upsample(x, taps, factor)
        assert large.shape == (1, 8 * factor, 16 * factor, 2)
        small = fir.downsample(x, taps, factor)
        assert small.shape == (1, 8 // factor, 16 // factor, 2)
        inside = small[:, 1:-1, 1:-1]
        np.testing.assert_allclose(inside, np.ones(inside.shape), rtol=1e-6)
    if len(taps) >= factor:  # within a block its phases may differ
        inside = large[:, factor:-factor, factor:-factor].mean()
        assert float(inside) == pytest.approx(1)


def test_doubling_and_halving_are_each_other_s_transposes():
    """But for a factor of four, as StyleGAN2's D mirrors its G."""
    y = jnp.asarray(np.random.default_rng(1).normal(size=(2, 14, 20, 3)), "float32")
    _, back = jax.vjp(fir.upsample, jnp.asarray(X))
    np.testing.assert_allclose(back(y)[0], 4 * fir.downsample(y), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("pad", [(0, 0), (3, 1), (-1, 2), (2, -2)])
@pytest.mark.parametrize(("up", "down"), [(1, 1), (2, 1), (1, 2), (3, 2), (2, 3)])
def test_its_gradient_is_its_transpose(up, down, pad):
    """<A x, y> = <x, Aᵀ y>, of odd batches and even ones, and under vmap."""
    rng = np.random.default_rng(3)

    def filtered(x):
        return fir.upfirdn(x, (1, -2, 3, 5), up, down, pad)

    for n in (2, 3):
        x = jnp.asarray(rng.normal(size=(n, 7, 10, 3)), jnp.float32)
        y, pull = jax.vjp(filtered, x)
        other = jnp.asarray(rng.normal(size=y.shape), jnp.float32)
        (back,) = pull(other)
        left, right = np.vdot(y, other), np.vdot(x, back)
        assert left == pytest.approx(right, rel=1e-4, abs=1e-3)
        again = jax.vmap(filtered)(x[:, None])[:, 0]
        np.testing.assert_allclose(again, y, rtol=1e-5, atol=1e-5)
        assert jax.jit(jax.grad(lambda x: (filtered(x) ** 3).sum()))(x).shape == x.shape


def test_low_precision_stays():
    assert fir.upsample(jnp.ones((1, 4, 4, 1), jnp.bfloat16)).dtype == jnp.bfloat16


def test_what_leaves_nothing_is_refused():
    with pytest.raises(ValueError, match=r"of 7 pixels, up 1 and padded by \(-2, -2\)"):
        fir.upfirdn(jnp.asarray(X), (1, 3, 3, 1), pad=(-2, -2))
