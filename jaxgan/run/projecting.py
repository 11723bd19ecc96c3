"""The command `project`: the latents whose image is nearest to a file's."""

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

import jax
import numpy as np

from jaxgan import explore, visual
from jaxgan.run import images, marks, provenance, reading
from jaxgan.run.loading import Loaded
from jaxgan.run.sampler import sampler
from jaxgan.run.settings import FILE, Count, Number, Seed
from jaxgan.run.trained import Trained
from jaxgan.types import UsageError

__all__ = ["Project", "check", "project"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Project(Trained):
    """Find the latents whose image is nearest to a file's, by gradient descent."""

    input: Annotated[str, FILE]
    """The image file; its middle is taken, brought to the size that was trained on."""
    label: str | None = None
    """Its class, by name or number; default the one that comes nearest."""
    out: Annotated[str, FILE] = "projection.png"
    """The PNG to write: the image, and beside it the nearest."""
    npz: Annotated[str | None, FILE] = None
    """Also write `z` [1, Z] or `w` [1, L, W], of z its `labels`
    [1], and the nearest as `images` [1, H, W, C]."""
    draws: Count = 512
    """Samples among which the descents' beginnings are looked for."""
    starts: Count = 8
    """Descents, of which the nearest counts."""
    steps: Count = 300
    """Of each descent, by Adam."""
    lr: Number = 0.1
    """Adam's rate, at first; it falls along a half cosine."""
    prior: Number = 1e-3
    """Weight of the mean square of z, or w, beside that of pixels in [-1, 1]: with 0,
    it may be such as no sample has."""
    space: Literal["auto", "z", "w"] = "auto"
    """Which latents are looked for; auto: StyleGAN's w where there is one, each
    layer's by itself, else z."""
    seed: Seed = 0
    """Decides the samples."""


def check(options: Project) -> None:
    """Refuses what cannot be written, before anything is loaded."""
    images.check(options.out, options.npz)
    if Path(options.out).resolve() == Path(options.input).expanduser().resolve():
        raise UsageError("out", options.out, "is the input, which would be lost.")


def project(options: Project, loaded: Loaded) -> None:
    """Writes the sheet, and says the distance."""
    one = sampler(loaded)
    label = one.label(loaded, options.label)
    target = reading.middle("input", Path(options.input), loaded.run.shape)[0]
    seeds = (options.seed + np.arange(options.draws)) % 2**32
    drawn, name = tuple(map(np.asarray, one.given(seeds, label))), "z"
    if options.space == "w" or (options.space == "auto" and one.of.latent):
        drawn, name = (one.styles(drawn),), "w"
        one = one.of_styles()
    found = explore.project(
        one.generate,
        drawn,
        starts=options.starts,
        steps=options.steps,
        learning_rate=options.lr,
        prior=options.prior,
    )(target)
    nearest = visual.to_uint8(found.image)
    source = {"source": marks.COMPOSITE}  # the file is on the sheet
    about = provenance.by_command("project", options, loaded, **source)
    pair = np.stack([visual.to_uint8(target), nearest])
    images.write_sheet(pair, options.out, 2, about=about)
    z, *rest = (np.asarray(x)[None] for x in jax.device_get(found.given))
    if options.npz:
        named = {name: z, "images": nearest[None]} | (
            {"labels": rest[0]} if rest else {}
        )
        images.write_npz(options.npz, named, about)
    among, shown = one.images(drawn), visual.to_uint8(target)
    best, away = _away(among, shown).min(), _away(nearest[None], shown)[0]
    its = f", of class {loaded.run.class_names[int(rest[0][0])]}" if rest else ""
    written = " and ".join(filter(None, (options.out, options.npz)))
    print(
        f"Distance {away:.4f}{its}, root mean square of pixels in 0 ... 1; "
        f"the nearest of {options.draws} samples: {best:.4f}. In {written}."
    )


def _away(images, shown):
    """Root mean square differences of pixels as they are written."""
    off = images.astype(np.float64) - shown[None]
    return np.sqrt((off**2).mean((1, 2, 3))) / 255
