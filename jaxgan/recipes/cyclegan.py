"""CycleGAN (Zhu et al., 2017, arXiv:1703.10593): two domains, no pairs.

G takes A to B and F takes B to A; each is judged by the D of the domain it draws, and
going there and back must lead home (equations 1 to 3). Each D also sees fakes of
earlier steps, from a pool of 50 (section 4, after Shrivastava et al., 2017).
"""

from jaxgan import losses, tasks
from jaxgan import pool as earlier
from jaxgan.models.net import Net
from jaxgan.phases import carry, ema, game, share, update
from jaxgan.recipes.translator import Translator, at_once, l1
from jaxgan.types import TrainState


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
    ema_decay: float = 0.999,
) -> Translator:
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
        ema_decay: of the averaged weights of G and F, per step.

    Returns:
        The translator from A to B, and as its `back` that from B to A.
    """

    def fakes(state, batch, key):
        return {"b": G(state, batch["input"]), "a": F(state, batch["image"])}

    def d_loss(state, batch, key):
        shown, found = batch["fake"], {}
        if pool:
            shown, found["pool"] = earlier.query(state.memory["pool"], shown, key)
        value = 0.0
        for D, real, fake in ((D_a, "input", "a"), (D_b, "image", "b")):
            judged = at_once(D, state, batch[real], shown[fake])
            value = value + loss.d(*judged).mean()
        return value, found | {"d_loss": value}

    def g_loss(state, batch, key):
        a, b, fake = batch["input"], batch["image"], batch["fake"]
        value = loss.g(D_b(state, b), D_b(state, fake["b"])).mean()
        value = value + loss.g(D_a(state, a), D_a(state, fake["a"])).mean()
        (home_a, *same_a) = at_once(F, state, fake["b"], *([a] if identity else []))
        (home_b, *same_b) = at_once(G, state, fake["a"], *([b] if identity else []))
        home = l1(home_a, a).mean() + l1(home_b, b).mean()
        total = value + cycle * home
        found = {"g_loss": value, "cycle": home}
        if identity:
            same = l1(*same_a, a).mean() + l1(*same_b, b).mean()
            total, found = total + cycle * identity * same, found | {"identity": same}
        return total, found

    d_step = update((D_a.name, D_b.name), d_loss, d_tx)
    g_step = update((G.name, F.name), g_loss, g_tx)
    if pool:
        d_step = carry("pool", earlier.empty(pool, shape), d_step)
    both = share("fake", (G.name, F.name), fakes, d_step, g_step)
    averages = [ema(net.name, ema_decay) for net in (G, F)]
    init_game, step = game((G, F, D_a, D_b), both, *averages)

    def init(key, batch) -> TrainState:
        a, b = (batch["input"],), (batch["image"],)
        return init_game(key, {G.name: a, F.name: b, D_a.name: a, D_b.name: b})

    def translator(net, task, back=None):
        def translate(state, given, key):
            return net.apply(state.ema[net.name], state.stats[net.name], given)[0]

        return Translator(task, init, step, translate, back)

    back = translator(F, tasks.paired(reverse=True))
    return translator(G, tasks.paired(), back)
