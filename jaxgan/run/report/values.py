"""Values of JSON for people."""

import json
from typing import Any

from jaxgan.run.report.html import Html, element
from jaxgan.text import shortened

__all__ = ["as_dict", "number", "pairs", "text"]


def as_dict(value: Any) -> dict[str, Any]:
    """An object of names and values; an empty one of what is none."""
    return value if isinstance(value, dict) else {}


def text(value: Any) -> str:
    """A value of JSON, for people."""
    if isinstance(value, str):
        return shortened(value)
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, list) and not any(isinstance(x, list | dict) for x in value):
        return shortened(", ".join(map(text, value))) or "none"
    if isinstance(value, float):
        return f"{value:g}"
    return shortened(json.dumps(value))


def number(value: Any) -> str:
    """The same of a figure, in four digits; nothing of None."""
    if value is None:
        return ""
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    exact = numeric and abs(value) < 1e300  # a larger int is no float
    return f"{value:.4g}" if exact else text(value)


def pairs(values: dict[str, Any]) -> Html:
    """Names and their values, in columns."""
    each = (
        element("div", element("dt", name), element("dd", text(value)))
        for name, value in values.items()
    )
    return element("dl", *each, class_="pairs")
