"""Layers of StyleGAN2 against torch's grouped convolutions and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random
from jax.sharding import PartitionSpec

from jaxgan import axis, parallel
from jaxgan.models import equalized

torch = pytest.importorskip("torch")
F = torch.nn.functional
RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def grouped(x, w, style, demodulate, up):
    """As StyleGAN2's authors have it: a kernel for each image, in one convolution."""
    b, c, h, width = x.shape
    kernels = w[None] * style[:, None, :, None, None]
    if demodulate:
        squares = kernels.square().sum((2, 3, 4), keepdim=True)
        kernels = kernels * (squares + 1e-8).rsqrt()
    k, pad = w.shape[-1], (w.shape[-1] - 1) // 2
    if up > 1:
        wide = x.new_zeros(b, c, h * up, width * up)
        wide[:, :, ::up, ::up] = x
        taps = torch.tensor([1.0, 3, 3, 1], dtype=x.dtype) / 8 * up
        f = (taps[:, None] * taps).expand(c, 1, 4, 4)
        low, high = (4 + up - 1) // 2 + pad, (4 - up) // 2 + pad
        x, pad = F.conv2d(F.pad(wide, (low, high) * 2), f, groups=c), 0
    x = x.reshape(1, -1, *x.shape[2:])
    y = F.conv2d(x, kernels.reshape(-1, c, k, k), padding=pad, groups=b)
    return y.reshape(b, -1, *y.shape[2:])


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("demodulate", [True, False])
@pytest.mark.parametrize("up", [1, 2])
def test_modulation_is_that_of_a_kernel_for_each_image(k, demodulate, up):
    """And so are its gradients in all that it is given."""
    x, w, s = normal(3, 5, 6, 4), normal(k, k, 4, 7), normal(3, 4)

    def run(x, w, s):
        return equalized.modulated_conv(x, w, s, demodulate, up)

    y, back = jax.vjp(run, *map(jnp.asarray, (x, w, s)))
    weights = normal(*y.shape)
    theirs = [
        torch.tensor(a, dtype=torch.float64, requires_grad=True)
        for a in (x.transpose(0, 3, 1, 2), w.transpose(3, 2, 0, 1), s)
    ]
    expected = grouped(*theirs, demodulate, up)
    expected.backward(torch.tensor(weights.transpose(0, 3, 1, 2), dtype=torch.float64))
    close = {"rtol": 1e-4, "atol": 1e-4}
    np.testing.assert_allclose(
        y, expected.detach().numpy().transpose(0, 2, 3, 1), **close
    )
    gx, gw, gs = back(jnp.asarray(weights))
    ours = [np.transpose(gx, (0, 3, 1, 2)), np.transpose(gw, (3, 2, 0, 1)), gs]
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b.grad.numpy(), **close)


def test_demodulated_outputs_have_the_deviation_of_inputs():
    x, style = normal(4, 16, 16, 64), 3 + normal(4, 64)
    y = equalized.modulated_conv(
        *map(jnp.asarray, (x, normal(3, 3, 64, 32), style)), True
    )
    assert float(y[:, 1:-1, 1:-1].std()) == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize(("b", "group", "size"), [(8, 4, 4), (6, 4, 3), (3, 8, 3)])
def test_deviation_is_torch_s_of_groups_of_neighbours(b, group, size):
    x = normal(b, 5, 4, 6)
    found = equalized.minibatch_deviation(jnp.asarray(x), group, channels=2)
    y = torch.tensor(x.transpose(0, 3, 1, 2))
    g = y.reshape(-1, size, 2, 3, 5, 4).transpose(0, 1)  # neighbours
    g = (g - g.mean(0)).square().mean(0).add(1e-8).sqrt().mean((2, 3, 4))
    g = g.reshape(-1, 2, 1, 1).repeat_interleave(size, 0).repeat(1, 1, 5, 4)
    expected = torch.cat([y, g], 1).numpy().transpose(0, 2, 3, 1)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="4 channels do not divide 6"):
        equalized.minibatch_deviation(jnp.asarray(x), group, channels=4)


@pytest.mark.parametrize("b", [8, 16, 24, 48])
def test_deviation_is_the_same_over_devices(b):
    """Of 2 and 6 images on each of four devices, groups of four are of several."""
    x = jnp.asarray(normal(b, 4, 4, 3))
    mesh, rows = parallel.mesh(jax.devices()[:4]), PartitionSpec(parallel.AXIS)

    def of(x):
        with axis.mapped(parallel.AXIS):
            return equalized.minibatch_deviation(x)

    found = jax.shard_map(of, mesh=mesh, in_specs=rows, out_specs=rows)(x)
    np.testing.assert_allclose(found, equalized.minibatch_deviation(x), rtol=1e-6)


def test_images_that_are_alike_have_no_deviation():
    x = jnp.asarray(np.repeat(normal(1, 4, 4, 3), 8, 0))
    found = equalized.minibatch_deviation(x)[..., -1]
    np.testing.assert_allclose(found, np.full(found.shape, 1e-4), rtol=1e-3)


@pytest.mark.parametrize("rate", [1.0, 0.01])
def test_rates_are_equalized(rate):
    """Outputs are of deviation 1 whatever the width and the rate; a step of SGD on the
    weights moves outputs `rate` squared times as far."""
    layer = equalized.Dense(50, rate=rate, bias=0.5)
    x = jnp.asarray(normal(400, 300))
    params = layer.init(random.key(0), x)
    y = layer.apply(params, x)
    assert float(y.mean()) == pytest.approx(0.5, abs=0.1)
    assert float(y.std()) == pytest.approx(1, rel=0.05)
    kernel = params["params"]["kernel"]
    assert float(kernel.std()) == pytest.approx(1 / rate, rel=0.05)
    slope = jax.grad(lambda p: layer.apply(p, x).sum())(params)["params"]["kernel"]
    expected = np.repeat(np.asarray(x).sum(0)[:, None], 50, 1) * rate / np.sqrt(300)
    np.testing.assert_allclose(slope, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("down", [1, 2])
def test_convolutions_are_equalized_and_filtered(down):
    layer = equalized.Conv(7, down=down)
    x = normal(2, 8, 6, 5)
    params = layer.init(random.key(0), jnp.asarray(x))
    w = np.asarray(params["params"]["kernel"])
    assert w.std() == pytest.approx(1, rel=0.2)
    y = torch.tensor(x.transpose(0, 3, 1, 2))
    kernel = torch.tensor(w.transpose(3, 2, 0, 1)) / 45**0.5
    if down == 1:
        y = F.conv2d(y, kernel, padding=1)
    else:
        taps = torch.tensor([1.0, 3, 3, 1]) / 8
        f = (taps[:, None] * taps).expand(5, 1, 4, 4)
        y = F.conv2d(F.conv2d(F.pad(y, (2, 2, 2, 2)), f, groups=5), kernel, stride=2)
    expected = y.numpy().transpose(0, 2, 3, 1)
    found = layer.apply(params, jnp.asarray(x))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("up", [1, 2])
def test_a_style_of_nothing_is_a_plain_convolution(up):
    """Styles begin at 1, and their layer is of w."""
    layer = equalized.ModulatedConv(7, up=up)
    x, w = jnp.asarray(normal(2, 5, 4, 3)), jnp.zeros((2, 6))
    params = layer.init(random.key(0), x, w)
    kernel = params["params"]["kernel"] / np.sqrt(27)
    expected = equalized.modulated_conv(x, kernel, jnp.ones((2, 3)), up=up)
    np.testing.assert_allclose(layer.apply(params, x, w), expected, rtol=1e-5)
    assert expected.shape == (2, 5 * up, 4 * up, 7)


def test_pixels_have_length_one_on_average():
    x = equalized.pixel_norm(jnp.asarray(normal(2, 3, 3, 8)))
    np.testing.assert_allclose((x**2).mean(-1), np.ones((2, 3, 3)), rtol=1e-5)
