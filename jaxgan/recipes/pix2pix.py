"""pix2pix (Isola et al., 2017, arXiv:1611.07004).

D is shown what was given beside what came of it, patch by patch; G also minimizes the
L1 distance from the target (equation 4). Without D, what remains is a regression.
"""

from collections.abc import Callable

from jax import random

from jaxgan import losses
from jaxgan.augment import Augmentation
from jaxgan.losses import l1
from jaxgan.models.net import Net
from jaxgan.phases import Phase, ema, share, update
from jaxgan.recipes.adversary import Adversary, adversary
from jaxgan.recipes.base import assemble, prepare, shared, translated, translation
from jaxgan.regularizers import Term
from jaxgan.tasks import Task
from jaxgan.types import Loss, Model, Schedule

__all__ = ["distance_loss", "pix2pix", "regression", "supervised"]


def pix2pix(
    G: Net,
    D: Net,
    task: Task,
    *,
    g_tx,
    d_tx,
    loss: losses.AdversarialLoss = losses.nonsaturating,
    distance: Callable = l1,
    weight: float = 100.0,
    penalty: Term | None = None,
    augment: Augmentation | None = None,
    ema_decay: Schedule = 0.999,
) -> Model:
    """A conditional GAN from image to image.

    Args:
        G: `given [B, h, w, C'] -> images [B, H, W, C]`; its noise is its dropout.
        D: `(images [B, H, W, C], given) -> logits [B, ...]`.
        task: what G is given, and what that should become.
        g_tx: G's optimizer, an optax transform.
        d_tx: D's optimizer.
        loss: what D and G minimize.
        distance: `(images, target) -> [B]`.
        weight: λ of the distance, beside 1 of the GAN.
        penalty: added to D's loss, of the mean of an image's patches.
        augment: what D is shown in place of images; what is given stays, so what moves
            images takes them from their place beside it.
        ema_decay: of G's averaged weights, per step.
    """
    # "which slows down the rate at which D learns", section 3.3
    judge = adversary(D, loss, penalty, augment, weight=0.5)
    terms = {"distance": (weight, distance)}
    d_step, g_step, both = supervised(G, D, task, judge, terms, g_tx=g_tx, d_tx=d_tx)

    def inputs(batch):
        given = batch["given"]
        return {G.name: given, D.name: (batch["target"], *given)}

    return assemble(
        (G, D),
        both,
        ema(G.name, ema_decay),
        inputs=inputs,
        draws={"translate": translation(G, task)},
        parts={"D": d_step, "G": g_step},
        prepare=prepare(task),
    )


def supervised(
    G: Net,
    D: Net,
    task: Task,
    judge: Adversary,
    terms: dict[str, tuple[float, Callable]],
    *,
    g_tx,
    d_tx,
    adversarial: float = 1.0,
    conditional: bool = True,
) -> tuple[Phase, Phase, Phase]:
    """A GAN whose images have targets: the updates of D, of G, and of both in turn.

    Args:
        G: the generator.
        D: the discriminator.
        task: what G is given.
        judge: what D is to them.
        terms: of G's loss, by metric: weight, and `(images, target) -> [B]`.
        g_tx: G's optimizer.
        d_tx: D's optimizer.
        adversarial: weight of the adversarial term beside them.
        conditional: whether D is shown what was given, too.
    """
    generate = translated(G, task)
    fakes = shared("fake", generate)

    def verdict(state, batch, key):
        on_fake, *keys = random.split(key, 4)
        fake = fakes(state, batch, on_fake)
        given = batch["given"] if conditional else ()
        return judge.judge(state, batch["target"], fake, *given, keys=keys)

    def d_loss(state, batch, key):
        return judge.d_loss(state, verdict(state, batch, key))

    def g_loss(state, batch, key):
        seen = verdict(state, batch, key)
        value, metrics = judge.g_loss(seen), {}
        total, fake = adversarial * value, seen.judged.fake
        for name, (weight, term) in terms.items():
            metrics[name] = term(fake, batch["target"]).mean()
            total = total + weight * metrics[name]
        return total, {"g_loss": value} | metrics

    d_step = judge.keeping(update(D.name, d_loss, d_tx))
    g_step = update(G.name, g_loss, g_tx)
    return d_step, g_step, share("fake", G.name, generate, d_step, g_step)


def distance_loss(G: Net, task: Task, distance: Callable) -> Loss:
    """G's distance from the target, alone."""
    generate = translated(G, task)

    def loss(state, batch, key):
        value = distance(generate(state, batch, key), batch["target"]).mean()
        return value, {"distance": value}

    return loss


def regression(
    G: Net, task: Task, *, g_tx, distance: Callable = l1, ema_decay: Schedule = 0.999
) -> Model:
    """G alone, which minimizes the distance from the target: what a GAN adds to."""
    distance_of = distance_loss(G, task, distance)

    def g_loss(state, batch, key):
        value, metrics, *_ = distance_of(state, batch, key)
        return value, metrics | {"g_loss": value}

    g_step = update(G.name, g_loss, g_tx)
    return assemble(
        (G,),
        g_step,
        ema(G.name, ema_decay),
        inputs=lambda batch: {G.name: batch["given"]},
        draws={"translate": translation(G, task)},
        parts={"G": g_step},
        prepare=prepare(task),
    )
