"""What D is shown in place of images, by name, and the options of ADA."""

import dataclasses
from typing import Annotated, Any, Literal

import jax

from jaxgan import augment
from jaxgan.run.idle import Only
from jaxgan.run.settings import Chance, Count, Fraction

__all__ = ["AUGMENTS", "Ada"]


ADA = Only("augment", "ada")
FOLLOWS = Only("ada_p", 0)


@dataclasses.dataclass(frozen=True)
class Ada:
    """ADA's transforms and their probability p, for --augment ada."""

    ada_groups: Annotated[Literal[tuple(augment.PRESETS)], ADA] = "bgc"  # type: ignore[valid-type]  # of the table
    """Blitting, geometry, colour, filters, noise, cutout, by their first letters, or
    one of them alone."""
    ada_target: Annotated[Fraction, ADA, FOLLOWS] = 0.6
    """Of r_t, the mean sign of D's logits of real images: above it p rises."""
    ada_images: Annotated[Count, ADA, FOLLOWS] = 500_000
    """Images of training that take p from 0 to 1 at the fastest; fewer for a short
    run."""
    ada_p: Annotated[Chance, ADA] = 0.0
    """A p that stays, in place of one that follows r_t; 0 is without."""


def _ada(ada: Ada) -> augment.Augmentation:
    shown = augment.pipeline(ada.ada_groups)
    if isinstance(ada.ada_p, jax.core.Tracer) or ada.ada_p:
        return augment.scheduled(ada.ada_p, shown)
    return augment.adaptive(shown, target=ada.ada_target, images=ada.ada_images)


SHIFTED_AND_CUT = augment.diff_augment(augment.translation, augment.cutout)
AUGMENTS: dict[str, Any] = {
    "none": lambda ada: None,
    "diff_augment": lambda ada: SHIFTED_AND_CUT,
    "ada": _ada,
    "instance_noise": lambda ada: augment.instance_noise(steps=2000),
}
"""`(options of ADA) -> Augmentation`"""
