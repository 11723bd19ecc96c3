"""VGG-19's features against torch, and the refusal of other files."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from jax import random

from jaxgan.metrics import feature_maps, vgg
from jaxgan.types import UsageError


@pytest.fixture(scope="module")
def net():
    """torchvision's `vgg19().features`, layer by layer, with random weights."""
    torch.manual_seed(0)
    layers, channels = [], 3
    for width, count in ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4)):
        for _ in range(count):
            layers += [torch.nn.Conv2d(channels, width, 3, padding=1)]
            torch.nn.init.kaiming_normal_(layers[-1].weight)
            torch.nn.init.normal_(layers[-1].bias, 0, 0.1)
            layers += [torch.nn.ReLU()]
            channels = width
        layers += [torch.nn.MaxPool2d(2, 2)]
    return torch.nn.Sequential(*layers)


def saved(net, path):
    torch.save({f"features.{k}": v for k, v in net.state_dict().items()}, path)
    return str(path)


def theirs(net, images, last):
    x = (np.array(images) + 1) / 2
    x = (x - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    x = torch.tensor(np.moveaxis(x, -1, 1), dtype=torch.float32)
    with torch.no_grad():
        return np.moveaxis(net[: last + 1](x).numpy(), 1, -1)


IMAGES = random.uniform(random.key(0), (2, 37, 32, 3), minval=-1)
OTHERS = random.uniform(random.key(1), IMAGES.shape, minval=-1)


def test_the_content_loss_is_srgan_s(net, tmp_path, monkeypatch):
    path = saved(net, tmp_path / "vgg.pth")
    monkeypatch.setattr(vgg, "DIGEST", vgg.weights.sha256(path)[:8])
    for layer, last in (("vgg22", 8), ("vgg54", 35)):  # after the activations
        loss = vgg.content_loss(path, layer)
        got = loss(IMAGES, OTHERS)
        a, b = (theirs(net, x, last) / 12.75 for x in (IMAGES, OTHERS))
        expected = ((a - b) ** 2).mean((1, 2, 3))
        np.testing.assert_allclose(got, expected, rtol=1e-4)
        assert not np.any(loss(IMAGES, IMAGES))
    gray = IMAGES[..., :1]
    np.testing.assert_allclose(
        loss(gray, OTHERS), loss(gray.repeat(3, -1), OTHERS), rtol=1e-5
    )


def test_maps_are_the_activations_before_each_pooling(net):
    params = {f"features.{k}": v.numpy() for k, v in net.state_dict().items()}
    of = feature_maps.of_vgg("none")
    for ours, last in zip(of.maps(params, IMAGES), (8, 17, 26, 35), strict=True):
        expected = theirs(net, IMAGES, last)
        np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-3)


def test_other_files_are_refused(net, tmp_path, monkeypatch):
    def loss(path):
        vgg.read.cache_clear()
        return vgg.content_loss(str(path), "vgg54")(IMAGES, OTHERS)

    path = saved(net, tmp_path / "vgg.pth")
    with pytest.raises(UsageError, match=r"vgg_weights .* not dcbb9e9d"):
        loss(path)
    with pytest.raises(UsageError, match=r"vgg_weights none\.pth cannot be read"):
        loss("none.pth")
    with pytest.raises(UsageError, match="16 pixels or more each way, not 8x32"):
        vgg.features({}, jnp.zeros((1, 8, 32, 3)), 5)
    path = saved(net[:10], tmp_path / "half.pth")
    monkeypatch.setattr(vgg, "DIGEST", vgg.weights.sha256(path)[:8])
    with pytest.raises(UsageError, match=r"has no features\.10\.weight"):
        loss(path)
