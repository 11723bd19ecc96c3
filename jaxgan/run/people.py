"""Pages for people to judge images on, and what they said, for `evaluate`."""

import base64
import hashlib
import io
import json
from pathlib import Path

import numpy as np
from PIL import Image

from jaxgan import data
from jaxgan.data import Dataset, outside
from jaxgan.data.tree import some
from jaxgan.metrics import people
from jaxgan.run import atomic, draws, people_page
from jaxgan.run.loading import Loaded
from jaxgan.run.sides import sides
from jaxgan.types import Draw, UsageError

__all__ = ["FIGURE", "added", "judged", "write"]

FIGURE = "human_error_rate"
FOLDER = "people"
"""In a workdir, what is true of each page that was written."""
FORMAT = "jaxgan people 1"
KEPT = frozenset({"draw", "kind", "member", "step", "truth"})
"""What is read of it."""


def write(
    path: Path, loaded: Loaded, name: str, dataset: Dataset, num: int, seed: int
) -> str:
    """Writes a page, and in the workdir what is true of it.

    Args:
        path: the HTML file.
        loaded: the run.
        name: of the draw.
        dataset: real images, beside samples from noise; of translators what they
            translate.
        num: how many are shown, half of them real; of pairs, how many pairs.
        seed: decides which, what is drawn, and the order.

    Returns:
        A sentence on what is there.

    Raises:
        UsageError: there are too few images, or the file cannot be written.
    """
    of = loaded.model.draws[name]
    rng = np.random.default_rng((seed, 3))  # of its own, beside evaluations' orders
    both = None if draws.from_noise(of) else sides(dataset, of.task)
    kind = "two" if both and both.paired else "one"
    there = both.sources.size if both else dataset.size
    most = there if kind == "two" else 2 * there
    if not 2 <= num <= most:
        raise UsageError(
            "judgements", num, f"must be in 2 ... {most}, of {there} images."
        )
    make = _pairs if kind == "two" else _singles
    items, truth = make(loaded, of, name, dataset, num, seed, rng)
    content = "".join(x for item in items for x in item["images"])
    page = hashlib.sha256(content.encode()).hexdigest()[:32]
    held = {
        "page": page,
        "kind": kind,
        "draw": name,
        "step": int(loaded.state.step),
        "member": loaded.member,
        "seed": seed,
        "truth": list(map(int, truth)),
    }
    text = people_page.page(page, kind, items, people.veil(page, truth))
    kept = _kept(loaded, page)
    for option, file, what in (
        ("workdir", kept, json.dumps(held)),
        ("by_people", path, text),
    ):
        with atomic.written(option, file):
            file.parent.mkdir(parents=True, exist_ok=True)
            atomic.write_text(file, what)
    shown = f"{num} pairs" if kind == "two" else f"{num} images, half of them real,"
    return f"{shown} to judge in {path}; then: evaluate --people ANSWERS.json."


def _kept(loaded, page):
    return loaded.path / FOLDER / f"{page}.json"


def _singles(loaded, of: Draw, name, dataset, num, seed, rng):
    """Images one at a time, and whether each is drawn."""
    half = num // 2
    if draws.from_noise(of):
        real, labels = dataset, None
        if "label" in of.task.needs:
            labels = draws.labels_like(real, half, seed)
        args = loaded.model, loaded.state, half, seed
        named = {"num_classes": loaded.num_classes, "labels": labels, "name": name}
        drawn, _ = draws.draw(*args, **named)
    else:
        both = sides(dataset, of.task)
        real = both.targets
        found = draws.translations(of, loaded.state, dataset, seed)
        drawn = _images(found, rng.permutation(found.size)[:half])
    reals = _images(real, rng.permutation(real.size)[: num - half])
    truth = rng.permutation(np.arange(num) < len(drawn))
    left = {False: iter(reals), True: iter(drawn)}
    return [{"images": [_png(next(left[bool(t)]))]} for t in truth], truth


def _pairs(loaded, of: Draw, name, dataset, num, seed, rng):
    """What was given, the true target and what was drawn, and whether the second is."""
    found = draws.translations(of, loaded.state, dataset, seed)
    shown = draws.plain(of, draws.mesh_of(loaded.state), dataset, seed)
    index = rng.permutation(found.size)[:num]
    rows, given = found.fetch(index), _images(shown, index)
    truth = rng.permutation(np.arange(num) < num // 2)
    items = []
    for i, second in enumerate(truth):
        two = [_png(data.eight_bits(rows)[k][i]) for k in ("target", "image")]
        items.append({"given": _png(given[i]), "images": two if second else two[::-1]})
    return items, truth


def _images(dataset, index):
    return data.eight_bits(dataset.fetch(index))["image"]


def _png(image: np.ndarray) -> str:
    """A PNG in base64, of pixels alone: nothing in it says where it comes from."""
    file = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def judged(paths: tuple[str, ...], loaded: Loaded, name: str) -> dict:
    """What people said of a run's pages.

    Args:
        paths: files that pages gave.
        loaded: the run.
        name: of the draw.

    Returns:
        "error_rate", "interval" (95 %), "deviation", "on_real" and "on_drawn",
        "judgements" and "people"; "needed", judgements for an interval of ± 5 points;
        and the "pages", each with its step.

    Raises:
        UsageError: a file cannot be read, is of another run or draw, or given twice.
    """
    truths, answers, pages = [], [], {}
    seen: dict[tuple, str] = {}
    for path in paths:
        said = _answers(path)
        held = _held(path, said["page"], loaded, name)
        person = said["page"], tuple(said["answers"]), said.get("judge")
        if person in seen:
            raise UsageError(
                "people", path, f"has the answers of {seen[person]} again."
            )
        seen[person] = path
        if len(said["answers"]) != len(held["truth"]):
            counts = f"{len(said['answers'])} answers to {len(held['truth'])} questions"
            raise UsageError("people", path, f"has {counts}.")
        truths.append(np.array(held["truth"], bool))
        answers.append(np.array(said["answers"], bool))
        pages[said["page"]] = {"step": held["step"], "kind": held["kind"]}
    if len({page["kind"] for page in pages.values()}) > 1:
        reason = "are of pages that ask differently; give those of one kind."
        raise UsageError("people", " ".join(paths), reason)
    found = people.verdict(truths, answers)
    return found._asdict() | {
        "needed": people.needed(found.error_rate),
        "pages": pages,
    }


def _answers(path) -> dict:
    try:
        found = outside.read_json(Path(path).expanduser())
    except OSError as error:
        raise UsageError("people", path, f"cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise UsageError("people", path, f"is not JSON: {error}.") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        reason = "holds no answers: it is not what a page of `by_people` gave."
        raise UsageError("people", path, reason)
    said = found.get("answers")
    page = found.get("page")
    whole = isinstance(said, list) and all(
        type(answer) is int and answer in (0, 1) for answer in said
    )
    hexadecimal = isinstance(page, str) and len(page) == 32 and page.isalnum()
    if not whole or not said or not hexadecimal:
        raise UsageError("people", path, "is damaged: its answers are not 0 and 1.")
    if not isinstance(found.get("judge", ""), str):
        raise UsageError("people", path, "is damaged: its judge is no text.")
    return found


def _held(path, page, loaded, name) -> dict:
    """What is true of the page that was answered."""
    try:
        held = json.loads(_kept(loaded, page).read_text())
    except (OSError, ValueError):
        known = sorted(p.stem[:8] for p in (loaded.path / FOLDER).glob("*.json"))
        its = f"whose pages are {some(known)}" if known else "which has no page yet"
        reason = f"is of page {page[:8]}, and not of this run, {its}."
        raise UsageError("people", path, reason) from None
    if not isinstance(held, dict) or not held.keys() >= KEPT:
        kept = _kept(loaded, page)
        raise UsageError("people", path, f"is of page {page[:8]}; {kept} is damaged.")
    if (held["draw"], held["member"]) != (name, loaded.member):
        whose = f"draw {held['draw']}"
        whose += "" if held["member"] is None else f" of member {held['member']}"
        raise UsageError("people", path, f"is of the {whose}, not of this one.")
    return held


def added(result: dict, said: dict) -> dict:
    """A report with what people said in it."""
    first: dict = next(iter(result["metrics"].values()), {})
    row = dict.fromkeys(first) | {
        "value": said["error_rate"],
        "error": said["deviation"],
    }
    low, high = said["interval"]
    note = (
        f"{FIGURE} is HYPE's: {said['judgements']} judgements by {said['people']} "
        f"people, 95 % interval {low:.3f} to {high:.3f}, 0.5 where they cannot tell. "
        f"± 0.05 takes {said['needed']} judgements."
    )
    steps = {page["step"] for page in said["pages"].values()} - {result["step"]}
    old = f"People judged step {', '.join(map(str, sorted(steps)))}."
    notes = [*result["notes"], note, *([old] if steps else [])]
    figures = result["metrics"] | {FIGURE: row}
    return result | {"metrics": figures, "people": said, "notes": notes}
