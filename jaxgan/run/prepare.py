"""A run before it begins: what is in its workdir, and all that must fit."""

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import distributed, parallel
from jaxgan.data import Dataset, centred, feed
from jaxgan.data.split import subset
from jaxgan.run import (
    advice,
    apart,
    best_state,
    checkpoint,
    config,
    evaluation,
    hosts,
    inputs,
    members,
    program,
    provenance,
    record,
    settings,
    sheets,
    sides,
    weights,
    workdir,
)
from jaxgan.types import TrainState, UsageError

__all__ = ["Prepared", "There", "devices", "donor", "known", "prepared", "there"]


class There(NamedTuple):
    """What the workdir holds, as process 0 sees it."""

    values: dict
    """Of options that a run in it is older than, what it did."""
    older: list[str]
    """Those options."""
    held_out: int | None
    """How many images a run in it has held out; None: there is no run."""
    step: int
    """Of its newest checkpoint."""
    made_by: dict
    """What it was last trained with."""


class Prepared(NamedTuple):
    """A run of which all is known to fit, before anything is compiled or changed."""

    cfg: config.Config
    path: Path
    mesh: parallel.Mesh
    """The devices, of all processes."""
    whole: Dataset
    """What is fed, before a random crop."""
    dataset: Dataset
    """As networks see it."""
    change: feed.Change
    members: tuple[members.Member, ...]
    model_of: Callable
    """`swept values -> model`."""
    sheets: list[Callable]
    """For each member, `state -> sheets.Sheet`."""
    judges: list
    """For each member; none without evaluations."""
    held_out: int
    """Images that are not trained on."""
    notes: tuple[str, ...]
    """For the log."""
    start: program.Start
    apart: Callable[[], Dataset | None]
    """Loads real images that no step sees, to look whether D overfits."""


def devices(cfg) -> tuple[config.Config, parallel.Mesh]:
    """The options, checked, the same in every process, and all devices."""
    cfg = settings.expanded(cfg)
    config.check(cfg)
    for name in settings.PROCESS:
        if (value := getattr(cfg, name)) is not None:
            reason = "is for the command line; call jax.distributed.initialize first."
            raise UsageError(name, value, reason)
    count = len(members.members(cfg))
    if not jax.distributed.is_initialized():
        members.divide_cpu(count)
    found = parallel.devices("tpu" if cfg.tpu else cfg.platform)
    mesh = parallel.mesh(members.chosen(found, count))
    own = settings.ITS_OWN | {"inception_weights"}
    values = {n: x for n, x in settings.to_dict(cfg).items() if n not in own}
    begins = {"init_from": "named" if cfg.init_from else "not named"}
    hosts.same(provenance.versions() | values | begins)
    distributed.meet(mesh)
    return cfg, mesh


def known(dataset: Dataset) -> dict:
    """What processes that train on the same data have in common."""
    if distributed.alone():
        return {}
    first = [group.fetch(np.arange(min(4, group.size))) for group in dataset.groups]
    pixels = [np.asarray(x).tobytes() for x in jax.tree.leaves(first)]
    return {
        "data": dataset.name,
        "images": dataset.size,
        "shape": dataset.shape,
        "classes": dataset.class_names,
        "first images": hashlib.sha256(b"".join(pixels)).hexdigest()[:8],
    }


def there(path: Path, cfg: config.Config, experiment: str) -> There:
    """What a workdir holds.

    Raises:
        UsageError: it is damaged, or of another experiment.
    """
    old, older = workdir.adopted(path, cfg)
    values = {name: settings.of(old, name) for name in older}
    began = (path / "config.json").exists()
    held_out = workdir.read(path, type(cfg), experiment).held_out if began else None
    step = max(checkpoint.steps(path / checkpoint.NEWEST), default=0)
    return There(values, older, held_out, step, workdir.last_made_by(path))


def prepared(
    cfg: config.Config,
    there: There,
    path: Path,
    mesh,
    build: Callable,
    data,
    measures,
    sources,
) -> Prepared:
    """All that a run needs, before anything is compiled or changed.

    Raises:
        UsageError: an option cannot be met.
    """
    here = distributed.local(mesh)
    who = members.members(cfg)
    sharing = distributed.sharing(len(who), mesh)
    parallel.check_batch_size(cfg.batch_size, sharing.size)
    if data is None:
        whole = inputs.load(cfg, centre=False, sources=sources)
    else:
        whole = inputs.given(cfg, data)
        cfg = settings.changed(cfg, data=whole.name)
    change = inputs.change(cfg, whole.shape)
    shown = _centred(whole, change)
    model_of = members.varied(build, cfg, shown.shape, shown.num_classes)
    start = program.start(model_of, who, shown.shape, mesh)
    model = model_of(who[0].values)
    program.check(model, shown.shape, cfg.batch_size, sharing, cfg.accumulate)
    named = data is None  # or there is nothing to load by its name
    sides.check(model, shown)
    every, rest, more = apart.held_out(cfg, model, whole, there.held_out)
    whole = subset(every, cfg.subset) if cfg.subset else every
    dataset, compared = (_centred(x, change) for x in (whole, every))
    judged = _centred(rest, change) if rest else compared
    seen, notes = inputs.held_out(cfg, model, dataset, sources if named else None)
    record.check(cfg.tensorboard, cfg.wandb)
    pictures, judges = [], []
    for k, member in enumerate(who):
        pictures.append(sheets.sheet(model, seen, dataset.num_classes, member.seed))
        if cfg.evaluate_every:
            folder = best_state.folder(path, k if len(who) > 1 else None)
            args = cfg, model, compared, judged, measures, member.seed, folder, here
            judges.append(evaluation.follow(*args))
    known = cfg, path, mesh, whole, dataset, change, who, model_of, pictures, judges
    if there.older:
        options = ", ".join(map(settings.flag, there.older))
        before = f"{path} is of a run older than {options}, and goes on as it began."
        more = (*more, before)
    size = rest.size if rest else 0
    judged_by = evaluation.seen(model) if judges else ()
    notes = (*notes, *more, *judged_by, *advice.of_gamma(cfg, who, dataset.shape))
    alike = partial(_apart, cfg, shown, judged if rest else None, sources, named)
    return Prepared(*known, size, notes, start, alike)


def _apart(cfg, shown, rest, sources, named):
    """Real images that no step sees, with all that a step needs of them: held out from
    training, or test images."""
    if rest is not None or not named:
        return rest
    found = inputs.test_images(cfg, shown, sources=sources)[0]
    return found if found and shown.fields <= found.fields else None


def _centred(dataset, change):
    return centred(dataset, change.crop) if change.crop else dataset


def donor(run: Prepared) -> TrainState | None:
    """The state that `init_from` names, if it does, of as many members."""
    if not run.cfg.init_from:
        return None
    args = run.cfg, run.start.template, len(run.members)
    named = _of_file if Path(run.cfg.init_from).suffix in weights.SUFFIXES else _named
    return hosts.shared(lambda: named(*args), run.start.template, run.mesh)


def _of_file(cfg, template, count):
    """Of what `export` writes; all else is of no step yet."""
    if count > 1:
        reason = f"holds one member, and this run is to have {count}."
        raise UsageError("init_from", cfg.init_from, reason)
    weights.check(cfg.init_from, "init_from")
    if not Path(cfg.init_from).is_file():
        reason = "is no file; export writes such files, of a run."
        raise UsageError("init_from", cfg.init_from, reason)
    try:
        state = weights.into(template, weights.read(cfg.init_from))
    except UsageError as error:
        reason = f"does not fit: {error}"
        raise UsageError("init_from", cfg.init_from, reason) from None
    return jax.tree.map(_filled, state)


def _filled(x):
    return x if isinstance(x, jax.Array) else jnp.zeros(x.shape, x.dtype)


def _named(cfg, template, count):
    folder = Path(cfg.init_from) / checkpoint.NEWEST
    if not checkpoint.steps(folder):
        reason = (
            "holds no checkpoints; name the workdir of a run, or what export wrote."
        )
        raise UsageError("init_from", cfg.init_from, reason)
    kept = cfg.posthoc_ema
    try:
        donor = workdir.read(folder.parent, type(cfg)).config
        theirs, kept = len(members.members(donor)), donor.posthoc_ema
    except UsageError:  # of another experiment: its networks decide
        theirs = count
    if theirs != count:
        reason = f"holds {theirs} members, and this run is to have {count}."
        raise UsageError("init_from", cfg.init_from, reason)
    with checkpoint.reader(folder) as saved:
        try:
            return checkpoint.restore(saved, template)
        except UsageError as error:
            reason = f"does not fit: {error}"
            if kept != cfg.posthoc_ema:
                reason += (
                    " It keeps other averages by `posthoc_ema` than this run is to: "
                    "what export writes of it has none."
                )
            raise UsageError("init_from", cfg.init_from, reason) from None
