"""Whole networks of StyleGAN2 against torch, by weights of StyleGAN2-ADA's names."""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from jaxgan.models import flax_net, stylegan2, stylegan2_ada
from jaxgan.run import weights
from jaxgan.types import UsageError, example

sys.path.append(str(Path(__file__).parents[1] / "experiments"))

import import_stylegan2
import stylegan2 as experiment

from jaxgan import run

Z, W, WIDTHS, CLASSES = 6, 8, {4: 8, 8: 6, 16: 4}, 3
"""Dimensions, and channels by size."""


@pytest.fixture(scope="module")
def arrays():
    """Networks of random weights, as the program names and shapes them."""
    rng = np.random.default_rng(0)
    found = {}

    def add(name, *shape):
        found[name] = rng.normal(size=shape).astype(np.float32)

    def dense(name, inputs, outputs):
        add(f"{name}.weight", outputs, inputs)
        add(f"{name}.bias", outputs)

    for net, features in (("G_ema", Z + W), ("D", W)):
        dense(f"{net}.mapping.embed", CLASSES, W)
        for i, inputs in enumerate((features, W)):
            dense(f"{net}.mapping.fc{i}", inputs, W)
            found[f"{net}.mapping.fc{i}.weight"] *= 100
    add("G_ema.mapping.w_avg", W)
    add("G_ema.synthesis.b4.const", WIDTHS[4], 4, 4)
    for size, c in WIDTHS.items():
        block = f"G_ema.synthesis.b{size}"
        parts = {"conv1": (c, c, 3), "torgb": (c, 3, 1)}
        if size > 4:
            parts |= {"conv0": (WIDTHS[size // 2], c, 3)}
        for part, (inputs, outputs, k) in parts.items():
            add(f"{block}.{part}.weight", outputs, inputs, k, k)
            add(f"{block}.{part}.bias", outputs)
            dense(f"{block}.{part}.affine", W, inputs)
            if part != "torgb":
                add(f"{block}.{part}.noise_strength")
                add(f"{block}.{part}.noise_const", size, size)
                add(f"{block}.{part}.resample_filter", 4, 4)
    for size, c in WIDTHS.items():
        if size > 4:
            smaller = WIDTHS[size // 2]
            for part, (inputs, outputs, k) in {
                "conv0": (c, c, 3),
                "conv1": (c, smaller, 3),
                "skip": (c, smaller, 1),
            }.items():
                add(f"D.b{size}.{part}.weight", outputs, inputs, k, k)
                if part != "skip":
                    add(f"D.b{size}.{part}.bias", outputs)
    add("D.b16.fromrgb.weight", WIDTHS[16], 3, 1, 1)
    add("D.b16.fromrgb.bias", WIDTHS[16])
    add("D.b4.conv.weight", WIDTHS[4], WIDTHS[4] + 1, 3, 3)
    add("D.b4.conv.bias", WIDTHS[4])
    dense("D.b4.fc", WIDTHS[4] * 16, WIDTHS[4])
    dense("D.b4.out", WIDTHS[4], W)
    return found


class Twin:
    """The networks in torch, from the papers: kernels in groups, zeros put between."""

    def __init__(self, arrays):
        self.of = {n: torch.tensor(x, dtype=torch.float64) for n, x in arrays.items()}

    def dense(self, name, x, rate=1.0, act=True):
        w, b = self.of[f"{name}.weight"], self.of[f"{name}.bias"]
        y = x @ w.T * rate / w.shape[1] ** 0.5 + b * rate
        return lrelu(y) if act else y

    def mapping(self, net, c, z=None):
        y = normalized(self.dense(f"{net}.mapping.embed", c, act=False))
        x = y if z is None else torch.cat([normalized(z), y], 1)
        for i in range(2):
            x = self.dense(f"{net}.mapping.fc{i}", x, 0.01)
        return x

    def modulated(self, name, x, w, up=1, demodulate=True):
        kernel = self.of[f"{name}.weight"]
        style = self.dense(f"{name}.affine", w, act=False)
        if not demodulate:
            style = style / kernel[0].numel() ** 0.5
        each = kernel[None] * style[:, None, :, None, None]
        if demodulate:
            each = each / (each.square().sum((2, 3, 4), keepdim=True) + 1e-8).sqrt()
        if up == 2:  # a convolution: the kernel is turned around
            x, each = filtered(spread(x), (3, 2), 4.0), each.flip(3, 4)
        else:
            x = F.pad(x, [kernel.shape[2] // 2] * 4)
        n, c, *size = x.shape
        y = F.conv2d(x.reshape(1, n * c, *size), each.flatten(0, 1), groups=n)
        return y.reshape(n, -1, *y.shape[2:])

    def layer(self, name, x, w, up=1):
        y = self.modulated(name, x, w, up)
        y = y + self.of[f"{name}.noise_const"] * self.of[f"{name}.noise_strength"]
        return lrelu(y + self.of[f"{name}.bias"][:, None, None])

    def synthesis(self, w):
        at, image = 0, None
        x = self.of["G_ema.synthesis.b4.const"].expand(len(w), -1, -1, -1)
        for size in WIDTHS:
            block = f"G_ema.synthesis.b{size}"
            if size > 4:
                x, at = self.layer(f"{block}.conv0", x, w[:, at], 2), at + 1
            x, at = self.layer(f"{block}.conv1", x, w[:, at]), at + 1
            y = self.modulated(f"{block}.torgb", x, w[:, at], demodulate=False)
            y = y + self.of[f"{block}.torgb.bias"][:, None, None]
            image = y if image is None else filtered(spread(image), (2, 1), 4.0) + y
        return image

    def conv(self, name, x, down=1, act=True):
        w = self.of[f"{name}.weight"]
        k = w.shape[2]
        x = (
            filtered(x, (1 + k // 2, 1 + k // 2))
            if down == 2
            else F.pad(x, [k // 2] * 4)
        )
        y = F.conv2d(x, w / w[0].numel() ** 0.5, stride=down)
        if not act:
            return y
        return lrelu(y + self.of[f"{name}.bias"][:, None, None])

    def judge(self, x, c):
        x = self.conv("D.b16.fromrgb", x)
        for size in (16, 8):
            y = self.conv(f"D.b{size}.skip", x, 2, act=False)
            x = self.conv(f"D.b{size}.conv0", x)
            x = (self.conv(f"D.b{size}.conv1", x, 2) + y) * 0.5**0.5
        groups = x.reshape(4, -1, *x.shape[1:])
        spread_out = (groups.var(0, unbiased=False) + 1e-8).sqrt().mean((1, 2, 3))
        spread_out = spread_out.repeat(4)[:, None, None, None].expand(-1, 1, 4, 4)
        x = self.conv("D.b4.conv", torch.cat([x, spread_out], 1))
        x = self.dense("D.b4.out", self.dense("D.b4.fc", x.flatten(1)), act=False)
        return (x * self.mapping("D", c)).sum(1) / W**0.5


def lrelu(x):
    return F.leaky_relu(x, 0.2) * 2**0.5


def normalized(x):
    return x / (x.square().mean(1, keepdim=True) + 1e-8).sqrt()


def spread(x):
    n, c, h, w = x.shape
    y = x.new_zeros(n, c, 2 * h, 2 * w)
    y[:, :, ::2, ::2] = x
    return y


def filtered(x, pad, gain=1.0):
    taps = torch.tensor([1.0, 3, 3, 1], dtype=x.dtype) / 8
    kernel = (gain * taps[:, None] * taps)[None, None].expand(x.shape[1], 1, 4, 4)
    x = F.pad(x, [pad[0], pad[1]] * 2)
    return F.conv2d(x, kernel, groups=x.shape[1])


@pytest.fixture(scope="module")
def nets():
    networks = stylegan2.networks((16, 16, 3), 4, 8, W, 2, CLASSES)
    mapping, synthesis, D = networks
    synthesis = synthesis.clone(channels=[*WIDTHS.values()])
    D = D.clone(channels=[*WIDTHS.values()][::-1], depth=2)
    return {"mapping": mapping, "synthesis": synthesis, "D": D}


def test_whole_networks_are_torch_s(arrays, nets):
    twin, found = Twin(arrays), stylegan2_ada.converted(arrays)
    rng = np.random.default_rng(1)
    z, label = rng.normal(size=(4, Z)).astype(np.float32), np.arange(4) % CLASSES
    c = torch.eye(CLASSES, dtype=torch.float64)[label]

    def ours(name, *inputs):
        params, stats = (found[f].get(name, {}) for f in ("params", "stats"))
        return flax_net(name, nets[name]).apply(params, stats, *inputs, train=False)[0]

    w = ours("mapping", z, label)
    expected = twin.mapping("G_ema", c, torch.tensor(z, dtype=torch.float64))
    np.testing.assert_allclose(w[:, 3], expected, rtol=1e-4, atol=1e-5)
    w = rng.normal(size=w.shape).astype(np.float32)  # another for each layer
    images = ours("synthesis", w)
    expected = twin.synthesis(torch.tensor(w, dtype=torch.float64)).permute(0, 2, 3, 1)
    scale = expected.abs().max().item()
    np.testing.assert_allclose(images, expected, rtol=1e-4, atol=1e-5 * scale)
    x = rng.uniform(-1, 1, (8, 16, 16, 3)).astype(np.float32)
    label = np.arange(8) % CLASSES
    c = torch.eye(CLASSES, dtype=torch.float64)[label]
    logits = ours("D", x, label)
    images = torch.tensor(x, dtype=torch.float64).permute(0, 3, 1, 2)
    expected = twin.judge(images, c)
    np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=1e-4)


def test_a_run_begins_from_such_a_file(arrays, tmp_path, capsys):
    """Of widths that double, as a preset has them."""
    cfg = run.changed(
        experiment.PRESETS["mnist"],
        data=None,
        width=2,
        max_width=8,
        w_dim=W,
        latent_dim=Z,
    )
    model = experiment.build(cfg, (16, 16, 3), 0)
    state = model.init(jax.random.key(0), example((16, 16, 3), 4))
    theirs = _plain(arrays)
    np.savez(tmp_path / "theirs.npz", **theirs)
    options = import_stylegan2.Options(
        input=str(tmp_path / "theirs.npz"), out=str(tmp_path / "ours.npz")
    )
    import_stylegan2.run(options)
    said = capsys.readouterr().out
    for option in ("--width 2", "--max-width 8", "--w-dim 8", "--latent-dim 6"):
        assert option in said
    assert "--mapping-layers 2" in said and "--conditional" not in said
    begun = weights.into(state, weights.read(tmp_path / "ours.npz"))
    np.testing.assert_array_equal(
        begun.params["synthesis"]["layer2"]["conv"]["kernel"],
        theirs["G_ema.synthesis.b8.conv1.weight"].transpose(2, 3, 1, 0),
    )
    z = jnp.ones((2, Z))
    images = model.draws["sample"].run(begun, (z,), jax.random.key(0))
    assert np.isfinite(images).all()


def _plain(arrays):
    """Without classes, of widths that a preset may have."""
    return {
        name: _resized(name, x)
        for name, x in arrays.items()
        if "embed" not in name and not name.startswith("D.mapping")
    }


def _resized(name, x):
    """With 8, 4 and 2 channels in place of 8, 6 and 4, without classes."""
    if name == "G_ema.mapping.fc0.weight":
        return x[:, :Z]
    if name.startswith("D.b4.out"):
        return x[:1]
    now = {6: 4, 4: 2}
    fixed = "const" in name or "filter" in name or name.startswith("D.b4")
    if fixed or "mapping" in name:
        return x
    shape = [now.get(n, n) for n in x.shape[:2]]
    if "affine.weight" in name:
        shape[1] = W
    return x[tuple(slice(n) for n in shape)]


def test_other_networks_are_refused(arrays):
    with pytest.raises(UsageError, match=r"input D\.b8\.resnet\.weight is no array of"):
        stylegan2_ada.converted(arrays | {"D.b8.resnet.weight": np.zeros(1)})


def test_networks_of_another_architecture_are_refused(arrays, tmp_path):
    """D without skip connections, and G with one image, as its `cifar` has them."""
    for left_out in ("skip", "b4.torgb"):
        theirs = {n: x for n, x in _plain(arrays).items() if left_out not in n}
        np.savez(tmp_path / "theirs.npz", **theirs)
        options = import_stylegan2.Options(
            input=str(tmp_path / "theirs.npz"), out=str(tmp_path / "ours.npz")
        )
        with pytest.raises(UsageError, match="config F"):
            import_stylegan2.run(options)
        assert not (tmp_path / "ours.npz").exists()


def test_files_without_a_generator_are_refused(arrays, tmp_path):
    theirs = {n: x for n, x in arrays.items() if n.startswith("D.")}
    np.savez(tmp_path / "theirs.npz", **theirs)
    options = import_stylegan2.Options(
        input=str(tmp_path / "theirs.npz"), out=str(tmp_path / "ours.npz")
    )
    with pytest.raises(UsageError, match="has nothing of mapping, synthesis"):
        import_stylegan2.run(options)
