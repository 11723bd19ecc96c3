"""Commands on a generator with styles: truncation, mixing, walks and descents in w."""

import command_line
import numpy as np
import optax
import pytest
from PIL import Image
from test_exploring import PLAIN, Experiment, one_image, pixels

from jaxgan import models, recipes


def _styled(cfg, shape, num_classes):
    nets = models.stylegan2.networks(shape, 4, 8, 8, 2)
    names = "mapping", "synthesis", "D"
    nets = [models.flax_net(n, net) for n, net in zip(names, nets, strict=True)]
    tx = optax.adam(1e-2)
    return recipes.stylegan2(*nets, latent_dim=4, g_tx=tx, d_tx=tx)


def _with_codes(cfg, shape, num_classes):
    G, D = models.mlp.Generator(shape, (5,)), models.dcgan.Discriminator(2, outputs=2)
    tx = optax.adam(1e-2)
    G, D = models.flax_net("G", G), models.flax_net("D", D)
    sizes = {"noise": 2, "categories": 2, "continuous": 0}
    return recipes.infogan(G, D, **sizes, g_tx=tx, d_tx=tx)


EXPERIMENTS = {
    "styled": Experiment(_styled),
    "plain": PLAIN,
    "codes": Experiment(_with_codes),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    home = tmp_path_factory.mktemp("runs")
    rng = np.random.default_rng(0)
    np.savez(home / "data.npz", images=rng.integers(0, 256, (16, 8, 8, 1), np.uint8))
    for name, experiment in EXPERIMENTS.items():
        data = "--data", f"npz:{home / 'data.npz'}", "--workdir", home / name
        assert command_line.run(experiment, *data) == 0
    return home


@pytest.fixture
def call(runs, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def call(command, *options, of="styled"):
        args = command, "--workdir", runs / of, *options
        code = command_line.run(EXPERIMENTS[of], *args)
        return code, *capsys.readouterr()

    return call


def samples(call, *options):
    assert call("sample", "--npz", "s.npz", *options)[0] == 0
    with np.load("s.npz") as found:
        return found["images"][..., 0].astype(int)


def test_truncated_samples_are_nearer_to_one_image(call):
    whole, half, none = (
        samples(call, "--seeds", "1-20", "--truncation", psi) for psi in (1, 0.5, 0)
    )
    np.testing.assert_array_equal(whole, samples(call, "--seeds", "1-20"))
    assert none.std(0).max() <= 0.5
    assert 0 < half.std(0).mean() < 0.8 * whole.std(0).mean()


def test_z_is_truncated_where_there_is_no_w(call):
    args = "--seeds", "1-20", "--npz", "s.npz"
    spread = []
    for threshold in ("2", "0.1"):
        assert call("sample", *args, "--truncation", threshold, of="plain")[0] == 0
        with np.load("s.npz") as found:
            spread.append(found["images"].astype(float).std(0).mean())
    assert spread[1] < 0.5 * spread[0]
    code, _, err = call("sample", "--truncation", 0, of="plain")
    assert code == 2 and "--truncation 0.0 must be above 0" in err


@pytest.mark.parametrize("command", ["sample", "interpolate"])
def test_what_cannot_be_truncated_says_so(call, command):
    code, _, err = call(command, "--truncation", 0.5, of="codes")
    assert code == 2
    assert "--truncation 0.5: this run's latents are not of a kind" in err


def test_rows_give_the_styles_of_their_layers(call):
    keys = samples(call, "--seeds", "1,2,5-7")
    where = "--rows", "1,2", "--columns", "5-7"
    code, said, _ = call("mix", *where, "--layers", "0-1")
    assert code == 0 and "2 x 3 samples mixed in mixing.png" in said
    assert (one_image("mixing.png", 0, 0) == 255).all()
    for i in range(2):
        np.testing.assert_array_equal(one_image("mixing.png", 1 + i, 0), keys[i])
    for i in range(3):
        np.testing.assert_array_equal(one_image("mixing.png", 0, 1 + i), keys[2 + i])
    inside = one_image("mixing.png", 2, 3)
    assert (inside != keys[1]).any() and (inside != keys[4]).any()
    # All layers of the row are the row's sample.
    assert call("mix", *where, "--layers", "0-3")[0] == 0
    np.testing.assert_array_equal(one_image("mixing.png", 2, 3), keys[1])


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (
            ("--layers", "4"),
            "--layers 4 must be in 0 ... 3, of this run's 4 layers",
        ),
        (("--rows", "x"), "--rows x must be whole numbers below 2**32"),
    ],
)
def test_what_cannot_be_mixed_says_so(call, options, reason):
    code, _, err = call("mix", *options)
    assert code == 2 and reason in err


def test_without_styles_there_is_nothing_to_mix(call):
    for command in (("mix",), ("interpolate", "--space", "w")):
        code, _, err = call(*command, of="plain")
        assert code == 2 and "this run's generator has no such latent" in err


def test_the_way_in_w_is_another_than_in_z(call):
    keys = samples(call, "--seeds", "1,2")
    sheets = {}
    for space in ("w", "z", "auto"):
        way = "--seeds", "1,2", "--steps", 3, "--no-loop", "--space", space
        assert call("interpolate", *way, "--out", f"{space}.png")[0] == 0
        np.testing.assert_array_equal(one_image(f"{space}.png", 0, 0), keys[0])
        np.testing.assert_array_equal(one_image(f"{space}.png", 0, 2), keys[1])
        sheets[space] = pixels(f"{space}.png")
    np.testing.assert_array_equal(sheets["auto"], sheets["w"])
    assert (sheets["w"] != sheets["z"]).any()


def test_a_sample_is_found_again_in_w(call):
    Image.fromarray(samples(call, "--seeds", "3")[0].astype(np.uint8)).save("it.png")
    found = {}
    for space in ("w", "z"):
        options = "--input", "it.png", "--draws", 16, "--steps", 60, "--starts", 2
        code, said, _ = call("project", *options, "--space", space, "--npz", "p.npz")
        assert code == 0
        with np.load("p.npz") as written:
            found[space] = written[space].shape
        assert float(said.split()[1].rstrip(",")) < 0.05
    assert found == {"w": (1, 4, 8), "z": (1, 4)}
