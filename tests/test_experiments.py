"""GANs by name: every one is built and traced, and some are run as a user would."""

import json
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import random
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent.parent / "experiments"))
import acgan_mnist
import cgan_emoji
import colorize
import gan_cifar10
import gan_mnist
import infogan_mnist
import stacked_mnist

from jaxgan import augment, losses, models, recipes
from jaxgan import regularizers as reg
from jaxgan.models import spectral
from jaxgan.run import changed, cli, config
from jaxgan.run.presets import classic
from jaxgan.types import UsageError, example

SMALL = {"g_width": 4, "d_width": 4, "latent_dim": 3}
CONDITIONAL = {"conditional": True}
NAMED = {
    (module, name): cfg
    for module in (gan_mnist, gan_cifar10, stacked_mnist)
    for name, cfg in module.PRESETS.items()
}


@pytest.mark.parametrize("which", NAMED, ids=lambda w: f"{w[0].__name__}-{w[1]}")
def test_every_named_gan_takes_a_step(which):
    cfg = changed(NAMED[which], **SMALL)
    shape = {"gan_mnist": (28, 28, 1)}.get(which[0].__name__, (32, 32, 3))
    gan = getattr(which[0], "build", classic.build)(cfg, shape, 10)
    key, batch = random.key(0), example(shape, 4)
    state = jax.eval_shape(gan.init, key, example(shape))
    after, metrics = jax.eval_shape(gan.step, state, batch, key)
    assert jax.tree.structure(after) == jax.tree.structure(state)
    assert ("d_penalty" in metrics) == any(
        getattr(cfg.adversary, name) for name in classic.PENALTIES
    )


@pytest.mark.parametrize("which", NAMED, ids=lambda w: f"{w[0].__name__}-{w[1]}")
def test_every_named_gan_has_options_in_range(which):
    config.check(NAMED[which])


def test_cifar_s_defaults_are_mimicry_s():
    """100,000 updates of G, five of D each."""
    sngan = gan_cifar10.PRESETS["sngan"]
    n_critic, tx = sngan.adversary.n_critic, sngan.optimizers
    assert sngan.steps / n_critic == 100000 and sngan.batch_size == 64
    assert (tx.g_lr, tx.d_lr, tx.beta1, tx.beta2) == (2e-4, 2e-4, 0, 0.9)


# What an option is in terms of `recipes.gan`: of its arguments, G and D.
SHIFT = augment.diff_augment(augment.translation)
REACHES = {
    "loss": ({"loss": "hinge"}, {"loss": losses.hinge}),
    "r1": ({"r1": 2.0}, {"penalty": reg.r1(2.0)}),
    "r2": ({"r2": 2.0}, {"penalty": reg.r2(2.0)}),
    "wgan_gp": ({"wgan_gp": 2.0}, {"penalty": reg.wgan_gp(2.0)}),
    "dragan": ({"dragan": 2.0}, {"penalty": reg.dragan(2.0)}),
    "target": (
        {"wgan_gp": 2.0, "gp_target": 0.01, "one_sided": True},
        {"penalty": reg.wgan_gp(2.0, 0.01, True)},
    ),
    "lecam": (
        {"lecam": 2.0, "lecam_start": 0},
        {"penalty": reg.lecam_penalty(2.0, start=0)},
    ),
    "average": (
        {"loss": "relativistic_average_hinge"},
        {"loss": losses.relativistic_average_hinge},
    ),
    "consistency": (
        {"consistency": 2.0},
        {"penalty": reg.consistency(SHIFT, 2.0, 2.0)},
    ),
    "n_critic": ({"n_critic": 2}, {"n_critic": 2}),
    "clip": ({"clip": 0.05}, {"clip": 0.05}),
    "augment": (
        {"augment": "diff_augment"},
        {"augment": augment.diff_augment(augment.translation, augment.cutout)},
    ),
    "ada": (
        {"augment": "ada", "ada_p": 0.7, "ada_groups": "blit"},
        {"augment": augment.scheduled(0.7, augment.pipeline("blit"))},
    ),
    "ema_decay": ({"ema_decay": 0.1}, {"ema_decay": 0.1}),
    "d_lr": ({"d_lr": 0.1}, {"d_tx": optax.adam(0.1, 0.5)}),
    "g_lr": ({"g_lr": 0.1}, {"g_tx": optax.adam(0.1, 0.5)}),
    "beta1": (
        {"beta1": 0.0},
        {"g_tx": optax.adam(1e-3, 0.0), "d_tx": optax.adam(1e-3, 0.0)},
    ),
    "spectral": ({"d_norm": "spectral"}, {"D": spectral.normalized}),
    "g spectral": ({"g_norm": "spectral"}, {"G": spectral.normalized}),
    "pack": ({"pack": 2}, {"D": lambda D: models.packed(D, 2)}),
}


def mlps():
    G = models.mlp.Generator((8, 8, 1), (4,))
    return models.flax_net("G", G), models.flax_net("D", models.mlp.Discriminator((4,)))


def two_steps(gan):
    batch = {"image": random.uniform(random.key(0), (4, 8, 8, 1), minval=-1)}
    state = gan.init(random.key(1), batch)
    for t in range(2):
        state, _ = gan.step(state, batch, random.key(t))
    return jax.tree.map(np.array, state._replace(memory={}))


@pytest.mark.parametrize("option", REACHES)
def test_every_option_reaches_the_recipe(option):
    """Two steps by the option are those by hand, and others than without it."""
    changes, by_hand = REACHES[option]
    plain = {"d_norm": "none", "latent_dim": 3}
    G, D = mlps()
    asked = changed(classic.Config(), **plain | changes)
    got = two_steps(classic.recipe(asked, G, D))
    without = two_steps(classic.recipe(changed(classic.Config(), **plain), G, D))
    defaults = {"G": lambda net: net, "D": lambda net: net}
    defaults |= {"g_tx": optax.adam(1e-3, 0.5), "d_tx": optax.adam(1e-3, 0.5)}
    given = defaults | by_hand
    if "penalty" in given:  # a sum of one has a key of its own
        given["penalty"] = reg.total(given["penalty"])
    G, D = given.pop("G")(G), given.pop("D")(D)
    expected = two_steps(recipes.gan(G, D, latent_dim=3, **given))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
        got,
        expected,
    )
    pairs = zip(jax.tree.leaves(got), jax.tree.leaves(without), strict=False)
    assert any(a.shape != b.shape or np.abs(a - b).max() > 1e-5 for a, b in pairs)


def test_cifar_s_and_ac_gan_s_options_reach_theirs():
    small = dict.fromkeys(("g_width", "d_width", "latent_dim"), 4)

    def params(module, name, shape=(32, 32, 3)):
        gan = module.build(changed(module.PRESETS[name], **small), shape, 10)
        return jax.eval_shape(gan.init, random.key(0), example(shape))

    sagan, sngan = params(gan_cifar10, "sagan"), params(gan_cifar10, "sngan")
    for name in "GD":
        assert "SelfAttention_0" in sagan.params[name]
        assert "SelfAttention_0" not in sngan.params[name]
        assert "spectral" in sagan.stats[name]
    assert "spectral" not in sngan.stats["G"] and "spectral" in sngan.stats["D"]
    wgan_gp = params(gan_cifar10, "wgan_gp")
    assert "spectral" not in wgan_gp.stats["D"] and "penalty" in wgan_gp.memory
    pools = {name: of.pool for name, of in gan_cifar10.PRESETS.items()}
    assert pools == dict.fromkeys(pools, "sum") | {"wgan_gp": "mean"}
    cfg = changed(gan_cifar10.PRESETS["wgan_gp"], layer_norm=True, **small)
    gan = gan_cifar10.build(cfg, (64, 64, 3), 10)
    normed = jax.eval_shape(gan.init, random.key(0), example((64, 64, 3)))
    assert "GroupNorm_1" in normed.params["D"]["DiscriminatorBlock_1"]
    assert "GroupNorm_0" not in wgan_gp.params["D"]["DiscriminatorBlock_1"]
    r3gan = stacked_mnist.PRESETS["r3gan"]
    play = r3gan.adversary
    assert (play.loss, play.r1, play.r2) == ("relativistic_logistic", 1.0, 1.0)
    plain = changed(r3gan, loss="nonsaturating", r1=0.0, r2=0.0)
    assert stacked_mnist.PRESETS["vanilla"] == plain
    losses = {}
    for weight in (0.0, 5.0):
        tiny = {"width": 2, "latent_dim": 2, "class_weight": weight}
        cfg = changed(acgan_mnist.PRESET, **tiny)
        gan = acgan_mnist.build(cfg, (8, 8, 1), 3)
        batch = {"image": jnp.zeros((4, 8, 8, 1)), "label": jnp.array([0, 1, 2, 0])}
        state = gan.init(random.key(0), batch)
        d_step = gan.parts["D"]
        losses[weight] = d_step(state, batch, random.key(0))[1]["d_loss"].value()
    # Classes are at first as good as guessed: ln 3 for real images and for fakes.
    assert losses[5.0] - losses[0.0] == pytest.approx(10 * np.log(3), rel=0.05)


def test_the_class_conditional_gan_of_emoji_tells_classes_or_is_told_them():
    batch = example((8, 8, 3), 4)
    found = {}
    for weight in (0.0, 0.3):
        cfg = changed(cgan_emoji.PRESET, class_weight=weight, **SMALL)
        gan = cgan_emoji.build(cfg, (8, 8, 3), 6)
        state = jax.eval_shape(gan.init, random.key(0), batch)
        metrics = jax.eval_shape(gan.step, state, batch, random.key(0))[1]
        outputs = {x.shape[-1] for x in jax.tree.leaves(state.params["D"])}
        found[weight] = "class_loss" in metrics, "Embed_0" in state.params["D"]
        assert (6 in outputs) == bool(weight) and "d_penalty" in metrics
    assert found == {0.0: (False, True), 0.3: (True, False)}


def test_learning_rates_fall_to_0_in_as_many_updates_as_each_has():
    falling = {"decay_steps": 4, "steps": 4, "n_critic": 2}
    cfg = changed(classic.Config(), **falling, **SMALL)
    gan = classic.build(cfg, (8, 8, 1), 0)
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
    assert moved == [(0, 1), (1, 1), (0, 1), (1, 1), (0, 0), (0, 0)]


@pytest.mark.parametrize(
    ("says", "module", "changes"),
    (
        ("n_critic 2 must be 1 where D tells", cgan_emoji, {"n_critic": 2}),
        ("clip must be 0 where D tells", cgan_emoji, {"clip": 0.1}),
        (
            "wgan_gp 10.0 is of D's gradient .* BatchNorm",
            gan_mnist,
            {"wgan_gp": 10.0},
        ),
        ("r1 1.0 is of D's gradient .* BatchNorm", gan_mnist, {"r1": 1.0}),
        (
            "r1 1.0 is of D's gradient .* `pack` 2 mixes",
            gan_mnist,
            {"r1": 1.0, "pack": 2, "d_norm": "none"},
        ),
        ("pack 2 images have no one label", gan_cifar10, {"pack": 2} | CONDITIONAL),
        (
            "decay_steps 500000 leaves a learning rate of 0 before `steps` 600000",
            gan_cifar10,
            {"steps": 600000},
        ),
        ("g_norm none: ResNets' G has", gan_cifar10, {"g_norm": "none"}),
        ("pack 3 must divide `batch_size` 64", gan_mnist, {"pack": 3}),
        ("d_norm batch: ResNets' D has none", gan_cifar10, {"d_norm": "batch"}),
    ),
)
def test_options_that_do_not_go_together_are_refused(says, module, changes):
    presets = getattr(module, "PRESETS", None) or {"": module.PRESET}
    cfg = changed(next(iter(presets.values())), **changes)
    with pytest.raises(UsageError, match=says):
        getattr(module, "build", classic.build)(cfg, (28, 28, 1), 10)


def test_a_conditional_gan_needs_labels():
    with pytest.raises(UsageError, match="no labels, which `conditional` needs"):
        gan_cifar10.build(gan_cifar10.PRESETS["sagan"], (32, 32, 3), 0)


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """`run(module, *args) -> (exit code, stdout, stderr)`, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "_cache_compilations", lambda: None)
    images = np.random.default_rng(0).integers(0, 256, (24, 12, 12, 1), np.uint8)
    np.savez("data.npz", images=images, labels=np.arange(24) % 3)

    def run(module, *args):
        monkeypatch.setattr(sys, "argv", [f"experiments/{module.__name__}.py"])
        presets = getattr(module, "PRESETS", None) or module.PRESET
        commands, code = getattr(module, "COMMANDS", None), 0
        try:
            build = getattr(module, "build", classic.build)
            cli.main(presets, build, [str(a) for a in args], commands=commands)
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
    code, _, err = run(gan_mnist, "sample")
    assert code == 2 and "needs --workdir, or a name before" in err
    # A name's defaults, then a file, then flags.
    Path("file.json").write_text('{"n_critic": 2, "clip": 0.1}')
    args = ["--config", "file.json", *small, "--steps", 1, "--clip", 0.2]
    assert run(gan_mnist, "wgan", *args)[0] == 0
    kept = json.loads((tmp_path / "runs/gan_mnist/wgan/config.json").read_text())
    got = [kept["config"][n] for n in ("loss", "n_critic", "clip")]
    assert got == ["wasserstein", 2, 0.2]


def test_an_experiment_may_have_a_preset_of_no_name_beside_named_ones(run):
    for args, data in (([], "emoji"), (["painted"], "painted_mnist")):
        code, out, _ = run(colorize, *args, "--help")
        assert code == 0 and f"(default: {data})" in " ".join(
            out.replace("│", "").split()
        )
        assert "By name: colorize.py, colorize.py painted." in " ".join(out.split())
        code, _, err = run(colorize, *args, "translate", "--input", "x.png")
        folder = "_".join(["runs/colorize", *args])
        assert code == 2 and f"{folder} holds no run" in err
    code, _, err = run(colorize, "panted")
    assert code == 2 and "panted" in err


@pytest.mark.slow
def test_a_named_run_leaves_the_folder_of_no_name_alone(run, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (8, 8, 8, 3), np.uint8)
    np.savez("colours.npz", images=images)
    thin = (
        "--data npz:colours.npz --width 1 --d-width 1 --patch 1 --batch-size 8".split()
    )
    for name in ("painted",), ():
        code, _, err = run(colorize, *name, *thin, "--steps", 1)
        assert code == 0, err
    found = {p.parent.name for p in (tmp_path / "runs").glob("*/config.json")}
    assert found == {"colorize", "colorize_painted"}


def test_infogan_shows_q_slanted_images_unless_told_otherwise():
    small = {"width": 4, "hidden": 8, "batch_size": 8}
    batch = {"image": random.uniform(random.key(0), (8, 12, 12, 1), minval=-1)}
    found = []
    for affine in (True, False):
        cfg = changed(infogan_mnist.PRESET, affine=affine, **small)
        gan = infogan_mnist.build(cfg, (12, 12, 1), 0)
        key = random.key(0)
        _, metrics = jax.jit(gan.parts["D"])(gan.init(key, batch), batch, key)
        found.append(metrics["category_information"].value())
    assert found[0] != found[1]


@pytest.mark.slow
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
    for bad, says in (
        (("--num", 0), "--num 0 must be 1 or more.\n"),
        (("--seed", -1), "--seed -1 must be 0 or more"),
        (("--out", "."), "--out . cannot be written"),
    ):
        code, _, err = run(infogan_mnist, "codes", *bad)
        assert code == 2 and err.startswith(says)
