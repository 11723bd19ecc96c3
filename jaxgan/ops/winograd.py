"""Convolutions on CPU by Winograd's minimal filtering.

Lavin and Gray, 2016, arXiv:1509.09308. It is for many channels and pixels, kernels of
two or three blocks a side (`ops.blocks`) and at least single precision: its matrix
products have 9/16 of the multiplications for a 4×4 kernel at stride 2, and 4/9 for a
3×3 kernel at stride 1. Of finite values, the result is `ops.patches`'s up to rounding.
"""

import math
from functools import reduce
from operator import add

import jax.numpy as jnp

from jaxgan.ops.blocks import blocks, dot, framed, out_size, place, unblocked

__all__ = ["conv", "conv_w", "conv_x", "numbers", "pays"]

MANY = 64
"""Channels, of blocks in and of pixels out, from which it is faster."""

POSITIONS = 256
"""Pixels out, of all images together, from which it is: its kernels are larger."""

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


def pays(kernel, stride, dtype, positions):
    """Whether it applies to a kernel of this shape, and is faster."""
    *window, c, features = kernel
    many = min(stride[0] * stride[1] * c, features) >= MANY
    fits = all(r in BT for r in blocks(window, stride))
    enough = many and positions >= POSITIONS
    return enough and fits and jnp.finfo(dtype).bits >= 32


def numbers(kernel, stride):
    """How many it holds for each pixel out: the larger of what its products take and
    make."""
    *window, c, features = kernel
    products = math.prod(r + 1 for r in blocks(window, stride))
    return products * max(stride[0] * stride[1] * c, features) // 4


def conv(x, w, *, stride, padding):
    """`x [B, H, W, C_in], w [kh, kw, C_in, C_out] -> [B, H', W', C_out]`."""
    out = out_size(x.shape[1:3], w.shape[:2], stride, padding)
    tiles = _tiles(x, w.shape[:2], stride, padding)
    return _outputs(_each(dot, tiles, _filters(w, stride)), len(x), out)


def conv_w(x, dy, *, stride, padding, window):
    """The gradient of `conv` in w."""
    shape = (*window, x.shape[3], dy.shape[3])
    tiles = _tiles(x, window, stride, padding)
    outputs = _outputs_t(dy, blocks(window, stride))
    products = _each(lambda t, d: dot(t.T, d), tiles, outputs)
    return _filters_t(products, shape, stride)


def conv_x(dy, w, *, stride, padding, size):
    """The gradient of `conv` in x, of `size` (H, W)."""
    outputs = _outputs_t(dy, blocks(w.shape[:2], stride))
    tiles = _each(lambda d, f: dot(d, f.T), outputs, _filters(w, stride))
    shape = (len(dy), *size, w.shape[2])
    return _tiles_t(tiles, shape, w.shape[:2], stride, padding)


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
    (sh, sw), (rh, rw), c = stride, blocks(window, stride), x.shape[3]
    out = out_size(x.shape[1:3], window, stride, padding)
    th, tw = (-(-n // 2) for n in out)
    h, w = 2 * th + rh - 1, 2 * tw + rw - 1
    x = framed(x, sh * h, sw * w, padding).reshape(len(x), h, sh, w, sw * c)
    grid = [
        [x[:, i : i + 2 * th - 1 : 2, :, j : j + 2 * tw - 1 : 2] for j in range(rw + 1)]
        for i in range(rh + 1)
    ]
    grid = _each(lambda v: v.transpose(0, 1, 3, 2, 4), _mix(BT[rh], BT[rw], grid))
    return _rows(grid, out)


def _tiles_t(grid, shape, window, stride, padding):
    """The transpose of `_tiles`; `shape` is the images'."""
    (sh, sw), (rh, rw), c = stride, blocks(window, stride), shape[3]
    out = out_size(shape[1:3], window, stride, padding)
    grid = _rows_t(grid, (shape[0], *out, sh, sw * c))
    grid = _mix(_t(BT[rh]), _t(BT[rw]), grid)

    def total(p, q):
        """The blocks in even (p = 0) or odd rows, and columns likewise."""
        return sum(
            place(grid[i][j], i // 2, j // 2, rh // 2, rw // 2)
            for i in range(p, rh + 1, 2)
            for j in range(q, rw + 1, 2)
        )

    return unblocked(
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
    rh, rw = blocks((kh, kw), stride)
    w = jnp.pad(w, ((0, rh * sh - kh), (0, rw * sw - kw), (0, 0), (0, 0)))
    w = w.reshape(rh, sh, rw, sw * c, features)
    grid = [[w[i, :, j] for j in range(rw)] for i in range(rh)]
    return _each(lambda v: v.reshape(sh * sw * c, features), _mix(G[rh], G[rw], grid))


def _filters_t(grid, shape, stride):
    """The transpose of `_filters`; `shape` is the kernel's."""
    (kh, kw, c, features), (sh, sw) = shape, stride
    rh, rw = blocks((kh, kw), stride)
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
        return place(v.reshape(b, h, w, *shape[3:]), 0, 0, th - h, tw - w)

    return [[tiles(v, i, j) for j, v in enumerate(r)] for i, r in enumerate(grid)]


def _count(outputs, i, products):
    """Tiles along an axis that need product i."""
    return (outputs + (i < len(products) - 1)) // 2
