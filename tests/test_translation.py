"""Translations of data sets and of files, by translators that need no training."""

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
    with pytest.raises(UsageError, match=r"class 10, .* `map_classes` 11"):
        check(model_of(drawn_by(tasks.of_maps(10))), mapped)
    back = drawn_by(tasks.paired(reverse=True))
    with pytest.raises(UsageError, match=r"some has no input"):
        check(model_of(drawn_by(tasks.edges()), back), dataset())


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
    return sheets.sheet(model_of(*draws), of, 0, 0)(state())


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
