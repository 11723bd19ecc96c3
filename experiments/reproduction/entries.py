"""What entries of `figures.FIGURES` are made of.

A `Figure` is what is run and what is shown of it; the functions make those of one
table, whose cells are alike.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from reproduction.tables import Cell, first, listed, middle, ranged


class Figure(NamedTuple):
    """What is run, and what is shown of it."""

    train: str
    """The command line of training, without `python experiments/`. "--seed" and
    "--workdir" are added, unless it says itself where "{workdir}" stands."""
    after: tuple[str, ...] = ()
    """Commands of the same experiment on what was trained, without "--workdir"; in
    them "{workdir}" is the run's folder."""
    minutes: float = 4
    """How long a run takes, about, on two cores."""
    seeds: tuple[int, ...] = (0, 1, 2)
    together: bool = False
    """One command runs all seeds."""
    says: str = ""
    """A pattern of what is printed, whose named groups are values; in it "{seed}" is
    the seed."""
    judge: Callable | None = None
    """`folder -> {name: float}`, for what no command measures."""
    cells: tuple[Cell, ...] = ()
    """What tables show of it."""

    @property
    def groups(self) -> tuple[tuple[int, ...], ...]:
        """The seeds of each run."""
        return (self.seeds,) if self.together else tuple((s,) for s in self.seeds)


EVALUATE = ("evaluate --num 10000",)


# --- What is there


def there(name: str, method: str, *results: tuple) -> tuple[Cell, ...]:
    """A row of "What is there".

    Args:
        name: of the experiment, as it is called there.
        method: with its paper.
        results: `(before, text, unit, join)` each, of which the last may be left out.
    """
    row = f"`{name}`", method
    time = Cell("there", row, "trains in", "{train_seconds:.0f}", " s", middle)
    return (
        time,
        *(
            Cell("there", row, "result", text, unit, *join, before=before)
            for before, text, unit, *join in results
        ),
    )


LEAST = "least share of a class ", "{least_class_share:.1%}", " %"
KL = "reverse KL ", "{reverse_kl:.2g}", ""
NAMED = "the category names the digit of ", "{named:.1f}", " % of the samples"
SAYS_NAMED = r"names the digit of (?P<named>[\d.]+)%"
CODES = ("codes --out {workdir}/codes.png",)
INFOGAN = "[InfoGAN](https://arxiv.org/abs/1606.03657)"
LIMITS = "floor", "ceiling"
RPGAN = "[RpGAN + R1 + R2](https://arxiv.org/abs/2501.05441)"


def numbers(row: str, text: str, each: str = "") -> tuple[Cell, ...]:
    """A row of "What the numbers mean": by seed, of real images, of noise.

    Args:
        row: what it is called.
        text: of a column.
        each: of a seed, where it is another.
    """
    by_seed = [
        Cell("numbers", (row,), f"seed {s}", each or text, seeds=(s,)) for s in range(3)
    ]
    columns = [(of, re.sub(r"\{(\w+)", rf"{{\1.{of}", text)) for of in LIMITS]
    limits = [Cell("numbers", (row,), of, t, join=first) for of, t in columns]
    return (*by_seed, *limits)


def stacked(name: str, options: str = "", seeds=(0, 1, 2)) -> Figure:
    """Modes of Stacked MNIST."""
    results = ("modes ", "{modes:.0f}", ""), KL
    method = {"r3gan": RPGAN}.get(name, "GAN") + " on 1,000 modes"
    return Figure(
        f"stacked_mnist.py {name}{options}",
        ("evaluate --num 25600 --metrics classes",),
        seeds=seeds,
        minutes=25,
        cells=there(f"stacked_mnist.py {name}{options}", method, *results),
    )


def infogan(options: str = "", seeds=(0, 1, 2)) -> Figure:
    """How well InfoGAN's categories name digits."""
    return Figure(
        f"infogan_mnist.py{options}",
        CODES,
        seeds=seeds,
        minutes=7,
        says=SAYS_NAMED,
        cells=there(f"infogan_mnist.py{options}", INFOGAN, NAMED),
    )


# --- emoji


def on_emoji(
    train: str,
    steps: int,
    *after: str,
    seeds: tuple[int, ...] = (0,),
    minutes: float = 15,
) -> Figure:
    """The distance of a GAN's emoji from real ones.

    Args:
        train: the command line without `--steps`.
        steps: of training.
        *after: commands beside `evaluate`.
        seeds: of the runs.
        minutes: of each.
    """
    command = f"{train} --steps {steps}"
    return Figure(
        command,
        ("evaluate --num 5000 --metrics fd", *after),
        seeds=seeds,
        minutes=minutes,
        cells=(Cell("emoji", (f"`{command}`",), "`fd_filters`", "{fd_filters:.2f}"),),
    )


# --- mixtures


def mixture(data: str, gan: str) -> Figure:
    """The modes that three GANs keep, of three seeds as one program."""
    shown = (
        (f"modes of the {data}", "{modes:.0f}", listed),
        (f"high quality, {data}", "{high_quality:.2f}", ranged),
    )
    return Figure(
        f"mixture_2d.py --data {data} --gan {gan} --seeds 3 --out {{workdir}}",
        minutes=1,
        together=True,
        says=rf"{data} {gan} seed {{seed}}: modes (?P<modes>\d+) of \d+, "
        r"high_quality (?P<high_quality>[\d.]+), reverse_kl (?P<reverse_kl>[\d.]+)",
        cells=tuple(
            Cell("mixtures", (f"`{gan}`",), column, text, join=join)
            for column, text, join in shown
        ),
    )


# --- the GANs on MNIST at a small budget


def small(row: str, train: str) -> Figure:
    """One of them."""
    shown = (
        ("fd_mnist", "{fd_mnist:.2f}", listed),
        ("class entropy", "{class_entropy:.2f}", listed),
        ("ms a step", "{step_ms:.1f}", middle),
    )
    cells = (Cell("zoo", (f"`{row}`",), c, text, join=j) for c, text, j in shown)
    return Figure(train, EVALUATE, minutes=1.5, cells=tuple(cells))


# --- from image to image

BESIDE = {"plain": "without learning", "real": "real images"}


class Row(NamedTuple):
    """A figure of a translator."""

    title: str
    text: str
    unit: str = ""
    beside: tuple[str, ...] = ("plain", "real")
    """Of which other images it is shown, of `BESIDE`."""


INK = Row("ink of the class's colour", "{colour_accuracy:.1%}", " %")
GRAY = Row("distance from gray", "{colour_spread:.3f}")
PSNR = Row("PSNR", "{psnr:.1f}", " dB", ("plain",))
SSIM = Row("SSIM", "{ssim:.2f}", "", ("plain",))
PSNR_Y = Row("PSNR of Y", "{psnr_y:.1f}", " dB", ("plain",))
SSIM_Y = Row("SSIM of Y", "{ssim_y:.2f}", "", ("plain",))
FILTERS = Row("`fd_filters`", "{fd_filters:.2f}")
L1 = Row("mean distance from the target", "{l1:.3f}", "", ("plain",))
TONE = Row("the tone of skin asked for", "{tone_accuracy:.0%}", " %")
DIGIT = Row("class of the digit", "{digit_accuracy:.1%}", " %")
KEPT = Row("class of the digit kept", "{digit_accuracy:.1%}", " %", ("real",))
MAP = Row("pixels of the map's class", "{map_accuracy:.1%}", " %")
IOU = Row("intersection over union of ink", "{ink_iou:.2f}")
STYLE = Row("mean distance from the target, in its own style", "{style_l1:.2f}")
RANDOM = Row("the same in a random one", "{l1:.2f}")


def translator(
    name: str, says: str, *rows: Row, options="", without="", minutes=8.0
) -> dict[str, Figure]:
    """A translator with D, and maybe the same without.

    Args:
        name: of the experiment.
        says: beside it in the table.
        rows: what is shown.
        options: of the command line, or a preset's name and options.
        without: options that leave D out; "" for no such run.
        minutes: of a run.
    """

    def figure(added, column, others):
        cells = []
        for row in rows:
            head = f"`{name}.py{options}`{says}", row.title
            cell = Cell("translators", head, column, row.text, row.unit)
            cells.append(cell)
            for of in row.beside if others else ():
                text = re.sub(r"\{(\w+)", rf"{{\1.{of}", row.text)
                extra = {"column": BESIDE[of], "text": text, "join": first}
                cells.append(cell._replace(**extra))
        train = f"{name}.py{options}{added}"
        evaluate = ("evaluate --num 2000",)
        return Figure(train, evaluate, minutes=minutes, cells=tuple(cells))

    words = (word.lstrip("-").replace("-", "_") for word in options.split())
    key = ".".join((name, *words))
    found = {key: figure("", "with D", True)}
    if without:
        other = figure(f" {without}", "without D", False)
        found[f"{key}.without_d"] = other._replace(minutes=minutes / 2)
    return found
