"""Options that count for some values of another one only."""

import dataclasses
import importlib
from typing import Annotated

import jax
import numpy as np
import pytest
from jax import random
from test_cli import EXPERIMENTS, NAMED, TRANSLATORS
from tiny_runs import build

from jaxgan import run
from jaxgan.run import cli, idle, settings
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


@pytest.fixture
def main(tmp_path, monkeypatch, capsys):
    """`main(*args) -> (exit code, stderr)` of a command line with `Options`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["tiny.py"])
    monkeypatch.setattr(cli, "_cache_compilations", lambda: None)
    images = np.random.default_rng(0).integers(0, 256, (16, 6, 6, 1), np.uint8)
    np.savez("d.npz", images=images)

    def run(*args):
        code, tiny = 0, {"data": "npz:d.npz", "steps": 1, "batch_size": 8}
        try:
            cli.main(settings.changed(Options(), **tiny), build, [*args])
        except SystemExit as error:
            code = error.code
        return code, capsys.readouterr().err

    return run


def test_the_command_line_refuses_before_a_run_begins(main, tmp_path):
    code, err = main("--r1-every", "4")
    assert code == 2 and not (tmp_path / "runs").exists()
    assert err == (
        "--r1-every 4 does nothing while --r1 is 0; give another value there.\n"
    )
    code, err = main("--sweep", "rate=1,2", "r1=0,0.5")
    assert code == 2 and "--rate 1 does nothing while --path is none" in err


def test_a_sweep_in_which_it_counts_passes(main):
    sweep = "--sweep", "r1=0,0.5", "--r1-every", "4"
    assert main(*sweep)[0] == 0


def test_what_a_file_or_a_run_has_passes(main, tmp_path):
    """So a run's config.json, and the command that a run was begun by, go on."""
    (tmp_path / "c.json").write_text('{"r1_every": 4}')
    assert main("--config", "c.json")[0] == 0
    assert main("--r1-every", "4", "--steps", "2")[0] == 0
    code, err = main("--config", "c.json", "--decay", "3", "--workdir", "o")
    assert code == 2 and err.startswith("--decay 3 does nothing while --path is none")


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
        ("progan", "emoji", {"first_stage": 3}, {"w_dim": 8, "mapping_layers": 1}),
        (
            "stylegan2",
            "emoji",
            {"r1": 0.0, "path_weight": 0.0},
            {"r1_every": 2, "path_every": 2, "ada_target": 0.1},
        ),
        ("gan_mnist", "dragan", {"wgan_gp": 0.0}, {"gp_target": 2.0}),
        ("gan_mnist", "gan", {"lecam": 0.0}, {"lecam_start": 1}),
        ("r3gan", "emoji", {"augment": "none"}, {"augment_p": 0.9}),
        ("gan_mnist", "gan", {"augment": "none"}, {"ada_p": 0.5}),
        ("gan_mnist", "gan", {"augment": "none"}, {"ada_groups": "b"}),
        ("gan_mnist", "gan", {"augment": "ada", "ada_p": 0.5}, {"ada_images": 9}),
        ("gan_mnist", "dragan", {"wgan_gp": 0.0}, {"one_sided": True}),
    ],
)
def test_a_step_is_the_same_with_what_does_nothing(experiment, preset, off, value):
    module = importlib.import_module(experiment)
    base = module.PRESETS[preset]
    base = settings.changed(base, **{"batch_size": 4} | _small(base), **off)
    for name, one in value.items():
        with pytest.raises(UsageError, match="does nothing while"):
            idle.check([settings.changed(base, **{name: one})], base)
    build = getattr(module, "build", classic.build)
    assert _step(build, base) == _step(build, settings.changed(base, **value))


@pytest.mark.parametrize(
    ("on", "one", "other"),
    [
        ({"augment": "ada"}, {"ada_target": 0.1}, {"ada_target": 0.2}),
        ({"augment": "ada"}, {"ada_p": 0.1}, {"ada_p": 0.2}),
        ({"wgan_gp": 1.0, "d_norm": "none"}, {"gp_target": 1.0}, {"gp_target": 2.0}),
        ({"lecam": 1.0}, {"lecam_start": 1}, {"lecam_start": 2}),
    ],
)
def test_a_step_differs_where_they_count(on, one, other):
    preset = importlib.import_module("gan_mnist").PRESETS["gan"]
    base = settings.changed(preset, batch_size=4, **_small(preset), **on)
    first, second = (settings.changed(base, **x) for x in (one, other))
    idle.check([second], first)
    assert _step(classic.build, first) != _step(classic.build, second)


def _step(build, config):
    """A step's program, as text."""
    model = build(config, (32, 32, 3), 0)
    image = jax.ShapeDtypeStruct((4, 32, 32, 3), "float32")
    batch, key = {"image": image}, random.key(0)
    state = jax.eval_shape(model.init, key, batch)
    return str(jax.make_jaxpr(model.step)(state, batch, key))


def _small(preset):
    every = settings.known(type(preset))
    sizes = {"width": 16, "max_width": 16, "g_width": 4, "d_width": 4, "latent_dim": 8}
    sizes |= {"fade_images": 16, "stable_images": 16}
    return {name: size for name, size in sizes.items() if name in every}


def _presets(name):
    module = importlib.import_module(name)
    return module.PRESETS.values() if hasattr(module, "PRESETS") else [module.PRESET]
