"""The emoji that come with jaxgan: 3,786 real images in colour, each in two styles.

Noto Emoji and Twemoji, 64x64 with transparency (sources and licences: `EMOJI.md` here).
What resembles one another, such as man and woman of one emoji in all skin tones, is one
group; a group is all training or all test images, and all of one domain or the other
where domains have no pairs. There the test split is in pairs nevertheless, so that what
was learned without them can be measured.
"""

import functools
import json
import zlib
from collections.abc import Callable, Iterable
from importlib import resources

import numpy as np
from PIL import Image, UnidentifiedImageError

from jaxgan.data import pixels
from jaxgan.data.arrays import fitted, from_arrays
from jaxgan.data.dataset import Dataset
from jaxgan.data.source import Request, Source
from jaxgan.data.unpaired import two_domains
from jaxgan.types import UsageError

__all__ = [
    *("DOMAINS", "EMOJI", "PAIRS", "SIDE", "SOURCES", "TONES", "TONES_OF_SKIN"),
    *("UNPAIRED", "index", "read"),
]

SIDE = 64
SPLITS = "train", "test"

TONES_OF_SKIN = ("none", "light", "medium-light", "medium", "medium-dark", "dark")
"""By their numbers; "none" is yellow."""

UNCHANGED = 0.006
"""Mean absolute distance, of 1, below which light and dark skin look the same: a bed,
golfers far away."""


@functools.cache
def index() -> tuple[dict, ...]:
    """Of each emoji its code, base, tone, category, name, group and split."""
    text = resources.files("jaxgan.data").joinpath("emoji.json").read_text("utf-8")
    return tuple(json.loads(text))


def read(style: str) -> np.ndarray:
    """All emoji in the order of `index`, uint8 `[3786, 64, 64, 4]`, RGBA.

    Args:
        style: `"noto"` or `"twemoji"`.

    Raises:
        UsageError: this Pillow reads no WebP.
    """
    file = resources.files("jaxgan.data").joinpath(f"emoji_{style}.webp")
    with file.open("rb") as opened:
        try:
            sheet = np.asarray(Image.open(opened))
        except UnidentifiedImageError as error:
            raise UsageError(
                "data", "emoji", ": this Pillow reads no WebP; install one that does"
            ) from error
    rows, columns = (n // SIDE for n in sheet.shape[:2])
    images = sheet.reshape(rows, SIDE, columns, SIDE, 4).swapaxes(1, 2)
    return images.reshape(-1, SIDE, SIDE, 4)[: len(index())]


def _of(request: Request, numbers: Iterable[int], style: str) -> Dataset:
    """The emoji of these numbers, brought to size and kind: RGB unless asked for."""
    images = pixels.clear(read(style)[np.fromiter(numbers, np.int64)])
    how = request.fit._replace(channels=_channels(request))
    return fitted(from_arrays(images, name=request.spec), how)


def _channels(request):
    return "rgb" if request.fit.channels == "auto" else request.fit.channels


def _in(split: str) -> list[int]:
    return [i for i, one in enumerate(index()) if one["split"] == split]


def _other_half(number: int) -> bool:
    """Whether an emoji's group is of the second domain."""
    return bool(zlib.crc32(index()[number]["group"].encode()) % 2)


def _in_pairs(request: Request, a: Dataset, b: Dataset, tones=None) -> Dataset:
    """Images of B and, as "input", of A: row by row the same emoji."""
    image, input = (x.fetch(np.arange(x.size))["image"] for x in (b, a))
    names = () if tones is None else TONES_OF_SKIN
    spec = request.spec
    return from_arrays(image, tones, input=input, name=spec, class_names=names)


def _load(request: Request) -> Dataset:
    return _of(request, _in(request.split), "noto")


def _load_pairs(request: Request) -> Dataset:
    numbers = _in(request.split)
    return _in_pairs(request, *(_of(request, numbers, s) for s in ("noto", "twemoji")))


def _load_unpaired(request: Request) -> Dataset:
    if request.split == "test":
        return _load_pairs(request)
    sides: tuple[list[int], list[int]] = ([], [])
    for number in _in(request.split):
        sides[_other_half(number)].append(number)
    styles = zip(sides, ("noto", "twemoji"), strict=True)
    return two_domains(request.spec, *(_of(request, n, s) for n, s in styles))


@functools.cache
def _toned() -> tuple[tuple[int, ...], ...]:
    """Emoji that show one tone of skin, in all tones and none: of each their numbers.

    Left out are those that Noto draws alike in all: their skin is covered or too small.
    """
    families: dict[str, dict[int, int]] = {}
    for number, one in enumerate(index()):
        families.setdefault(one["base"], {})[one["tone"]] = number
    tones = range(len(TONES_OF_SKIN))
    whole = [tuple(f[t] for t in tones) for f in families.values() if {*tones} <= {*f}]
    images = pixels.over_white(read("noto")).astype(np.float32) / 255
    return tuple(
        numbers
        for numbers in whole
        if np.abs(images[numbers[1]] - images[numbers[5]]).mean() > UNCHANGED
    )


def _of_tone(split: str, tone: int) -> list[int]:
    return [n[tone] for n in _toned() if index()[n[tone]]["split"] == split]


def _load_tones(request: Request) -> Dataset:
    by_tone = [_of_tone(request.split, tone) for tone in range(len(TONES_OF_SKIN))]
    numbers = [number for row in zip(*by_tone, strict=True) for number in row]
    labels = np.arange(len(numbers)) % len(TONES_OF_SKIN)
    images = _of(request, numbers, "noto")
    every = images.fetch(np.arange(images.size))["image"]
    dataset = from_arrays(every, labels, name=request.spec, class_names=TONES_OF_SKIN)
    return dataset._replace(content="emoji_tones")


def _load_domains(request: Request) -> Dataset:
    a, b = _tones_asked(request)
    of_a, of_b = _of_tone(request.split, a), _of_tone(request.split, b)
    if request.split == "train":
        of_a = [number for number in of_a if not _other_half(number)]
        of_b = [number for number in of_b if _other_half(number)]
        domains = (_of(request, n, "noto") for n in (of_a, of_b))
        both = two_domains(request.spec, *domains)
    else:
        one, other = (_of(request, numbers, "noto") for numbers in (of_a, of_b))
        both = _in_pairs(request, one, other, np.full(len(of_b), b, np.int32))
    return both._replace(content="emoji_tones")


def _tones_asked(request):
    texts = request.argument.split(",")
    known = [str(tone) for tone in range(len(TONES_OF_SKIN))]
    if len(texts) != 2 or not {*texts} <= {*known} or texts[0] == texts[1]:
        names = ", ".join(f"{i} ({name})" for i, name in enumerate(TONES_OF_SKIN))
        reason = f": give two tones of skin, such as emoji_tones:1,5; there are {names}"
        raise UsageError("data", request.spec, reason)
    return int(texts[0]), int(texts[1])


def _source(form: str, help: str, load: Callable[[Request], Dataset]) -> Source:
    return Source(form.partition(":")[0], form, help, lambda request: SPLITS, load)


EMOJI = _source(
    "emoji", "3,786 emoji of Noto, 64x64x3, RGBA where asked for; embedded", _load
)
PAIRS = _source(
    "emoji_pairs", "emoji in pairs, Noto's drawing and Twemoji's", _load_pairs
)
UNPAIRED = _source(
    "emoji_unpaired",
    "emoji of Noto, others of Twemoji; the test split in pairs",
    _load_unpaired,
)
TONES = _source(
    "emoji_tones", "emoji with skin, six classes: no tone and five", _load_tones
)
DOMAINS = _source(
    "emoji_tones:A,B",
    "emoji of skin tone A, others of tone B; the test split in pairs",
    _load_domains,
)
SOURCES = EMOJI, PAIRS, UNPAIRED, TONES, DOMAINS
