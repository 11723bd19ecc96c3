"""Networks from image to image, against torch on the same weights."""

import sys
from pathlib import Path

import jax
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from jax import random
from torch_weights import from_torch, nchw

sys.path.append(str(Path(__file__).parents[1] / "experiments"))
from benchmarks import torch_spade, torch_srgan
from benchmarks import torch_translators as twins
from benchmarks.torch_translators import conv, weights

from jaxgan.models import cyclegan, flax_net, layers, pix2pix, spade, srgan
from jaxgan.types import UsageError

KEY = random.key(0)


def test_slopes_of_prelu_begin_as_torch_s():
    G = flax_net("G", srgan.SRResNet(3, 4, 2, 4))
    params, _ = G.init(random.key(0), jax.ShapeDtypeStruct((1, 8, 8, 3), "float32"))
    slopes = [float(x) for n, p in params.items() if "PReLU" in n for x in p.values()]
    np.testing.assert_allclose(slopes, [torch.nn.PReLU().weight.item()] * 5)


def torch_pixel(p, x, blocks, norm=lambda x: x, given=None):
    layers = iter([p[f"Conv_{i}"] for i in range(2 + 2 * blocks)])

    def hidden(x):
        return norm(conv(next(layers), x))

    x = F.relu(hidden(x))
    for _ in range(blocks):
        x = x + hidden(F.relu(hidden(x)))
    x = conv(next(layers), x)
    return torch.tanh(x) if given is None else given + x


def images(i, h, w, c, n=2):
    return random.uniform(random.fold_in(KEY, i), (n, h, w, c), minval=-1)


def maps(h, w, k=4):
    return jax.nn.one_hot(random.randint(KEY, (2, h, w), 0, k), k)


Z = random.normal(KEY, (2, 5))
NETWORKS = {
    "unet 9x14": (
        pix2pix.UNet(3, 3, dropout=0.0),
        (images(0, 9, 14, 1),),
        twins.unet,
    ),
    "unet of 2 stages": (
        pix2pix.UNet(3, 3, stages=2, dropout=0.0),
        (images(0, 12, 12, 1),),
        twins.unet,
    ),
    "encoder-decoder": (
        pix2pix.UNet(1, 4, skip=False, dropout=0.0),
        (images(0, 8, 8, 3),),
        lambda p, x: twins.unet(p, x, skip=False),
    ),
    **{
        f"patchgan {patch}": (
            pix2pix.PatchGAN(3, patch),
            (images(0, 32, 35, 3), images(1, 32, 35, 1)),
            lambda p, x, y, n=n: twins.patchgan(p, x, y, n),
        )
        for patch, n in pix2pix.LAYERS.items()
        if patch < 142
    },
    "resnet": (
        cyclegan.ResNetGenerator(3, 2, 1),
        (images(0, 10, 9, 3),),
        twins.resnet,
    ),
    "pixel": (
        cyclegan.PixelGenerator(3, 4),
        (images(0, 5, 6, 3),),
        lambda p, x: torch_pixel(p, x, 2),
    ),
    "pixel, normalized": (
        cyclegan.PixelGenerator(3, 4, 1, norm="instance", residual=True),
        (images(0, 5, 6, 3),),
        lambda p, x: torch_pixel(p, x, 1, F.instance_norm, x),
    ),
    "srresnet": (
        srgan.SRResNet(3, 4, 2, 4),
        (images(0, 3, 4, 3),),
        torch_srgan.srresnet,
    ),
    "srgan's D": (
        srgan.Discriminator(2, 4),
        (images(0, 18, 17, 3, 5),),
        torch_srgan.critic,
    ),
    "spade": (
        spade.SPADE(6),
        (images(0, 8, 7, 4), maps(16, 14)),
        torch_spade.spade,
    ),
    "spade block": (
        spade.SPADEBlock(6, 5),
        (images(0, 8, 7, 4), maps(16, 14)),
        torch_spade.block,
    ),
    "spade generator": (
        spade.Generator(3, 2, 5),
        (Z, maps(7, 8)),
        torch_spade.generator,
    ),
    "encoder": (spade.Encoder(3, 4), (images(0, 13, 16, 3),), torch_spade.encoder),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_are_torch_s_with_their_gradients(name):
    module, inputs, twin = NETWORKS[name]
    params, stats = flax_net("N", module).init(KEY, *inputs)
    # Weights of some size, and no bias at 0.
    params = jax.tree.map(
        lambda w: w + 0.2 * random.normal(random.fold_in(KEY, w.size), w.shape), params
    )

    def run(params, *inputs):
        out = module.apply({"params": params, **stats}, *inputs, mutable=[*stats])[0]
        return jax.tree.leaves(out)

    theirs = weights(params)
    given = [nchw(x) if x.ndim == 4 else torch.tensor(np.array(x)) for x in inputs]
    expected = twin(theirs, *(x.requires_grad_() for x in given))
    expected = expected if isinstance(expected, list) else [expected]
    toward = [
        random.normal(random.fold_in(KEY, x.size), x.shape)
        for x in jax.eval_shape(run, params, *inputs)
    ]

    @jax.jit
    def with_gradients(toward, *args):
        out, back = jax.vjp(run, *args)
        return out, back(toward)

    out, (to_params, *to_inputs) = with_gradients(toward, params, *inputs)
    as_theirs = [nchw(x) if x.ndim == 4 else torch.tensor(np.array(x)) for x in toward]
    torch.autograd.backward(expected, as_theirs)

    def close(ours, theirs):
        ours, theirs = np.asarray(ours), np.asarray(theirs)
        assert ours.shape == theirs.shape
        # A bias before a norm has a gradient of 0, but for rounding.
        least = max(1e-4 * abs(theirs).max(), 1e-5)
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=least)

    for ours, their in zip(out, expected, strict=True):
        their = their.detach()
        close(ours, their.permute(0, 2, 3, 1) if their.ndim == 4 else their)
    for ours, their in zip(to_inputs, given, strict=True):
        close(ours, their.grad.permute(0, 2, 3, 1) if their.ndim == 4 else their.grad)
    jax.tree.map(close, to_params, from_torch(theirs))


def test_layer_normalization_is_torch_s_of_one_group():
    x = images(0, 3, 5, 6) + images(1, 1, 1, 6)
    layer = layers.normalization("layer", True)
    params = layer.init(KEY, x)
    got = layer.apply(params, x)
    expected = F.group_norm(nchw(x), 1).permute(0, 2, 3, 1)
    np.testing.assert_allclose(got, expected, atol=1e-5)
    even = np.abs(np.asarray(got).mean((1, 2)))  # which instance norm takes to 0
    assert even.max() > 0.3


def test_pixel_shuffle_is_torch_s():
    x = images(0, 3, 5, 2 * 9)
    expected = F.pixel_shuffle(nchw(x), 3).permute(0, 2, 3, 1)
    np.testing.assert_array_equal(layers.pixel_shuffle(x, 3), expected)


def test_multi_scale_is_a_patchgan_on_ever_smaller_images():
    D = pix2pix.MultiScale(2, 3, 16)
    both = images(0, 17, 20, 3), images(1, 17, 20, 1)
    params, _ = flax_net("D", D).init(KEY, *both)
    logits, features = D.apply({"params": params}, *both)
    theirs = weights(params)
    x, y = map(nchw, both)
    for i, one in enumerate(logits):
        their = twins.patchgan(theirs[f"PatchGAN_{i}"], x, y, 1).detach()
        np.testing.assert_allclose(one, their, rtol=1e-4, atol=1e-5)
        pool = {"padding": 1, "count_include_pad": False}
        x, y = (F.avg_pool2d(t, 3, 2, **pool) for t in (x, y))
    assert [f.shape[1:] for f in features] == [
        *((8, 10, 3), (7, 9, 6)),
        *((4, 5, 3), (3, 4, 6)),
    ]


def test_dropout_is_behind_the_three_smallest_stages_alone():
    G = pix2pix.UNet(1, 2, stages=5)
    x = images(0, 32, 32, 1)
    params, _ = flax_net("G", G).init(KEY, x)

    def run(i, found=None):
        keys = {"dropout": random.key(i)}
        return G.apply({"params": params}, x, rngs=keys)

    assert (run(0) == run(0)).all() and (run(0) != run(1)).any()
    count = str(jax.make_jaxpr(lambda: run(0))()).count("random_bits")
    assert count == 3
    with_none = str(
        jax.make_jaxpr(lambda: G.clone(dropout=0.0).apply({"params": params}, x))()
    )
    assert "random_bits" not in with_none


@pytest.mark.parametrize(
    ("says", "module", "shape"),
    (
        (
            "^patch 70 needs images of 24 pixels or more each way, not 23x64",
            pix2pix.PatchGAN(2),
            (1, 23, 64, 3),
        ),
        (
            "^patch 64 must be one of 1, 16, 34, 70, 142, 286 pixels",
            pix2pix.PatchGAN(2, 64),
            (1, 64, 64, 3),
        ),
        (
            "^stages 6: a U-Net .* 32x40 are too small",
            pix2pix.UNet(3, 2, 6),
            (1, 32, 40, 3),
        ),
        (
            "5 pixels or more each way, not 4x9",
            cyclegan.ResNetGenerator(3, 2),
            (1, 4, 9, 3),
        ),
        ("^factor 3 must be a power of 2", srgan.SRResNet(factor=3), (1, 4, 9, 3)),
        ("^factor 1 must be a power of 2", srgan.SRResNet(factor=1), (1, 4, 9, 3)),
    ),
)
def test_images_too_small_are_refused(says, module, shape):
    with pytest.raises(UsageError, match=says):
        flax_net("N", module).init(KEY, jax.ShapeDtypeStruct(shape, "float32"))


def test_a_patchgan_without_normalization_begins_at_the_size_of_its_input():
    """As He et al.'s weights have it; of deviation 0.02 next to nothing is left."""
    x = images(0, 64, 64, 3)
    spread = {}
    for norm in ("none", "instance"):
        D = pix2pix.PatchGAN(16, 34, norm=norm, features=True)
        params, _ = flax_net("D", D).init(KEY, x)
        _, found = D.apply({"params": params}, x)
        spread[norm] = np.array([np.sqrt(np.square(f).mean()) for f in found])
    assert (spread["none"] > 0.3).all() and (spread["none"] < 3).all()
    assert spread["instance"][0] < 0.2  # before the first norm


@pytest.mark.parametrize("patch", (1, 16, 34, 70))
def test_a_logit_sees_its_patch(patch):
    """By the gradient of one in the middle; and no smaller image has a logit."""
    side = 2 * patch + 8
    D = pix2pix.PatchGAN(1, patch, norm="none")

    def logits(params, x):
        return D.apply({"params": params}, x)

    params = D.init(KEY, jax.numpy.zeros((1, side, side, 1)))["params"]
    params = jax.tree.map(jax.numpy.ones_like, params)

    def middle(x):
        found = logits(params, x)
        return found[0, found.shape[1] // 2, found.shape[2] // 2]

    seen = jax.jit(jax.grad(middle))(jax.numpy.ones((1, side, side, 1)))[0, ..., 0]
    assert (seen != 0).any(0).sum() == (seen != 0).any(1).sum() == patch


@pytest.mark.parametrize("patch", pix2pix.LAYERS)
def test_no_smaller_image_has_a_logit(patch):
    seen = 1  # of a logit, through two layers of stride 1 and the others of stride 2
    for stride in (1, 1, *[2] * pix2pix.LAYERS[patch]):
        seen = (seen - 1) * stride + 4
    assert patch == (seen if patch > 1 else 1)
    least = 3 << pix2pix.LAYERS[patch] if patch > 1 else 1
    D = pix2pix.PatchGAN(1, patch)

    def shape(side):
        x = jax.ShapeDtypeStruct((1, side, 300, 1), "float32")
        return jax.eval_shape(lambda x: D.init_with_output(KEY, x)[0], x).shape

    assert shape(least)[1] == 1
    if patch > 1:
        with pytest.raises(UsageError):
            shape(least - 1)
