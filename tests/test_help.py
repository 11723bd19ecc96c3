"""What a run says of its memory, time and options, and where memory runs out."""

import dataclasses
import re
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from tiny_runs import build, go, options  # noqa: F401  # fixture

from jaxgan import data, parallel, run
from jaxgan.data import feed
from jaxgan.run import advice, hooks, loop, memory, program, settings
from jaxgan.run.loop import Now
from jaxgan.run.members import Member, members
from jaxgan.run.progress import duration
from jaxgan.types import UsageError

sys.path.insert(0, str(Path(__file__).parent.parent / "experiments"))
import cgan_emoji
import gan_mnist
import stacked_mnist

MIB = 2**20


def test_a_program_needs_what_it_is_given_makes_and_holds_meanwhile():
    def f(x, y):
        return x + y.sum(), jnp.tanh(y @ y.T) @ y

    x, y = jnp.zeros(MIB // 4), jnp.zeros((1024, 512))
    known = memory.needs(jax.jit(f, donate_argnums=0).lower(x, y).compile())
    assert known.given == pytest.approx(MIB + 2 * MIB, rel=0.01)
    assert known.made == pytest.approx(2 * MIB, rel=0.01)  # x is written in place
    assert 4 * MIB <= known.temporary < 10 * MIB  # y @ y.T
    assert known.total == known.given + known.made + known.temporary


def test_to_ask_what_steps_need_compiles_them_and_no_more(options):  # noqa: F811
    cfg = options("run")
    who = members(cfg)
    mesh = parallel.mesh(jax.devices()[:1])
    dataset = data.load(cfg.data)
    model = build(cfg, dataset.shape, 0)
    start = program.start(lambda values: model, who, dataset.shape, mesh)
    source = feed.feed(dataset, (0,), cfg.batch_size, feed.Change(), mesh)
    state = start.init()
    made = program.program(lambda values: model, who, source, state, mesh)
    totals, arrays = made.begun(), source.at(0)[0]
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda name, *_, **__: compiled.append(name) if "backend_compile" in name else 0
    )
    known = made.needs(state, totals, arrays)
    assert known.given > sum(x.nbytes for x in jax.tree.leaves((state.params, arrays)))
    assert compiled
    compiled.clear()
    made.run(state, totals, arrays, 1)
    assert not compiled


class Device:
    def __init__(self, has):
        self.has = has

    def memory_stats(self):
        return {"bytes_limit": self.has}


def test_more_than_there_is_is_said_beforehand():
    known = memory.Needs(2 * memory.GIB, 0, memory.GIB)
    text = memory.said(known, Device(4 * memory.GIB))
    assert text == (
        "A step takes about 3 GiB of 4 GiB of memory on a device: 2 GiB for networks, "
        "optimizers and data, 1 GiB for activations and gradients."
    )
    assert memory.said(known, Device(2 * memory.GIB)).endswith("more than there is.")


EXHAUSTED = jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: No room (9 B).\nX")
CUDA = jax.errors.JaxRuntimeError("INTERNAL: CUDA_ERROR_OUT_OF_MEMORY: out of memory")


@pytest.mark.parametrize("error", [EXHAUSTED, CUDA, MemoryError()])
def test_where_memory_runs_out_a_sentence_says_what_helps(error):
    cfg = run.Config(batch_size=48, accumulate=2, seeds=3)
    with pytest.raises(UsageError) as caught, memory.advised(cfg):
        raise error
    text = caught.value.worded(settings.flag)
    assert text.startswith("--batch-size 48 needs more memory than there is (")
    assert "--accumulate 4)" in text and "--seeds" in text and "bfloat16" in text
    assert text.count("\n") == 0
    small = run.Config(batch_size=1, dtype="bfloat16")
    with pytest.raises(UsageError) as caught, memory.advised(small):
        raise error
    assert str(caught.value).endswith("): choose smaller networks or images.")


def test_other_errors_are_as_they_were():
    error = jax.errors.JaxRuntimeError("INTERNAL: something")
    with pytest.raises(type(error)) as caught, memory.advised(run.Config()):
        raise error
    assert caught.value is error


def test_a_run_without_memory_ends_in_that_sentence(options, monkeypatch):  # noqa: F811
    def exhausted(*_, **__):
        raise EXHAUSTED

    monkeypatch.setattr(program, "program", exhausted)
    with pytest.raises(UsageError, match="batch_size 8 needs more memory"):
        go(options("run"))


@dataclasses.dataclass(frozen=True)
class WithGamma(run.Config):
    r1: float = 1.0


def said(gammas, **changes):
    cfg = WithGamma(**changes)
    who = tuple(Member(0, {"r1": gamma}) for gamma in gammas)
    return [*advice.of_gamma(cfg, who, (32, 32, 3))]


def test_a_gamma_that_nobody_has_had_is_told_of():
    least, most = 0.0002 * 32**2 / 64, 150 / 64  # of 256x256, of a 64th of the pixels
    assert advice.published((32, 32, 3), 64) == pytest.approx((least, most))
    assert said([0.0, least, 0.05, most]) == []
    assert said([0.0, 1.0], batch_size=16) == []
    low, high = said([least * 0.9, 50.0, 50.0])
    assert "small" in low and "γ of R1 is 50 (--r1), which is large" in high
    assert "32x32 and batch 64, published ones are 0.0032" in high and "2.3 (R3" in high
    assert [*advice.of_gamma(run.Config(), (Member(0, {}),), (32, 32, 3))] == []
    (alone,) = advice.of_gamma(WithGamma(r1=9.0), (Member(0, {}),), (32, 32, 3))
    assert "γ of R1 is 9" in alone


def test_experiments_have_a_gamma_like_others():
    found = []
    for module, side in ((gan_mnist, 28), (stacked_mnist, 28), (cgan_emoji, 32)):
        presets = getattr(module, "PRESETS", {"": getattr(module, "PRESET", None)})
        for cfg in presets.values():
            gamma = settings.of(cfg, "r1")
            found.append(gamma)
            assert not [*advice.of_gamma(cfg, (Member(0, {}),), (side, side, 3))]
    assert any(found)


def test_a_run_says_once_how_long_it_takes():
    told = []
    hook = hooks.pace(10, 100, told.append)
    for step in range(10, 41):
        hook.run(Now(step, None, {}, 0.0, (step - 10) * 0.25))
    assert told == ["A step takes 250 ms: the other 70 take 17.5 s."]


def test_what_is_done_between_steps_takes_no_step_s_time(options, monkeypatch):  # noqa: F811
    """Such as the first sheet, which is compiled."""
    drawn = hooks.save_png

    def slow(*args):
        time.sleep(0.2)
        drawn(*args)

    monkeypatch.setattr(hooks, "save_png", slow)
    monkeypatch.setattr(hooks, "PACE", 1e-9)
    monkeypatch.setattr(loop, "DISPATCH_SECONDS", 0)
    go(options("run", steps=20, sample_every=5))
    said = Path(options("run").workdir, "log.txt").read_text()
    (step,) = re.findall(r"A step takes (.*): the other 19 take", said)
    assert step.endswith(" ms") and float(step.split()[0]) < 150


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *((0.0191, "19.1 ms"), (0.9994, "999 ms"), (0.9996, "1 s"), (9, "9 s")),
        *((61, "1 min 1 s"), (7500, "2 h 5 min")),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text
