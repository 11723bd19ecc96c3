"""What can be done with a trained run: sample, translate, evaluate, export."""

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

from jaxgan.metrics import report
from jaxgan.phases.posthoc import LONGEST, SHORTEST
from jaxgan.run import (
    atomic,
    dissecting,
    draws,
    evaluation,
    export,
    files,
    marks,
    mixing,
    neighbours,
    people,
    projecting,
    provenance,
    references,
    sampling,
    scores,
    tables,
    usefulness,
    walks,
    workdir,
)
from jaxgan.run.loading import Loaded, rebuilt
from jaxgan.run.report import Report
from jaxgan.run.report import report as write_report
from jaxgan.run.settings import FILE, Count, Range, Seed
from jaxgan.run.trained import Command, Trained, of_noise
from jaxgan.text import printable
from jaxgan.types import UsageError

__all__ = [
    "COMMANDS",
    "Command",
    "Evaluate",
    "Loaded",
    "Trained",
    "Translate",
    "evaluate",
    "translate",
]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Translate(Trained):
    """Translate image files with a trained run."""

    input: Annotated[str, FILE]
    """An image file, a folder of them and of folders, or a zip archive, of any sizes,
    which they keep: --resize and --crop are of training. Of label maps the pixels are
    numbers of classes; a hole is where a file is transparent, or white in --hole."""
    out: Annotated[str, FILE] = "translated"
    """The folder to write PNG files of the same names to, 16-bit ones of gray of a run
    of --depth 16; of one file, also its name, ending in .png."""
    back: bool = False
    """The other way (CycleGAN)."""
    hole: Annotated[str | None, FILE] = None
    """For inpainting: an image that is white, and not transparent, where the hole
    is."""
    style: Annotated[str | None, FILE] = None
    """An image, of which the middle is taken, whose style all take (SPADE, unless
    trained with --no-encoder); default, each one as drawn of --seed and its name."""
    batch_size: Count = 8
    """Files of one size to translate at a time, at most."""
    tile: str = "auto"
    """Translate larger files in tiles with sides of so many pixels; auto: in such as
    memory allows, where it does not for the whole; none: always whole."""
    seed: Seed = 0
    """Decides the noise."""
    noise: Literal["own", "same"] = "own"
    """own: each file's, by its name; same: one noise for all."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluate(Trained):
    """Measure what a trained run draws: samples, or translations, beside answers
    without learning."""

    num: Count = 10000
    """How many samples or translations, and real images beside them. By Inception,
    50000 against all training images are the fid50k_full and kid50k_full of papers."""
    metrics: tuple[str, ...] | None = None
    """What to measure; default all that there is for such images."""
    data: str | None = None
    """Images to translate, as in training, of which a split for tests or validation is
    taken if there is one; default the run's own, or, where it has no such split, those
    that it was trained on."""
    reference: str | None = None
    """Real images, as --data takes them in training; default the run's own."""
    reference_num: Annotated[int | None, Range(1)] = None
    """At most how many real images to compare with; default all."""
    back: bool = False
    """The other way (CycleGAN)."""
    inception_weights: Annotated[str | None, FILE] = None
    """The file weights-inception-2015-12-05-6726825d.pth, for FID, KID and Inception
    Score; without it digits are judged by a small classifier that comes with jaxgan,
    translations by a bank of filters."""
    by_people: Annotated[str | None, FILE] = None
    """Measure nothing, but write this HTML file, on which people tell real images from
    drawn ones, or of a translator's pairs the true target from what was drawn."""
    judgements: Count = 100
    """How many images, or pairs, are on it."""
    people: tuple[str, ...] | None = None
    """Files of answers that such pages gave; their error rate (HYPE, arXiv:1904.01121)
    is reported beside the other measures."""
    sigma_rels: Annotated[tuple[float, ...], Range(SHORTEST, LONGEST)] = ()
    """Measure the average of each of these --sigma-rel, to choose by."""
    out: Annotated[str | None, FILE] = None
    """The JSON to write. Default WORKDIR/evaluation.json, of --back
    evaluation_back.json."""
    seed: Seed = 0
    """Decides what is drawn, and which images are taken."""


def translate(options: Translate, loaded: Loaded) -> None:
    """Writes translations of a user's files."""
    _, draw = of_noise(loaded, False, options.back)
    source = marks.COMPOSITE if draw.task.file == "hole" else marks.TRAINED
    written = files.translate(
        draw,
        loaded.state,
        loaded.run.shape,
        Path(options.input),
        Path(options.out),
        hole=None if options.hole is None else Path(options.hole),
        style=None if options.style is None else Path(options.style),
        batch_size=options.batch_size,
        seed=options.seed,
        same_noise=options.noise == "same",
        deep=(loaded.run.levels or 0) > 255,
        void=loaded.run.config.void,
        tile=options.tile,
        about=provenance.by_command("translate", options, loaded, source=source),
    )
    one = len(written) == 1
    text = str(written[0]) if one else f"{len(written)} images in {options.out}"
    print(printable(text))


def evaluate(options: Evaluate, loaded: Loaded) -> None:
    """Prints a table and writes its figures as JSON; or writes a page for people."""
    if options.by_people:
        name, _, (_, dataset, _, notes) = _compared(options, loaded)
        args = loaded, name, dataset, options.judgements, options.seed
        print(people.write(Path(options.by_people), *args), *notes, sep="\n")
        return
    out = _json(options, loaded)
    if options.sigma_rels:
        _swept(options, lambda sigma: _report(options, rebuilt(loaded, sigma)), out)
        return
    result = _report(options, loaded)
    _write(out, result)
    print(report.table(result))
    step, weights = result["step"], result["weights"]
    of = f" of sigma_rel {loaded.sigma_rel}," if loaded.sigma_rel else ""
    print(f"The {weights} weights{of} of step {step}. Written to {out}.")


def _swept(options: Evaluate, report_of, out):
    """The figures by sigma_rel: `sigma_rel -> report`, of one run or of members."""
    try:
        result = tables.swept({s: report_of(s) for s in options.sigma_rels})
    except UsageError as error:
        mine = error.option == "sigma_rel"
        raise (error.renamed("sigma_rels") if mine else error) from None
    _write(out, result)
    print(tables.swept_table(result))
    print(f"Written to {out}.")


def evaluate_all(options: Evaluate, members: list[Loaded]) -> None:
    """The same of all members: a mean and a deviation, and each beside them."""
    for option in ("by_people", "people"):
        if getattr(options, option):
            reason = ": people judge one member; choose it by `member`."
            raise UsageError(option, None, reason)
    out = _json(options, members[0])
    names = [one.name for one in members]

    def joined(of):
        return tables.joined([_report(options, of(one)) for one in members], names)

    if options.sigma_rels:
        _swept(options, lambda s: joined(lambda one: rebuilt(one, s)), out)
        return
    result = joined(lambda one: one)
    _write(out, result)
    print(tables.table(result))
    print(f"Written to {out}.")


def _write(out, result):
    with atomic.written("out", out):
        atomic.write_json(out, result)


def _json(options, loaded: Loaded) -> Path:
    """The file to write figures to, if it can be."""
    name = "evaluation_back.json" if options.back else "evaluation.json"
    out = loaded.path / name if options.out is None else Path(options.out)
    workdir.writable(out.parent, "out")
    if out.is_dir():
        raise UsageError("out", out, "is a folder; name a file.")
    return out


def _compared(options: Evaluate, loaded: Loaded):
    """The draw, and what `references.compared` has of it."""
    name = "back" if options.back else evaluation.main_draw(loaded.model)
    if options.back:
        of_noise(loaded, False, back=True)  # or it is refused
    draw = loaded.model.draws[name]
    return name, draw, references.compared(options, loaded, draw)


def _report(options: Evaluate, loaded: Loaded) -> dict:
    """The figures of one run, with what they are of."""
    cfg, state = loaded.run.config, loaded.state
    name, draw, (reference, dataset, floor, notes) = _compared(options, loaded)
    said = people.judged(options.people, loaded, name) if options.people else None
    weights = options.inception_weights or cfg.inception_weights
    mesh = draws.mesh_of(state)
    judged = loaded.model, draw, weights, reference
    try:
        result = evaluation.evaluate(
            loaded.model,
            state,
            name,
            dataset=dataset,
            reference=reference,
            floor=floor,
            num_classes=loaded.num_classes,
            extractor=evaluation.extractor_for(*judged, mesh),
            names=options.metrics,
            num=options.num,
            seed=options.seed,
            reference_num=options.reference_num,
            training_set=options.reference is None,
            measures=loaded.measures,
        )
    except UsageError as error:
        real = "reference" if options.reference else "data"
        names = {"reference": real, "floor": real, "samples": "data", "real": "data"}
        raise error.renamed(names.get(error.option or "", error.option)) from None
    if held_out := loaded.run.held_out:
        apart = f"{held_out} of its images were held out to choose the best state by."
        notes = (*notes, apart)
    result["notes"] = [*dict.fromkeys([*notes, *result["notes"]])]
    settled = draws.settles(loaded.model, state)
    result |= {
        "batch_norm": "standing statistics" if settled else None,
        "workdir": str(loaded.path),
        "member": loaded.member,
        "step": int(state.step),
        "checkpoint": "best" if options.best else "newest",
        "weights": "live" if options.live else "averaged",
        "sigma_rel": loaded.sigma_rel,
        "profile_error": loaded.profile_error,
        "seed": options.seed,
    }
    return people.added(result, said) if said else result


def _check_evaluate(options: Evaluate) -> None:
    """Refuses options that would do nothing, before anything is loaded."""
    if options.by_people and options.people:
        reason = "is for figures, and by_people writes a page; give one of them."
        raise UsageError("people", " ".join(options.people), reason)
    for name in ("sigma_rel", "live", "by_people", "people"):
        if options.sigma_rels and getattr(options, name):
            raise UsageError("sigma_rels", None, f"and `{name}` exclude each other.")


COMMANDS = {
    "sample": Command(sampling.Sample, sampling.sample, check=sampling.check),
    "translate": Command(Translate, translate),
    "evaluate": Command(Evaluate, evaluate, evaluate_all, check=_check_evaluate),
    "report": Command(Report, write_report, loads=False),
    "export": Command(export.Export, export.export, check=export.check),
    "interpolate": Command(walks.Interpolate, walks.interpolate, check=walks.check),
    "mix": Command(mixing.Mix, mixing.mix, check=mixing.check),
    "directions": Command(
        walks.Directions, walks.directions, check=walks.check_directions
    ),
    "project": Command(projecting.Project, projecting.project, check=projecting.check),
    "scores": Command(scores.Scores, scores.scores, check=scores.check),
    "cas": Command(usefulness.Usefulness, usefulness.usefulness),
    "neighbours": Command(
        neighbours.Neighbours, neighbours.neighbours, check=neighbours.check
    ),
    "dissect": Command(dissecting.Dissect, dissecting.dissect, check=dissecting.check),
}
