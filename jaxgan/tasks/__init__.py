"""What a model draws an image of: noise, or something made of the image it should be.

A `Task` is pure and traced. Those of images serve any image data set, and the pairs are
made on the device, anew in every step. Images are `[B, H, W, C]` in [-1, 1].
"""

from jaxgan.tasks.holes import free_form, square
from jaxgan.tasks.images import (
    LUMA,
    colourization,
    consistent_with,
    edges,
    inpainting,
    larger,
    luma,
    of_maps,
    over_white,
    paired,
    smaller,
    sobel,
    super_resolution,
    unpaired,
)
from jaxgan.tasks.task import Task, noise, normal, truncated, with_noise

__all__ = [
    "LUMA",
    "Task",
    "colourization",
    "consistent_with",
    "edges",
    "free_form",
    "inpainting",
    "larger",
    "luma",
    "noise",
    "normal",
    "of_maps",
    "over_white",
    "paired",
    "smaller",
    "sobel",
    "square",
    "super_resolution",
    "truncated",
    "unpaired",
    "with_noise",
]
