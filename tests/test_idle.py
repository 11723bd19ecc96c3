"""Options that count for some values of another one only."""

import dataclasses
import importlib
from typing import Annotated

import jax
import pytest
from jax import random
from test_cli import EXPERIMENTS, NAMED, TRANSLATORS

from jaxgan import run
from jaxgan.run import idle, settings
from jaxgan.run.idle import Only
from jaxgan.run.presets import classic
from jaxgan.run.settings import Count, Number
from jaxgan.types import UsageError


@dataclasses.dataclass(frozen=True)
class Penalty:
    """A group."""

    r1: Number = 0.0
    """γ."""
    r1_every: Annotated[Count, Only("r1")] = 16
    """Its period."""
    path: str = "none"
    """Which."""
    decay: Annotated[Number, Only("path", ("slow", "fast"))] = 0.5
    """Of it."""
    rate: Annotated[Number, Only("path", "fast"), Only("r1", 0)] = 2.0
    """Of it."""


@dataclasses.dataclass(frozen=True)
class Options(run.Config):
    """Options."""

    penalty: Penalty = Penalty()


def _of(**values):
    return settings.changed(Options(), **values)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"r1": 1.0, "r1_every": 4},
        {"path": "slow", "decay": 0.1},
        {"path": "fast", "decay": 0.1, "rate": 1.0},
        {"path": "none", "r1": 1.0},
        {"evaluate_every": 10, "evaluate_num": 100},
    ],
)
def test_what_counts_passes(values):
    idle.check([_of(**values)], Options())


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            {"r1_every": 4},
            "r1_every 4 does nothing while r1 is 0; give another value there.",
        ),
        (
            {"decay": 0.125},
            "decay 0.125 does nothing while path is none; give slow or fast there.",
        ),
        (
            {"path": "slow", "rate": 1.0},
            "rate 1 does nothing while path is slow; give fast there.",
        ),
        (
            {"path": "fast", "rate": 1.0, "r1": 0.5},
            "rate 1 does nothing while r1 is 0.5; give 0 there.",
        ),
        (
            {"snapshot_every": 10},
            "snapshot_every 10 does nothing while posthoc_ema is not given; give "
            "another value there.",
        ),
    ],
)
def test_what_does_nothing_is_refused(values, said):
    with pytest.raises(UsageError) as caught:
        idle.check([_of(**values)], Options())
    assert str(caught.value).replace("`", "") == said


def test_only_what_differs_from_the_preset_is_refused():
    preset = _of(r1=1.0, r1_every=4)
    idle.check([settings.changed(preset, r1=0.0)], preset)
    with pytest.raises(UsageError, match="r1_every 8"):
        idle.check([settings.changed(preset, r1=0.0, r1_every=8)], preset)


def test_one_member_for_which_it_counts_is_enough():
    idle.check([_of(r1_every=4), _of(r1=1.0, r1_every=4)], Options())
    with pytest.raises(UsageError, match="r1_every 2"):
        idle.check([_of(r1_every=2), _of(r1_every=4)], Options())


@pytest.mark.parametrize("name", (*EXPERIMENTS, *TRANSLATORS, *NAMED))
def test_marks_name_options_and_values_that_there_are(name):
    for preset in _presets(name):
        every = settings.known(type(preset))
        for option in every.values():
            for mark in (m for m in option.marks if isinstance(m, Only)):
                assert mark.option in every
                values = mark.value if isinstance(mark.value, tuple) else (mark.value,)
                for value in values if mark.value is not None else ():
                    assert mark.holds(settings.changed(preset, **{mark.option: value}))
                    settings.check(settings.changed(preset, **{mark.option: value}))


@pytest.mark.parametrize(
    ("experiment", "preset", "off", "value"),
    [
        ("progan", "emoji", {"generator": "progan"}, {"w_dim": 8}),
        ("progan", "emoji", {"generator": "progan"}, {"mapping_layers": 1}),
        ("stylegan2", "emoji", {"r1": 0.0}, {"r1_every": 2}),
        ("stylegan2", "emoji", {"path_weight": 0.0}, {"path_every": 2}),
        ("stylegan2", "emoji", {"augment": "none"}, {"ada_target": 0.1}),
        ("gan_mnist", "dragan", {"wgan_gp": 0.0}, {"gp_target": 2.0}),
        ("gan_mnist", "gan", {"lecam": 0.0}, {"lecam_start": 1}),
        ("r3gan", "emoji", {"augment": "none"}, {"augment_p": 0.9}),
    ],
)
def test_a_step_is_the_same_with_what_does_nothing(experiment, preset, off, value):
    module = importlib.import_module(experiment)
    small = {"batch_size": 4, "data": "emoji"} | _small(module.PRESETS[preset])
    base = settings.changed(module.PRESETS[preset], **small, **off)

    def step(config):
        model = getattr(module, "build", classic.build)(config, (32, 32, 3), 0)
        image = jax.ShapeDtypeStruct((4, 32, 32, 3), "float32")
        batch, key = {"image": image}, random.key(0)
        state = jax.eval_shape(model.init, key, batch)
        return str(jax.make_jaxpr(model.step)(state, batch, key))

    with pytest.raises(UsageError, match="does nothing while"):
        idle.check([settings.changed(base, **value)], base)
    assert step(base) == step(settings.changed(base, **value))


def _small(preset):
    every = settings.known(type(preset))
    sizes = {"width": 16, "max_width": 16, "g_width": 4, "d_width": 4, "latent_dim": 8}
    sizes |= {"fade_images": 16, "stable_images": 16}
    return {name: size for name, size in sizes.items() if name in every}


def _presets(name):
    module = importlib.import_module(name)
    return module.PRESETS.values() if hasattr(module, "PRESETS") else [module.PRESET]
