"""Rebuilds the measured figures and pictures of README.md, one by one.

    python experiments/reproduce.py --list
    python experiments/reproduce.py dcgan_mnist zoo
    python experiments/reproduce.py --tables
    python experiments/reproduce.py dcgan_mnist --pictures

A figure is a name, the command lines of an experiment as they are typed, seeds, and
where it stands in the README's tables: an entry of `reproduction/figures.py`. Its
commands are run with this Python, one after the other. What they have measured is kept
in WORKDIR/NAME.json, with commands, seeds, versions, commit, date, machine and seconds;
a run that is on file is not run again, and one that was interrupted goes on by the
same. Times are of an idle machine only if it is: `cpu_seconds` beside them tell. They
include compilation, which is short where a program is in `~/.cache/jaxgan` from before;
`compile_seconds` tell.

Names may also be those of tables, for all figures in them, or "all".
"""

import dataclasses
import sys
from pathlib import Path
from typing import Annotated

import tyro
from reproduction import pictures, runs, tables
from reproduction.figures import FIGURES

HERE = Path(__file__).parent


@dataclasses.dataclass(frozen=True)
class Options:
    """Run the commands of README.md's figures, and print its tables."""

    names: tyro.conf.Positional[tuple[str, ...]] = ()
    """Figures, tables or "all"; --list shows them."""
    list: bool = False
    """Show the names, with rough minutes and what is on file; run nothing."""
    tables: bool = False
    """Print the tables of what is on file, in Markdown; run nothing."""
    pictures: bool = False
    """Also write the pictures that the figures named show, to experiments/pictures;
    without names, all that are on file."""
    again: bool = False
    """Begin anew, whatever is on file."""
    seeds: tuple[int, ...] | None = None
    """Only runs of these seeds."""
    workdir: Annotated[str, tyro.conf.arg(metavar="DIR")] = "runs/readme"
    """Where runs and results are kept."""


def chosen(names: tuple[str, ...]) -> dict:
    """The figures that names stand for, in the table's order.

    Raises:
        UsageError: there is no such name.
    """
    from jaxgan.types import UsageError

    found: set[str] = set()
    for name in names:
        of = {
            key
            for key, figure in FIGURES.items()
            if name in ("all", key, *(cell.table for cell in figure.cells))
        }
        if not of:
            there = ", ".join(["all", *tables.TABLES, *FIGURES])
            reason = f"There is no figure {name!r}; there are {there}."
            raise UsageError(None, None, reason)
        found |= of
    return {name: figure for name, figure in FIGURES.items() if name in found}


def check_seeds(figures: dict, seeds: tuple[int, ...] | None) -> None:
    """Raises: UsageError, no figure has one of the seeds."""
    from jaxgan.types import UsageError

    known = {seed for figure in figures.values() for seed in figure.seeds}
    if figures and seeds is not None and not known & {*seeds}:
        given, names = " ".join(map(str, seeds)), ", ".join(figures)
        raise UsageError("--seeds", given, f"are of none of {names}.")


def listing(figures: dict, place: runs.Place) -> str:
    """A line for each figure."""
    lines = [f"{'':28}{'minutes':>8}  on file"]
    for name, figure in figures.items():
        done, asked = len(runs.on_file(place, name, figure)), len(figure.groups)
        minutes = figure.minutes * asked
        state = f"{done} of {asked} runs" if done else "no"
        lines.append(f"{name:28}{minutes:8.0f}  {state}")
    return "\n".join(lines)


def run_all(figures: dict, place: runs.Place, options: Options) -> list[str]:
    """Runs what is not on file; what failed, in words.

    Raises:
        KeyboardInterrupt: it was stopped.
    """
    failed = []
    for name, figure in figures.items():
        for seeds in figure.groups:
            if options.seeds is not None and not {*seeds} & {*options.seeds}:
                continue
            try:
                runs.measure(place, name, figure, seeds, options.again)
            except runs.Failed as error:
                failed.append(str(error))
                print(error, file=sys.stderr)
    return failed


def draw_all(figures: dict, place: runs.Place, out: Path) -> list[str]:
    """Writes the pictures that figures are in; a line for each."""
    done = {
        name: place.folder(name, run["key"]["seeds"])
        for name, figure in FIGURES.items()
        for run in runs.on_file(place, name, figure)
        if 0 in run["key"]["seeds"]
    }
    said = []
    for picture, parts in pictures.PICTURES.items():
        needed = dict.fromkeys(part.figure for part in parts)
        if {*needed} & {*figures}:
            file = pictures.written(picture, done, out)
            name = pictures.place(picture, out).name
            missing = f"{name} is not drawn: run {' '.join(needed)} first."
            said.append(str(file) if file else missing)
    return said


def main(options: Options, experiments: Path = HERE) -> int:
    """The exit code.

    Raises:
        UsageError: see `chosen`; nothing is asked for.
    """
    from jaxgan.types import UsageError

    figures = chosen(options.names)
    place = runs.Place(Path(options.workdir), experiments)
    if not (figures or options.list or options.tables or options.pictures):
        reason = "Give names of figures, or all; --list shows what there is."
        raise UsageError(None, None, reason)
    if (options.list or options.tables) and (
        options.again or options.pictures or options.seeds is not None
    ):
        reason = "--list and --tables run and draw nothing; ask for them alone."
        raise UsageError(None, None, reason)
    check_seeds(figures, options.seeds)
    every = figures or FIGURES
    if options.list:
        print(listing(every, place))
    if options.tables:
        kept = {name: runs.on_file(place, name, FIGURES[name]) for name in every}
        print(tables.markdown(every, kept))
    if options.list or options.tables:
        return 0
    failed = run_all(figures, place, options)
    if options.pictures:
        print("\n".join(draw_all(every, place, experiments / "pictures")))
    return 1 if failed else 0


if __name__ == "__main__":
    from jaxgan.types import UsageError

    try:
        sys.exit(main(tyro.cli(Options)))
    except UsageError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("Stopped; the same command goes on.", file=sys.stderr)
        sys.exit(130)
