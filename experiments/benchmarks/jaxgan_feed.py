"""jaxgan's side: a folder of images through a `Feed`, consumed in compiled loops."""

import contextlib
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, random

from benchmarks import machine
from benchmarks.feed_turn import BATCH, timed
from jaxgan import data, parallel
from jaxgan.data import decoding, feed
from jaxgan.data.feed import Change

SEED = 0


def start(folder: Path, resize: int | None):
    """Begins to feed a folder.

    Args:
        folder: of images.
        resize: the side they are brought to; None as they are.

    Returns:
        `run(batches) -> Turn` of each way: "streamed" decodes what it feeds, blocks
        of `AHEAD` batches; "load" decodes all, whatever number of batches is given;
        "resident" feeds what was loaded. And what ends them.
    """
    spec, mesh = f"folder:{folder}", parallel.mesh()

    def resident():
        made = feed.resident(data.load(spec, resize=resize), BATCH, Change(), mesh)
        jax.block_until_ready(made.at(0)[0])
        return made

    with _beyond_memory():
        large = data.load(spec, resize=resize)
    count = large.size
    stream = feed.streamed(large, (SEED,), BATCH, Change(), mesh)
    consume, taken = _consumer(stream), 0

    def streamed(batches):
        nonlocal taken
        batches = -(-batches // feed.AHEAD) * feed.AHEAD
        # Two blocks wait, and a third to be put; what follows the fourth is timed.
        consume(taken, 4 * feed.AHEAD)
        taken += 4 * feed.AHEAD
        turn = timed(lambda: (batches * BATCH, consume(taken, batches)))
        taken += batches
        machine.quiet()
        return turn

    loaded = resident()
    consume_loaded = _consumer(loaded)

    def load(batches):
        def work():
            nonlocal loaded, consume_loaded
            loaded = resident()
            return count, None

        turn = timed(work)
        consume_loaded = _consumer(loaded)
        return turn

    def from_memory(batches):
        consume_loaded(0, 1)  # compiles
        return timed(lambda: (batches * BATCH, consume_loaded(0, batches)))

    ways = {"streamed": streamed, "load": load, "resident": from_memory}
    return ways, stream.close


@contextlib.contextmanager
def _beyond_memory():
    """Data loaded here decode on fetch, as if they did not fit."""
    budget, decoding.MEMORY_BUDGET = decoding.MEMORY_BUDGET, 0
    try:
        yield
    finally:
        decoding.MEMORY_BUDGET = budget


def _consumer(source):
    """`consume(step, batches) -> mean`, in dispatches of many steps, as in training."""

    def steps(total, arrays, step, n):
        def body(i, total):
            batch = source.batch(arrays, step + i, random.key(0), np.uint32(SEED))
            # As a network would, it takes the batch as float32 from memory.
            return total + lax.optimization_barrier(batch["image"]).mean()

        return lax.fori_loop(0, n, body, total)

    program = jax.jit(steps)

    def consume(step, batches):
        last, total = step + batches, jnp.zeros(())
        while step < last:
            arrays, end = source.at(step)
            n = min(last, end or last) - step
            total = program(total, arrays, step, n)
            step += n
        return float(total) / batches

    return consume
