"""The command `sample`: images from noise."""

import dataclasses
from pathlib import Path
from typing import Annotated

from jaxgan.run import draws, images, provenance, workdir
from jaxgan.run.loading import Loaded
from jaxgan.run.settings import FILE, Count, Range, Seed
from jaxgan.run.trained import Trained, class_of, numbers, of_noise
from jaxgan.types import UsageError

__all__ = ["Sample", "check", "sample"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sample(Trained):
    """Draw images from noise with a trained run, rebuilt from its workdir alone."""

    num: Count = 64
    """How many images."""
    out: Annotated[str, FILE] = "samples.png"
    """The PNG to write: a grid."""
    npz: Annotated[str | None, FILE] = None
    """Also write the images as an .npz: `images` uint8 [N, H, W, C] and `labels`."""
    folder: Annotated[str | None, FILE] = None
    """Also write each image as a PNG of its own into this folder."""
    seed: Seed = 0
    """Decides the latents."""
    seeds: str | None = None
    """Draw each image from a seed of its own, the one that it is of in every list of
    them: such as 1-50, or 3,7,20-25."""
    label: str | None = None
    """Draw only this class, by its name or, where none is called so, its number from 0
    (class-conditional runs); default all in turn."""
    truncation: Annotated[float | None, Range(0)] = None
    """Draw from latents nearer to their mean, which gives better images and less
    various ones: ψ of StyleGAN2, 0.5 to 1, or BigGAN's threshold of z, 0.5 to 2."""


def check(options: Sample) -> None:
    """Refuses what cannot be written or means two things, before anything is loaded."""
    workdir.writable(Path(options.out).parent, "out")
    for name in ("npz", "folder"):
        if value := getattr(options, name):
            workdir.writable(Path(value).parent, name)
    seeds = numbers("seeds", options.seeds)
    if seeds and options.num != Sample.num:
        raise UsageError(
            "num", options.num, f"is not used: there are {len(seeds)} seeds."
        )
    if options.folder and len({*seeds}) < len(seeds):
        raise UsageError("seeds", options.seeds, "names one twice, for one file.")


def sample(options: Sample, loaded: Loaded) -> None:
    """Writes a grid, and the images as .npz when asked."""
    name, _ = of_noise(loaded)
    seeds = numbers("seeds", options.seeds)
    num = len(seeds) if seeds else options.num
    args = loaded.model, loaded.state, num, options.seed
    which = {"num_classes": loaded.num_classes, "name": name, "seeds": seeds}
    which |= {"truncation": options.truncation}
    label = class_of(loaded, options.label)
    pictures, labels = draws.draw(*args, label=label, **which)
    about = provenance.by_command("sample", options, loaded)
    images.write(pictures, labels, options.out, options.npz, about)
    if options.folder:
        names = [f"seed{k}" for k in seeds] or [f"{k:05d}" for k in range(num)]
        images.write_each(pictures, names, options.folder, about)
    places = options.out, options.npz, options.folder
    print(f"{len(pictures)} images in {' and '.join(filter(None, places))}")
