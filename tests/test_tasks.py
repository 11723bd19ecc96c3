"""What translators are given, against Pillow, SciPy and what can be counted."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
import skimage.data
from jax import random
from PIL import Image

from jaxgan import tasks

KEY = random.key(0)
IMAGES = random.uniform(KEY, (4, 12, 16, 3), minval=-1)


def pillow(images, size):
    """Bicubic, in float."""
    planes = [
        [
            np.array(
                Image.fromarray(c, "F").resize(size[::-1], Image.Resampling.BICUBIC)
            )
            for c in np.moveaxis(np.array(image), -1, 0)
        ]
        for image in images
    ]
    return np.moveaxis(np.array(planes), 1, -1)


@pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated")
def test_smaller_and_larger_are_pillow_s_bicubic():
    for factor in (2, 4):
        size = 12 // factor, 16 // factor
        got = tasks.smaller(IMAGES, factor)
        np.testing.assert_allclose(got, pillow(IMAGES, size), atol=2e-6)
    got = tasks.larger(IMAGES, 4)
    np.testing.assert_allclose(got, pillow(IMAGES, (48, 64)).clip(-1, 1), atol=2e-6)
    with pytest.raises(ValueError, match="8 does not divide images of 12x16"):
        tasks.smaller(IMAGES, 8)


def test_a_colourized_image_keeps_its_luma():
    task = tasks.colourization()
    (gray,) = given = task.given({"image": IMAGES}, KEY)
    expected = np.array(IMAGES) @ np.array(tasks.LUMA, "float32")
    np.testing.assert_allclose(gray[..., 0], expected, atol=1e-6)
    drawn = random.uniform(random.key(1), IMAGES.shape, minval=-1)
    done = task.finish(given, drawn)
    np.testing.assert_allclose(tasks.luma(done), gray, atol=1e-6)
    np.testing.assert_allclose(
        done[..., 0] - done[..., 2], drawn[..., 0] - drawn[..., 2], atol=1e-6
    )
    np.testing.assert_allclose(task.finish(given, IMAGES), IMAGES, atol=1e-6)
    assert tasks.luma(gray) is gray


@pytest.mark.parametrize("holes", (tasks.square(0.25), tasks.free_form()))
def test_what_is_around_a_hole_is_kept(holes):
    task = tasks.inpainting(holes)
    given = task.given({"image": IMAGES}, KEY)
    kept, hole = given[0][..., :-1], given[0][..., -1]
    assert {*np.unique(hole)} == {0.0, 1.0}
    drawn = jnp.full(IMAGES.shape, 0.5)
    done = np.array(task.finish(given, drawn))
    inside = np.array(hole) == 1
    assert (done[inside] == 0.5).all() and (np.array(kept)[inside] == 0).all()
    np.testing.assert_array_equal(done[~inside], np.array(IMAGES)[~inside])
    np.testing.assert_array_equal(task.show(given), kept)
    mine = jnp.zeros((4, 12, 16, 1)).at[:, 3].set(1)
    given = task.given({"image": IMAGES, "hole": mine}, KEY)
    np.testing.assert_array_equal(given[0][..., -1:], mine)


def test_square_holes_are_anywhere_inside_and_of_one_size():
    hole = np.array(tasks.square(0.25)(KEY, 500, 12, 16)[..., 0])
    assert (hole.sum((1, 2)) == 6 * 8).all()
    assert (hole.any(2).sum(1) == 6).all() and (hole.any(1).sum(1) == 8).all()
    tops, lefts = hole.any(2).argmax(1), hole.any(1).argmax(1)
    assert {*tops} == {*range(7)} and {*lefts} == {*range(9)}


def test_free_form_holes_are_brush_strokes():
    hole = np.array(tasks.free_form(strokes=1)(KEY, 200, 64, 48)[..., 0])
    share = hole.mean((1, 2))
    assert 0.02 < share.mean() < 0.3 and share.std() > 0.01
    pieces = np.array([scipy.ndimage.label(h, np.ones((3, 3)))[1] for h in hole])
    cut = hole[:, [0, -1]].any((1, 2)) | hole[:, :, [0, -1]].any((1, 2))
    assert (pieces[~cut] == 1).all() and (~cut).sum() > 10  # in one, where no edge cuts
    # No pixel is further than the brush's radius from its middle line: eroding by
    # the radius leaves (nearly) nothing.
    gone = [scipy.ndimage.distance_transform_edt(np.pad(h, 1)).max() for h in hole]
    alone = np.array(gone)[share < 0.1]
    assert len(alone) and np.median(alone) < 6
    wider = np.array(tasks.free_form(strokes=1, width=0.2)(KEY, 200, 64, 48))
    assert wider.mean() > 1.4 * hole.mean()
    assert (wider[..., 0] >= hole).all()


def test_edges_are_scipy_s_sobel():
    gray = np.array(tasks.luma(IMAGES))[..., 0].astype("float64")
    y, x = (
        np.stack([scipy.ndimage.sobel(g, axis, mode="nearest") for g in gray]) / 8
        for axis in (0, 1)
    )
    (got,) = tasks.edges().given({"image": IMAGES}, KEY)
    got = got[..., 0]
    expected = np.clip(2 * np.hypot(y, x) - 1, -1, 1)
    np.testing.assert_allclose(got, expected, atol=1e-5)
    flat = jax.grad(lambda x: tasks.sobel(x).sum())(jnp.zeros((1, 4, 4, 1)))
    assert np.isfinite(flat).all()


def test_pairs_go_either_way():
    batch = {"input": IMAGES, "image": -IMAGES}
    there, back = tasks.paired(), tasks.paired(reverse=True)
    assert there.given(batch, KEY)[0] is IMAGES and there.target == "image"
    assert back.given(batch, KEY)[0] is batch["image"] and back.target == "input"
    assert set(there.needs) == {"image", "input"}


def test_maps_are_one_hot_and_seen_in_colours():
    task = tasks.of_maps(5)
    label_map = random.randint(KEY, (2, 6, 7), 0, 5)
    (hot,) = given = task.given({"map": label_map}, KEY)
    np.testing.assert_array_equal(hot.argmax(-1), label_map)
    assert hot.shape == (2, 6, 7, 5) and (hot.sum(-1) == 1).all()
    seen = np.array(task.show(given))
    colours = {i: {tuple(c) for c in seen[np.array(label_map) == i]} for i in range(5)}
    assert all(len(c) == 1 for c in colours.values())
    assert len(set.union(*colours.values())) == 5 and abs(seen).max() <= 1
    assert colours[0] == {(-1.0, -1.0, -1.0)}


def test_a_small_copy_is_shown_as_large_as_the_image():
    task = tasks.super_resolution(4)
    given = task.given({"image": IMAGES}, KEY)
    (small,) = given
    assert small.shape == (4, 3, 4, 3) and task.show(given).shape == IMAGES.shape
    np.testing.assert_array_equal(task.show(given)[:, ::4, ::4], small)
    plain = pillow(small, (12, 16)).clip(-1, 1)
    np.testing.assert_allclose(task.plain(given), plain, atol=2e-6)
    assert task.reads({"image": small})[0] is small


def again(images, factor):
    """Pillow's smaller copy of float images; of RGBA over white, beside their alpha."""
    images = np.array(images)
    if images.shape[-1] == 4:
        share = (images[..., 3:] + 1) / 2
        images = np.concatenate(
            [1 - (1 - images[..., :3]) * share, images[..., 3:]], -1
        )
    h, w = images.shape[1:3]
    return pillow(images, (h // factor, w // factor))


@pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated")
@pytest.mark.parametrize("factor", (2, 4, 8))
@pytest.mark.parametrize("size", ((1, 1), (1, 5), (12, 7)))
@pytest.mark.parametrize("channels", (1, 3, 4))
def test_what_is_drawn_keeps_what_was_given(factor, size, channels):
    """To a level on average, whatever is drawn, once it is in [-1, 1] and 8 bits."""
    rng = np.random.default_rng(0)
    photo = np.asarray(
        Image.fromarray(skimage.data.astronaut()).crop((90, 0, 250, 160))
    )
    photo = photo[: size[0] * factor, : size[1] * factor, : min(channels, 3)]
    if channels == 4:
        alpha = np.linspace(0, 255, photo.shape[1]).astype(np.uint8)
        alpha = np.broadcast_to(alpha[:, None], (*photo.shape[:2], 1))
        photo = np.concatenate([photo, alpha], -1)
    target = (photo[None] / 127.5 - 1).astype("float32")
    task = tasks.super_resolution(factor, consistent=True)
    given = task.given({"image": target}, KEY)
    for drawn in (
        np.zeros_like(target),
        np.clip(target + 0.2 * rng.standard_normal(target.shape), -1, 1) * 0.8,
    ):
        done = np.clip(task.finish(given, drawn.astype("float32")), -1, 1)
        done = np.rint((done + 1) * 127.5) / 127.5 - 1
        kept, known = again(done, factor), again(target, factor)
        assert np.abs(kept - known).mean() * 127.5 < 1
    on_top = tasks.consistent_with(*given, task.plain(given) + drawn, factor)
    np.testing.assert_allclose(task.finish(given, drawn), on_top, atol=1e-5)
    assert tasks.super_resolution(factor).finish(given, drawn) is drawn


def test_nothing_is_changed_that_already_keeps_what_was_given():
    drawn = 0.9 * IMAGES
    (small,) = tasks.super_resolution(4).given({"image": drawn}, KEY)
    done = tasks.consistent_with(small, drawn, 4)
    np.testing.assert_allclose(done, drawn, atol=2e-6)
    # It changes as little as can be: what it adds is of what `smaller` sees alone.
    other = tasks.consistent_with(small, jnp.zeros_like(drawn), 4, times=0)
    hidden = drawn - other
    assert abs(float((hidden * other).mean())) < 1e-6
    np.testing.assert_allclose(tasks.smaller(hidden, 4), 0, atol=2e-6)


def test_noise_is_a_task():
    """Of a batch's size unless told otherwise; with classes, beside its labels."""
    latents, label = tasks.normal(3), jnp.array([2, 0, 1, 1])
    plain, classes = tasks.noise(latents), tasks.noise(latents, 3)
    (z,) = plain.given({"image": IMAGES}, KEY)
    np.testing.assert_array_equal(z, random.normal(KEY, (4, 3)))
    assert plain.given({}, KEY, 7)[0].shape == (7, 3)
    z, given = classes.given({"label": label}, KEY)
    assert z.shape == (4, 3) and given is label
    assert plain.needs == () and classes.needs == ("label",)
    assert plain.target is None and classes.target is None
    for batch in ({"image": IMAGES}, {"image": IMAGES, "label": None}):
        with pytest.raises(
            ValueError, match="num_classes 3, every image needs a label"
        ):
            classes.given(batch, KEY)


def test_a_task_with_noise_gives_it_before_the_rest():
    inner = tasks.inpainting(tasks.square())
    task, batch = tasks.with_noise(tasks.normal(5), inner), {"image": IMAGES}
    z, x = given = task.given(batch, KEY)
    np.testing.assert_array_equal(z, random.normal(KEY, (4, 5)))
    assert x.shape == (4, 12, 16, 4) and (task.target, task.file) == ("image", "hole")
    drawn = jnp.full(IMAGES.shape, 0.5)
    for mine, theirs in (
        (task.finish(given, drawn), inner.finish((x,), drawn)),
        (task.show(given), inner.show((x,))),
        (task.plain(given), inner.plain((x,))),
    ):
        np.testing.assert_array_equal(mine, theirs)
    with pytest.raises(ValueError, match="with_noise: the task has `reads`"):
        tasks.with_noise(tasks.normal(5), tasks.edges())
