"""The order in which a run visits its examples, as a pure function of (seed, step).

Epoch after epoch, each a fresh pseudo-random permutation of the dataset, laid end to
end and cut into batches: nothing is dropped, and a batch may span two epochs. Any
element of any epoch costs the same few integer operations, so a resumed run needs no
iterator state and a scan over steps needs no shuffled copy.

The permutation is a keyed generalized Feistel network on pairs (J. Black and P.
Rogaway, "Ciphers with Arbitrary Finite Domains", CT-RSA 2002): with a * b >= size, x is
the pair (x // b, x % b) and each round adds a hash of one half to the other, which any
hash leaves invertible. Numbers that fall outside the dataset walk on along their cycle
until they fall inside. It mixes well for sampling; it is no cryptography.
"""

import functools
import math

import numpy as np
from jax import lax

__all__ = ["blocks", "hash_uint32", "indices"]

_ROUNDS = 4  # of each half: enough that even ten examples shuffle evenly


def indices(seed, step, batch_size: int, size: int, xp=np):
    """Which examples make up the batch of a step.

    Args:
        seed: integer scalar, taken modulo 2**32; may be traced when `xp` is jnp.
        step: integer scalar, at least 0; may be traced when `xp` is jnp. Positions are
            uint32, so the order is defined while `(step + 1) * batch_size < 2**32`,
            four billion images; beyond that it starts again from the beginning.
        batch_size: B.
        size: the number of examples, a Python int in `[1, 2**31)`.
        xp: numpy, or jax.numpy: the same integers from either.

    Returns:
        int32 `[B]` in `[0, size)`.

    Raises:
        ValueError: `size` or `batch_size` is out of range.
    """
    if not 0 < size < 2**31:
        raise ValueError(f"size must be in [1, 2**31), not {size}")
    if not 0 < batch_size < 2**32:
        raise ValueError(f"batch_size must be at least 1, not {batch_size}")
    first = _uint32(step, xp) * np.uint32(batch_size)
    position = first + xp.arange(batch_size, dtype=np.uint32)
    n = np.uint32(size)
    epoch, item = position // n, position % n
    key = hash_uint32(hash_uint32(_uint32(seed, xp)) + epoch)
    a, b = _factors(size)

    def permute(x):
        return _feistel(x, key, np.uint32(a), np.uint32(b))

    item = permute(item)
    # Traced, the loop is there though it never turns: what is behind it is computed
    # once, not anew for each pixel of an image.
    if a * b > size or xp is not np:
        walk = _python_while if xp is np else lax.while_loop
        item = walk(
            lambda x: (x >= n).any(),
            lambda x: xp.where(x >= n, permute(x), x),
            item,
        )
    return item.astype(np.int32)


def _feistel(x, key, a, b):
    high, low = x // b, x % b
    for _ in range(_ROUNDS):
        key = hash_uint32(key)
        high = (high + hash_uint32(low ^ key) % a) % a
        key = hash_uint32(key)
        low = (low + hash_uint32(high ^ key) % b) % b
    return high * b + low


@functools.cache
def _factors(size):
    """(a, b) of like magnitude with a * b >= size, and as close to it as can be.

    Most sizes of real datasets factor exactly, and then no element ever walks.
    """
    root = math.isqrt(size - 1) + 1
    pairs = [(a, -(-size // a)) for a in range(root, root // 2, -1)]
    return min(pairs, key=lambda pair: pair[0] * pair[1])


def hash_uint32(x):
    """An odd offset, so that 0 is no fixed point, and MurmurHash3's finalizer."""
    x = x + np.uint32(0x9E3779B9)
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    x = (x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return x ^ (x >> np.uint32(16))


def _uint32(value, xp):
    """[1] rather than a scalar: numpy warns when scalars wrap around, not arrays."""
    if isinstance(value, int):
        value = np.uint32(value & 0xFFFFFFFF)
    return xp.asarray(value).astype(np.uint32).reshape(1)


def _python_while(cond, body, x):
    while cond(x):
        x = body(x)
    return x


def blocks(index: np.ndarray, size: int):
    """An index in blocks of one size, so that one compiled program serves them all.

    Yields:
        `(block, n)`: int `[size]`, of which the first n count; the last block is
        filled up with its last element.
    """
    for i in range(0, len(index), size):
        rows = np.minimum(np.arange(i, i + size), len(index) - 1)
        yield index[rows], min(size, len(index) - i)
