"""Translations of data sets and of files, by translators that need no training."""

import errno
import os
import zipfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random
from PIL import Image

from jaxgan import data, parallel, tasks, visual
from jaxgan.run import draws, files, sheets
from jaxgan.run.sides import check, sides
from jaxgan.types import Draw, Model, TrainState, UsageError

rng = np.random.default_rng(0)
IMAGES = rng.integers(0, 256, (30, 6, 8, 3), np.uint8)
OTHERS = rng.integers(0, 256, (20, 6, 8, 3), np.uint8)
LABELS = np.arange(30) % 3


def state():
    empty = {name: {} for name in ("params", "stats", "opt", "ema", "memory")}
    return TrainState(jnp.int32(7), **empty)


def dark(state, given, key):
    """Turns light to dark."""
    return -given[0]


def drawn_by(task, run=dark, **encode):
    return Draw(task, run, encode)


def model_of(*draws):
    names = ("translate", "back")[: len(draws)]
    return Model(None, None, {}, dict(zip(names, draws, strict=True)))


def dataset(images=IMAGES, labels=LABELS, others=None):
    of = images.__getitem__, len(images), images.shape[1:]
    made = data.make("some", *of, labels[: len(images)], tuple("abc"))
    if others is None:
        return made

    def fetch(index):
        return {"input": others[index], "input_label": labels[index]}

    group = data.Group(("input", "input_label"), len(others), fetch)
    return made._replace(groups=(*made.groups, group))


def paired():
    def fetch(index):
        return {"image": IMAGES[index], "input": OTHERS[index % 20]}

    group = data.Group(("image", "input"), 30, fetch)
    return data.Dataset("pairs", (6, 8, 3), (group,))


def test_what_a_task_translates_and_to_what():
    one = sides(dataset(), tasks.colourization())
    assert one.paired and one.sources.groups == one.targets.groups
    there, back = (sides(paired(), tasks.paired(r)) for r in (False, True))
    assert there.paired and back.paired
    index = np.array([3, 4])
    np.testing.assert_array_equal(there.targets.fetch(index)["image"], IMAGES[3:5])
    np.testing.assert_array_equal(back.targets.fetch(index)["image"], OTHERS[3:5])
    unpaired = dataset(others=OTHERS)
    there, back = (sides(unpaired, tasks.paired(r)) for r in (False, True))
    assert not there.paired and not back.paired
    assert (there.sources.size, back.sources.size) == (20, 30)
    rows = there.sources.fetch(index)
    assert set(rows) == {"input", "input_label"}
    np.testing.assert_array_equal(rows["input"], OTHERS[3:5])
    np.testing.assert_array_equal(there.targets.fetch(index)["image"], IMAGES[3:5])
    np.testing.assert_array_equal(back.sources.fetch(index)["image"], IMAGES[3:5])
    np.testing.assert_array_equal(back.targets.fetch(index)["image"], OTHERS[3:5])
    np.testing.assert_array_equal(back.targets.fetch(index)["label"], LABELS[3:5])


def test_a_task_that_makes_its_pairs_does_so_of_unpaired_data_s_targets():
    unpaired = dataset(others=OTHERS)
    of = sides(unpaired, tasks.colourization())
    assert of.paired and of.sources.size == of.targets.size == 30
    rows = of.sources.fetch(np.array([3]))
    np.testing.assert_array_equal(rows["image"][0], IMAGES[3])


def test_data_that_lack_what_a_task_needs_are_refused():
    with pytest.raises(UsageError, match=r"some has no input .* pairs:DIR"):
        check(model_of(drawn_by(tasks.paired())), dataset())
    with pytest.raises(UsageError, match=r"some has no map .* maps:DIR"):
        check(model_of(drawn_by(tasks.of_maps(3))), dataset())
    mapped = data.load("mapped_mnist", split="test")
    check(model_of(drawn_by(tasks.of_maps(11))), mapped)
    with pytest.raises(UsageError, match=r"0 \.\.\. 10, .* `map_classes` 11"):
        check(model_of(drawn_by(tasks.of_maps(10))), mapped)
    maps = np.full((1, 6, 8), 255, np.uint8)
    maps[0, 0, :4] = [0, 1, 2, 7]
    some = data.from_arrays(IMAGES[:1], map=maps, name="some")
    why = r"the classes 0 \.\.\. 2, 7, 255, but .* `map_classes` 256, or `void` 255 if"
    with pytest.raises(UsageError, match=why):
        check(model_of(drawn_by(tasks.of_maps(8))), some)
    void = data.from_arrays(IMAGES[:1], map=maps, name="some", void=255)
    check(model_of(drawn_by(tasks.of_maps(8))), void)
    (shown,) = tasks.of_maps(8).given(void.batch(0, 0, 1), random.key(0))
    np.testing.assert_array_equal(shown[0].sum(-1), maps[0] != 255)
    back = drawn_by(tasks.paired(reverse=True))
    with pytest.raises(UsageError, match=r"some has no input"):
        check(model_of(drawn_by(tasks.edges()), back), dataset())


def test_what_is_learned_from_pairs_refuses_domains_without():
    unpaired = dataset(others=OTHERS)
    for reverse in (False, True):
        one = drawn_by(tasks.paired(reverse))
        with pytest.raises(UsageError, match="not in pairs, and this run learns from"):
            check(model_of(one), unpaired)
        check(model_of(one), paired())
        for both in (unpaired, paired()):
            check(model_of(drawn_by(tasks.unpaired(reverse))), both)


def test_a_side_that_no_draw_uses_is_refused():
    gray = drawn_by(tasks.colourization())
    for of in (gray, Draw(tasks.noise(2), dark)):
        with pytest.raises(UsageError, match=r"pairs has images of another side"):
            check(model_of(of), paired())
        with pytest.raises(UsageError, match="mapped_mnist has label maps, which"):
            check(model_of(of), data.load("mapped_mnist", split="test"))
    check(model_of(gray), dataset())  # its labels may be left out
    check(model_of(gray, drawn_by(tasks.paired())), paired())


def test_translations_are_drawn_as_they_are_fetched(monkeypatch):
    monkeypatch.setattr(draws, "PIXELS", 4 * 6 * 8)
    of, index, sizes = drawn_by(tasks.paired()), np.array([5, 1, 2, 9, 8, 7]), []

    def counted(state, given, key):
        sizes.append(given[0].shape)
        return dark(state, given, key)

    rows = draws.translations(of._replace(run=counted), state(), paired()).fetch(index)
    assert sizes == [(4, 6, 8, 3)]  # traced once, for blocks of one size
    np.testing.assert_array_equal(rows["image"], 255 - OTHERS[index])
    np.testing.assert_array_equal(rows["target"], IMAGES[index])
    plain = draws.plain(of, parallel.mesh(jax.devices()[:1]), paired()).fetch(index)
    np.testing.assert_array_equal(plain["image"], OTHERS[index])
    unpaired = draws.translations(of, state(), dataset(others=OTHERS)).fetch(index)
    assert set(unpaired) == {"image", "label"}
    np.testing.assert_array_equal(unpaired["label"], LABELS[index])


def test_the_same_holes_are_shown_filled_and_plain():
    task = tasks.inpainting(tasks.square())
    of = drawn_by(task, lambda s, given, key: task.finish(given, given[0][..., :-1]))
    index = np.arange(9)
    filled = draws.translations(of, state(), dataset()).fetch(index)["image"]
    plain = draws.plain(of, parallel.mesh(jax.devices()[:1]), dataset())
    hole = (plain.fetch(index)["image"] != IMAGES[index]).any(-1)
    np.testing.assert_array_equal(filled[~hole], IMAGES[index][~hole])
    assert 0 < hole.mean() < 0.5


def drawn_sheet(*draws, of):
    return sheets.sheet(model_of(*draws), of, 0, 0)(state()).picture


def test_a_sheet_has_input_output_and_target_side_by_side():
    sheet = drawn_sheet(drawn_by(tasks.paired()), of=paired())
    strip = 3 * 8 + 2 * 2
    assert sheet.shape == (8 * 6 + 7 * 8, 3 * strip + 2 * 8, 3)
    fourth = sheet[6 + 8 : 2 * 6 + 8]  # begins the second row
    np.testing.assert_array_equal(fourth[:, :8], OTHERS[3])
    np.testing.assert_array_equal(fourth[:, 10:18], 255 - OTHERS[3])
    np.testing.assert_array_equal(fourth[:, 20:28], IMAGES[3])
    last = sheet[-6:, -strip:]
    np.testing.assert_array_equal(last[:, 20:28], IMAGES[28])  # 23 * 30 // 24


def test_a_sheet_shows_both_ways_of_unpaired_data():
    ways = drawn_by(tasks.paired()), drawn_by(tasks.paired(reverse=True))
    sheet = drawn_sheet(*ways, of=dataset(IMAGES[:6], others=OTHERS[:3]))
    strip = 2 * 8 + 2
    assert sheet.shape == (3 * 6 + 2 * 8, 3 * strip + 2 * 8, 3)
    np.testing.assert_array_equal(sheet[:6, :8], OTHERS[0])
    np.testing.assert_array_equal(sheet[14:20, :8], IMAGES[0])
    np.testing.assert_array_equal(sheet[14:20, 10:18], 255 - IMAGES[0])


def test_gray_input_is_shown_beside_colours():
    colour = lambda s, given, key: given[0].repeat(3, -1)  # noqa: E731
    sheet = drawn_sheet(drawn_by(tasks.colourization(), colour), of=dataset())
    gray = np.rint(IMAGES[0] @ np.array(tasks.LUMA))
    np.testing.assert_allclose(sheet[:6, :8, 0], gray, atol=1)
    np.testing.assert_array_equal(sheet[:6, :8, 0], sheet[:6, :8, 2])


def test_maps_in_colour_are_shown_beside_gray_images():
    gray = IMAGES[..., :1]
    fetch = lambda i: {"image": gray[i], "map": gray[i, ..., 0] % 3}  # noqa: E731
    group = data.Group(("image", "map"), 30, fetch)
    mapped = data.Dataset("maps", (6, 8, 1), (group,))
    of = drawn_by(tasks.of_maps(3), lambda s, given, key: given[-1][..., :1])
    sheet = drawn_sheet(of, of=mapped)
    assert sheet.shape[2] == 3
    np.testing.assert_array_equal(sheet[:6, 20:28], gray[0].repeat(3, -1))
    plain = draws.plain(of, parallel.mesh(jax.devices()[:1]), mapped)
    assert plain.fetch(np.arange(8))["image"].shape == (8, 6, 8, 1)


# --- files


def save(path, array, mode=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array, mode).save(path)
    return path


def translate(model, source, out, shape=(6, 8, 3), **options):
    return files.translate(model, state(), shape, source, out, **options)


def test_files_of_any_size_and_kind_are_translated(tmp_path):
    folder, out = tmp_path / "in", tmp_path / "out"
    big = rng.integers(0, 256, (9, 5, 3), np.uint8)
    save(folder / "a.png", IMAGES[0])
    save(folder / "b.png", big)
    save(folder / "c.png", IMAGES[1][..., 0])
    alpha = rng.integers(0, 256, (6, 8, 1), np.uint8)
    save(folder / "d.png", np.concatenate([IMAGES[2], alpha], -1))
    save(folder / "e.bmp", IMAGES[3])
    (folder / "notes.txt").write_text("no image")
    (folder / ".hidden.png").write_text("no image")
    written = translate(drawn_by(tasks.paired()), folder, out, batch_size=2)
    assert sorted(p.name for p in written) == [f"{n}.png" for n in "abcde"]
    assert sorted(p.name for p in out.iterdir()) == [f"{n}.png" for n in "abcde"]
    found = {p.stem: np.array(Image.open(p)) for p in written}
    np.testing.assert_array_equal(found["a"], 255 - IMAGES[0])
    np.testing.assert_array_equal(found["b"], 255 - big)
    np.testing.assert_array_equal(found["c"], 255 - IMAGES[1][..., :1].repeat(3, -1))
    np.testing.assert_array_equal(found["d"][..., 3:], alpha)
    share = alpha / 255
    on_white = IMAGES[2] * share + 255 * (1 - share)
    np.testing.assert_allclose(found["d"][..., :3], 255 - on_white, atol=1.01)
    np.testing.assert_array_equal(found["e"], 255 - IMAGES[3])


def test_a_file_s_translation_has_the_name_that_is_asked_for(tmp_path):
    source = save(tmp_path / "a.png", IMAGES[0])
    model = drawn_by(tasks.paired())
    assert translate(model, source, tmp_path / "x" / "b.png")[0].name == "b.png"
    assert translate(model, source, tmp_path / "y") == [tmp_path / "y" / "a.png"]


def test_colours_enter_a_gray_network_as_gray(tmp_path):
    source = save(tmp_path / "a.png", IMAGES[0])
    (name,) = translate(drawn_by(tasks.paired()), source, tmp_path / "o", (6, 8, 1))
    gray = np.array(Image.fromarray(IMAGES[0]).convert("L"))
    np.testing.assert_array_equal(np.array(Image.open(name)), 255 - gray)


def test_what_a_derived_task_is_given_is_in_the_file_itself(tmp_path):
    """Not a smaller copy of it, nor its edges."""
    twice = lambda s, given, key: given[0].repeat(2, 1).repeat(2, 2)  # noqa: E731
    larger = drawn_by(tasks.super_resolution(2), twice)
    alpha = np.full((6, 8, 1), 99, np.uint8)
    source = save(tmp_path / "a.png", np.concatenate([IMAGES[0], alpha], -1))
    (name,) = translate(larger, source, tmp_path / "o", (32, 32, 3))
    found = np.array(Image.open(name))
    assert found.shape == (12, 16, 4) and (found[..., 3] == 99).all()
    edges = save(tmp_path / "e.png", IMAGES[0][..., 0])
    (name,) = translate(drawn_by(tasks.edges()), edges, tmp_path / "o")
    found = np.array(Image.open(name))
    np.testing.assert_allclose(found, 255 - IMAGES[0][..., 0].astype(int), atol=1)


def white(task):
    def fill(state, given, key):
        return task.finish(given, jnp.ones_like(given[0][..., :-1]))

    return drawn_by(task, fill)


def test_holes_are_where_a_file_is_transparent_or_where_it_is_said(tmp_path):
    model = white(tasks.inpainting(tasks.square()))
    alpha = np.full((6, 8, 1), 255, np.uint8)
    alpha[2:4, 3:5] = 0
    source = save(tmp_path / "a.png", np.concatenate([IMAGES[0], alpha], -1))
    (name,) = translate(model, source, tmp_path / "o")
    expected = np.where(alpha == 0, 255, IMAGES[0])
    np.testing.assert_array_equal(np.array(Image.open(name)), expected)
    hole = save(tmp_path / "hole.png", 255 - alpha[..., 0])
    soft = save(tmp_path / "soft.png", np.concatenate([IMAGES[0], alpha // 2], -1))
    (name,) = translate(model, soft, tmp_path / "o", hole=hole)
    np.testing.assert_array_equal(np.array(Image.open(name))[..., 3:], alpha // 2)
    whole = save(tmp_path / "b.png", IMAGES[0])
    (name,) = translate(model, whole, tmp_path / "o", hole=hole)
    np.testing.assert_array_equal(np.array(Image.open(name)), expected)
    with pytest.raises(UsageError, match=r"b\.png .*nothing in it is transparent"):
        translate(model, whole, tmp_path / "o")
    large = save(tmp_path / "c.png", IMAGES[0].repeat(2, 0))
    with pytest.raises(UsageError, match=r"c\.png \(it is 12x8, but `hole` 6x8"):
        translate(model, large, tmp_path / "o", hole=hole)
    with pytest.raises(UsageError, match="fills no holes"):
        translate(drawn_by(tasks.edges()), whole, tmp_path / "o", hole=hole)


def test_maps_are_read_as_numbers(tmp_path):
    numbers = rng.integers(0, 3, (6, 8), np.uint8)
    task = tasks.of_maps(3)
    model = drawn_by(task, lambda s, given, key: task.show(given))
    source = save(tmp_path / "a.png", numbers)
    (name,) = translate(model, source, tmp_path / "o")
    shown = task.show((jnp.asarray(np.eye(3, dtype="float32")[numbers])[None],))[0]
    np.testing.assert_array_equal(np.array(Image.open(name)), visual.to_uint8(shown))
    save(source, numbers + 1)
    with pytest.raises(UsageError, match=r"class 3, beyond 0 ... 2"):
        translate(model, source, tmp_path / "o")


def test_broken_files_are_named_and_the_others_translated(tmp_path):
    folder, out = tmp_path / "in", tmp_path / "out"
    save(folder / "a.png", IMAGES[0])
    (folder / "b.png").write_bytes(b"nothing")
    whole = save(folder / "c.png", rng.integers(0, 256, (40, 40, 3), np.uint8))
    whole.write_bytes(whole.read_bytes()[:2000])
    with pytest.raises(UsageError, match=r"2 of 3 files .*: .*b\.png \(not an image"):
        translate(drawn_by(tasks.paired()), folder, out)
    assert [p.name for p in out.iterdir()] == ["a.png"]


def test_files_too_small_for_a_network_are_named_and_the_others_translated(tmp_path):
    def picky(state, given, key):
        if given[0].shape[1] < 6:
            raise UsageError(None, None, "images of 6 pixels or more are needed.")
        return given[0]

    model = drawn_by(tasks.paired(), picky)
    save(tmp_path / "in" / "a.png", IMAGES[0])
    save(tmp_path / "in" / "b.png", IMAGES[0][:5])
    (tmp_path / "in" / "c.png").write_bytes(b"nothing")
    why = r"2 of 3 .*b\.png \(images of 6 pixels .*\); .*c\.png \(not an image.*\)\.$"
    with pytest.raises(UsageError, match=why):
        translate(model, tmp_path / "in", tmp_path / "out")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["a.png"]


def test_requests_that_cannot_be_met_are_refused(tmp_path):
    model = drawn_by(tasks.paired())
    with pytest.raises(UsageError, match="is not there"):
        translate(model, tmp_path / "none.png", tmp_path / "o")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="has no images"):
        translate(model, tmp_path / "empty", tmp_path / "o")
    source = save(tmp_path / "in" / "a.png", IMAGES[0])
    with pytest.raises(UsageError, match="would overwrite `input`"):
        translate(model, source.parent, source.parent)
    with pytest.raises(UsageError, match="batch_size 0 must be 1 or more"):
        translate(model, source, tmp_path / "o", batch_size=0)
    save(tmp_path / "in" / "a.bmp", IMAGES[0])
    with pytest.raises(UsageError, match="several images named a"):
        translate(model, source.parent, tmp_path / "o")
    with pytest.raises(UsageError, match="would overwrite `input`"):
        translate(model, source, source)
    with pytest.raises(UsageError, match=r"b\.jpg: PNG files are written"):
        translate(model, source, tmp_path / "b.jpg")
    holes = white(tasks.inpainting(tasks.square()))
    with pytest.raises(UsageError, match=r"hole .*none\.png cannot be read"):
        translate(holes, source, tmp_path / "o", hole=tmp_path / "none.png")
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        translate(model, source, tmp_path / "file" / "b.png")


def test_a_style_is_an_image_of_any_size_and_all_files_take_it(tmp_path):
    def encode(state, given, images):
        assert images.shape == (1, 6, 8, 3)
        return (given[0] * 0 - images.mean((1, 2), keepdims=True),)

    model = drawn_by(tasks.paired(), style=encode)
    for name in "ab":
        save(tmp_path / "in" / f"{name}.png", IMAGES[0])
    sides = np.zeros((6, 20, 3), np.uint8)
    sides[:, 6:14] = 10, 130, 250
    look = save(tmp_path / "look.png", sides)  # its middle is 6x8
    for path in translate(model, tmp_path / "in", tmp_path / "o", style=look):
        np.testing.assert_array_equal(np.array(Image.open(path))[2, 3], (10, 130, 250))
    before = look.read_bytes()
    with pytest.raises(UsageError, match=r"would overwrite `style` .*look\.png"):
        translate(model, tmp_path / "in" / "a.png", look, style=look)
    assert look.read_bytes() == before
    for why, which, given in (
        ("no encoder of styles", drawn_by(tasks.paired()), look),
        (r"style .*none\.png cannot be read", model, tmp_path / "none.png"),
        (r"style .* cannot be read", model, Path()),
    ):
        with pytest.raises(UsageError, match=why):
            translate(which, tmp_path / "in", tmp_path / "p", style=given)


def test_noise_is_the_seed_s(tmp_path):
    def noisy(state, given, key):
        return random.uniform(key, given[0].shape, minval=-1)

    model = drawn_by(tasks.paired(), noisy)
    source = save(tmp_path / "a.png", IMAGES[0])
    found = [
        np.array(Image.open(translate(model, source, tmp_path / "o", seed=s)[0]))
        for s in (0, 0, 1)
    ]
    np.testing.assert_array_equal(found[0], found[1])
    assert (found[0] != found[2]).any()
    for name in "abcd":
        save(tmp_path / "in" / f"{name}.png", IMAGES[0])
    for size in (1, 3, 8):  # alone or among others
        written = translate(model, tmp_path / "in", tmp_path / "p", batch_size=size)
        images = [np.array(Image.open(path)) for path in written]
        np.testing.assert_array_equal(images[0], found[0])
        assert len({x.tobytes() for x in images}) == 4
    (tmp_path / "in" / "0.png").write_bytes(b"broken")
    with pytest.raises(UsageError, match="1 of 5 files"):
        translate(model, tmp_path / "in", tmp_path / "q")
    again = np.array(Image.open(tmp_path / "q" / "a.png"))
    np.testing.assert_array_equal(again, found[0])


# --- what files mean, and what becomes of them


def colours_of(path):
    return np.array(Image.open(path))


def test_profiles_count_in_translation_as_in_training(tmp_path):
    from test_data_pictures import adobe, through

    image = Image.fromarray(IMAGES[0])
    (tmp_path / "in").mkdir()
    image.save(tmp_path / "in/a.png", icc_profile=adobe())
    image.save(tmp_path / "in/b.png", icc_profile=b"broken")
    said = []
    args = drawn_by(tasks.paired()), tmp_path / "in", tmp_path / "o"
    names = translate(*args, say=said.append)
    found = [colours_of(name) for name in sorted(names)]
    np.testing.assert_array_equal(found[0], 255 - through(image, adobe()))
    np.testing.assert_array_equal(found[1], 255 - IMAGES[0])
    assert said == [
        "Of 1 files this is passed over: its colour profile is broken (b.png)."
    ]


def test_sixteen_bits_come_out_as_they_went_in(tmp_path):
    deep = rng.integers(0, 65536, (6, 8), np.uint16)
    save(tmp_path / "in/a.png", deep)
    save(tmp_path / "in/b.tif", deep)
    save(tmp_path / "in/c.png", IMAGES[0][..., 0])
    alpha = np.full((6, 8, 1), 99, np.uint8)
    save(tmp_path / "in/d.png", np.concatenate([IMAGES[0][..., :1], alpha], -1))
    args = drawn_by(tasks.paired()), tmp_path / "in", tmp_path / "o", (6, 8, 1)
    found = {p.stem: colours_of(p) for p in translate(*args, deep=True)}
    for name in "ab":
        assert found[name].dtype == np.uint16
        np.testing.assert_array_equal(found[name], 65535 - deep)
    np.testing.assert_array_equal(
        found["c"], 257 * (255 - IMAGES[0][..., 0].astype(int))
    )
    assert found["d"].dtype == np.uint8 and (found["d"][..., 1] == 99).all()
    colour = drawn_by(tasks.paired()), tmp_path / "in", tmp_path / "p", (6, 8, 3)
    assert colours_of(translate(*colour, deep=True)[0]).dtype == np.uint8


MASK = np.zeros((6, 8), bool)
MASK[2:4, 3:5] = True


def mask_of(kind):
    white = np.where(MASK, 255, 0).astype(np.uint8)
    if kind == "bits":
        return MASK
    if kind == "16 bits":
        return white.astype(np.uint16) * 257
    if kind == "strokes":  # white on nothing: what is transparent is not white
        return np.stack([np.full_like(white, 255)] * 3 + [white], -1)
    if kind == "opaque":
        return np.stack([white] * 3 + [np.full_like(white, 255)], -1)
    return np.stack([white, np.full_like(white, 255)], -1)


@pytest.mark.parametrize("kind", ["bits", "16 bits", "strokes", "opaque", "gray alpha"])
def test_a_hole_is_where_a_mask_of_any_mode_is_white(tmp_path, kind):
    source = save(tmp_path / "a.png", IMAGES[0])
    hole = save(tmp_path / "mask.png", mask_of(kind))
    model = white(tasks.inpainting(tasks.square()))
    (name,) = translate(model, source, tmp_path / "o", hole=hole)
    expected = np.where(MASK[..., None], 255, IMAGES[0])
    np.testing.assert_array_equal(colours_of(name), expected)


@pytest.mark.parametrize(
    "mask", [np.zeros((6, 8), np.uint8), MASK.astype(np.uint8), 255 * MASK.astype("u2")]
)
def test_a_mask_without_white_is_refused(tmp_path, mask):
    source = save(tmp_path / "a.png", IMAGES[0])
    hole = save(tmp_path / "mask.png", mask)
    model = white(tasks.inpainting(tasks.square()))
    with pytest.raises(UsageError, match=r"mask\.png has no white in it, at most [01]"):
        translate(model, source, tmp_path / "o", hole=hole)


def test_void_pixels_of_a_map_are_of_no_class(tmp_path):
    numbers = rng.integers(0, 3, (6, 8), np.uint8)
    numbers[0] = 200
    source = save(tmp_path / "a.png", numbers)
    seen = lambda s, given, key: given[-1].sum(-1, keepdims=True)  # noqa: E731
    model = drawn_by(tasks.of_maps(3), seen)
    (name,) = translate(model, source, tmp_path / "o", (6, 8, 1), void=200)
    expected = np.where(numbers == 200, 128, 255)  # 0 and 1 of -1 ... 1
    np.testing.assert_array_equal(colours_of(name), expected)
    with pytest.raises(UsageError, match="class 200, beyond"):
        translate(model, source, tmp_path / "o", (6, 8, 1), void=201)
    save(source, 20 * numbers.astype(np.uint16))
    with pytest.raises(UsageError, match=r"number 4000: classes go from 0"):
        translate(model, source, tmp_path / "o", (6, 8, 1))


def test_folders_within_a_folder_are_walked_and_kept(tmp_path):
    folder = tmp_path / "in"
    for i, name in enumerate(("a.png", "x/a.png", "x/y/b.jfif")):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(IMAGES[i]).save(path, quality=100)
    (folder / "x/notes.txt").write_text("no image")
    said = []
    args = drawn_by(tasks.paired()), folder, folder / "out"
    for _ in range(2):  # its own results are not taken for input
        written = translate(*args, say=said.append)
        names = sorted(p.relative_to(folder / "out").as_posix() for p in written)
        assert names == ["a.png", "x/a.png", "x/y/b.png"]
    np.testing.assert_array_equal(colours_of(folder / "out/x/a.png"), 255 - IMAGES[1])
    assert "1 files that are no images by their suffix (x/notes.txt)" in said[0]
    assert "3 images in the folder to write to" in said[1]
    archive = tmp_path / "in.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.write(folder / "x/a.png", "x/a.png")
    (name,) = translate(drawn_by(tasks.paired()), archive, tmp_path / "o")
    assert name == tmp_path / "o/x/a.png"
    np.testing.assert_array_equal(colours_of(name), 255 - IMAGES[1])


def test_a_name_outside_utf_8_is_translated(tmp_path):
    name = os.fsdecode(b"caf\xe9")
    save(tmp_path / "in" / f"{name}.png", IMAGES[0])
    (tmp_path / "in" / f"{name}2.png").write_bytes(b"broken")
    with pytest.raises(UsageError) as caught:
        translate(drawn_by(tasks.paired()), tmp_path / "in", tmp_path / "o")
    assert r"caf\xe92.png (not an image" in str(caught.value)
    np.testing.assert_array_equal(
        colours_of(tmp_path / "o" / f"{name}.png"), 255 - IMAGES[0]
    )


def test_a_file_that_cannot_be_written_stops_no_other(tmp_path, monkeypatch):
    for name in "abc":
        save(tmp_path / f"in/{name}.png", IMAGES[0])
    (tmp_path / "o/a.png").mkdir(parents=True)
    whole = os.fsync

    def full(number):
        if "b.png" in os.readlink(f"/proc/self/fd/{number}"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return whole(number)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UsageError) as caught:
        translate(drawn_by(tasks.paired()), tmp_path / "in", tmp_path / "o")
    message = str(caught.value)
    assert "2 of 3 files could not be translated, the others are in" in message
    assert "b.png cannot be written: No space left on device" in message
    assert "a.png cannot be written: Is a directory" in message
    names = sorted(path.name for path in (tmp_path / "o").iterdir())
    assert names == ["a.png", "c.png"]  # not half of it
    np.testing.assert_array_equal(colours_of(tmp_path / "o/c.png"), 255 - IMAGES[0])


def test_noise_is_each_file_s_or_the_same(tmp_path):
    for name in "abc":
        save(tmp_path / f"in/{name}.png", IMAGES[0])
    noise = lambda s, given, key: random.uniform(key, given[0].shape)  # noqa: E731
    args = drawn_by(tasks.paired(), noise), tmp_path / "in"
    for same, count in ((False, 3), (True, 1)):
        written = translate(*args, tmp_path / str(same), same_noise=same, batch_size=2)
        assert len({colours_of(name).tobytes() for name in written}) == count
