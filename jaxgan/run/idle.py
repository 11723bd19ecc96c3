"""Options that are for some values of another option only, and those that do nothing.

    w_dim: Annotated[Count, Only("generator", "stylegan")] = 512
    r1_every: Annotated[Count, Only("r1")] = 16

The command line refuses to begin a run with such an option that does nothing.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from jaxgan.run import settings
from jaxgan.types import UsageError

__all__ = ["Only", "check"]


class Only(NamedTuple):
    """Marks an option that counts for some values of another one only."""

    option: str
    value: Any = None
    """The value, or several in a tuple; None is for all but 0, None and what is
    empty."""

    def holds(self, config) -> bool:
        """Whether the other option has such a value."""
        found = settings.of(config, self.option)
        if self.value is None:
            return bool(found)
        return found in (self.value if isinstance(self.value, tuple) else (self.value,))


def check(configs: Sequence, default) -> None:
    """Refuses an option that was given another value than by default, and does nothing.

    Args:
        configs: the options of each member of a run.
        default: what they were before any was given, such as a preset.

    Raises:
        UsageError: naming the option, and the other one that would have to change.
    """
    for option in settings.known(type(default)).values():
        marks = [mark for mark in option.marks if isinstance(mark, Only)]
        usual = settings.of(default, option.name) if marks else None
        given = [settings.of(config, option.name) for config in configs if marks]
        others = sorted(value for value in given if value != usual)
        for mark in marks if others else ():
            if not any(map(mark.holds, configs)):
                raise UsageError(option.name, _shown(others[0]), _reason(mark, configs))


def _reason(mark, configs):
    found = _shown(settings.of(configs[0], mark.option))
    values = mark.value if isinstance(mark.value, tuple) else (mark.value,)
    right = "another value" if values == (None,) else " or ".join(map(_shown, values))
    return f"does nothing while `{mark.option}` is {found}; give {right} there."


def _shown(value):
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, tuple) and value:
        return " ".join(map(str, value))
    return "not given" if value in (None, ()) else str(value)
