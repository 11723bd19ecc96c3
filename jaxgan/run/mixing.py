"""The command `mix`: styles of one sample in the layers of another."""

import dataclasses
from typing import Annotated

import numpy as np

from jaxgan.run import images, provenance
from jaxgan.run.loading import Loaded
from jaxgan.run.sampler import sampler
from jaxgan.run.settings import FILE, Range
from jaxgan.run.trained import Trained, numbers
from jaxgan.types import UsageError

__all__ = ["Mix", "check", "mix"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mix(Trained):
    """Draw samples with the styles of others in some layers: each of a row with each of
    a column (style mixing, arXiv:1812.04948, figure 3)."""

    rows: str = "0-3"
    """The samples before the rows: those that sample --seeds draws of these."""
    columns: str = "4-9"
    """The samples above the columns, likewise."""
    layers: str = "0-3"
    """The layers that take the style of the row, from 0, the coarsest, on; the others
    have the column's."""
    label: str | None = None
    """The class of all, by name or number; default the classes in turn."""
    truncation: Annotated[float | None, Range(0)] = None
    """As of the command sample."""
    out: Annotated[str, FILE] = "mixing.png"
    """The PNG to write."""


def check(options: Mix) -> None:
    """Refuses what cannot be drawn, before anything is loaded."""
    for name in ("rows", "columns", "layers"):
        numbers(name, getattr(options, name), 100)
    images.check(options.out, None)


def mix(options: Mix, loaded: Loaded) -> None:
    """Writes the sheet."""
    one = sampler(loaded, options.truncation)
    label = one.label(loaded, options.label)
    rows, columns, layers = (
        numbers(name, getattr(options, name)) for name in ("rows", "columns", "layers")
    )
    try:
        of_rows, of_columns = (
            one.styles(one.given(seeds, label)) for seeds in (rows, columns)
        )
    except UsageError as error:
        raise UsageError("workdir", loaded.path, error.reason) from None
    if max(layers) >= (count := of_rows.shape[1]):
        reason = f"must be in 0 ... {count - 1}, of this run's {count} layers."
        raise UsageError("layers", options.layers, reason)
    mixed = np.repeat(of_columns[None], len(rows), 0)
    mixed[:, :, layers] = of_rows[:, None, layers]
    every = np.concatenate([of_rows, of_columns, mixed.reshape(-1, *of_rows.shape[1:])])
    found = one.of_styles().images((every,))
    before, above, inside = np.split(found, np.cumsum([len(rows), len(columns)]))
    inside = inside.reshape(len(rows), len(columns), *found.shape[1:])
    corner = np.full_like(found[:1], 255)
    lines = [corner, above]
    for first, rest in zip(before, inside, strict=True):
        lines += [first[None], rest]
    about = provenance.by_command("mix", options, loaded)
    sheet = np.concatenate(lines)
    images.write_sheet(sheet, options.out, 1 + len(columns), about=about)
    print(f"{len(rows)} x {len(columns)} samples mixed in {options.out}")
