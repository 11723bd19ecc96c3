"""ADA's transforms by numpy, scipy and Pillow, and that what they do can be undone."""

import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random
from jax.test_util import check_grads
from PIL import Image
from scipy import ndimage, signal, stats
from scipy.spatial.transform import Rotation

from jaxgan import augment, axis, models, run
from jaxgan.augment import colours, filtering, geometry, wavelets
from jaxgan.run.presets import classic
from jaxgan.types import UsageError

KEY = random.key(0)
N = 96
X = random.uniform(random.key(1), (N, 12, 16, 3), minval=-1)
EVERY = [name for names in augment.TRANSFORMS.values() for name in names]


def only(name, **others):
    """The pipeline of one transform, or of one and others."""
    (group,) = (g for g, names in augment.TRANSFORMS.items() if name in names)
    rest = {n: 0.0 for n in augment.TRANSFORMS[group] if n != name}
    return augment.pipeline(group, **rest | others)


def smooth(h=40, w=48, n=6):
    """Images that a spline knows between pixels."""
    rows, columns = np.mgrid[:h, :w] / 8
    phases = np.random.default_rng(0).uniform(0, 6, (n, 1, 1, 3, 2))
    y, x = rows[None, ..., None], columns[None, ..., None]
    return (np.sin(y + phases[..., 0]) * np.cos(x + phases[..., 1])).astype(np.float32)


# --- the whole


def test_there_are_the_paper_s_eighteen():
    assert len(EVERY) == len(set(EVERY)) == 18
    assert set(augment.PRESETS["bgcfnc"]) == set(augment.TRANSFORMS)


@pytest.mark.parametrize(
    ("dtype", "channels"), (("float32", 1), ("bfloat16", 3), ("float32", 4))
)
def test_with_p_0_every_bit_stays_and_with_any_the_dtype(dtype, channels):
    x = random.normal(KEY, (8, 9, 14, channels), dtype).at[0, 0, 0, 0].set(-0.0)
    shown = jax.jit(augment.pipeline("bgcfnc"))
    same = shown(x, KEY, jnp.float32(0))
    assert np.asarray(same).tobytes() == np.asarray(x).tobytes()
    new = shown(x, KEY, jnp.float32(0.7))
    assert new.shape == x.shape and new.dtype == x.dtype
    assert np.isfinite(np.float32(new)).all()
    assert not (new == x).all((1, 2, 3)).any()


def test_bfloat16_sees_what_float32_sees():
    x = jnp.asarray(smooth())
    shown = jax.jit(augment.pipeline("bgcf"))
    wide, narrow = (shown(x.astype(d), KEY, 0.8) for d in ("float32", "bfloat16"))
    away = np.abs(np.float32(narrow) - wide)
    assert away.mean() < 0.04 * np.abs(wide).mean()


@pytest.mark.parametrize("name", EVERY)
def test_each_is_applied_with_its_probability(name):
    """Of those that do nothing by chance also when applied, as often as they do."""
    nothing = {"x_flip": 1 / 2, "rotate_90": 1 / 4, "luma_flip": 1 / 2}.get(name, 0.0)
    if name == "integer_translation":  # by round(±1), on both axes
        nothing = 1 / 4
    x = random.uniform(KEY, (2000, 8, 8, 3), minval=-1)
    shown = jax.jit(only(name))
    for p in (0.3, 1.0):
        changed = np.array((shown(x, random.key(3), p) != x).any((1, 2, 3)))
        assert changed.mean() == pytest.approx(p * (1 - nothing), abs=0.04)


def test_a_multiplier_is_of_p():
    shown = only("brightness", brightness=0.5)
    changed = np.array(
        (shown(jnp.zeros((2000, 1, 1, 3)), KEY, 0.6) != 0).any((1, 2, 3))
    )
    assert changed.mean() == pytest.approx(0.3, abs=0.04)


def test_groups_come_in_the_paper_s_order_and_are_drawn_by_themselves():
    once = augment.pipeline("cutout", "blit")(X, KEY, 0.7)
    two = augment.pipeline("cutout")(augment.pipeline("blit")(X, KEY, 0.7), KEY, 0.7)
    np.testing.assert_array_equal(once, two)


def test_what_there_is_not_is_refused():
    with pytest.raises(UsageError, match="groups bgd is none of blit, geom"):
        augment.pipeline("bgd")
    with pytest.raises(UsageError, match="hue is none of x_flip, rotate_90, integer"):
        augment.pipeline("blit", hue=0.5)
    with pytest.raises(UsageError, match=r"hue 1\.5 must be from 0 to 1"):
        augment.pipeline(hue=1.5)
    with pytest.raises(UsageError, match="1, 3 or 4 channels, not 2"):
        augment.pipeline()(X[..., :2], KEY, 0.5)


def test_devices_and_parts_have_their_share_and_members_their_p():
    shown = augment.pipeline("geom", "noise", "cutout")
    x, p = X[:8], jnp.float32(0.6)
    whole = jax.jit(shown)(x, KEY, p)

    def of_a_device(x):
        with axis.mapped("device"):
            return shown(x, KEY, p)

    halves = x.reshape(2, 4, 12, 16, 3)
    halves = jax.jit(jax.vmap(of_a_device, axis_name="device"))(halves)
    np.testing.assert_allclose(halves.reshape(x.shape), whole, atol=1e-5)
    with axis.accumulating(2):
        parts = axis.over_parts(lambda x: shown(x, KEY, p), x, stacked=True)
    np.testing.assert_allclose(parts, whole, atol=1e-5)
    both = jax.jit(jax.vmap(shown, (None, None, 0)))(x, KEY, jnp.array([0.6, 0]))
    np.testing.assert_allclose(both, np.stack([whole, x]), atol=1e-5)


def build(cfg, shape, num_classes):
    G, D = models.mlp.Generator(shape, (4,)), models.mlp.Discriminator((4,))
    return classic.recipe(cfg, models.flax_net("G", G), models.flax_net("D", D))


def test_a_run_goes_on_with_its_p_which_each_member_has_for_itself(tmp_path):
    """Stopped between two moves of p."""
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1), np.uint8)
    np.savez(tmp_path / "data.npz", images=images)

    def go(name, steps):
        cfg = run.changed(
            classic.Config(steps=steps, workdir=str(tmp_path / name)),
            data=f"npz:{tmp_path / 'data.npz'}",
            sweep=("d_lr=1e-5,0.3",),
            loss="least_squares",
            augment="ada",
            ada_groups="blit",
            ada_images=80,
            batch_size=8,
            log_every=2,
            d_norm="none",
        )
        return jax.device_get(run.train(cfg, build, "test")[1])

    whole = go("whole", 21)
    go("parts", 10)
    again = go("parts", 21)
    jax.tree.map(np.testing.assert_array_equal, whole, again)
    kept = whole.memory["augment"]
    assert kept["judged"].tolist() == [1, 1] and len(np.unique(kept["p"])) == 2
    log = (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in log]
    assert {"ada_p", "r_t"} <= {key for row in rows for key in row}


def test_p_moves_by_the_whole_batch_s_signs_where_it_is_divided():
    """As if it were not; no part decides by its own signs."""
    ada = augment.adaptive(target=0.2, images=64, every=2)
    logits = jnp.array([1.0, 1, 1, 1, 1, 1, -1, -1])  # r_t 0.5; of parts 1 and 0
    alone = in_parts = ada.memory
    for _ in range(5):
        alone = ada.adapt(alone, logits)
        with axis.accumulating(2):
            in_parts = axis.over_parts(lambda x, m=in_parts: ada.adapt(m, x), logits)
    jax.tree.map(np.testing.assert_array_equal, alone, in_parts)
    assert float(alone["p"]) == 2 * 2 * 8 / 64


@pytest.mark.parametrize("group", augment.TRANSFORMS)
def test_gradients_are_those_of_finite_differences_twice(group):
    x = random.normal(KEY, (2, 5, 6, 3))
    shown = augment.pipeline(group)
    of = jax.jit(lambda x: jnp.tanh(shown(x, KEY, 1.0)))
    check_grads(of, (x,), 2, modes=["rev"], atol=0.05, rtol=0.05)

    def slope(x):
        """R1, whose gradient is a derivative of a derivative."""
        return (jax.grad(lambda x: of(x).sum())(x) ** 2).sum()

    way = random.normal(random.key(2), x.shape)
    difference = (slope(x + 1e-2 * way) - slope(x - 1e-2 * way)) / 2e-2
    found = (jax.grad(slope)(x) * way).sum()
    assert float(found) == pytest.approx(float(difference), rel=0.03)


# --- pixel blitting


def candidates(image, name):
    """All that a transform may make of an image, by numpy."""
    h, w, _ = image.shape
    wide = np.pad(image, ((40, 40), (40, 40), (0, 0)), mode="reflect")
    if name == "x_flip":
        return [image, image[:, ::-1]]
    if name == "rotate_90":
        turned = [np.rot90(wide, k) for k in range(4)]
        middles = [((a.shape[0] - h) // 2, (a.shape[1] - w) // 2) for a in turned]
        pairs = zip(turned, middles, strict=True)
        return [a[i : i + h, j : j + w] for a, (i, j) in pairs]
    moves = [(i, j) for i in range(-2, 3) for j in range(-2, 3)]
    return [wide[40 - i : 40 - i + h, 40 - j : 40 - j + w] for i, j in moves]


@pytest.mark.parametrize("shape", ((12, 16, 3), (16, 12, 1), (14, 14, 4)))
@pytest.mark.parametrize("name", augment.TRANSFORMS["blit"])
def test_blits_are_exact(name, shape):
    x = random.normal(KEY, (N, *shape))
    seen = set()
    for image, new in zip(np.array(x), np.array(only(name)(x, KEY, 1.0)), strict=True):
        every = candidates(image, name)
        fits = [k for k, one in enumerate(every) if (one == new).all()]
        assert len(fits) == 1
        seen.add(fits[0])
    if name == "integer_translation":
        most = [math.ceil(0.125 * n - 0.5) for n in shape[:2]]
        for moves, far in zip(np.divmod([*seen], 5), most, strict=True):
            assert {*(moves - 2)} == {*range(-far, far + 1)}
    else:
        assert len(seen) == len(every)


def test_blits_follow_one_another():
    """Flipped, turned, and moved, in this order."""
    x = np.array(X[:24, :, :12])
    new = np.array(augment.pipeline("blit")(jnp.asarray(x), KEY, 1.0))
    for image, found in zip(x, new, strict=True):
        every = [
            moved
            for flipped in candidates(image, "x_flip")
            for turned in candidates(flipped, "rotate_90")
            for moved in candidates(turned, "integer_translation")
        ]
        assert any((one == found).all() for one in every)


# --- geometry


def matrices(n=6):
    rng = np.random.default_rng(1)
    scale, stretch = np.exp(rng.normal(0, 0.2, (2, n)))
    before, after = rng.uniform(-3, 3, (2, n))
    return [jnp.asarray(a, jnp.float32) for a in (scale, before, stretch, after)]


def test_the_inverse_is_that_of_the_product_of_all():
    scale, before, stretch, after = drawn = matrices()
    found = geometry.inverse(*drawn)
    for k in range(6):
        turn = [
            Rotation.from_rotvec([0, 0, float(a[k])]).as_matrix()[:2, :2]
            for a in (before, after)
        ]
        narrow = np.diag([stretch[k], 1 / stretch[k]])
        whole = turn[1] @ narrow @ turn[0] * float(scale[k])
        np.testing.assert_allclose(found[k] @ whole, np.eye(2), atol=1e-5)


def test_the_warp_is_scipy_s_of_a_mirrored_image():
    x = smooth()
    matrix = np.array(geometry.inverse(*matrices()))
    move = np.random.default_rng(2).normal(0, 6, (6, 2)).astype(np.float32)
    new = geometry.warp(jnp.asarray(x), jnp.asarray(matrix), jnp.asarray(move))
    middle = np.array([39, 47]) / 2
    for k in range(6):
        offset = middle - matrix[k] @ (middle + move[k])
        for c in range(3):
            expected = ndimage.affine_transform(
                x[k, ..., c], matrix[k], offset, mode="mirror"
            )
            away = np.abs(new[k, ..., c] - expected)
            # A fold at the border is no smooth image: filters ring there.
            assert np.median(away) < 0.004 and np.quantile(away, 0.95) < 0.08


def test_a_turn_a_shift_and_a_scale_are_scipy_s():
    x = smooth(41, 41, 1)
    one, zero = jnp.ones(1), jnp.zeros((1, 2))
    turned = geometry.warp(x, geometry.inverse(one, one * 0.5, one, 0 * one), zero)
    degrees = math.degrees(0.5)
    expected = ndimage.rotate(x[0], degrees, reshape=False, mode="mirror")
    np.testing.assert_allclose(
        turned[0, 12:-12, 12:-12], expected[12:-12, 12:-12], atol=0.02
    )
    eye = jnp.eye(2)[None]
    moved = geometry.warp(x, eye, jnp.array([[1.5, -2.25]]))
    expected = ndimage.shift(x[0], (1.5, -2.25, 0), mode="mirror")
    np.testing.assert_allclose(moved[0, 5:-5, 5:-5], expected[5:-5, 5:-5], atol=0.02)
    larger = geometry.warp(x, eye / 2, zero)
    expected = ndimage.zoom(x[0], (81 / 41, 81 / 41, 1), grid_mode=False, mode="mirror")
    np.testing.assert_allclose(
        larger[0, 2:-2, 2:-2], expected[22:-22, 22:-22], atol=0.02
    )


def test_the_warp_that_does_nothing_and_one_by_whole_pixels_are_exact():
    """sym6 is orthonormal: what was enlarged can be made smaller again."""
    eye = jnp.broadcast_to(jnp.eye(2), (N, 2, 2))
    same = geometry.warp(X, eye, jnp.zeros((N, 2)))
    np.testing.assert_allclose(same, X, atol=2e-6)
    moved = geometry.warp(X, eye, jnp.full((N, 2), 30.0))  # round the mirrors, twice
    wide = np.pad(X, ((0, 0), (40, 0), (40, 0), (0, 0)), mode="reflect")
    np.testing.assert_allclose(moved, wide[:, 10:22, 10:26], atol=2e-5)


def test_what_is_made_smaller_does_not_alias():
    """Stripes too fine for the new size turn gray, as bilinear ones would not."""
    x = jnp.asarray(np.tile([1.0, -1.0], (1, 32, 16))[..., None], jnp.float32)
    new = geometry.warp(x, jnp.eye(2)[None] * 1.9, jnp.zeros((1, 2)))
    assert np.abs(new).mean() < 0.1


@pytest.mark.parametrize("name", augment.TRANSFORMS["geom"])
def test_geometry_is_drawn_as_the_paper_says(name):
    """By images whose pixels say where they are."""
    h, w, n = 24, 40, 400
    rows, columns = np.mgrid[:h, :w].astype(np.float32)
    image = np.stack([rows - (h - 1) / 2, columns - (w - 1) / 2], -1)
    x = jnp.broadcast_to(image, (n, h, w, 2))
    new = np.array(jax.jit(only(name))(x, KEY, 1.0))
    cut = slice(h // 2 - 2, h // 2 + 2), slice(w // 2 - 2, w // 2 + 2)
    here = image[cut].reshape(-1, 2)
    fits = [
        np.linalg.lstsq(np.c_[here, np.ones(16)], one[cut].reshape(-1, 2))[0]
        for one in new
    ]
    if name == "translation":  # far ones are past a mirror
        move = np.median(-new + image, (1, 2)) / [h, w]
        for way in move.T:
            near = np.abs(way) < 0.15
            assert near.mean() == pytest.approx(math.erf(1.2 / math.sqrt(2)), abs=0.05)
            expected = stats.truncnorm(-1.2, 1.2).std() * 0.125
            assert way[near].std() == pytest.approx(expected, rel=0.08)
        return
    linear = np.stack([fit[:2].T for fit in fits])
    np.testing.assert_allclose([fit[2] for fit in fits], 0, atol=0.2)
    s = np.linalg.svd(linear)[1]
    logs = np.log(s) / math.log(2)
    if name == "isotropic_scale":
        np.testing.assert_allclose(linear[:, 0, 1], 0, atol=0.02)
        np.testing.assert_allclose(logs[:, 0], logs[:, 1], atol=0.02)
        assert logs.std() == pytest.approx(0.2, abs=0.02)
    elif name == "anisotropic_scale":
        np.testing.assert_allclose(linear[:, 0, 1], 0, atol=0.02)
        np.testing.assert_allclose(logs.sum(1), 0, atol=0.02)
        assert np.log2(linear[:, 0, 0]).std() == pytest.approx(0.2, abs=0.02)
    else:
        np.testing.assert_allclose(s, 1, atol=0.02)
        angles = np.arctan2(linear[:, 1, 0], linear[:, 0, 0])
        found = np.histogram(angles, 4, (-math.pi, math.pi))[0]
        np.testing.assert_allclose(found / n, 0.25, atol=0.08)
        assert (np.linalg.det(linear) > 0).all()


# --- colour


def numbers(*values):
    return [jnp.asarray([v]) for v in values]


def test_the_colour_matrix_is_the_product_of_all_by_scipy():
    axis_of_grays = np.ones(3) / math.sqrt(3)
    luma = np.outer(axis_of_grays, axis_of_grays)

    def of(part, add=0.0):
        whole = np.eye(4)
        whole[:3, :3], whole[:3, 3] = part, add
        return whole

    drawn = 0.3, 1.7, True, 0.9, 0.4
    found = colours.matrix(
        *numbers(*drawn[:2]), jnp.array([True]), *numbers(*drawn[3:])
    )
    turn = Rotation.from_rotvec(0.9 * axis_of_grays).as_matrix()
    expected = (
        of(luma + (np.eye(3) - luma) * 0.4)
        @ of(turn)
        @ of(np.eye(3) - 2 * luma)
        @ of(1.7 * np.eye(3))
        @ of(np.eye(3), 0.3)
    )
    np.testing.assert_allclose(found[0], expected, atol=1e-6)


def one_colour(brightness=0.0, contrast=1.0, flip=False, hue=0.0, saturation=1.0):
    made = numbers(brightness, contrast, flip, hue, saturation)
    of = colours.matrix(*made)
    return np.array(colours._seen(X, jnp.broadcast_to(of, (N, 4, 4))))


def test_colours_do_what_they_are_called():
    x = np.array(X)
    luma = x.mean(-1, keepdims=True)
    np.testing.assert_allclose(
        one_colour(saturation=0.0), luma.repeat(3, -1), atol=1e-6
    )
    np.testing.assert_allclose(
        one_colour(hue=2 * math.pi / 3), x[..., [2, 0, 1]], atol=1e-6
    )
    turned = one_colour(hue=0.7)
    np.testing.assert_allclose(turned.mean(-1), luma[..., 0], atol=1e-6)
    away, was = (np.linalg.norm(a - luma, axis=-1) for a in (turned, x))
    np.testing.assert_allclose(away, was, atol=1e-6)
    np.testing.assert_allclose(one_colour(flip=True), x - 2 * luma, atol=1e-6)
    bright = np.array(
        Image.fromarray(np.uint8(x[0] * 50 + 100)).point(lambda v: v * 2 - 60)
    )
    seen = np.array(
        colours._seen(
            jnp.float32(np.uint8(x[:1] * 50 + 100)),
            colours.matrix(*numbers(-30.0, 2.0, False, 0.0, 1.0)),
        )
    )
    np.testing.assert_allclose(seen[0], bright, atol=1e-3)


@pytest.mark.parametrize(
    ("name", "of", "deviation"),
    (
        ("brightness", lambda x, new: (new - x).mean(), 0.2),
        ("contrast", lambda x, new: np.log2(new.std() / x.std()), 0.5),
        (
            "saturation",
            lambda x, new: np.log2(
                (new - new.mean(-1, keepdims=True)).std()
                / (x - x.mean(-1, keepdims=True)).std()
            ),
            1.0,
        ),
    ),
)
def test_colours_are_drawn_as_the_paper_says(name, of, deviation):
    x = np.array(random.normal(KEY, (800, 4, 4, 3)))
    new = np.array(only(name)(jnp.asarray(x), KEY, 1.0))
    found = np.array([of(a, b) for a, b in zip(x, new, strict=True)])
    assert found.std() == pytest.approx(deviation, rel=0.08)
    assert abs(found.mean()) < deviation / 8


def test_gray_is_a_colour_and_transparency_is_none():
    gray, shown = X[..., :1], augment.pipeline("color")
    seen = shown(gray, KEY, 1.0)
    np.testing.assert_allclose(
        seen.repeat(3, -1), shown(gray.repeat(3, -1), KEY, 1.0), atol=1e-5
    )
    both = shown(jnp.concatenate([X, gray], -1), KEY, 1.0)
    np.testing.assert_array_equal(both[..., 3:], gray)
    np.testing.assert_array_equal(both[..., :3], shown(X, KEY, 1.0))
    moved = augment.pipeline("bg")(jnp.concatenate([X, gray], -1), KEY, 1.0)
    np.testing.assert_allclose(
        moved[..., 3:], augment.pipeline("bg")(gray, KEY, 1.0), atol=1e-5
    )


# --- filters


def of_daubechies(moments):
    """All filters of a number of vanishing moments, by factoring (Daubechies, 1992,
    6.1): of each root of the polynomial, one of z and 1/z is taken."""
    terms = [math.comb(moments - 1 + k, k) for k in range(moments)]
    roots = np.roots(terms[::-1])
    pairs = []
    for y in roots[roots.imag > -1e-9]:
        z = np.roots([1, 4 * y - 2, 1])
        pairs.append([[a] if abs(y.imag) < 1e-9 else [a, a.conj()] for a in z])
    for chosen in np.ndindex(*[2] * len(pairs)):
        factor = np.poly([-1] * moments)
        for pair, k in zip(pairs, chosen, strict=True):
            factor = np.convolve(factor, np.poly(pair[k]))
        yield factor.real * math.sqrt(2) / factor.real.sum()


def bend(taps):
    """How far a filter's phase is from linear."""
    frequencies, response = signal.freqz(taps, worN=256)
    passed = frequencies < 0.6 * math.pi
    phase = np.unwrap(np.angle(response))[passed]
    line = np.polyfit(frequencies[passed], phase, 1)
    return np.abs(np.polyval(line, frequencies[passed]) - phase).max()


@pytest.mark.parametrize(("taps", "moments"), ((wavelets.SYM2, 2), (wavelets.SYM6, 6)))
def test_symlets_are_the_least_asymmetric_filters(taps, moments):
    every = list(of_daubechies(moments))
    best = min(map(bend, every))
    assert bend(taps) == pytest.approx(best, abs=1e-6)
    assert any(np.allclose(taps, one, atol=1e-9) for one in every)


def test_symlets_are_those_of_pywavelets():
    """As published for `pywt.Wavelet("sym2").rec_lo`, and of sym6 the ends."""
    published = 0.48296291314469025, 0.836516303737469, 0.22414386804185735
    np.testing.assert_allclose(wavelets.SYM2[:3], published, atol=1e-12)
    assert wavelets.SYM2[3] == pytest.approx(-0.12940952255092145, abs=1e-12)
    assert wavelets.SYM6[0] == -0.007800708325034148
    assert wavelets.SYM6[-1] == 0.015404109327027373


def test_the_bank_is_a_cascade_by_scipy_and_sums_to_one():
    low, high = wavelets.SYM2, wavelets.high_pass(wavelets.SYM2)
    assert np.dot(low, high) == pytest.approx(0) and high.sum() == pytest.approx(0)
    low, high = (np.correlate(a, a, "full") / 2 for a in (low, high))

    def spread(taps, by):
        return signal.upfirdn([1], taps, by)[: (len(taps) - 1) * by + 1]

    lows = [np.ones(1)]
    for k in range(3):
        lows.append(np.convolve(lows[-1], spread(low, 2**k)))
    expected = [lows[3], *[np.convolve(lows[k], spread(high, 2**k)) for k in (2, 1, 0)]]
    bank = filtering.bank()
    for taps, one in zip(expected, bank, strict=True):
        side = (43 - len(taps)) // 2
        np.testing.assert_allclose(one, np.pad(taps, side), atol=1e-12)
    np.testing.assert_allclose(bank.sum(0), np.eye(43)[21], atol=1e-12)


def test_filters_are_scipy_s_of_a_mirrored_image_and_keep_the_power():
    x = random.normal(KEY, (16, 20, 33, 1))
    share = np.array([10, 1, 1, 1]) / 13
    for k in range(4):
        new = np.array(only(f"band_{k + 1}")(x, KEY, 1.0))
        factors = []
        for image, found in zip(np.array(x), new, strict=True):
            basis = [
                ndimage.convolve1d(
                    ndimage.convolve1d(image, a, 0, mode="mirror"), b, 1, mode="mirror"
                ).ravel()
                for a in filtering.bank()
                for b in filtering.bank()
            ]
            fit, residual, *_ = np.linalg.lstsq(np.stack(basis, 1), found.ravel())
            table = fit.reshape(4, 4)
            gain = np.sqrt(np.diag(table))
            np.testing.assert_allclose(table, np.outer(gain, gain), atol=2e-3)
            assert residual < 1e-5
            assert (share * gain**2).sum() == pytest.approx(1, abs=1e-3)
            rest = np.delete(gain, k)
            np.testing.assert_allclose(rest, rest[0], atol=2e-3)
            factors.append(np.log2(gain[k] / rest[0]))
        assert np.std(factors) == pytest.approx(1, abs=0.4)


# --- corruptions


def test_noise_is_of_a_half_normal_deviation():
    x = jnp.zeros((2000, 8, 8, 3)) + 0.3
    new = np.array(augment.pipeline("noise")(x, KEY, 1.0)) - 0.3
    deviations = new.std((1, 2, 3))
    assert deviations.mean() == pytest.approx(0.1 * math.sqrt(2 / math.pi), rel=0.05)
    assert (deviations**2).mean() == pytest.approx(0.01, rel=0.1)
    np.testing.assert_allclose(new.mean(), 0, atol=1e-3)


def test_cutout_is_a_rectangle_of_half_the_side_centred_in_the_image():
    gone = (np.array(augment.pipeline("cutout")(X, KEY, 1.0)) == 0).all(-1)
    rows, columns = gone.any(2), gone.any(1)
    np.testing.assert_array_equal(gone, rows[:, :, None] & columns[:, None])
    assert rows.sum(1).max() == 6 and columns.sum(1).max() == 8
    assert rows.sum(1).min() == 3 and columns.sum(1).min() == 4
    assert len(np.unique(rows, axis=0)) > 10


# --- what they do can be undone


TURNED = np.zeros((4, 3, 3, 3), np.float32)
TURNED[0, 0, 1] = 1.0
TURNED[1, 1, 0], TURNED[2, 2, 1], TURNED[3, 1, 2] = 1.0, 1.0, 1.0
MIRRORED = np.zeros((2, 3, 3, 3), np.float32)
MIRRORED[0, 0, 0], MIRRORED[1, 0, 2] = 1.0, 1.0
INVERTED = np.array([1, -1], np.float32).reshape(2, 1, 1, 1).repeat(3, -1)


@pytest.mark.parametrize(
    ("name", "states"),
    (("rotate_90", TURNED), ("x_flip", MIRRORED), ("luma_flip", INVERTED)),
)
def test_below_1_no_two_distributions_look_the_same(name, states):
    """What becomes of each state, as a matrix that can be inverted, and not with 1.

    The paper's section 2: it is non-leaking, and an image as it was is most common.
    """
    n, k = 8000, len(states)
    for p in (0.8, 1.0):
        table = np.zeros((k, k))
        for i, state in enumerate(states):
            x = jnp.broadcast_to(state, (n, *state.shape))
            new = np.array(jax.jit(only(name))(x, random.key(i), p))
            away = np.abs(new[:, None] - states).sum((2, 3, 4))
            assert away.min(1).max() < 1e-5
            table[i] = np.bincount(away.argmin(1), minlength=k) / n
        least = np.linalg.svd(table)[1].min()
        assert least == pytest.approx(1 - p, abs=0.06)
        if p < 1:
            assert (table.argmax(1) == np.arange(k)).all()


@pytest.mark.parametrize("name", ("rotate", "hue"))
def test_of_angles_none_is_the_most_common(name):
    """A distribution of one orientation keeps its mode; turned always, it has none."""
    if name == "rotate":
        rows, columns = np.mgrid[:16, :16] - 7.5
        image = np.exp(-((rows + 4) ** 2 + columns**2) / 8)[..., None].repeat(3, -1)

        def angles(new):
            mass = new[..., 0] * (np.hypot(rows, columns) < 7)
            return np.arctan2((mass * columns).sum((1, 2)), -(mass * rows).sum((1, 2)))
    else:
        image = np.array([2.0, -1, -1]).reshape(1, 1, 3)

        def angles(new):
            r, g, b = new[:, 0, 0].T
            return np.arctan2(math.sqrt(3) * (g - b), 2 * r - g - b)

    x = jnp.broadcast_to(jnp.float32(image), (3000, *image.shape))
    for p in (0.8, 1.0):
        found = angles(np.array(jax.jit(only(name))(x, KEY, p)))
        share = np.histogram(found, 9, (-math.pi, math.pi))[0] / 3000
        rest = np.delete(share, 4)
        np.testing.assert_allclose(rest, rest.mean(), atol=0.03)
        assert share[4] - rest.mean() == pytest.approx(1 - p, abs=0.04)
