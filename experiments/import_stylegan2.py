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

import jax
import jax.numpy as jnp
import optax
import tyro

from jaxgan import models, recipes
from jaxgan.models import stylegan2_ada
from jaxgan.run import weights, workdir
from jaxgan.run.settings import FILE
from jaxgan.types import TrainState, UsageError, example


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """Map a network of StyleGAN2-ADA's PyTorch program onto jaxgan's."""

    input: Annotated[str, FILE]
    """An .npz of arrays, see the script's head."""
    out: Annotated[str, FILE]
    """The .npz or .safetensors to write."""


SAID = "width", "max_width", "w_dim", "mapping_layers", "latent_dim"
"""Options of `stylegan2.py`."""


def sizes(found) -> dict[str, int]:
    """What the networks are made by, options of `stylegan2.py` and the rest."""
    params = found["params"]
    layers = [n for n in params["mapping"] if n.startswith("dense")]
    images = [n for n in params["synthesis"] if n.startswith("image")]
    last = params["synthesis"][f"image{len(images) - 1}"]["conv"]["kernel"]
    width = last.shape[2]
    inputs, w_dim = params["mapping"]["dense0"]["kernel"].shape
    embed = params["mapping"].get("embed")
    classes = len(embed["kernel"]) if embed else 0
    if (latent_dim := inputs - (w_dim if classes else 0)) < 1:
        raise UsageError(None, None, "Its mapping network takes no z.")
    return {
        "side": 4 << (len(images) - 1),
        "channels": len(params["synthesis"]["image0"]["bias"]),
        "classes": classes,
        "latent_dim": latent_dim,
        "width": width,
        "max_width": params["synthesis"]["constant"].shape[2],
        "w_dim": w_dim,
        "mapping_layers": len(layers),
    }


def check(state: TrainState, its: dict[str, int]) -> None:
    """Refuses weights that networks of these sizes do not have."""
    shape = (its["side"], its["side"], its["channels"])
    sized = its["width"], its["max_width"], its["w_dim"], its["mapping_layers"]
    nets = models.stylegan2.networks(shape, *sized, its["classes"])
    names = "mapping", "synthesis", "D"
    model = recipes.stylegan2(
        *(models.flax_net(name, net) for name, net in zip(names, nets, strict=True)),
        latent_dim=its["latent_dim"],
        num_classes=its["classes"],
        g_tx=optax.identity(),
        d_tx=optax.identity(),
    )
    made = jax.eval_shape(model.init, jax.random.key(0), example(shape, 4))
    place = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    held = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=place), made
    )
    weights.into(held, weights.arrays(state))


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
    try:
        its = sizes(found)
        check(state, its)
    except KeyError as error:
        reason = f"has no {error.args[0]}, as networks of config F have."
        raise UsageError("input", options.input, reason) from None
    except UsageError as error:
        reason = f"is not of networks of config F: {error}"
        raise UsageError("input", options.input, reason) from None
    weights.save(options.out, state, {"source": "StyleGAN2-ADA"})
    said = " ".join(f"--{n.replace('_', '-')} {v}" for n, v in its.items() if n in SAID)
    said += " --conditional" * bool(its["classes"])
    print(f"{options.out}: of networks by {said}")


if __name__ == "__main__":
    try:
        run(tyro.cli(Options))
    except UsageError as error:
        sys.exit(error.worded(lambda name: f"--{name}"))
