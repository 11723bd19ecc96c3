"""SRGAN (Ledig et al., 2017, arXiv:1609.04802).

SRResNet learns the mean squared error first (section 3.2), then the perceptual loss
(equation 3): a distance of features beside an adversarial term of a small weight.
"""

from collections.abc import Callable

from jaxgan import losses
from jaxgan.augment import Augmentation
from jaxgan.losses import l2
from jaxgan.models.net import Net
from jaxgan.phases import ema, until, update
from jaxgan.recipes.adversary import adversary
from jaxgan.recipes.base import assemble, prepare, translation
from jaxgan.recipes.pix2pix import distance_loss, supervised
from jaxgan.regularizers import Term
from jaxgan.tasks import Task
from jaxgan.types import Model, Schedule

__all__ = ["srgan"]


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
    penalty: Term | None = None,
    augment: Augmentation | None = None,
    ema_decay: Schedule = 0.999,
) -> Model:
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
        penalty: added to D's loss.
        augment: what D is shown in place of images.
        ema_decay: of G's averaged weights, per step.

    Returns:
        The model. Its metric is `distance` in the first stage, `content_loss` in the
        second; its parts are of the second.
    """
    judge = adversary(D, loss, penalty, augment)
    first = update(G.name, distance_loss(G, task, l2), g_tx)
    d_step, g_step, then = supervised(
        G,
        D,
        task,
        judge,
        {"content_loss": (1.0, content)},
        g_tx=g_tx,
        d_tx=d_tx,
        adversarial=adversarial,
        conditional=False,
    )

    def inputs(batch):
        return {G.name: batch["given"], D.name: (batch["target"],)}

    return assemble(
        (G, D),
        until(pretrain, first, then),
        ema(G.name, ema_decay),
        inputs=inputs,
        draws={"translate": translation(G, task)},
        parts={"D": d_step, "G": g_step},
        prepare=prepare(task),
    )
