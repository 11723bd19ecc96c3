"""Looking into a generator that was trained.

Paths between latents, directions that its first layer heeds most (SeFa), the latents of
a given image, and what each unit of a layer does. All of it takes a generator as a
function, `z -> images` or `given -> images`.
"""

from jaxgan.explore.latents import path, slerp
from jaxgan.explore.projection import Projection, distance, project
from jaxgan.explore.sefa import Directions, directions, first_layer
from jaxgan.explore.units import Effects, effects, layers, switched

__all__ = [
    "Directions",
    "Effects",
    "Projection",
    "directions",
    "distance",
    "effects",
    "first_layer",
    "layers",
    "path",
    "project",
    "slerp",
    "switched",
]
