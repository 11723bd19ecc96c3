"""Several processes of one run: how they start, agree, and end.

Process 0 alone reads and writes the workdir; the others are told what it holds, so
that they need not see its disk. All load the same data, and each feeds its own part of
every batch.
"""

import atexit
import contextlib
import json
import os
import pickle
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable

import jax
import numpy as np

from jaxgan import distributed
from jaxgan.run import settings
from jaxgan.types import UsageError

__all__ = ["agree", "ending", "every", "first", "same", "shared", "start"]

HEARTBEAT = 60
"""Seconds without a sign of life after which a process is taken to be dead."""

SAY = """
import sys
told = sys.stdin.read()
if told != "well":
    print(told or sys.argv[1], file=sys.stderr)
"""
"""Of a child that outlives its parent, and has the last word: what it was told, or that
its parent was killed; nothing where all is well."""

_watch: subprocess.Popen | None = None
_name = "This process"


def start(address: str | None, num_processes: int | None, process_id: int | None):
    """Joins the other processes of a run, before JAX knows its devices.

    Args:
        address: HOST:PORT of process 0; "auto" takes it, and the other two, from a TPU
            pod, SLURM or Open MPI; None: there are no others.
        num_processes: how many there are.
        process_id: which of them this is, from 0.

    Raises:
        UsageError: what is given does not go together, or they were not found.
    """
    both = {"num_processes": num_processes, "process_id": process_id}
    if address in (None, "auto"):
        for name, value in both.items():
            if value is not None:
                reason = "goes with `coordinator_address` HOST:PORT."
                raise UsageError(name, value, reason)
        if address is None:
            return
        where: dict = {}
    else:
        _check(address, num_processes, process_id)
        where = {"coordinator_address": address, **both}
    _say_if_killed(f"Process {process_id} of {num_processes}" if where else None)
    print(f"Waiting for the other processes ({address}) ...", file=sys.stderr)
    try:
        jax.distributed.initialize(**where, heartbeat_timeout_seconds=HEARTBEAT)
    except (ValueError, RuntimeError) as error:
        _well()
        why = str(error).splitlines()[0]
        reason = f": this process could not join the others: {why}"
        raise UsageError("coordinator_address", address, reason) from None
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # JAX's own would only take note
    atexit.register(_left)


def _check(address, num_processes, process_id):
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        reason = 'must be HOST:PORT of process 0, such as 10.0.0.1:1234, or "auto".'
        raise UsageError("coordinator_address", address, reason)
    for name, value in (("num_processes", num_processes), ("process_id", process_id)):
        if value is None:
            reason = f"needs `{name}` too."
            raise UsageError("coordinator_address", address, reason)
    if process_id >= num_processes:
        reason = f"must be below `num_processes` {num_processes}."
        raise UsageError("process_id", process_id, reason)


def _say_if_killed(name):
    """JAX ends a process of which another has died by a signal, with a stack trace of
    its own; then, the last line says why."""
    global _watch, _name
    _name = name or _name
    text = (
        f"{_name} was ended from outside, most likely since another process of the "
        "run died or could not be reached; the last lines of the others say more. The "
        "same commands continue the run from its newest checkpoint."
    )
    command = [sys.executable, "-c", SAY, text]
    _watch = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,  # a Ctrl-C is not for it
    )


def _left():
    """The processes' orderly end: they wait for one another."""
    jax.distributed.shutdown()
    _well()


def _last(text):
    """Says it after all that JAX's own threads may say."""
    if not _watch:
        print(text, file=sys.stderr)
        return
    assert _watch.stdin
    _watch.stdin.write(text.encode(errors="backslashreplace"))
    _watch.stdin.flush()


def _well():
    global _watch
    if _watch:
        _watch.communicate(b"well")
        _watch = None


@contextlib.contextmanager
def ending():
    """Around a program of several processes: where one fails alone it ends at once, and
    with it the others; an orderly end would wait for them, and they for it."""
    try:
        yield
    except BaseException as error:
        if not jax.distributed.is_initialized() or _of_all(error):
            raise
        code = error.code if isinstance(error, SystemExit) else 1
        if not isinstance(error, SystemExit):
            traceback.print_exc()
            why = (str(error).splitlines() or [""])[0]
            text = (
                f"{_name} stopped, and stops the others ({type(error).__name__}: "
                f"{why}). If another one ended before, its last lines say why."
            )
            _last(text)
        else:
            _well()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


def _of_all(error):
    """Whether the other processes end as well, by the same."""
    cause = error.__context__ if isinstance(error, SystemExit) else error
    return getattr(cause, "of_all", False)


def agree(error: Exception) -> Exception:
    """The error, marked as one that every process raises at this point."""
    error.of_all = True  # type: ignore[attr-defined]
    return error


def every(run: Callable):
    """What a function returns, in every process; where it fails in one, it fails in
    all.

    Args:
        run: is called in each process, and does not wait for the others.

    Raises:
        UsageError: this process's own, or else the first of another, named.
    """
    if distributed.alone():
        return run()
    result = failed = None
    try:
        result = run()
    except UsageError as error:
        failed = error
    found = distributed.gathered(pickle.dumps(failed and failed.args))
    if failed:
        raise agree(failed)
    for k, other in enumerate(map(pickle.loads, found)):
        if other:
            option, value, reason = other
            text = UsageError(option, value, reason).worded(settings.flag)
            raise agree(UsageError(None, None, f"In process {k}: {text}"))
    return result


def first(run: Callable):
    """What a function returns in process 0, in every process.

    Args:
        run: is called in process 0 alone; returns what can be pickled.

    Raises:
        UsageError: that of process 0.
    """
    if distributed.alone():
        return run()
    told: tuple | None = None
    if distributed.primary():
        try:
            told = run(), None
        except UsageError as error:
            told = None, error.args
    data = pickle.dumps(told) if told else None
    result, failed = pickle.loads(distributed.broadcast(data))
    if failed:
        raise agree(UsageError(*failed))
    return result


def shared(run: Callable, template, mesh):
    """A state that a function returns in process 0, in every process, on their devices.

    Args:
        run: is called in process 0 alone; returns a tree of arrays.
        template: its structure.
        mesh: over the devices of all processes.
    """
    if distributed.alone():
        return run()
    leaves = first(lambda: [np.asarray(x) for x in jax.tree.leaves(run())])
    tree = jax.tree.unflatten(jax.tree.structure(template), leaves)
    return distributed.everywhere(tree, mesh)


def same(what: dict) -> None:
    """Refuses what is not the same in every process.

    Args:
        what: options and their values, as JSON takes them.

    Raises:
        UsageError: naming the first that differs.
    """
    found = [json.loads(x) for x in distributed.gathered(json.dumps(what).encode())]
    for k, other in enumerate(found):
        for name, value in found[0].items():
            if other.get(name) != value:
                reason = f"is {other.get(name)} in process {k} and {value} in process 0"
                text = f"`{name}` {reason}; start all with the same."
                raise agree(UsageError(None, None, text))
