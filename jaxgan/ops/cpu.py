"""The three bilinear forms of a convolution as matrix products, for CPU.

Two ways. In general, one product of patches and kernel (im2col; Chellapilla, Puri and
Simard, 2006). With many channels and pixels, kernels of two or three blocks (below) a
side and at least single precision, Winograd's minimal filtering (Lavin and Gray, 2016,
arXiv:1509.09308): its products have 9/16 of the multiplications for a 4×4 kernel at
stride 2, and 4/9 for a 3×3 kernel at stride 1. Of finite values, the result is the same
up to rounding.

Patches have as many numbers as channels go in. Where far fewer come out, as of the last
layer of a generator or of a patch discriminator, each form at stride 1 is that of
another convolution, whose kernel is flipped and whose channels are swapped, and whose
patches are small.

All see a convolution at stride s as one at stride 1 over blocks: s×s pixels are one
pixel of s²·C channels, and a k×k kernel is r×r such blocks, r = ⌈k/s⌉.
"""

import math
from functools import reduce
from operator import add

import jax.numpy as jnp
from jax import lax

MANY = 64
"""Channels, of blocks in and of pixels out, from which Winograd's form is faster."""

POSITIONS = 256
"""Pixels out, of all images together, from which it is: its kernels are larger."""

MANY_TERMS = 16
"""Blocks that overlap, above which they are summed along each side in turn."""

FEW = 2
"""How many times more channels go in than come out, for the swapped form."""


def out_size(size, window, stride, padding):
    return tuple(
        (n + lo + hi - k) // s + 1
        for n, k, s, (lo, hi) in zip(size, window, stride, padding, strict=True)
    )


def conv(x, w, *, stride, padding):
    """`x [B, H, W, C_in], w [kh, kw, C_in, C_out] -> [B, H', W', C_out]`."""
    if _few(w.shape, stride, padding):
        size = out_size(x.shape[1:3], w.shape[:2], stride, padding)
        swapped = {"stride": stride, "padding": _rest(w.shape, padding)}
        return conv_x(x, _swapped(w), **swapped, size=size)
    out = out_size(x.shape[1:3], w.shape[:2], stride, padding)
    if _minimal(w.shape, stride, x.dtype, len(x) * math.prod(out)):
        tiles = _tiles(x, w.shape[:2], stride, padding)
        return _outputs(_each(_dot, tiles, _filters(w, stride)), len(x), out)
    rows = _patches(x, w.shape[:2], stride, padding)
    y = _dot(rows, w.reshape(-1, w.shape[3]))
    return y.astype(x.dtype).reshape(x.shape[0], *out, w.shape[3])


def conv_w(x, dy, *, stride, padding, window):
    """The gradient of `conv` in w."""
    shape = (*window, x.shape[3], dy.shape[3])
    if _few(shape, stride, padding):
        swapped = {"stride": stride, "padding": _rest(shape, padding)}
        return _swapped(conv_w(dy, x, **swapped, window=window))
    if _minimal(shape, stride, x.dtype, math.prod(dy.shape[:3])):
        tiles = _tiles(x, window, stride, padding)
        outputs = _outputs_t(dy, _blocks(window, stride))
        return _filters_t(
            _each(lambda t, d: _dot(t.T, d), tiles, outputs), shape, stride
        )
    rows = _patches(x, window, stride, padding)
    cols = dy.reshape(-1, dy.shape[3])
    # Whichever of rowsᵀ @ cols and (colsᵀ @ rows)ᵀ transposes less, and that apart: up
    # to twice as fast. The barriers keep XLA from rewriting one into the other.
    if rows.size < cols.size + rows.shape[1] * cols.shape[1]:
        dw = _dot(lax.optimization_barrier(rows.T), cols)
    else:
        dw = lax.optimization_barrier(_dot(lax.optimization_barrier(cols.T), rows)).T
    return dw.astype(x.dtype).reshape(shape)


def conv_x(dy, w, *, stride, padding, size):
    """The gradient of `conv` in x, of `size` (H, W)."""
    if _few(w.shape, stride, padding):
        swapped = {"stride": stride, "padding": _rest(w.shape, padding)}
        return conv(dy, _swapped(w), **swapped)
    if _minimal(w.shape, stride, dy.dtype, math.prod(dy.shape[:3])):
        outputs = _outputs_t(dy, _blocks(w.shape[:2], stride))
        tiles = _each(lambda d, f: _dot(d, f.T), outputs, _filters(w, stride))
        shape = (len(dy), *size, w.shape[2])
        return _tiles_t(tiles, shape, w.shape[:2], stride, padding)
    # Every output pixel spreads a window; windows overlap block by block, not pixel by
    # pixel, so that the sum has r² terms instead of k².
    (kh, kw, c, features), (sh, sw) = w.shape, stride
    rh, rw = _blocks(w.shape[:2], stride)
    w = jnp.pad(w, ((0, rh * sh - kh), (0, rw * sw - kw), (0, 0), (0, 0)))
    w = w.reshape(rh, sh, rw, sw * c, features)
    many = rh * rw > MANY_TERMS
    order = (2, 0, 1, 3) if many else (0, 2, 1, 3)
    # The kernel is brought into the order of blocks, or what it makes if that is less.
    late = math.prod(dy.shape[:3]) < features
    w = w if late else w.transpose(*order, 4)
    spread = _dot(dy.reshape(-1, features), w.reshape(-1, features).T)
    spread = spread.reshape(*dy.shape[:3], *w.shape[:4])
    spread = spread.transpose(0, 1, 2, *(3 + i for i in order)) if late else spread
    if many:
        along = (_place(spread[:, :, :, j], 0, j, 0, rw - 1) for j in range(rw))
        rows = lax.optimization_barrier(sum(along))
        x = sum(_place(rows[:, :, :, i], i, 0, rh - 1, 0) for i in range(rh))
    else:
        x = sum(
            _place(spread[:, :, :, i, j], i, j, rh - 1, rw - 1)
            for i in range(rh)
            for j in range(rw)
        )
    return _unblocked(x.astype(dy.dtype), (len(dy), *size, c), padding)


def _dot(a, b):
    """The matrix product, summed in float32 or wider, as accelerators do."""
    wide = a.dtype if jnp.finfo(a.dtype).bits >= 32 else jnp.float32
    return jnp.matmul(a, b, preferred_element_type=wide)


# --- few channels out


def _few(kernel, stride, padding):
    """Whether the swapped form applies, and pays."""
    *window, c, features = kernel
    rest = min(map(min, _rest(kernel, padding)))
    return (
        tuple(stride) == (1, 1)
        and math.prod(window) > 1
        and FEW * features <= c
        and rest >= 0
    )


def _rest(kernel, padding):
    """The padding that a transposed convolution of stride 1 has as a convolution."""
    return tuple(
        (k - 1 - lo, k - 1 - hi)
        for k, (lo, hi) in zip(kernel[:2], padding, strict=True)
    )


def _swapped(w):
    """The kernel of the transposed convolution of stride 1."""
    return w[::-1, ::-1].swapaxes(2, 3)


# --- blocks


def _blocks(window, stride):
    """r, for each of H and W."""
    return tuple(-(-k // s) for k, s in zip(window, stride, strict=True))


def _framed(x, h, w, padding):
    """x with `padding` before it, and cut or padded to `[B, h, w, C]`."""
    (top, _), (left, _) = padding
    rows, cols = (top, h - x.shape[1] - top, 0), (left, w - x.shape[2] - left, 0)
    return lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), rows, cols, (0, 0, 0)))


def _unblocked(x, shape, padding):
    """Blocks `[B, Hb, Wb, sh, sw·C]` as the image of `shape` that they frame."""
    b, h, w, sh, pixels = x.shape
    x = x.transpose(0, 1, 3, 2, 4).reshape(b, h * sh, w * pixels // shape[3], shape[3])
    return _framed(x, *shape[1:3], [(-lo, 0) for lo, _ in padding])


def _place(x, i, j, rows, cols):
    """x `[B, H, W, ...]` within `rows` more rows and `cols` more columns, at i, j."""
    rest = ((0, 0),) * (x.ndim - 3)
    return jnp.pad(x, ((0, 0), (i, rows - i), (j, cols - j), *rest))


# --- patches


def _patches(x, window, stride, padding):
    """`[B, H, W, C] -> [B·H'·W', kh·kw·C]`."""
    oh, ow = out_size(x.shape[1:3], window, stride, padding)
    (rh, rw), (sh, sw), (kh, kw) = _blocks(window, stride), stride, window
    x = _framed(x, sh * (oh - 1 + rh), sw * (ow - 1 + rw), padding)
    # Pixels that the stride never separates are copied as one.
    together = sw if kw % sw == 0 else 1
    x = x.reshape(*x.shape[:2], x.shape[2] // together, together * x.shape[3])
    kw, sw = kw // together, sw // together
    taps = [
        x[:, i : i + sh * (oh - 1) + 1 : sh, j : j + sw * (ow - 1) + 1 : sw]
        for i in range(kh)
        for j in range(kw)
    ]
    patches = jnp.concatenate(taps, -1)
    return patches.reshape(len(x) * oh * ow, patches.shape[3])


# --- minimal filtering

# F(2, r) of Lavin and Gray: two outputs of an r-tap filter by r + 1 products,
# y = Aᵀ [(G w) ⊙ (Bᵀ x)], and in two dimensions the same along each.
BT = {
    2: ((1, -1, 0), (0, 1, 0), (0, 1, -1)),
    3: ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1)),
}
G = {
    2: ((1, 0), (1, 1), (0, 1)),
    3: ((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1)),
}
AT = {
    2: ((1, 1, 0), (0, 1, -1)),
    3: ((1, 1, 1, 0), (0, 1, -1, -1)),
}


def _minimal(kernel, stride, dtype, positions):
    """Whether Winograd's form applies, and pays."""
    *window, c, features = kernel
    many = min(stride[0] * stride[1] * c, features) >= MANY
    fits = all(r in BT for r in _blocks(window, stride))
    pays = many and positions >= POSITIONS
    return pays and fits and jnp.finfo(dtype).bits >= 32


def _t(matrix):
    return tuple(zip(*matrix, strict=True))


def _mix(rows, cols, grid):
    """`rows @ grid @ colsᵀ` of a grid of arrays."""

    def along(matrix, parts):
        return [
            reduce(
                add,
                (p if a == 1 else a * p for a, p in zip(row, parts, strict=True) if a),
            )
            for row in matrix
        ]

    return _t([along(rows, col) for col in _t([along(cols, row) for row in grid])])


def _each(f, *grids):
    return [[f(*e) for e in zip(*r, strict=True)] for r in zip(*grids, strict=True)]


def _tiles(x, window, stride, padding):
    """Bᵀ x: images to a grid of `[B·tiles, s²·C]`."""
    (sh, sw), (rh, rw), c = stride, _blocks(window, stride), x.shape[3]
    out = out_size(x.shape[1:3], window, stride, padding)
    th, tw = (-(-n // 2) for n in out)
    h, w = 2 * th + rh - 1, 2 * tw + rw - 1
    x = _framed(x, sh * h, sw * w, padding).reshape(len(x), h, sh, w, sw * c)
    grid = [
        [x[:, i : i + 2 * th - 1 : 2, :, j : j + 2 * tw - 1 : 2] for j in range(rw + 1)]
        for i in range(rh + 1)
    ]
    grid = _each(lambda v: v.transpose(0, 1, 3, 2, 4), _mix(BT[rh], BT[rw], grid))
    return _rows(grid, out)


def _tiles_t(grid, shape, window, stride, padding):
    """The transpose of `_tiles`; `shape` is the images'."""
    (sh, sw), (rh, rw), c = stride, _blocks(window, stride), shape[3]
    out = out_size(shape[1:3], window, stride, padding)
    grid = _rows_t(grid, (shape[0], *out, sh, sw * c))
    grid = _mix(_t(BT[rh]), _t(BT[rw]), grid)

    def total(p, q):
        """The blocks in even (p = 0) or odd rows, and columns likewise."""
        return sum(
            _place(grid[i][j], i // 2, j // 2, rh // 2, rw // 2)
            for i in range(p, rh + 1, 2)
            for j in range(q, rw + 1, 2)
        )

    return _unblocked(
        _woven([[total(p, q) for q in (0, 1)] for p in (0, 1)]), shape, padding
    )


def _woven(grid):
    """A 2×2 grid of `[B, H, W, ...]`, pixel by pixel, as `[B, 2H, 2W, ...]`."""
    x = jnp.stack([jnp.stack(row, 3) for row in grid], 2)
    b, h, _, w, *_ = x.shape
    return x.reshape(b, 2 * h, 2 * w, *x.shape[5:])


def _filters(w, stride):
    """G w: a kernel to a grid of `[s²·C_in, C_out]`."""
    (kh, kw, c, features), (sh, sw) = w.shape, stride
    rh, rw = _blocks((kh, kw), stride)
    w = jnp.pad(w, ((0, rh * sh - kh), (0, rw * sw - kw), (0, 0), (0, 0)))
    w = w.reshape(rh, sh, rw, sw * c, features)
    grid = [[w[i, :, j] for j in range(rw)] for i in range(rh)]
    return _each(lambda v: v.reshape(sh * sw * c, features), _mix(G[rh], G[rw], grid))


def _filters_t(grid, shape, stride):
    """The transpose of `_filters`; `shape` is the kernel's."""
    (kh, kw, c, features), (sh, sw) = shape, stride
    rh, rw = _blocks((kh, kw), stride)
    grid = _each(lambda v: v.reshape(sh, sw * c, features), grid)
    grid = _mix(_t(G[rh]), _t(G[rw]), grid)
    w = jnp.stack([jnp.stack(row, 1) for row in grid])
    return w.reshape(rh * sh, rw * sw, c, features)[:kh, :kw]


def _outputs(grid, batch, out):
    """Aᵀ m: a grid of `[B·tiles, C_out]` to images."""
    r = len(grid) - 1, len(grid[0]) - 1
    grid = _rows_t(grid, (batch, *out, grid[0][0].shape[1]))
    return _woven(_mix(AT[r[0]], AT[r[1]], grid))[:, : out[0], : out[1]]


def _outputs_t(dy, r):
    """The transpose of `_outputs`, for a kernel of r blocks."""
    h, w = dy.shape[1:3]
    dy = jnp.pad(dy, ((0, 0), (0, h % 2), (0, w % 2), (0, 0)))
    grid = [[dy[:, i::2, j::2] for j in (0, 1)] for i in (0, 1)]
    grid = _mix(_t(AT[r[0]]), _t(AT[r[1]]), grid)
    return _rows(grid, (h, w))


def _rows(grid, out):
    """A grid of `[B, th, tw, ...]` to one of matrices with a row for each tile.

    The last product along an axis makes the tile's second output alone. Where `out`
    is odd the last tile has none, and that row is left out.
    """

    def rows(v, i, j):
        v = v[:, : _count(out[0], i, grid), : _count(out[1], j, grid[0])]
        return v.reshape(math.prod(v.shape[:3]), math.prod(v.shape[3:]))

    return [[rows(v, i, j) for j, v in enumerate(r)] for i, r in enumerate(grid)]


def _rows_t(grid, shape):
    """The transpose of `_rows`; `shape` is `(B, *out, ...)`."""
    b, *out = shape[:3]
    th, tw = (-(-n // 2) for n in out)

    def tiles(v, i, j):
        h, w = _count(out[0], i, grid), _count(out[1], j, grid[0])
        return _place(v.reshape(b, h, w, *shape[3:]), 0, 0, th - h, tw - w)

    return [[tiles(v, i, j) for j, v in enumerate(r)] for i, r in enumerate(grid)]


def _count(outputs, i, products):
    """Tiles along an axis that need product i."""
    return (outputs + (i < len(products) - 1)) // 2
