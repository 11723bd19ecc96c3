"""Options as frozen dataclasses, in groups that flatten to unique names.

A group is a field that is itself a dataclass, such as `networks`. What an option may
be, and whether a run may go on with another value, stands beside it as its type.
"""

import dataclasses
import math
import os
import typing
from typing import Annotated, Any, Literal, NamedTuple

from jaxgan.data import outside
from jaxgan.data.tree import some
from jaxgan.text import shortened
from jaxgan.types import UsageError

__all__ = [
    "FILE",
    "FREE",
    "ITS_OWN",
    "PROCESS",
    "Chance",
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
    """What a number may be: `least` or more, `below`, `above`, `most` or less."""

    least: float
    below: float = math.inf
    above: float = -math.inf
    most: float = math.inf


FREE = "free"
"""Marks an option that does not change what a step computes: a run may go on with
another value of it."""
FILE = "file"
"""Marks an option that names a file or a folder, where `~` is the user's home."""
ANY = Range(-math.inf)
WHOLE = 2**31
"""Whole numbers are below, unless their range says another: so devices count."""
LARGEST = 3.4e38
"""Other numbers are below: a float32 holds no larger ones."""

Count = Annotated[int, Range(1)]
Index = Annotated[int, Range(0)]
"""A whole number that may be 0, where 0 often means without."""
Number = Annotated[float, Range(0)]
"""A finite number, 0 or more: weights, rates."""
Fraction = Annotated[float, Range(0, below=1)]
"""From 0 on, below 1: decays."""
Chance = Annotated[float, Range(0, most=1)]
"""A probability."""
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
    """Refuses values of another type than the option's, and out of its range, of any
    dataclass of options.

    Raises:
        UsageError: naming the option, its value and what would be right.
    """
    for option in known(type(values)).values():
        allowed = next((m for m in option.marks if isinstance(m, Range)), ANY)
        found = of(values, option.name)
        if not _fits(found, option.type):
            should = f"should be {_described(option.type)}."
            raise UsageError(option.name, shortened(repr(found)), should)
        for value in found if isinstance(found, tuple) else (found,):
            if isinstance(value, str):
                _check_text(option.name, value)
            elif value is not None and not isinstance(value, bool):
                _check_range(option, value, allowed)


def _check_text(name, value):
    """Refuses what is no text, nor a file's name, to the system."""
    try:
        os.fsencode(value)
        sound = "\0" not in value
    except UnicodeEncodeError:
        sound = False
    if not sound:
        raise UsageError(name, repr(value), "has characters that no text has.")


def _check_range(option, value, allowed: Range):
    whole = not _has_float(option.type)
    least, below, above, most = allowed
    if whole:
        least, below = max(least, -WHOLE), WHOLE if math.isinf(below) else below
    inside = least <= value < below and above < value <= most
    if inside and (whole or abs(value) < LARGEST):
        return
    parts = [] if whole or min(below, most) < math.inf else ["a finite number"]
    if above > -math.inf:
        parts.append(f"above {above:g}")
    elif least > -math.inf:
        parts.append(f"{least:g} or more")
    if below < math.inf and (below == allowed.below or value >= below):
        power = int(below).bit_length() - 1
        limit = f"2**{power}" if below in (WHOLE, 2 * WHOLE) else f"{below:g}"
        parts.append(f"and below {limit}")
    if most < math.inf:
        parts.append(f"and at most {most:g}")
    raise UsageError(option.name, value, f"must be {', '.join(parts)}.")


def from_file(path: str, default):
    """Options from a JSON file: its options, or a run's config.json.

    Args:
        path: the file.
        default: has the options that the file does not name.

    Raises:
        UsageError: the file cannot be read, or names an option that there is not.
    """
    try:
        values = outside.read_json(os.path.expanduser(path))
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
    given, values = values, {n.replace("-", "_"): v for n, v in values.items()}

    def refuse(text):
        if option:
            return UsageError(option, source, text)
        return UsageError(None, None, f"{source} {text}")

    if len(values) < len(given):
        twice = next(n for n in given if "-" in n and n.replace("-", "_") in given)
        raise refuse(f"has {shortened(twice)} twice, with - and with _.")
    if unknown := sorted(values.keys() - every):
        raise refuse(
            f"has {shortened(some(unknown))}, which this experiment does not know; its "
            f"options are {', '.join(every)}."
        )
    for name, value in values.items():
        value = tuple(value) if isinstance(value, list) else value
        if not _fits(value, every[name].type):
            should = _described(every[name].type)
            its = shortened(repr(value))
            raise refuse(f"has {name} = {its}, which should be {should}.")
        real = every[name].type is float
        if real and isinstance(value, int) and abs(value) < LARGEST:
            value = float(value)
        values[name] = value
    return changed(default, **values)


def _fits(value, kind) -> bool:
    """Whether a value from JSON is of a type that options have."""
    args = typing.get_args(kind)
    if typing.get_origin(kind) is Literal:
        return any(value == one and type(value) is type(one) for one in args)
    if typing.get_origin(kind) is tuple:
        return isinstance(value, tuple) and all(_fits(v, args[0]) for v in value)
    if args:
        return any(_fits(value, arg) for arg in args)
    if isinstance(value, bool) or kind is bool:
        return kind is bool and isinstance(value, bool)
    return isinstance(value, int | float if kind is float else kind)


def _has_float(kind) -> bool:
    return kind is float or any(map(_has_float, typing.get_args(kind)))


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
