"""The loop: from a config to a trained GAN in a workdir.

    gan, state = train.run(config, build, "dcgan_mnist")

`build(config, shape, num_classes) -> GAN` makes the networks and the recipe for images
of `shape`. Step k's randomness and data depend on (seed, k) alone, so a run that was
interrupted and continued is the run that was not, bit for bit on the same kind of
device.
"""

import contextlib
import dataclasses
import math
import signal
import threading
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, random
from tqdm import tqdm

from jaxgan import data, parallel, visual
from jaxgan.data.feed import Change, feed
from jaxgan.metrics import evaluation, extractors
from jaxgan.recipes.translator import Translator
from jaxgan.run import (
    checkpoint,
    comparison,
    config,
    record,
    sampling,
    translation,
    workdir,
)
from jaxgan.types import UsageError, example

DISPATCH_SECONDS = 0.5
"""Steps run on the device in dispatches of about this long."""


class Interrupted(Exception):
    """The user stopped the run; its text, also logged, says how to continue."""


class Diverged(Exception):
    """A loss or a gradient is no longer finite; its text is also logged."""


def run(cfg: config.Config, build, experiment: str):
    """Trains, or continues, a GAN.

    Args:
        cfg: the options.
        build: `(config, shape (H, W, C), num_classes) -> GAN` or `-> Translator`.
        experiment: names the run; the default workdir is `runs/<experiment>`.

    Returns:
        `(gan, state)`.

    Raises:
        UsageError: an option cannot be met; nothing has been compiled or changed.
        Interrupted: by SIGINT or SIGTERM, after saving.
        Diverged: a metric is NaN or infinite; the last checkpoint is from before.
    """
    config.check(cfg)
    mesh = parallel.mesh(parallel.devices("tpu" if cfg.tpu else cfg.platform))
    parallel.check_batch_size(cfg.batch_size, mesh.size)
    path = Path(cfg.workdir or workdir.default(experiment))
    whole = load(cfg, centred=False)
    change = _change(cfg, whole.shape)
    dataset = data.centred(whole, change.crop) if change.crop else whole
    gan = build(cfg, dataset.shape, dataset.num_classes)
    held_out = _held_out(cfg, gan, dataset)
    draw = _sheet(cfg, gan, held_out)
    record.check(cfg.tensorboard, cfg.wandb)
    donor = _donor(cfg, gan, dataset.shape, mesh)
    judge = _judge(cfg, gan, dataset, held_out, mesh)
    this = workdir.Run(experiment, cfg, dataset.shape, dataset.class_names)
    workdir.open_run(path, this)
    with contextlib.ExitStack() as stack:
        source = feed(whole, cfg.seed, cfg.batch_size, change, mesh)
        stack.callback(source.close)
        args = draw, donor, judge, mesh, path, stack
        return gan, _train(cfg, gan, dataset, source, *args)


def load(
    cfg: config.Config, data_spec: str | None = None, centred: bool = True, **split
) -> data.Dataset:
    """A run's images, or others brought to the same size.

    Args:
        cfg: its options.
        data_spec: other images; default the run's own.
        centred: of what `--random-crop` cuts out while training, the centre.
        **split: as `data.load` takes it.

    Raises:
        UsageError: see `data.load`.
    """
    fit = {name: config.size(name, getattr(cfg, name)) for name in ("resize", "crop")}
    dataset = data.load(data_spec or cfg.data, **split, **fit)
    crop = config.sides("random_crop", cfg.random_crop)
    return data.centred(dataset, crop) if centred and crop else dataset


def keys(seed: int):
    """The keys for `(weights, steps, data, samples)`."""
    return random.split(random.key(seed), 4)


def looped(step, batch, root, data_root):
    """Many steps in one dispatch.

    Args:
        step: `(state, batch, key) -> (state, metrics)`.
        batch: `(arrays, step, key) -> batch`.
        root: step k's key is `fold_in(root, k)`; its batch's, `fold_in(data_root, k)`.

    Returns:
        `run(state, totals, arrays, n) -> (state, totals)`: n steps, with the metrics
        added to `totals`. One program serves every n, so how a run is divided into
        dispatches changes no bit of it.
    """

    def run(state, totals, arrays, n):
        def body(_, carry):
            state, totals = carry
            here = batch(arrays, state.step, random.fold_in(data_root, state.step))
            key = random.fold_in(root, state.step)
            state, metrics = step(state, here, key)
            return state, {name: totals[name] + metrics[name] for name in totals}

        return lax.fori_loop(0, n, body, (state, totals))

    return run


def _train(cfg, gan, dataset, source, draw, donor, judge, mesh, path, stack):
    log = stack.enter_context(workdir.logger(path))
    for note in dataset.notes:
        log(note)
    log(
        f"{path}: {dataset.size} images of {'x'.join(map(str, dataset.shape))} from "
        f"{dataset.name}, on {mesh.size} x {mesh.devices.flat[0].device_kind}"
    )
    weights_key, step_key, data_key, _ = keys(cfg.seed)
    saved = stack.enter_context(checkpoint.writer(path / checkpoint.NEWEST, cfg.keep))
    state = _first_state(gan, dataset.shape, donor, weights_key, mesh, saved, log)
    start = int(state.step)
    if start >= cfg.steps:
        log(f"All {cfg.steps} steps are done; raise --steps to train on.")
        return state
    sinks = _sinks(cfg, path, start, stack)
    evaluate = _evaluator(cfg, judge, path, start, sinks, log)
    stop = stack.enter_context(_stop_on_signal())

    def refuse_nonfinite(state):
        if not _finite(state):
            _diverge(int(state.step), "weights are", log)

    def sample(state):
        refuse_nonfinite(state)
        grid = draw(state)
        visual.save_png(path / "samples" / f"{int(state.step):06d}.png", grid, 2)
        for sink in sinks:
            sink.image(int(state.step), grid)

    def save(state):
        refuse_nonfinite(state)
        checkpoint.save(saved, state)

    log("Compiling ...")
    began = time.perf_counter()
    program, zeros = _program(gan, source, state, step_key, data_key, mesh)
    state, totals = program(state, zeros(), source.at(start)[0], 0)
    if start == 0:
        sample(state)
    log(f"Compiled in {time.perf_counter() - began:.1f} s. Training from step {start}.")

    bar = tqdm(total=cfg.steps, initial=start, unit="step", dynamic_ncols=True)
    stack.callback(bar.close)
    report = _reporter(cfg, start, sinks, bar)
    step, pace, busy = start, math.inf, 0.0
    while step < cfg.steps and not stop.is_set():
        arrays, end = source.at(step)
        n = _next(step, cfg, end) - step
        n = max(1, min(n, int(DISPATCH_SECONDS / pace)))
        tick = time.perf_counter()
        state, totals = program(state, totals, arrays, n)
        _refuse_nonfinite_metrics(jax.device_get(totals), step + n, log)
        spent = time.perf_counter() - tick
        pace, busy = spent / n, busy + spent
        step += n
        bar.update(n)
        if _due(step, cfg.log_every, cfg):
            report(step, totals, busy)
            totals, busy = zeros(), 0.0
        if _due(step, cfg.sample_every, cfg):
            sample(state)
        if cfg.evaluate_every and _due(step, cfg.evaluate_every, cfg):
            refuse_nonfinite(state)
            evaluate(state)
        if _due(step, cfg.checkpoint_every, cfg):
            save(state)
    bar.close()
    save(state)
    saved.wait_until_finished()
    if step < cfg.steps:
        text = (
            f"Stopped and saved at step {step} of {cfg.steps}; the same command "
            "continues it."
        )
        log(text)
        raise Interrupted(text)
    log(f"Done. Samples are in {path / 'samples'}.")
    return state


def _change(cfg, shape):
    """What is done to training images at random."""
    crop = config.sides("random_crop", cfg.random_crop)
    if crop and (crop[0] > shape[0] or crop[1] > shape[1]):
        raise UsageError(
            f"--random-crop {cfg.random_crop} is larger than the images of "
            f"{shape[0]}x{shape[1]}; crop less, or enlarge them first with --resize."
        )
    return Change(cfg.flip, crop)


def _due(step, period, cfg):
    return step % period == 0 or step == cfg.steps


def _next(step, cfg, end):
    """The next step at which the loop has something to do."""
    periods = cfg.log_every, cfg.sample_every, cfg.checkpoint_every, cfg.evaluate_every
    ends = (step - step % p + p for p in periods if p)
    return min(cfg.steps, end or cfg.steps, *ends)


def _donor(cfg, gan, shape, mesh):
    """The state that --init-from names, if it does."""
    if not cfg.init_from:
        return None
    folder = Path(cfg.init_from) / checkpoint.NEWEST
    if not checkpoint.steps(folder):
        raise UsageError(
            f"--init-from {cfg.init_from} holds no checkpoints; name the workdir of a "
            "run."
        )
    with checkpoint.reader(folder) as saved:
        try:
            return checkpoint.restore(saved, checkpoint.template(gan, shape, mesh))
        except UsageError as error:
            raise UsageError(
                f"--init-from {cfg.init_from} does not fit: {error}"
            ) from None


def _first_state(gan, shape, donor, key, mesh, saved, log):
    """The newest checkpoint; else new, with the donor's weights if there is one."""
    if saved.all_steps():
        template = checkpoint.template(gan, shape, mesh)
        state = checkpoint.restore(saved, template, log)
        log(f"Continuing from the checkpoint of step {int(state.step)}.")
        return state
    whole = parallel.replicated(mesh)
    state = jax.jit(gan.init, out_shardings=whole)(key, example(shape))
    if donor is None:
        return state
    return state._replace(params=donor.params, stats=donor.stats, ema=donor.ema)


def _program(gan, source, state, step_key, data_key, mesh):
    """The compiled loop, and `zeros()`, the metrics of no steps."""
    whole = parallel.replicated(mesh)

    def first(state, arrays):
        batch = source.batch(arrays, state.step, data_key)
        return gan.step(state, batch, step_key)[1]

    shapes = jax.eval_shape(first, state, source.at(int(state.step))[0])

    def zeros():
        return jax.device_put(
            jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes), whole
        )

    loop = looped(gan.step, source.batch, step_key, data_key)
    return jax.jit(loop, donate_argnums=(0, 1), out_shardings=(whole, whole)), zeros


def _held_out(cfg, gan, dataset):
    """What a translator shows and measures: test images, or else those trained on."""
    if not isinstance(gan, Translator):
        return None
    translation.check(gan, dataset)
    if not data.has_test(cfg.data):
        return dataset
    try:
        return load(cfg, split="test")
    except UsageError:  # a folder of training files alone
        return dataset


def _sheet(cfg, gan, held_out):
    """`draw(state) -> uint8 [H, W, C]`: the same latents, or examples, always."""
    if isinstance(gan, Translator):
        return translation.sheet(gan, held_out, cfg.seed)
    classes = min(gan.num_classes, 10)  # a row for each
    columns = 10 if classes else 8
    n = classes * columns if classes else 64
    z_key, settle_key = random.split(keys(cfg.seed)[3])

    @jax.jit
    def images(state):
        z = gan.latents(z_key, n)
        label = jnp.repeat(jnp.arange(classes), columns) if classes else None
        return gan.sample(gan.settle(state, settle_key), z, label)

    return lambda state: visual.grid(visual.to_uint8(images(state)), columns)


def _judge(cfg, gan, dataset, held_out, mesh):
    """What evaluates the run on its way, if that is asked for."""
    if not cfg.evaluate_every:
        return None
    names, num = cfg.evaluate_metrics, cfg.evaluate_num
    cache = workdir.cache("features")
    if isinstance(gan, Translator):
        extractor = extractors.of_any(cfg.inception_weights, mesh)
        comparison.check(gan, held_out, dataset, names, num, option="--evaluate-")
        args = gan, held_out, dataset, extractor, names, num, cfg.seed, cache
        return comparison.judge(comparison.Comparison(*args))
    extractor = extractors.choose(cfg.inception_weights, cfg.data, dataset.shape, mesh)
    judge = evaluation.judge(extractor, dataset, names, num, cfg.seed, cache)

    def figures(state):
        labels = sampling.labels_like(gan, dataset, num, cfg.seed)
        return judge.of(sampling.samples(gan, state, num, cfg.seed, labels=labels))

    return judge._replace(of=figures)


def _evaluator(cfg, judge, path, start, sinks, log):
    """`evaluate(state)`: records the figures, and keeps the state if it is the best."""
    if not judge:
        return None
    if start == 0:  # it would be of a run whose checkpoints are gone
        checkpoint.forget_best(path)

    def evaluate(state):
        figures = judge.of(state)
        for sink in sinks:
            sink.scalars(int(state.step), figures)
        shown = ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
        value = next(iter(figures.values()))
        lower = judge.lower_is_better
        best = checkpoint.save_best(path, state, judge.figure, value, lower)
        log(f"Step {int(state.step)}: {shown}{', the best so far' if best else ''}")

    return evaluate


def _sinks(cfg, path, start, stack):
    sinks = [record.jsonl(path / "metrics.jsonl", start)]
    if cfg.tensorboard:
        sinks.append(record.tensorboard(path / "tensorboard", start))
    if cfg.wandb:
        sinks.append(record.wandb(path, dataclasses.asdict(cfg)))
    for sink in sinks:
        stack.callback(sink.close)
    return sinks


def _reporter(cfg, start, sinks, bar):
    """`report(step, totals, seconds)`: to the sinks and the bar."""
    before = start

    def report(step, totals, seconds):
        nonlocal before
        means = {n: m.value() for n, m in jax.device_get(totals).items()}
        means = {n: v for n, v in sorted(means.items()) if v is not None}
        speed = (step - before) * cfg.batch_size / seconds
        before = step
        extra = {"images_per_s": speed, "kimg": step * cfg.batch_size / 1000}
        for sink in sinks:
            sink.scalars(step, means | extra)
        shown = "  ".join(f"{n} {v:.3f}" for n, v in means.items() if "loss" in n)
        bar.set_postfix_str(f"{speed:.0f} images/s  {shown}")

    return report


def _refuse_nonfinite_metrics(totals, step, log):
    bad = [name for name, mean in totals.items() if not math.isfinite(mean.total)]
    if bad:
        _diverge(step, f"{', '.join(sorted(bad))} is", log)


@jax.jit
def _finite(state):
    """Whether all weights are; a step's metrics are from before its last update."""
    leaves = jax.tree.leaves((state.params, state.ema))
    return jnp.stack([jnp.isfinite(x).all() for x in leaves]).all()


def _diverge(step, what, log):
    text = (
        f"Training diverged by step {step}: {what} not finite. Checkpoints, if any, "
        "are from before; try a lower learning rate in another --workdir."
    )
    log(text)
    raise Diverged(text)


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
