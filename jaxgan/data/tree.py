"""The image files below a directory, or in a zip archive, and what is passed over.

What counts as an image goes by the suffix, in any case: `pictures.suffixes`. Symbolic
links are followed. Hidden files and directories, and the `__MACOSX` that zip archives
carry, are passed over without a word, as `ls` does; all else that is passed over is
counted and named.
"""

import io
import os
import stat
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from jaxgan.data import archives, outside, pictures
from jaxgan.types import UsageError

__all__ = [
    "Tree",
    "hidden",
    "known_suffixes",
    "no_images",
    "passed_over",
    "some",
    "tree",
]


DEEPEST = 100
"""Directories within each other that are walked into."""


class Tree(NamedTuple):
    """Files by their paths below the root, with forward slashes, sorted.

    Attributes:
        root: the directory or the archive, as it is called in messages.
        names: the image files.
        others: what is passed over, by why.
        folders: the directories that are not hidden.
        open: a name -> the file, as bytes; from any thread.
    """

    root: str
    names: list[str]
    others: dict[str, list[str]]
    folders: list[str]
    open: Callable[[str], IO[bytes]]


def tree(spec: str, path: Path) -> Tree:
    """All that is below a path.

    Args:
        spec: names the data in a message.
        path: a directory, a zip archive, or a directory within one.

    Raises:
        UsageError: it is none of these.
    """
    if path.is_dir():
        found = Tree(str(path), [], {}, [], lambda name: outside.opened(path / name))
        try:
            _walk(str(path), "", (), found, _Walk(pictures.suffixes(), set()))
        except OSError as error:
            reason = f": {path} cannot be read ({error.strerror})"
            raise UsageError("data", spec, reason) from None
        return found
    archive = next((p for p in (path, *path.parents) if p.is_file()), None)
    if archive is None:
        raise UsageError(
            "data",
            spec,
            f": there is no directory {path}; give the directory that holds the"
            f" images, or a zip archive of it, {spec.partition(':')[0]}:DIR",
        )
    inside = path.relative_to(archive).as_posix()
    return _archive(spec, archive, "" if inside == "." else f"{inside}/")


def hidden(name: str) -> bool:
    """By its last part."""
    return name.startswith(".") or name == "__MACOSX"


def no_images(spec: str, root: str) -> UsageError:
    """The error for a directory without any."""
    return UsageError(
        "data",
        spec,
        f": there are no images in {root}; {known_suffixes()}",
    )


def known_suffixes() -> str:
    """What counts as an image, for a message."""
    others = len(pictures.suffixes()) - 4
    return (
        "files count by their suffix, .png, .jpg, .webp, .tif and"
        f" {others} others that Pillow reads"
    )


def passed_over(spec: str, others: dict[str, list[str]]) -> tuple[str, ...]:
    """One sentence that counts and names what was, or none."""
    if not others:
        return ()
    parts = (f"{len(names)} {why} ({some(names)})" for why, names in others.items())
    return (f"{spec}: passed over {', '.join(parts)}",)


def some(names: list[str], most: int = 3) -> str:
    """The first of them, for a message."""
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


class _Walk(NamedTuple):
    suffixes: frozenset[str]
    seen: set[tuple[int, int]]
    """Directories that were come to by links within linked ones, once each: links from
    each of a few directories to all others are more paths than can be walked."""
    linked: int = 0
    """How many links led here."""


def _walk(directory, prefix, above, found: Tree, walk: _Walk):
    def pass_over(why, name):
        found.others.setdefault(why, []).append(name)

    try:
        here = os.stat(directory)
        entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
    except OSError:
        if not prefix:
            raise
        return pass_over("directories that cannot be read", prefix)
    this = here.st_dev, here.st_ino
    if this in above:
        return pass_over("links into a circle", prefix.rstrip("/"))
    if walk.linked > 1 and this in walk.seen:
        return pass_over("links to what other links led to", prefix.rstrip("/"))
    if len(above) >= DEEPEST:
        return pass_over(f"directories {DEEPEST} deep", prefix.rstrip("/"))
    if walk.linked > 1:
        walk.seen.add(this)
    for entry in entries:
        name = f"{prefix}{entry.name}"
        if hidden(entry.name):
            continue
        try:
            kind = entry.stat().st_mode
        except OSError:
            pass_over("links to nothing", name)
            continue
        if stat.S_ISDIR(kind):
            found.folders.append(name)
            deeper = walk._replace(linked=walk.linked + entry.is_symlink())
            _walk(entry.path, f"{name}/", (*above, this), found, deeper)
        elif not stat.S_ISREG(kind):
            pass_over("pipes, sockets or devices", name)
        elif PurePosixPath(name).suffix.lower() in walk.suffixes:
            found.names.append(name)
        else:
            pass_over("files that are no images by their suffix", name)
    if not prefix:
        found.names.sort()


def _archive(spec, path, inside):
    try:
        archive = archives.archive(path)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        reason = f": {path} is a file, but no zip archive ({why}); give a directory"
        raise UsageError("data", spec, reason) from None

    def read(name):
        return io.BytesIO(archives.contents(archive, inside + name))

    found = Tree(f"{path}/{inside}".rstrip("/"), [], {}, [], read)
    suffixes, folders = pictures.suffixes(), set()
    for name in sorted(set(archive.namelist())):
        name = name.removeprefix(inside) if name.startswith(inside) else ""
        if not archives.inside(name):
            why = "names that lead out of the archive"
            found.others.setdefault(why, []).append(name)
            continue
        parts = PurePosixPath(name).parts
        if not parts or any(map(hidden, parts)):
            continue
        folders |= {p.as_posix() for p in PurePosixPath(name).parents} - {"."}
        if name.endswith("/"):
            folders.add(name.rstrip("/"))
        elif PurePosixPath(name).suffix.lower() in suffixes:
            found.names.append(name)
        else:
            why = "files that are no images by their suffix"
            found.others.setdefault(why, []).append(name)
    found.folders.extend(sorted(folders))
    return found
