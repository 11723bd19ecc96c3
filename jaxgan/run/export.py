"""The command `export`: a trained run as a file for other programs."""

import dataclasses
import importlib.util
import json
from pathlib import Path
from typing import Annotated

import jax

import jaxgan
from jaxgan.run import artifact, atomic, config, weights, workdir
from jaxgan.run.loading import Loaded
from jaxgan.run.settings import FILE
from jaxgan.run.trained import Trained, draw_of
from jaxgan.types import UsageError

__all__ = ["Export", "check", "export"]

ARTIFACT = ".jaxexport"
SUFFIXES = *weights.SUFFIXES, ARTIFACT


@dataclasses.dataclass(frozen=True, kw_only=True)
class Export(Trained):
    """Write a trained run to a file for other programs: its weights, or all that draws
    with them."""

    out: Annotated[str, FILE]
    """The file to write. NAME.safetensors or NAME.npz: weights, statistics and averages
    of all networks, by names such as params/G/Conv_0/kernel, for --init-from too.
    NAME.jaxexport: the sampler or translator, by averaged weights, for jax.export on
    CPU, CUDA and TPU, without jaxgan; NAME.jaxexport.json says what it takes."""
    size: str | None = None
    """Of the images that a translator in NAME.jaxexport takes: N or HxW; default as in
    training."""
    back: bool = False
    """The other way (CycleGAN), in NAME.jaxexport."""


def check(options: Export) -> None:
    """Refuses what cannot be written, before anything is loaded."""
    out = Path(options.out)
    if out.suffix not in SUFFIXES:
        reason = f"must end in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}."
        raise UsageError("out", out, reason)
    if out.suffix == ARTIFACT:
        config.sides("size", options.size)
        if importlib.util.find_spec("flatbuffers") is None:
            reason = "needs a library: pip install 'jaxgan[export]'."
            raise UsageError("out", out, reason)
    else:
        weights.check(out, "out")
        for name in ("size", "back"):
            if value := getattr(options, name):
                value = None if value is True else value
                raise UsageError(name, value, f"is for files that end in {ARTIFACT}.")
    if out.is_dir():
        raise UsageError("out", out, "is a folder; name a file.")
    workdir.writable(out.parent, "out")


def export(options: Export, loaded: Loaded) -> None:
    """Writes the file, and says what is in it."""
    out = Path(options.out)
    if out.suffix == ARTIFACT:
        _artifact(options, loaded, out)
        return
    found = {name: _text(value) for name, value in _about(loaded).items()}
    weights.save(out, loaded.state, found)
    held = weights.arrays(loaded.state).values()
    numbers = sum(x.size for x in held)
    print(f"{len(held)} arrays of {numbers:,} numbers in {out}")


def _about(loaded: Loaded) -> dict:
    return {
        "jaxgan": jaxgan.__version__,
        "experiment": loaded.run.experiment,
        "step": int(loaded.state.step),
        "sigma_rel": loaded.sigma_rel,
        "shape": loaded.run.shape,
        "class_names": loaded.run.class_names,
    }


def _text(value):
    return value if isinstance(value, str) else json.dumps(value)


def _artifact(options: Export, loaded: Loaded, out: Path) -> None:
    name, _ = draw_of(loaded, options.back)
    size = config.sides("size", options.size)
    args = loaded.model, name, loaded.state, loaded.run.shape
    deep = (loaded.run.levels or 0) > 255
    try:
        made = artifact.artifact(*args, size=size, deep=deep)
    except UsageError as error:
        if error.option != "size":
            raise
        raise UsageError("size", options.size, error.reason) from None
    about = _about(loaded) | {
        "jax": jax.__version__,
        "platforms": artifact.PLATFORMS,
        "draw": name,
        "weights": "live" if options.live else "averaged",
        "inputs": [one._asdict() for one in made.inputs],
        "output": made.output._asdict(),
    }
    beside = out.with_name(f"{out.name}.json")
    with atomic.replacing(out) as file:
        file.write(made.data)
    atomic.write_json(beside, about)
    takes = ", ".join(one.name for one in made.inputs)
    alone = made.output.shape[0] == 1
    many = ", one image at a time: its network takes no others" if alone else ""
    print(f"f({takes}) -> images in {out}{many}; what these are, in {beside.name}")
