"""The command line of every experiment: train by default, `sample` or `evaluate`.

    cli.main(Config, build)
    cli.main(Config, build, commands=cli.TRANSLATOR)

An experiment is a frozen dataclass of options and a function that builds its GAN; of
one from image to image the commands are `translate` and `evaluate`. Mistakes of the
user end in one sentence and exit code 2.
"""

import dataclasses
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
import tyro

from jaxgan import data, parallel
from jaxgan.metrics import evaluation, extractors
from jaxgan.run import (
    comparison,
    config,
    image_files,
    sampling,
    train,
    translation,
    workdir,
)
from jaxgan.types import TrainState, UsageError


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


@dataclasses.dataclass(frozen=True)
class Translate:
    """Translate image files with a trained run."""

    input: str
    """An image file, or a folder of them, of any sizes: of what the run was given. Of
    label maps the pixels are numbers of classes; a hole is where a file is transparent,
    or white in --hole."""
    out: str = "translated"
    """The folder to write PNG files of the same names to; of one file, also its name,
    ending in .png."""
    workdir: str | None = None
    """The run. Default runs/EXPERIMENT."""
    back: bool = False
    """The other way (CycleGAN)."""
    hole: str | None = None
    """For inpainting: an image that is white where the hole is."""
    style: str | None = None
    """An image, of which the middle is taken, whose style all take (SPADE, unless
    trained with --no-encoder); default, each one as drawn of --seed and its name."""
    batch_size: int = 8
    """Files of one size to translate at a time."""
    seed: int = 0
    """Decides the noise, with each file's name."""
    best: bool = False
    """By the best state that --evaluate-every found, instead of the newest."""
    live: bool = False
    """By G's weights as they are, instead of their average."""
    platform: Literal["auto", "cpu", "gpu", "tpu"] = "auto"
    """Where to run."""


@dataclasses.dataclass(frozen=True)
class Compare:
    """Measure a trained run's translations, beside answers without learning."""

    workdir: str | None = None
    """The run. Default runs/EXPERIMENT."""
    num: int = 5000
    """How many translations, and at most how many real images."""
    metrics: tuple[config.Metric, ...] | None = None
    """Fréchet and kernel distance, nearness to the target (L1, PSNR, SSIM), how far
    from gray colours are, and whether painted digits are as they should be; default all
    that there is for the run's data."""
    data: str | None = None
    """What to translate, as --data takes it; default the run's own test images, or,
    where it has none, those that it was trained on."""
    back: bool = False
    """The other way (CycleGAN)."""
    inception_weights: str | None = None
    """The file weights-inception-2015-12-05-6726825d.pth, for FID and KID; without it
    images are compared by a bank of filters."""
    best: bool = False
    """The best state that --evaluate-every found, instead of the newest."""
    live: bool = False
    """G's weights as they are, instead of their average."""
    out: str | None = None
    """The JSON to write. Default WORKDIR/evaluation.json, of --back
    evaluation_back.json."""
    seed: int = 0
    """Decides which images are taken, and the noise."""
    platform: Literal["auto", "cpu", "gpu", "tpu"] = "auto"
    """Where to run."""


def main(
    kind: type[config.Config],
    build,
    argv: list[str] | None = None,
    *,
    named: Mapping[str, config.Config] | None = None,
    commands: Mapping[str, tuple] | None = None,
) -> None:
    """Runs an experiment's command line and exits.

    Args:
        kind: the experiment's options.
        build: `(config, shape, num_classes) -> GAN`, or a `Translator`.
        argv: arguments, default the process's.
        named: default options by name, one of which the first argument picks; its runs
            are in `runs/EXPERIMENT/NAME`. None for an experiment of one kind of GAN.
        commands: by name, a dataclass of options with `workdir`, `platform` and `best`,
            and `(options, loaded) -> None`, `loaded` being a `Loaded`. `GAN`, the
            default, or `TRANSLATOR`, maybe with others added.
    """
    argv = sys.argv[1:] if argv is None else argv
    experiment = Path(sys.argv[0]).stem
    prog, home, default = f"{experiment}.py", workdir.default(experiment), kind()
    known = GAN if commands is None else commands
    unnamed = named and argv[:1] and argv[0] in known
    if named and not unnamed:
        name, *argv = argv or [""]
        _check_name(name, named, prog, kind)
        prog, home, default = f"{prog} {name}", home / name, named[name]
    try:
        if argv and argv[0] in known:
            what, function = known[argv[0]]
            options = _parse(what, argv[1:], f"{prog} {argv[0]}")
            if unnamed and not options.workdir:
                raise UsageError(
                    f"{prog} {argv[0]} needs --workdir, or a name before: {prog} "
                    f"{next(iter(named))} {argv[0]}."
                )
            _cache_compilations()
            path = Path(options.workdir or home)
            function(options, _load(options, path, kind, build, experiment))
        else:
            options = _train_options(default, argv, prog, known)
            options = dataclasses.replace(options, workdir=options.workdir or str(home))
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


def _check_name(name, named, prog, kind):
    names = f"one of {', '.join(named)}; {prog} NAME --help lists its options."
    if name in ("-h", "--help"):
        print(f"{kind.__doc__}\n\nusage: {prog} NAME [OPTIONS]\n\nNAME is {names}")
        sys.exit(0)
    if name not in named:
        _stop(f"{prog} needs a name first, not {name!r}: {names}", 2)


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


def _train_options(default, argv, prog, known):
    kind = type(default)
    others = ", ".join(f"{prog} {command}" for command in known)
    description = (
        f"{kind.__doc__}\n\nThis trains. With a trained run (each has a --help): "
        f"{others}."
    )
    file = _value_of("--config", argv)
    default = config.from_file(file, default) if file else default
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


class Loaded(NamedTuple):
    """A trained run."""

    path: Path
    gan: Any
    state: TrainState
    run: workdir.Run


def sample(options: Sample, loaded: Loaded) -> None:
    """Writes a grid, and the images as .npz when asked."""
    _, gan, state, _ = loaded
    state = sampling.live(state) if options.live else state
    images, labels = sampling.draw(gan, state, options.num, options.seed, options.label)
    sampling.write(images, labels, options.out, options.npz)
    files = " and ".join(filter(None, (options.out, options.npz)))
    print(f"{len(images)} images in {files}")


def evaluate(options: Evaluate, loaded: Loaded) -> None:
    """Prints a table and writes its figures as JSON."""
    path, gan, state, run = loaded
    state = sampling.live(state) if options.live else state
    out = _json(options, path)
    inception = options.inception_weights or run.config.inception_weights
    mesh = parallel.mesh_of(state.step)
    extractor = extractors.choose(inception, run.config.data, run.shape, mesh)
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
    classes = "in turn" if labels is None else f"as often as in {reference.name}"
    result |= {
        "batch_norm": "standing statistics" if settled else None,
        "classes": classes if gan.num_classes else None,
    }
    _report(options, loaded, result, out)


def _json(options, path, name="evaluation.json"):
    """The file to write figures to, if it can be."""
    out = path / name if options.out is None else Path(options.out)
    workdir.writable(out.parent, "--out")
    if out.is_dir():
        raise UsageError(f"--out {out} is a folder; name a file.")
    return out


def _report(options, loaded, result, out):
    """Prints figures and writes them, with what they are of."""
    weights = "live" if options.live else "averaged"
    result |= {
        "workdir": str(loaded.path),
        "step": int(loaded.state.step),
        "checkpoint": "best" if options.best else "newest",
        "weights": weights,
        "seed": options.seed,
    }
    out.write_text(json.dumps(result, indent=2) + "\n")
    print(evaluation.table(result))
    print(f"The {weights} weights of step {result['step']}. Written to {out}.")


def _references(options: Evaluate, cfg: config.Config):
    """Real images, and more of them for the floor or None."""
    spec = options.reference or cfg.data
    reference = _real(options, cfg)
    if not data.has_test(spec):
        return reference, None
    try:
        return reference, train.load(cfg, spec, split="test")
    except UsageError as error:  # a folder of training files alone
        why = f"There are no test images: {error}"
        return reference._replace(notes=(*reference.notes, why)), None


def _real(options, cfg):
    try:
        return train.load(cfg, options.reference)
    except UsageError as error:
        name = "--reference" if options.reference else "--data"
        raise UsageError(str(error).replace("--data", name)) from None


def translate(options: Translate, loaded: Loaded) -> None:
    """Writes translations of a user's files."""
    _, translator, state, run = loaded
    written = image_files.translate(
        _way(options, translator),
        sampling.live(state) if options.live else state,
        run.shape,
        Path(options.input),
        Path(options.out),
        hole=None if options.hole is None else Path(options.hole),
        style=None if options.style is None else Path(options.style),
        batch_size=options.batch_size,
        seed=options.seed,
    )
    one = len(written) == 1
    print(written[0] if one else f"{len(written)} images in {written[0].parent}")


def compare(options: Compare, loaded: Loaded) -> None:
    """Prints a table and writes its figures as JSON."""
    path, translator, state, run = loaded
    cfg, translator = run.config, _way(options, translator)
    name = "evaluation_back.json" if options.back else "evaluation.json"
    out = _json(options, path, name)
    inception = options.inception_weights or cfg.inception_weights
    extractor = extractors.of_any(inception, parallel.mesh_of(state.step))
    reference = train.load(cfg)
    dataset, notes = _to_translate(options, cfg, reference)
    if dataset.shape != run.shape:
        raise UsageError(
            f"--data {dataset.name} has images of {dataset.shape}, the run of "
            f"{run.shape}."
        )
    translation.check(translator, dataset)
    names = options.metrics
    names = comparison.available(translator, dataset) if names is None else names
    comparison.check(translator, dataset, reference, names, options.num)
    args = options.num, options.seed, workdir.cache("features")
    asked = comparison.Comparison(
        translator, dataset, reference, extractor, names, *args
    )
    state = sampling.live(state) if options.live else state
    result = comparison.compare(asked, state)
    result["notes"] = [*dataset.notes, *notes, *result["notes"]]
    result["way"] = "back" if options.back else "there"
    _report(options, loaded, result, out)


def _to_translate(options, cfg, reference):
    """The images, and notes on them."""
    own = "These are the images that it was trained on"
    if options.data:
        dataset = train.load(cfg, options.data)
        return (reference, (f"{own}.",)) if _same(dataset, reference) else (dataset, ())
    why = "--data gives others"
    if data.has_test(cfg.data):
        try:
            return train.load(cfg, split="test"), ()
        except UsageError as error:  # a folder of training files alone
            why = f"there are no test images: {error}"
    return reference, (f"{own}; {why}.",)


def _same(a, b):
    """Whether two data sets are one under two names, as some of their images tell."""
    if a is None or b is None:
        return a is b
    if (a.size, a.shape) != (b.size, b.shape):
        return False
    index = np.linspace(0, a.size - 1, 64).astype(int)
    images = [x.fetch(index)["image"] for x in (a, b)]
    return np.array_equal(*images) and _same(a.unpaired, b.unpaired)


def _way(options, translator):
    config.check_seed(options.seed)
    if not options.back:
        return translator
    if not translator.back:
        raise UsageError("--back: this run learned one way only.")
    return translator.back


GAN = {"sample": (Sample, sample), "evaluate": (Evaluate, evaluate)}
"""Commands of a GAN that draws from noise."""
TRANSLATOR = {"translate": (Translate, translate), "evaluate": (Compare, compare)}
"""Commands of one from image to image."""


def _load(options, path, kind, build, experiment) -> Loaded:
    where = options.platform, experiment, options.best
    return Loaded(path, *sampling.load(path, kind, build, *where))
