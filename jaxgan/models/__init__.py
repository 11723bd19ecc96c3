"""Networks: Flax linen modules, and `net`, which makes pure functions of them."""

from jaxgan.models import dcgan, layers, mlp, net, resnet
from jaxgan.models.net import Net, flax_net, packed, standing

__all__ = [
    "Net",
    "dcgan",
    "flax_net",
    "layers",
    "mlp",
    "net",
    "packed",
    "resnet",
    "standing",
]
