"""Projected discriminators: what they see, what stays frozen, who judges them."""

import json
import sys
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from flax.traverse_util import flatten_dict
from jax import random
from tiny_runs import assert_same, go

sys.path.insert(0, str(Path(__file__).parent.parent / "experiments"))
import gan_cifar10
import gan_mnist

from jaxgan import losses, models, parallel, recipes
from jaxgan.metrics import extractors, feature_maps, filters, mnist
from jaxgan.metrics.float64 import enable_x64
from jaxgan.models import projected, spectral
from jaxgan.run import changed, cli, evaluation
from jaxgan.run.members import member_of
from jaxgan.run.presets import classic
from jaxgan.types import UsageError, example

torch.set_num_threads(1)
KEY = random.key(0)
rng = np.random.default_rng(0)


# --- what it sees


@pytest.mark.parametrize("channels", (1, 3))
def test_the_filters_features_are_averages_of_their_maps(channels):
    images = rng.integers(0, 256, (2, 32, 32, channels), np.uint8)
    maps = [np.asarray(x) for x in filters.maps(images.astype(np.float32) / 127.5 - 1)]
    assert [x.shape for x in maps] == [(2, s, s, 5 * channels) for s in (32, 16, 8)]

    def averaged(x, cells):
        side = x.shape[1] // cells
        x = x.reshape(2, cells, side, cells, side, -1).mean((2, 4))
        return x.reshape(2, -1)

    expected = [averaged(maps[0][..., :channels], 4)]
    for x in maps:
        moduli = 0.01 * np.expm1(x[..., channels:])
        expected.append(np.log(averaged(moduli, 2) + 0.01))
    expected = np.concatenate(expected, 1)
    np.testing.assert_allclose(filters.features(images), expected, rtol=1e-4, atol=1e-4)


def test_the_classifier_s_maps_are_its_activations():
    """By torch, from its weights; their mean is what the extractor gives."""
    images = rng.integers(0, 256, (2, 28, 28, 1), np.uint8)
    of = feature_maps.of_digits()
    got = of.maps(of.variables(), jnp.asarray(images, jnp.float32) / 127.5 - 1)
    w, x, expected = mnist.weights(), torch.tensor(images / 127.5 - 1).float(), []
    x = x.permute(0, 3, 1, 2)
    for i, stride in enumerate((1, 2, 1, 2)):
        kernel = torch.tensor(w["params"][f"Conv_{i}"]["kernel"]).permute(3, 2, 0, 1)
        pads = (1, 1, 1, 1) if stride == 1 else (0, 1, 0, 1)
        x = torch.nn.functional.conv2d(
            torch.nn.functional.pad(x, pads), kernel, None, stride
        )
        own, seen = (w[k][f"BatchNorm_{i}"] for k in ("params", "batch_stats"))
        args = (seen["mean"], seen["var"], own["scale"], own["bias"])
        x = torch.nn.functional.batch_norm(x, *map(torch.tensor, args), eps=1e-5).relu()
        expected.append(x.permute(0, 2, 3, 1).numpy())
    for ours, theirs in zip(got, (expected[0], *expected[2:]), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)
    features, _ = extractors.of_digits().run(images.repeat(100, 0))
    np.testing.assert_allclose(
        got[-1].mean((1, 2)), features[::100], rtol=1e-4, atol=1e-5
    )


def maps_of(*sizes, channels=3):
    return [
        random.normal(random.fold_in(KEY, s), (2, s, s, channels + s)) for s in sizes
    ]


def nchw(x):
    return torch.tensor(np.asarray(x)).permute(0, 3, 1, 2)


def convolved(x, layer, **how):
    kernel = torch.tensor(np.asarray(layer["kernel"])).permute(3, 2, 0, 1)
    bias = torch.tensor(np.asarray(layer["bias"])) if "bias" in layer else None
    return torch.nn.functional.conv2d(x, kernel, bias, **how)


def test_mixing_is_a_u_net_of_random_convolutions():
    maps = maps_of(13, 7, 3)
    net = projected.Mixing(4)
    params = net.init(KEY, maps)["params"]
    got = net.apply({"params": params}, maps)
    assert [x.shape for x in got] == [(2, 13, 13, 4), (2, 7, 7, 4), (2, 3, 3, 8)]
    up = partial(torch.nn.functional.interpolate, mode="bilinear", align_corners=False)
    coarser = None
    for k in (2, 1, 0):
        x = convolved(nchw(maps[k]), params[f"channels_{k}"])
        x = x if coarser is None else x + up(coarser, x.shape[2:])
        coarser = convolved(x, params[f"scales_{k}"], padding=1)
        ours = nchw(got[k])
        np.testing.assert_allclose(ours, coarser, rtol=1e-3, atol=1e-3)


def test_mixing_is_drawn_as_kaiming_has_it():
    maps = [jnp.zeros((1, s, s, 64)) for s in (4, 2)]
    params = flatten_dict(projected.Mixing(64).init(KEY, maps)["params"])
    assert len(params) == 8
    for (_, kind), w in params.items():
        if kind == "bias":
            assert not w.any()
            continue
        deviation = (2 / np.prod(w.shape[:3])) ** 0.5
        assert w.std() == pytest.approx(deviation, rel=0.03)
        assert abs(w.mean()) < 4 * deviation / w.size**0.5
    others = projected.Mixing(64).init(random.key(1), maps)["params"]
    assert not np.allclose(others["scales_0"]["kernel"], params["scales_0", "kernel"])


@pytest.mark.parametrize("norm", ("batch", "none"))
def test_small_ds_are_torch_s(norm):
    maps = maps_of(21, 7, 2)
    net = projected.Heads(norm)
    variables = net.init(KEY, maps)
    got, _ = net.apply(variables, maps, mutable="batch_stats")
    params = variables["params"]
    assert [x.shape for x in got] == [(2, 2, 2), (2, 4, 4), (2, 1, 1)]
    x = nchw(maps[0])
    for k in (0, 1):
        x = convolved(x, params[f"Conv_{k}"], stride=2, padding=1)
        if norm == "batch":
            own = params[f"BatchNorm_{k}"]
            args = (torch.tensor(np.asarray(own[n])) for n in ("scale", "bias"))
            x = torch.nn.functional.batch_norm(x, None, None, *args, training=True)
        x = torch.nn.functional.leaky_relu(x, 0.2)
    for k, last in enumerate((x, nchw(maps[1]), nchw(maps[2]))):
        theirs = convolved(last, params[f"last_{k}"])[:, 0]
        np.testing.assert_allclose(got[k], theirs, rtol=1e-3, atol=1e-3)


@pytest.fixture(scope="module")
def seen_by_filters():
    """A D without BatchNorm, its variables and images, all float64."""
    with enable_x64(True):
        of = feature_maps.of_filters()
        D = projected.discriminator("D", of, 2, "none", jnp.float64)
        images = random.uniform(KEY, (2, 16, 16, 1), "float64", -1)
        images = images.at[1, :10].set(-1)  # where nothing changes
        drawn = D.init(KEY, images.astype("float32"))
        params, stats = jax.tree.map(lambda x: x.astype("float64"), drawn)
    return D, params, stats, images


def test_gradients_reach_the_image(seen_by_filters):
    D, params, stats, images = seen_by_filters
    with enable_x64(True):

        @jax.jit
        def total(x):
            return sum((w.sum() for w in D.apply(params, stats, x)[0]), jnp.float64(0))

        gradient = jax.grad(total)(images)
        assert np.isfinite(gradient).all() and (gradient[0] != 0).all()
        way = random.normal(random.key(1), images.shape, "float64")
        way = way.at[1].set(0)  # a modulus of 0 has no derivative
        found = (total(images + 1e-6 * way) - total(images - 1e-6 * way)) / 2e-6
        assert float((gradient * way).sum()) == pytest.approx(float(found), rel=1e-6)


def test_every_kernel_of_small_ds_has_spectral_norm_1(seen_by_filters):
    D, params, stats, images = seen_by_filters
    with enable_x64(True):
        turn = jax.jit(
            lambda s: s | {"spectral": D.apply(params, s, images)[1]["spectral"]}
        )
        for _ in range(60):
            stats = turn(stats)
        divided = flatten_dict(spectral.normalize(params, stats["spectral"])[0])
        kernels = {k: w for k, w in divided.items() if k[-1] == "kernel"}
        assert len(kernels) == 4  # 16 pixels are halved once; three are the last
        for name, w in kernels.items():
            w = np.asarray(w).reshape(-1, w.shape[-1])
            assert np.linalg.norm(w, 2) == pytest.approx(1, rel=1e-3), name


# --- what stays frozen


ADAM = optax.adam(1e-3)


def build(cfg, shape, num_classes, tx=ADAM):
    G = models.flax_net("G", models.mlp.Generator(shape, (4,)))
    D = projected.discriminator("D", feature_maps.of_digits(), 1)
    return recipes.gan(
        G,
        D,
        latent_dim=3,
        g_tx=tx,
        d_tx=tx,
        loss=losses.hinge,
    )


def frozen(state):
    return [state.stats["D"][k] for k in ("features", "projection")]


@pytest.fixture(scope="module")
def game():
    """A GAN whose weights decay, its first state, and a batch."""
    tx = optax.chain(optax.add_decayed_weights(0.1), optax.sgd(0.01, 0.5))
    gan = build(None, (28, 28, 1), 10, tx)
    batch = {"image": random.uniform(KEY, (6, 28, 28, 1), minval=-1)}
    return gan, gan.init(KEY, batch), batch


def test_frozen_weights_stay_to_the_bit_and_the_others_move(game):
    gan, state, batch = game
    first = jax.device_get(state)
    known = [jax.tree.leaves(mnist.weights()), jax.tree.leaves(frozen(first)[0])]
    assert_same(*known)
    for field in (first.params, first.opt, first.ema):
        paths = str([p for p, _ in jax.tree_util.tree_leaves_with_path(field)])
        assert "last_0" in paths or field is first.ema
        assert not any(n in paths for n in ("features", "projection", "scales_0"))
    names = {k[0] for k in flatten_dict(first.params["D"])}
    assert names == {"Conv_0", "Conv_1", "Conv_2", "last_0", "last_1", "last_2"} | {
        f"BatchNorm_{k}" for k in range(3)
    }
    # Three devices: a mean over them would round.
    devices = jax.devices()[:3]
    step = parallel.pmapped(gan.step, devices)
    copies = parallel.replicate(state, devices)
    for t in range(2):
        copies, metrics = step(copies, batch, random.fold_in(KEY, t))
    after = jax.device_get(parallel.unreplicate(copies))
    assert_same(frozen(after), frozen(first))
    for old, new in zip(
        jax.tree.leaves(first.params["D"]),
        jax.tree.leaves(after.params["D"]),
        strict=True,
    ):
        assert (old != new).any()
    old, new = (x.stats["D"]["spectral"]["Conv_0"]["kernel"] for x in (first, after))
    assert (old != new).any()
    whole = state
    step = jax.jit(gan.step)
    for t in range(2):
        whole, expected = step(whole, batch, random.fold_in(KEY, t))
    for a, b in zip(*map(jax.tree.leaves, (after.params, whole.params)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
    loss = expected["d_loss"].value()
    assert np.mean(metrics["d_loss"].total) == pytest.approx(loss, rel=1e-3)


def test_frozen_weights_are_no_constants_of_a_step(game):
    gan, state, batch = game
    text = jax.jit(gan.step).lower(state, batch, KEY).as_text()
    largest = max(map(len, text.splitlines()))
    assert largest < 100_000  # the classifier has 131,392 weights


def test_a_continued_run_is_the_uninterrupted_one_bit_for_bit(options):
    expected = go(options("whole"), build)
    go(options("parts", steps=3), build)
    assert_same(go(options("parts"), build), expected)


@pytest.mark.slow
def test_members_are_the_single_runs(options):
    both = go(options("both", steps=2, seeds=2), build)
    one = go(options("one", steps=2, seed=1), build)
    member = jax.device_get(member_of(both, 1))
    assert_same(frozen(member), frozen(one))
    mixing = [frozen(member_of(both, k))[1] for k in (0, 1)]
    assert (mixing[0]["scales_0"]["kernel"] != mixing[1]["scales_0"]["kernel"]).any()
    for a, b in zip(*map(jax.tree.leaves, (member.params, one.params)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


# --- options


PROJECTED = changed(
    gan_mnist.PRESETS["projected"], d_width=1, g_width=2, latent_dim=2, batch_size=4
)


def test_the_loss_is_the_mean_over_scales_and_options_reach_d():
    images = random.uniform(KEY, (4, 16, 16, 1), minval=-1)
    gan = classic.build(changed(PROJECTED, augment="none"), (16, 16, 1), 0)
    state = gan.init(KEY, {"image": images})
    assert gan.sees == ("filters",)
    assert "BatchNorm_0" in state.params["D"]
    cfg = changed(PROJECTED, d_norm="spectral", d_width=2)
    other = jax.eval_shape(
        classic.build(cfg, (16, 16, 1), 0).init, KEY, example((16, 16, 1))
    )
    assert "BatchNorm_0" not in other.params["D"] and other.stats["D"]["spectral"]
    assert other.stats["D"]["projection"]["channels_2"]["kernel"].shape == (1, 1, 5, 8)
    judge = projected.discriminator("D", feature_maps.of_filters(), 1)
    logits = jax.jit(judge)(state, images)
    assert [x.shape for x in logits] == [(4, 5, 5), (4, 5, 5), (4, 1, 1)]
    metrics = jax.jit(gan.parts["D"])(state, {"image": images}, KEY)[1]
    expected = np.mean([np.asarray(x).mean() for x in logits])
    assert metrics["D(real)"].value() == pytest.approx(expected, rel=1e-4)
    each = np.mean([np.asarray(x).mean((1, 2)) for x in logits], 0)
    score = jax.jit(gan.scores["D"])(state, images)
    np.testing.assert_allclose(score, each, rtol=1e-4, atol=1e-5)


def refused(shape=(28, 28, 1), classes=0, **options):
    cfg = changed(PROJECTED, **options)
    gan = classic.conditional(cfg, shape, classes)
    jax.eval_shape(gan.init, KEY, example(shape))


@pytest.mark.parametrize(
    ("words", "options"),
    (
        (
            "d_features mnist takes images of 28x28x1, not 32x32x1",
            {"d_features": "mnist", "shape": (32, 32, 1)},
        ),
        (
            "d_features mnist takes images of 28x28x1, not 28x28x3",
            {"d_features": "mnist", "shape": (28, 28, 3)},
        ),
        (
            "d_features filters takes images of 1 or 3 channels, not 4",
            {"shape": (28, 28, 4)},
        ),
        (
            "d_features vgg takes images of 16 pixels or more",
            {"d_features": "vgg", "d_weights": "x", "shape": (8, 32, 3)},
        ),
        ("d_features vgg needs `d_weights`, torch.*pth", {"d_features": "vgg"}),
        ("d_features inception needs `d_weights`", {"d_features": "inception"}),
        (
            r"d_weights none\.pth cannot be read",
            {"d_features": "inception", "d_weights": "none.pth"},
        ),
        ("d_weights x goes with vgg or inception", {"d_weights": "x"}),
        ("d_weights x goes with", {"d_weights": "x", "d_features": "none"}),
        ("d_norm none: a D with `d_features` has spectral", {"d_norm": "none"}),
        ("pack 2: `d_features` filters sees one image", {"pack": 2}),
        ("d_features filters sees images without labels", {"classes": 10}),
        ("r1 is of D's gradient at pixels", {"r1": 1.0, "d_norm": "spectral"}),
        ("wgan_gp is of D's gradient at pixels", {"wgan_gp": 1.0}),
    ),
)
def test_options_that_do_not_go_together_are_refused(words, options):
    with pytest.raises(UsageError, match=words):
        refused(**options)


def test_options_of_a_d_that_is_replaced_are_refused():
    for name, change in (
        ("pool", {"pool": "mean"}),
        ("layer_norm", {"layer_norm": True}),
    ):
        cfg = changed(gan_cifar10.SNGAN, d_features="filters", **change)
        with pytest.raises(UsageError, match=f"{name} .* `d_features` replaces"):
            gan_cifar10.build(cfg, (32, 32, 3), 10)
    cfg = changed(gan_cifar10.SNGAN, d_features="filters")
    assert gan_cifar10.build(cfg, (32, 32, 3), 10).sees == ("filters",)


def test_terms_that_are_of_no_gradient_are_taken():
    refused(lecam=0.3, lecam_start=0, consistency=1.0)


# --- who judges


def judge(sees, content="", shape=(28, 28, 1), weights=None):
    gan = build(None, (28, 28, 1), 10)._replace(sees=sees)
    data = type("Data", (), {"content": content, "shape": shape})
    return evaluation.extractor_for(gan, gan.draws["sample"], weights, data, None)


def test_a_judge_is_another_network_than_d_s(monkeypatch):
    assert build(None, (28, 28, 1), 10).sees == ("mnist",)
    assert judge((), "digits").name == "mnist"
    assert judge(("filters",), "digits").name == "mnist"
    assert judge(("mnist",), "digits").name == "filters"
    nobody = judge(("filters",), "emoji", (32, 32, 3))
    assert nobody.name == "no network (D itself sees by filters)"
    assert nobody.gives == ()
    inception = feature_maps.of_inception("x").name
    fake = extractors.Extractor(inception, None)
    monkeypatch.setattr(extractors, "of_inception", lambda *args: fake)
    assert judge(("filters",), weights="x") is fake
    with pytest.raises(UsageError, match="inception_weights x: D sees images by it"):
        judge((inception,), weights="x")


def test_a_report_has_no_figure_of_what_d_sees_by(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    images = rng.integers(0, 256, (120, 16, 16, 3), np.uint8)
    np.savez(tmp_path / "data.npz", images=images)
    monkeypatch.setattr(sys, "argv", ["gan_mnist.py"])
    main = partial(cli.main, gan_mnist.PRESETS, classic.build)
    flags = "--data npz:data.npz --d-width 1 --g-width 2 --latent-dim 2 --steps 2"
    run = ["projected", *flags.split(), "--batch-size", "8", "--workdir", "run"]
    follow = ["--evaluate-every", "1", "--evaluate-num", "100"]
    with pytest.raises(SystemExit):
        main([*run, *follow])
    said = capfd.readouterr()
    words = "--evaluate-metrics fd: by no network (D itself sees by filters) there are"
    assert words in said.err + said.out
    main([*run, *follow, "--evaluate-metrics", "diversity"])
    note = "D sees images by filters: no figure is of features of that."
    assert note in "".join(capfd.readouterr())
    main(["projected", "evaluate", "--workdir", "run", "--num", "100"])
    assert note in "".join(capfd.readouterr())
    result = json.loads(Path("run/evaluation.json").read_text())
    assert result["discriminator_sees"] == ["filters"] and note in result["notes"]
    assert result["metrics"].keys() == {"ms_ssim", "colour_spread"}
    assert result["extractor"]["name"].startswith("no network")
