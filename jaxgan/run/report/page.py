"""A workdir as one page of HTML that needs nothing else."""

import base64
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import resources

from jaxgan.run.report import curves, measured, pictures, sections
from jaxgan.run.report.contents import Contents
from jaxgan.run.report.html import Html, element, joined
from jaxgan.run.report.values import as_dict, text

__all__ = ["page"]


def page(found: Contents, members: tuple[str, ...], encode: Callable) -> str:
    """The page.

    All that files say is escaped, and the browser is told to run no other script than
    the page's own, by its digest, and to load nothing.

    Args:
        found: what there is to show.
        members: what they are called, or none where that is not known.
        encode: of `pictures.encoder`.
    """
    members = members or _numbered(found)
    shown = pictures.shown(found.sheets, encode)
    seconds = curves.training_seconds(found.timings, found.config.get("batch_size"))
    named = members if len(members) > 1 else ()
    parts = {
        "Samples": sections.samples(shown, named),
        "Measures": measured.measures(found),
        "Curves": sections.metrics(found, members),
        "Time and memory": sections.speed(found),
        "Options": element("div", sections.options(found), class_="card"),
        "Environment": element("div", sections.environment(found), class_="card"),
        "Log": sections.log(found),
    }
    links = (element("a", title, href=f"#{_id(title)}") for title in parts)
    each = (
        element("section", element("h2", title), part, id=_id(title))
        for title, part in parts.items()
    )
    body = joined(
        element("header", *_heading(found), element("nav", *links)),
        sections.summary(found, seconds),
        sections.warned(found),
        *each,
    )
    return _whole(f"{found.name}: {_experiment(found)}", body)


def _experiment(found):
    return text(found.run.get("experiment") or "a run")


def _heading(found: Contents):
    yield element("h1", found.name)
    made_by = as_dict([found.run, *found.continued][-1].get("made_by"))
    data, device = found.config.get("data"), made_by.get("device")
    said = [_experiment(found)]
    said += [f"trained on {text(data)}"] if data else []
    if device:
        said.append(f"on {text(made_by.get('devices'))} × {text(device)}")
    said += [f"jaxgan {text(made_by['jaxgan'])}"] if "jaxgan" in made_by else []
    said.append(f"written {datetime.now(UTC):%Y-%m-%d %H:%M} UTC")
    yield element("p", " · ".join(said), class_="soft")


def _numbered(found: Contents) -> tuple[str, ...]:
    """Members by their number, as many as there are lists for or sheets of."""
    lengths = (len(x) for m in found.metrics[:1] for x in m.values() if type(x) is list)
    count = max([1, *lengths, *(sheet.member + 1 for sheet in found.sheets)])
    return tuple(f"member {k}" for k in range(count))


def _id(title):
    return title.lower().replace(" ", "-")


def _file(name):
    return (resources.files("jaxgan.run.report") / name).read_text("utf-8")


def _whole(title, body) -> str:
    style, script = _file("page.css"), _file("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    allowed = (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=allowed),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("style", Html(style)),
    )
    end = element("script", Html(script))
    whole = element("html", head, element("body", body, end), lang="en")
    return f"<!doctype html>\n{whole}\n"
