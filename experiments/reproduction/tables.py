"""The tables of README.md, of what is on file."""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

MISSING = "not measured"


def listed(texts: list[str]) -> str:
    """All, one for each seed."""
    return ", ".join(texts)


def smallest(texts: list[str]) -> str:
    """The least, of numbers."""
    return f"at least {min(texts, key=float)}"


def ranged(texts: list[str]) -> str:
    """From the least to the greatest, of numbers."""
    low, high = (of(texts, key=float) for of in (min, max))
    return low if low == high else f"{low}–{high}"


def middle(texts: list[str]) -> str:
    """The median, of numbers; of two, the lower."""
    return sorted(texts, key=float)[(len(texts) - 1) // 2]


def first(texts: list[str]) -> str:
    """Of what is the same for all seeds."""
    return texts[0]


class Cell(NamedTuple):
    """What a figure puts into a table, of one row and column."""

    table: str
    row: tuple[str, ...]
    """The first cells of the line."""
    column: str
    text: str
    """A format of a seed's values by name, such as "{fd:.2f} ± {fd.error:.2f}"; ".1%"
    is in percent without the sign."""
    unit: str = ""
    """Behind all seeds' values."""
    join: Callable = listed
    seeds: tuple[int, ...] | None = None
    """Only of these seeds."""
    before: str = ""


class Table(NamedTuple):
    title: str
    heads: tuple[str, ...]
    """Of the first cells of lines."""
    columns: dict[str, str]
    """How they are headed; formats of values, too."""


def _plain(*names):
    return {name: name for name in names}


TABLES = {
    "there": Table(
        "What is there", ("experiment", "method"), _plain("trains in", "result")
    ),
    "emoji": Table("On emoji", ("",), _plain("`fd_filters`")),
    "mixtures": Table(
        "Modes of mixtures that seeds keep",
        ("",),
        {
            "modes of the ring": "ring, of 8",
            "high quality, ring": "high quality",
            "modes of the grid": "grid, of 25",
            "high quality, grid": "high quality",
        },
    ),
    "zoo": Table(
        "Each GAN on MNIST at one small budget",
        ("",),
        {
            "fd_mnist": "`fd_mnist` (floor {fd_mnist.floor:.3f})",
            "class entropy": "class entropy (at most 2.303)",
            "ms a step": "ms a step",
        },
    ),
    "translators": Table(
        "From image to image",
        ("", ""),
        _plain("with D", "without D", "without learning", "real images"),
    ),
    "numbers": Table(
        "What the numbers mean",
        ("",),
        _plain("seed 0", "seed 1", "seed 2", "floor", "ceiling"),
    ),
}


class Value:
    """A figure as a text shows it, with its error and columns as attributes; what
    there is not is blank."""

    def __init__(self, row: Mapping[str, float | None]):
        self.row = row

    def __getattr__(self, name):
        return Value({"value": self.row.get(name)})

    def __format__(self, spec):
        value = self.row["value"]
        if value is None:
            return ""
        if spec.endswith("%"):
            return format(100 * value, f"{spec[:-1]}f")
        return format(value, spec)


def shown(text: str, values: dict) -> str | None:
    """The format with a seed's values; None where it names one that there is not.

    Args:
        text: the format.
        values: by name, numbers or dicts of "value", "error" and columns.
    """
    rows = {n: v if isinstance(v, dict) else {"value": v} for n, v in values.items()}
    known = {n: Value(row) for n, row in rows.items() if row["value"] is not None}
    try:
        return text.format(**known)
    except KeyError:
        return None


def filled(cell: Cell, seeds: tuple[int, ...], kept: dict[int, dict]) -> str:
    """A cell's text.

    Args:
        cell: of a figure.
        seeds: of the figure.
        kept: values by seed, of what is on file.
    """
    seeds = cell.seeds or seeds
    found = {s: shown(cell.text, kept[s]) for s in seeds if s in kept}
    found = {s: text for s, text in found.items() if text is not None}
    if not found:
        return f"{cell.before}{MISSING}"
    texts = [text for text in found.values() if text.strip(" /±%")]
    if not texts:
        return ""
    whole = cell.join is first or len(found) == len(seeds)
    some = "" if whole else f" (of seeds {listed([*map(str, found)])})"
    return f"{cell.before}{cell.join(texts)}{cell.unit}{some}"


def markdown(figures: dict, kept: dict[str, list[dict]]) -> str:
    """All tables that figures have cells in.

    Args:
        figures: by name.
        kept: by name, the runs that are on file.
    """
    parts = []
    for name, table in TABLES.items():
        of = {
            key: figure._replace(cells=cells)
            for key, figure in figures.items()
            if (cells := tuple(c for c in figure.cells if c.table == name))
        }
        if of:
            parts.append(_table(table, of, kept))
    return "\n\n".join(parts)


def by_seed(runs: list[dict]) -> dict[int, dict]:
    """Values by seed, of a figure's runs."""
    return {int(s): values for run in runs for s, values in run["values"].items()}


def _table(table, figures, kept):
    rows: dict[tuple, dict[str, list[str]]] = {}
    found = {name: by_seed(kept[name]) for name in figures}
    for name, figure in figures.items():
        for cell in figure.cells:
            text = filled(cell, figure.seeds, found[name])
            rows.setdefault(cell.row, {}).setdefault(cell.column, []).append(text)
    all_of = [values for seeds in found.values() for values in seeds.values()]
    titles = [_title(title, all_of) for title in table.columns.values()]
    lines = [f"### {table.title}", ""]
    rules = "|---" * len([*table.heads, *titles])
    lines += [_line([*table.heads, *titles]), f"{rules}|"]
    before = None
    for head, cells in rows.items():
        start = "" if head[1:] and head[0] == before else head[0]
        before = head[0]
        columns = ["; ".join(filter(None, cells.get(c, ()))) for c in table.columns]
        lines.append(_line([start, *head[1:], *columns]))
    runs = [run for name in figures for run in kept[name]]
    asked = sum(len(figure.groups) for figure in figures.values())
    return "\n".join([*lines, "", provenance(runs, asked)])


def _title(title, values):
    """A column's, with what is the same for all in it."""
    texts = (shown(title, one) for one in values)
    return next(filter(None, texts), re.sub(r"\{.*?\}", MISSING, title))


def _line(cells):
    return f"| {' | '.join(cells)} |".replace("|  |", "| |").replace("|  |", "| |")


def provenance(runs: list[dict], asked: int) -> str:
    """A line on when, with what and on what runs were."""
    if not runs:
        return f"(0 of {asked} runs are on file.)"
    dates = sorted({run["date"][:10] for run in runs})
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    made = [one for run in runs for one in run["made_by"]]
    versions = ", ".join(
        f"{name} {' and '.join(sorted({one[name] for one in made}))}"
        for name in ("jaxgan", "jax", "flax", "optax", "python")
    )
    commits = sorted({_short(one["commit"]) for one in made})
    where = sorted({f"{r['machine']['cores']} × {r['machine']['cpu']}" for r in runs})
    return (
        f"({when}; {versions}; commit {', '.join(commits)}; on "
        f"{' and '.join(where)}; {len(runs)} of {asked} runs are on file.)"
    )


def _short(commit):
    """Seven digits, and whether files differ from it."""
    commit, plus, changes = (commit or "unknown").partition("+")
    return commit[:7] + plus + changes
