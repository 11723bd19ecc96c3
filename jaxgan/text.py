"""Text for people: printable, of one line, not too long."""

__all__ = ["one_line", "printable", "shortened"]


def printable(text: str) -> str:
    r"""Text as any stream takes it: of a file's name, bytes outside UTF-8 as `\xff`."""
    whole = "".join(_escaped(c) if _is_half(c) else c for c in text)
    return whole.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def one_line(text: str) -> str:
    r"""The same as a single line: what would end it, or move a cursor, as `\n`."""
    return "".join(c if c.isprintable() else _escaped(c) for c in printable(text))


def shortened(text: str, most: int = 500) -> str:
    """Text that somebody gave, without the middle of what is very long."""
    half = most // 2
    return text if len(text) <= most else f"{text[:half]} ... {text[-half:]}"


def _escaped(character):
    return character.encode("unicode_escape", "backslashreplace").decode()


def _is_half(character):
    """Whether it is a surrogate that stands for no byte of a file's name."""
    return "\ud800" <= character <= "\udfff" and not "\udc80" <= character <= "\udcff"
