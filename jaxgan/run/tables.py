"""Reports of several members as one, with mean and deviation."""

import numpy as np

__all__ = ["joined", "table"]

SHARED = ("reference", "extractor", "weights", "checkpoint", "workdir")


def joined(reports: list[dict], names: list[str]) -> dict:
    """One report of many.

    Args:
        reports: of each member, all of the same measures.
        names: of the members.

    Returns:
        "metrics": by figure the "mean" and the "deviation" (n - 1) over members, and
        "values", one for each; "members": the reports by name.
    """
    figures = {}
    for figure in reports[0]["metrics"]:
        values = [one["metrics"][figure]["value"] for one in reports]
        known = np.array([v for v in values if v is not None], np.float64)
        figures[figure] = {
            "mean": float(known.mean()) if len(known) else None,
            "deviation": float(known.std(ddof=1)) if len(known) > 1 else None,
            "values": values,
        }
    shared = {name: reports[0][name] for name in SHARED}
    members = dict(zip(names, reports, strict=True))
    return {"metrics": figures, **shared, "members": members}


def table(result: dict) -> str:
    """The figures of `joined` for people."""
    names = list(result["members"])
    head = ["mean", "deviation", *(str(k) for k in range(len(names)))]
    lines = [_line("", head)]
    for name, of in result["metrics"].items():
        values = [of["mean"], of["deviation"], *of["values"]]
        lines.append(_line(name, ["" if v is None else f"{v:.4g}" for v in values]))
    lines += [f"Member {k}: {name}." for k, name in enumerate(names)]
    lines.append(f"By {result['extractor']['name']}, against {result['reference']}.")
    notes = [note for one in result["members"].values() for note in one["notes"]]
    return "\n".join([*lines, *dict.fromkeys(notes)])


def _line(name, columns):
    return f"{name:20}" + "".join(f" {column:>10}" for column in columns)
