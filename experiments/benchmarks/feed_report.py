"""The figures of what was fed, as plain values and for people."""

import statistics

from benchmarks.feed_turn import BATCH, SIDE, WORKERS, Turn

TITLES = {
    "streamed": "jaxgan, decoded as it is fed",
    "load": "jaxgan, the first load",
    "resident": "jaxgan, fed from memory",
    "loader": f"DataLoader of {WORKERS} workers",
}


def summary(turns: dict[str, list[Turn]]) -> dict:
    """By way, all there is to say about its turns, as plain values.

    A ratio is of the speeds of one round, and the median over rounds counts: what
    disturbs the machine for seconds disturbs both sides.

    Args:
        turns: what `feed_race.race` returned.
    """
    speeds = {way: [t.images / t.seconds for t in ts] for way, ts in turns.items()}

    def of(way):
        pairs = zip(speeds[way], speeds["loader"], strict=True)
        ratios = [ours / theirs for ours, theirs in pairs]
        known = [t for t in turns[way] if t.cpu is not None]
        return {
            "images_per_second": statistics.median(speeds[way]),
            "images_per_second_of_rounds": speeds[way],
            "cores": _median(t.cpu / t.seconds for t in known),
            "images_per_cpu_second": _median(t.images / t.cpu for t in known if t.cpu),
            "ratio": statistics.median(ratios),
            "ratio_of_rounds": ratios,
            "mean_of_pixels": turns[way][-1].mean,
        }

    return {way: of(way) for way in turns}


def _median(values):
    """None of none."""
    values = list(values)
    return statistics.median(values) if values else None


def table(results: dict) -> str:
    """The results of `benchmark_data.benchmark` as lines of text."""
    versions = ", ".join(f"{n} {v}" for n, v in results["versions"].items())
    lines = [
        f"{versions}; {results['cores']} CPU cores; {results['images']} images, "
        f"fed {SIDE}x{SIDE} in batches of {BATCH}",
        f"{'':32}{'images/s':>10}{'cores':>7}{'a CPU second':>14}{'of DataLoader':>22}",
    ]
    side = results["side"]
    for kind, ways in results["kinds"].items():
        lines.append(f"{kind.upper()} of {side}x{side}")
        lines += [_line(TITLES[way], row, way) for way, row in ways.items()]
    return "\n".join(lines)


def _line(title, row, way):
    low, high = min(row["ratio_of_rounds"]), max(row["ratio_of_rounds"])
    ratio = "" if way == "loader" else f"{row['ratio']:.2f}x ({low:.2f}-{high:.2f})"
    cores = "-" if row["cores"] is None else f"{row['cores']:.2f}"
    each = row["images_per_cpu_second"]
    each = "-" if each is None else f"{each:,.0f}"
    speed = f"{row['images_per_second']:,.0f}"
    return f"  {title:30}{speed:>10}{cores:>7}{each:>14}{ratio:>22}".rstrip()
