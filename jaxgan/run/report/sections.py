"""The parts of a report: samples, curves, measures, options, log."""

from jaxgan.run.progress import duration
from jaxgan.run.report import chart, curves, measured
from jaxgan.run.report.contents import Contents
from jaxgan.run.report.html import Html, element, joined
from jaxgan.run.report.pictures import MEMBERS, Picture, Shown
from jaxgan.run.report.values import as_dict, pairs, text

__all__ = [
    *("environment", "log", "metrics", "options", "samples", "speed"),
    *("summary", "warned"),
]

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


def summary(found: Contents, seconds: float | None) -> Html:
    """Tiles of what is asked first, and how far the run is."""
    steps, batch = (found.config.get(name) for name in ("steps", "batch_size"))
    last = f"{steps:,}" if type(steps) is int else text(steps)
    tiles = {"Step": f"{found.step:,}" + (f" of {last}" if steps else "")}
    if isinstance(batch, int):
        tiles["Images seen"] = chart.short(found.step * batch)
    if seconds:
        tiles["Time in training steps"] = duration(seconds)
    for name, label, unit in LAST:
        known = next((x[name] for x in reversed(found.timings) if name in x), None)
        if isinstance(known, int | float):
            tiles[label] = f"{chart.short(known)}{unit}"
    if len(found.best) == 1:
        tiles |= measured.best(next(iter(found.best.values())))
    each = (
        element("div", element("b", v), element("span", n), class_="tile")
        for n, v in tiles.items()
    )
    done = ""
    if type(steps) is int and steps > 0:
        label = f"{found.step} of {steps} steps"
        done = element("progress", label, value=found.step, max=steps, aria_label=label)
    return joined(done, element("div", *each, class_="tiles"))


def warned(found: Contents) -> Html:
    """The warnings of the log."""
    if not found.warnings:
        return Html("")
    count = len(found.warnings)
    title = element("b", f"{count} warning{'s' * (count > 1)}")
    texts = (x.removeprefix("Warning").lstrip(": ") for x in found.warnings)
    each = (element("li", x[:1].upper() + x[1:]) for x in texts)
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
    said = {name: f"{label}{unit and ','}{unit}" for name, label, unit in LAST}
    named = (plot.named(said.get(plot.title, plot.title)) for plot in plots)
    return charts([*named])


def options(found: Contents) -> Html:
    """All of config.json's "config", and what it says of the images."""
    rest = {n: found.run[n] for n in OTHER_SETTINGS if n in found.run}
    return joined(
        pairs(found.config or {"config.json": "is not there"}),
        element("h3", "Images") if rest else "",
        pairs(rest),
    )


def environment(found: Contents) -> Html:
    """Versions and devices, of the first step and of each time these changed."""
    before = as_dict(found.run.get("made_by"))
    parts = [pairs(before or {"made by": "not known"})]
    for one in found.continued:
        now = as_dict(one.get("made_by"))
        changed = {n: x for n, x in now.items() if before.get(n) != x}
        both = as_dict(one.get("config")) | changed
        parts.append(element("h3", f"Continued from step {text(one.get('step'))}"))
        parts.append(pairs(both or {"changed": "nothing"}))
    return joined(*parts)


def log(found: Contents) -> Html:
    """The last lines of the log, and what there is not."""
    lines = found.log[-LINES:]
    title = element("summary", f"log.txt, {len(lines):,} lines")
    said = (element("p", element("small", x)) for x in found.missing)
    folded = element("details", title, element("pre", "\n".join(lines)), class_="card")
    return joined(folded if lines else "", *said)
