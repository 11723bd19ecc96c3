"""orbax tells of a damaged or unwritable checkpoint in one error; and, by the reads and
writes beside it for which nobody waits any more, in tracebacks. Those are not shown."""

import contextlib
import gc
import logging
import sys
from collections.abc import Iterator
from functools import partial

__all__ = ["for_good", "quiet"]


_stays = False


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Inside, errors alone tell of what went wrong."""
    logger, hook = logging.getLogger("asyncio"), sys.unraisablehook
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    sys.unraisablehook = ours = partial(_heard, hook)
    try:
        yield
    finally:
        if sys.unraisablehook is ours and not _stays:
            sys.unraisablehook = hook
            logger.setLevel(level)


def for_good() -> None:
    """From here on: what is left of orbax's work is heard of until the end."""
    global _stays
    _stays = True
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    if getattr(sys.unraisablehook, "func", None) is not _heard:
        sys.unraisablehook = partial(_heard, sys.unraisablehook)
    gc.collect()


def _heard(hook, what, /):
    code, error = getattr(what.object, "cr_code", None), what.exc_value
    late = isinstance(error, RuntimeError) and "loop" in str(error)
    if not late and "orbax" not in getattr(code, "co_filename", ""):
        hook(what)
