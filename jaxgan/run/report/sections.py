"""The parts of a report: samples, curves, measures, options, log."""

import json
from typing import Any

from jaxgan.run.report import chart, curves
from jaxgan.run.report.contents import Contents
from jaxgan.run.report.html import Html, element, joined
from jaxgan.run.report.pictures import MEMBERS, Picture, Shown
from jaxgan.types import shortened

__all__ = [
    *("environment", "log", "measures", "metrics", "options", "samples", "speed"),
    *("summary", "text", "warned"),
]

VALUE = "value", "error"
"""Columns of a figure that are one in its table."""
OTHER_SETTINGS = "shape", "class_names", "levels", "held_out"
"""What config.json says of the images."""
LAST = (
    ("images_per_s", "Images a second", ""),
    ("host_gib", "Memory at most", " GiB"),
    ("device_gib", "Memory of a device at most", " GiB"),
)
"""Of timings.jsonl, what the last line says; and how."""
LINES = 3000
"""Of the log, on a page."""


def text(value: Any) -> str:
    """A value of JSON, for people."""
    if isinstance(value, str):
        return shortened(value)
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, list) and not any(isinstance(x, list | dict) for x in value):
        return shortened(", ".join(map(text, value))) or "none"
    if isinstance(value, float):
        return f"{value:g}"
    return shortened(json.dumps(value))


def summary(found: Contents, seconds: float | None) -> Html:
    """Tiles of what is asked first, and how far the run is."""
    steps, batch = (found.config.get(name) for name in ("steps", "batch_size"))
    tiles = {"Step": f"{found.step:,}" + (f" of {text(steps)}" if steps else "")}
    if isinstance(batch, int):
        tiles["Images seen"] = chart.short(found.step * batch)
    if seconds:
        tiles["Time in training steps"] = duration(seconds)
    for name, label, unit in LAST:
        last = next((x[name] for x in reversed(found.timings) if name in x), None)
        if isinstance(last, int | float):
            tiles[label] = f"{chart.short(last)}{unit}"
    if len(found.best) == 1:
        tiles |= _best(*found.best.values())
    each = (
        element("div", element("b", v), element("span", n), class_="tile")
        for n, v in tiles.items()
    )
    done = ""
    if type(steps) is int and steps > 0:
        label = f"{found.step} of {steps} steps"
        done = element("progress", label, value=found.step, max=steps, aria_label=label)
    return joined(done, element("div", *each, class_="tiles"))


def _best(best, name="best") -> dict[str, str]:
    what, step = str(best.get("figure")).partition(" of ")[0], best.get("step")
    label = f"{name}: {what} of step {text(step)}"
    return {label[0].upper() + label[1:]: _number(best.get("value"))}


def duration(seconds: float) -> str:
    """Such as "2 h 5 min"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours:,} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.3g} s"


def warned(found: Contents) -> Html:
    """The warnings of the log, and what of the workdir is not there."""
    if not found.warnings:
        return Html("")
    count = len(found.warnings)
    title = element("b", f"{count} warning{'s' * (count > 1)}")
    each = (
        element("li", x.removeprefix("Warning").lstrip(": ")) for x in found.warnings
    )
    return element("div", title, element("ul", *each), class_="card warnings")


def samples(shown: Shown, members: tuple[str, ...]) -> Html:
    """Sheets, one step at a time under a slider; members side by side."""
    if not shown.by_step:
        return element("p", "There are none yet.", class_="soft")
    frames = []
    for step, row in shown.by_step.items():
        each = []
        for picture in row:
            who = members[picture.member] if picture.member < len(members) else ""
            caption = element("figcaption", element("small", who)) if who else ""
            pixels = "pixels" if picture.width <= 320 else None
            image = element(
                "img",
                src=picture.data,
                alt=f"Samples of step {step}{f', {who}' if who else ''}",
                style=_size(picture),
                class_=pixels,
            )
            each.append(element("figure", caption, image))
        many = "frame many" if len(row) > 1 else "frame"
        frames.append(element("div", *each, class_=many, data_step=step))
    last = len(frames) - 1
    name = {"aria_label": "Step of the samples"}
    ends = {"min": 0, "max": last, "value": last}
    steps = [*shown.by_step]
    slider = element(
        "div",
        element("button", "Play", type="button"),
        element("input", type="range", **ends, **name),
        element("output", f"Step {steps[-1]:,}"),
        class_="slider",
    )
    return element("div", slider, *frames, *_left_out(shown, members), class_="samples")


def _size(picture: Picture):
    """Twice as large, if the window is."""
    high = f"calc(88vh * {picture.width} / {picture.height})"
    return f"width: min(100%, {2 * picture.width}px, {high})"


def _left_out(shown, members):
    if len(shown.by_step) < shown.of:
        said = f"{len(shown.by_step)} of {shown.of} steps that there are samples of."
        yield element("p", element("small", said))
    if len(members) > MEMBERS:
        said = f"Of {len(members)} members the first {MEMBERS}."
        yield element("p", element("small", said))
    if shown.damaged:
        said = f"Cannot be read: {', '.join(shown.damaged[:20])}."
        yield element("p", element("small", said))


def metrics(found: Contents, members: tuple[str, ...]) -> Html:
    """All curves of metrics.jsonl."""
    evaluated, others = curves.plots(found.metrics, members)
    if not evaluated + others:
        return element("p", "There are none yet.", class_="soft")
    return joined(who(members), charts(evaluated + others))


def who(members: tuple[str, ...]) -> Html:
    """Which colour is which member."""
    if len(members) < 2:
        return Html("")
    each = (
        element("li", chart.swatch(k, len(members)), name)
        for k, name in enumerate(members)
    )
    return element("ul", *each, class_="legend card")


def charts(plots: list[curves.Plot]) -> Html:
    """Side by side, as many as there is room for."""
    return element("div", *map(chart.chart, plots), class_="charts")


def speed(found: Contents) -> Html:
    """Curves of timings.jsonl."""
    _, plots = curves.plots(found.timings, ("",))
    if not plots:
        return element("p", "Nothing is known of it yet.", class_="soft")
    return charts(plots)


def measures(found: Contents) -> Html:
    """A table for each evaluation."""
    parts = [_measured(n, its) for n, its in found.evaluations.items()]
    if not parts:
        said = "The command evaluate has not been run on it yet."
        parts.append(element("p", said, class_="soft"))
    if len(found.best) > 1:
        best: dict[str, str] = {}
        for name, its in found.best.items():
            best |= _best(its, name.removesuffix(".json").replace("-", " of member "))
        parts += [element("div", _pairs(best), class_="card")]
    return joined(*parts)


def _measured(name, result: dict[str, Any]) -> Html:
    rows = result.get("metrics")
    rows = rows if isinstance(rows, dict) else {}
    rows = {n: row for n, row in rows.items() if isinstance(row, dict)}
    several = result.get("members")
    several = several if isinstance(several, dict) else {}
    who = [*several]
    columns = list(dict.fromkeys(c for row in rows.values() for c in row))
    heads = [c for c in columns if c not in ("error", "values")] + who
    body = []
    for figure, row in rows.items():
        cells = [_cell(row, c) for c in columns if c not in ("error", "values")]
        values = row.get("values")
        cells += [_number(v) for v in values] if isinstance(values, list) else []
        body.append(
            element("tr", element("td", figure), *(element("td", c) for c in cells))
        )
    head = element("tr", element("th"), *(element("th", h) for h in heads))
    table = element("table", element("thead", head), element("tbody", *body))
    reports = [r for r in several.values() if isinstance(r, dict)] if who else [result]
    notes = [*dict.fromkeys(n for r in reports for n in _notes(r))]
    return element(
        "div",
        element("b", name),
        element("div", table, class_="scroll"),
        *(
            element("p", element("small", x))
            for x in [_of(reports[:1], result), *notes]
        ),
        class_="card",
    )


def _notes(report):
    notes = report.get("notes")
    return [*map(text, notes)] if isinstance(notes, list) else []


def _of(reports, result):
    """What figures are of."""
    first = (reports or [result])[0]
    extractor = result.get("extractor")
    by = extractor.get("name") if isinstance(extractor, dict) else None
    counts = first.get("counts")
    many = counts.items() if isinstance(counts, dict) else ()
    said = [f"By {text(by)}, against {text(result.get('reference'))}."] if by else []
    said += [f"{', '.join(f'{text(n)} {label}' for label, n in many)}."] if many else []
    if (step := first.get("step")) is not None:
        kinds = text(first.get("weights")), text(first.get("checkpoint"))
        said.append(
            f"The {kinds[0]} weights of step {text(step)}, the {kinds[1]} state."
        )
    return " ".join(said)


def _cell(row, column):
    value = _number(row.get(column))
    if column != VALUE[0] or row.get(VALUE[1]) is None:
        return value
    return joined(element("b", value), element("small", f" ± {_number(row['error'])}"))


def _number(value) -> str:
    if value is None:
        return ""
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{value:.4g}" if numeric else text(value)


def options(found: Contents) -> Html:
    """All of config.json's "config", and what it says of the images."""
    rest = {n: found.run[n] for n in OTHER_SETTINGS if n in found.run}
    return joined(
        _pairs(found.config or {"config.json": "is not there"}),
        element("h3", "Images") if rest else "",
        _pairs(rest),
    )


def environment(found: Contents) -> Html:
    """Versions and devices, of the first step and of each time these changed."""
    made_by = found.run.get("made_by")
    parts = [_pairs(made_by if isinstance(made_by, dict) else {"made by": None})]
    for one in found.continued:
        changed, its = one.get("config"), one.get("made_by")
        title = f"Continued from step {text(one.get('step'))}"
        both = {**(changed if isinstance(changed, dict) else {})}
        before = made_by if isinstance(made_by, dict) else {}
        now = its if isinstance(its, dict) else {}
        both |= {n: x for n, x in now.items() if before.get(n) != x}
        parts += [element("h3", title), _pairs(both or {"changed": "nothing"})]
    return joined(*parts)


def _pairs(values: dict[str, Any]) -> Html:
    each = (
        element("div", element("dt", name), element("dd", text(value)))
        for name, value in values.items()
    )
    return element("dl", *each, class_="pairs")


def log(found: Contents) -> Html:
    """The last lines of the log, and what there is not."""
    lines = found.log[-LINES:]
    title = element("summary", f"log.txt, {len(lines):,} lines")
    said = (element("p", element("small", x)) for x in found.missing)
    folded = element("details", title, element("pre", "\n".join(lines)), class_="card")
    return joined(folded if lines else "", *said)
