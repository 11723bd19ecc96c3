"""What memory a run needs and has, and what to do where it is too little."""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import NamedTuple

import jax

from jaxgan.run.config import Config
from jaxgan.text import shortened
from jaxgan.types import UsageError

__all__ = ["GIB", "Needs", "advised", "limit", "needs", "said", "used"]

GIB = 2**30


def used() -> dict[str, float]:
    """The most that was in use so far, in GiB, of what is known: `host_gib`, of this
    process, and `device_gib`, of that of its devices which used most."""
    found = {}
    try:
        import resource  # not on Windows
    except ImportError:
        pass
    else:
        unit = 1 if sys.platform == "darwin" else 1024
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
        found["host_gib"] = round(most / GIB, 3)
    stats = [device.memory_stats() or {} for device in jax.local_devices()]
    if peaks := [s["peak_bytes_in_use"] for s in stats if "peak_bytes_in_use" in s]:
        found["device_gib"] = round(max(peaks) / GIB, 3)
    return found


def limit(device) -> int:
    """Bytes that a device has; of a CPU, or one that does not say, all of the
    machine's. 0 where that is not known."""
    has = (device.memory_stats() or {}).get("bytes_limit", 0)
    if not has and hasattr(os, "sysconf"):
        has = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return has


class Needs(NamedTuple):
    """Bytes that a program takes on each device, by the compiler's account."""

    given: int
    """Of what it is given: state, sums and data."""
    made: int
    """Of what it makes, but in place of what it was given."""
    temporary: int
    """Of what it needs meanwhile: activations and gradients."""

    @property
    def total(self) -> int:
        return sum(self)


def needs(compiled) -> Needs | None:
    """What a `jax.stages.Compiled` takes; None where its backend does not say."""
    found = compiled.memory_analysis()
    if found is None:
        return None
    made = found.output_size_in_bytes - found.alias_size_in_bytes
    return Needs(found.argument_size_in_bytes, max(0, made), found.temp_size_in_bytes)


def said(known: Needs, device) -> str:
    """For the log, before the first step."""
    has = limit(device)
    of = f" of {_gib(has)}" if has else ""
    text = (
        f"A step takes about {_gib(known.total)}{of} of memory on a device: "
        f"{_gib(known.given)} for networks, optimizers and data, "
        f"{_gib(known.made + known.temporary)} for activations and gradients."
    )
    if has and known.total > has:
        text += " That is more than there is."
    return text


def _gib(size):
    value, unit = (size / GIB, "GiB") if size >= GIB / 10 else (size / 2**20, "MiB")
    return f"{value:.2g} {unit}" if value < 9.95 else f"{value:.0f} {unit}"


@contextlib.contextmanager
def advised(cfg: Config) -> Iterator[None]:
    """Says what helps, where memory runs out.

    Raises:
        UsageError: in place of what JAX, or Python, raises then.
    """
    try:
        yield
    except MemoryError as error:
        why = str(error) or "no more could be had"
    except jax.errors.JaxRuntimeError as error:
        why = str(error)
        if "RESOURCE_EXHAUSTED" not in why and "OUT_OF_MEMORY" not in why:
            raise
    else:
        return
    line = shortened(why.strip().splitlines()[0], 200).rstrip(".")
    raise UsageError("batch_size", cfg.batch_size, _advice(cfg, line))


def _advice(cfg, line):
    ways = []
    if cfg.batch_size // cfg.accumulate > 1:
        more = next(
            n
            for n in range(2 * cfg.accumulate, cfg.batch_size + 1)
            if not cfg.batch_size % n
        )
        ways.append(f"take each gradient in parts (`accumulate` {more})")
        ways.append("take fewer images a step")
    if cfg.seeds > 1 or cfg.sweep:
        ways.append("train fewer members at once (`seeds`, `sweep`)")
    if cfg.dtype == "float32":
        ways.append("compute in half as many bytes (`dtype` bfloat16)")
    ways.append("choose smaller networks or images")
    return f"needs more memory than there is ({line}): {', or '.join(ways)}."
