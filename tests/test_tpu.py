"""Every recipe compiles for eight TPU v5e, and for one, by the real compiler.

    python -m pytest -m tpu

Needs libtpu and no TPU: programs are read, not run. What devices tell one another is
the gradients, what examples that meet have in common, and what CycleGAN's pools hold.
"""

import collections
import functools
import importlib.util
import re
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from jaxgan import models, recipes

sys.path.append(str(Path(__file__).parents[1] / "experiments"))

from benchmarks import tpu
from benchmarks.small_recipes import BATCH, MIXES, RECIPES, ROWS, SGD, SIDE, model

tpu.set_environment()
pytestmark = pytest.mark.tpu
each = pytest.mark.parametrize("name", RECIPES)

MORE = {"unrolled": 4, "consensus": 2, "SRGAN": 1, "StyleGAN2": 17}
MORE |= {"growing": 20, "adversarial flow": 1}
"""All-reduces beside one for each network: two steps within G's loss and the way back
through them; the gradient of gradients; G's in the steps before there is a GAN; noise,
and a regularizer's; and those of minibatch deviation, in D's passes there and back,
where groups of four are of two devices' images."""


@pytest.fixture(scope="module", autouse=True)
def compiler():
    if importlib.util.find_spec("libtpu") is None:
        pytest.fail(tpu.MISSING, pytrace=False)


def of(made, rows, devices):
    state = jax.eval_shape(made.init, jax.random.key(0), rows)
    return state, tpu.compiled(made.step, state, rows, tpu.mesh(devices))


@functools.cache
def small(name):
    return of(model(name), ROWS, 8)


def averaged(found):
    """All-reduces of more than numbers, such as the means of losses."""
    reduced = [c for c in found.collectives if c.kind == "all-reduce"]
    return [c for c in reduced if max(c.elements) > 1]


@each
def test_all_gradients_are_averaged_over_devices(name):
    """As many numbers as each array of weights has are in some all-reduce."""
    state, found = small(name)
    told = collections.Counter(n for c in averaged(found) for n in c.elements)
    wanted = collections.Counter(x.size for x in jax.tree.leaves(state.params))
    assert wanted and not wanted - told


@each
def test_one_average_for_each_network_at_most(name):
    """All arrays of a phase are told at once. What a BatchNorm layer needs, forward and
    back, it needs before the next layer's."""
    state, found = small(name)
    layers = sum("mean" in str(p) for p, _ in jax.tree.leaves_with_path(state.stats))
    most = len(state.params) * (1 + 2 * layers) + MORE.get(name, 0)
    assert 0 < len(averaged(found)) <= most


@each
def test_no_batch_is_gathered(name):
    """CycleGAN's pools alone see all fakes: each device keeps the same pools, which
    images enter one after another."""
    found = small(name)[1]
    others = [c for c in found.collectives if c.kind != "all-reduce"]
    fakes = tpu.Collective("all-gather", (("f32", (BATCH, SIDE, SIDE, 3)),))
    assert others == ([fakes] * 2 if name == "CycleGAN" else [])
    if name not in MIXES:
        assert len(averaged(found)) == found.counts["all-reduce"]


@each
def test_the_new_state_takes_the_old_one_s_place(name):
    state, found = small(name)
    assert found.alias >= sum(x.size * x.dtype.itemsize for x in arrays(state))
    assert found.argument + found.output + found.temporary - found.alias == found.peak
    assert found.flops > 0 and found.bytes_accessed > found.argument and found.fits


@pytest.mark.parametrize(("name", "count"), [("StyleGAN2", 5), ("growing", 4)])
def test_groups_of_a_device_s_images_are_compared_there(name, count):
    """Then there is an average for each network, of each stage, and for StyleGAN2 the
    noise's and a regularizer's."""
    assert len(averaged(of(model(name), ROWS, 4)[1])) == count


def arrays(tree):
    return [x for x in jax.tree.leaves(tree) if x.size > 1]


@each
def test_one_device_tells_nobody_anything(name):
    assert of(model(name), ROWS, 1)[1].collectives == ()


def dcgan(dtype):
    G, D = models.dcgan.networks((16, 16, 3), 8, dtype=dtype)
    nets = models.flax_net("G", G), models.flax_net("D", D)
    made = recipes.gan(*nets, latent_dim=4, **SGD)
    image = jax.ShapeDtypeStruct((64, 16, 16, 3), "float32")
    with jax.numpy_dtype_promotion("standard"):  # Flax's BatchNorm of bfloat16
        return of(made, {"image": image}, 8)


def convolved(text):
    """dtypes of each convolution's result and operands; dense layers are some too."""
    named = dict(re.findall(r"^\s*(?:ROOT )?(%[\w.-]+) = (\w+)\[", text, re.M))
    found = re.findall(r"(%[\w.-]+) = \S+ convolution\((\S+), (\S+)\)", text)
    return [{named[name] for name in names} for names in found]


def test_a_bfloat16_gan_convolves_in_it_and_keeps_its_weights_in_float32():
    state, found = dcgan(jnp.bfloat16)
    kept = [x for x in arrays(state) if jnp.issubdtype(x.dtype, jnp.floating)]
    assert {x.dtype for x in kept} == {jnp.dtype("float32")}
    used = convolved(found.text)
    assert len(used) > 10 and all(dtypes == {"bf16"} for dtypes in used)
    used = convolved(dcgan(jnp.float32)[1].text)
    assert len(used) > 10 and all("f32" in dtypes for dtypes in used)


def test_flops_and_memory_are_those_of_a_device():
    """Of MLPs, which have little besides products, and whose activations are more than
    the chip itself holds."""
    rows, width = 8192, 2048
    G = models.mlp.Generator((8, 8, 1), (width,) * 2)
    D = models.mlp.Discriminator((width,) * 2)
    nets = models.flax_net("G", G), models.flax_net("D", D)
    made = recipes.gan(*nets, latent_dim=64, **SGD)
    batch = {"image": jax.ShapeDtypeStruct((8 * rows, 8, 8, 1), "float32")}
    found = of(made, batch, 8)[1]
    g = 2 * (64 * width + width**2 + width * 64)
    d = 2 * (64 * width + width**2 + width)
    assert found.flops == pytest.approx(rows * (3 * g + 8 * d), rel=0.05)
    assert found.temporary > 4 * rows * width  # an activation of float32
