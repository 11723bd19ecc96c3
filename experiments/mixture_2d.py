"""Which GANs lose modes: mixtures in the plane, several seeds at once.

    python experiments/mixture_2d.py --data ring --gan vanilla
    python experiments/mixture_2d.py --data grid --gan r3gan

Prints how many modes each seed covers, and writes a picture and a GIF of its samples
over the modes. The seeds are members of one program. On the ring `vanilla` keeps 6, 8
and 7 modes of 8, on the grid 18, 16 and 15 of 25; `wgan_gp` and `r3gan` keep all of
both.
"""

import dataclasses
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import jax
import numpy as np
import optax
import tyro
from PIL import Image, ImageDraw

from jaxgan import (
    games,
    losses,
    metrics,
    models,
    parallel,
    phases,
    recipes,
    schedules,
    visual,
)
from jaxgan import regularizers as reg
from jaxgan.data import mixtures
from jaxgan.data.feed import Feed
from jaxgan.models import mlp
from jaxgan.run import guard, hooks, program, settings, workdir
from jaxgan.run.keys import root
from jaxgan.run.loop import Hook, Now, loop
from jaxgan.run.members import AXES, Member, chosen, divide_cpu
from jaxgan.run.progress import bar
from jaxgan.run.settings import FILE, Count, Fraction, Number
from jaxgan.types import Model, UsageError

MIXTURES = {"ring": mixtures.ring, "grid": mixtures.grid, "spiral": mixtures.spiral}


@dataclasses.dataclass(frozen=True)
class Kind:
    """What is special about a kind of GAN."""

    recipe: Callable = recipes.gan
    options: Mapping = dataclasses.field(default_factory=dict)
    optimizer: Callable = optax.adam
    n_critic: int = 1
    pack: int = 1
    updates: int = 1
    """Of each optimizer, in a step."""


TRANSPORT = schedules.cosine(0.2, 0.005, 3000)
"""The weight of adversarial flow's transport: in half of the default's steps."""


def kind(**options) -> Kind:
    return Kind(options=options)


def extra(d_step, g_step):
    return games.extragradient(phases.together(d_step, g_step))


def optimistic(rate, b1):
    return optax.chain(optax.adam(rate, b1), optax.scale_by_optimistic_gradient())


def back(d_step, g_step):
    return games.lookahead(phases.chain(d_step, g_step))


def flow(G, D, *, latent_dim, **options):
    return recipes.adversarial_flow(G, D, shape=(latent_dim,), **options)


GANS = {
    "vanilla": kind(),
    "lsgan": kind(loss=losses.least_squares),
    "hinge": kind(loss=losses.hinge),
    "wgan": Kind(options={"loss": losses.wasserstein, "clip": 0.1}, n_critic=5),
    # With five updates of D for each of G, as published, it takes five times the steps.
    "wgan_gp": kind(loss=losses.wasserstein, penalty=reg.wgan_gp(0.1)),
    "dragan": kind(penalty=reg.dragan(1.0)),
    "r1": kind(penalty=reg.r1(0.1)),
    "rpgan": kind(loss=losses.relativistic_logistic),
    "r3gan": kind(
        loss=losses.relativistic_logistic,
        penalty=reg.total(reg.r1(0.1), reg.r2(0.1)),
    ),
    "lecam": kind(penalty=reg.lecam_penalty(0.3)),
    "pacgan": Kind(pack=4),
    # Differentiating Adam's square root needs a slope at 0.
    "unrolled": Kind(recipes.unrolled, optimizer=partial(optax.adam, eps_root=1e-8)),
    "consensus": Kind(recipes.consensus, {"weight": 0.1}),
    "extragradient": Kind(options={"play": extra}, updates=2),
    "optimistic": Kind(optimizer=optimistic),
    "lookahead": kind(play=back),
    "adversarial_flow": Kind(
        flow, {"transport": TRANSPORT, "penalty": 0.05, "ema_decay": 0.999}
    ),
}


@dataclasses.dataclass(frozen=True)
class Options:
    """Train GANs on a mixture in the plane and count the modes that they cover."""

    data: Literal[tuple(MIXTURES)] = "ring"
    """What to learn."""
    gan: Literal[tuple(GANS)] = "r3gan"
    """How."""
    steps: Count = 6000
    """How many updates of D."""
    batch_size: Count = 256
    """Points per step."""
    width: Count = 128
    """Of the three hidden layers of each network."""
    latent_dim: Count = 2
    """Dimension of the noise z."""
    lr: Number = 1e-3
    """Adam's learning rate of both, at first; it falls to 0 along a half cosine."""
    beta1: Fraction = 0.0
    """Adam's decay of the gradient's mean."""
    seeds: Count = 3
    """How many GANs, of seeds 0, 1, ..."""
    num: Count = 10000
    """How many samples to judge each by."""
    frames: Count = 40
    """Of the GIF, about."""
    out: Annotated[str, FILE] = "runs/mixture_2d"
    """The folder for pictures: DATA_GAN.png and .gif."""


def build(options: Options) -> Model:
    chosen, relu = GANS[options.gan], {"act": jax.nn.relu}
    hidden = (options.width,) * 3
    G = mlp.Generator((2,), hidden, output=lambda x: x, **relu)
    D = models.flax_net("D", mlp.Discriminator(hidden, **relu))
    steps = options.steps * chosen.updates
    updates = -(-steps // chosen.n_critic), steps
    rates = [optax.cosine_decay_schedule(options.lr, n) for n in updates]
    g_tx, d_tx = (chosen.optimizer(rate, b1=options.beta1) for rate in rates)
    critic = {"n_critic": chosen.n_critic} if chosen.n_critic > 1 else {}
    return chosen.recipe(
        models.flax_net("G", G),
        models.packed(D, chosen.pack) if chosen.pack > 1 else D,
        latent_dim=options.latent_dim,
        g_tx=g_tx,
        d_tx=d_tx,
        **chosen.options,
        **critic,
    )


def draw(mixture, points, size: int = 360) -> Image.Image:
    """Points over circles of three deviations."""
    reach = 1.25 * np.abs(mixture.centers).max()
    image = Image.new("RGB", (size, size), "white")
    pen = ImageDraw.Draw(image)

    def place(xy):
        return (np.asarray(xy) / reach + 1) * size / 2

    for x, y in place(points):
        pen.ellipse((x - 1, y - 1, x + 1, y + 1), fill=(40, 90, 200))
    radius = max(4.0, 3 * mixture.deviation / reach * size / 2)
    for x, y in place(mixture.centers):
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), outline="crimson")
    return image


def sampler(model: Model, options: Options) -> Callable:
    """`state -> points [seeds, num, 2]`, of the same noise always."""
    of = model.draws["sample"]

    def one(state, seed):
        key = root(seed, "sheets")
        return of.run(state, of.task.given({}, key, options.num), key)

    if options.seeds == 1:
        return lambda state: np.asarray(jax.jit(one)(state, 0))[None]
    several, seeds = jax.jit(jax.vmap(one, (AXES, 0))), np.arange(options.seeds)
    return lambda states: np.asarray(several(states, seeds))


def fresh(mixture, batch_size: int) -> Feed:
    """Points of the mixture, new ones in every step."""

    def batch(arrays, step, key, seed):
        return {"image": mixture.sample(key, batch_size)}

    return Feed(lambda step: ((), None), batch, lambda: None)


def run(options: Options, model: Model, mixture) -> tuple[np.ndarray, list]:
    """Trains all members: their points, and the frames of the GIF."""
    members = tuple(Member(seed, {}) for seed in range(options.seeds))
    devices = chosen(jax.devices(), options.seeds)
    mesh = parallel.mesh(devices[: 1 if options.seeds % len(devices) else None])
    source = fresh(mixture, options.batch_size)
    state = program.start(lambda values: model, members, (2,), mesh).init()
    made = program.program(lambda values: model, members, source, state, mesh)
    steps = guard.guarded(
        made, source.at, members, 10, partial(print, file=sys.stderr)
    ).run
    sample, frames = sampler(model, options), []

    def show(now: Now):
        points = sample(now.state)
        sheet = np.stack([draw(mixture, p[:1000]) for p in points])
        frames.append(Image.fromarray(visual.grid(sheet, options.seeds)))

    with bar(options.steps, unit="step") as shown:
        frame = Hook(-(-options.steps // options.frames), show)
        between = [hooks.bar(shown), frame]
        args = source.at, options.steps, between, lambda: False
        try:
            state, _ = loop(steps, state, made.begun(), made.begun, *args)
        except guard.Diverged as error:
            reason = f": {error} Give a lower `lr`."
            raise UsageError("gan", options.gan, reason) from None
    return sample(state), frames


def main(options: Options) -> None:
    options = settings.expanded(options)
    settings.check(options)
    if options.batch_size % GANS[options.gan].pack:
        reason = f"must be a multiple of {GANS[options.gan].pack}, which {options.gan} "
        raise UsageError("batch_size", options.batch_size, f"{reason}packs.")
    workdir.writable(Path(options.out), "out")
    divide_cpu(options.seeds)
    mixture = MIXTURES[options.data]()
    points, frames = run(options, build(options), mixture)
    for seed, p in enumerate(points):
        found = metrics.coverage(p, mixture.centers, 3 * mixture.deviation)
        print(
            f"{options.data} {options.gan} seed {seed}: modes {found.modes} of "
            f"{len(mixture.centers)}, high_quality {found.high_quality:.3f}, "
            f"reverse_kl {found.reverse_kl:.3f}"
        )
    file = Path(options.out) / f"{options.data}_{options.gan}"
    frames[-1].save(f"{file}.png")
    frames[0].save(
        f"{file}.gif", save_all=True, append_images=frames[1:], duration=120, loop=0
    )
    print(f"Pictures are in {file}.png and {file}.gif.", file=sys.stderr)


if __name__ == "__main__":
    try:
        main(tyro.cli(Options))
    except UsageError as error:
        print(error.worded(settings.flag), file=sys.stderr)
        sys.exit(2)
