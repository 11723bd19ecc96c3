"""What evaluations have found, as tables."""

from typing import Any

from jaxgan.run.report.contents import Contents
from jaxgan.run.report.html import Html, element, joined
from jaxgan.run.report.values import as_dict, number, pairs, text

__all__ = ["best", "measures"]

OVER_MEMBERS = "mean", "deviation"
"""What there is of a figure of several members."""


def measures(found: Contents) -> Html:
    """A table for each evaluation."""
    parts = [_measured(n, its) for n, its in found.evaluations.items()]
    if not parts:
        said = "The command evaluate has not been run on it yet."
        parts.append(element("p", said, class_="soft"))
    if len(found.best) > 1:
        kept: dict[str, str] = {}
        for name, its in found.best.items():
            kept |= best(its, name.removesuffix(".json").replace("-", " of member "))
        parts += [element("div", pairs(kept), class_="card")]
    return joined(*parts)


def _measured(name, result: dict[str, Any]) -> Html:
    members, swept = (
        {n: r for n, r in as_dict(result.get(key)).items() if as_dict(r)}
        for key in ("members", "reports")
    )
    swept = {f"σ_rel {sigma}": its for sigma, its in swept.items()}
    reports = [*(members or swept).values()] or [result]
    tables = [as_dict(report.get("metrics")) for report in reports]
    body, bounds = [], _bounds(tables[0])
    for figure, row in as_dict(result.get("metrics")).items():
        own = [as_dict(table.get(figure)) for table in tables]
        cells = [number(as_dict(row).get(n)) for n in OVER_MEMBERS] if members else []
        cells += [*map(_with_error, own), *(number(own[0].get(n)) for n in bounds)]
        body.append(
            element("tr", element("td", figure), *(element("td", c) for c in cells))
        )
    heads = ["", *(OVER_MEMBERS if members else ()), *(members or swept or ["value"])]
    heads += bounds
    head = element("tr", *(element("th", h) for h in heads))
    table = element("table", element("thead", head), element("tbody", *body))
    notes = [*dict.fromkeys(n for report in reports for n in _notes(report))]
    said = [_of(reports[0], result), *notes]
    return element(
        "div",
        element("b", name),
        element("div", table, class_="scroll"),
        *(element("p", element("small", x)) for x in said),
        class_="card",
    )


def _bounds(table) -> list[str]:
    """Columns beside a figure and its error, such as its floor."""
    names = dict.fromkeys(n for row in table.values() for n in as_dict(row))
    return [n for n in names if n not in ("value", "error", *OVER_MEMBERS)]


def _with_error(row) -> Html:
    value = row.get("value", row.get(OVER_MEMBERS[0]))
    value, error = element("b", number(value)), row.get("error")
    known = error is not None
    return joined(value, element("small", f" ± {number(error)}") if known else "")


def _notes(report):
    notes = report.get("notes")
    return [*map(text, notes)] if isinstance(notes, list) else []


def _of(first, result):
    """What figures are of."""
    by = as_dict(result.get("extractor")).get("name")
    many = as_dict(first.get("counts")).items()
    said = [f"By {text(by)}, against {text(result.get('reference'))}."] if by else []
    said += [f"{', '.join(f'{text(n)} {label}' for label, n in many)}."] if many else []
    if (step := first.get("step")) is not None:
        kinds = text(first.get("weights")), text(first.get("checkpoint"))
        sigma = first.get("sigma_rel")
        of = "" if sigma is None else f" of σ_rel {text(sigma)}"
        said.append(
            f"The {kinds[0]} weights{of} of step {text(step)}, the {kinds[1]} state."
        )
    return " ".join(said)


def best(state: dict[str, Any], name: str = "best") -> dict[str, str]:
    """What a best.json says, in words and a number."""
    what, step = str(state.get("figure")).partition(" of ")[0], state.get("step")
    label = f"{name}: {what} of step {text(step)}"
    return {label[0].upper() + label[1:]: number(state.get("value"))}
