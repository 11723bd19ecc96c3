"""CycleGAN (Zhu et al., 2017, arXiv:1703.10593): two domains, no pairs.

G takes A to B and F takes B to A; each is judged by the D of the domain it draws, and
going there and back must lead home (equations 1 to 3). Each D also sees fakes of
earlier steps, from a pool of 50 (section 4, after Shrivastava et al., 2017).
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import random

from jaxgan import losses, tasks
from jaxgan import pool as earlier
from jaxgan.augment import Augmentation
from jaxgan.losses import l1
from jaxgan.models.net import Net
from jaxgan.phases import Phase, ema, in_parts, share, update
from jaxgan.phases.shared import opened
from jaxgan.recipes.adversary import adversary, at_once
from jaxgan.recipes.base import assemble, shared, translate
from jaxgan.regularizers import Term
from jaxgan.types import Draw, Model, Produce, Schedule, merge

__all__ = ["cyclegan"]


def cyclegan(
    G: Net,
    F: Net,
    D_a: Net,
    D_b: Net,
    *,
    shape: tuple[int, int, int],
    g_tx,
    d_tx,
    loss: losses.AdversarialLoss = losses.least_squares,
    cycle: float = 5.0,
    identity: float = 0.5,
    pool: int = 50,
    penalty: Term | None = None,
    augment: Augmentation | None = None,
    ema_decay: Schedule = 0.999,
) -> Model:
    """From A, a batch's `input`, to B, its `image`, and back.

    Args:
        G: images of A `[B, H, W, C]` to images of B.
        F: images of B to images of A.
        D_a: images of A `-> logits [B, ...]`.
        D_b: images of B `-> logits [B, ...]`.
        shape: (H, W, C) of images.
        g_tx: the optimizer of G and of F.
        d_tx: that of D_a and of D_b.
        loss: what they minimize.
        cycle: λ of the distance after there and back: the paper's 10 is beside squares
            that are not halved, as they are in `losses.least_squares`.
        identity: share of λ of the distance from what G makes of B, and F of A, which
            keeps colours (section 5.2); 0 for none.
        pool: how many earlier fakes of each domain are kept; 0 for none.
        penalty: added to the loss of each D, of the mean of an image's patches.
        augment: what each D is shown in place of images.
        ema_decay: of the averaged weights of G and F, per step.

    Returns:
        The model; its draw `"translate"` is from A to B, and `"back"` from B to A.
    """
    judges = {
        name: adversary(D, loss, penalty, augment, suffix=f"_{name}")
        for name, D in (("a", D_a), ("b", D_b))
    }
    domain = {"a": "input", "b": "image"}

    def generate(state, batch, key):
        return {"b": G(state, batch["input"]), "a": F(state, batch["image"])}

    fakes = shared("fake", generate)

    def d_loss(state, batch, key):
        shown = batch["shown"] if pool else fakes(state, batch, key)
        # The pools make keys of their own of 0 and 1.
        keys, total = random.split(random.fold_in(key, 2), (2, 3)), 0.0
        metrics: dict[str, Any] = {}
        memory: dict[str, Any] = {}
        for name, k in zip("ab", keys, strict=True):
            images, judge = (batch[domain[name]], shown[name]), judges[name]
            seen = judge.judge(state, *images, keys=k, weave=True)
            value, found, new = judge.d_loss(state, seen)
            total, metrics, memory = total + value, metrics | found, memory | new
        return total, metrics | {"d_loss": total}, memory

    def g_loss(state, batch, key):
        a, b, fake = batch["input"], batch["image"], fakes(state, batch, key)
        keys, value = random.split(random.fold_in(key, 1), (2, 3)), 0.0
        for name, k in zip("ba", keys, strict=True):
            seen = judges[name].judge(state, batch[domain[name]], fake[name], keys=k)
            value = value + judges[name].g_loss(seen)
        (cycled_a, *same_a) = at_once(F, state, fake["b"], *([a] if identity else []))
        (cycled_b, *same_b) = at_once(G, state, fake["a"], *([b] if identity else []))
        cycle_loss = l1(cycled_a, a).mean() + l1(cycled_b, b).mean()
        total = value + cycle * cycle_loss
        metrics = {"g_loss": value, "cycle_loss": cycle_loss}
        if identity:
            metrics["identity_loss"] = l1(same_a[0], a).mean() + l1(same_b[0], b).mean()
            total = total + cycle * identity * metrics["identity_loss"]
        return total, metrics

    d_step = update((D_a.name, D_b.name), d_loss, d_tx)
    d_step = judges["a"].keeping(judges["b"].keeping(d_step))
    g_step = update((G.name, F.name), g_loss, g_tx)
    if pool:
        d_step = _pooled(fakes, earlier.empty(pool, shape), d_step)
    both = share("fake", (G.name, F.name), generate, d_step, g_step)

    def inputs(batch):
        a, b = (batch["input"],), (batch["image"],)
        return {G.name: a, F.name: b, D_a.name: a, D_b.name: b}

    def draw(net, reverse):
        return Draw(tasks.unpaired(reverse), partial(translate, net))

    return assemble(
        (G, F, D_a, D_b),
        both,
        *(ema(net.name, ema_decay) for net in (G, F)),
        inputs=inputs,
        draws={"translate": draw(G, False), "back": draw(F, True)},
        parts={"D": d_step, "G": g_step},
    )


def _pooled(fakes: Produce, empty, phase: Phase) -> Phase:
    """D's phase with `shown` in its batch: fakes of this step, or earlier ones."""

    def init(state):
        kept = jax.tree.map(jnp.array, empty)
        return phase.init(merge(state, memory={"pool": kept}))

    def step(state, batch, key):
        now = in_parts(fakes)(state, opened(batch)[0], key)
        shown, kept = earlier.query(state.memory["pool"], now, key)
        state = merge(state, memory={"pool": kept})
        return phase.step(state, dict(batch) | {"shown": shown}, key)

    return phase._replace(
        init=init, step=step, writes=phase.writes | {("memory", "pool")}
    )
