"""pix2pix (Isola et al., 2017, arXiv:1611.07004).

D is shown what was given beside what came of it, patch by patch; G also minimizes the
L1 distance from the target (equation 4). Without D, what remains is a regression.
"""

from collections.abc import Callable

from jaxgan import losses
from jaxgan.models.net import Net
from jaxgan.phases import ema, share, update
from jaxgan.recipes.translator import (
    Translator,
    assemble,
    averaged,
    l1,
    translated,
)
from jaxgan.tasks import Task


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
    ema_decay: float = 0.999,
) -> Translator:
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
        ema_decay: of G's averaged weights, per step.
    """
    generate = translated(G, task)

    def judge(state, batch):
        real = D(state, batch["target"], batch["given"])
        return real, D(state, batch["fake"], batch["given"])

    def d_loss(state, batch, key):
        real, fake = judge(state, batch)
        value = loss.d(real, fake).mean() / 2  # "which slows down D", section 3.3
        found = {"D(real)": loss.output(real), "D(fake)": loss.output(fake)}
        return value, {"d_loss": value} | found

    def g_loss(state, batch, key):
        value = loss.g(*judge(state, batch)).mean()
        away = distance(batch["fake"], batch["target"]).mean()
        return value + weight * away, {"g_loss": value, "distance": away}

    d_step, g_step = update(D.name, d_loss, d_tx), update(G.name, g_loss, g_tx)
    both = share("fake", G.name, generate, d_step, g_step)

    def inputs(batch):
        given = batch["given"]
        return {G.name: (given,), D.name: (batch["target"], given)}

    phases, translate = (both, ema(G.name, ema_decay)), averaged(G, task)
    return assemble((G, D), *phases, task=task, inputs=inputs, translate=translate)


def regression(
    G: Net, task: Task, *, g_tx, distance: Callable = l1, ema_decay: float = 0.999
) -> Translator:
    """G alone, which minimizes the distance from the target: what a GAN adds to."""
    generate = translated(G, task)

    def g_loss(state, batch, key):
        away = distance(generate(state, batch, key), batch["target"]).mean()
        return away, {"g_loss": away, "distance": away}

    def inputs(batch):
        return {G.name: (batch["given"],)}

    phases = update(G.name, g_loss, g_tx), ema(G.name, ema_decay)
    translate = averaged(G, task)
    return assemble((G,), *phases, task=task, inputs=inputs, translate=translate)
