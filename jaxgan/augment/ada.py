"""ADA (Karras et al., 2020, arXiv:2006.06676): a pipeline, and what drives its p."""

from collections.abc import Callable, Mapping

import jax.numpy as jnp
import numpy as np
from jax import random

from jaxgan import axis
from jaxgan.augment import blitting, colours, corruption, filtering, geometry
from jaxgan.augment.base import Augmentation
from jaxgan.types import Schedule, UsageError, at

__all__ = [
    "PRESETS",
    "TRANSFORMS",
    "adaptive",
    "by_chance",
    "pipeline",
    "scheduled",
]

GROUPS: dict[str, Callable] = {
    "blit": blitting.blit,
    "geom": geometry.geometric,
    "color": colours.colour,
    "filter": filtering.filtered,
    "noise": corruption.noise,
    "cutout": corruption.cutout,
}
TRANSFORMS: dict[str, tuple[str, ...]] = {
    "blit": ("x_flip", "rotate_90", "integer_translation"),
    "geom": ("isotropic_scale", "rotate", "anisotropic_scale", "translation"),
    "color": ("brightness", "contrast", "luma_flip", "hue", "saturation"),
    "filter": ("band_1", "band_2", "band_3", "band_4"),
    "noise": ("noise",),
    "cutout": ("cutout",),
}
"""The paper's eighteen in its order, by group."""
PRESETS: dict[str, tuple[str, ...]] = {
    **{group: (group,) for group in TRANSFORMS},
    "bg": ("blit", "geom"),
    "bgc": ("blit", "geom", "color"),
    "bgcf": ("blit", "geom", "color", "filter"),
    "bgcfn": ("blit", "geom", "color", "filter", "noise"),
    "bgcfnc": ("blit", "geom", "color", "filter", "noise", "cutout"),
}
"""Groups by the names that the paper's figure 4 and its authors' program have."""


def pipeline(*groups: str, **chances: float) -> Callable:
    """The augmentations of appendix B, with its parameters.

    Each transform is applied to each image with probability p by itself (`rotate`
    twice, each time with 1 - √(1 - p)). With p below 1 none of them leaks, which is to
    say that the distribution of images can be told from that of augmented ones; the
    paper recommends to stay below 0.8. An image to which no transform of a group
    applies passes that group unchanged.

    Differences to the paper: quarter turns, flips and shifts by whole pixels are done
    before the geometric warp and exactly, not within it; what comes in from outside is
    reflected without end. Of RGBA images, colour leaves transparency alone, and
    everything else treats it as another channel. Gray images have no hue and no
    saturation.

    Args:
        *groups: names in `PRESETS`; default "bgc", which the paper recommends. They
            are applied in the paper's order.
        **chances: by the name of a transform in `TRANSFORMS`, what p is multiplied by
            for it, from 0, without it, to 1.

    Returns:
        `(images [B, H, W, C], key, p) -> images`, p a scalar from 0 to 1.

    Raises:
        UsageError: there is no such group, or no such transform in these groups, or a
            multiplier is not from 0 to 1; when called, images have not 1, 3 or 4
            channels where "color" is among the groups.
    """
    chosen = _groups(groups or ("bgc",))
    known = [name for group in chosen for name in TRANSFORMS[group]]
    for name, chance in chances.items():
        if name not in known:
            raise UsageError(name, None, f"is none of {', '.join(known)}.")
        if not 0 <= chance <= 1:
            raise UsageError(name, chance, "must be from 0 to 1.")

    def of(x, key, p):
        p = jnp.asarray(p, jnp.float32)
        keys = random.split(key, len(TRANSFORMS))
        for (group, names), k in zip(TRANSFORMS.items(), keys, strict=True):
            if group in chosen:
                each = {name: p * chances.get(name, 1) for name in names}
                x = GROUPS[group](x, k, each)
        return x

    return of


def _groups(asked):
    """The groups of some presets."""
    for name in asked:
        if name not in PRESETS:
            raise UsageError("groups", name, f"is none of {', '.join(PRESETS)}.")
    return {group for name in asked for group in PRESETS[name]}


def by_chance(*policies: Callable) -> Callable:
    """The same of functions `(images, key) -> images`, such as DiffAugment's.

    Args:
        *policies: in this order, each on each image with probability p.

    Returns:
        `(images, key, p) -> images`
    """

    def of(x, key, p):
        for policy, k in zip(policies, random.split(key, len(policies)), strict=True):
            on_policy, on_coin = random.split(k)
            coin = axis.draw(random.uniform, on_coin, (len(x),), jnp.float32)
            applies = (coin < p).reshape(-1, *[1] * (x.ndim - 1))
            x = jnp.where(applies, policy(x, on_policy), x)
        return x

    return of


def scheduled(p: Schedule, shown: Callable | None = None) -> Augmentation:
    """A pipeline with a probability that is given, not adapted.

    Args:
        p: a number from 0 to 1, or a function of the step.
        shown: `(images, key, p) -> images`; default `pipeline()`.
    """
    shown = shown or pipeline()
    return Augmentation(lambda x, key, step, memory: shown(x, key, at(p, step)))


def adaptive(
    shown: Callable | None = None,
    *,
    target: float = 0.6,
    images: int = 500_000,
    every: int = 4,
) -> Augmentation:
    """A pipeline with a probability that follows how far D overfits, section 3.

    p starts at 0. Of each `every` judgements of D, r_t is the mean sign of its logits
    of real images (eq. 1): where it is above the target p rises, where below it falls,
    by as many images as were judged, divided by `images`. It moves with the judgement
    that follows, when the signs are those of whole batches, also where gradients are
    accumulated. A metric `ada_p` is p, `r_t` that of one judgement.

    Its memory is `{"p": float32, "signs": float32, "judged": int32}`: the sum of mean
    signs since p last moved, and of how many judgements.

    Args:
        shown: `(images, key, p) -> images`; default `pipeline()`.
        target: of r_t.
        images: how many images of training take p from 0 to 1 at the fastest.
        every: how many judgements one move takes.
    """
    shown = shown or pipeline()
    first = {"p": np.float32(0), "signs": np.float32(0), "judged": np.int32(0)}

    def of(x, key, step, memory):
        return shown(x, key, memory["p"])

    def adapt(memory: Mapping, real_logits):
        p, signs, judged = memory["p"], memory["signs"], memory["judged"]
        full = judged == every
        toward = jnp.sign(signs / every - target)
        moved = p + toward * (every * axis.whole(len(real_logits)) / images)
        moved = jnp.clip(moved, 0, 1).astype(p.dtype)
        return {
            "p": jnp.where(full, moved, p),
            "signs": jnp.where(full, 0, signs) + _mean_sign(real_logits),
            "judged": jnp.where(full, 0, judged) + 1,
        }

    def metrics(memory, real_logits):
        return {"ada_p": memory["p"], "r_t": _mean_sign(real_logits)}

    return Augmentation(of, first, adapt, metrics)


def _mean_sign(logits):
    """The mean over the batch of all devices, float32."""
    return axis.mean(jnp.sign(logits).astype(jnp.float32).mean())
