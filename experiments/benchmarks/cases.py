"""What is timed: GANs of given sizes, and the data that they train on.

Nothing here imports JAX or PyTorch before it is called: each has a process of its own.
"""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

PENALIZED = ("plain", "r1", "wgan_gp")
"""Cases that differ in D's penalty alone; the first has none."""


class Case(NamedTuple):
    title: str
    batch: int
    bar: float
    """The ratio that jaxgan promises."""
    data: Callable[[], np.ndarray]
    """uint8 `[N, H, W, C]` or float32 `[N, 2]`."""
    build: Callable[[Any], Any]
    """What `jaxgan_side` or `torch_side` makes of the case, by its functions."""
    fields: tuple[str, ...] = ("image",)
    """Of a batch; several lie one after the other along the data's channels."""
    flops: int | None = None
    """Of a step, as `step_flops` counts them; None if not counted."""


# --- data


def mnist() -> np.ndarray:
    """Its images, uint8 `[60000, 28, 28, 1]`."""
    from jaxgan import data

    dataset = data.load("mnist")
    return dataset.fetch(np.arange(dataset.size))["image"]


def ring() -> np.ndarray:
    """Points of eight Gaussians on a circle, float32 `[60000, 2]`."""
    rng = np.random.default_rng(0)
    angle = rng.integers(8, size=60000) * (2 * np.pi / 8)
    centre = np.stack([np.cos(angle), np.sin(angle)], -1)
    return rng.normal(centre, 0.02).astype(np.float32)


def pairs() -> np.ndarray:
    """Noise as two colour images each, uint8 `[64, 64, 64, 6]`."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (64, 64, 64, 6), np.uint8)


# --- matrix products and convolutions, as if each were computed directly


def step_flops(batch: int, g: int, d: int) -> int:
    """Of a step on shared fakes: 3·F_G + 8·F_D an image (F: one forward pass)."""
    return batch * (3 * g + 8 * d)


def dense(*widths: int) -> int:
    """Of layers of those widths, an example."""
    return sum(2 * a * b for a, b in itertools.pairwise(widths))


def conv(positions: int, c_in: int, c_out: int) -> int:
    """Of a 4x4 convolution, an image; of a transposed one, `positions` of its input."""
    return 2 * positions * 4 * 4 * c_in * c_out


# --- the cases

DIGITS_FLOPS = step_flops(
    64,
    dense(100, 16 * 128) + conv(16, 128, 64) + conv(49, 64, 32) + conv(196, 32, 1),
    conv(196, 1, 32) + conv(49, 32, 64) + conv(16, 64, 128) + dense(16 * 128, 1),
)


def _penalized(name: str) -> Case:
    """The second case with a D without BatchNorm; FLOPs without the penalty's."""
    penalty = None if name == "plain" else name
    return Case(
        f"D without norm, {name}",
        batch=64,
        bar=1.1,
        data=mnist,
        build=lambda side: side.dcgan(32, base=4, norm=False, penalty=penalty),
        flops=DIGITS_FLOPS,
    )


CASES = {
    "dcgan": Case(
        "DCGAN, two stages, width 64",
        batch=64,
        bar=1.1,
        data=mnist,
        build=lambda side: side.dcgan(64, base=7),
        flops=step_flops(
            64,
            dense(100, 49 * 128) + conv(49, 128, 64) + conv(196, 64, 1),
            conv(196, 1, 64) + conv(49, 64, 128) + dense(49 * 128, 1),
        ),
    ),
    "digits": Case(
        "dcgan_mnist.py, width 32",
        batch=64,
        bar=1.1,
        data=mnist,
        build=lambda side: side.dcgan(32, base=4),
        flops=DIGITS_FLOPS,
    ),
    "mlp": Case(
        "MLP GAN, 28x28",
        batch=64,
        bar=1.2,
        data=mnist,
        build=lambda side: side.mlp(),
        flops=step_flops(64, dense(100, 256, 512, 1024, 784), dense(784, 512, 256, 1)),
    ),
    "ring": Case(
        "MLP GAN, 2-D ring",
        batch=256,
        bar=2.0,
        data=ring,
        build=lambda side: side.ring(),
        flops=step_flops(256, dense(2, 128, 128, 2), dense(2, 128, 128, 1)),
    ),
    "pix2pix": Case(
        "pix2pix, 64x64, width 64",
        batch=1,
        bar=1.2,
        data=pairs,
        build=lambda side: side.pix2pix(),
        fields=("input", "image"),
    ),
    "cyclegan": Case(
        "CycleGAN, 64x64, 6 blocks",
        batch=1,
        bar=1.2,
        data=pairs,
        build=lambda side: side.cyclegan(),
        fields=("input", "image"),
    ),
} | {name: _penalized(name) for name in PENALIZED}
