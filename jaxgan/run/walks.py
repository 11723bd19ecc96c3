"""The commands `interpolate` and `directions`: walks through the latents of a run."""

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

import jax
import numpy as np

from jaxgan import explore
from jaxgan.run import animation, atomic, images, provenance, workdir
from jaxgan.run.loading import Loaded
from jaxgan.run.sampler import Sampler, sampler
from jaxgan.run.settings import FILE, Count, Number, Range, Seed
from jaxgan.run.trained import Trained, numbers
from jaxgan.types import UsageError

__all__ = [
    *("Directions", "Interpolate", "check", "check_directions"),
    *("directions", "interpolate"),
]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Interpolate(Trained):
    """Draw the way from sample to sample, along great circles in z or lines in w, and
    from class to class where the run draws by class."""

    seeds: str = "0-3"
    """The samples on the way: those that sample --seeds draws of these."""
    labels: tuple[str, ...] | None = None
    """Their classes, by name or number, in turn; default all. Of one seed, and several
    classes, z stays."""
    steps: Count = 10
    """Images from one to the next."""
    space: Literal["auto", "z", "w"] = "auto"
    """Of which latents the way is; auto: StyleGAN's w where there is one, else z."""
    truncation: Annotated[float | None, Range(0)] = None
    """As of the command sample."""
    loop: bool = True
    """The way goes from the last to the first again."""
    out: Annotated[str, FILE] = "interpolation.gif"
    """NAME.gif; NAME.mp4, which needs pip install 'jaxgan[video]'; or NAME.png, a row
    from each to the next, both included."""
    fps: Count = 12
    """Images a second."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Directions(Trained):
    """Draw samples moved along the directions in z that the generator's first layer
    heeds most (SeFa, arXiv:2007.06600): a row for each."""

    count: Count = 8
    """How many directions."""
    steps: Count = 7
    """Images in a row, an odd number."""
    most: Number = 3.0
    """How far the ends of a row are from the middle, which is the sample."""
    seed: Seed = 0
    """Which sample: the one that sample --seeds draws of it."""
    label: str | None = None
    """Its class, by name or number; default the first."""
    out: Annotated[str, FILE] = "directions.png"
    """The PNG to write."""
    npz: Annotated[str | None, FILE] = None
    """Also write `directions` [K, Z] and `eigenvalues` [K]."""


def check(options: Interpolate) -> None:
    """Refuses what cannot be drawn, before anything is loaded."""
    numbers("seeds", options.seeds, 1000)
    animation.check(options.out, others=(".png",))
    workdir.writable(Path(options.out).parent, "out")


def check_directions(options: Directions) -> None:
    """The same, and a number of steps that has no middle."""
    images.check(options.out, options.npz)
    if options.steps % 2 == 0:
        reason = "must be odd: the sample is in the middle."
        raise UsageError("steps", options.steps, reason)


def interpolate(options: Interpolate, loaded: Loaded) -> None:
    """Writes the animation, or the sheet."""
    one = sampler(loaded, options.truncation)
    begins = _keys(one, options, loaded)
    between: tuple = explore.slerp, _mixed
    if options.space == "w" or (options.space == "auto" and one.of.latent):
        begins, between = [one.styles(tuple(begins))], (_straight,)
        one = one.of_styles()
    if len(begins[0]) < 2:
        reason = "names one sample: name another, or classes by `labels`."
        raise UsageError("seeds", options.seeds, reason)
    if options.loop:
        ends = [np.roll(x, -1, 0) for x in begins]
    else:
        begins, ends = [x[:-1] for x in begins], [x[1:] for x in begins]
    sheet = Path(options.out).suffix == ".png"
    t = np.linspace(0, 1, options.steps, endpoint=sheet)
    ways = zip(begins, ends, between, strict=False)
    given = [explore.path(a, b, t, along) for a, b, along in ways]
    if not (sheet or options.loop):
        given = [np.concatenate([x, y[-1:]]) for x, y in zip(given, ends, strict=True)]
    found = one.images(tuple(given))
    about = provenance.by_command("interpolate", options, loaded)
    if sheet:
        images.write_sheet(found, options.out, options.steps, about=about)
    else:
        with atomic.written("out", options.out):
            animation.save(options.out, found, options.fps, about)
    print(f"{len(found)} images in {options.out}")


def _keys(one: Sampler, options, loaded):
    """The samples on the way: z `[N, Z]`, and weights of classes `[N, classes]`."""
    seeds = numbers("seeds", options.seeds)
    if options.labels is not None and not one.classes:
        reason = ": this run is not class-conditional."
        raise UsageError("labels", " ".join(options.labels), reason)
    if not one.classes:
        return list(one.given(seeds))
    try:
        labels = [one.label(loaded, name) for name in options.labels or ()]
    except UsageError as error:
        raise error.renamed("labels") from None
    n = max(len(seeds), len(labels))
    seeds = [seeds[i % len(seeds)] for i in range(n)]
    chosen = [labels[i % len(labels)] for i in range(n)] if labels else None
    z, label = one.given(seeds, chosen)
    weights = np.eye(one.classes, dtype=np.float32)[label]
    if not _takes_weights(one, (z, weights)):
        reason = (
            ": this run's generator takes no weights of classes, as the packaged ones "
            "do (layers.one_hot), so that there is nothing between two."
        )
        raise UsageError("workdir", loaded.path, reason)
    return [z, weights]


def _takes_weights(one, given):
    try:
        shape = jax.eval_shape(one.generate, given).shape
    # What a network of the user's makes of them raises anything.
    except Exception:
        return False
    return len(shape) == 4 and shape[0] == len(given[0])


def _mixed(a, b, t):
    """Weights of classes, on a line."""
    return a + (b - a) * np.asarray(t, a.dtype)[..., None]


def _straight(a, b, t):
    """Styles w `[N, L, W]`, on a line."""
    return a + (b - a) * np.asarray(t, a.dtype)[..., None, None]


def directions(options: Directions, loaded: Loaded) -> None:
    """Writes the sheet, and the directions as .npz when asked."""
    one = sampler(loaded)
    label = one.label(loaded, options.label)
    z, *rest = one.given([options.seed], label)
    size = z.shape[1]

    def generate(z):
        return one.generate((z, *rest))

    try:
        found = explore.directions(explore.first_layer(generate, size), options.count)
    except UsageError as error:
        raise UsageError("workdir", loaded.path, f": {error}") from None
    half = options.steps // 2
    away = np.arange(-half, half + 1) * (options.most / max(half, 1))
    moved = z + away[None, :, None] * found.vectors[:, None]
    moved = moved.reshape(-1, size).astype(z.dtype)
    given = moved, *(np.repeat(x, len(moved), 0) for x in rest)
    about = provenance.by_command("directions", options, loaded)
    images.write_sheet(one.images(given), options.out, options.steps, about=about)
    if options.npz:
        named = {"directions": found.vectors, "eigenvalues": found.eigenvalues}
        images.write_npz(options.npz, named, about)
    shown = ", ".join(f"{x:.3g}" for x in found.eigenvalues)
    written = " and ".join(filter(None, (options.out, options.npz)))
    print(f"{len(found.vectors)} of {size} directions, eigenvalues {shown}: {written}")
