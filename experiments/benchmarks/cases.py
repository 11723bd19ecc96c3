"""What is timed: GANs of given sizes, and the data that they train on.

Nothing here imports JAX or PyTorch before it is called: each has a process of its own.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

PRICED = {
    "plain": ("r1", "wgan_gp"),
    "stylegan2": ("stylegan2_r1", "stylegan2_path", "stylegan2_lazy"),
}
"""Cases that have more to do in a step than another: what they cost."""

Rows = dict[str, np.ndarray]


class Case(NamedTuple):
    title: str
    batch: int
    data: Callable[[], Rows]
    """What it trains on, by field, all `[N, ...]`: uint8 images `[N, H, W, C]`, or
    float32 points `[N, 2]`; integers are classes."""
    build: Callable[[Any], Any]
    """What `jaxgan_side.Side`, or `torch_side.Side`, makes of it by its methods."""
    points: bool = False
    """Whether its data are points in the plane."""
    platforms: tuple[str, ...] = ("cpu", "gpu")
    """Where it is of a sensible size."""
    period: int = 1
    """Steps after which it does the same again: turns are of whole ones."""


# --- data


def mnist() -> Rows:
    """Its images, uint8 `[60000, 28, 28, 1]`."""
    return {"image": labelled_mnist()["image"]}


def labelled_mnist() -> Rows:
    """The same, and their labels."""
    from jaxgan import data

    dataset = data.load("mnist")
    return dataset.fetch(np.arange(dataset.size))


def ring() -> Rows:
    """Points of eight Gaussians on a circle, float32 `[60000, 2]`."""
    rng = np.random.default_rng(0)
    angle = rng.integers(8, size=60000) * (2 * np.pi / 8)
    centre = np.stack([np.cos(angle), np.sin(angle)], -1)
    return {"image": rng.normal(centre, 0.02).astype(np.float32)}


def noise(*fields: str, n: int = 64, side: int = 64) -> Callable[[], Rows]:
    """Colour images of noise, uint8 `[n, side, side, 3]`, for each field."""

    def made():
        rng = np.random.default_rng(0)
        shape = n, side, side, 3
        return {name: rng.integers(0, 256, shape, np.uint8) for name in fields}

    return made


def mapped() -> Rows:
    """Images of noise, and maps of 11 classes, uint8 `[64, 64, 64]`."""
    maps = np.random.default_rng(1).integers(0, 11, (64, 64, 64), np.uint8)
    return noise("image")() | {"map": maps}


# --- the cases


def _styled(name: str, side: int, width: int, batch: int, platforms) -> Case:
    """StyleGAN2 without regularizers, with one in every step, or lazily with both."""
    every = {
        "r1": {"r1_every": 1},
        "path": {"path_every": 1},
        "lazy": {"r1_every": 16, "path_every": 4},
    }.get(name, {})
    return Case(
        f"StyleGAN2, {side}x{side}, width {width}{name and f', {name}'}",
        batch=batch,
        data=noise("image", n=256, side=side),
        build=lambda of: of.stylegan2(side, width, **every),
        platforms=platforms,
        period=max(every.values(), default=1),
    )


def _penalized(name: str) -> Case:
    """The second case with a D without BatchNorm."""
    penalty = None if name == "plain" else name
    return Case(
        f"D without norm, {name}",
        batch=64,
        data=mnist,
        build=lambda side: side.dcgan(28, 1, 32, base=4, norm=False, penalty=penalty),
    )


CASES = {
    "dcgan": Case(
        "DCGAN, two stages, width 64",
        batch=64,
        data=mnist,
        build=lambda side: side.dcgan(28, 1, 64, base=7),
    ),
    "digits": Case(
        "dcgan_mnist.py, width 32",
        batch=64,
        data=mnist,
        build=lambda side: side.dcgan(28, 1, 32, base=4),
    ),
    "dcgan64": Case(
        "DCGAN, 64x64, width 128",
        batch=128,
        data=noise("image", n=4096),
        build=lambda side: side.dcgan(64, 3, 128, base=4),
        platforms=("gpu",),
    ),
    "mlp": Case(
        "MLP GAN, 28x28",
        batch=64,
        data=mnist,
        build=lambda side: side.mlp(),
    ),
    "ring": Case(
        "MLP GAN, 2-D ring",
        batch=256,
        data=ring,
        build=lambda side: side.ring(),
        points=True,
    ),
    "pix2pix": Case(
        "pix2pix, 64x64, width 64",
        batch=1,
        data=noise("input", "image"),
        build=lambda side: side.pix2pix(),
    ),
    "cyclegan": Case(
        "CycleGAN, 64x64, 6 blocks",
        batch=1,
        data=noise("input", "image"),
        build=lambda side: side.cyclegan(),
    ),
    "srgan": Case(
        "SRGAN, to 64x64, 4 blocks of width 32",
        batch=16,
        data=noise("image", n=256),
        build=lambda side: side.srgan(),
    ),
    "sngan": Case(
        "SNGAN, 32x32, ResNets of width 64, 32",
        batch=64,
        data=noise("image", n=1024, side=32),
        build=lambda side: side.sngan(),
    ),
    "acgan": Case(
        "AC-GAN, 28x28, width 32",
        batch=64,
        data=labelled_mnist,
        build=lambda side: side.acgan(),
    ),
    "infogan": Case(
        "InfoGAN, 28x28, width 32",
        batch=64,
        data=mnist,
        build=lambda side: side.infogan(),
    ),
    "spade": Case(
        "SPADE, 64x64, width 16",
        batch=4,
        data=mapped,
        build=lambda side: side.spade(),
    ),
    "consensus": Case(
        "Consensus optimization, 2-D ring",
        batch=256,
        data=ring,
        build=lambda side: side.consensus(),
        points=True,
    ),
    "unrolled": Case(
        "Unrolled GAN, 5 steps ahead, 2-D ring",
        batch=256,
        data=ring,
        build=lambda side: side.unrolled(),
        points=True,
    ),
    "r3gan": Case(
        "R3GAN, 32x32, width 16",
        batch=32,
        data=noise("image", n=1024, side=32),
        build=lambda side: side.r3gan(32, 16, 128),
    ),
    "r3gan64": Case(
        "R3GAN, 64x64, width 384",
        batch=64,
        data=noise("image", n=1024),
        build=lambda side: side.r3gan(64, 384, 768),
        platforms=("gpu",),
    ),
    "stylegan2": _styled("", 32, 16, 32, ("cpu", "gpu")),
    "stylegan2_r1": _styled("r1", 32, 16, 32, ("cpu", "gpu")),
    "stylegan2_path": _styled("path", 32, 16, 32, ("cpu", "gpu")),
    "stylegan2_lazy": _styled("lazy", 32, 16, 32, ("cpu", "gpu")),
    "stylegan2_128": _styled("lazy", 128, 64, 32, ("gpu",)),
    "stylegan2_256": _styled("lazy", 256, 64, 16, ("gpu",)),
} | {name: _penalized(name) for name in ("plain", *PRICED["plain"])}
