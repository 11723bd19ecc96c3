"""AC-GAN (Odena, Olah and Shlens, 2017, arXiv:1610.09585).

D tells the source and the class of an image: L_S is the log-likelihood of the right
source, L_C that of the right class, of real images and of fakes. D maximizes L_S + L_C,
G maximizes L_C - L_S.
"""

import optax

from jaxgan import losses
from jaxgan.models.net import Net
from jaxgan.phases import ema, share, update
from jaxgan.recipes.base import GAN, assemble, images, labels, normal


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
    ema_decay: float = 0.999,
) -> GAN:
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
        ema_decay: of G's averaged weights, per step.

    Returns:
        The GAN; batches need `image` float32 [B, H, W, C] and `label` int32 [B].
    """
    given, latents = labels(num_classes), normal(latent_dim)
    wrong = optax.softmax_cross_entropy_with_integer_labels

    def generate(state, batch, key):
        return G(state, latents(key, len(batch["image"])), *given(batch))

    def judge(state, batch, key):
        fake = batch["fake"] if "fake" in batch else generate(state, batch, key)
        return D(state, batch["image"]), D(state, fake), *given(batch)

    def d_loss(state, batch, key):
        (real, real_class), (fake, fake_class), label = judge(state, batch, key)
        source = loss.d(real, fake).mean()
        on_real, on_fake = wrong(real_class, label), wrong(fake_class, label)
        value = source + class_weight * (on_real + on_fake).mean()
        outputs = {"D(real)": loss.output(real), "D(fake)": loss.output(fake)}
        right = (real_class.argmax(-1) == label).astype("float32")
        return value, {"d_loss": value, "class_accuracy": right} | outputs

    def g_loss(state, batch, key):
        (real, _), (fake, fake_class), label = judge(state, batch, key)
        on_fake = wrong(fake_class, label)
        value = loss.g(real, fake).mean() + class_weight * on_fake.mean()
        return value, {"g_loss": value}

    d_step, g_step = update(D.name, d_loss, d_tx), update(G.name, g_loss, g_tx)
    both = share("fake", G.name, generate, d_step, g_step)
    phases = both, ema(G.name, ema_decay)
    alone, inputs = (d_step, g_step), (latents, images())
    return assemble(G, D, *phases, alone=alone, inputs=inputs, num_classes=num_classes)
