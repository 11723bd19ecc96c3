"""Networks: Flax linen modules, and what makes pure functions of them, or of yours.

`flax_net` takes a Flax linen module, `nnx_net` a Flax NNX module, `Net` any two
functions; `spectral.normalized` and `packed` make one network of another.
"""

from jaxgan.models import (
    cyclegan,
    dcgan,
    layers,
    linen,
    mlp,
    net,
    nnx,
    pix2pix,
    r3gan,
    resnet,
    spade,
    spectral,
    srgan,
)
from jaxgan.models.linen import flax_net
from jaxgan.models.net import Net, packed, standing
from jaxgan.models.nnx import nnx_net

__all__ = [
    "Net",
    "cyclegan",
    "dcgan",
    "flax_net",
    "layers",
    "linen",
    "mlp",
    "net",
    "nnx",
    "nnx_net",
    "packed",
    "pix2pix",
    "r3gan",
    "resnet",
    "spade",
    "spectral",
    "srgan",
    "standing",
]
