"""Large pictures in tiles: as the whole, or without seams."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import skimage.data
from jax import random
from PIL import Image

from jaxgan import models, tasks, visual, window
from jaxgan.models import flax_net, spectral
from jaxgan.recipes.base import averaged, translation
from jaxgan.run import files, reach, tiles
from jaxgan.types import Draw, TrainState, UsageError

H, W = 90, 117
PHOTO = np.array(Image.fromarray(skimage.data.chelsea()).resize((W, H)))
KEY = random.key(3)


def of_net(module, *given, task, known=False, gain=1.0):
    """A draw by a network with random weights, and its state."""
    net = flax_net("G", module)
    net = spectral.normalized(net) if known else net
    inputs = [jax.ShapeDtypeStruct((1, *shape), "float32") for shape in given]
    params, stats = net.init(KEY, *inputs)
    params = jax.tree.map(lambda x: gain * x, params)
    state = TrainState(jnp.int32(0), {}, {"G": stats}, {}, {"G": params}, {})
    if known:
        return Draw(task, lambda s, g, k: averaged(net, s, *g)), state
    return translation(net, task), state


def unet(channels, task, **options):
    net = models.pix2pix.UNet(3, 4, 3, **{"dropout": 0.0} | options)
    return of_net(net, (32, 32, channels), task=task)


def spade():
    task = tasks.with_noise(tasks.normal(4), tasks.of_maps(4))
    net = models.spade.Generator(3, 4, 4, (16, 16))
    return of_net(net, (4,), (16, 16, 4), task=task, known=True)


def cyclegan():
    net = models.cyclegan.ResNetGenerator(3, 4, 1)
    draw, state = of_net(net, (32, 32, 3), task=tasks.paired())
    return draw, state


def srgan():
    net = models.srgan.SRResNet(3, 8, 2, 2)
    return of_net(net, (16, 16, 3), task=tasks.super_resolution(2), gain=1.5)


TRANSLATORS = {
    "colorize": lambda: unet(1, tasks.colourization()),
    "inpaint": lambda: unet(4, tasks.inpainting(tasks.square()), norm="batch"),
    "no norm": lambda: unet(1, tasks.colourization(), norm="none"),
    "srgan": srgan,
    "cyclegan": cyclegan,
    "spade": spade,
}


def rows_of(draw, photo=PHOTO):
    if draw.task.file == "map":
        return {"map": (photo[..., 0] // 64).astype(np.uint8)}
    rows = {"image": photo, "input": photo}
    if draw.task.file == "hole":
        rows["hole"] = np.zeros((*photo.shape[:2], 1), bool)
        rows["hole"][20:60, 30:90] = True
    return rows


def both(draw, state, tile):
    """The translation of the whole, and that in tiles, and how it was made."""
    rows = rows_of(draw)
    of = tiles.tiler(draw, state, 3, tile)
    plan = of.plan((H, W), 1, 8)
    assert plan.tile == tile
    (image,) = of.run(plan, [rows], KEY[None])
    (at_once,) = visual.to_uint8(reach.whole(draw, state)([rows], KEY[None]))
    assert image.dtype == np.uint8 and image.shape == at_once.shape
    return at_once.astype(int), image.astype(int), plan


def across_seams(image, plan, stride, f=1):
    """The step across seams, of that at the four lines beside them on each side."""
    found = []
    for axis, length in enumerate((H, W)):
        steps = np.abs(np.diff(image, axis=axis)).mean((1 - axis, 2))
        for part in tiles.parts(length, plan, stride)[1:]:
            at = part.low * f - 1
            beside = np.r_[steps[at - 4 : at], steps[at + 1 : at + 5]]
            found.append((steps[at], beside.mean()))
    seams, beside = np.array(found).mean(0)
    return seams / beside


@pytest.mark.parametrize("which", TRANSLATORS)
def test_tiles_make_what_the_whole_would_have_become(which):
    draw, state = TRANSLATORS[which]()
    at_once, image, plan = both(
        draw, state, {"spade": 96, "cyclegan": 72}.get(which, 80)
    )
    assert not plan.fades and at_once.std() > 4
    of = reach.tiled(draw, state, 3)
    assert len(tiles.parts(W, plan, of.stride)) > 1
    layers = {
        "spade": 8,
        "cyclegan": 7,
        "no norm": 0,
        "srgan": 0,
        "colorize": 3,
        "inpaint": 3,
    }
    assert plan.reach.layers == layers[which]
    assert np.abs(image - at_once).max() <= 1
    smooth = across_seams(at_once, plan, of.stride, of.factor)
    assert across_seams(image, plan, of.stride, of.factor) <= 1.2 * max(1, smooth)


def test_a_pass_less_than_layers_is_nearly_the_whole_without_seams(monkeypatch):
    monkeypatch.setattr(tiles, "PASSES", 2)
    draw, state = unet(1, tasks.colourization())
    at_once, image, plan = both(draw, state, 80)
    assert (image != at_once).any() and np.abs(image - at_once).max() < 16
    assert across_seams(image, plan, 8) <= 1.2
    (sentence,) = tiles.said([plan])
    assert sentence.startswith("1 image in tiles of 80x80 that overlap by 32: what")
    assert sentence.endswith("2 passes before, the later ones of 3 layers guessed.")


def test_tiles_whose_pixels_see_the_whole_fade_into_each_other(monkeypatch):
    monkeypatch.setattr(reach, "UNKNOWN", 16)

    def run(state, given, key):
        return given[0] - given[0].mean((1, 2), keepdims=True)

    draw, (_, state) = Draw(tasks.paired(), run), srgan()
    at_once, image, plan = both(draw, state, 64)
    assert plan.fades and np.abs(image - at_once).max() > 2
    assert across_seams(image, plan, reach.UNKNOWN) <= 1.2
    (sentence,) = tiles.said([plan, tiles.Plan(4)])
    assert "1 image in tiles of 64x64 that fade into each other" in sentence


def test_noise_is_of_a_place_whatever_tile_it_is_in():
    def drawn(start, size):
        here = window.Window(jnp.array([64, 64]), jnp.array(start), size)
        with window.tile(here):
            shape = (1, size[0] // 4, size[1] // 4, 3)
            return np.array(window.noise(random.normal, KEY, shape))

    one, other = drawn((0, 16), (32, 32)), drawn((16, 24), (40, 24))
    np.testing.assert_array_equal(one[:, 4:, 2:], other[:, :4])
    assert len(np.unique(one)) == one.size and abs(one.mean()) < 0.3


def test_dropout_leaves_no_seams():
    draw, state = unet(1, tasks.colourization(), dropout=0.5, norm="none")
    at_once, image, plan = both(draw, state, 80)
    assert not plan.fades and (image != at_once).any()
    of = reach.tiled(draw, state, 3)
    assert across_seams(image, plan, of.stride) <= 1.2


@pytest.mark.parametrize("length", (50, 80, 81, 96, 143, 1000))
@pytest.mark.parametrize("stride", (1, 8))
def test_parts_cover_a_side_and_begin_at_multiples(length, stride):
    overlap = 4 * stride
    found = tiles.parts(length, tiles.Plan(1, 80, overlap), stride)
    assert found[0].low == 0 and found[-1].high == found[-1].stop == length
    for one, other in itertools.pairwise(found):
        assert one.high == other.low and one.stop - other.start >= overlap
        assert other.start > one.start
        assert one.stop - one.high >= overlap // 2 <= other.low - other.start
    for part in found:
        assert part.start % stride == 0 and part.stop - part.start <= 80
        assert part.start <= part.low < part.high <= part.stop


def test_what_a_tile_may_be():
    parsed = [tiles.parsed(x) for x in ("auto", "none", None, "64", 64)]
    assert parsed == ["auto", None, None, 64, 64]
    for wrong in ("0", "-3", "large", 0, "6.5"):
        with pytest.raises(UsageError, match="must be auto, none, or a number"):
            tiles.parsed(wrong)
    draw, state = unet(1, tasks.colourization())
    with pytest.raises(UsageError, match="tile 8 must be 16 or more for this"):
        tiles.tiler(draw, state, 3, 8).plan((H, W), 1, 1)


# --- files


def test_a_small_file_a_huge_one_and_a_small_one(tmp_path, monkeypatch):
    """Memory decides; each is as it is alone and whole."""
    draw, state = srgan()
    of = reach.tiled(draw, state, 3)
    monkeypatch.setattr(tiles, "MEMORY", 64 * 64 * of.memory(128, 128) / 128**2)
    monkeypatch.setattr(tiles, "FEW", 1000)
    (tmp_path / "in").mkdir()
    for name, size in (("a", 20), ("b", None), ("c", 30)):
        photo = PHOTO if size is None else PHOTO[:size, :size]
        Image.fromarray(photo).save(tmp_path / "in" / f"{name}.png")
    made = {}
    for tile in ("auto", "none"):
        heard = []
        out, options = tmp_path / tile, {"tile": tile, "say": heard.append}
        written = files.translate(
            draw, state, (16, 16, 3), tmp_path / "in", out, **options
        )
        made[tile] = {p.stem: np.array(Image.open(p)).astype(int) for p in written}
        if tile == "auto":
            (sentence,) = heard
            assert sentence.startswith("1 image in tiles of 6")
            assert sentence.endswith("what the whole would have become.")
        else:
            assert not heard
    assert made["auto"].keys() == {"a", "b", "c"}
    for name, image in made["none"].items():
        assert np.abs(made["auto"][name] - image).max() <= 1


def test_fewer_files_at_once_where_memory_is_short(monkeypatch):
    draw, state = srgan()
    monkeypatch.setattr(tiles, "FEW", 1000)
    each = reach.tiled(draw, state, 3).memory(128, 128) / 128**2
    monkeypatch.setattr(tiles, "MEMORY", 3.5 * 40 * 50 * each)
    of = tiles.tiler(draw, state, 3, "auto")
    assert of.plan((40, 50), 10, 8) == tiles.Plan(3)
    assert of.plan((20, 20), 2, 8) == tiles.Plan(2)


def test_files_that_are_too_large_are_named_and_the_others_translated(
    tmp_path, monkeypatch
):
    """Before they are decoded: by their own size, and by that of the result."""
    draw, state = srgan()
    (tmp_path / "in").mkdir()
    for name, size in (("a", 20), ("b", 60), ("c", 90), ("d", 160)):
        image = Image.fromarray(np.zeros((size, size, 3), np.uint8))
        image.save(tmp_path / "in" / f"{name}.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 7000)
    why = (
        r"3 of 4 .*b\.png \(it would become one of .*\); .*c\.png \(it has more than "
        r"the .* megapixels that are read at most\); .*d\.png \(it has more"
    )
    with pytest.raises(UsageError, match=why):
        files.translate(draw, state, (16, 16, 3), tmp_path / "in", tmp_path / "o")
    assert [p.name for p in (tmp_path / "o").iterdir()] == ["a.png"]
