"""GANs by name: every one is built and traced, and some are run as a user would."""

import dataclasses
import json
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from jax import random
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent.parent / "experiments"))
import gan_cifar10
import gan_mnist
import infogan_mnist
import stacked_mnist

from jaxgan import cli
from jaxgan.types import UsageError, example

SMALL = {"g_width": 4, "d_width": 4, "latent_dim": 3}
NAMED = {
    (module, name): config
    for module in (gan_mnist, gan_cifar10, stacked_mnist)
    for name, config in module.GANS.items()
}


@pytest.mark.parametrize("which", NAMED, ids=lambda w: f"{w[0].__name__}-{w[1]}")
def test_every_named_gan_takes_a_step(which):
    config = dataclasses.replace(NAMED[which], **SMALL)
    shape = {"gan_mnist": (28, 28, 1)}.get(which[0].__name__, (32, 32, 3))
    gan = getattr(which[0], "build", gan_mnist.build)(config, shape, 10)
    key, batch = random.key(0), example(shape, 4)
    state = jax.eval_shape(gan.init, key, example(shape))
    after, metrics = jax.eval_shape(gan.step, state, batch, key)
    assert jax.tree.structure(after) == jax.tree.structure(state)
    assert ("d_penalty" in metrics) == any(
        getattr(config, name) for name in gan_mnist.PENALTIES
    )


def test_names_are_what_the_papers_say():
    """Each option reaches the recipe: the step differs from the plain GAN's."""
    losses = {name: config.loss for name, config in gan_mnist.GANS.items()}
    assert losses["lsgan"] == "least_squares" and losses["sngan"] == "hinge"
    assert losses["wgan"] == losses["wgan_gp"] == "wasserstein"
    wgan_gp, sngan = gan_mnist.GANS["wgan_gp"], gan_cifar10.GANS["sngan"]
    assert (wgan_gp.wgan_gp, wgan_gp.n_critic, wgan_gp.beta1, wgan_gp.beta2) == (
        10,
        5,
        0,
        0.9,
    )
    # Mimicry: 100,000 updates of G, five of D each.
    assert sngan.steps / sngan.n_critic == 100000 and sngan.batch_size == 64
    assert (sngan.g_lr, sngan.d_lr, sngan.beta1, sngan.beta2) == (2e-4, 2e-4, 0, 0.9)


def test_learning_rates_fall_to_0_in_as_many_updates_as_each_has():
    config = gan_mnist.Config(decay_steps=4, n_critic=2, optimizer="rmsprop", **SMALL)
    gan = gan_mnist.build(config, (8, 8, 1), 0)
    batch = {"image": random.uniform(random.key(0), (4, 8, 8, 1))}
    state, step = gan.init(random.key(0), batch), jax.jit(gan.step)
    moved = []
    for t in range(6):
        old, (state, _) = state, step(state, batch, random.key(t))
        moved.append(
            tuple(
                any(
                    (a != b).any()
                    for a, b in zip(
                        *map(jax.tree.leaves, (old.params[n], state.params[n])),
                        strict=True,
                    )
                )
                for n in "GD"
            )
        )
    assert moved == [(1, 1), (0, 1), (1, 1), (0, 1), (0, 0), (0, 0)]


@pytest.mark.parametrize(
    ("says", "module", "changes"),
    (
        (
            "--wgan-gp 10.0 is of D's gradient .* BatchNorm",
            gan_mnist,
            {"wgan_gp": 10.0},
        ),
        ("--r1 1.0 is of D's gradient .* BatchNorm", gan_mnist, {"r1": 1.0}),
        ("--pack 3 must divide --batch-size 64", gan_mnist, {"pack": 3}),
        ("--d-norm batch: ResNets' D has none", gan_cifar10, {"d_norm": "batch"}),
    ),
)
def test_options_that_do_not_go_together_are_refused(says, module, changes):
    config = dataclasses.replace(module.Config(), **changes)
    with pytest.raises(UsageError, match=says):
        module.build(config, (28, 28, 1), 0)


def test_a_conditional_gan_needs_labels():
    with pytest.raises(UsageError, match="no labels, which --conditional needs"):
        gan_cifar10.build(gan_cifar10.GANS["sagan"], (32, 32, 3), 0)


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """`run(module, *args) -> (exit code, stdout, stderr)`, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "_cache_compilations", lambda: None)
    images = np.random.default_rng(0).integers(0, 256, (24, 12, 12, 1), np.uint8)
    np.savez("data.npz", images=images, labels=np.arange(24) % 3)

    def run(module, *args):
        monkeypatch.setattr(sys, "argv", [f"experiments/{module.__name__}.py"])
        options = {
            n: getattr(module, n.upper())
            for n in ("commands", "named")
            if hasattr(module, n.upper())
        }
        if hasattr(module, "GANS"):
            options["named"] = module.GANS
        code = 0
        try:
            build = getattr(module, "build", gan_mnist.build)
            cli.main(module.Config, build, [str(a) for a in args], **options)
        except SystemExit as error:
            code = error.code
        return code, *capsys.readouterr()

    return run


def test_a_name_picks_defaults_and_a_folder(run, tmp_path):
    small = "--data npz:data.npz --g-width 4 --d-width 4 --batch-size 8".split()
    code, _, err = run(gan_mnist, "r3gan", *small, "--steps", 2, "--r2", 0.5)
    assert code == 0, err
    kept = json.loads((tmp_path / "runs/gan_mnist/r3gan/config.json").read_text())
    assert kept["config"]["r1"] == 1.0 and kept["config"]["r2"] == 0.5
    assert kept["config"]["loss"] == "relativistic_logistic"
    code, out, _ = run(gan_mnist, "r3gan", "sample", "--num", 4)
    assert code == 0 and out.startswith("4 images")
    for args in (["nogan"], []):
        code, _, err = run(gan_mnist, *args)
        assert code == 2 and "needs a name first" in err and "wgan_gp" in err
    code, out, _ = run(gan_mnist, "--help")
    assert code == 0 and "gan_mnist.py NAME" in out
    code, _, err = run(gan_mnist, "lsgan", "sample")
    assert code == 2 and "runs/gan_mnist/lsgan holds no run" in err
    # A name's defaults, then a file, then flags.
    Path("file.json").write_text('{"n_critic": 2, "clip": 0.1}')
    args = ["--config", "file.json", *small, "--steps", 1, "--clip", 0.2]
    assert run(gan_mnist, "wgan", *args)[0] == 0
    kept = json.loads((tmp_path / "runs/gan_mnist/wgan/config.json").read_text())
    got = [kept["config"][n] for n in ("loss", "n_critic", "clip")]
    assert got == ["wasserstein", 2, 0.2]


def test_infogan_s_codes_are_drawn_along_the_axes(run):
    small = "--data npz:data.npz --width 4 --batch-size 8 --steps 2 --categories 3"
    code, _, err = run(infogan_mnist, *small.split(), "--latent-dim", 4)
    assert code == 0, err
    code, out, err = run(infogan_mnist, "codes", "--code", 1)
    assert code == 0 and "codes.png" in out, err
    with Image.open("codes.png") as sheet:
        assert sheet.size[0] > 3 * sheet.size[1]  # ten columns, three rows
    code, _, err = run(infogan_mnist, "codes", "--code", 2)
    assert code == 2 and err == "--code 2 must be in 0 ... 1.\n"
