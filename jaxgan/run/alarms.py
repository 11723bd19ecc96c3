"""Runs that go wrong quietly: what is seen of them, what it is called, what helps.

Each alarm is of figures that a run has anyway, so it costs no step anything. It is said
once, when it has held for long enough. It is a hint: training goes on.
"""

import hashlib
from collections.abc import Callable, Iterator

import jax
import numpy as np

from jaxgan.data import Dataset
from jaxgan.run.members import Member
from jaxgan.types import TrainState

__all__ = ["FEW", "HOLDS", "Seen", "of_data", "of_metrics", "of_samples", "sentence"]

HOLDS = 1000
"""Steps that a sign must hold before it is said: early in a run, D is often too strong
and samples are alike."""

FEW = 300
"""Images that D learns by heart, if there are no more."""

BYTES = 1 << 25
"""Of training images, what is looked at before the first step, or 100 images."""

ALWAYS = 0.999
"""D(real>fake) above which D tells all real images from fakes."""

FOOLED = 0.1
"""D(real>fake) below which G fools D."""

HUGE = 1e5
"""Of a loss, or a gradient's norm."""

RATIO = 1e4
"""Of networks' gradients, above which one of them learns next to nothing."""

STILL = 100
"""Steps without a change of a network's weights."""

NARROW = 0.4
"""Distance to the nearest other sample, in that of real images, where G collapses."""


Seen = dict[int, set]
"""Of each member, the networks that have learned since the last line of metrics."""


def of_data(dataset: Dataset, conditional: bool, seed: int = 0) -> list[str]:
    """What is wrong with training images, before the first step.

    Args:
        dataset: as it is trained on; 100 to 1,000 of its images are looked at.
        conditional: whether a network is given their labels.
        seed: which.
    """
    group, found = dataset.groups[0], []
    size = group.size
    h, w, c = dataset.shape
    most = min(1000, max(100, BYTES // (h * w * c)))
    index = np.random.default_rng(seed).permutation(size)[:most]
    rows = group.fetch(np.sort(index))
    images = next((np.asarray(x) for x in rows.values() if x.ndim == 4), None)
    if images is None:
        return []
    different = len({hashlib.sha256(x.tobytes()).digest() for x in images})
    if different < len(images) / 2:
        found.append(
            f"Few different images: of {len(images)} training images that were looked "
            f"at, {different} are different. G can draw no more than there is."
        )
    elif size < FEW:
        found.append(
            f"Few images: D overfits, it learns {size} images by heart. Train on more, "
            "or augment them (--augment, where there is the option)."
        )
    told = rows.get("label") if conditional else None
    if told is not None and not _labels_tell(images, np.asarray(told), seed):
        found.append(
            "Labels say nothing of the images: their means by class differ no more "
            "than by chance. Are the labels shuffled?"
        )
    return found


def _labels_tell(images, labels, seed):
    """Whether the classes' means differ more than those of shuffled labels do."""
    flat = images.reshape(len(images), -1)
    flat = flat[:, :: max(1, flat.shape[1] // 1024)].astype(np.float32)
    known, labels = np.unique(labels, return_inverse=True)
    if len(known) < 2 or len(labels) < 4 * len(known):
        return True
    rng = np.random.default_rng(seed)
    own = _between(flat, labels, len(known))
    shuffled = [_between(flat, rng.permutation(labels), len(known)) for _ in range(9)]
    return own > 1.5 * np.mean(shuffled)


def _between(flat, labels, count):
    """The share of variance that lies between the classes' means."""
    one_hot = np.eye(count, dtype=np.float32)[labels]
    sizes = one_hot.sum(0)[:, None]
    means = one_hot.T @ flat / sizes
    return float((sizes * np.square(means - flat.mean(0))).sum())


def of_metrics(members: tuple[Member, ...], say: Callable, seen: Seen) -> Callable:
    """`look(step, means) -> int`, at each line of metrics: how many were said so far.

    Args:
        members: what they are called.
        say: is told, in a sentence or two, once of each trouble.
        seen: is told the networks that have learned since the last line.
    """
    since: dict[tuple, int] = {}
    said: set[tuple] = set()

    def look(step, means):
        for k in range(len(members)):
            own = {n: m[k] if isinstance(m, list) else m for n, m in means.items()}
            seen[k] = {n.removesuffix("_grad_norm") for n in own if _norm(n)}
            signs = dict(_signs({n: m for n, m in own.items() if m is not None}))
            for key in [key for key in since if key[1] == k and key[0] not in signs]:
                del since[key]
            for name, (holds, text) in signs.items():
                key = name, k
                begun = since.setdefault(key, step)
                if key not in said and step - begun >= holds:
                    said.add(key)
                    say(sentence(step, k, members, text))
        return len(said)

    return look


def _signs(means: dict) -> Iterator[tuple]:
    """`(name, (steps that it must hold, text))` of each sign of trouble."""
    norms = {n.removesuffix("_grad_norm"): m for n, m in means.items() if _norm(n)}
    for net, norm in norms.items():
        if norm == 0:
            yield f"dead {net}", (0, _dead(net))
        if norm > HUGE:
            yield f"huge {net}", (0, _blown_up(f"{net}'s gradient", norm))
    live = {net: norm for net, norm in norms.items() if norm > 0}
    for net, norm in live.items():
        if norm * RATIO < max(live.values()):
            yield f"small {net}", (HOLDS, _unbalanced(net, norm, max(live.values())))
    for name, value in means.items():
        if name.endswith("_loss") and abs(value) > HUGE:
            yield f"huge {name}", (0, _blown_up(name, value))
        if name.endswith("(real>fake)"):
            yield from _of_scores(name, value)


def _norm(name):
    return name.endswith("_grad_norm") and not name.endswith("_lazy_grad_norm")


def _dead(net):
    return (
        f"Dead gradients: {net}'s gradient is zero, so it learns nothing. A lower "
        "learning rate in a new run usually helps."
    )


def _unbalanced(net, norm, most):
    return (
        f"Unbalanced gradients: {net}'s norm is {norm:.2g}, another network's "
        f"{most:.2g}. A lower learning rate of the other one, or a penalty, usually "
        "helps."
    )


def _blown_up(name, value):
    return (
        f"Values blow up: {name} is {value:.3g}. A lower learning rate in a new run "
        "usually helps."
    )


def _of_scores(name, value):
    net = name.partition("(")[0]
    if value > ALWAYS:
        text = (
            f"{net} is too strong: it tells every real image from every fake, so G "
            "learns little. A lower learning rate of it, a penalty (R1), or "
            "augmentation where images are few, usually help."
        )
        yield f"strong {net}", (HOLDS, text)
    if value < FOOLED:
        text = (
            f"{net} is too weak: fakes score above real images. Does it learn? Larger "
            "steps of it usually help."
        )
        yield f"weak {net}", (HOLDS, text)


def of_samples(
    members: tuple[Member, ...],
    dataset: Dataset,
    say: Callable,
    seen: Seen,
    seed: int = 0,
) -> Callable:
    """`look(step, k, state, sheet)`, at each sheet of samples, of member k.

    Args:
        members: what they are called.
        dataset: real images, which samples are compared with.
        say: is told, once of each trouble.
        seen: of `of_metrics`: only of those can be said that they stand still.
        seed: which real images.
    """
    said: set[tuple] = set()
    before: dict[tuple, tuple[float, int]] = {}
    narrow: dict[int, int] = {}
    real = None

    def once(name, step, k, text):
        if (name, k) not in said:
            said.add((name, k))
            say(sentence(step, k, members, text))

    def look(step, k, state: TrainState, sheet):
        nonlocal real
        for net in state.opt:
            now = _fingerprint(state.params[net])
            was, since = before.get((k, net), (np.nan, step))
            if not np.isclose(was, now, 1e-12, 0) or net not in seen.get(k, {net}):
                before[k, net] = now, step
            elif step - since >= STILL:
                once(f"still {net}", step, k, _stands_still(net, since))
        if sheet.samples is None or step == 0:
            return
        if real is None:
            real = _nearest(_images(dataset, len(sheet.samples), seed))
        share = _nearest(sheet.samples) / real if real else 1.0
        if share >= NARROW:
            narrow.pop(k, None)
        elif step - narrow.setdefault(k, step) >= HOLDS:
            once("narrow", step, k, _collapses(share))

    return look


def _stands_still(net, since):
    return (
        f"{net} stands still: its weights are what they were at step {since}. Does its "
        "optimizer take steps?"
    )


def _collapses(share):
    return (
        f"Mode collapse: samples are {share:.0%} as far from the next one as real "
        "images are. A lower learning rate, a penalty (R1), spectral norm or PacGAN "
        "usually help."
    )


def _images(dataset, count, seed):
    group = dataset.groups[0]
    index = np.random.default_rng(seed).permutation(group.size)[:count]
    rows = group.fetch(np.sort(index))
    return next(np.asarray(x) for x in rows.values() if x.ndim == 4)


def _nearest(images):
    """The mean distance of an image to the nearest other one."""
    flat = images.reshape(len(images), -1).astype(np.float64)
    squares = np.square(flat).sum(1)
    distances = squares[:, None] + squares - 2 * flat @ flat.T
    np.fill_diagonal(distances, np.inf)
    return float(np.sqrt(np.maximum(distances.min(1), 0)).mean())


def _fingerprint(params):
    """A sum of sizes: of a rate of 1e-30 nothing of it is left, but in biases."""
    return sum(float(np.abs(np.asarray(x, np.float64)).sum()) for x in _some(params))


def _some(params):
    leaves = jax.tree.leaves(params)
    return leaves[:: max(1, len(leaves) // 4)]


def sentence(step: int, k: int, members: tuple[Member, ...], text: str) -> str:
    """What is said of member k."""
    who = f", member {k} ({members[k].name})" if len(members) > 1 else ""
    return f"Warning at step {step}{who}: {text}"
