"""What the loop does between steps: log, sample, evaluate, save."""

from collections.abc import Callable, Iterable
from pathlib import Path

import jax
import numpy as np

from jaxgan import visual
from jaxgan.run import best_state, checkpoint, finite, marks, memory, provenance, report
from jaxgan.run.images import save_png
from jaxgan.run.loop import Hook, Now
from jaxgan.run.members import member_of
from jaxgan.run.progress import Shown, duration
from jaxgan.run.record import Sink
from jaxgan.types import Metrics

__all__ = [
    "bar",
    "evaluate",
    "log",
    "pace",
    "progress",
    "sample",
    "save",
    "window",
]


PACE = 5.0
"""Seconds after which a run says how long it will take."""


def bar(shown: Shown) -> Hook:
    """After each dispatch, moves the progress bar."""

    def move(now: Now):
        shown.update(now.step - shown.n)

    return Hook(0, move)


def pace(start: int, steps: int, logger: Callable) -> Hook:
    """Says once how long a step takes, and how long the rest will.

    Args:
        start: the step that the run begins from.
        steps: the last one.
        logger: is told, when the device has taken steps for `PACE` seconds.
    """
    said = False

    def say(now: Now):
        nonlocal said
        if said or now.taken < PACE or now.step in (start, steps):
            return
        said = True
        each = now.taken / (now.step - start)
        rest = duration(each * (steps - now.step))
        left = f"the other {steps - now.step:,} take {rest}"
        logger(f"A step takes {duration(each)}: {left}.")

    return Hook(0, say)


def progress(run, start: int, stack, logger: Callable) -> list[Hook]:
    """Say how long it will take, and show how far it is in `report.html`.

    Args:
        run: `prepare.Prepared`.
        start: the step that it begins from.
        stack: an `ExitStack`, at whose end the last page is written.
        logger: is told.
    """
    cfg, found = run.cfg, [pace(start, run.cfg.steps, logger)]
    if cfg.report:
        names = tuple(member.name for member in run.members)
        page = report.writer(run.path, names, cfg.log_every, logger)
        found.append(stack.enter_context(page))
    return found


def log(
    every: int,
    start: int,
    batch_size: int,
    sinks: list[Sink],
    shown: Shown,
    look: Callable,
) -> Hook:
    """Writes the means of metrics to the sinks, and losses beside the bar."""
    before = start

    def write(now: Now):
        nonlocal before
        totals = jax.device_get(now.metrics)
        skipped = totals.pop(finite.SKIPPED, None)
        means = {name: _mean(m) for name, m in totals.items()}
        means = {name: m for name, m in sorted(means.items()) if m is not None}
        if skipped and np.any(skipped.total):
            means[finite.SKIPPED] = np.asarray(skipped.total).tolist()
        speed = (now.step - before) * batch_size / now.seconds
        before = now.step
        for sink in sinks:
            sink.scalars(now.step, means | {"kimg": now.step * batch_size / 1000})
            sink.timings(now.step, {"images_per_s": speed} | memory.used())
        losses = {n: m for n, m in means.items() if "loss" in n or n == "distance"}
        said = [f"{name} {_over_members(m):.3f}" for name, m in losses.items()]
        if warned := look(now.step, means):
            said.append(f"{warned} warning{'s' * (warned > 1)}: see the log")
        shown.set_postfix_str("  ".join((f"{speed:.0f} images/s", *said)))
        return True

    return Hook(every, write)


def _over_members(value):
    values = value if isinstance(value, list) else [value]
    return np.mean([v for v in values if v is not None])


def _mean(mean):
    """A metric's mean, a list of one for each member; None of what was not seen."""
    total, count = np.asarray(mean.total, np.float64), np.asarray(mean.count)
    if not count.any():
        return None
    if count.all():
        return (total / count).tolist()
    pairs = zip(total.tolist(), count.tolist(), strict=True)
    return [t / c if c else None for t, c in pairs]


def _unless_nan(run: Callable, what: str, logger: Callable) -> Callable:
    """A hook that is told of in the log where images hold NaN, and training goes on."""

    def tried(now: Now):
        try:
            run(now)
        except visual.NotFinite as error:
            logger(f"Step {now.step}: no {what}. {error}")

    return tried


def sample(
    every: int,
    sheets: list[Callable],
    seeds: list[int],
    path: Path,
    sinks: list[Sink],
    logger: Callable,
    looks: Iterable[Callable],
) -> Hook:
    """Draws a sheet of samples of each member, to `samples/` and the sinks.

    Args:
        every: steps between them.
        sheets: for each member, `state -> sheets.Sheet`.
        seeds: of each.
        path: the workdir.
        sinks: where else to write them.
        logger: is told where they hold NaN.
        looks: `(step, member, state, sheet)`, which warn of what goes wrong.
    """

    def draw(now: Now):
        for k, sheet in enumerate(sheets):
            one = len(sheets) == 1
            state = now.state if one else member_of(now.state, k)
            shown = sheet(state)
            for look in looks:
                look(now.step, k, state, shown)
            end = "" if one else f"-{k}"
            file = path / "samples" / f"{now.step:06d}{end}.png"
            save_png(file, shown.picture, 2, _about(state, seeds[k], shown))
            for sink in sinks:
                sink.image(now.step, f"samples{end}", shown.picture)

    return Hook(every, _unless_nan(draw, "samples", logger))


def _about(state, seed, shown):
    """How a sheet was made; one of translations shows real images, too. Nothing of the
    weights: by other numbers of devices their last bits differ, and no pixel."""
    source = marks.TRAINED if shown.samples is not None else marks.COMPOSITE
    about = provenance.drawn(state, "training", seed, source=source, weights=None)
    return {name: value for name, value in about.items() if value is not None}


def evaluate(
    every: int, judges: list, sinks: list[Sink], logger: Callable
) -> list[Hook]:
    """Measures samples of each member, and keeps the best state of each.

    Args:
        every: steps between evaluations.
        judges: for each member an `evaluation.Followed`; without any, no hook.
        sinks: where figures are written to.
        logger: is told them.
    """

    def measure(now: Now):
        one, found = len(judges) == 1, []
        for k, judge in enumerate(judges):
            state = now.state if one else member_of(now.state, k)
            figures = judge.of(state)
            found.append(figures)
            value = next(iter(figures.values()))
            args = judge.figure, value, judge.lower_is_better
            best = best_state.keep(judge.folder, state, *args)
            shown = ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
            who = "" if one else f"member {k}: "
            logger(
                f"Step {now.step}: {who}{shown}{', the best so far' if best else ''}"
            )
        joined = found[0] if one else {n: [f[n] for f in found] for n in found[0]}
        for sink in sinks:
            sink.scalars(now.step, joined)

    tried = _unless_nan(measure, "evaluation", logger)
    return [Hook(every, tried)] if judges else []


def save(every: int, saved, streak: Callable) -> Hook:
    """Saves the state, unless the last steps were left out.

    Args:
        every: steps.
        saved: of `checkpoint.writer`.
        streak: of `guard.Guarded`.
    """

    def keep(now: Now):
        if streak() is None:  # else the last good state must stay the newest
            checkpoint.save(saved, now.state, window(now.metrics))

    return Hook(every, keep)


def window(metrics: Metrics, streak: dict | None = None) -> dict:
    """What is saved beside a state, as JSON takes it, so that a run that is continued
    writes the same next line, and ends where it would have.

    Args:
        metrics: the sums since the last line of metrics.jsonl.
        streak: of `guard.Guarded`.
    """
    sums = {n: [*mean] for n, mean in metrics.items()}
    sums = jax.tree.map(lambda x: np.asarray(x).tolist(), sums)
    return {"metrics": sums, "streak": streak}
