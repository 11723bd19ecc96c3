"""The command `dissect`: units of a generator's layer switched off, one by one."""

import dataclasses
from pathlib import Path
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import data, explore, visual
from jaxgan.data.tree import some
from jaxgan.run import atomic, draws, images, provenance, references, workdir
from jaxgan.run.keys import root
from jaxgan.run.loading import Loaded
from jaxgan.run.progress import bars
from jaxgan.run.sampler import sampler
from jaxgan.run.settings import FILE, Count, Seed
from jaxgan.run.sides import sides
from jaxgan.run.trained import Trained, draw_of
from jaxgan.types import UsageError

__all__ = ["Dissect", "check", "dissect"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dissect(Trained):
    """Switch off the units (channels) of a layer of the generator, one by one, and see
    what leaves the images (GAN dissection, arXiv:1811.10597). Layers are those of Flax
    linen."""

    layer: str | None = None
    """Which layer, such as BatchNorm_1; default none, but a list of them."""
    num: Count = 32
    """Images that the effect of each unit is measured on."""
    units: Count = 12
    """How many units are shown, those of most effect."""
    examples: Count = 4
    """Of how many images, for each unit those that change most: before | after."""
    data: str | None = None
    """Of a translator, images to translate, as for evaluate."""
    reference: str | None = None
    """Of a translator, as for evaluate."""
    back: bool = False
    """The other way (CycleGAN)."""
    out: Annotated[str, FILE] = "units.png"
    """The PNG to write, a row for each unit; the effects of all units are in a JSON
    beside it, of the same name."""
    seed: Seed = 0
    """Decides the samples, or what is drawn at random of images."""


def check(options: Dissect) -> None:
    """Refuses what cannot be written, before anything is loaded."""
    images.check(options.out)


def dissect(options: Dissect, loaded: Loaded) -> None:
    """Writes the sheet and the figures; or prints the layers."""
    workdir.apart(Path(options.out), loaded.path)
    run, given, maps = _subject(options, loaded)
    layers = explore.layers(run, *given)
    if options.layer not in layers:
        _refuse(options, loaded, layers)
        return
    units = layers[options.layer][-1]
    off = explore.switched(run, options.layer)
    args = off, units, *given
    found = explore.effects(
        *args, maps=maps, progress=lambda x: bars(x, units, "units")
    )
    order = np.argsort(-found.whole, kind="stable")
    shown = order[: options.units]
    most = np.argsort(-found.by_image, axis=1, kind="stable")[:, : options.examples]
    strips = _sheet(off, units, given, {unit: most[unit] for unit in shown})
    about = provenance.by_command("dissect", options, loaded)
    images.write_sheet(strips, options.out, most.shape[1], 8, about)
    _report(options, loaded, found, order)


def _refuse(options, loaded, layers):
    """The list of layers, as an answer or in a refusal."""
    if not layers:
        reason = "holds a generator without layers of Flax linen: none has a name."
        raise UsageError("workdir", loaded.path, reason)
    if options.layer is not None:
        known = some([*layers], 40)
        raise UsageError("layer", options.layer, f"must be one of {known}.")
    for name, (_, *places, units) in layers.items():
        at = f" at {'x'.join(map(str, places))} places" if places else ""
        print(f"{name}: {units} units{at}")
    print("Choose one by --layer.")


def _subject(options: Dissect, loaded: Loaded):
    """`run(*given) -> images`, what is given, and one-hot label maps, or None."""
    _, of = draw_of(loaded, options.back)
    if draws.from_noise(of):
        one = sampler(loaded)
        seeds = (options.seed + np.arange(options.num)) % 2**32
        return (lambda *given: one.generate(given)), one.given(seeds), None
    _, dataset, _, _ = references.compared(options, loaded, of)
    both, key = sides(dataset, of.task), root(options.seed, "translations")
    count = min(options.num, both.sources.size)
    rows = np.arange(count) * both.sources.size // count  # neighbours are often alike
    batch = data.scaled(both.sources.fetch(rows))
    on_given, on_network = jax.random.split(key)
    given = jax.jit(of.task.given)(batch, on_given)

    def run(*given):
        return of.run(loaded.state, given, on_network)

    return run, given, given[-1] if of.task.file == "map" else None


def _sheet(off, units, given, shown):
    """Strips `[N, H, W', C]` of before | after, of each unit its images."""
    run = jax.jit(off)
    before = visual.to_uint8(run(jnp.ones(units), *given))
    strips = []
    for unit, rows in shown.items():
        after = visual.to_uint8(run(1 - jax.nn.one_hot(unit, units), *given))
        strips += [visual.grid(np.stack([before[i], after[i]]), 2) for i in rows]
    return np.stack(strips)


def _report(options, loaded, found, order):
    rows: list[dict] = []
    for unit in order:
        row: dict = {"unit": int(unit), "effect": float(found.whole[unit])}
        if found.by_class is not None:
            known = enumerate(found.by_class[unit])
            row["by_class"] = {str(k): float(x) for k, x in known if np.isfinite(x)}
        rows.append(row)
    beside = Path(options.out).with_suffix(".json")
    result = {
        "layer": options.layer,
        "step": int(loaded.state.step),
        "seed": options.seed,
        "num": options.num,
        "units": rows,
    }
    with atomic.written("out", beside):
        atomic.write_json(beside, result)
    print("Mean change of pixels, of values in 0 ... 1, where a unit is off:")
    for row in rows[: options.units]:
        classes = row.get("by_class", {})
        most = max(classes, key=lambda k: classes[k]) if classes else None
        its = f", most of class {most}: {classes[most]:.4f}" if most else ""
        print(f"unit {row['unit']}: {row['effect']:.4f}{its}")
    print(f"Of {len(rows)} units. In {options.out} and {beside}.")
