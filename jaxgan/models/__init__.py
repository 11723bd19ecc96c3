"""Networks: Flax linen modules, and `net`, which makes pure functions of them."""

from jaxgan.models import (
    cyclegan,
    dcgan,
    layers,
    mlp,
    net,
    pix2pix,
    resnet,
    spade,
    srgan,
)
from jaxgan.models.net import Net, flax_net, packed, standing

__all__ = [
    "Net",
    "cyclegan",
    "dcgan",
    "flax_net",
    "layers",
    "mlp",
    "net",
    "packed",
    "pix2pix",
    "resnet",
    "spade",
    "srgan",
    "standing",
]
