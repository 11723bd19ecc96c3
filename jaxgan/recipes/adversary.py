"""D as the judge of real images and of fakes, which all recipes share."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxgan.augment import Augmentation
from jaxgan.losses import AdversarialLoss
from jaxgan.models.net import Net
from jaxgan.phases import Phase, carry
from jaxgan.regularizers import Judged, Term
from jaxgan.types import TrainState, UsageError

__all__ = [
    "Adversary",
    "Verdict",
    "adversary",
    "at_once",
    "mixes",
    "over_scales",
    "per_image",
]


class Verdict(NamedTuple):
    """What D makes of a batch."""

    judged: Judged
    """As terms of D's loss see it: one logit for each image."""
    real: Any
    """D's output of real images, all of it."""
    fake: Any
    """D's output of fakes."""


class Adversary(NamedTuple):
    """A discriminator with its loss, its penalty, and its augmentation."""

    judge: Callable
    """`(state, real, fake, *given, keys=(None, None, None), weave=False) -> Verdict`.
    Images are raw; `given` is what D takes beside them. The keys are for the
    augmentation of real images, that of fakes, and the penalty. Woven, real images and
    fakes pass D at once (`at_once`)."""
    D: Callable
    """`(state, images, key, *given) -> logits [B]`, of raw images, which it augments by
    the key: for penalties of their own phase."""
    d_loss: Callable
    """`(state, verdict) -> (scalar, metrics, memory)`, as a loss returns them."""
    g_loss: Callable
    """`(verdict) -> scalar`, the adversarial part of G's loss."""
    keeping: Callable[[Phase], Phase]
    """D's phase, with what penalty and augmentation remember."""


def adversary(
    D: Net,
    loss: AdversarialLoss,
    penalty: Term | None = None,
    augment: Augmentation | None = None,
    *,
    logits: Callable = lambda output: output,
    weight: float = 1.0,
    suffix: str = "",
) -> Adversary:
    """What a discriminator is to a recipe.

    Args:
        D: `(images, *given) -> output`.
        loss: what D and G minimize, the mean over examples, patches and scales.
        penalty: added to D's loss; of D's gradient, only if D has no BatchNorm.
        augment: what D is shown in place of images, in D's step and in G's.
        logits: `output -> logits [B, ...]`, or a list of them, of several scales.
        weight: of the loss in D's, beside 1 of the penalty.
        suffix: of names in `state.memory` and of metrics, where there are two judges.

    Raises (the returned `judge`, when it is traced):
        UsageError: the penalty is of D's gradient at each image, and D mixes images.
    """
    shown, adapted, memories = _augmentation(augment, f"augment{suffix}")
    if penalty is not None:
        memories = memories | {f"penalty{suffix}": penalty.memory}

    def d_loss(state: TrainState, verdict: Verdict):
        judged, real, fake = verdict
        real, fake = logits(real), logits(fake)
        value = over_scales(loss.d, real, fake)
        value = value if weight == 1 else weight * value
        metrics = {
            f"{D.name}(real)": over_scales(loss.output, real),
            f"{D.name}(fake)": over_scales(loss.output, fake),
            f"{D.name}(real>fake)": _wins(judged.real_logits, judged.fake_logits),
        }
        memory, followed = adapted(state, judged.real_logits)
        metrics |= {f"{name}{suffix}": value for name, value in followed.items()}
        if penalty is not None:
            name = f"penalty{suffix}"
            term, new = penalty.of(judged, state.memory[name], state.step)
            value, memory = value + term.mean(), memory | {name: new}
            metrics |= {f"d_penalty{suffix}": term}
        return value, {"d_loss": value} | metrics, memory

    def g_loss(verdict: Verdict):
        return over_scales(loss.g, logits(verdict.real), logits(verdict.fake))

    def keeping(phase: Phase) -> Phase:
        for name, value in memories.items():
            phase = carry(name, value, phase)
        return phase

    def opinion(state, images, key, *given):
        return per_image(logits(D(state, shown(state, images, key), *given)))

    judge = _judge(D, shown, logits, opinion)
    if penalty is not None and penalty.of_gradient:
        judge = _of_each(D, judge)
    return Adversary(judge, opinion, d_loss, g_loss, keeping)


def mixes(net: Net, state: TrainState) -> bool:
    """Whether it normalizes images by the batch that they are in."""
    return bool("batch_stats" in state.stats[net.name] or net.averages)


def _of_each(D, judge):
    """The judge, refusing a D with statistics of a batch."""

    def checked(state, *args, **kwargs):
        if mixes(D, state):
            reason = (
                f"is of {D.name}'s gradient at each image, which its BatchNorm mixes; "
                "give a D without, or with another normalization."
            )
            raise UsageError("penalty", None, reason)
        return judge(state, *args, **kwargs)

    return checked


def _judge(D, shown, logits, opinion):
    """`Adversary.judge`, of images as `shown(state, images, key)` has them."""

    def judge(state, real, fake, *given, keys=(None, None, None), weave=False):
        real_key, fake_key, key = keys

        def D_of(images, key):
            return opinion(state, images, key, *given)

        seen = shown(state, real, real_key), shown(state, fake, fake_key)
        outputs = (
            at_once(D, state, *seen) if weave else [D(state, x, *given) for x in seen]
        )
        of_real, of_fake = (per_image(logits(output)) for output in outputs)
        judged = Judged(D_of, real, fake, of_real, of_fake, key, real_key, fake_key)
        return Verdict(judged, *outputs)

    return judge


def _augmentation(augment, name):
    """What D is shown; what the augmentation remembers next, and its metrics; and what
    it remembers at first.

    Where it has no memory, it takes no place in the state's.
    """
    first = () if augment is None else augment.memory
    kept = {name: first} if jax.tree.leaves(first) else {}

    def shown(state, images, key):
        if augment is None:
            return images
        memory = state.memory[name] if kept else first
        return augment.of(images, key, state.step, memory)

    def adapted(state, real_logits):
        if not kept:
            return {}, {}
        seen = state.memory[name], real_logits
        return {name: augment.adapt(*seen)}, augment.metrics(*seen)

    return shown, adapted, kept


def over_scales(term: Callable, *outputs):
    """The mean of a term: over all elements, and over the scales of a list."""
    if not isinstance(outputs[0], list | tuple):
        return term(*outputs).mean()
    terms = [term(*scale).mean() for scale in zip(*outputs, strict=True)]
    return sum(terms) / len(terms)


def _wins(real, fake):
    """How often a real image scores above a fake; one that scores alike counts half."""
    return (jnp.sign(real - fake).mean() + 1) / 2


def per_image(logits):
    """Logits `[B, ...]`, or a list of them, as `[B]`: means over patches and scales."""
    if isinstance(logits, list | tuple):
        return sum(map(per_image, logits)) / len(logits)
    return logits if logits.ndim == 1 else logits.reshape(len(logits), -1).mean(1)


def at_once(net: Net, state: TrainState, *batches):
    """The network's outputs for each batch of images, by one pass over all of them.

    Faster where batches are small. They are woven, example by example, so that devices
    that share them keep theirs. A network with BatchNorm, which would mix them, is run
    on one after the other; one with minibatch deviation must not be given here.
    """
    if mixes(net, state):
        return [net(state, images) for images in batches]
    n, woven = len(batches), jnp.stack(batches, 1)
    out = net(state, woven.reshape(-1, *woven.shape[2:]))
    out = out.reshape(-1, n, *out.shape[1:])
    return [out[:, i] for i in range(n)]
