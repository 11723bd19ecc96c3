"""What memory a run needs."""

import sys

import jax

__all__ = ["GIB", "used"]

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
