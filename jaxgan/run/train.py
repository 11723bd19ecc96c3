"""From a config to a trained GAN in a workdir.

    model, state = train(config, build, "dcgan_mnist")

`build(config, shape, num_classes) -> Model` makes the networks and the recipe for
images of `shape`. Step k's randomness and data depend on (seed, k) alone, so a run that
was interrupted and continued is the run that was not, bit for bit on the same kind of
device.
"""

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import jax

from jaxgan import distributed, parallel
from jaxgan.data import SOURCES, feed
from jaxgan.metrics import MEASURES
from jaxgan.run import (
    checkpoint,
    config,
    hooks,
    hosts,
    prepare,
    program,
    progress,
    provenance,
    record,
    settings,
    workdir,
)
from jaxgan.run.loop import Now, loop
from jaxgan.types import printable

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
        UsageError: an option cannot be met; nothing has been compiled or changed.
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
    hosts.first(lambda: workdir.open_run(path, this, by, there.step))
    with contextlib.ExitStack() as stack:
        seeds = tuple(member.seed for member in run.members)
        source = feed.feed(run.whole, seeds, cfg.batch_size, run.change, run.mesh)
        stack.callback(source.close)
        state = _train(run, donor, source, stack)
        if distributed.alone() and mesh.devices.flat[0].platform == "cpu":
            # To index arrays that are divided, its devices would wait for one another.
            state = jax.device_put(state, parallel.replicated(mesh))
        return run.model_of(run.members[0].values), state


def _train(run: prepare.Prepared, donor, source, stack):
    cfg, path, writes = run.cfg, run.path, distributed.primary()
    log = stack.enter_context(workdir.logger(path)) if writes else _told
    for note in (*run.dataset.notes, *run.notes):
        log(note)
    log(
        f"{path}: {run.dataset.size} images of {'x'.join(map(str, run.dataset.shape))} "
        f"from {run.dataset.name}, on {run.mesh.size} x "
        f"{run.mesh.devices.flat[0].device_kind}{_among()}"
    )
    folder, saved = path / checkpoint.NEWEST, None
    if writes:
        saved = stack.enter_context(checkpoint.writer(folder, cfg.keep))
    state = _first_state(run, donor, saved, log)
    begin = int(state.step)
    if begin >= cfg.steps:
        log(f"All {cfg.steps} steps are done; raise --steps to train on.")
        return distributed.here(state)
    sinks = _sinks(cfg, path, begin, stack) if writes else []
    check = hooks.sound(run.members, log)
    stop = stack.enter_context(_stop_on_signal())
    log("Compiling ...")
    began = time.perf_counter()
    args = run.model_of, run.members, source, state, run.mesh, cfg.accumulate
    steps, zeros = program.program(*args)
    state, metrics = steps(state, zeros(), source.at(begin)[0], 0)
    written = _written(run, sinks, saved, check, log)
    if begin == 0:
        written[0].run(Now(0, distributed.here(state), metrics, 0.0))
        for judge in run.judges if writes else ():
            checkpoint.forget_best(judge.folder)  # of a run whose checkpoints are gone
    log(f"Compiled in {time.perf_counter() - began:.1f} s. Training from step {begin}.")
    shown = progress.bar(cfg.steps, unit="step", initial=begin)
    stack.callback(shown.close)
    between = [
        hooks.guard(run.members, log),
        hooks.bar(shown),
        hooks.log(cfg.log_every, begin, cfg.batch_size, sinks, shown),
        *written,
    ]
    state = loop(steps, state, zeros, source.at, cfg.steps, between, stop.is_set)
    shown.close()
    state = distributed.here(state)
    check(state)
    hosts.first(lambda: checkpoint.save_and_wait(saved, state))
    _said_how_it_ended(state, cfg.steps, path, log)
    return state


def _written(run: prepare.Prepared, sinks, saved, check, log):
    """The hooks that write to the workdir, samples first; a process that does not write
    looks at the weights when they do, so that all stop where one would."""
    cfg = run.cfg
    found = [
        hooks.sample(cfg.sample_every, run.sheets, run.path, sinks, check),
        *hooks.evaluate(cfg.evaluate_every, run.judges, sinks, check, log),
        hooks.save(cfg.checkpoint_every, saved, check),
    ]
    if distributed.primary():
        return found
    return [hooks.checked(hook.every, check) for hook in found]


def _said_how_it_ended(state, steps, path, log):
    if int(state.step) >= steps:
        log(f"Done. Samples are in {path / 'samples'}.")
        return
    text = (
        f"Stopped and saved at step {int(state.step)} of {steps}; the same command "
        "continues it."
    )
    log(text)
    raise hosts.agree(Interrupted(text))


def _told(text):
    """Of a process that writes no log."""
    text = f"[process {jax.process_index()}] {printable(text)}"
    print(text, file=sys.stderr)


def _among():
    return "" if distributed.alone() else f", in {jax.process_count()} processes"


def _first_state(run: prepare.Prepared, donor, saved, log):
    """The newest checkpoint; else new, with the donor's weights if there is one."""
    template = run.start.template
    if hosts.first(lambda: bool(saved.all_steps())):
        kept = partial(checkpoint.restore, saved, template, log)
        state = hosts.shared(kept, template, run.mesh)
        log(f"Continuing from the checkpoint of step {int(state.step)}.")
        return state
    state = run.start.init()
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
    """An event that SIGINT or SIGTERM sets; a second SIGINT stops at once.

    The first is answered, since a step that is being compiled is waited for."""
    stop = threading.Event()

    def handle(number, frame):
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        with contextlib.suppress(RuntimeError, OSError):  # amid a print, or unread
            print(
                "Stopping after this step; again: at once, without saving.",
                file=sys.stderr,
                flush=True,
            )

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
