"""From a config to a trained GAN in a workdir.

    model, state = train(config, build, "dcgan_mnist")

`build(config, shape, num_classes) -> Model` makes the networks and the recipe for
images of `shape`. Step k's randomness and data depend on (seed, k) alone, so a run that
was interrupted and continued is the run that was not, bit for bit on the same kind of
device.
"""

import contextlib
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import jax

from jaxgan import distributed, parallel
from jaxgan.data import SOURCES, feed
from jaxgan.metrics import MEASURES
from jaxgan.run import (
    alarms,
    atomic,
    best_state,
    checkpoint,
    config,
    guard,
    hooks,
    hosts,
    lock,
    members,
    memory,
    overfitting,
    prepare,
    program,
    progress,
    provenance,
    record,
    settings,
    signals,
    snapshots,
    stages,
    workdir,
)
from jaxgan.run.loop import Hook, Now, loop
from jaxgan.text import printable

__all__ = ["Interrupted", "train"]


class Interrupted(Exception):
    """The user stopped the run; its text, also logged, says how to continue."""


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

    After `jax.distributed.initialize` each process calls this alike: process 0 reads
    and writes the workdir, every one is given or loads all of the data, and feeds its
    own part of each batch. `with hosts.ending():` around it, an error of one ends all.

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
        `(model, state)`; with several members the state is a stack of theirs, whose
        members may lie on devices of their own: `member_of` takes one. Of
        several processes it is on the devices of each.

    Raises:
        UsageError: an option cannot be met, and nothing has been compiled or changed;
            or memory runs out.
        Interrupted: by SIGINT or SIGTERM, after saving.
        Diverged: a metric is NaN or infinite; the last checkpoint is from before.
    """
    cfg, mesh = prepare.devices(cfg)
    path = Path(cfg.workdir or workdir.default(experiment))
    there = hosts.first(lambda: prepare.there(path, cfg, experiment))
    cfg = settings.changed(cfg, **there.values)
    args = cfg, there, path, mesh, build, data, measures, sources
    run = hosts.every(lambda: prepare.prepared(*args))
    donor = prepare.donor(run)
    seen = run.dataset
    known = seen.shape, seen.class_names, seen.levels, run.held_out
    this = workdir.Run(experiment, run.cfg, *known)
    hosts.same(prepare.known(run.whole))
    made_by = provenance.made_by(mesh.devices.flat)
    elsewhere = provenance.moved(there.made_by, made_by)
    done = there.step >= cfg.steps and bool(there.made_by)
    if elsewhere and there.step and not done:
        run = run._replace(notes=(*run.notes, elsewhere))
    by = there.made_by if done else made_by  # of the last step that was taken
    with contextlib.ExitStack() as stack:
        said: list[str] = []
        owner: list[Hook] = []  # of the process that writes
        claim = partial(_opened, path, this, by, there.step, stack, said)
        hosts.first(lambda: owner.append(claim()))
        run = run._replace(notes=(*run.notes, *said))
        seeds = tuple(member.seed for member in run.members)
        source = feed.feed(run.whole, seeds, cfg.batch_size, run.change, run.mesh)
        stack.callback(source.close)
        ends = run.model_of(run.members[0].values).stages
        source = source._replace(at=stages.within(source.at, ends))
        with memory.advised(cfg):
            state = _train(run, donor, source, stack, owner)
        if distributed.alone() and mesh.devices.flat[0].platform == "cpu":
            # To index arrays that are divided, its devices would wait for one another.
            state = jax.device_put(state, parallel.replicated(mesh))
        return run.model_of(run.members[0].values), state


def _opened(path, this, made_by, step, stack, said):
    """Owns the workdir from here on; a hook looks whether it still does."""
    workdir.writable(path)
    still = stack.enter_context(lock.owned(path, said.append))
    workdir.open_run(path, this, made_by, step)
    for folder in (path, path / "samples", path / snapshots.FOLDER):
        atomic.swept(folder)
    return Hook(0, lambda now: still())


def _train(run: prepare.Prepared, donor, source, stack, owner):
    cfg, path, writes = run.cfg, run.path, distributed.primary()
    log = stack.enter_context(workdir.logger(path)) if writes else _told
    _say_what_it_is_of(run, log)
    folder, saved = path / checkpoint.NEWEST, None
    if writes:
        saved = stack.enter_context(checkpoint.writer(folder, cfg.keep))
    state = _first_state(run, donor, saved, log)
    begin = int(state.step)
    if begin >= cfg.steps:
        log(f"All {cfg.steps} steps are done; raise --steps to train on.")
        return distributed.here(state)
    sinks = record.sinks(cfg, path, begin, stack, log) if writes else []
    stop = stack.enter_context(signals.stopping())
    log("Compiling ...")
    began = time.perf_counter()
    rest = hosts.first(lambda: checkpoint.window(saved, begin)) or {}
    made, (steps, streak) = _compiled(run, source, state, log, rest.get("streak"))
    begun, totals = made.begun, made.begun(rest.get("metrics"))
    with _last_good_is_kept(saved, log):
        if known := made.needs(state, totals, source.at(begin)[0]):
            log(memory.said(known, distributed.local(run.mesh).devices.flat[0]))
        state, metrics = steps(state, totals, source.at(begin)[0], 0)
    seen: alarms.Seen = {}
    written = _written(run, sinks, saved, log, streak, seen)
    written += hooks.progress(run, begin, stack, log) if writes else []
    if writes:
        _found(run, begin, log)
        if begin == 0:
            written[0].run(Now(0, distributed.here(state), metrics, 0.0))
    log(f"Compiled in {time.perf_counter() - began:.1f} s. Training from step {begin}.")
    stop.steps_begin()
    shown = progress.bar(cfg.steps, unit="step", initial=begin)
    stack.callback(shown.close)
    look = alarms.of_metrics(run.members, log, seen)
    between = [
        *owner,
        hooks.bar(shown),
        hooks.log(cfg.log_every, begin, cfg.batch_size, sinks, shown, look),
        *written,
    ]
    where = source.at, cfg.steps, between, stop.asked
    with _last_good_is_kept(saved, log):
        state, metrics = loop(steps, state, metrics, begun, *where)
    shown.close()
    state = distributed.here(state)
    _save(saved, state, metrics, streak())
    _said_how_it_ended(state, cfg.steps, path, log)
    return state


def _compiled(run: prepare.Prepared, source, state, log, streak):
    """The program, and its steps, of which bad ones are left out."""
    cfg = run.cfg
    made = program.program(
        run.model_of, run.members, source, state, run.mesh, cfg.accumulate
    )
    limits = source.at, run.members, cfg.max_bad_steps, log, streak
    return made, guard.guarded(made, *limits)


def _save(saved, state, metrics, streak=None):
    rest = hooks.window(distributed.here(metrics), streak)
    hosts.first(lambda: checkpoint.save_and_wait(saved, state, rest))


@contextlib.contextmanager
def _last_good_is_kept(saved, log):
    """Of steps that end in too many bad ones."""
    try:
        yield
    except guard.Diverged as error:
        text = str(error)
        if error.state is not None:
            _save(saved, distributed.here(error.state), error.metrics)
            text += " It is kept; try a lower learning rate in another --workdir."
        log(text)
        raise hosts.agree(error) from None


def _found(run: prepare.Prepared, begin, log):
    """Of before, sound best states of this run, or none; and no later snapshots."""
    snapshots.forget(run.path, begin, len(run.members))
    for judge in run.judges:
        if begin:
            best_state.sound(judge.folder, _template_of_one(run), log)
        else:
            best_state.forget(judge.folder)  # of a run whose checkpoints are gone


def _say_what_it_is_of(run: prepare.Prepared, log):
    """Data and devices, and what is wrong with the images as far as can be seen."""
    data, devices = run.dataset, run.mesh.devices.flat
    for note in (*data.notes, *run.notes):
        log(note)
    if distributed.primary():
        draws = run.model_of(run.members[0].values).draws.values()
        conditional = any("label" in draw.task.needs for draw in draws)
        for text in alarms.of_data(data, conditional):
            log(f"Warning: {text}")
    among = "" if distributed.alone() else f", in {jax.process_count()} processes"
    log(
        f"{run.path}: {data.size} images of {'x'.join(map(str, data.shape))} "
        f"from {data.name}, on {len(devices)} x {devices[0].device_kind}{among}"
    )


def _written(run: prepare.Prepared, sinks, saved, log, streak, seen):
    """The hooks that write to the workdir, samples first."""
    cfg = run.cfg
    if not distributed.primary():
        return []
    args = run.members, run.dataset, log, seen
    apart = run.apart, cfg.batch_size // cfg.accumulate
    looks = alarms.of_samples(*args), overfitting.watch(run.model_of, *args, *apart)
    seeds = [member.seed for member in run.members]
    return [
        hooks.sample(cfg.sample_every, run.sheets, seeds, run.path, sinks, log, looks),
        *hooks.evaluate(cfg.evaluate_every, run.judges, sinks, log),
        *snapshots.hooks(run, streak),
        hooks.save(cfg.checkpoint_every, saved, streak),
    ]


def _said_how_it_ended(state, steps, path, log):
    if (step := int(state.step)) >= steps:
        log(f"Done. Samples are in {path / 'samples'}.")
        return
    text = (
        f"Stopped and saved at step {step} of {steps}; the same command continues it."
    )
    log(text)
    raise hosts.agree(Interrupted(text))


def _told(text):
    """Of a process that writes no log."""
    text = f"[process {jax.process_index()}] {printable(text)}"
    print(text, file=sys.stderr)


def _first_state(run: prepare.Prepared, donor, saved, log):
    """The newest checkpoint; else new, with the donor's weights if there is one."""
    template = run.start.template
    if hosts.first(lambda: bool(saved.all_steps())):
        kept = partial(checkpoint.restore, saved, template, log, own=True)
        state = hosts.shared(kept, template, run.mesh)
        log(f"Continuing from the checkpoint of step {int(state.step)}.")
        return state
    state = run.start.init()
    if donor is None:
        return state
    return state._replace(params=donor.params, stats=donor.stats, ema=donor.ema)


def _template_of_one(run: prepare.Prepared):
    """The state's structure, of one member where there are several."""
    whole = run.start.template
    if len(run.members) == 1:
        return whole
    return members.template_of(whole, parallel.replicated(distributed.local(run.mesh)))
