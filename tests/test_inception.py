"""FID's Inception network against torch-fidelity's, and the reader of its weights."""
# ruff: noqa: E402

import json
import pickle
import sys
import warnings
import zipfile
from unittest.mock import MagicMock

import jax
import numpy as np
import optax
import pytest
import torch

# torch-fidelity imports torchvision, for data sets and networks that are not used here,
# and its wheels do not fit every build of torch.
for _module in ("", ".datasets", ".transforms", ".transforms.functional"):
    sys.modules.setdefault("torchvision" + _module, MagicMock())

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from torch_fidelity import feature_extractor_inceptionv3 as their_inception
    from torch_fidelity.interpolate_compat_tensorflow import (
        interpolate_bilinear_2d_like_tensorflow1x,
    )

from jaxgan import data, metrics, models, recipes
from jaxgan.metrics import checks, extractors, feature_maps, inception, weights
from jaxgan.run import cli
from jaxgan.run.config import Config
from jaxgan.types import UsageError


@pytest.fixture(scope="module")
def network():
    """torch-fidelity's, with random weights."""
    kind = their_inception.FeatureExtractorInceptionV3
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "load", lambda *args, **kwargs: None)
        patch.setattr(kind, "load_state_dict", lambda self, state: None)
        names = list(kind.get_provided_features_list())
        net = kind("random", names, feature_extractor_weights_path="none")
    generator = torch.Generator().manual_seed(0)
    for name, value in net.state_dict().items():
        if name.endswith(("conv.weight", "fc.weight")):
            value.normal_(0, (2 / value[0].numel()) ** 0.5, generator=generator)
        elif name.endswith(("running_var", "bn.weight")):
            value.uniform_(0.5, 1.5, generator=generator)
        elif name.endswith(("mean", "bias")):
            value.normal_(0, 0.1, generator=generator)
    return net


def test_inception_is_torch_fidelity_s(network):
    rng = np.random.default_rng(0)
    params = {k: v.numpy() for k, v in network.state_dict().items()}
    run = jax.jit(inception.network)
    shapes = ((299, 299, 3), (32, 32, 3), (45, 67, 3), (28, 28, 1), (320, 301, 3))
    for shape in shapes:
        x = rng.integers(0, 256, (1, *shape), dtype=np.uint8)
        rgb = np.broadcast_to(x, (*x.shape[:3], 3)).transpose(0, 3, 1, 2).copy()
        expected = dict(
            zip(network.features_list, network(torch.tensor(rgb)), strict=True)
        )
        size = inception.SIZE
        got = run(params, inception.resize(x.astype(np.float32), size, size))
        assert got.keys() == expected.keys() and len(got) == 6
        for name, value in got.items():
            theirs = expected[name].numpy()
            assert value.shape == theirs.shape
            scale = np.abs(theirs).max()
            np.testing.assert_allclose(value, theirs, rtol=1e-4, atol=1e-5 * scale)


def test_a_projected_d_sees_its_layers(network):
    """Of images in [-1, 1]; the judge's are uint8."""
    params = {k: v.numpy() for k, v in network.state_dict().items()}
    x = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), dtype=np.uint8)
    of = feature_maps.of_inception("none")
    maps = jax.jit(of.maps)(params, x.astype(np.float32) / 127.5 - 1)
    layers = jax.jit(inception.layers)(params, x)
    assert [m.shape[1:] for m in maps] == [
        (73, 73, 64),
        (35, 35, 192),
        (17, 17, 768),
        (8, 8, 2048),
    ]
    for m in maps:
        expected = layers[str(m.shape[3])]
        np.testing.assert_allclose(m.mean((1, 2)), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("size", ((7, 5), (299, 299), (30, 600), (1, 1)))
def test_resize_is_tensorflow_1_s(size):
    x = np.random.default_rng(0).uniform(0, 255, (2, *size, 3)).astype(np.float32)
    theirs = interpolate_bilinear_2d_like_tensorflow1x(
        torch.tensor(x.transpose(0, 3, 1, 2)), size=(299, 299), align_corners=False
    )
    got = inception.resize(x, 299, 299)
    np.testing.assert_allclose(
        got, theirs.numpy().transpose(0, 2, 3, 1), rtol=1e-4, atol=1e-3
    )


# --- files of weights


@pytest.mark.parametrize("form", ("zip", "stream"))
def test_state_dicts_are_read_without_torch(tmp_path, form):
    tensors = {
        "a.weight": torch.randn(3, 4),
        "transposed": torch.randn(5, 2).T,
        "slice": torch.randn(10)[3:7],
        "n": torch.tensor(12),
        "half": torch.randn(2, 2).half(),
        "empty": torch.zeros(0, 3),
    }
    path = tmp_path / "w.pth"
    torch.save(tensors, path, _use_new_zipfile_serialization=form == "zip")
    got = weights.state_dict(path)
    assert got.keys() == tensors.keys()
    for name, value in got.items():
        np.testing.assert_array_equal(value, tensors[name].numpy())
        assert value.dtype == tensors[name].numpy().dtype


class Attack:
    """Unpickling it would make a folder."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        import os

        return os.mkdir, (self.folder,)


@pytest.mark.parametrize("form", ("zip", "stream", "pickle"))
def test_a_pickle_that_runs_code_is_refused_and_not_run(tmp_path, form):
    path, trace = tmp_path / "w.pth", tmp_path / "trace"
    if form == "pickle":
        path.write_bytes(pickle.dumps(Attack(trace)))
    else:
        torch.save(
            {"w": Attack(trace)}, path, _use_new_zipfile_serialization=form == "zip"
        )
    with pytest.raises(UsageError, match=r"w.pth is refused: it asks for posix.mkdir"):
        weights.state_dict(path)
    assert not trace.exists()
    torch.load(path, weights_only=False) if form != "pickle" else pickle.loads(
        path.read_bytes()
    )
    assert trace.exists()  # so it was a real attack


@pytest.mark.parametrize("form", ("zip", "stream"))
def test_damaged_files_are_refused_in_one_sentence(tmp_path, form):
    path = tmp_path / "w.pth"
    torch.save(
        {"w": torch.randn(30)}, path, _use_new_zipfile_serialization=form == "zip"
    )
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UsageError, match="is no file of PyTorch weights"):
        weights.state_dict(path)
    path.write_bytes(b"")
    with pytest.raises(UsageError, match="is no file of PyTorch weights"):
        weights.state_dict(path)
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        weights.state_dict(tmp_path / "none.pth")


def test_one_flipped_byte_in_a_zip_is_noticed(tmp_path):
    path = tmp_path / "w.pth"
    torch.save({"w": torch.arange(1000.0)}, path)
    with zipfile.ZipFile(path) as archive:
        name = next(n for n in archive.namelist() if n.endswith("data/0"))
        start = archive.getinfo(name).header_offset
    raw = bytearray(path.read_bytes())
    raw[start + 2000] ^= 1
    path.write_bytes(raw)
    with pytest.raises(UsageError, match=r"is damaged|is no file of PyTorch weights"):
        weights.state_dict(path)


def test_something_else_than_tensors_is_refused(tmp_path):
    path = tmp_path / "w.pth"
    torch.save({"w": torch.zeros(2), "epoch": 3}, path)
    with pytest.raises(UsageError, match="holds something else than named tensors"):
        weights.state_dict(path)


# --- the file that --inception-weights takes


def test_other_weights_than_fid_s_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "w.pth"
    torch.save({"fc.weight": torch.zeros(3)}, path)
    with pytest.raises(UsageError, match=r"w.pth has SHA-256 .* not 6726825d"):
        extractors.of_inception(str(path))
    monkeypatch.setattr(inception, "SHA256", weights.sha256(path))
    with pytest.raises(UsageError, match=r"w.pth is not the Inception network"):
        extractors.of_inception(str(path))
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    with pytest.raises(UsageError, match=r"w.pth has SHA-256"):
        extractors.of_inception(str(path))


def test_scores_are_of_a_file_of_weights(network, tmp_path, monkeypatch):
    """Random weights, under Inception's name, and few images."""
    path = tmp_path / "w.pth"
    torch.save(network.state_dict(), path)
    monkeypatch.setattr(inception, "SHA256", weights.sha256(path))
    monkeypatch.setattr(extractors, "BLOCK", 8)
    monkeypatch.setattr(checks, "LEAST", 8)
    extractor = extractors.choose(str(path), "digits", (28, 28, 1))
    assert (extractor.distance, extractor.kernel) == ("fid", "kid")
    images = np.random.default_rng(0).integers(0, 256, (8, 28, 28, 1), np.uint8)
    samples = data.make("samples", images.__getitem__, 8, (28, 28, 1))
    known = metrics.available(samples, extractor)
    assert known == ("fd", "kid", "score", "prdc", "diversity")  # not its 1,008 classes
    report = metrics.evaluate(samples, samples, {}, extractor, ("score",), 8)
    assert report["extractor"]["resize"].startswith("bilinear to 299x299")
    rgb = torch.tensor(images.repeat(3, -1).transpose(0, 3, 1, 2))
    theirs = dict(zip(network.features_list, network(rgb), strict=True))
    chosen = metrics.select(("fd", "score"), samples, extractor)
    seen = metrics.see(samples, np.arange(8), extractor, chosen)
    for got, name in ((seen.features, "2048"), (seen.logits, "logits_unbiased")):
        scale = np.abs(theirs[name].numpy()).max()
        np.testing.assert_allclose(got, theirs[name], rtol=1e-3, atol=1e-4 * scale)
    assert report["metrics"].keys() == {"inception_score"}


# --- by the command line


def build(cfg, shape, num_classes):
    G, D = models.mlp.Generator(shape, (4,)), models.mlp.Discriminator((4,))
    G, D = models.flax_net("G", G), models.flax_net("D", D)
    tx = optax.adam(1e-3)
    return recipes.gan(G, D, latent_dim=3, g_tx=tx, d_tx=tx)


@pytest.mark.slow
def test_the_command_gives_fid_by_a_file_of_weights(network, tmp_path, monkeypatch):
    """Random weights, under FID's names, and few images."""
    path = tmp_path / "w.pth"
    torch.save(network.state_dict(), path)
    monkeypatch.setattr(inception, "SHA256", weights.sha256(path))
    monkeypatch.setattr(extractors, "BLOCK", 8)
    monkeypatch.setattr(checks, "LEAST", 8)
    monkeypatch.setattr(sys, "argv", ["experiments/tiny.py"])
    monkeypatch.setattr(cli, "_cache_compilations", lambda: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    workdir = ["--workdir", str(tmp_path / "run")]
    cli.main(Config(), build, ["--steps", "1", "--batch-size", "8", *workdir])
    args = [
        "evaluate",
        "--num",
        "8",
        "--reference-num",
        "8",
        "--inception-weights",
        str(path),
        *workdir,
    ]
    cli.main(Config(), build, [*args, "--metrics", "fd", "score"])
    got = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert got["metrics"].keys() == {"fid", "inception_score"}
    assert all(np.isfinite(row["value"]) for row in got["metrics"].values())
    assert got["extractor"]["name"] == "inception-2015-12-05"
    assert got["extractor"]["resize"].startswith("bilinear to 299x299")
    assert any("2048-dimensional" in note for note in got["notes"])
