"""The command line of every experiment: train by default, `sample` or `evaluate`.

    cli.main(Config, build)

An experiment is a frozen dataclass of options and a function that builds its GAN.
Mistakes of the user end in one sentence and exit code 2.
"""

import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Literal

import jax
import tyro

from jaxgan import (
    config,
    data,
    evaluation,
    extractors,
    parallel,
    sampling,
    train,
    workdir,
)
from jaxgan.types import UsageError


@dataclasses.dataclass(frozen=True)
class Sample:
    """Draw images from a trained run, rebuilt from its workdir alone."""

    workdir: str | None = None
    """The run. Default runs/EXPERIMENT."""
    num: int = 64
    """How many images."""
    out: str = "samples.png"
    """The PNG to write: a grid."""
    npz: str | None = None
    """Also write the images as an .npz: `images` uint8 [N, H, W, C] and `labels`."""
    seed: int = 0
    """Decides the latents."""
    label: int | None = None
    """Draw only this class (class-conditional runs); default all in turn."""
    best: bool = False
    """From the best state that --evaluate-every found, instead of the newest."""
    live: bool = False
    """By G's weights as they are, instead of their average."""
    platform: Literal["auto", "cpu", "gpu", "tpu"] = "auto"
    """Where to run."""


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Measure a trained run's samples against real images."""

    workdir: str | None = None
    """The run. Default runs/EXPERIMENT."""
    num: int = 10000
    """How many samples, and at most how many real images."""
    metrics: tuple[config.Metric, ...] | None = None
    """Fréchet and kernel distance, Inception Score, precision, recall, density and
    coverage, the classes drawn, and the mean MS-SSIM of pairs; default all that the
    extractor has."""
    reference: str | None = None
    """Real images, as --data takes them; default the run's own."""
    inception_weights: str | None = None
    """The file weights-inception-2015-12-05-6726825d.pth, for FID, KID and Inception
    Score; without it digits are judged by a small classifier that comes with jaxgan."""
    best: bool = False
    """The best state that --evaluate-every found, instead of the newest."""
    live: bool = False
    """G's weights as they are, instead of their average."""
    out: str | None = None
    """The JSON to write. Default WORKDIR/evaluation.json."""
    seed: int = 0
    """Decides the latents and which real images are taken."""
    platform: Literal["auto", "cpu", "gpu", "tpu"] = "auto"
    """Where to run."""


def main(kind: type[config.Config], build, argv: list[str] | None = None) -> None:
    """Runs an experiment's command line and exits.

    Args:
        kind: the experiment's options.
        build: `(config, shape, num_classes) -> GAN`.
        argv: arguments, default the process's.
    """
    argv = sys.argv[1:] if argv is None else argv
    experiment = Path(sys.argv[0]).stem
    try:
        if argv[:1] == ["sample"]:
            options = _parse(Sample, argv[1:], f"{experiment}.py sample")
            _cache_compilations()
            sample(options, kind, build, experiment)
        elif argv[:1] == ["evaluate"]:
            options = _parse(Evaluate, argv[1:], f"{experiment}.py evaluate")
            _cache_compilations()
            evaluate(options, kind, build, experiment)
        else:
            options = _train_options(kind, argv, experiment)
            _cache_compilations()
            train.run(options, build, experiment)
    except UsageError as error:
        _stop(error, 2)
    except train.Diverged:
        sys.exit(1)
    except train.Interrupted:
        sys.exit(130)
    except KeyboardInterrupt:
        _stop("Stopped at once, without saving.", 130)


def _stop(text, code):
    print(text, file=sys.stderr)
    sys.exit(code)


def _parse(kind, argv, prog, default=None, description=None):
    return tyro.cli(
        kind,
        args=argv,
        prog=prog,
        default=default,
        description=description,
        config=(tyro.conf.FlagCreatePairsOff,),
    )


def _train_options(kind, argv, experiment):
    prog = f"{experiment}.py"
    description = (
        f"{kind.__doc__}\n\nThis trains. To draw images from a trained run: "
        f"{prog} sample --help. To measure it: {prog} evaluate --help"
    )
    file = _value_of("--config", argv)
    default = config.from_file(file, kind) if file else kind()
    return _parse(kind, argv, prog, default, description)


def _value_of(name, argv):
    """The value of an option that must be known before the others are parsed."""
    for i, arg in enumerate(argv):
        if arg == name and i + 1 < len(argv):
            return argv[i + 1]
        if arg.startswith(name + "="):
            return arg.split("=", 1)[1]
    return None


def _cache_compilations():
    """Later starts of the same program skip its compilation."""
    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        jax.config.update("jax_compilation_cache_dir", str(workdir.cache("compiled")))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


def sample(options: Sample, kind, build, experiment: str) -> None:
    """Writes a grid, and the images as .npz when asked."""
    _, gan, state, _ = _load(options, kind, build, experiment)
    images, labels = sampling.draw(gan, state, options.num, options.seed, options.label)
    sampling.write(images, labels, options.out, options.npz)
    files = " and ".join(filter(None, (options.out, options.npz)))
    print(f"{len(images)} images in {files}")


def evaluate(options: Evaluate, kind, build, experiment: str) -> None:
    """Prints a table and writes its figures as JSON."""
    path, gan, state, run = _load(options, kind, build, experiment)
    out = path / "evaluation.json" if options.out is None else Path(options.out)
    workdir.writable(out.parent, "--out")
    if out.is_dir():
        raise UsageError(f"--out {out} is a folder; name a file.")
    inception = options.inception_weights or run.config.inception_weights
    extractor = extractors.choose(inception, run.shape, parallel.mesh_of(state.step))
    names, num, seed = options.metrics, options.num, options.seed
    if names is None:
        names = evaluation.fitting(extractor, run.shape)
    reference, others = _references(options, run.config)
    evaluation.check(extractor, names, num, run.shape, reference, others or reference)
    labels = sampling.labels_like(gan, reference, num, seed)
    samples = sampling.samples(gan, state, num, seed, labels=labels)
    cache = workdir.cache("features")
    args = samples, reference, others, extractor, names, num, seed, cache
    result = evaluation.evaluate(*args)
    settled = any("batch_stats" in stats for stats in state.stats.values())
    weights = "live" if options.live else "averaged"
    classes = "in turn" if labels is None else f"as often as in {reference.name}"
    result |= {
        "workdir": str(path),
        "step": int(state.step),
        "checkpoint": "best" if options.best else "newest",
        "weights": weights,
        "batch_norm": "standing statistics" if settled else None,
        "classes": classes if gan.num_classes else None,
        "seed": seed,
    }
    out.write_text(json.dumps(result, indent=2) + "\n")
    print(evaluation.table(result))
    print(f"The {weights} weights of step {result['step']}. Written to {out}.")


def _references(options: Evaluate, cfg: config.Config):
    """Real images, and more of them for the floor or None."""
    spec = options.reference or cfg.data
    fit = {n: config.size(n, getattr(cfg, n)) for n in ("resize", "crop")}
    try:
        reference = data.load(spec, **fit)
    except UsageError as error:
        name = "--reference" if options.reference else "--data"
        raise UsageError(str(error).replace("--data", name)) from None
    if not (spec == "mnist" or spec.startswith("idx:")):
        return reference, None
    try:
        return reference, data.load(spec, split="test", **fit)
    except UsageError as error:  # a folder of training files alone
        why = f"There are no test images: {error}"
        return reference._replace(notes=(*reference.notes, why)), None


def _load(options: Sample | Evaluate, kind, build, experiment):
    """`(workdir, gan, state, run)` of what is to be sampled."""
    path = Path(options.workdir or workdir.default(experiment))
    gan, state, run = sampling.load(
        path, kind, build, options.platform, experiment, options.best
    )
    return path, gan, sampling.live(state) if options.live else state, run
