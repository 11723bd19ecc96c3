"""What a unit of a generator does: it is switched off, and one sees what leaves.

The ablation of GAN dissection (Bau et al., 2019, arXiv:1811.10597, section 3.2): a
unit is a channel of a layer, and off is 0 at all places. Layers are those of Flax
linen, by their names. The paper chooses units by a segmentation network; here they are
ordered by how much of the image changes.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

__all__ = ["Effects", "effects", "layers", "switched"]


class Effects(NamedTuple):
    """Of each unit, float32 `[units]`, what changes where it is switched off."""

    whole: np.ndarray
    """Mean absolute difference of pixels, of values in 0 ... 1."""
    by_image: np.ndarray
    """The same of each image, `[units, B]`."""
    by_class: np.ndarray | None
    """The same of the pixels of each class of a label map, `[units, classes]`; NaN of
    classes that are in no map."""


def layers(run: Callable, *args) -> dict[str, tuple[int, ...]]:
    """The layers of a network of Flax linen whose units can be switched off.

    Args:
        run: `(*args) -> images`, through the network.
        args: arrays, or their shapes.

    Returns:
        The shape of each layer's output, `[B, ..., units]`, in the order in which they
        run; empty of networks of other libraries.
    """
    found: dict[str, tuple[int, ...]] = {}

    def look(next_fun, args, kwargs, context):
        out = next_fun(*args, **kwargs)
        name = _name(context)
        if name and getattr(out, "ndim", 0) >= 2:
            found.setdefault(name, out.shape)
        return out

    def looked(*args):
        with nn.intercept_methods(look):
            return run(*args)

    jax.eval_shape(looked, *args)
    return found


def switched(run: Callable, layer: str) -> Callable:
    """`(keep [units], *args) -> images`: the layer's output times `keep`.

    Args:
        run: `(*args) -> images`, through a network of Flax linen.
        layer: of `layers`.
    """

    def off(keep, *args):
        def switch(next_fun, args, kwargs, context):
            out = next_fun(*args, **kwargs)
            if _name(context) != layer:
                return out
            return out * keep.astype(out.dtype).reshape((1,) * (out.ndim - 1) + (-1,))

        with nn.intercept_methods(switch):
            return run(*args)

    return off


def _name(context):
    """Of a layer that is called, "SPADEBlock_0/Conv_1"; "" of the network itself."""
    called = context.method_name == "__call__"
    return "/".join(context.module.path) if called else ""


def effects(off: Callable, units: int, *args, maps=None, progress=iter) -> Effects:
    """What changes where each unit of a layer is switched off by itself.

    Args:
        off: `(keep [units], *args) -> images [B, H, W, C]` in [-1, 1], of `switched`.
        units: how many the layer has.
        args: what it is given.
        maps: one-hot label maps `[B, H, W, K]`, where images are of such.
        progress: is shown the units as they come.
    """
    on = jax.jit(off)(jnp.ones(units), *args)

    @jax.jit
    def of(unit, on, maps, *args):
        change = jnp.abs(off(1 - jax.nn.one_hot(unit, units), *args) - on).mean(-1) / 2
        if maps is None:
            return change.mean((1, 2)), None
        inside = (maps * change[..., None]).sum((0, 1, 2))
        return change.mean((1, 2)), inside / maps.sum((0, 1, 2))

    found = [of(unit, on, maps, *args) for unit in progress(range(units))]
    by_image = np.stack([one for one, _ in found])
    by_class = None if maps is None else np.stack([one for _, one in found])
    return Effects(by_image.mean(1), by_image, by_class)
