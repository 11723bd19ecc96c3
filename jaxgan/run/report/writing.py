"""Writing a report: while a run trains, and by the command `report`."""

import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

from jaxgan.run import atomic, config, members, workdir
from jaxgan.run.loop import Hook, Now
from jaxgan.run.report import contents, page, pictures
from jaxgan.run.settings import FILE
from jaxgan.types import UsageError

__all__ = ["NAME", "Report", "report", "write", "writer"]

NAME = "report.html"
"""Of the page, in a workdir."""
RARELY = 50
"""Pages are written no oftener than they take time, times this."""
SECONDS = 20
"""Between pages, at least."""


def write(
    path: Path,
    out: Path | None = None,
    names: tuple[str, ...] = (),
    encode: Callable | None = None,
) -> contents.Contents:
    """Writes the page of a workdir, whole or not at all.

    Args:
        path: the workdir.
        out: the file; by default `report.html` in it.
        names: of members; by default they are numbered.
        encode: of `pictures.encoder`, which knows sheets from before.

    Returns:
        What the page shows.

    Raises:
        OSError: it cannot be written.
    """
    found = contents.read(path)
    text = page.page(found, names, encode or pictures.encoder())
    atomic.write_text(out or path / NAME, text)
    return found


@contextlib.contextmanager
def writer(
    path: Path, names: tuple[str, ...], every: int, log: Callable
) -> Iterator[Hook]:
    """A hook that has the page of a run written beside training, by a thread.

    It is due at lines of metrics, but writes now and then only, so that it takes a
    fiftieth of the time at most. At the end of the `with` the page is written again.

    Args:
        path: the workdir.
        names: of members.
        every: steps.
        log: is told, once, that it cannot be written.
    """
    encode, failed = pictures.encoder(), list[Exception]()
    thread, again = None, 0.0

    def once():
        nonlocal again
        began = time.monotonic()
        try:
            write(path, names=names, encode=encode)
        except OSError as error:
            if not failed:
                log(f"{path / NAME} cannot be written: {error.strerror}.")
            failed.append(error)
        ended = time.monotonic()
        again = ended + max(SECONDS, RARELY * (ended - began))

    def due(now: Now):
        nonlocal thread
        if (thread is None or not thread.is_alive()) and time.monotonic() >= again:
            thread = threading.Thread(target=once, name="report", daemon=True)
            thread.start()

    try:
        yield Hook(every, due)
    finally:
        if thread is not None:
            thread.join()
        once()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
    """Write a run's report: one page of HTML with its samples, curves, measures,
    options and log. Training writes it, too, unless told --no-report."""

    workdir: Annotated[str | None, FILE] = None
    """The run. Default runs/EXPERIMENT."""
    out: Annotated[str | None, FILE] = None
    """The HTML to write. Default WORKDIR/report.html."""


def report(options: Report, path: Path, kind: type[config.Config]) -> None:
    """Writes it.

    Args:
        options: of the command.
        path: the workdir.
        kind: its options' dataclass.

    Raises:
        UsageError: there is no run, or the page cannot be written.
    """
    if not any(
        (path / n).exists() for n in ("config.json", "metrics.jsonl", "samples")
    ):
        reason = "holds no run: it has no config.json, metrics.jsonl or samples."
        raise UsageError("workdir", path, reason)
    out = path / NAME if options.out is None else Path(options.out)
    workdir.writable(out.parent, "out")
    names: tuple[str, ...] = ()
    with contextlib.suppress(UsageError):  # what is damaged, the page says
        cfg = workdir.read(path, kind).config
        names = tuple(member.name for member in members.members(cfg))
    with atomic.written("out", out):
        found = write(path, out, names)
    for sentence in found.missing:
        print(sentence)
    print(f"{len(found.sheets)} sheets and {len(found.metrics)} lines in {out}")
