"""GANs: each module is a page that reads as its paper's algorithm box."""

from jaxgan.recipes.acgan import acgan
from jaxgan.recipes.base import GAN
from jaxgan.recipes.gan import gan
from jaxgan.recipes.infogan import infogan
from jaxgan.recipes.unrolled import unrolled

__all__ = ["GAN", "acgan", "gan", "infogan", "unrolled"]
