"""Options as frozen dataclasses, in groups that flatten to unique names.

A group is a field that is itself a dataclass, such as `networks`. What an option may
be, and whether a run may go on with another value, stands beside it as its type.
"""

import dataclasses
import json
import math
import os
import typing
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from jaxgan.types import UsageError

__all__ = [
    "FILE",
    "FREE",
    "ITS_OWN",
    "PROCESS",
    "Count",
    "Fraction",
    "Index",
    "Number",
    "Option",
    "Range",
    "Seed",
    "Share",
    "changed",
    "check",
    "expanded",
    "flag",
    "from_dict",
    "from_file",
    "known",
    "of",
    "to_dict",
]


class Range(NamedTuple):
    """What a number may be: from `least` on, `below` another."""

    least: float
    below: float = math.inf
    above: float = -math.inf


FREE = "free"
"""Marks an option that does not change what a step computes: a run may go on with
another value of it."""
FILE = "file"
"""Marks an option that names a file or a folder, where `~` is the user's home."""
ANY = Range(-math.inf)

Count = Annotated[int, Range(1)]
Index = Annotated[int, Range(0)]
"""A whole number that may be 0, where 0 often means without."""
Number = Annotated[float, Range(0)]
"""A finite number, 0 or more: weights, rates."""
Fraction = Annotated[float, Range(0, below=1)]
"""From 0 on, below 1: decays."""
Share = Annotated[float, Range(0, above=0, below=1)]
"""Above 0, below 1."""
Seed = Annotated[int, Range(0, below=2**32)]


PROCESS = "coordinator_address", "num_processes", "process_id"
"""Options of how a process was started, which are not the run's."""

ITS_OWN = frozenset({"workdir", "init_from", "config", *PROCESS})
"""Options of a run that another one does not take over with its config.json."""


class Option(NamedTuple):
    """One option of a dataclass, in whatever group it stands."""

    name: str
    groups: tuple[str, ...]
    """The fields that lead to it."""
    type: Any
    """Without what `Annotated` adds."""
    marks: tuple
    """What `Annotated` adds: a `Range`, `FREE`."""


def known(kind) -> dict[str, Option]:
    """All options of a dataclass of options, by name."""
    found: dict[str, Option] = {}
    for name, hint in typing.get_type_hints(kind, include_extras=True).items():
        if dataclasses.is_dataclass(hint):
            for inner in known(hint).values():
                found[inner.name] = inner._replace(groups=(name, *inner.groups))
            continue
        marks = getattr(hint, "__metadata__", ())
        bare = typing.get_args(hint)[0] if marks else hint
        found[name] = Option(name, (), bare, marks)
    return found


def of(config, name: str):
    """The value of an option."""
    option = known(type(config))[name]
    for group in option.groups:
        config = getattr(config, group)
    return getattr(config, name)


def to_dict(config) -> dict[str, Any]:
    """The options as a flat dict."""
    return {name: of(config, name) for name in known(type(config))}


def changed(config, /, **values):
    """The config with other values of some options, whatever group they are in.

    Raises:
        KeyError: there is no such option.
    """
    every = known(type(config))
    direct: dict[str, Any] = {}
    grouped: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        group, *rest = (*every[name].groups, name)
        target = grouped.setdefault(group, {}) if rest else direct
        target[name] = value
    for group, inside in grouped.items():
        direct[group] = changed(getattr(config, group), **inside)
    return dataclasses.replace(config, **direct)


def expanded(config):
    """The config with `~` at the start of a file's name replaced by the home."""
    found = {}
    for name, option in known(type(config)).items():
        value = of(config, name)
        if FILE in option.marks and isinstance(value, str):
            found[name] = os.path.expanduser(value)
    return changed(config, **found)


def flag(name: str) -> str:
    """An option as it is typed: `batch_size` is `--batch-size`."""
    return "--" + name.replace("_", "-")


def check(values) -> None:
    """Refuses numbers out of range, of any dataclass of options.

    Raises:
        UsageError: naming the option, its value and what would be right.
    """
    for option in known(type(values)).values():
        ranges = [m for m in option.marks if isinstance(m, Range)] or [ANY]
        found = of(values, option.name)
        for value in found if isinstance(found, tuple) else (found,):
            if isinstance(value, int | float) and not isinstance(value, bool):
                _check_range(option.name, value, *ranges)


def _check_range(name, value, allowed: Range):
    whole = isinstance(value, int)
    low, high = allowed.least, allowed.below
    inside = low <= value < high and value > allowed.above
    if inside and math.isfinite(value):
        return
    parts = [] if whole or high < math.inf else ["a finite number"]
    if allowed.above > -math.inf:
        parts.append(f"above {allowed.above:g}")
    elif low > -math.inf:
        parts.append(f"{low:g} or more")
    if high < math.inf:
        parts.append(f"and below {'2**32' if high == 2**32 else f'{high:g}'}")
    raise UsageError(name, value, f"must be {', '.join(parts)}.")


def from_file(path: str, default):
    """Options from a JSON file: its options, or a run's config.json.

    Args:
        path: the file.
        default: has the options that the file does not name.

    Raises:
        UsageError: the file cannot be read, or names an option that there is not.
    """
    try:
        values = json.loads(Path(os.path.expanduser(path)).read_text())
    except OSError as error:
        raise UsageError("config", path, f"cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise UsageError("config", path, f"is not JSON: {error}.") from None
    if isinstance(values, dict) and isinstance(values.get("config"), dict):
        values = {k: v for k, v in values["config"].items() if k not in ITS_OWN}
    if not isinstance(values, dict):
        raise UsageError("config", path, "must hold a JSON object of options.")
    return from_dict(values, default, "config", path)


def from_dict(values: dict, default, option: str | None, source: str):
    """The default with other values, from JSON: lists become tuples, and whole numbers
    floats where floats are meant.

    Args:
        values: by option, flat.
        default: has the others.
        option: that named the source, for messages; None where none did.
        source: the file.

    Raises:
        UsageError: an unknown option or a value of another type.
    """
    every = known(type(default))
    values = {n.replace("-", "_"): v for n, v in values.items()}

    def refuse(text):
        if option:
            return UsageError(option, source, text)
        return UsageError(None, None, f"{source} {text}")

    if unknown := sorted(values.keys() - every):
        raise refuse(
            f"has {', '.join(unknown)}, which this experiment does not know; its "
            f"options are {', '.join(every)}."
        )
    for name, value in values.items():
        value = tuple(value) if isinstance(value, list) else value
        if not _fits(value, every[name].type):
            should = _described(every[name].type)
            raise refuse(f"has {name} = {value!r}, which should be {should}.")
        real = every[name].type is float
        values[name] = float(value) if real and isinstance(value, int) else value
    return changed(default, **values)


def _fits(value, kind) -> bool:
    """Whether a value from JSON is of a type that options have."""
    args = typing.get_args(kind)
    if typing.get_origin(kind) is Literal:
        return value in args
    if typing.get_origin(kind) is tuple:
        return isinstance(value, tuple) and all(_fits(v, args[0]) for v in value)
    if args:
        return any(_fits(value, arg) for arg in args)
    if isinstance(value, bool) or kind is bool:
        return kind is bool and isinstance(value, bool)
    return isinstance(value, int | float if kind is float else kind)


def _described(kind) -> str:
    args = typing.get_args(kind)
    if typing.get_origin(kind) is Literal:
        return "one of " + ", ".join(map(str, args))
    if typing.get_origin(kind) is tuple:
        return f"a list, of each {_described(args[0])}"
    if args:
        return " or ".join(map(_described, args))
    names = {str: "a text", int: "a whole number", float: "a number"}
    return names.get(kind, "true or false" if kind is bool else "null")
