"""What arrays are called in files does not change by accident."""

import jax
import numpy as np
import optax
import pytest
from network_names import PAGE, lines, networks, page

from jaxgan import recipes
from jaxgan.models import flax_net, mlp
from jaxgan.run import weights


def test_the_page_names_what_there_is():
    """If a name has to change, old files need a way to be read, and the page is to be
    written anew: python tests/network_names.py."""
    assert PAGE.read_text("utf-8") == page()


@pytest.mark.parametrize("suffix", weights.SUFFIXES)
def test_the_page_s_names_are_those_of_files(suffix, tmp_path):
    net, _ = networks()["DCGAN 28x28, G"]
    D = flax_net("D", mlp.Discriminator((8,)))
    tx = optax.sgd(0.1)
    model = recipes.gan(flax_net("G", net), D, latent_dim=100, g_tx=tx, d_tx=tx)
    images = np.zeros((2, 28, 28, 1), "float32")
    state = model.init(jax.random.key(0), {"image": images})
    weights.save(tmp_path / f"a{suffix}", state, {})
    found = weights.read(tmp_path / f"a{suffix}")
    of_g = lines(*networks()["DCGAN 28x28, G"])
    listed = {line.split(" [")[0] for line in of_g}
    params = {name for name in listed if not name.startswith("stats: ")}
    wanted = {f"{field}/G/{name}" for field in ("params", "ema") for name in params}
    wanted |= {f"stats/G/{name[7:]}" for name in listed - params}
    assert {name for name in found if "/G/" in name} == wanted
