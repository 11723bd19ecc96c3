"""GANs: each module is a page that reads as its paper's algorithm box."""

from jaxgan.recipes.gan import GAN, gan

__all__ = ["GAN", "gan"]
