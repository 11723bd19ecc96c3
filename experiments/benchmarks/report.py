"""The figures of the races, as plain values and for people."""

import statistics

from benchmarks.cases import PENALIZED, Case


def summary(case: Case, ms: dict, losses: dict, peak: float) -> dict:
    """All there is to say about a case's race, as plain values.

    A ratio is of the two times of one round, and the median over rounds counts: what
    disturbs the machine for seconds disturbs both sides.

    Args:
        case: what was timed.
        ms: milliseconds a step over rounds, by side.
        losses: of D and G, by side.
        peak: GFLOP/s of a matrix product.
    """

    def of(side):
        median = statistics.median(ms[side])
        gflops = case.flops and case.flops / median / 1e6
        return {
            "ms": median,
            "ms_of_rounds": ms[side],
            "gflops": gflops,
            "share_of_peak": gflops and gflops / peak,
            "last_losses": losses[side],
        }

    ratios = [b / a for a, b in zip(ms["jaxgan"], ms["torch"], strict=True)]
    return {
        "title": case.title,
        "batch": case.batch,
        "gflop_of_step": case.flops and case.flops / 1e9,
        "jaxgan": of("jaxgan"),
        "torch": of("torch"),
        "ratio": statistics.median(ratios),
        "ratio_of_rounds": ratios,
        "bar": case.bar,
    }


def prices(raced: dict) -> dict:
    """How many times as long a step takes with a penalty as without, by side.

    Args:
        raced: what `race.race` returned; without "plain", there are no prices.
    """
    if "plain" not in raced:
        return {}
    plain = raced["plain"][0]
    return {
        name: {
            side: statistics.median(
                a / b for a, b in zip(ms[side], plain[side], strict=True)
            )
            for side in ms
        }
        for name, (ms, _) in raced.items()
        if name in PENALIZED[1:]
    }


def table(results: dict) -> str:
    """The results of `benchmark.benchmark` as lines of text."""
    versions = ", ".join(f"{n} {v}" for n, v in results["versions"].items())
    lines = [
        f"{versions}; {results['cores']} CPU cores, matmul peak "
        f"{results['peak_gflops']:.0f} GFLOP/s",
        f"{'':28}{'':9}{'ms/step':>9}{'GFLOP/s':>9}{'of peak':>9}{'  jaxgan is':>24}",
    ]
    for row in results["models"].values():
        lines += _lines(row)
    for name, price in results["prices"].items():
        each = ", ".join(f"{side} {times:.2f}x" for side, times in price.items())
        lines.append(f"A step with {name} takes as long as without: {each}")
    return "\n".join(lines)


def _lines(row):
    """jaxgan's and PyTorch's, of a case."""
    low, high = min(row["ratio_of_rounds"]), max(row["ratio_of_rounds"])
    verdict = f"{row['ratio']:.2f}x ({low:.2f}-{high:.2f}), bar {row['bar']}x"
    for side, title, end in (
        ("jaxgan", row["title"], verdict),
        ("torch", f"  batch {row['batch']}", ""),
    ):
        timed = row[side]
        counted = f"{'':18}"
        if timed["gflops"]:
            counted = f"{timed['gflops']:9.1f}{timed['share_of_peak']:9.1%}"
        yield f"{title:28}{side:9}{timed['ms']:9.3f}{counted}  {end}".rstrip()
