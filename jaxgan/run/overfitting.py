"""D learns its training images by heart, seen at the real images that were held out."""

from collections.abc import Callable
from functools import partial

import jax
import numpy as np
from jax import random

from jaxgan.data import Dataset
from jaxgan.data.dataset import scaled
from jaxgan.phases import steps_between
from jaxgan.run import stages
from jaxgan.run.alarms import HOLDS, Seen, sentence
from jaxgan.run.members import Member
from jaxgan.types import TrainState, UsageError

__all__ = ["watch"]

MOST = 512
"""Images of either kind that D is shown, at most."""

BYTES = 1 << 27
"""Of held-out images, what is kept."""

SHARE = 0.5
"""Of r_v, above which D is said to overfit."""

ERRORS = 4
"""Standard errors that the difference must be above chance."""


def watch(
    model_of: Callable,
    members: tuple[Member, ...],
    dataset: Dataset,
    say: Callable,
    seen: Seen,
    held_out: Callable[[], Dataset | None],
    batch_size: int,
) -> Callable:
    """`look(step, k, state, sheet)`, at each sheet of samples, of member k.

    It measures r_v of "Training Generative Adversarial Networks with Limited Data"
    (Karras et al. 2020), equation 1, of D's mean outputs: (training images - held-out
    images) / (training images - fakes). It is 0 where D does not overfit, and 1 where
    it takes held-out images for fakes. Outputs are as metrics have them, of a logistic
    loss probabilities, and D is as it trains: with dropout, augmentation, and the
    statistics of a batch. Without a D, or with few images held out, nothing is looked
    at; nor where they cannot be read, which is said.

    Args:
        model_of: `values -> model`, of swept options.
        members: what they are called.
        dataset: as it is trained on.
        say: is told, once of each D.
        seen: of `alarms.of_metrics`: only of those can be said that they overfit.
        held_out: loads real images of the same kind that no step sees, or None.
        batch_size: images that D is shown at a time.
    """
    model = model_of(members[0].values)
    try:
        known = _batches(model, dataset, held_out, batch_size)
    except UsageError as error:  # such as of a damaged picture: training needs none
        say(f"Whether D overfits is not looked at: {error}")
        known = []

    outputs = jax.jit(partial(_outputs, model_of), static_argnums=0)

    def measured(step, k, state):
        """By name, D's outputs `[batches, 2]`, of training images and of others."""
        means = []
        of = partial(outputs, stages.span_of(step, model.stages), members[k].values)
        for i, batch in enumerate(known):
            key = random.fold_in(random.key(step), i)
            pair = scaled(_batch(dataset, batch_size, step, i)), scaled(batch)
            means.append([of(state, b, key) for b in pair])
        names = means[0][0] if means else ()
        return {n: np.array([[x[n].value() for x in m] for m in means]) for n in names}

    since: dict[tuple, int] = {}
    said: set[tuple] = set()

    def look(step, k, state: TrainState, sheet):
        found = measured(step, k, state)
        nets = [n.removesuffix("(real)") for n in found if n.endswith("(real)")]
        for net in nets:
            share = _share(found[f"{net}(real)"], found[f"{net}(fake)"])
            learns = step and net in seen.get(k, {net})
            if share < SHARE or not learns:
                since.pop((net, k), None)
                continue
            begun = since.setdefault((net, k), step)
            if step - begun >= HOLDS and (net, k) not in said:
                said.add((net, k))
                say(sentence(step, k, members, _overfits(net, share)))

    return look


def _outputs(model_of, span, values, state, batch, key):
    """D's mean outputs, of a state in the stage of these steps."""
    with steps_between(*span):
        metrics = model_of(values).parts["D"](state, batch, key)[1]
    return {n: m for n, m in metrics.items() if n.endswith(("(real)", "(fake)"))}


def _overfits(net, share):
    return (
        f"{net} overfits: it scores real images that were held out {share:.0%} of the "
        "way from those that it is trained on to fakes. More images, augmentation "
        "(--augment, where there is the option) or a penalty (R1) usually help."
    )


def _share(real, fake):
    """r_v of outputs `[batches, 2]`, first of training images; 0 where by chance."""
    trained, held_out = real.T
    gaps = trained - held_out
    error = gaps.std(ddof=1) / np.sqrt(len(gaps))
    above = trained.mean() - fake.mean()
    if not (above > 0 and gaps.mean() > ERRORS * error):
        return 0.0
    return float(gaps.mean() / above)


def _batches(model, dataset, held_out, size):
    """Of images held out; none without a D, or of too few images."""
    apart = held_out() if "D" in model.parts else None
    if apart is None:
        return []
    least = min(group.size for x in (dataset, apart) for group in x.groups)
    bytes_of_one = sum(group.nbytes // group.size for group in apart.groups)
    count = min(MOST, least, BYTES // bytes_of_one) // size
    return [_batch(apart, size, 0, i) for i in range(count)] if count > 1 else []


def _batch(dataset, size, step, i):
    """Images of each group at random."""
    rng, batch = np.random.default_rng((step, i)), dict[str, np.ndarray]()
    for group in dataset.groups:
        batch |= group.fetch(rng.choice(group.size, size, replace=False))
    return batch
