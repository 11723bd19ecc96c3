"""Mixtures of Gaussians in the plane, on which a GAN's lost modes can be counted."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import random

from jaxgan import axis

__all__ = ["Mixture", "grid", "ring", "spiral"]


class Mixture(NamedTuple):
    """Equal weights, one deviation for all."""

    centers: np.ndarray
    """float32 `[K, 2]`"""
    deviation: float

    def sample(self, key, n: int) -> jax.Array:
        """Points, float32 `[n, 2]`."""
        on_mode, on_noise = random.split(key)
        mode = axis.draw(random.randint, on_mode, (n,), 0, len(self.centers))
        noise = axis.draw(random.normal, on_noise, (n, 2))
        return jnp.asarray(self.centers)[mode] + self.deviation * noise


def ring(modes: int = 8, radius: float = 1.0, deviation: float = 0.01) -> Mixture:
    """On a circle, as in PacGAN (Lin et al., 2018, arXiv:1712.04086, section 4.1)."""
    angle = 2 * math.pi * np.arange(modes) / modes
    return _mixture(np.cos(angle) * radius, np.sin(angle) * radius, deviation)


def grid(side: int = 5, spacing: float = 2.0, deviation: float = 0.05) -> Mixture:
    """On a square grid around 0, as in PacGAN (arXiv:1712.04086, section 4.1)."""
    place = (np.arange(side) - (side - 1) / 2) * spacing
    x, y = np.meshgrid(place, place)
    return _mixture(x, y, deviation)


def spiral(modes: int = 20, turns: float = 1.5, deviation: float = 0.02) -> Mixture:
    """On an Archimedean spiral from 0.2 to 1, at equal distances along it, nearly."""
    angle = 2 * math.pi * turns * np.sqrt(np.linspace(0.04, 1, modes))
    radius = angle / angle[-1]
    return _mixture(np.cos(angle) * radius, np.sin(angle) * radius, deviation)


def _mixture(x, y, deviation):
    return Mixture(np.stack([x.ravel(), y.ravel()], 1).astype(np.float32), deviation)
