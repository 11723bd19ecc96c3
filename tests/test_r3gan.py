"""R3GAN's networks against a twin in PyTorch, and its experiment."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import r3gan as experiment
import torch
import torch.nn.functional as F
from jax import random
from torch_weights import nchw

from jaxgan.models import layers, r3gan
from jaxgan.run import changed, config, train
from jaxgan.types import UsageError, example

torch.set_num_threads(1)
RNG = np.random.default_rng(0)
KEY = random.key(0)


def weights(module, *inputs):
    """Random ones in place of those that begin at 0, which would hide mistakes."""
    shapes = jax.eval_shape(module.init, KEY, *inputs)["params"]
    return jax.tree.map(lambda x: np.float32(RNG.normal(size=x.shape) / 3), shapes)


def kernel(p):
    return torch.tensor(p["kernel"]).permute(3, 2, 0, 1)


def block(x, p, group_width):
    """The twin: NCHW, by torch's own grouped convolution."""
    first, grouped, last = (p[f"Conv_{i}"] for i in range(3))
    y = F.conv2d(x, kernel(first), torch.tensor(first["bias"]))
    y = F.leaky_relu(y, 0.2)
    bias, groups = torch.tensor(grouped["bias"]), y.shape[1] // group_width
    y = F.conv2d(y, kernel(grouped), bias, padding=1, groups=groups)
    return x + F.conv2d(F.leaky_relu(y, 0.2), kernel(last))


FILTER = torch.tensor([1.0, 3, 3, 1])
FILTER = (FILTER[:, None] * FILTER) / 64


def up(x):
    k = (4 * FILTER).expand(x.shape[1], 1, 4, 4)
    return F.conv_transpose2d(x, k, stride=2, padding=1, groups=x.shape[1])


def down(x):
    k = FILTER.expand(x.shape[1], 1, 4, 4)
    return F.conv2d(x, k, stride=2, padding=1, groups=x.shape[1])


def close(got, expected):
    np.testing.assert_allclose(got, expected.detach(), rtol=2e-4, atol=2e-4)


def nhwc(x):
    return x.permute(0, 2, 3, 1)


def test_a_block_and_its_gradients_are_torchs():
    module = r3gan.Block(depth=4, group_width=4)
    x = np.float32(RNG.normal(size=(2, 5, 6, 8)))
    p = weights(module, x)
    apply = lambda x: module.apply({"params": p}, x)  # noqa: E731
    y, pull = jax.vjp(apply, jnp.asarray(x))
    theirs = nchw(x).requires_grad_()
    expected = block(theirs, p, 4)
    close(y, nhwc(expected))
    expected.backward(expected.detach())
    close(pull(y)[0], nhwc(theirs.grad))


@pytest.mark.parametrize("classes", [0, 5])
def test_g_is_torchs(classes):
    G, _ = r3gan.networks((16, 8, 3), 8, 16, 1, 4, classes)
    z = np.float32(RNG.normal(size=(3, 6)))
    label = (jnp.array([0, 3, 4]),) if classes else ()
    p = weights(G, z, *label)
    t = torch.tensor(z)
    dense = [torch.tensor(p[f"Dense_{i}"]["kernel"]) for i in range(1 + bool(classes))]
    if classes:
        t = torch.cat([t, dense[0][torch.tensor([0, 3, 4])]], 1)
    basis = torch.tensor(p["basis"]).permute(2, 0, 1)[None]
    x = basis * (t @ dense[-1])[:, :, None, None]
    x = up(F.conv2d(block(x, p["Block_0"], 4), kernel(p["Conv_0"])))
    x = F.conv2d(block(x, p["Block_1"], 4), kernel(p["Conv_1"]))
    assert x.shape[2:] == (16, 8)
    close(G.apply({"params": p}, z, *label), nhwc(x))


@pytest.mark.parametrize("classes", [0, 5])
def test_d_is_torchs(classes):
    _, D = r3gan.networks((16, 8, 3), 8, 16, 1, 4, classes)
    image = np.float32(RNG.normal(size=(3, 16, 8, 3)))
    label = (jnp.array([0, 3, 4]),) if classes else ()
    p = weights(D, image, *label)
    x = block(F.conv2d(nchw(image), kernel(p["Conv_0"])), p["Block_0"], 4)
    x = block(F.conv2d(down(x), kernel(p["Conv_1"])), p["Block_1"], 4)
    filters = torch.tensor(p["basis"]).permute(2, 0, 1)[:, None]
    x = F.conv2d(x, filters, groups=x.shape[1]).flatten(1)
    x = x @ torch.tensor(p["Dense_0"]["kernel"])
    if classes:
        embedding = torch.tensor(p["Dense_1"]["kernel"])[torch.tensor([0, 3, 4])]
        x = (x * embedding).sum(1, keepdim=True)
    close(D.apply({"params": p}, image, *label), x[:, 0])


def test_blocks_begin_as_nothing_and_as_by_fix_up():
    module = r3gan.Block(depth=16, group_width=16)
    x = random.normal(KEY, (2, 4, 4, 256))
    p = module.init(KEY, x)
    np.testing.assert_array_equal(module.apply(p, x), x)
    he = np.sqrt(2 / 1.04)
    first, grouped = (p["params"][f"Conv_{i}"]["kernel"].std() for i in (0, 1))
    np.testing.assert_allclose(first, he * 16**-0.25 / np.sqrt(256), rtol=0.02)
    np.testing.assert_allclose(grouped, he * 16**-0.25 / np.sqrt(9 * 16), rtol=0.02)


def counted(widths, latent, classes):
    """Of G and D, by arithmetic: blocks, 1x1 convolutions, a basis, labels."""
    pairs = itertools.pairwise(widths)
    blocks = sum(2 * (2 * 2 * c * c + 9 * 16 * 2 * c + 2 * 2 * c) for c in widths)
    common = blocks + sum(a * b for a, b in pairs if a != b)
    common += 3 * widths[-1] + 16 * widths[0]
    given = 2 * latent if classes else latent
    g = common + given * widths[0] + classes * latent
    made = widths[-1] if classes else 1
    return g, common + made * widths[0] + classes * widths[-1]


@pytest.mark.parametrize(
    ("name", "shape", "widths", "classes"),
    [
        ("ffhq256", (256, 256, 3), (768, 768, 768, 768, 384, 192, 96), 0),
        ("cifar10", (32, 32, 3), (768,) * 4, 10),
    ],
)
def test_as_many_parameters_as_its_widths_make(name, shape, widths, classes):
    gan = experiment.build(experiment.PRESETS[name], shape, 10)
    params = jax.eval_shape(gan.init, KEY, example(shape)).params
    count = [sum(x.size for x in jax.tree.leaves(params[net])) for net in "GD"]
    assert count == list(counted(widths, 64, classes))


@pytest.mark.parametrize(
    ("shape", "smallest", "count"),
    [
        ((28, 28, 1), (7, 7), 3),
        ((64, 32, 3), (8, 4), 4),
        ((6, 6, 3), (6, 6), 1),
        ((96, 128, 3), (6, 8), 5),
    ],
)
def test_stages_halve_as_long_as_they_can(shape, smallest, count):
    sizes = layers.sizes(shape)[::-1]
    assert sizes[0] == smallest and sizes[-1] == shape[:2] and len(sizes) == count


@pytest.mark.parametrize("shape", [(30, 30, 3), (64, 33, 3), (2, 2, 3)])
def test_sides_that_cannot_be_halved_are_refused_in_a_sentence(shape):
    with pytest.raises(UsageError, match=r"resize .*4 to 7 times a power of two"):
        r3gan.networks(shape, 8)


def test_groups_that_do_not_fit_are_refused_in_a_sentence():
    with pytest.raises(UsageError, match="group_width 12 must divide 16, twice"):
        r3gan.networks((32, 32, 3), 8, 8, group_width=12)


def test_channels_double_up_to_the_most():
    of = r3gan.widths((256, 256, 3), 96, 768)
    assert of == (768, 768, 768, 768, 384, 192, 96)


@pytest.mark.parametrize("name", experiment.PRESETS)
def test_every_named_gan_takes_a_step(name):
    cfg = changed(experiment.PRESETS[name], width=8, max_width=8, blocks=1)
    config.check(cfg)
    gan = experiment.build(cfg, (8, 8, 3), 10)
    state = jax.eval_shape(gan.init, KEY, example((8, 8, 3)))
    after, metrics = jax.eval_shape(gan.step, state, example((8, 8, 3), 4), KEY)
    assert jax.tree.structure(after) == jax.tree.structure(state)
    assert "d_penalty" in metrics


def test_everything_burns_in():
    """A step of 4 images at the burn-in's end is by the last values alone: γ, rate, β2
    and the average's half-life."""
    sizes = {"width": 4, "max_width": 4, "blocks": 1, "latent_dim": 3, "batch_size": 4}
    burnt = {"gamma": 50.0, "last_gamma": 2.0, "burn_in": 40, "ema_images": 4.0}
    first = changed(experiment.PRESETS["stacked_mnist"], **sizes, **burnt)
    last = changed(first, gamma=2.0, lr=first.optimizers.last_lr, beta2=0.99)
    key, shape = random.key(1), (4, 4, 3)
    batch = {"image": random.normal(key, (4, *shape))}
    gan, same = (experiment.build(cfg, shape, 0) for cfg in (first, last))
    state = gan.init(key, batch)

    def late(state, step):
        def count(path, x):
            return jnp.full_like(x, step) if "count" in str(path[-1]) else x

        opt = jax.tree_util.tree_map_with_path(count, state.opt)
        return state._replace(step=jnp.int32(step), opt=opt)

    after, _ = jax.jit(gan.step)(late(state, 10), batch, key)
    expected, _ = jax.jit(same.step)(late(state, 10), batch, key)
    early, _ = jax.jit(gan.step)(late(state, 0), batch, key)
    for a, b in zip(
        *map(jax.tree.leaves, (after.params, expected.params)), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
    moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), after.params, early.params)
    assert max(jax.tree.leaves(moved)) > 1e-5
    # Its decay is a half, and its share of the new weights so, too; see `ema`.
    old, new, mean = (
        x["basis"] for x in (state.ema["G"], after.params["G"], after.ema["G"])
    )
    moved = np.abs(new - old) > 1e-5
    np.testing.assert_allclose((mean - old)[moved] / (new - old)[moved], 0.5, atol=0.02)


@pytest.mark.slow
def test_a_run_that_is_stopped_amid_its_schedules_ends_the_same(tmp_path):
    """To the last bit: γ, rates, β2, half-life and augmentation are of the step."""
    images = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), np.uint8)
    np.savez(tmp_path / "data.npz", images=images)

    def run(name, steps):
        options = {"width": 4, "max_width": 4, "blocks": 1, "latent_dim": 3}
        options |= {"data": f"npz:{tmp_path / 'data.npz'}", "resize": None}
        options |= {"augment": "ada", "augment_p": 0.5}
        options |= {"batch_size": 8, "burn_in": 64, "ema_images": 8.0}
        options |= {"steps": steps, "workdir": str(tmp_path / name)}
        cfg = changed(experiment.PRESETS["emoji"], **options)
        return train(cfg, experiment.build, "test")[1]

    whole = run("whole", 9)
    for stop in (1, 4, 6, 9):
        parts = run("parts", stop)
    jax.tree.map(np.testing.assert_array_equal, whole, parts)
    log = (tmp_path / "parts" / "log.txt").read_text()
    assert "Continuing from the checkpoint of step 6." in log
