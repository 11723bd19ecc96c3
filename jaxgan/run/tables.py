"""Reports of members, or of averages of weights, as one."""

import numpy as np

__all__ = ["joined", "swept", "swept_table", "table"]

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
        lines.append(_line(name, map(_shown, values)))
    lines += [f"Member {k}: {name}." for k, name in enumerate(names)]
    lines.append(f"By {result['extractor']['name']}, against {result['reference']}.")
    notes = [note for one in result["members"].values() for note in one["notes"]]
    return "\n".join([*lines, *dict.fromkeys(notes)])


def swept(reports: dict[float, dict]) -> dict:
    """One report of several averages of weights, by their sigma_rel.

    Args:
        reports: of one run each, or as `joined` has it.

    Returns:
        "metrics": by figure the "values" (means, of members), one for each; "reports":
        these by their sigma_rel.
    """
    one, *_ = each = list(reports.values())
    figures = {
        figure: {"values": [_value(of["metrics"][figure]) for of in each]}
        for figure in one["metrics"]
    }
    shared = {name: one[name] for name in SHARED}
    by_name = {str(sigma): of for sigma, of in reports.items()}
    return {"metrics": figures, **shared, "reports": by_name}


def _value(of):
    return of["value"] if "value" in of else of["mean"]


def swept_table(result: dict) -> str:
    """The figures of `swept` for people."""
    lines = [_line("sigma_rel", result["reports"])]
    for name, of in result["metrics"].items():
        lines.append(_line(name, map(_shown, of["values"])))
    lines.append(f"By {result['extractor']['name']}, against {result['reference']}.")
    each = [one.get("members", {"": one}) for one in result["reports"].values()]
    notes = [note for of in each for one in of.values() for note in one["notes"]]
    return "\n".join([*lines, *dict.fromkeys(notes)])


def _shown(value):
    return "" if value is None else f"{value:.4g}"


def _line(name, columns):
    return f"{name:20}" + "".join(f" {column:>10}" for column in columns)
