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

from jaxgan import config, data, evaluation, sampling, train, workdir
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
    platform: Literal["auto", "cpu", "gpu", "tpu"] = "auto"
    """Where to run."""


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Measure a trained run's samples against real images."""

    workdir: str | None = None
    """The run. Default runs/EXPERIMENT."""
    num: int = 10000
    """How many samples, and at most how many real images."""
    metrics: tuple[Literal["fd", "kid", "score", "prdc", "classes"], ...] = (
        evaluation.METRICS
    )
    """Fréchet and kernel distance, Inception Score, precision, recall, density and
    coverage, and the classes drawn."""
    reference: str | None = None
    """Real images, as --data takes them; default the run's own."""
    inception_weights: str | None = None
    """The file weights-inception-2015-12-05-6726825d.pth, for FID, KID and Inception
    Score; without it digits are judged by a small classifier that comes with jaxgan."""
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
        folder = Path.home() / ".cache" / "jaxgan" / "compiled"
        jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


def sample(options: Sample, kind, build, experiment: str) -> None:
    """Writes a grid, and the images as .npz when asked."""
    path = Path(options.workdir or workdir.default(experiment))
    gan, state, _ = sampling.load(path, kind, build, options.platform, experiment)
    images, labels = sampling.draw(gan, state, options.num, options.seed, options.label)
    sampling.write(images, labels, options.out, options.npz)
    files = " and ".join(filter(None, (options.out, options.npz)))
    print(f"{len(images)} images in {files}")


def evaluate(options: Evaluate, kind, build, experiment: str) -> None:
    """Prints a table and writes its figures as JSON."""
    path = Path(options.workdir or workdir.default(experiment))
    out = Path(options.out) if options.out else path / "evaluation.json"
    workdir.writable(out.parent, "--out")
    gan, state, run = sampling.load(path, kind, build, options.platform, experiment)
    extractor = evaluation.extractor(options.inception_weights, run.shape)
    spec = options.reference or run.config.data
    fit = {n: config.size(n, getattr(run.config, n)) for n in ("resize", "crop")}
    reference = data.load(spec, **fit)
    others = data.load(spec, split="test", **fit) if _has_test(spec) else None
    images, _ = sampling.draw(gan, state, options.num, options.seed)
    result = evaluation.evaluate(
        images, reference, others, extractor, options.metrics, options.seed
    )
    result |= {"workdir": str(path), "step": int(state.step), "seed": options.seed}
    result |= {"weights": "averaged", "batch_norm": "standing statistics"}
    out.write_text(json.dumps(result, indent=2) + "\n")
    print(evaluation.table(result))
    print(f"Written to {out}.")


def _has_test(spec):
    return spec == "mnist" or spec.startswith("idx:")
