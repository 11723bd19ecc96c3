"""What an image-to-image GAN is, and how phases become one."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import random

from jaxgan.models.net import Net
from jaxgan.phases import Phase, game, prepared, refresh
from jaxgan.tasks import Task
from jaxgan.types import TrainState


class Translator(NamedTuple):
    """An image-to-image GAN as pure functions."""

    task: Task
    """What it is given, and what that should become."""
    init: Callable
    """`(key, batch) -> TrainState`; of the batch only shapes and dtypes matter."""
    step: Callable
    """`(state, batch, key) -> (state, metrics)`"""
    translate: Callable
    """`(state, given, key) -> images [B, H, W, C]` in [-1, 1], of averaged weights;
    the key is the networks' noise."""
    back: "Translator | None" = None
    """The way back, where it is learned too; it shares `init` and `step`."""
    styled: Callable | None = None
    """`(state, given, style) -> images`, each in the style of an image of `style`
    [B, H, W, C], of averaged weights; where there is an encoder of styles."""


def l1(images, target):
    """Mean distance of each image from its target, `[B]`."""
    return jnp.abs(images - target).mean((1, 2, 3))


def l2(images, target):
    """Mean squared distance of each image from its target, `[B]`."""
    return jnp.square(images - target).mean((1, 2, 3))


def at_once(net: Net, state, *batches):
    """The network's outputs for each batch of images, by one pass over all of them.

    Faster where batches are small. They are woven, example by example, so that devices
    that share them keep theirs. A network with BatchNorm, which would mix them, is run
    on one after the other.
    """
    if "batch_stats" in state.stats[net.name]:
        return [net(state, images) for images in batches]
    n, woven = len(batches), jnp.stack(batches, 1)
    out = net(state, woven.reshape(-1, *woven.shape[2:]))
    out = out.reshape(-1, n, *out.shape[1:])
    return [out[:, i] for i in range(n)]


def translated(G: Net, task: Task) -> Callable:
    """`(state, batch, key) -> images`, of G's weights as they are."""

    def generate(state, batch, key):
        drawn = G(state, batch["given"], rngs={"dropout": key})
        return task.finish(batch["given"], drawn)

    return generate


def averaged(G: Net, task: Task) -> Callable:
    """A `translate` by G's averaged weights."""

    def translate(state, given, key):
        weights, stats = state.ema[G.name], state.stats[G.name]
        drawn = G.apply(weights, stats, given, rngs={"dropout": key})[0]
        return jnp.clip(task.finish(given, drawn), -1, 1)

    return translate


def assemble(
    nets: tuple[Net, ...],
    *phases: Phase,
    task: Task,
    inputs: Callable,
    translate: Callable,
) -> Translator:
    """A translator of its phases, whose batches have `given` and `target`.

    Args:
        nets: the networks.
        *phases: what a step does; spectral norm's vectors are refreshed after it.
        task: what is given.
        inputs: `batch -> {name: what the network takes}`.
        translate: `Translator.translate`.
    """

    def prepare(batch, key):
        return {"given": task.given(batch, key), "target": batch[task.target]}

    def zeros(name):
        def of(state, batch, key):
            return jax.tree.map(jnp.zeros_like, inputs(batch)[name])

        return of

    refreshed = [refresh(net, zeros(net.name), "spectral") for net in nets]
    init_game, step = game(nets, prepared(prepare, *phases, *refreshed))

    def init(key, batch) -> TrainState:
        prepared_batch = jax.eval_shape(prepare, batch, random.key(0))
        return init_game(key, jax.eval_shape(inputs, prepared_batch))

    return Translator(task, init, step, translate)
