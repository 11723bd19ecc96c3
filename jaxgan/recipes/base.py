"""How phases become a model, and what recipes share beside the judge."""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from jax import random

from jaxgan.models.net import Net, standing
from jaxgan.phases import Phase, game, prepared, refresh
from jaxgan.recipes.adversary import Adversary, mixes
from jaxgan.tasks import Task, noise, truncated
from jaxgan.types import Draw, Model, Produce, TrainState, merge

__all__ = [
    "assemble",
    "averaged",
    "from_noise",
    "generator",
    "of_z_and_judge",
    "players",
    "prepare",
    "shared",
    "translate",
    "translated",
    "translation",
]


def assemble(
    nets: tuple[Net, ...],
    *phases: Phase,
    inputs: Callable,
    draws: Mapping[str, Draw],
    parts: Mapping[str, Phase],
    prepare: Callable | None = None,
    settle: Callable | None = None,
    scores: Mapping[str, Callable] | None = None,
    stages: tuple[int, ...] = (),
) -> Model:
    """A model of its phases.

    Args:
        nets: the networks, in the order in which they are initialized.
        *phases: what a step does; spectral norm's vectors are refreshed after it.
        inputs: `batch -> {name: what the network takes}`, traced for its shapes.
        draws: `Model.draws`.
        parts: by name, a phase of its own.
        prepare: `(batch, key) -> batch`, once for all phases, and for `inputs`.
        settle: `Model.settle`, where there is something to settle.
        scores: `Model.scores`, where a D judges images alone, or with their labels.
        stages: `Model.stages`.
    """

    def zeros(name):
        def of(state, batch, key):
            shapes = jax.eval_shape(inputs, batch)[name]
            return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)

        return of

    refreshed = [refresh(net, zeros(net.name), "spectral") for net in nets]
    whole = [*phases, *refreshed]
    if prepare:
        whole = [prepared(prepare, *whole)]
        parts = {name: prepared(prepare, part) for name, part in parts.items()}
    init_game, step = game(nets, *whole)

    def init(key, batch) -> TrainState:
        if prepare:
            batch = jax.eval_shape(prepare, batch, random.key(0))
        return init_game(key, jax.eval_shape(inputs, batch))

    steps = {name: part.step for name, part in parts.items()}
    sees = tuple(dict.fromkeys(net.sees for net in nets if net.sees))
    model = Model(init, step, steps, draws, scores=scores or {}, sees=sees)
    model = model._replace(stages=stages)
    return model._replace(settle=settle) if settle else model


def shared(field: str, produce: Produce) -> Produce:
    """What `share` put into the batch, or, where a part-step runs alone, a new one."""

    def of(state, batch, key):
        return batch[field] if field in batch else produce(state, batch, key)

    return of


def averaged(net: Net, state: TrainState, *inputs, **kwargs):
    """The network's output, of its averaged weights."""
    weights, stats = state.ema[net.name], state.stats[net.name]
    return net.apply(weights, stats, *inputs, **kwargs)[0]


# --- from noise


def generator(G: Net, task: Task) -> Produce:
    """Fakes of a batch's size, `(state, batch, key) -> images`."""

    def generate(state, batch, key):
        return G(state, *task.given(batch, key, len(batch["image"])))

    return generate


def of_z_and_judge(key):
    """Keys of `players`, for a judge that draws: of augmentations and a penalty."""
    on_z, *on_judge = random.split(key, 4)
    return on_z, on_judge


def _of_z(key):
    return key, (None, None, None)


def players(
    judge: Adversary, generate: Produce, task: Task, keys: Callable = _of_z
) -> tuple:
    """`(d_loss, g_loss)` of two players.

    Args:
        judge: what D is to them.
        generate: fakes, see `generator`.
        task: `tasks.noise`.
        keys: `key -> (key of z, keys of the judge)`; by default the judge needs none,
            as without penalty and augmentation.
    """
    fakes = shared("fake", generate)

    def verdict(state, batch, key):
        on_z, on_judge = keys(key)
        fake = fakes(state, batch, on_z)
        given = (batch["label"],) if "label" in task.needs else ()
        return judge.judge(state, batch["image"], fake, *given, keys=on_judge)

    def d_loss(state, batch, key):
        return judge.d_loss(state, verdict(state, batch, key))

    def g_loss(state, batch, key):
        value = judge.g_loss(verdict(state, batch, key))
        return value, {"g_loss": value}

    return d_loss, g_loss


def from_noise(
    G: Net,
    D: Net,
    *phases: Phase,
    latents: Callable,
    parts: tuple[Phase, Phase],
    num_classes: int = 0,
    judges_labels: bool | None = None,
    logits: Callable = lambda output: output,
    normal: bool = False,
) -> Model:
    """A GAN of its phases, whose draw is `"sample"`.

    Args:
        G: `z [B, Z] (, label [B]) -> images [B, H, W, C]`.
        D: of images, and of labels where there are classes.
        *phases: what a step does.
        latents: `(key, n) -> z [n, Z]`.
        parts: D's update by itself, and G's.
        num_classes: above 0, G takes labels.
        judges_labels: whether D takes labels too; by default where G does.
        logits: `D's output -> logits [B]`.
        normal: z is of N(0, I), and so can be truncated.
    """
    task = noise(latents, num_classes)
    judges_labels = bool(num_classes) if judges_labels is None else judges_labels

    def inputs(batch):
        given = task.given(batch, random.key(0), len(batch["image"]))
        labels = (batch["label"],) if judges_labels else ()
        return {G.name: given, D.name: (batch["image"], *labels)}

    def sample(state, given, key):
        return averaged(G, state, *given, train=False)

    def cut_off(threshold):
        truncated(jnp.zeros(1), threshold)  # or it is refused

        def run(state, given, key):
            return sample(state, (truncated(given[0], threshold), *given[1:]), key)

        return Draw(task, run, truncated=cut_off)

    def score(state, images, *labels):
        return logits(D(state, images, *(labels if judges_labels else ())))

    def settle(state, key, batch_size=64):
        def one(i):
            k, k_label = random.split(random.fold_in(key, i))
            label = random.randint(k_label, (batch_size,), 0, max(num_classes, 1))
            return task.given({"label": label}, k, batch_size)

        stats = standing(G, state.ema[G.name], state.stats[G.name], one)
        return merge(state, stats={G.name: stats})

    return assemble(
        (G, D),
        *phases,
        inputs=inputs,
        draws={"sample": Draw(task, sample, truncated=cut_off if normal else None)},
        parts=dict(zip("DG", parts, strict=True)),
        settle=settle,
        scores={D.name: score},
    )


# --- from images


def translated(G: Net, task: Task) -> Produce:
    """`(state, batch, key) -> images`, of G's weights as they are."""

    def generate(state, batch, key):
        drawn = G(state, *batch["given"], rngs={"dropout": key})
        return task.finish(batch["given"], drawn)

    return generate


def translation(G: Net, task: Task) -> Draw:
    """A draw by G's averaged weights, with its dropout."""

    def run(state, given, key):
        drawn = translate(G, state, given, key)
        return jnp.clip(task.finish(given, drawn), -1, 1)

    return Draw(task, run)


def translate(G: Net, state: TrainState, given: tuple, key):
    """G's output, of its averaged weights, for each image as if it came alone.

    With BatchNorm each is normalized by itself, as pix2pix's authors have it, whose
    batch is of one image: what comes of an image depends on no other, so that what is
    measured is what `translate` writes. (Statistics of training are of the live weights
    and are not kept; there is no noise from which to gather others.)
    """
    if not mixes(G, state):
        return averaged(G, state, *given, rngs={"dropout": key})

    keys = random.split(key, given[0].shape[0])
    if keys.shape == (1,):
        return averaged(G, state, *given, rngs={"dropout": keys[0]})

    def alone(row, key):
        row = jax.tree.map(lambda x: x[None], row)
        return averaged(G, state, *row, rngs={"dropout": key})[0]

    return jax.vmap(alone)(given, keys)


def prepare(task: Task) -> Callable:
    """`(batch, key) -> batch` with `given`, a tuple, and `target`."""

    def of(batch, key):
        return {"given": task.given(batch, key), "target": batch[task.target]}

    return of
