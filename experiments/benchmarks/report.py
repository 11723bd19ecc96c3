"""The figures of the races, as plain values and for people."""

import statistics

from benchmarks.cases import CASES, PRICED
from benchmarks.race import ENTRANTS, Raced

BAR = 1.3
"""How many times as fast as PyTorch's fastest mode jaxgan is to be."""


def summary(name: str, raced: Raced) -> dict:
    """All there is to say about a case's race, as plain values.

    A ratio is of the two times of one round, and the median over rounds counts: what
    disturbs the machine for seconds disturbs both sides.

    Args:
        name: of the case.
        raced: what `race.race` found.
    """
    medians = {entrant: statistics.median(ms) for entrant, ms in raced.ms.items()}
    modes = [entrant for entrant in raced.ms if entrant not in ENTRANTS]
    ratios = {mode: _ratios(raced.ms[mode], raced.ms["jaxgan"]) for mode in modes}
    best = min(modes, key=medians.__getitem__)
    peak, mflop = max(raced.peaks.values()), raced.flops / 1e6
    return {
        "title": CASES[name].title,
        "batch": CASES[name].batch,
        "gflop_of_step": raced.flops / 1e9,
        "peak_gflops": peak,
        "ms": medians,
        "ms_of_rounds": raced.ms,
        "share_of_peak": {n: mflop / ms / peak for n, ms in medians.items()},
        "ratios": {mode: statistics.median(of) for mode, of in ratios.items()},
        "best": best,
        "ratio": statistics.median(ratios[best]),
        "ratio_of_rounds": ratios[best],
        "first_seconds": raced.first,
        "memory_bytes": raced.memory,
        "first_losses": raced.losses,
    }


def _ratios(ms, of):
    return [a / b for a, b in zip(ms, of, strict=True)]


def prices(raced: dict[str, Raced]) -> dict:
    """How many times as long a step takes with a penalty as without, by entrant.

    Args:
        raced: what `race.race` returned; without a case's base (`cases.PRICED`), it has
            no price.
    """
    return {
        name: {
            entrant: statistics.median(_ratios(ms, raced[base].ms[entrant]))
            for entrant, ms in raced[name].ms.items()
        }
        for base, more in PRICED.items()
        for name in more
        if base in raced and name in raced
    }


def table(results: dict) -> str:
    """The results of `benchmark.benchmark` as Markdown, as README has them."""
    versions = ", ".join(f"{n} {v}" for n, v in results["versions"].items())
    made_on = f"{results['date']}, {results['device']}, {results['dtype']}, {versions}"
    rows, modes = results["models"].values(), results["modes"]
    lines = [f"{made_on}; milliseconds a step:", "", *_of_modes(rows, modes)]
    lines += ["", "Of jaxgan, times as long as in the table above:", ""]
    lines += [*_of_ways(rows), "", "Until the first step, cold / warm; memory:", ""]
    lines += _of_starts(rows, ("jaxgan", *modes))
    for name, price in results["prices"].items():
        each = ", ".join(f"{n} {price[n]:.2f}" for n in ("jaxgan", *modes))
        lines += ["", f"A step with {name} takes as long as without, times: {each}."]
    if sweep := results.get("sweep"):
        lines += ["", _of_sweep(sweep)]
    return "\n".join(lines)


def _table(head, rows):
    """Lines of Markdown; the first column has no head."""
    yield f"| | {' | '.join(head)} |"
    yield "|---" * (1 + len(head)) + "|"
    for cells in rows:
        yield f"| {' | '.join(cells)} |"


def _of_modes(rows, modes):
    def cells(row):
        low, high = min(row["ratio_of_rounds"]), max(row["ratio_of_rounds"])
        times = [f"{row['ms'][side]:.3g}" for side in ("jaxgan", *modes)]
        verdict = f"{row['ratio']:.2f}× ({low:.2f}–{high:.2f})"
        share = f"{row['share_of_peak']['jaxgan']:.0%}"
        return [f"{row['title']}, batch {row['batch']}", *times, verdict, share]

    head = ["jaxgan", *(f"PyTorch {mode}" for mode in modes), "jaxgan is", "of peak"]
    return _table(head, map(cells, rows))


def _of_ways(rows):
    ways = [way for way in ENTRANTS if way != "jaxgan"]

    def cells(row):
        ms = row["ms"]
        of = [f"{ms[way] / ms['jaxgan']:.2f}" if way in ms else "–" for way in ways]
        return [row["title"], *of]

    return _table(ways, map(cells, rows))


def _of_starts(rows, sides):
    def cell(row, side):
        first, mib = row["first_seconds"][side], row["memory_bytes"][side] / 2**20
        return f"{first['cold']:.1f} / {first['warm']:.1f} s; {mib:.0f} MiB"

    each = ([row["title"], *(cell(row, side) for side in sides)] for row in rows)
    return _table(sides, each)


def _of_sweep(sweep):
    together, alone = (sweep["compiled"][way] for way in ("together", "alone"))
    return (
        f"{sweep['members']} seeds of {sweep['title']} as one program: "
        f"{sweep['ratio']:.2f}× as fast as one after another; compiled in "
        f"{together:.1f} s, one alone in {alone:.1f} s."
    )
