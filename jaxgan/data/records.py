"""TFRecord files of `tf.train.Example`, read without TensorFlow, one record at a time.

A record is its length (uint64, little endian), a masked CRC-32C of these eight bytes,
the content, and a masked CRC-32C of that. An `Example` is a protocol buffer, a map
from names to lists of bytes, floats or integers.
"""

import functools
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

__all__ = ["Records", "crc32c", "example", "masked", "records"]

_POLYNOMIAL = 0x82F63B78
"""Castagnoli's (RFC 3720, B.4), bits reversed."""
_MASK = 0xA282EAD8
_HEADER = 12


class Records(NamedTuple):
    """Records of one or more files, by number; from any thread."""

    files: tuple[Path, ...]
    file: np.ndarray
    """int `[N]`: which file each record is in."""
    start: np.ndarray
    """int `[N]`: where its content begins."""
    length: np.ndarray
    """int `[N]`: of its content, in bytes."""

    def content(self, record: int) -> bytes:
        """The bytes of a record.

        Raises:
            ValueError: they are not those that were written.
        """
        path, size = self.files[self.file[record]], int(self.length[record])
        with path.open("rb") as file:
            file.seek(int(self.start[record]))
            content = file.read(size + 4)
        body, check = content[:size], content[size:]
        if len(check) != 4 or masked(crc32c(body)) != struct.unpack("<I", check)[0]:
            raise ValueError(f"{path.name} is damaged: a checksum does not fit")
        return body


def records(files: Sequence[Path]) -> Records:
    """Where the records of files are.

    Raises:
        OSError: a file cannot be read.
        ValueError: one is no TFRecord file, or is cut short.
    """
    places = [
        (number, *place) for number, path in enumerate(files) for place in _places(path)
    ]
    table = np.array(places, np.int64).reshape(-1, 3)
    return Records(tuple(files), *table.T)


def _places(path) -> Iterator[tuple[int, int]]:
    size, at = path.stat().st_size, 0
    with path.open("rb") as file:
        while at < size:
            file.seek(at)
            header = file.read(_HEADER)
            if len(header) < _HEADER:
                raise ValueError(f"{path.name} is cut short")
            length, check = struct.unpack("<QI", header)
            if masked(crc32c(header[:8])) != check:
                raise ValueError(f"{path.name} is damaged: a checksum does not fit")
            start = at + _HEADER
            at = start + length + 4
            if at > size:
                raise ValueError(f"{path.name} is cut short")
            yield start, length


def masked(crc: int) -> int:
    """A checksum as TFRecord files have it."""
    return (((crc >> 15) | (crc << 17)) + _MASK) & 0xFFFFFFFF


def crc32c(content: bytes) -> int:
    """The checksum of bytes.

    A checksum without its two inversions is linear, and zeros before the content
    change nothing: so parts of equal length are taken all at once, and each is moved
    on by the length of the next.
    """
    width = 1 << max(2, (len(content) // 4).bit_length() // 2)
    padded = np.zeros(-(-max(len(content), 4) // width) * width, np.uint8)
    bytes_ = np.frombuffer(content, np.uint8)
    padded[len(padded) - len(bytes_) :] = bytes_
    table = _table()
    parts = np.zeros(len(padded) // width, np.uint32)
    for column in padded.reshape(-1, width).T:
        parts = table[(parts ^ column) & 0xFF] ^ (parts >> 8)
    total = 0
    for part in parts.tolist():
        total = _moved(total, width) ^ part
    # The first inversion, moved on past all of the content, and the last.
    return total ^ _past(len(content)) ^ 0xFFFFFFFF


@functools.cache
def _table():
    """The checksum of each byte."""
    crc = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        crc = (crc >> np.uint32(1)) ^ (crc & np.uint32(1)) * np.uint32(_POLYNOMIAL)
    return crc


def _moved(crc, zeros):
    """A checksum once so many zeros, a power of two, come after it."""
    a, b, c, d = _moves(zeros)
    return a[crc & 0xFF] ^ b[crc >> 8 & 0xFF] ^ c[crc >> 16 & 0xFF] ^ d[crc >> 24]


@functools.cache
def _moves(zeros):
    """The same of each value of each of the four bytes."""
    if zeros == 1:
        table = _table()
        rows = [np.arange(256, dtype=np.uint32) << np.uint32(8 * i) for i in range(4)]
        moved = [table[row & 0xFF] ^ (row >> 8) for row in rows]
        return tuple(row.tolist() for row in moved)
    half = zeros // 2
    return tuple([_moved(crc, half) for crc in row] for row in _moves(half))


def _past(length):
    """The first inversion once `length` bytes of zeros come after it."""
    crc, zeros = 0xFFFFFFFF, 1
    while length:
        if length & 1:
            crc = _moved(crc, zeros)
        length, zeros = length >> 1, zeros * 2
    return crc


def example(content: bytes) -> dict[str, list]:
    """The features of a `tf.train.Example`, by name: lists of bytes, float or int.

    Raises:
        ValueError: it is no `Example`.
    """
    found = {}
    for features in _of(content, 1):
        for entry in _of(features, 1):
            (name,), (feature,) = _of(entry, 1), _of(entry, 2) or [b""]
            found[name.decode()] = _values(feature)
    return found


def _values(feature) -> list:
    for kind, part in _fields(feature):
        if kind == 1:
            return _of(part, 1)
        if kind == 2:
            packed = b"".join(_of(part, 1))
            return np.frombuffer(packed, "<f4").tolist()
        if kind == 3:
            return [n for one in _of(part, 1) for n in _integers(one)]
    return []


def _integers(value):
    """Signed 64-bit integers: one, or many in a row of bytes."""
    if isinstance(value, int):
        value, at = [value], None
    else:
        content, value, at = value, [], 0
        while at < len(content):
            number, at = _varint(content, at)
            value.append(number)
    return [n - 2**64 if n >= 2**63 else n for n in value]


def _of(message, number) -> list:
    """The values of one field."""
    return [value for kind, value in _fields(message) if kind == number]


def _fields(message):
    """`(number, value)` of each field: bytes, or an integer."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind = tag & 7
        if kind == 0:
            value, at = _varint(message, at)
        elif kind in (1, 2, 5):
            size, at = (
                (8 if kind == 1 else 4, at) if kind != 2 else _varint(message, at)
            )
            value, at = message[at : at + size], at + size
        if kind not in (0, 1, 2, 5) or at > len(message):
            raise ValueError("a record is no tf.train.Example")
        yield tag >> 3, value


def _varint(message, at):
    number = shift = 0
    while at < len(message) and shift < 70:
        byte = message[at]
        at, number = at + 1, number | (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7
    raise ValueError("a record is no tf.train.Example")
