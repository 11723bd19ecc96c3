"""What the loop does between steps: guard, log, sample, evaluate, save."""

from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.run import checkpoint, hosts
from jaxgan.run.images import save_png
from jaxgan.run.loop import Hook, Now
from jaxgan.run.members import AXES, Member, member_of
from jaxgan.run.progress import Shown
from jaxgan.run.record import Sink

__all__ = [
    "Diverged",
    "bar",
    "checked",
    "evaluate",
    "guard",
    "log",
    "sample",
    "save",
    "sound",
]


class Diverged(Exception):
    """A loss, a gradient or a weight is no longer finite; its text is also logged."""


def guard(members: tuple[Member, ...], logger: Callable) -> Hook:
    """After each dispatch, refuses metrics that are not finite."""

    def check(now: Now):
        totals = {name: mean.total for name, mean in now.metrics.items()}
        for name, total in sorted(jax.device_get(totals).items()):
            if not np.isfinite(total).all():
                _diverge(now.step, f"{name} is", np.isfinite(total), members, logger)

    return Hook(0, check)


def sound(members: tuple[Member, ...], logger: Callable) -> Callable:
    """`check(state)`, which refuses weights that are not finite.

    A step's metrics are from before its last update.
    """

    def finite(state):
        leaves = jax.tree.leaves((state.params, state.ema))
        return jnp.stack([jnp.isfinite(x).all() for x in leaves]).all()

    of = jax.jit(jax.vmap(finite, (AXES,)) if len(members) > 1 else finite)

    def check(state):
        good = np.asarray(of(state))
        if not good.all():
            _diverge(int(state.step), "weights are", good, members, logger)

    return check


def checked(every: int, check: Callable) -> Hook:
    """Refuses weights that are not finite, as what process 0 does then would.

    Args:
        every: steps.
        check: of `sound`.
    """
    return Hook(every, lambda now: check(now.state))


def _diverge(step, what, good, members, logger):
    who = ""
    if len(members) > 1:
        bad = np.flatnonzero(~np.atleast_1d(good))
        who = f" of {'; '.join(f'member {k} ({members[k].name})' for k in bad)}"
    text = (
        f"Training{who} diverged by step {step}: {what} not finite. Checkpoints, if "
        "any, are from before; try a lower learning rate in another --workdir."
    )
    logger(text)
    raise hosts.agree(Diverged(text))


def bar(shown: Shown) -> Hook:
    """After each dispatch, moves the progress bar."""

    def move(now: Now):
        shown.update(now.step - shown.n)

    return Hook(0, move)


def log(
    every: int, start: int, batch_size: int, sinks: list[Sink], shown: Shown
) -> Hook:
    """Writes the means of metrics to the sinks, and losses beside the bar."""
    before = start

    def write(now: Now):
        nonlocal before
        means = {name: _mean(m) for name, m in jax.device_get(now.metrics).items()}
        means = {name: m for name, m in sorted(means.items()) if m is not None}
        speed = (now.step - before) * batch_size / now.seconds
        before = now.step
        extra = {"images_per_s": speed, "kimg": now.step * batch_size / 1000}
        for sink in sinks:
            sink.scalars(now.step, means | extra)
        losses = {n: m for n, m in means.items() if "loss" in n or n == "distance"}
        said = [f"{name} {np.mean(m):.3f}" for name, m in losses.items()]
        shown.set_postfix_str("  ".join((f"{speed:.0f} images/s", *said)))
        return True

    return Hook(every, write)


def _mean(mean):
    """A metric's mean, a list of one for each member; None of what was not seen."""
    total, count = np.asarray(mean.total), np.asarray(mean.count)
    if not count.any():
        return None
    return (total.astype(np.float64) / count).tolist()


def sample(
    every: int, sheets: list[Callable], path: Path, sinks: list[Sink], check: Callable
) -> Hook:
    """Draws a sheet of samples of each member, to `samples/` and the sinks.

    Args:
        every: steps between them.
        sheets: for each member, `state -> uint8 [H, W, C]`.
        path: the workdir.
        sinks: where else to write them.
        check: of `sound`.
    """

    def draw(now: Now):
        check(now.state)
        for k, sheet in enumerate(sheets):
            one = len(sheets) == 1
            picture = sheet(now.state if one else member_of(now.state, k))
            end = "" if one else f"-{k}"
            save_png(path / "samples" / f"{now.step:06d}{end}.png", picture, 2)
            for sink in sinks:
                sink.image(now.step, f"samples{end}", picture)

    return Hook(every, draw)


def evaluate(
    every: int, judges: list, sinks: list[Sink], check: Callable, logger: Callable
) -> list[Hook]:
    """Measures samples of each member, and keeps the best state of each.

    Args:
        every: steps between evaluations.
        judges: for each member an `evaluation.Followed`; without any, no hook.
        sinks: where figures are written to.
        check: of `sound`.
        logger: is told them.
    """

    def measure(now: Now):
        check(now.state)
        one, found = len(judges) == 1, []
        for k, judge in enumerate(judges):
            state = now.state if one else member_of(now.state, k)
            figures = judge.of(state)
            found.append(figures)
            value = next(iter(figures.values()))
            args = judge.figure, value, judge.lower_is_better
            best = checkpoint.save_best(judge.folder, state, *args)
            shown = ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
            who = "" if one else f"member {k}: "
            logger(
                f"Step {now.step}: {who}{shown}{', the best so far' if best else ''}"
            )
        joined = found[0] if one else {n: [f[n] for f in found] for n in found[0]}
        for sink in sinks:
            sink.scalars(now.step, joined)

    return [Hook(every, measure)] if judges else []


def save(every: int, saved, check: Callable) -> Hook:
    """Saves the state."""

    def keep(now: Now):
        check(now.state)
        checkpoint.save(saved, now.state)

    return Hook(every, keep)
