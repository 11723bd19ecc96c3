"""Many seeds of a GAN as one program, against one after another."""

import statistics

from benchmarks import process
from benchmarks import race as races
from benchmarks.cases import CASES

CASE = "ring"


def race(members: int, setting: races.Setting) -> dict:
    """Lets them take turns, in one process.

    Args:
        members: how many seeds.
        setting: the rules; PyTorch takes no part.

    Returns:
        Plain values: milliseconds a step of all seeds over rounds, "together" and
        "alone" one after another; the median of the rounds' ratios; and seconds that
        either program took until its first step was done.
    """
    with process.launched(_serve, side, setting, members) as ask:
        compiled = {way: ask(way, 1) for way in ("alone", "together")}
        pace = max(ask(way, 3) / 3 for way in compiled)
        steps = setting.steps or max(3, int(races.TURN_SECONDS / pace))
        ms: dict[str, list[float]] = {way: [] for way in compiled}
        for i in range(setting.rounds):
            for way in list(ms)[:: -1 if i % 2 else 1]:
                ask(way, max(1, steps // 8))
                ms[way].append(1e3 * ask(way, steps) / steps)
    ratios = [a / b for a, b in zip(ms["alone"], ms["together"], strict=True)]
    return {
        "title": CASES[CASE].title,
        "members": members,
        "ms_of_rounds": ms,
        "ratio": statistics.median(ratios),
        "ratio_of_rounds": ratios,
        "compiled": compiled,
    }


def side(setting: races.Setting, members: int):
    """What takes the turns; only its own process imports it."""
    races.jaxgan(setting)
    from benchmarks import jaxgan_sweep

    return jaxgan_sweep.Sweep(CASES[CASE], setting.dtype, members)


def _serve(side_of, connection, *args):
    """The life of the process: it answers until its parent hangs up."""
    with races.own_cache():
        sweep = side_of(*args)
        try:
            while True:
                way, steps = connection.recv()
                connection.send(getattr(sweep, way)(steps))
        except (EOFError, OSError, KeyboardInterrupt):
            pass
