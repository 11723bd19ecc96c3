"""Networks: Flax linen modules, and what makes pure functions of them, or of yours.

`flax_net` takes a Flax linen module, `nnx_net` a Flax NNX module, `Net` any two
functions; `spectral.normalized` and `packed` make one network of another.
"""

from jaxgan.models import (
    biggan,
    cyclegan,
    dcgan,
    equalized,
    layers,
    linen,
    mlp,
    net,
    nnx,
    pix2pix,
    progan,
    projected,
    r3gan,
    resnet,
    spade,
    spectral,
    srgan,
    stylegan,
    stylegan2,
)
from jaxgan.models.linen import flax_net
from jaxgan.models.net import Net, packed, standing
from jaxgan.models.nnx import nnx_net

__all__ = [
    "Net",
    "biggan",
    "cyclegan",
    "dcgan",
    "equalized",
    "flax_net",
    "layers",
    "linen",
    "mlp",
    "net",
    "nnx",
    "nnx_net",
    "packed",
    "pix2pix",
    "progan",
    "projected",
    "r3gan",
    "resnet",
    "spade",
    "spectral",
    "srgan",
    "standing",
    "stylegan",
    "stylegan2",
]
