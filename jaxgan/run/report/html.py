"""HTML and SVG in which all text is escaped: a file cannot smuggle in a script."""

import html

from jaxgan.text import printable

__all__ = ["Html", "element", "joined"]

TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn the direction of what follows them."""

VOID = frozenset({"meta", "img", "input", "br"})
"""Elements without an end."""


class Html(str):
    """Text that is markup; all other text is escaped before it becomes part of it."""


def element(name: str, /, *inside: object, **attributes: object) -> Html:
    """One element.

    Args:
        name: of the element.
        inside: `Html` as it is, all else as text.
        attributes: their values as text; a name's `_` becomes `-`, and one at its end
            goes (`class_`). None leaves an attribute out, True gives it no value.
    """
    given = ((n.rstrip("_").replace("_", "-"), v) for n, v in attributes.items())
    said = "".join(_attribute(n, v) for n, v in given if v is not None)
    if name in VOID:
        return Html(f"<{name}{said}>")
    return Html(f"<{name}{said}>{joined(*inside)}</{name}>")


def joined(*inside: object) -> Html:
    """Parts, one after another."""
    return Html("".join(x if isinstance(x, Html) else _text(x) for x in inside))


def _attribute(name, value):
    return f" {name}" if value is True else f' {name}="{_text(value)}"'


def _text(value):
    """Escaped, and without characters that HTML has not."""
    text = printable(str(value))
    kept = (c if (c >= " " or c in "\n\t") and c not in TURNS else "�" for c in text)
    return html.escape("".join(kept))
