"""From a config to a trained GAN in a workdir.

    model, state = train(config, build, "dcgan_mnist")

`build(config, shape, num_classes) -> Model` makes the networks and the recipe for
images of `shape`. Step k's randomness and data depend on (seed, k) alone, so a run that
was interrupted and continued is the run that was not, bit for bit on the same kind of
device.
"""

import contextlib
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from jaxgan import parallel
from jaxgan.data import SOURCES, Dataset, centred, feed
from jaxgan.metrics import MEASURES
from jaxgan.run import (
    apart,
    checkpoint,
    config,
    evaluation,
    hooks,
    inputs,
    members,
    program,
    progress,
    provenance,
    record,
    settings,
    sheets,
    workdir,
)
from jaxgan.run.loop import Now, loop
from jaxgan.types import TrainState, UsageError

__all__ = ["Interrupted", "train"]


class Interrupted(Exception):
    """The user stopped the run; its text, also logged, says how to continue."""


class Prepared(NamedTuple):
    """A run of which all is known to fit, before anything is compiled or changed."""

    cfg: config.Config
    path: Path
    mesh: parallel.Mesh
    whole: Dataset
    """What is fed, before a random crop."""
    dataset: Dataset
    """As networks see it."""
    change: feed.Change
    members: tuple[members.Member, ...]
    model_of: Callable
    """`swept values -> model`."""
    sheets: list[Callable]
    """For each member, `state -> uint8 [H, W, C]`."""
    judges: list
    """For each member; none without evaluations."""
    held_out: int
    """Images that are not trained on."""
    notes: tuple[str, ...]
    """For the log."""
    start: program.Start
    donor: TrainState | None
    """A state whose weights a new run starts from."""
    older: list[str]
    """Options that the run in the workdir is older than, and goes on without."""


def train(
    cfg: config.Config,
    build: Callable,
    experiment: str = "notebook",
    *,
    data=None,
    measures=MEASURES,
    sources=SOURCES,
):
    """Trains, or continues, a GAN.

    Args:
        cfg: the options.
        build: `(config, shape (H, W, C), num_classes) -> Model`.
        experiment: names the run; the default workdir is `runs/<experiment>`.
        data: a `Dataset`, or uint8 or uint16 images `[N, H, W, C]`, or those and their
            labels `[N]`, in place of what `cfg.data` names; of its test images nothing
            is known, so draws of images are shown on it.
        measures: what `cfg.evaluate_metrics` chooses from.
        sources: what `cfg.data` chooses from.

    Returns:
        `(model, state)`; with several members the state is a stack of theirs.

    Raises:
        UsageError: an option cannot be met; nothing has been compiled or changed.
        Interrupted: by SIGINT or SIGTERM, after saving.
        Diverged: a metric is NaN or infinite; the last checkpoint is from before.
    """
    run = _prepared(cfg, build, experiment, data, measures, sources)
    seen = run.dataset
    known = seen.shape, seen.class_names, seen.levels, run.held_out
    this = workdir.Run(experiment, run.cfg, *known)
    step = max(checkpoint.steps(run.path / checkpoint.NEWEST), default=0)
    made_by = provenance.made_by(run.mesh.devices.flat)
    elsewhere = provenance.moved(workdir.last_made_by(run.path), made_by)
    if elsewhere and 0 < step < cfg.steps:
        run = run._replace(notes=(*run.notes, elsewhere))
    workdir.open_run(run.path, this, made_by, step)
    with contextlib.ExitStack() as stack:
        seeds = tuple(member.seed for member in run.members)
        source = feed.feed(run.whole, seeds, cfg.batch_size, run.change, run.mesh)
        stack.callback(source.close)
        return run.model_of(run.members[0].values), _train(run, source, stack)


def _prepared(cfg, build, experiment, data, measures, sources) -> Prepared:
    cfg = settings.expanded(cfg)
    config.check(cfg)
    path = Path(cfg.workdir or workdir.default(experiment))
    cfg, older = workdir.adopted(path, cfg)
    who = members.members(cfg)
    mesh = parallel.mesh(parallel.devices("tpu" if cfg.tpu else cfg.platform))
    parallel.check_batch_size(cfg.batch_size, mesh.size)
    if data is None:
        whole = inputs.load(cfg, centre=False, sources=sources)
    else:
        whole = inputs.given(cfg, data)
        cfg = settings.changed(cfg, data=whole.name)
    change = inputs.change(cfg, whole.shape)
    shown = _centred(whole, change)
    model_of = members.varied(build, cfg, shown.shape, shown.num_classes)
    start = program.start(model_of, who, shown.shape, mesh)
    model = model_of(who[0].values)
    program.check(model, shown.shape, cfg.batch_size, mesh, cfg.accumulate)
    named = data is None  # or there is nothing to load by its name
    seen, notes = inputs.held_out(cfg, model, shown, sources if named else None)
    whole, rest, more = apart.held_out(cfg, model, whole, path)
    dataset = _centred(whole, change)
    judged = _centred(rest, change) if rest else dataset
    record.check(cfg.tensorboard, cfg.wandb)
    pictures, judges = [], []
    for k, member in enumerate(who):
        pictures.append(sheets.sheet(model, seen, dataset.num_classes, member.seed))
        if cfg.evaluate_every:
            folder = checkpoint.best_folder(path, k if len(who) > 1 else None)
            args = cfg, model, dataset, judged, measures, member.seed, folder, mesh
            judges.append(evaluation.follow(*args))
    known = cfg, path, mesh, whole, dataset, change, who, model_of, pictures, judges
    says = (rest.size if rest else 0), (*notes, *more)
    donor = _donor(cfg, start.template, len(who))
    return Prepared(*known, *says, start, donor, older)


def _centred(dataset, change):
    return centred(dataset, change.crop) if change.crop else dataset


def _train(run: Prepared, source, stack):
    cfg, path = run.cfg, run.path
    log = stack.enter_context(workdir.logger(path))
    for note in (*run.dataset.notes, *run.notes):
        log(note)
    if run.older:
        options = ", ".join(map(settings.flag, run.older))
        log(f"{path} is of a run older than {options}, and goes on as it began.")
    log(
        f"{path}: {run.dataset.size} images of {'x'.join(map(str, run.dataset.shape))} "
        f"from {run.dataset.name}, on {run.mesh.size} x "
        f"{run.mesh.devices.flat[0].device_kind}"
    )
    saved = stack.enter_context(checkpoint.writer(path / checkpoint.NEWEST, cfg.keep))
    state = _first_state(run, saved, log)
    begin = int(state.step)
    if begin >= cfg.steps:
        log(f"All {cfg.steps} steps are done; raise --steps to train on.")
        return state
    sinks = _sinks(cfg, path, begin, stack)
    check = hooks.sound(run.members, log)
    sample = hooks.sample(cfg.sample_every, run.sheets, path, sinks, check)
    stop = stack.enter_context(_stop_on_signal())
    log("Compiling ...")
    began = time.perf_counter()
    args = run.model_of, run.members, source, state, run.mesh, cfg.accumulate
    steps, zeros = program.program(*args)
    state, metrics = steps(state, zeros(), source.at(begin)[0], 0)
    if begin == 0:
        sample.run(Now(0, state, metrics, 0.0))
        for judge in run.judges:  # what is there is of a run whose checkpoints are gone
            checkpoint.forget_best(judge.folder)
    log(f"Compiled in {time.perf_counter() - began:.1f} s. Training from step {begin}.")
    shown = progress.bar(cfg.steps, unit="step", initial=begin)
    stack.callback(shown.close)
    between = [
        hooks.guard(run.members, log),
        hooks.bar(shown),
        hooks.log(cfg.log_every, begin, cfg.batch_size, sinks, shown),
        sample,
        *hooks.evaluate(cfg.evaluate_every, run.judges, sinks, check, log),
        hooks.save(cfg.checkpoint_every, saved, check),
    ]
    state = loop(steps, state, zeros, source.at, cfg.steps, between, stop.is_set)
    shown.close()
    check(state)
    checkpoint.save(saved, state)
    saved.wait_until_finished()
    _said_how_it_ended(state, cfg.steps, path, log)
    return state


def _said_how_it_ended(state, steps, path, log):
    if int(state.step) >= steps:
        log(f"Done. Samples are in {path / 'samples'}.")
        return
    text = (
        f"Stopped and saved at step {int(state.step)} of {steps}; the same command "
        "continues it."
    )
    log(text)
    raise Interrupted(text)


def _donor(cfg, template, count):
    """The state that `init_from` names, if it does, of as many members."""
    if not cfg.init_from:
        return None
    folder = Path(cfg.init_from) / checkpoint.NEWEST
    if not checkpoint.steps(folder):
        reason = "holds no checkpoints; name the workdir of a run."
        raise UsageError("init_from", cfg.init_from, reason)
    try:
        theirs = len(members.members(workdir.read(folder.parent, type(cfg)).config))
    except UsageError:  # of another experiment: its networks decide
        theirs = count
    if theirs != count:
        reason = f"holds {theirs} members, and this run is to have {count}."
        raise UsageError("init_from", cfg.init_from, reason)
    with checkpoint.reader(folder) as saved:
        try:
            return checkpoint.restore(saved, template)
        except UsageError as error:
            reason = f"does not fit: {error}"
            raise UsageError("init_from", cfg.init_from, reason) from None


def _first_state(run: Prepared, saved, log):
    """The newest checkpoint; else new, with the donor's weights if there is one."""
    if saved.all_steps():
        state = checkpoint.restore(saved, run.start.template, log)
        log(f"Continuing from the checkpoint of step {int(state.step)}.")
        return state
    state, donor = run.start.init(), run.donor
    if donor is None:
        return state
    return state._replace(params=donor.params, stats=donor.stats, ema=donor.ema)


def _sinks(cfg, path, start, stack):
    sinks = [record.jsonl(path / "metrics.jsonl", start)]
    if cfg.tensorboard:
        sinks.append(record.tensorboard(path / "tensorboard", start))
    if cfg.wandb:
        sinks.append(record.wandb(path, settings.to_dict(cfg), start))
    for sink in sinks:
        stack.callback(sink.close)
    return sinks


@contextlib.contextmanager
def _stop_on_signal():
    """An event that SIGINT or SIGTERM sets; a second SIGINT stops at once."""
    stop = threading.Event()

    def handle(number, frame):
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    # Only the main thread may; elsewhere (a notebook's executor) signals stay theirs.
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    old = {s: signal.signal(s, handle) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
