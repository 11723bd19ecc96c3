"""Convolutions against torch (values, first and second derivatives) and against lax.

Most is compared in float64, to 1e-10, so that a wrong pixel at a border cannot hide in
rounding.
"""

import importlib
import itertools

import jax
import jax.experimental
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from flax import linen as nn
from jax import export, lax, random
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jaxgan import ops, parallel
from jaxgan.ops import cpu, winograd
from jaxgan.ops.blocks import blocks

torch.set_num_threads(1)  # a second one only waits for work as small as this
forms = importlib.import_module("jaxgan.ops.conv")  # `ops.conv` is the function

STRIDES = (1, 2, 3, (2, 1))
WINDOWS = ((1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (3, 2), (1, 4))
PADDINGS = (
    "SAME",
    "VALID",
    1,
    ((0, 2), (1, 0)),
    ((-1, 0), (0, -2)),
    ((3, -1), (2, 1)),
)
SIZES = ((7, 8), (9, 7), (8, 11), (6, 9), (11, 10))


def _x64():
    """Double precision for a while; the context moved between versions of jax."""
    new = hasattr(jax, "enable_x64")
    return jax.enable_x64(True) if new else jax.experimental.enable_x64()


def _pair(n):
    return (n, n) if isinstance(n, int) else n


def _normal(*shapes, seed=0, dtype="float64"):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=s).astype(dtype) for s in shapes]


def _torch_pads(padding, size, window, stride):
    """((top, bottom), (left, right)); SAME as TensorFlow defines it."""
    if padding == "VALID":
        return ((0, 0), (0, 0))
    if isinstance(padding, int):
        return ((padding, padding),) * 2
    if padding != "SAME":
        return padding
    total = [
        max((-(-n // s) - 1) * s + k - n, 0)
        for n, k, s in zip(size, window, _pair(stride), strict=True)
    ]
    return tuple((t // 2, t - t // 2) for t in total)


def _torch_conv(x, w, stride, padding):
    """NHWC and HWIO in, NHWC out; torch's own conv2d inside."""
    rows, cols = _torch_pads(padding, x.shape[1:3], w.shape[:2], stride)
    x = F.pad(x.permute(0, 3, 1, 2), (*cols, *rows))
    return F.conv2d(x, w.permute(3, 2, 0, 1), stride=stride).permute(0, 2, 3, 1)


def _torch_conv_transpose(x, w, stride, padding):
    """torch's conv_transpose2d, cropped (or, for negative padding, extended)."""
    full = F.conv_transpose2d(
        x.permute(0, 3, 1, 2), w.permute(3, 2, 0, 1), stride=stride
    )
    if padding == "SAME":
        crops = []
        for n, k, s in zip(x.shape[1:3], w.shape[:2], _pair(stride), strict=True):
            top = max(k - s, 0) // 2
            crops.append((top, (n - 1) * s + k - n * s - top))
        rows, cols = crops
    else:
        rows, cols = _torch_pads(padding, None, w.shape[:2], stride)
    crop = [-n for n in (*cols, *rows)]
    return F.pad(full, crop).permute(0, 2, 3, 1)


PAIRS = {
    "conv": (ops.conv, _torch_conv),
    "conv_transpose": (ops.conv_transpose, _torch_conv_transpose),
}


def _derivatives_jax(f, x, w, vx, vw):
    """The value, its Jacobian-vector product, and gradients of first and second order
    of sum(y³)/6."""

    def gradient(x, w):
        return jax.grad(lambda x, w: jnp.sum(f(x, w) ** 3) / 6, (0, 1))(x, w)

    def along(x, w):
        gx, gw = gradient(x, w)
        return jnp.vdot(gx, vx) + jnp.vdot(gw, vw)

    y, tangent = jax.jvp(f, (x, w), (vx, vw))
    return y, tangent, *gradient(x, w), *jax.grad(along, (0, 1))(x, w)


def _derivatives_torch(f, x, w, vx, vw):
    x, w, vx, vw = (torch.tensor(a) for a in (x, w, vx, vw))
    x.requires_grad_(), w.requires_grad_()
    y = f(x, w)
    tangent = f(vx, w) + f(x, vw)  # of a bilinear function
    first = torch.autograd.grad((y**3).sum() / 6, (x, w), create_graph=True)
    along = (first[0] * vx).sum() + (first[1] * vw).sum()
    second = torch.autograd.grad(along, (x, w))
    return [t.detach().numpy() for t in (y, tangent, *first, *second)]


def _geometries():
    """Every stride with every window; paddings and sizes in turn."""
    for i, (stride, window) in enumerate(itertools.product(STRIDES, WINDOWS)):
        yield stride, window, PADDINGS[i % len(PADDINGS)], SIZES[i % len(SIZES)]


# Forms differ with how many channels there are, beside one another and beside pixels.
CHANNELS = ((3, 2), (1, 7), (6, 2), (2, 300))


# Both use all three primitives, so each takes half (of all paddings: hence the 6).
GEOMETRIES = [
    (
        ("conv", "conv_transpose")[(i + i // 6) % 2],
        g,
        CHANNELS[(i // 2) % len(CHANNELS)],
    )
    for i, g in enumerate(_geometries())
]


# Many terms of a sum, and fewer pixels than channels.
GEOMETRIES += [(name, (1, (5, 5), 2, (5, 4)), (2, 300)) for name in PAIRS]


def _shapes(name, window, size, channels=CHANNELS[0]):
    """Of x and w; a transposed convolution enlarges, so give it less."""
    few, many = channels
    if name == "conv":
        return (2, *size, few), (*window, few, many)
    return (2, *(n // 2 + 1 for n in size), many), (*window, few, many)


def _assert_close(got, expected, tol):
    names = ("y", "jvp", "dx", "dw", "d2x", "d2w")
    for what, g, e in zip(names, got, expected, strict=True):
        assert g.shape == e.shape and g.dtype == e.dtype, what
        scale = np.abs(e).max()
        np.testing.assert_allclose(g, e, rtol=tol, atol=tol * scale, err_msg=what)


def _compare(name, geometry, dtype, tol):
    stride, window, padding, size = geometry
    ours, theirs = PAIRS[name]
    shapes = _shapes(name, window, size)
    args = _normal(*shapes, *shapes, dtype=dtype)
    f = lambda x, w: ours(x, w, stride, padding)  # noqa: E731
    got = jax.jit(lambda *args: _derivatives_jax(f, *args))(*args)
    expected = _derivatives_torch(lambda x, w: theirs(x, w, stride, padding), *args)
    _assert_close(got, expected, tol)


# --- against torch


FORMS = ("patches", "minimal", "patches in pieces", "rows in pieces")
FORMS += ("rows", "spread", "spread in pieces", "minimal in pieces")


def fits(name, kernel, stride, padding, weight=False):
    """Whether a form of the CPU's computes such a convolution."""
    if name == "minimal":
        return all(r in winograd.BT for r in blocks(kernel[:2], stride))
    whole = name == "patches" or (name == "spread" and weight)
    return not whole and cpu._swaps(kernel, stride, padding)


def take(monkeypatch, form):
    """One of the CPU's forms alone where it fits, and patches elsewhere, whatever the
    sizes; a whole batch at once, or pieces of a single image."""
    name, cut, _ = form.partition(" in pieces")

    def choice(kernel, stride, padding, made, _, weight=False):
        fit = fits(name, kernel, stride, padding, weight)
        return name if fit else "patches", made.shape[0] if cut else 1

    for bound in ("MANY", "POSITIONS"):
        monkeypatch.setattr(winograd, bound, 0 if name == "minimal" else 10**9)
    monkeypatch.setattr(cpu, "_choice", choice)
    monkeypatch.setattr(cpu, "CUT", 0 if cut else 10**12)
    monkeypatch.setattr(cpu, "PIECE", 1)


@pytest.fixture(params=FORMS)
def form(request, monkeypatch):
    """Each of the CPU's forms, whatever the sizes."""
    take(monkeypatch, request.param)


def _of_forms():
    """Every form at each geometry that it fits, for one of the two functions."""
    for form in FORMS:
        name = form.partition(" ")[0]
        for i, g in enumerate(_geometries()):
            (stride, window, padding, size), of = g, ("conv", "conv_transpose")[i % 2]
            pads = _torch_pads(padding, size, window, stride)
            some = name == "patches" and "pieces" in form and i % 4 == 0
            if some or fits(name, (*window, 2, 3), _pair(stride), pads):
                yield form, of, g


@pytest.mark.parametrize(("form", "name", "geometry"), list(_of_forms()), ids=str)
def test_each_form_equals_torch_s_at_any_geometry(monkeypatch, form, name, geometry):
    take(monkeypatch, form)
    with _x64():
        _compare(name, geometry, "float64", 1e-10)


@pytest.mark.parametrize("batch", (0, 1))
@pytest.mark.parametrize("name", PAIRS)
def test_minimal_filtering_of_a_single_pixel(monkeypatch, name, batch):
    take(monkeypatch, "minimal")
    ours, theirs = PAIRS[name]
    size = {"conv": 2, "conv_transpose": 1}[name]
    args = _normal((batch, size, size, 3), (4, 4, 3, 3), dtype="float32")
    tensors = [torch.tensor(a, requires_grad=True) for a in args]
    y = theirs(*tensors, 2, 1)
    expected = torch.autograd.grad((y**2).sum(), tensors)
    loss = jax.jit(lambda x, w: (ours(x, w, 2, 1) ** 2).sum())
    got = jax.jit(jax.grad(loss, (0, 1)))(*args)
    for g, e in zip(got, expected, strict=True):
        np.testing.assert_allclose(g, e, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("window", (3, 4))
def test_many_channels_and_pixels_take_minimal_filtering_and_few_patches(window):
    def products(channels, features, dtype="float32", batch=16):
        """In the compiled convolution of 8x8 images at stride window - 2."""
        x = jnp.zeros((batch, 8, 8, channels), dtype)
        w = jnp.zeros((window, window, channels, features), dtype)
        stride = window - 2
        text = jax.jit(lambda x, w: ops.conv(x, w, stride)).lower(x, w).as_text()
        return text.count("dot_general")

    minimal = {3: 16, 4: 9}[window]
    assert products(64, 64) == minimal
    assert products(64, 3) == products(3, 64) == 1
    assert products(64, 64, "bfloat16") == 1  # its sums would round too early
    assert products(16, 64) == (1 if window == 3 else minimal)
    assert products(64, 64, batch=3) == 1


def _forms_of(shape, features, window, devices=1, dtype="float32"):
    """Which forms the three functions take at stride 1, and in how many pieces."""
    x, c = jax.ShapeDtypeStruct(shape, dtype), shape[3]
    padding = ((window // 2,) * 2,) * 2

    def of(c, f, weight=False):
        kernel = window, window, c, f
        return cpu._choice(kernel, (1, 1), padding, x, devices == 1, weight)

    return of(c, features), of(features, c), of(c, features, weight=True)


def test_large_images_of_few_channels_take_rows_and_large_ones_pieces():
    large = (64, 32, 32, 32)
    assert [n for n, _ in _forms_of(large, 32, 3)] == ["rows"] * 3
    assert all(p > 1 for _, p in _forms_of(large, 32, 3))
    assert _forms_of((1, 256, 256, 32), 32, 3)[0] == ("rows", 1)
    minimal = [_forms_of((n, 8, 8, 512), 512, 3)[0] for n in (127, 128)]
    assert minimal == [("minimal", 1), ("minimal", 8)]
    # Divided over devices a batch is not cut, or devices would pass it around.
    assert [p for _, p in _forms_of(large, 32, 3, devices=2)] == [1, 1, 1]
    assert _forms_of((16, 8, 8, 32), 32, 3) == (("patches", 1),) * 3
    few = _forms_of((16, 64, 64, 32), 3, 9)
    assert few[0][0] == "spread" and few[0][1] > 1  # 243 numbers a pixel, not 315
    assert few[1][0] == "rows"
    (name, pieces), *_ = _forms_of((64, 32, 32, 64), 64, 3)
    assert name == "minimal" and pieces > 1


@pytest.mark.parametrize("batch", (1, 5, 12))
def test_pieces_divide_the_batch_and_are_as_small_as_asked(batch):
    x = jax.ShapeDtypeStruct((batch, 1, 1), "float32")
    n = cpu._pieces(x, 5 * cpu.PIECE, True)  # of 4 bytes each
    assert batch % n == 0 and (n == batch or n >= 20)
    assert cpu._pieces(x, cpu.CUT // 4, True) == 1  # not above CUT
    assert cpu._pieces(x, cpu.CUT // 4 + 1, True) == {1: 1, 5: 5, 12: 3}[batch]
    assert cpu._pieces(x, 5 * cpu.PIECE, False) == 1


@pytest.mark.parametrize(("name", "geometry", "channels"), GEOMETRIES, ids=str)
def test_values_and_gradients_equal_torch_s_at_any_geometry(name, geometry, channels):
    stride, window, padding, size = geometry
    ours, theirs = PAIRS[name]
    x, w = _normal(*_shapes(name, window, size, channels))
    t = [torch.tensor(a, requires_grad=True) for a in (x, w)]
    ty = theirs(*t, stride, padding)
    (v,) = _normal(ty.shape, seed=1)
    expected = ty, *torch.autograd.grad(ty, t, torch.tensor(v))

    @jax.jit
    def run(x, w, v):
        y, pull = jax.vjp(lambda x, w: ours(x, w, stride, padding), x, w)
        return y, *pull(v)

    with _x64():
        got = run(x, w, v)
    for what, g, e in zip(("y", "dx", "dw"), got, expected, strict=True):
        assert g.shape == e.shape and g.dtype == "float64", what
        np.testing.assert_allclose(g, e.detach(), rtol=1e-10, atol=1e-10, err_msg=what)


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize(
    "geometry",
    [
        (2, (4, 4), "SAME", (8, 8)),
        (3, (2, 5), ((0, 2), (1, 0)), (7, 9)),
        ((2, 1), (3, 2), ((-1, 0), (0, -2)), (8, 7)),
    ],
    ids=str,
)
def test_derivatives_equal_torch_s_to_second_order(name, geometry):
    with _x64():
        _compare(name, geometry, "float64", 1e-10)


@pytest.mark.parametrize("name", PAIRS)
def test_float32_is_as_exact_as_it_can_be(name, form):
    _compare(name, (2, (4, 4), 1, (8, 6)), "float32", 2e-5)


@pytest.mark.parametrize("name", PAIRS)
def test_bfloat16_is_float32_rounded(name, form):
    ours, theirs = PAIRS[name]
    args = _normal(*_shapes(name, (4, 4), (8, 8)), dtype="float32")
    x, w = (jnp.asarray(a, jnp.bfloat16) for a in args)
    y, pull = jax.vjp(lambda x, w: ours(x, w, 2, 1), x, w)
    outs = y, *pull(y)
    assert all(o.dtype == jnp.bfloat16 for o in outs)
    tx, tw = (
        torch.tensor(np.asarray(a, "float32"), requires_grad=True) for a in (x, w)
    )
    ty = theirs(tx, tw, 2, 1)
    cotangent = torch.tensor(np.asarray(y, "float32"))
    expected = ty, *torch.autograd.grad(ty, (tx, tw), cotangent)
    for o, e in zip(outs, expected, strict=True):
        e = e.detach()
        once = e.bfloat16().float() - e  # sums in float32, rounded at the end
        error = torch.tensor(np.asarray(o, "float32")) - e
        assert error.square().mean() < 1.5 * once.square().mean()


def test_pixels_that_the_stride_leaves_unused_get_a_gradient_of_zero():
    x, w = _normal((1, 8, 9, 1), (3, 3, 1, 1), dtype="float32")
    dx = jax.grad(lambda x: ops.conv(x, w, 3, "VALID").sum())(jnp.asarray(x))
    # Windows start at 0 and 3 (and 6): rows 6 and 7 of 8 are never read.
    np.testing.assert_array_equal(dx[0, 6:], 0)
    assert (np.abs(dx[0, :6]) > 0).all()


def test_conv_transpose_is_the_adjoint_of_conv():
    """<conv(x, w), y> = <x, conv_transpose(y, w)>, the definition."""
    for n, stride, padding in (
        (6, 1, "SAME"),
        (6, 2, "SAME"),
        (7, 2, 1),
        (9, 3, "VALID"),
    ):
        x, w = _normal((2, n, n, 3), (3, 3, 3, 5), dtype="float32")
        y = ops.conv(x, w, stride, padding)
        (v,) = _normal(y.shape, seed=1, dtype="float32")
        back = ops.conv_transpose(v, w, stride, padding)
        assert back.shape == x.shape
        np.testing.assert_allclose(np.vdot(y, v), np.vdot(x, back), rtol=1e-4)


@pytest.mark.parametrize("window", ((2, 2), (3, 3), (4, 4), (5, 5)))
def test_conv_transpose_same_is_lax_s_own(window):
    x, w = _normal((2, 4, 5, 3), (*window, 2, 3), dtype="float32")
    y = ops.conv_transpose(x, w, 2, "SAME")
    assert y.shape == (2, 8, 10, 2)
    theirs = lax.conv_transpose(x, w, (2, 2), "SAME", transpose_kernel=True)
    np.testing.assert_allclose(y, theirs, rtol=1e-5, atol=1e-5)


# --- transformations


def test_jit_equals_eager_and_numpy_is_welcome():
    for name, (ours, _) in PAIRS.items():
        x, w = _normal(*_shapes(name, (4, 4), (6, 7)), dtype="float32")
        f = lambda x, w: ours(x, w, (2, 1), 1)  # noqa: B023, E731
        eager = f(jnp.asarray(x), jnp.asarray(w))
        np.testing.assert_array_equal(f(x, w), eager)
        np.testing.assert_allclose(jax.jit(f)(x, w), eager, rtol=1e-6, atol=1e-6)


def test_works_with_jit_disabled():
    """`jax.disable_jit` is how users debug."""
    x, w = _normal((1, 4, 4, 1), (3, 3, 1, 1), dtype="float32")
    with jax.disable_jit():
        y = ops.conv(x, w)
    expected = _torch_conv(torch.tensor(x), torch.tensor(w), 1, "SAME")
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)


# What of (x, w) carries the vmapped axis, and where.
AXES = {"x": (1, None), "w": (None, 2), "both": (0, 0), "inner axes": (2, 3)}
batched = pytest.mark.parametrize("axes", AXES.values(), ids=AXES)


def _lead(arrays, axes, n=3):
    """numpy copies with the vmapped axis in front, repeated where there is none."""
    return [
        np.broadcast_to(a, (n, *a.shape)) if d is None else np.moveaxis(a, d, 0)
        for a, d in zip(arrays, axes, strict=True)
    ]


def _stacked(name, axes, n=3):
    shapes = [
        s if d is None else (*s[:d], n, *s[d:])
        for s, d in zip(_shapes(name, (3, 2), (5, 6)), axes, strict=True)
    ]
    return _normal(*shapes, *shapes)


@pytest.mark.parametrize("name", PAIRS)
@batched
def test_vmap_of_derivatives_equals_a_loop_of_torch(name, axes):
    ours, theirs = PAIRS[name]
    args = _stacked(name, axes)
    with _x64():
        f = lambda x, w: ours(x, w, 2, ((0, 1), (1, 0)))  # noqa: E731
        one = lambda *args: _derivatives_jax(f, *args)  # noqa: E731
        got = jax.jit(jax.vmap(one, (*axes, *axes)))(*args)
    t = lambda x, w: theirs(x, w, 2, ((0, 1), (1, 0)))  # noqa: E731
    loop = [
        _derivatives_torch(t, *one)
        for one in zip(*_lead(args, (*axes, *axes)), strict=True)
    ]
    _assert_close(got, [np.stack(a) for a in zip(*loop, strict=True)], 1e-10)


@pytest.mark.parametrize("name", PAIRS)
@batched
def test_derivatives_of_vmap_equal_a_loop_of_torch(name, axes):
    ours, theirs = PAIRS[name]
    args = _stacked(name, axes)
    with _x64():
        f = jax.vmap(lambda x, w: ours(x, w, 2, 1), axes)
        got = jax.jit(lambda *args: _derivatives_jax(f, *args))(*args)

    def loop(x, w):
        x, w = (
            [a] * 3 if d is None else a.unbind(d)
            for a, d in zip((x, w), axes, strict=True)
        )
        each = [theirs(x, w, 2, 1) for x, w in zip(x, w, strict=True)]
        return torch.stack(each)

    _assert_close(got, _derivatives_torch(loop, *args), 1e-10)


@pytest.mark.parametrize("name", PAIRS)
def test_nested_vmap_equals_two_loops(name):
    """Many kernels, each on many stacks of images: kernels × stacks."""
    ours, theirs = PAIRS[name]
    sx, sw = _shapes(name, (3, 3), (5, 4))
    xs, ws = _normal((2, *sx), (3, *sw))

    @jax.jit
    def run(xs, ws):
        f = lambda x, w: ours(x, w, 2, 1)  # noqa: E731
        grad = jax.grad(lambda x, w: jnp.sum(f(x, w) ** 3) / 6, (0, 1))
        inner_x = jax.vmap(jax.vmap(grad, (0, None)), (None, 0))
        inner_w = jax.vmap(jax.vmap(grad, (None, 0)), (0, None))
        per_example = jax.vmap(jax.vmap(f, (0, None)), (0, None))
        over_kernels = jax.vmap(per_example, (None, 0), out_axes=1)
        return inner_x(xs, ws), inner_w(xs, ws), over_kernels(xs[:, :, None], ws)

    with _x64():
        inner_x, inner_w, per_example = run(xs, ws)
    for i, x in enumerate(xs):
        for j, w in enumerate(ws):
            tx, tw = (torch.tensor(a, requires_grad=True) for a in (x, w))
            y = theirs(tx, tw, 2, 1)
            expected = torch.autograd.grad((y**3).sum() / 6, (tx, tw))
            for g, h, e in zip(inner_x, inner_w, expected, strict=True):
                np.testing.assert_allclose(g[j, i], e, rtol=1e-9, atol=1e-9)
                np.testing.assert_allclose(h[i, j], e, rtol=1e-9, atol=1e-9)
            np.testing.assert_allclose(
                per_example[i, j][:, 0], y.detach(), rtol=1e-9, atol=1e-9
            )


def test_training_inside_scan_equals_training_in_torch():
    """Three steps of gradient descent on a kernel, and the meta-gradient through them
    in the first kernel."""
    xs, w0 = _normal((3, 2, 6, 6, 2), (4, 4, 2, 2))
    w0 = w0 / 10

    with _x64():

        def loss(w, x):
            return jnp.sum(jnp.tanh(ops.conv(x, w, 2, 1)) ** 2)

        def trained(w):
            def one(w, x):
                value, grad = jax.value_and_grad(loss)(w, x)
                return w - 0.05 * grad, value

            w, values = lax.scan(one, w, jnp.asarray(xs))
            return loss(w, xs[0]), (w, values)

        meta, (w, values) = jax.jit(jax.grad(trained, has_aux=True))(jnp.asarray(w0))

    tw0 = torch.tensor(w0, requires_grad=True)
    tw, losses = tw0, []
    t_loss = lambda w, x: _torch_conv(torch.tensor(x), w, 2, 1).tanh().square().sum()  # noqa: E731
    for x in xs:
        losses.append(t_loss(tw, x))
        (grad,) = torch.autograd.grad(losses[-1], tw, create_graph=True)
        tw = tw - 0.05 * grad
    (t_meta,) = torch.autograd.grad(t_loss(tw, xs[0]), tw0)
    np.testing.assert_allclose(values, [v.item() for v in losses], rtol=1e-10)
    np.testing.assert_allclose(w, tw.detach(), rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(meta, t_meta, rtol=1e-8, atol=1e-9)


def test_the_hessian_of_a_square_is_jᵀj():
    """jacfwd of jacrev: vmapped forward over vmapped reverse. J from torch."""
    x, w = _normal((1, 4, 4, 1), (2, 2, 1, 2))
    with _x64():
        half = lambda w: jnp.sum(ops.conv(x, w, 2, "VALID") ** 2) / 2  # noqa: E731
        hessian = np.asarray(jax.hessian(half)(jnp.asarray(w))).reshape(w.size, w.size)
    j = torch.autograd.functional.jacobian(
        lambda w: _torch_conv(torch.tensor(x), w, 2, "VALID").flatten(), torch.tensor(w)
    ).reshape(-1, w.size)
    np.testing.assert_allclose(hessian, j.T @ j, rtol=1e-10, atol=1e-10)


def test_rematerialized_gradients_are_the_same():
    x, w = map(jnp.asarray, _normal((2, 6, 6, 2), (4, 4, 2, 2), dtype="float32"))
    loss = lambda w: jnp.sum(jnp.tanh(ops.conv(x, w, 2, 1)))  # noqa: E731
    np.testing.assert_allclose(
        jax.grad(jax.checkpoint(loss))(w), jax.grad(loss)(w), rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("wrt", ("x", "w", "xw"))
def test_only_the_other_operand_is_kept_for_the_gradient(name, wrt):
    """No patches, and no residual of a second platform's branch."""
    ours, _ = PAIRS[name]
    arrays = dict(zip("xw", _normal(*_shapes(name, (4, 4), (8, 8))), strict=True))
    arrays = {n: jnp.asarray(a, "float32") for n, a in arrays.items()}
    fixed = {n: a for n, a in arrays.items() if n not in wrt}
    trained = {n: a for n, a in arrays.items() if n in wrt}
    f = lambda trained: ours(**(trained | fixed), stride=2)  # noqa: E731
    _, pull = jax.vjp(f, trained)
    kept = sum(a.size for a in jax.tree.leaves(pull))
    others = {"x": "w", "w": "x", "xw": "xw"}[wrt]
    assert kept <= sum(arrays[n].size for n in others)


# --- platforms


def _lowered(f, platform, *args):
    text = jax.jit(f).trace(*args).lower(lowering_platforms=(platform,)).as_text()
    return text.count("stablehlo.convolution"), text.count("stablehlo.dot_general")


@pytest.mark.parametrize("name", PAIRS)
def test_each_platform_gets_its_own_lowering(name):
    """The value and both gradients: convolutions on accelerators, products on CPU."""
    ours, _ = PAIRS[name]
    x, w = map(jnp.asarray, _normal(*_shapes(name, (4, 4), (8, 8)), dtype="float32"))
    step = jax.value_and_grad(lambda x, w: jnp.sum(ours(x, w, 2) ** 2), (0, 1))
    xs, ws = jnp.stack([x, x]), jnp.stack([w, w])
    for f, args in (
        (step, (x, w)),
        (jax.vmap(step, (0, None)), (xs, w)),
        (jax.vmap(step), (xs, ws)),
    ):
        assert _lowered(f, "tpu", *args) == (3, 0)
        assert _lowered(f, "cuda", *args) == (3, 0)
        assert _lowered(f, "cpu", *args) == (0, 3)


def test_one_export_serves_every_platform():
    x, w = _normal((2, 6, 6, 3), (4, 4, 3, 2), dtype="float32")
    f = jax.jit(lambda x, w: ops.conv(x, w, 2, 1))
    exported = export.export(f, platforms=("cpu", "tpu", "cuda"))(x, w)
    expected = _torch_conv(torch.tensor(x), torch.tensor(w), 2, 1)
    np.testing.assert_allclose(exported.call(x, w), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("many", (False, True), ids=("one kernel", "many kernels"))
@pytest.mark.parametrize(
    "geometry", [g for i, g in enumerate(_geometries()) if i % 5 == 0], ids=str
)
def test_what_accelerators_run_equals_torch(geometry, many):
    """The lowerings for GPU and TPU, run on CPU; `many` as vmap over kernels has it."""
    stride, window, padding, size = geometry
    pads = _torch_pads(padding, size, window, stride)
    x, w = _normal((2, 2, *size, 3), (2, *window, 3, 2))
    t = [torch.tensor(a, requires_grad=True) for a in (x, w)]
    y = torch.stack([_torch_conv(*xw, stride, pads) for xw in zip(*t, strict=True)])
    (v,) = _normal(y.shape, seed=1)
    expected = y, *torch.autograd.grad(y, t, torch.tensor(v))
    where = {"stride": _pair(stride), "padding": pads}

    @jax.jit
    def run(x, w, v):
        return (
            forms._grouped(forms._conv_xla, jax.vmap)(x, w, **where),
            forms._grouped(forms._conv_x_xla, jax.vmap)(v, w, size=size, **where),
            forms._grouped(forms._conv_w_xla, jax.vmap)(x, v, window=window, **where),
        )

    with _x64():
        got = run(x, w, v) if many else run(x[0], w[0], v[0])
    for g, e in zip(got, expected, strict=True):
        e = e.detach().numpy() if many else e.detach().numpy()[0]
        np.testing.assert_allclose(g, e, rtol=1e-10, atol=1e-10)


# --- devices


def _value_and_grads(x, w):
    y, pull = jax.vjp(lambda x, w: ops.conv(x, w, 2, 1), x, w)
    return y, *pull(y)


def _expected_value_and_grads(x, w):
    x, w = (torch.tensor(a, requires_grad=True) for a in (x, w))
    y = _torch_conv(x, w, 2, 1)
    return y.detach(), *torch.autograd.grad(y, (x, w), y.detach())


def test_a_batch_divided_over_8_devices_gives_the_same(monkeypatch):
    monkeypatch.setattr(cpu, "CUT", 0)
    monkeypatch.setattr(cpu, "PIECE", 1)  # but not of what others have a part of
    x, w = _normal((16, 6, 6, 3), (4, 4, 3, 5), dtype="float32")
    mesh = parallel.mesh()
    run = jax.jit(
        _value_and_grads,
        in_shardings=(parallel.divided(mesh), parallel.replicated(mesh)),
    )
    text = run.lower(x, w).compile().as_text()
    assert "all-gather" not in text and "while" not in text
    got = run(x, w)
    assert len(got[0].sharding.device_set) == 8
    assert got[0].addressable_shards[0].data.shape == (2, 3, 3, 5)
    for g, e in zip(got, _expected_value_and_grads(x, w), strict=True):
        np.testing.assert_allclose(g, e, rtol=1e-4, atol=1e-4)


def test_a_share_that_jit_divides_further_is_not_cut(monkeypatch):
    monkeypatch.setattr(cpu, "CUT", 0)
    monkeypatch.setattr(cpu, "PIECE", 1)
    mesh = jax.make_mesh((2, 4), ("a", "b"), axis_types=(AxisType.Auto,) * 2)
    x, w = _normal((16, 6, 6, 3), (4, 4, 3, 5), dtype="float32")

    def local(x, w):
        return ops.conv(x, w)

    parts = PartitionSpec("a")
    run = jax.jit(
        jax.shard_map(
            local,
            mesh=mesh,
            in_specs=(parts, PartitionSpec()),
            out_specs=parts,
            axis_names={"a"},
            check_vma=False,
        ),
        in_shardings=(
            NamedSharding(mesh, PartitionSpec(("a", "b"))),
            NamedSharding(mesh, PartitionSpec()),
        ),
    )
    text = run.lower(x, w).compile().as_text()
    assert "all-gather" not in text and "while" not in text


def test_shard_map_gives_the_same(monkeypatch):
    monkeypatch.setattr(cpu, "CUT", 0)
    monkeypatch.setattr(cpu, "PIECE", 1)  # a device cuts its own share
    x, w = _normal((16, 6, 6, 3), (4, 4, 3, 5), dtype="float32")

    def local(x, w):
        y, dx, dw = _value_and_grads(x, w)
        return y, dx, lax.psum(dw, "data")

    parts, whole = PartitionSpec("data"), PartitionSpec()
    run = jax.shard_map(
        local,
        mesh=parallel.mesh(),
        in_specs=(parts, whole),
        out_specs=(parts, parts, whole),
        check_vma=False,
    )
    assert "while" in jax.jit(run).lower(x, w).as_text()
    for g, e in zip(jax.jit(run)(x, w), _expected_value_and_grads(x, w), strict=True):
        np.testing.assert_allclose(g, e, rtol=1e-4, atol=1e-4)


# --- groups


def _torch_grouped(name, groups):
    """torch's own grouped convolutions, NHWC and HWIO in."""

    def conv(x, w):
        y = F.conv2d(
            x.permute(0, 3, 1, 2), w.permute(3, 2, 0, 1), None, 2, 1, groups=groups
        )
        return y.permute(0, 2, 3, 1)

    def conv_transpose(x, w):
        y = F.conv_transpose2d(
            x.permute(0, 3, 1, 2), w.permute(3, 2, 0, 1), None, 2, 1, groups=groups
        )
        return y.permute(0, 2, 3, 1)

    return {"conv": conv, "conv_transpose": conv_transpose}[name]


def _grouped_shapes(name, groups):
    """Of x and w, three channels of a group beside two on the other side."""
    wide, narrow = 3 * groups, 2 * groups
    c, features = (wide, 2 * groups) if name == "conv" else (narrow, narrow)
    return (2, 7, 6, c), (3, 4, 3, features)


GROUPS = (2, 3, 5)


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("groups", GROUPS)
def test_grouped_derivatives_equal_torch_s_to_second_order(name, groups):
    ours = lambda x, w: PAIRS[name][0](x, w, 2, 1, groups=groups)  # noqa: E731
    args = _normal(*_grouped_shapes(name, groups) * 2)
    with _x64():
        got = jax.jit(lambda *args: _derivatives_jax(ours, *args))(*args)
    expected = _derivatives_torch(_torch_grouped(name, groups), *args)
    _assert_close(got, expected, 1e-10)


def test_a_group_for_each_channel_is_a_convolution_of_each_by_itself():
    x, w = _normal((2, 6, 5, 4), (3, 3, 1, 8))
    with _x64():
        got = ops.conv(x, w, groups=4)
        each = [
            ops.conv(x[..., i : i + 1], w[..., 2 * i : 2 * i + 2]) for i in range(4)
        ]
    np.testing.assert_allclose(got, np.concatenate(each, -1), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", PAIRS)
@batched
def test_vmap_of_grouped_derivatives_equals_a_loop_of_torch(name, axes):
    ours = lambda x, w: PAIRS[name][0](x, w, 2, 1, groups=2)  # noqa: E731
    shapes = [
        s if d is None else (*s[:d], 3, *s[d:])
        for s, d in zip(_grouped_shapes(name, 2), axes, strict=True)
    ]
    args = _normal(*shapes, *shapes)
    with _x64():
        one = lambda *args: _derivatives_jax(ours, *args)  # noqa: E731
        got = jax.jit(jax.vmap(one, (*axes, *axes)))(*args)
    loop = [
        _derivatives_torch(_torch_grouped(name, 2), *one)
        for one in zip(*_lead(args, (*axes, *axes)), strict=True)
    ]
    _assert_close(got, [np.stack(a) for a in zip(*loop, strict=True)], 1e-10)


def test_examples_of_grouped_kernels_fold_into_the_batch():
    """So vmap over images takes as many products as there are groups, no more."""
    xs, w = _normal((5, 2, 6, 6, 4), (3, 3, 2, 6), dtype="float32")
    f = jax.vmap(lambda x: ops.conv(x, w, groups=2))
    (kernels,) = {
        eqn.invars[1].aval.shape
        for eqn in jax.make_jaxpr(f)(xs).jaxpr.eqns
        if eqn.primitive.name == "jaxgan_conv"
    }
    assert kernels == (2, 3, 3, 2, 3)
    expected = [_torch_of_one(x, w, 2) for x in xs]
    np.testing.assert_allclose(f(xs), expected, rtol=1e-4, atol=1e-4)


def _torch_of_one(x, w, groups):
    x, w = torch.tensor(x).permute(0, 3, 1, 2), torch.tensor(w).permute(3, 2, 0, 1)
    return F.conv2d(x, w, padding=1, groups=groups).permute(0, 2, 3, 1).numpy()


def test_grouped_convolutions_of_a_divided_batch_gather_nothing():
    x, w = _normal((16, 6, 6, 4), (3, 3, 2, 6), dtype="float32")
    mesh = parallel.mesh()

    def derivatives(x, w):
        y, pull = jax.vjp(lambda x, w: ops.conv(x, w, groups=2), x, w)
        return y, *pull(y)

    shardings = parallel.divided(mesh), parallel.replicated(mesh)
    run = jax.jit(derivatives, in_shardings=shardings)
    assert "all-gather" not in run.lower(x, w).compile().as_text()
    y = run(x, w)[0]
    np.testing.assert_allclose(y, _torch_of_one(x, w, 2), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "w", "groups", "says"),
    [
        ("conv", (3, 3, 2, 6), 0, "groups must be an int above 0; got 0"),
        ("conv", (3, 3, 2, 6), 1.0, "groups must be an int above 0; got 1.0"),
        ("conv", (3, 3, 4, 6), 2, r"input channels, in 2 groups; got x \(1, 8, 8, 4\)"),
        ("conv", (3, 3, 2, 5), 2, r"2 groups must divide the last axis of w.*5"),
        ("conv_transpose", (3, 3, 2, 4), 3, "3 groups must divide the last axis"),
    ],
)
def test_groups_that_do_not_fit_are_refused_in_words(name, w, groups, says):
    with pytest.raises(ValueError, match=f"{name}: .*{says}"):
        PAIRS[name][0](jnp.zeros((1, 8, 8, 4)), jnp.zeros(w), groups=groups)


# --- flax


def _primitives(f, *args):
    """The names of all primitives in the jaxpr of `f`, inner ones too."""
    names = set()

    def visit(jaxpr):
        for eqn in jaxpr.eqns:
            names.add(eqn.primitive.name)
            for value in jax.tree.leaves(
                eqn.params, is_leaf=lambda v: hasattr(v, "jaxpr") or hasattr(v, "eqns")
            ):
                if hasattr(value, "jaxpr") or hasattr(value, "eqns"):
                    visit(getattr(value, "jaxpr", value))

    visit(jax.make_jaxpr(f)(*args).jaxpr)
    return names


FLAX = {
    "plain": ({}, True),
    "strided": ({"strides": 2}, True),
    "strides differ": ({"strides": (2, 1)}, True),
    "valid": ({"padding": "VALID"}, True),
    "int padding": ({"padding": 2}, True),
    "pairs": ({"padding": ((0, 2), (1, 0))}, True),
    "circular": ({"padding": "CIRCULAR"}, True),
    "no bias": ({"use_bias": False}, True),
    "bfloat16": ({"dtype": jnp.bfloat16}, True),
    "grouped": ({"feature_group_count": 2}, True),
    "kernel dilated": ({"kernel_dilation": 2}, False),
    "input dilated": ({"input_dilation": (2, 1), "padding": 1}, False),
    "precision": ({"precision": lax.Precision.HIGHEST}, False),
}


@pytest.mark.parametrize(("options", "ours"), FLAX.values(), ids=FLAX)
def test_flax_conv_through_us_equals_flax_conv(options, ours):
    (x,) = _normal((2, 7, 6, 4), dtype="float32")
    theirs = nn.Conv(6, (3, 3), **options)
    mine = nn.Conv(6, (3, 3), conv_general_dilated=ops.conv_general_dilated, **options)
    params = theirs.init(random.key(0), x)
    y = theirs.apply(params, x)
    got = mine.apply(params, x)
    assert got.dtype == y.dtype and got.shape == y.shape
    tol = 2e-2 if y.dtype == jnp.bfloat16 else 1e-5
    np.testing.assert_allclose(
        np.asarray(got, "float32"), np.asarray(y, "float32"), rtol=tol, atol=tol
    )
    names = _primitives(mine.apply, params, x)
    assert ("jaxgan_conv" in names) == ours
    assert ("conv_general_dilated" in names) != ours


@pytest.mark.parametrize("shape", ((2, 9, 4), (2, 5, 4, 3, 4)), ids=("1-d", "3-d"))
def test_flax_conv_of_other_dimensions_goes_to_xla(shape):
    (x,) = _normal(shape, dtype="float32")
    window = (3,) * (len(shape) - 2)
    theirs = nn.Conv(2, window)
    mine = nn.Conv(2, window, conv_general_dilated=ops.conv_general_dilated)
    params = theirs.init(random.key(0), x)
    np.testing.assert_allclose(mine.apply(params, x), theirs.apply(params, x))


def test_other_layouts_go_to_xla():
    x, w = _normal((2, 3, 6, 6), (4, 3, 3, 3), dtype="float32")
    y = ops.conv_general_dilated(x, w, (2, 2), "VALID")
    expected = F.conv2d(torch.tensor(x), torch.tensor(w), stride=2)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)


# --- the edge


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize(
    ("x", "w", "options", "says"),
    [
        ((8, 8, 3), (3, 3, 3, 3), {}, r"x must be \[B, H, W, C_in\].*\(8, 8, 3\)"),
        ((1, 8, 8, 3), (3, 3, 3), {}, r"w a kernel.*\(3, 3, 3\)"),
        ((1, 8, 8, 4), (3, 3, 3, 3), {}, r"input channels.*\(1, 8, 8, 4\)"),
        ((1, 8, 8, 3), (3, 3, 3, 3), {"padding": (1, 1)}, "padding"),
        ((1, 8, 8, 3), (3, 3, 3, 3), {"padding": "FULL"}, "padding"),
        ((1, 8, 8, 3), (3, 3, 3, 3), {"padding": ((1, 1),)}, "padding"),
        ((1, 8, 8, 3), (3, 3, 3, 3), {"stride": (1, 1, 1)}, "stride"),
        ((1, 8, 8, 3), (3, 3, 3, 3), {"stride": 0}, "stride"),
        ((1, 8, 8, 3), (3, 3, 3, 3), {"stride": (1.5, 2)}, "stride"),
        ((1, 8, 8, 3), (3, 3, 3, 3), {"stride": 2.0}, "stride"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused_in_words(name, x, w, options, says):
    with pytest.raises(ValueError, match=f"{name}: .*{says}"):
        PAIRS[name][0](jnp.zeros(x), jnp.zeros(w), **options)


def test_dtypes_must_agree():
    x, w = jnp.zeros((1, 8, 8, 3)), jnp.zeros((3, 3, 3, 3), jnp.bfloat16)
    for name, (ours, _) in PAIRS.items():
        with pytest.raises(ValueError, match=f"{name}: x is float32 but w is bfloat16"):
            ours(x, w)


def test_an_output_must_remain():
    with pytest.raises(ValueError, match="input of 5x5 is smaller than the 7x7 kernel"):
        ops.conv(jnp.zeros((1, 5, 5, 1)), jnp.zeros((7, 7, 1, 1)), 1, "VALID")
    with pytest.raises(ValueError, match=r"padding .* leaves nothing of a 3x3 output"):
        ops.conv_transpose(jnp.zeros((1, 1, 1, 1)), jnp.zeros((3, 3, 1, 1)), 1, 2)


@pytest.mark.parametrize("padding", ("SAME", "same", "SAME_LOWER"))
def test_every_kind_of_same_means_h_times_stride(padding):
    """Or is refused; another size in silence would be the worst."""
    x, w = jnp.zeros((1, 5, 4, 3)), jnp.zeros((3, 3, 2, 3))
    try:
        shape = ops.conv_transpose(x, w, 2, padding).shape
    except ValueError as e:
        assert padding != "SAME" and "padding" in str(e)
    else:
        assert shape == (1, 10, 8, 2)


def test_strides_may_be_numpy_integers():
    x, w = jnp.zeros((1, 8, 8, 3)), jnp.zeros((3, 3, 3, 3))
    for ours, _ in PAIRS.values():
        assert ours(x, w, np.int64(2)).shape == ours(x, w, 2).shape


def test_empty_batches_pass_through():
    x, w = jnp.zeros((0, 8, 8, 3)), jnp.ones((3, 3, 3, 2))
    assert ops.conv(x, w, 2).shape == (0, 4, 4, 2)
    dw = jax.grad(lambda w: ops.conv(x, w, 2).sum())(w)
    np.testing.assert_array_equal(dw, 0)
    per_example = jax.vmap(lambda x: ops.conv(x[None], w, 2)[0])
    assert per_example(x).shape == (0, 4, 4, 2)
