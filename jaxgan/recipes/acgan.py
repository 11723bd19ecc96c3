"""AC-GAN (Odena, Olah and Shlens, 2017, arXiv:1610.09585).

D tells the source and the class of an image: L_S is the log-likelihood of the right
source, L_C that of the right class, of real images and of fakes. D maximizes L_S + L_C,
G maximizes L_C - L_S.
"""

import optax
from jax import random

from jaxgan import losses
from jaxgan.augment import Augmentation
from jaxgan.models.net import Net
from jaxgan.phases import ema, share, update
from jaxgan.recipes.adversary import adversary
from jaxgan.recipes.base import from_noise, generator, shared
from jaxgan.regularizers import Term
from jaxgan.tasks import noise, normal
from jaxgan.types import Model, Schedule

__all__ = ["acgan"]


def acgan(
    G: Net,
    D: Net,
    *,
    latent_dim: int,
    num_classes: int,
    g_tx,
    d_tx,
    loss: losses.AdversarialLoss = losses.nonsaturating,
    class_weight: float = 1.0,
    penalty: Term | None = None,
    augment: Augmentation | None = None,
    ema_decay: Schedule = 0.999,
) -> Model:
    """A GAN whose D is also a classifier.

    Args:
        G: `z [B, latent_dim], label [B] -> images [B, H, W, C]`.
        D: `images -> (logits [B], class logits [B, num_classes])`.
        latent_dim: the dimension of z, drawn from N(0, I).
        num_classes: how many classes.
        g_tx: G's optimizer, an optax transform.
        d_tx: D's optimizer.
        loss: of the source; in the paper `losses.minimax`, of which the default is the
            form that G can learn from.
        class_weight: of L_C, 1 in the paper.
        penalty: added to D's loss.
        augment: what D is shown in place of images.
        ema_decay: of G's averaged weights, per step.

    Returns:
        The GAN; batches need `image` float32 [B, H, W, C] and `label` int32 [B]. The
        metric `class_loss` is -L_C of D, `class_accuracy` is of real images.
    """
    judge = adversary(D, loss, penalty, augment, logits=lambda output: output[0])
    latents = normal(latent_dim)
    generate = generator(G, noise(latents, num_classes))
    fakes = shared("fake", generate)
    cross_entropy = optax.softmax_cross_entropy_with_integer_labels

    def verdict(state, batch, key):
        on_z, *keys = random.split(key, 4)
        fake = fakes(state, batch, on_z)
        return judge.judge(state, batch["image"], fake, keys=keys)

    def d_loss(state, batch, key):
        seen, label = verdict(state, batch, key), batch["label"]
        value, metrics, memory = judge.d_loss(state, seen)
        (_, real), (_, fake) = seen.real, seen.fake
        class_loss = (cross_entropy(real, label) + cross_entropy(fake, label)).mean()
        value = value + class_weight * class_loss
        accuracy = (real.argmax(-1) == label).astype("float32")
        metrics |= {"class_loss": class_loss, "class_accuracy": accuracy}
        return value, metrics | {"d_loss": value}, memory

    def g_loss(state, batch, key):
        seen, label = verdict(state, batch, key), batch["label"]
        _, fake = seen.fake
        class_loss = cross_entropy(fake, label).mean()
        value = judge.g_loss(seen) + class_weight * class_loss
        return value, {"g_loss": value}

    d_step = judge.keeping(update(D.name, d_loss, d_tx))
    g_step = update(G.name, g_loss, g_tx)
    both = share("fake", G.name, generate, d_step, g_step)
    return from_noise(
        G,
        D,
        both,
        ema(G.name, ema_decay),
        latents=latents,
        normal=True,
        parts=(d_step, g_step),
        num_classes=num_classes,
        judges_labels=False,
        logits=lambda output: output[0],
    )
