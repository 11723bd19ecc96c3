"""The command `scores`: what D makes of real images and of samples."""

import dataclasses
from functools import partial
from pathlib import Path
from typing import Annotated

import jax
import numpy as np

from jaxgan import data, parallel
from jaxgan.run import atomic, draws, histogram, images, inputs, workdir
from jaxgan.run.loading import Loaded
from jaxgan.run.settings import FILE, Count, Seed
from jaxgan.run.trained import Trained, of_noise
from jaxgan.types import UsageError

__all__ = ["Scores", "check", "scores"]

BINS = 60
QUANTILES = 0.05, 0.25, 0.5, 0.75, 0.95


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scores(Trained):
    """Draw a histogram of D's scores, its outputs as they are, of images that it was
    trained on, of such that were held out, and of samples."""

    num: Count = 2000
    """How many of each, at most."""
    batch_size: Count = 64
    """Images that D judges at a time, all of one kind, as in training: BatchNorm and
    minibatch deviation in D take their statistics."""
    out: Annotated[str, FILE] = "scores.png"
    """The PNG to write; its figures are in a JSON beside it, of the same name."""
    seed: Seed = 0
    """Decides the samples, and which images are taken."""


def check(options: Scores) -> None:
    """Refuses what cannot be written, before anything is loaded."""
    images.check(options.out)


def scores(options: Scores, loaded: Loaded) -> None:
    """Writes the histogram and its figures."""
    name, of = of_noise(loaded)
    workdir.apart(Path(options.out), loaded.path)
    if not loaded.model.scores:
        reason = "holds a run whose recipe does not say what its D scores."
        raise UsageError("workdir", loaded.path, reason)
    ((judge, score),) = loaded.model.scores.items()
    cfg, state = loaded.run.config, loaded.state
    real = inputs.trained_on(cfg, sources=loaded.sources)
    held_out, notes = inputs.test_images(cfg, real, sources=loaded.sources)
    labels = None
    if "label" in of.task.needs:
        labels = draws.labels_like(real, options.num, options.seed)
    drawn = draws.samples(
        loaded.model,
        state,
        options.num,
        options.seed,
        num_classes=loaded.num_classes,
        labels=labels,
        name=name,
    )
    if held_out is not None and not {"image", *of.task.needs} <= held_out.fields:
        notes = (*notes, "Held-out images are not scored: they have no labels.")
        held_out = None
    sets = {"training images": real, "held out": held_out, "samples": drawn}
    run, found = _judging(score, state, of), dict[str, np.ndarray]()
    for label, one in sets.items():
        if one is not None:
            rng = np.random.default_rng(options.seed)
            order = rng.permutation(one.size)[: options.num]
            found[label] = run(one, order, options.batch_size)
    edges, shares = _histograms(found)
    title = f"{judge}'s scores, step {int(state.step)}"
    png, beside = Path(options.out), Path(options.out).with_suffix(".json")
    result = _figures(found) | {
        "step": int(state.step),
        "edges": edges.tolist(),
        "shares": {k: x.tolist() for k, x in shares.items()},
        "notes": notes,
    }
    with atomic.written("out", png):
        images.save_png(png, histogram.picture(edges, shares, title))
        atomic.write_json(beside, result)
    print(_table(result), *notes, f"In {png} and {beside}.", sep="\n")


def _judging(score, state, of):
    """`(dataset, index, batch_size) -> logits [N]`."""
    run, mesh = jax.jit(score), parallel.mesh_of(state.step)

    def judge(dataset, index, batch_size):
        found: list[np.ndarray] = []
        most = parallel.rounded(min(batch_size, len(index)), mesh)
        takes = partial(_takes, score, state, of, dataset)
        size = next(filter(takes, range(most, 0, -mesh.size)), 0)
        if not size:
            raise UsageError("batch_size", batch_size, "is no number that D takes.")
        for rows in (index[i : i + size] for i in range(0, len(index), size)):
            if len(rows) < size and found:  # a smaller batch has other statistics
                break
            batch = data.scaled(dataset.fetch(np.resize(rows, size)))
            given = [batch[k] for k in ("image", *of.task.needs)]
            given = jax.device_put(given, parallel.divided(mesh))
            found.append(np.asarray(run(state, *given), np.float64).ravel())
        return np.concatenate(found)

    return judge


def _takes(score, state, of, dataset, size) -> bool:
    """Whether D judges so many images at a time; PacGAN's takes whole packs."""
    batch = data.scaled(dataset.fetch(np.zeros(size, int)))
    try:
        jax.eval_shape(score, state, *(batch[k] for k in ("image", *of.task.needs)))
    except ValueError:
        return False
    return True


def _histograms(found):
    """Edges of bins, and by set the share in each; what is far out is in the last."""
    every = np.concatenate([*found.values()])
    least, most = np.quantile(every, (0.001, 0.999))
    room = (most - least or 1.0) * 0.02
    edges = np.linspace(least - room, most + room, BINS + 1)
    inside = {k: np.clip(x, edges[0], edges[-1]) for k, x in found.items()}
    return edges, {k: np.histogram(x, edges)[0] / len(x) for k, x in inside.items()}


def _figures(found):
    """Of each set, and how often a score of it is above one of a sample."""
    samples = np.sort(found["samples"])
    of = {}
    for name, x in found.items():
        above, beside = (np.searchsorted(samples, x, s) for s in ("left", "right"))
        of[name] = {
            "count": len(x),
            "mean": float(x.mean()),
            "deviation": float(x.std(ddof=1)) if len(x) > 1 else None,
            "quantiles": dict(
                zip(
                    map(str, QUANTILES),
                    map(float, np.quantile(x, QUANTILES)),
                    strict=True,
                )
            ),
            "above_samples": float((above + beside).mean() / 2 / len(samples)),
        }
    return {"scores": of}


def _table(result):
    lines = [f"{'':18}{'mean':>9}{'deviation':>11}{'above samples':>15}"]
    for name, x in result["scores"].items():
        spread = "" if x["deviation"] is None else f"{x['deviation']:.3f}"
        above = "" if name == "samples" else f"{x['above_samples']:.1%}"
        lines.append(f"{name:18}{x['mean']:9.3f}{spread:>11}{above:>15}")
    return "\n".join(lines)
