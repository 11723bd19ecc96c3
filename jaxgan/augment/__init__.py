"""What D is shown in place of images, differentiable.

Applied to real images and to fakes alike, in D's step and in G's, so that G is not
taught to draw the augmentation (Zhao et al., 2020, arXiv:2006.10738). Images are
`[B, H, W, C]` in [-1, 1]. Recipes take an `Augmentation`:

    diff_augment(color, translation, cutout)   of policies `(images, key) -> images`
    adaptive(pipeline("bgc"))                  ADA: p follows how far D overfits
    scheduled(0.2, pipeline("bgc"))            p is a number, or a function of the step
    instance_noise()                           noise that fades

`pipeline` is that of ADA (Karras et al., 2020, arXiv:2006.06676), of eighteen
transforms, each on an image with a probability p.
"""

from jaxgan.augment.ada import (
    PRESETS,
    TRANSFORMS,
    adaptive,
    by_chance,
    pipeline,
    scheduled,
)
from jaxgan.augment.base import Augmentation
from jaxgan.augment.diff import (
    affine,
    color,
    cutout,
    diff_augment,
    instance_noise,
    translation,
)

__all__ = [
    "PRESETS",
    "TRANSFORMS",
    "Augmentation",
    "adaptive",
    "affine",
    "by_chance",
    "color",
    "cutout",
    "diff_augment",
    "instance_noise",
    "pipeline",
    "scheduled",
    "translation",
]
