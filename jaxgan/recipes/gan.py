"""The GAN of Goodfellow et al., 2014 (arXiv:1406.2661), and those that differ from it
by a loss, a penalty, a schedule or what D is shown.

Algorithm 1, with k = 1: for a minibatch of noise and of data, ascend D's gradient, then
descend G's. Class-conditional as in Mirza and Osindero, 2014 (arXiv:1411.1784): both
networks also see the label. Others, by what `gan(G, D, ...)` is given:

    LSGAN        loss=losses.least_squares                              1611.04076
    WGAN         loss=losses.wasserstein, clip=0.01, n_critic=5         1701.07875
    WGAN-GP      loss=losses.wasserstein, penalty=wgan_gp(10), n_critic=5
                                                                        1704.00028
    DRAGAN       penalty=dragan(10)                                     1705.07215
    R1           penalty=r1(10)                                         1801.04406
    SNGAN        loss=losses.hinge, D=spectral.normalized(D)            1802.05957
    RpGAN        loss=losses.relativistic_logistic                      1807.00734
    R3GAN        the same with penalty=total(r1(gamma), r2(gamma))      2501.05441
    PacGAN       pack=2                                                 1712.04086
    DiffAugment  augment=augment.diff_augment()                         2006.10738
    bCR          penalty=consistency(augment.diff_augment(...))         2002.04724
    LeCam        penalty=lecam_penalty(0.3)                             2104.03310

Penalties are of `jaxgan.regularizers`; gradient clipping and two time scales (TTUR,
1706.08500) are a matter of `g_tx` and `d_tx`.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import random

from jaxgan import losses
from jaxgan.models.net import Net
from jaxgan.phases import carry, chain, ema, every, project, share, update
from jaxgan.recipes.base import GAN, assemble, labels, normal
from jaxgan.regularizers import Judged, Penalty


def gan(
    G: Net,
    D: Net,
    *,
    latent_dim: int,
    g_tx,
    d_tx,
    loss: losses.AdversarialLoss = losses.nonsaturating,
    penalty: Penalty | None = None,
    n_critic: int = 1,
    clip: float | None = None,
    augment: Callable | None = None,
    pack: int = 1,
    num_classes: int = 0,
    ema_decay: float = 0.999,
) -> GAN:
    """A GAN of two networks.

    Args:
        G: `z [B, latent_dim] (, label [B]) -> images [B, H, W, C]`.
        D: `images (, label) -> logits [B]`.
        latent_dim: the dimension of z, drawn from N(0, I).
        g_tx: G's optimizer, an optax transform.
        d_tx: D's optimizer.
        loss: what D and G minimize.
        penalty: added to D's loss.
        n_critic: steps of D for one of G, which is on steps 0, n_critic, 2 n_critic, …
        clip: D's weights are clipped to ± this after each of its updates.
        augment: `(images, key, step) -> images`, what D is shown of both kinds.
        pack: D judges this many images at once, stacked along their channels: it takes
            `[B / pack, H, W, pack · C]`.
        num_classes: above 0, both networks are also given labels, `batch["label"]`,
            int32 in [0, num_classes).
        ema_decay: of G's averaged weights, per update of G.

    Returns:
        The GAN; batches need `image` float32 [B, H, W, C] and, with classes, `label`.

    Raises:
        ValueError: labels were asked of packed images.
    """
    if pack > 1 and num_classes:
        raise ValueError(f"gan: pack {pack} images have no one label; give 0 classes.")
    given, latents = labels(num_classes), normal(latent_dim)
    remembers = penalty is not None and bool(jax.tree.leaves(penalty.memory))

    def generate(state, batch, key):
        return G(state, latents(key, len(batch["image"])), *given(batch))

    def shown(images, key, step):
        return packed(augment(images, key, step) if augment else images, pack)

    def judge(state, batch, key) -> Judged:
        on_z, on_real, on_fake, rest = random.split(key, 4)
        fake = batch["fake"] if "fake" in batch else generate(state, batch, on_z)
        real = shown(batch["image"], on_real, state.step)
        fake = shown(fake, on_fake, state.step)

        def D_of(images):
            return D(state, images, *given(batch))

        return Judged(D_of, real, fake, D_of(real), D_of(fake), rest)

    def d_loss(state, batch, key):
        judged = judge(state, batch, key)
        real, fake = judged.real_logits, judged.fake_logits
        value = loss.d(real, fake).mean()
        metrics = {"D(real)": loss.output(real), "D(fake)": loss.output(fake)}
        if penalty:
            memory = state.memory.get("penalty", penalty.memory)
            term, memory = penalty.of(judged, memory)
            value = value + term.mean()
            metrics |= {"d_penalty": term} | ({"penalty": memory} if remembers else {})
        return value, {"d_loss": value} | metrics

    def g_loss(state, batch, key):
        judged = judge(state, batch, key)
        value = loss.g(judged.real_logits, judged.fake_logits).mean()
        return value, {"g_loss": value}

    d_step, g_step = update(D.name, d_loss, d_tx), update(G.name, g_loss, g_tx)
    if remembers:
        d_step = carry("penalty", penalty.memory, d_step)
    if clip is not None:
        d_step = chain(d_step, project(D.name, lambda params: clipped(params, clip)))
    average = ema(G.name, ema_decay)
    if n_critic == 1:
        phases = share("fake", G.name, generate, d_step, g_step), average
    else:
        phases = d_step, every(n_critic, chain(g_step, average))

    def d_inputs(batch):
        x = batch["image"]
        x = jax.eval_shape(lambda: packed(jnp.zeros(x.shape, x.dtype), pack))
        return x, *given(batch)

    return assemble(
        G,
        D,
        *phases,
        d_step=d_step,
        g_step=g_step,
        latents=latents,
        d_inputs=d_inputs,
        num_classes=num_classes,
    )


def packed(images, m: int):
    """Every m images as one, along the channels (PacGAN; Lin et al., 2018).

    Raises:
        ValueError: m does not divide how many there are.
    """
    if m == 1:
        return images
    if len(images) % m:
        raise ValueError(f"gan: pack {m} must divide the batch of {len(images)}.")
    groups = images.reshape(-1, m, *images.shape[1:])
    return jnp.concatenate([groups[:, i] for i in range(m)], -1)


def clipped(params, bound: float):
    """Every weight to [-bound, bound] (WGAN's algorithm 1, line 7)."""
    return jax.tree.map(lambda w: jnp.clip(w, -bound, bound), params)
