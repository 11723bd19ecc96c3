"""The pictures of README.md, cut from what runs have drawn."""

import shutil
from pathlib import Path
from typing import NamedTuple

from PIL import Image

GAP = 12
"""White pixels between parts."""


class Part(NamedTuple):
    """What is cut from one file; parts stand side by side."""

    figure: str
    file: str = "samples/*.png"
    """Below the folder of seed 0; of several, the last."""
    box: tuple[int, int, int, int] | None = None
    """Left, top, right and bottom, as far as the file goes; None for all."""


ROWS = 0, 0, 2000, 304
"""Four rows of a sheet of translations of 32x32."""
LARGER_ROWS = 0, 0, 2000, 560
"""The same of 64x64."""
BACK = 0, 640, 2000, 944
"""Four of the way back, behind eight of the way there."""
SAMPLES = 0, 0, 540, 268
"""Four rows of eight samples of 32x32, each pixel four."""
ONE_ROW = 0, 68, 540, 136
"""The second row of them, with what parts it from the next."""
FIRST = 0, 0, 360, 360
"""The first seed of a mixture."""


def _mixture(data, gan):
    return Part(f"mixture.{data}.{gan}", f"{data}_{gan}.png", FIRST)


PICTURES: dict[str, tuple[Part, ...]] = {
    "dcgan_mnist": (Part("dcgan_mnist"),),
    "cgan_mnist": (Part("cgan_mnist"),),
    "mlp_gan_mnist": (Part("mlp_gan_mnist"),),
    "infogan_mnist": (Part("infogan_mnist", "codes.png"),),
    "mixture_2d": tuple(
        _mixture(data, gan) for data in ("ring", "grid") for gan in ("vanilla", "r3gan")
    ),
    **{
        name: (Part(name, box=LARGER_ROWS),)
        for name in ("colorize", "inpaint", "srgan", "pix2pix")
    },
    "cgan_emoji": (Part("cgan_emoji"),),
    "emoji500": (Part("emoji500", "drawn.png", SAMPLES),),
    "emoji500_ada": (Part("emoji500.ada", "drawn.png", SAMPLES),),
    "progan": (Part("progan", "drawn.png", SAMPLES),),
    "growing": tuple(
        Part("progan", f"samples/{step:06d}.png", ONE_ROW)
        for step in (374, 1122, 1870, 2992)
    ),
    "r3gan": (Part("r3gan.emoji", "drawn.png", SAMPLES),),
    "stylegan": (Part("stylegan", "drawn.png", SAMPLES),),
    "biggan": (Part("biggan", "drawn.png", SAMPLES),),
    "stylegan2": (Part("stylegan2.emoji", "drawn.png", SAMPLES),),
    "mixing": (Part("stylegan2.emoji", "mixed.png"),),
    "interpolation": (Part("stylegan2.mnist", "digits.gif"),),
    "tones": (Part("cyclegan.tones", box=ROWS), Part("cyclegan.tones", box=BACK)),
    "spade": (Part("spade", box=ROWS),),
    "cyclegan": (
        Part("cyclegan.painted", box=ROWS),
        Part("cyclegan.painted", box=BACK),
    ),
}


BELOW = ("growing",)
"""Pictures whose parts stand one below another."""


def place(picture: str, out: Path) -> Path:
    """The file of a picture in a folder."""
    return out / f"{picture}{Path(PICTURES[picture][0].file).suffix}"


def written(picture: str, folders: dict[str, Path], out: Path) -> Path | None:
    """Writes a picture.

    Args:
        picture: of `PICTURES`.
        folders: by figure, the folder of the run with seed 0, if it is done.
        out: the folder to write to.

    Returns:
        The file; None where a run is missing.
    """
    parts = []
    for part in PICTURES[picture]:
        if part.figure not in folders:
            return None
        files = sorted(folders[part.figure].glob(part.file))
        if not files:
            return None
        with Image.open(files[-1]) as image:
            parts.append(_cut(image, part.box))
    out.mkdir(parents=True, exist_ok=True)
    file = place(picture, out)
    if file.suffix == ".gif":  # one file, with all its images
        shutil.copyfile(files[-1], file)
    elif picture in BELOW:
        _below(parts).save(file, optimize=True)
    else:
        (parts[0] if len(parts) == 1 else _beside(parts)).save(file, optimize=True)
    return file


def _cut(image, box):
    if box is None:
        return image.copy()
    left, top, right, bottom = box
    return image.crop((left, top, min(right, image.width), min(bottom, image.height)))


def _below(parts):
    sheet = Image.new("RGB", (parts[0].width, sum(part.height for part in parts)))
    for i, part in enumerate(parts):
        sheet.paste(part, (0, i * part.height))
    return sheet


def _beside(parts):
    width = sum(part.width for part in parts) + GAP * (len(parts) - 1)
    sheet = Image.new("RGB", (width, max(part.height for part in parts)), "white")
    x = 0
    for part in parts:
        sheet.paste(part, (x, 0))
        x += part.width + GAP
    return sheet
