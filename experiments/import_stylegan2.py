"""A network of StyleGAN2-ADA's PyTorch program, as weights that runs begin with.

    python experiments/import_stylegan2.py --input network.npz --out runs/network.npz
    python experiments/stylegan2.py ffhq256 --data DATA --init-from runs/network.npz

Whoever has such a network exports it to .npz, in the program's own environment; a
pickle is never opened here:

    arrays = {f"G_ema.{k}": v.numpy() for k, v in G_ema.state_dict().items()}
    arrays |= {f"D.{k}": v.numpy() for k, v in D.state_dict().items()}
    numpy.savez("network.npz", **arrays)

Averages and live weights of G are both the averages. Sizes of networks are said, as
options of `stylegan2.py`.
"""

import dataclasses
import sys
from pathlib import Path
from typing import Annotated

import jax.numpy as jnp
import tyro

from jaxgan.models import stylegan2_ada
from jaxgan.run import weights, workdir
from jaxgan.run.settings import FILE
from jaxgan.types import TrainState, UsageError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """Map a network of StyleGAN2-ADA's PyTorch program onto jaxgan's."""

    input: Annotated[str, FILE]
    """An .npz of arrays, see the script's head."""
    out: Annotated[str, FILE]
    """The .npz or .safetensors to write."""


def sizes(found) -> dict[str, int]:
    """Options of `stylegan2.py` that make networks of these sizes."""
    params = found["params"]
    layers = [n for n in params["mapping"] if n.startswith("dense")]
    images = [n for n in params["synthesis"] if n.startswith("image")]
    last = params["synthesis"][f"image{len(images) - 1}"]["conv"]["kernel"]
    width = last.shape[2]
    w_dim = params["mapping"]["dense0"]["kernel"].shape[1]
    return {
        "width": width,
        "max_width": params["synthesis"]["constant"].shape[2],
        "w_dim": w_dim,
        "mapping_layers": len(layers),
    }


def run(options: Options) -> None:
    """Writes the file."""
    weights.check(options.out, "out")
    workdir.writable(Path(options.out).parent, "out")
    weights.check(options.input, "input")
    found = stylegan2_ada.converted(weights.read(options.input))
    if missing := {"mapping", "synthesis", "D"} - found["params"].keys():
        reason = f"has nothing of {', '.join(sorted(missing))}."
        raise UsageError("input", options.input, reason)
    params, stats = found["params"], {"D": {}} | found["stats"]
    averages = {name: params[name] for name in ("mapping", "synthesis")}
    state = TrainState(jnp.int32(0), params, stats, {}, averages, {})
    weights.save(options.out, state, {"source": "StyleGAN2-ADA"})
    said = " ".join(f"--{n.replace('_', '-')} {v}" for n, v in sizes(found).items())
    print(f"{options.out}: of networks by {said}")


if __name__ == "__main__":
    try:
        run(tyro.cli(Options))
    except UsageError as error:
        sys.exit(error.worded(lambda name: f"--{name}"))
