"""SRGAN (Ledig et al., 2017, arXiv:1609.04802).

SRResNet learns the mean squared error first (section 3.2), then the perceptual loss
(equation 3): a distance of features beside an adversarial term of a small weight.
"""

from collections.abc import Callable

from jaxgan import losses
from jaxgan.models.net import Net
from jaxgan.phases import ema, share, until, update
from jaxgan.recipes.translator import (
    Translator,
    assemble,
    averaged,
    l2,
    translated,
)
from jaxgan.tasks import Task


def srgan(
    G: Net,
    D: Net,
    task: Task,
    *,
    g_tx,
    d_tx,
    pretrain: int,
    content: Callable = l2,
    adversarial: float = 1e-3,
    loss: losses.AdversarialLoss = losses.nonsaturating,
    ema_decay: float = 0.999,
) -> Translator:
    """Super-resolution in two stages.

    Args:
        G: `given [B, h, w, C] -> images [B, H, W, C]`.
        D: `images -> logits [B]`.
        task: what G is given, and what that should become.
        g_tx: G's optimizer, of both stages.
        d_tx: D's optimizer.
        pretrain: in how many steps G alone learns the mean squared error.
        content: `(images, target) -> [B]`, the distance thereafter: of features of a
            classifier, in the paper.
        adversarial: weight of the GAN beside it.
        loss: what D and G minimize.
        ema_decay: of G's averaged weights, per step.
    """
    generate = translated(G, task)

    def squared(state, batch, key):
        away = l2(generate(state, batch, key), batch["target"]).mean()
        return away, {"distance": away}

    def judge(state, batch):
        return D(state, batch["target"]), D(state, batch["fake"])

    def d_loss(state, batch, key):
        real, fake = judge(state, batch)
        value = loss.d(real, fake).mean()
        found = {"D(real)": loss.output(real), "D(fake)": loss.output(fake)}
        return value, {"d_loss": value} | found

    def g_loss(state, batch, key):
        value = loss.g(*judge(state, batch)).mean()
        away = content(batch["fake"], batch["target"]).mean()
        total = away + adversarial * value
        return total, {"g_loss": value, "content": away}

    first = update(G.name, squared, g_tx)
    d_step, g_step = update(D.name, d_loss, d_tx), update(G.name, g_loss, g_tx)
    then = share("fake", G.name, generate, d_step, g_step)

    def inputs(batch):
        return {G.name: (batch["given"],), D.name: (batch["target"],)}

    phases = until(pretrain, first, then), ema(G.name, ema_decay)
    translate = averaged(G, task)
    return assemble((G, D), *phases, task=task, inputs=inputs, translate=translate)
