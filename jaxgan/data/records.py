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
from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory
from google.protobuf import text_format as text

__all__ = ["Records", "example", "masked", "records"]

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
        if len(check) != 4 or masked(body) != struct.unpack("<I", check)[0]:
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
            if masked(header[:8]) != check:
                raise ValueError(f"{path.name} is damaged: a checksum does not fit")
            start = at + _HEADER
            at = start + length + 4
            if at > size:
                raise ValueError(f"{path.name} is cut short")
            yield start, length


def masked(content: bytes) -> int:
    """The CRC-32C of bytes, as TFRecord files have it."""
    import google_crc32c

    crc = google_crc32c.value(content)
    return (((crc >> 15) | (crc << 17)) + _MASK) & 0xFFFFFFFF


_SCHEMA = """
name: "example.proto" package: "tensorflow" syntax: "proto3"
message_type { name: "Example"
  field { name: "features" number: 1 type: TYPE_MESSAGE type_name: "Features" } }
message_type { name: "Features"
  field { name: "feature" number: 1 label: LABEL_REPEATED type: TYPE_MESSAGE
          type_name: "FeatureEntry" }
  nested_type { name: "FeatureEntry" options { map_entry: true }
    field { name: "key" number: 1 type: TYPE_STRING }
    field { name: "value" number: 2 type: TYPE_MESSAGE type_name: "Feature" } } }
message_type { name: "Feature" oneof_decl { name: "kind" }
  field { name: "bytes_list" number: 1 type: TYPE_MESSAGE type_name: "BytesList"
          oneof_index: 0 }
  field { name: "float_list" number: 2 type: TYPE_MESSAGE type_name: "FloatList"
          oneof_index: 0 }
  field { name: "int64_list" number: 3 type: TYPE_MESSAGE type_name: "Int64List"
          oneof_index: 0 } }
message_type { name: "BytesList"
  field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_BYTES } }
message_type { name: "FloatList"
  field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_FLOAT } }
message_type { name: "Int64List"
  field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_INT64 } }
"""
"""TensorFlow's example.proto and feature.proto."""


@functools.cache
def _example_class():
    # A pool of its own: TensorFlow, where it is imported, has these names in the other.
    pool = descriptor_pool.DescriptorPool()
    pool.Add(text.Parse(_SCHEMA, descriptor_pb2.FileDescriptorProto()))
    found = pool.FindMessageTypeByName("tensorflow.Example")
    return message_factory.GetMessageClass(found)


def example(content: bytes) -> dict[str, list]:
    """The features of a `tf.train.Example`, by name: lists of bytes, float or int.

    Raises:
        ValueError: it is no `Example`.
    """
    try:
        features = _example_class().FromString(content).features.feature
    except message.DecodeError as error:
        raise ValueError("a record is no tf.train.Example") from error
    return {
        name: list(getattr(feature, kind).value) if kind else []
        for name, feature in features.items()
        for kind in [feature.WhichOneof("kind")]
    }
