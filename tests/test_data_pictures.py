"""What the numbers in image files mean, against littlecms, Pillow and closed forms."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from jaxgan import data
from jaxgan.data import decoding, pictures
from jaxgan.types import UsageError

SRGB = ImageCms.createProfile("sRGB")
rng = np.random.default_rng(0)


# --- profiles, written here from the specification (ICC.1:2004-10)


def profile(space, *tags):
    body, table, start = b"", b"", 132 + 12 * len(tags)
    for name, content in tags:
        table += name + struct.pack(">2I", start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    head = struct.pack(">2I", start + len(body), 0) + b"\x02\x40\0\0mntr" + space
    head += (b"Lab " if space == b"CMYK" else b"XYZ ") + struct.pack(
        ">6H", 2020, 1, 1, 0, 0, 0
    )
    head += b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061) + bytes(48)
    return head + struct.pack(">I", len(tags)) + table + body


def xyz(*values):
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65536) for v in values))


def curve(gamma):
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))


ABOUT = [
    (b"desc", b"desc\0\0\0\0" + struct.pack(">I", 2) + b"x\0" + bytes(78)),
    (b"cprt", b"text\0\0\0\0x\0"),
    (b"wtpt", xyz(0.9642, 1, 0.8249)),
]
ADOBE = np.array(
    [
        [0.60974, 0.31111, 0.01947],
        [0.20528, 0.62567, 0.06087],
        [0.14919, 0.06322, 0.74457],
    ]
)
"""The primaries of Adobe RGB (1998), adapted to D50."""


def adobe():
    primaries = zip((b"rXYZ", b"gXYZ", b"bXYZ"), ADOBE, strict=True)
    curves = ((name, curve(563 / 256)) for name in (b"rTRC", b"gTRC", b"bTRC"))
    return profile(b"RGB ", *ABOUT, *((n, xyz(*v)) for n, v in primaries), *curves)


def linear_gray():
    return profile(b"GRAY", *ABOUT, (b"kTRC", curve(1)))


def cmyk():
    """Each corner of the cube of inks to a lightness of what ink leaves, no hue."""
    corners = np.indices((2, 2, 2, 2)).reshape(4, -1).sum(0)
    lightness = (255 - 255 * corners / 4).astype(np.uint8)
    table = np.stack([lightness, np.full(16, 128), np.full(16, 128)], 1)
    line = bytes(range(256))
    identity = struct.pack(">9i", *(65536 * (i % 4 == 0) for i in range(9)))
    lut = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + identity + line * 4
    lut += table.astype(np.uint8).tobytes() + line * 3
    return profile(b"CMYK", *ABOUT, (b"A2B0", lut))


def through(image, icc, mode="RGB"):
    """As littlecms shows it in sRGB."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(icc))
    return np.asarray(ImageCms.profileToProfile(image, source, SRGB, outputMode=mode))


def encoded(light):
    """sRGB's curve (IEC 61966-2-1)."""
    low = light <= 0.0031308
    return np.where(
        low, 12.92 * light, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055
    )


def only(folder, **options):
    ours = data.load(f"folder:{folder}", **options)
    return ours.fetch(np.arange(ours.size))["image"], ours


def test_adobe_rgb_becomes_srgb(tmp_path):
    image = Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8))
    image.save(tmp_path / "a.png", icc_profile=adobe())
    alpha = image.copy()
    alpha.putalpha(77)
    alpha.save(tmp_path / "b.png", icc_profile=adobe())
    expected = through(image, adobe())
    found, ours = only(tmp_path, channels="rgba")
    assert ours.notes == ()
    np.testing.assert_array_equal(found[0, ..., :3], expected)
    np.testing.assert_array_equal(found[1, ..., :3], expected)
    assert (found[0, ..., 3] == 255).all() and (found[1, ..., 3] == 77).all()
    # In closed form: Adobe RGB's green is outside, its grays and dull colours are not.
    dull = rng.integers(90, 160, (16, 16, 3)).astype(np.uint8)
    Image.fromarray(dull).save(tmp_path / "c.png", icc_profile=adobe())
    light = (dull / 255) ** (563 / 256) @ ADOBE
    bradford = np.array(  # D50 to linear sRGB, Lindbloom
        [[3.1338561, -1.6168667, -0.4906146], [-0.9787684, 1.9161415, 0.0334540],
         [0.0719453, -0.2289914, 1.4052427]]
    )  # fmt: skip
    found, _ = only(tmp_path)
    closed = encoded(np.clip(light @ bradford.T, 0, 1)) * 255
    np.testing.assert_allclose(found[2], closed, atol=1.6)


def test_a_palette_and_a_gray_picture_with_an_rgb_profile(tmp_path):
    image = Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8)).quantize(32)
    image.save(tmp_path / "a.png", icc_profile=adobe())
    found, _ = only(tmp_path)
    np.testing.assert_array_equal(found[0], through(image.convert("RGB"), adobe()))
    gray = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16))
    gray.save(tmp_path / "a.png", icc_profile=adobe())
    found, ours = only(tmp_path)
    assert ours.shape == (16, 16, 1)
    expected = through(gray.convert("RGB"), adobe())[..., 1:2]
    np.testing.assert_allclose(found[0], expected, atol=1)


def test_srgb_under_another_name_changes_nothing(tmp_path):
    array = rng.integers(0, 256, (64, 64, 3), np.uint8)
    icc = ImageCms.ImageCmsProfile(SRGB).tobytes()
    Image.fromarray(array).save(tmp_path / "a.png", icc_profile=icc)
    Image.fromarray(array).save(tmp_path / "b.tif", icc_profile=icc)
    found, ours = only(tmp_path)
    np.testing.assert_array_equal(found, [array, array])
    assert ours.notes == ()


@pytest.mark.parametrize("depth", (8, 16))
def test_gray_profiles(tmp_path, depth):
    most = 2**depth - 1
    ramp = np.arange(4096) * 16 if depth == 16 else np.arange(256)
    array = ramp.reshape(16, -1).astype(f"u{depth // 8}")
    Image.fromarray(array).save(tmp_path / "a.png", icc_profile=linear_gray())
    Image.fromarray(array).save(tmp_path / "b.tif", icc_profile=linear_gray())
    found, ours = only(tmp_path, depth=depth) if depth == 16 else only(tmp_path)
    expected = encoded(array / most) * most
    assert ours.shape[2] == 1 and ours.notes == ()
    for image in found:
        np.testing.assert_allclose(image[..., 0], expected, atol=1)


def test_inks_with_and_without_a_profile(tmp_path):
    inks = Image.fromarray(rng.integers(0, 256, (16, 16, 4), np.uint8), "CMYK")
    inks.save(tmp_path / "a.tif", icc_profile=cmyk())
    inks.save(tmp_path / "b.tif")
    found, ours = only(tmp_path)
    np.testing.assert_array_equal(found[0], through(inks, cmyk()))
    np.testing.assert_array_equal(found[1], np.asarray(inks.convert("RGB")))
    assert ours.notes == () and np.abs(found[0] - found[1].astype(int)).max() > 50


@pytest.mark.parametrize(
    "icc, needle",
    [
        (b"no profile at all", "its colour profile is broken"),
        (adobe()[:300], "its colour profile is broken"),
        (cmyk(), "its colour profile is of CMYK, its pixels RGB"),
        (linear_gray(), "its colour profile is of gray, its pixels RGB"),
    ],
)
def test_a_profile_that_does_not_serve_is_passed_over_with_a_note(
    tmp_path, icc, needle
):
    array = rng.integers(0, 256, (8, 8, 3), np.uint8)
    for name in "ab":
        Image.fromarray(array).save(tmp_path / f"{name}.png", icc_profile=icc)
    found, ours = only(tmp_path)
    np.testing.assert_array_equal(found, [array, array])
    (note,) = ours.notes
    assert f"of 2 files this is passed over: {needle} (a.png, b.png)" in note


def with_chunks(path, *chunks):
    """A PNG with chunks after its header."""
    content = path.read_bytes()
    more = b""
    for kind, body in chunks:
        check = struct.pack(">I", zlib.crc32(kind + body))
        more += struct.pack(">I", len(body)) + kind + body + check
    path.write_bytes(content[:33] + more + content[33:])


def test_the_exponent_of_a_png(tmp_path):
    array = np.arange(256, dtype=np.uint8).reshape(16, 16)
    gammas = {"a": 100000, "b": 45455, "c": 100000}
    for name, gamma in gammas.items():
        Image.fromarray(array).save(tmp_path / f"{name}.png")
        srgb = [(b"sRGB", b"\0")] if name == "c" else []
        with_chunks(
            tmp_path / f"{name}.png", *srgb, (b"gAMA", struct.pack(">I", gamma))
        )
    found, _ = only(tmp_path)
    np.testing.assert_array_equal(found[0, ..., 0], np.rint(encoded(array / 255) * 255))
    np.testing.assert_array_equal(found[1:, ..., 0], [array, array])


def test_lab_is_shown(tmp_path):
    array = np.zeros((4, 4, 3), np.uint8)
    array[..., 0] = np.arange(16).reshape(4, 4) * 17  # lightness; a and b are 0
    Image.fromarray(array, "LAB").save(tmp_path / "a.tif")
    found, _ = only(tmp_path)
    f = (array[..., 0] / 255 * 100 + 16) / 116
    light = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29))
    np.testing.assert_allclose(found[0, ..., 1], encoded(light) * 255, atol=2)


# --- transparency


def mean_over_white(colours, alpha, most=255):
    share = np.asarray(alpha) / most
    return np.rint(colours * share + most * (1 - share))


def test_transparency_of_every_mode(tmp_path):
    gray = np.arange(16, dtype=np.uint8).reshape(4, 4) * 16
    alpha = rng.integers(0, 256, (4, 4), np.uint8)
    key = 5 * 16  # transparent where gray is that
    cut = np.where(gray == key, 0, 255)
    expected = {}

    def save(name, image, seen, **options):
        image.save(tmp_path / f"{name}.png", **options)
        expected[name] = seen

    image = Image.fromarray(gray)
    save("a_la", Image.merge("LA", (image, Image.fromarray(alpha))), (gray, alpha))
    save("b_l_key", image, (gray, cut), transparency=key)
    deep = gray.astype(np.uint16) * 257
    save("c_deep_key", Image.fromarray(deep), (gray, cut), transparency=key * 257)
    palette = Image.fromarray(gray // 16)
    palette.putpalette([v for n in range(16) for v in (16 * n,) * 3])
    save("d_p_key", palette, (gray, cut), transparency=5)
    shares = bytes(range(0, 256, 17))
    soft = np.frombuffer(shares, np.uint8)[gray // 16]
    save("e_p_soft", palette, (gray, soft), transparency=shares)
    colours = Image.merge("RGB", (image,) * 3)
    save("f_rgb_key", colours, (gray, cut), transparency=(key,) * 3)
    bits = Image.fromarray(gray > 100)
    black = np.where(gray > 100, 255, 0)
    save("g_bits", bits, (black, black), transparency=0)
    found, ours = only(tmp_path, channels="gray")
    assert ours.size == len(expected)
    for (name, (below, over)), image in zip(expected.items(), found, strict=True):
        seen = mean_over_white(below, over)
        np.testing.assert_allclose(image[..., 0], seen, atol=1, err_msg=name)
    whole, _ = only(tmp_path, channels="rgba")
    for (name, (_, over)), image in zip(expected.items(), whole, strict=True):
        np.testing.assert_array_equal(image[..., 3], over, err_msg=name)


def raw_png(path, array, bits, kind, *chunks):
    """A PNG of other bits than Pillow writes, from the specification."""
    if bits == 16:
        lines = array.astype(">u2")
    else:
        lines = np.packbits(
            np.unpackbits(array[..., None], axis=-1)[..., -bits:].reshape(
                len(array), -1
            ),
            1,
        )
    body = b"".join(b"\0" + line.tobytes() for line in lines)
    height, width = array.shape[:2]
    head = struct.pack(">2I5B", width, height, bits, kind, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n"
    parts = (b"IHDR", head), *chunks, (b"IDAT", zlib.compress(body)), (b"IEND", b"")
    for name, part in parts:
        check = struct.pack(">I", zlib.crc32(name + part))
        content += struct.pack(">I", len(part)) + name + part + check
    path.write_bytes(content)


@pytest.mark.parametrize("bits", (2, 4))
def test_a_transparent_gray_of_few_bits(tmp_path, bits):
    array = (np.arange(16) % 2**bits).reshape(4, 4).astype(np.uint8)
    raw_png(tmp_path / "a.png", array, bits, 0, (b"tRNS", struct.pack(">H", 2)))
    found, _ = only(tmp_path, channels="rgba")
    np.testing.assert_array_equal(found[0, ..., 3], np.where(array == 2, 0, 255))


def test_sixteen_bits_of_gray_and_alpha_are_gray(tmp_path):
    array = rng.integers(0, 65536, (4, 4, 2))
    raw_png(tmp_path / "a.png", array, 16, 4)
    found, ours = only(tmp_path)
    assert ours.shape == (4, 4, 1)
    seen = mean_over_white(array[..., 0] >> 8, array[..., 1] >> 8)
    np.testing.assert_allclose(found[0, ..., 0], seen, atol=1)


def test_a_transparent_colour_of_sixteen_bits(tmp_path):
    array = rng.integers(0, 65536, (4, 4, 3))
    key = struct.pack(">3H", *array[1, 2])
    raw_png(tmp_path / "a.png", array, 16, 2, (b"tRNS", key))
    found, _ = only(tmp_path, channels="rgba")
    assert found[0, 1, 2, 3] == 0 and (found[0, ..., 3] == 0).sum() == 1


# --- depth


def test_depth_16_keeps_all_of_gray(tmp_path, monkeypatch):
    array = rng.integers(0, 65536, (3, 12, 10), np.uint16)
    Image.fromarray(array[0]).save(tmp_path / "a.png")
    Image.fromarray(array[1]).save(tmp_path / "b.tif")
    Image.fromarray(array[2].astype(np.int32)).save(tmp_path / "c.tif")
    small = rng.integers(0, 256, (12, 10), np.uint8)
    Image.fromarray(small).save(tmp_path / "d.png")
    found, ours = only(tmp_path, depth=16)
    assert (ours.shape, ours.levels, found.dtype) == ((12, 10, 1), 65535, np.uint16)
    np.testing.assert_array_equal(found[:3, ..., 0], array)
    np.testing.assert_array_equal(found[3, ..., 0], small.astype(int) * 257)
    resized, _ = only(tmp_path, depth=16, resize=(6, 5), crop=(4, 4))
    plane = Image.fromarray(array[0].astype(np.float32))
    plane = np.asarray(plane.resize((5, 6), Image.Resampling.LANCZOS))[1:5, :4]
    expected = np.rint(plane.clip(0, 65535))
    np.testing.assert_array_equal(resized[0, ..., 0], expected)
    monkeypatch.setattr(decoding, "MEMORY_BUDGET", 0)
    streamed, _ = only(tmp_path, depth=16, resize=(6, 5), crop=(4, 4))
    np.testing.assert_array_equal(streamed, resized)
    eight, _ = only(tmp_path)
    np.testing.assert_array_equal(eight[0, ..., 0], np.rint(array[0] / 65535 * 255))


def test_depth_16_of_colours_and_of_transparency(tmp_path):
    colours = rng.integers(0, 256, (4, 4, 4), np.uint8)
    Image.fromarray(colours).save(tmp_path / "a.png")
    found, ours = only(tmp_path, depth=16)
    assert ours.shape == (4, 4, 3)
    seen = mean_over_white(colours[..., :3] * 257.0, colours[..., 3:] * 257.0, 65535)
    np.testing.assert_allclose(found[0], seen, atol=1)
    with pytest.raises(UsageError, match=r"mnist: its images stay of 8 bits"):
        data.load("mnist", split="test", depth=16)
    with pytest.raises(UsageError, match="depth 12 must be 8 or 16"):
        data.load("mnist", depth=12)


def test_what_a_file_has_beyond_what_is_read_is_said(tmp_path):
    frames = [Image.fromarray(np.full((4, 4), v, np.uint8)) for v in (7, 90)]
    for name in ("a.gif", "b.tif", "c.webp", "d.png"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
    raw_png(tmp_path / "e.png", rng.integers(0, 65536, (4, 4, 3)), 16, 2)
    Image.fromarray(np.zeros((4, 4), np.uint16)).save(tmp_path / "f.png")
    found, ours = only(tmp_path)
    assert np.abs(found[:4].astype(int) - 7).max() <= 1
    colours, gray, more = "bits of colours", "depth 16 keeps (f.png)", "(a.gif, b.tif, "
    assert all(needle in " ".join(ours.notes) for needle in (colours, gray, more))
    assert len(ours.notes) == 3 and "of 4 files" in " ".join(ours.notes)
    assert len(only(tmp_path, depth=16)[1].notes) == 2


def tiff(path, strip, width, height, bits, photometric):
    """A TIFF of one strip, from the specification (TIFF 6.0)."""
    tags = [
        (256, 4, width), (257, 4, height), (258, 3, bits), (259, 3, 1),
        (262, 3, photometric), (273, 4, 8), (277, 3, 1), (278, 4, height),
        (279, 4, len(strip)),
    ]  # fmt: skip
    strip += bytes(len(strip) % 2)
    content = b"II*\0" + struct.pack("<I", 8 + len(strip)) + strip
    content += struct.pack("<H", len(tags))
    for tag, kind, value in tags:
        content += struct.pack("<HHII", tag, kind, 1, value)
    path.write_bytes(content + bytes(4))


def test_tiffs_where_zero_is_white_or_bits_are_twelve(tmp_path):
    array = rng.integers(0, 65536, (4, 4), np.uint16)
    tiff(tmp_path / "a.tif", array.astype("<u2").tobytes(), 4, 4, 16, 0)
    tiff(tmp_path / "b.tif", array.astype("<u2").tobytes(), 4, 4, 16, 1)
    twelve = array.ravel() >> 4
    packed = bytes(
        byte
        for a, b in twelve.reshape(-1, 2).tolist()
        for byte in (a >> 4, (a & 15) << 4 | b >> 8, b & 255)
    )
    tiff(tmp_path / "c.tif", packed, 4, 4, 12, 1)
    found, _ = only(tmp_path, depth=16)
    np.testing.assert_array_equal(found[0, ..., 0], 65535 - array)
    np.testing.assert_array_equal(found[1, ..., 0], array)
    np.testing.assert_array_equal(
        found[2, ..., 0].ravel(), np.rint(twelve / 4095 * 65535)
    )


# --- maps


def maps_of(folder, **options):
    Image.new("L", (4, 4)).save(folder / "images/a.png")
    return data.load(f"maps:{folder}", **options)


@pytest.fixture
def mapped(tmp_path):
    for side in ("images", "maps"):
        (tmp_path / side).mkdir()
    return tmp_path


NUMBERS = np.arange(16, dtype=np.uint8).reshape(4, 4)


def written(folder, kind):
    """A map of the numbers 0 to 15, or 0 to 3, in files of each kind; the numbers."""
    few = NUMBERS % 4
    file = folder / "maps/a"
    if kind == "L;2":
        raw_png(file.with_suffix(".png"), few, 2, 0)
        return few
    if kind == "L;4":
        raw_png(file.with_suffix(".png"), NUMBERS, 4, 0)
    if kind == "pgm":
        head = b"P5\n4 4\n19\n"
        file.with_suffix(".pgm").write_bytes(head + NUMBERS.tobytes())
    if kind == "16 bits":
        Image.fromarray(NUMBERS.astype(np.uint16)).save(file.with_suffix(".png"))
    if kind == "white 0":
        tiff(file.with_suffix(".tif"), NUMBERS.tobytes(), 4, 4, 8, 0)
    if kind == "palette":
        image = Image.fromarray(NUMBERS)
        image.putpalette(rng.integers(0, 256, 48).tolist())
        image.save(file.with_suffix(".png"), transparency=3, icc_profile=adobe())
    if kind == "bits":
        Image.fromarray(NUMBERS > 5).save(file.with_suffix(".png"))
        return (NUMBERS > 5).astype(np.uint8)
    if kind == "turned":
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.fromarray(NUMBERS).save(file.with_suffix(".png"), exif=exif)
        return np.rot90(NUMBERS, -1)
    if kind == "turned tif":
        exif = Image.Exif()
        exif[0x0112] = 8
        Image.fromarray(NUMBERS).save(file.with_suffix(".tif"), exif=exif)
        return np.rot90(NUMBERS, 1)
    return NUMBERS


@pytest.mark.parametrize(
    "kind",
    [
        "L;2",
        "L;4",
        "pgm",
        "16 bits",
        "white 0",
        "palette",
        "bits",
        "turned",
        "turned tif",
    ],
)
def test_maps_have_the_numbers_of_their_files(mapped, kind):
    numbers = written(mapped, kind)
    ours = maps_of(mapped)
    np.testing.assert_array_equal(ours.fetch(np.zeros(1, int))["map"][0], numbers)
    assert ours.map_numbers == tuple(np.unique(numbers).tolist())
    deep = maps_of(mapped, depth=16).fetch(np.zeros(1, int))
    np.testing.assert_array_equal(deep["map"][0], numbers)
    assert deep["map"].dtype == np.uint8 and deep["image"].dtype == np.uint16


@pytest.mark.parametrize(
    "name, options, needle",
    [
        ("a.jpg", {}, "JPEG may change a map's numbers"),
        ("a.jp2", {}, "JPEG2000 may change a map's numbers"),
        ("a.webp", {}, "WEBP may change a map's numbers"),
        ("a.tif", {"compression": "jpeg"}, "TIFF with jpeg may change a map's numbers"),
    ],
)
def test_maps_whose_numbers_are_not_exact_are_named(mapped, name, options, needle):
    Image.fromarray(NUMBERS).save(mapped / "maps" / name, **options)
    with pytest.raises(UsageError) as caught:
        maps_of(mapped)
    assert f"maps/{name} ({needle}" in str(caught.value) and "PNG" in str(caught.value)


def test_numbers_beyond_a_byte_are_named(mapped):
    Image.fromarray(NUMBERS.astype(np.uint16) * 20).save(mapped / "maps/a.png")
    with pytest.raises(
        UsageError, match=r"maps/a\.png \(number 300: classes go from 0"
    ):
        maps_of(mapped)


def test_void_pixels_are_of_no_class(mapped):
    numbers = NUMBERS.copy()
    numbers[0, :2] = 255
    Image.fromarray(numbers).save(mapped / "maps/a.png")
    assert maps_of(mapped).map_classes == 256
    ours = maps_of(mapped, void=255)
    assert ours.map_classes == 16 and ours.map_numbers == tuple(range(2, 16))
    np.testing.assert_array_equal(ours.fetch(np.zeros(1, int))["map"][0], numbers)
    Image.fromarray(NUMBERS).save(mapped / "maps/a.png")
    ours = maps_of(mapped, void=0)
    assert ours.map_numbers == tuple(range(1, 16))
    expected = np.where(NUMBERS == 0, 255, NUMBERS)
    np.testing.assert_array_equal(ours.fetch(np.zeros(1, int))["map"][0], expected)
    Image.fromarray(numbers).save(mapped / "maps/a.png")
    with pytest.raises(UsageError, match="class 255 beside void pixels"):
        maps_of(mapped, void=5)
    with pytest.raises(UsageError, match=r"void 255: mnist has no label maps"):
        data.load("mnist", split="test", void=255)
    with pytest.raises(UsageError, match=r"void 3: mapped_mnist keeps this class"):
        data.load("mapped_mnist", split="test", void=3)
    image = np.zeros((1, 4, 4, 3), np.uint8)
    arrays = data.from_arrays(image, map=NUMBERS[None], void=15)
    assert arrays.map_numbers == tuple(range(15))
    assert arrays.fetch(np.zeros(1, int))["map"][0, 3, 3] == 255


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp", "avif"])
@pytest.mark.parametrize("turn", [2, 3, 4, 5, 6, 7, 8])
def test_every_orientation_is_applied(tmp_path, suffix, turn):
    array = np.zeros((16, 32), np.uint8)
    array[:8, :16] = 255  # the upper left quarter is white
    stored = {
        2: array[:, ::-1], 3: array[::-1, ::-1], 4: array[::-1], 5: array.T,
        6: np.rot90(array), 7: np.rot90(array.T, 2), 8: np.rot90(array, -1),
    }[turn]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = turn
    image = Image.fromarray(np.ascontiguousarray(stored))
    image.save(tmp_path / f"a.{suffix}", exif=exif, quality=95)
    Image.fromarray(array).save(tmp_path / "b.png")
    found, _ = only(tmp_path, channels="gray")
    difference = found[0].astype(int) - found[1]
    assert np.abs(difference).max() < 40 and np.abs(difference).mean() < 3


def test_what_is_opened_is_what_pillow_opens_as_pictures():
    known = pictures.suffixes()
    assert {".jfif", ".jp2", ".avif", ".tga", ".apng", ".png", ".webp"} <= known
    assert not known & {".eps", ".ps", ".pdf", ".mpg", ".h5", ".wmf", ".grib", ".txt"}
