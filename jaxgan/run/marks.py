"""What an image file says of how it was made, in the file itself.

PNG: an iTXt chunk `jaxgan` with JSON, `Software`, and an XMP packet with the IPTC
digital source type, by which programs and platforms know what a model has drawn. GIF:
a comment with the JSON, and the packet. NPZ: an array `provenance` with the JSON.
"""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

from jaxgan.data import archives, outside
from jaxgan.types import UsageError

__all__ = ["COMPOSITE", "MEMBER", "TRAINED", "gif", "npz", "png", "read"]

TRAINED = "trainedAlgorithmicMedia"
"""The IPTC's word for what a trained model has drawn."""
COMPOSITE = "compositeWithTrainedAlgorithmicMedia"
"""And for what a model has drawn a part of."""
KEYWORD = "jaxgan"
"""Of the chunk, and the first word of a GIF's comment."""
MEMBER = "provenance"
"""Of an .npz file."""
MOST = 1 << 20
"""Bytes that are read of an .npz file's array."""
SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
    'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
    'xmp:CreatorTool="{tool}" '
    'Iptc4xmpExt:DigitalSourceType="{types}{source}"/>'
    '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)
GIF_XMP = b"!\xff\x0bXMP DataXMP"
"""The head of its extension; behind the packet stands a trailer, which ends it for
readers that take its bytes for lengths of blocks."""
GIF_TRAILER = bytes([1, *range(255, -1, -1), 0])


def png(about: dict[str, Any]) -> PngImagePlugin.PngInfo:
    """For Pillow's `pnginfo`.

    Args:
        about: of `provenance`; "source" is the IPTC's word.
    """
    info = PngImagePlugin.PngInfo()
    info.add_text("Software", _tool(about))
    info.add_itxt(KEYWORD, _json(about))
    info.add_itxt("XML:com.adobe.xmp", _xmp(about))
    return info


def gif(data: bytes, about: dict[str, Any]) -> bytes:
    """The bytes of a GIF, with a comment before its images and the packet behind."""
    if data[:6] != b"GIF89a" or data[-1:] != b";":
        raise ValueError("it is no GIF of 1989")
    head = 13 + (3 << (data[10] % 8 + 1)) * (data[10] >> 7)  # with its palette
    text = f"{KEYWORD} {_json(about)}".encode()
    blocks = (text[i : i + 255] for i in range(0, len(text), 255))
    comment = b"!\xfe" + b"".join(bytes([len(b)]) + b for b in blocks) + b"\0"
    packet = GIF_XMP + _xmp(about).encode() + GIF_TRAILER
    return data[:head] + comment + data[head:-1] + packet + data[-1:]


def npz(about: dict[str, Any]) -> dict[str, np.ndarray]:
    """The array to write beside the others."""
    return {MEMBER: np.array(_json(about))}


def _json(about):
    return json.dumps(about)


def _tool(about):
    return f"jaxgan {about['jaxgan']}"


def _xmp(about):
    return XMP.format(tool=_tool(about), types=SOURCE_TYPES, source=about["source"])


def read(file: Path | str) -> dict[str, Any] | None:
    """How an image file was made; None where it does not say.

    Args:
        file: a PNG, GIF or .npz.

    Raises:
        UsageError: it cannot be read, or is none of these.
    """
    try:
        with outside.opened(file) as opened:
            packed = opened.read(2) == b"PK"
            opened.seek(0)
            text = _of_npz(opened) if packed else _of_picture(opened)
        found = None if text is None else outside.as_json(text.encode())
    # A damaged file raises whatever its decoder meets.
    except Exception as error:
        reason = f"{file} is no sound PNG, GIF or .npz file: {error}."
        if isinstance(error, OSError) and error.strerror:
            reason = f"{file} cannot be read: {error.strerror}."
        raise UsageError(None, None, reason) from None
    return found if isinstance(found, dict) else None


def _of_npz(file) -> str | None:
    with archives.archive(file) as held:
        name = f"{MEMBER}.npy"
        if name not in held.namelist():
            return None
        if held.getinfo(name).file_size > MOST:
            raise zipfile.BadZipFile(f"its {MEMBER} is too large")
        array = np.load(io.BytesIO(held.read(name)), allow_pickle=False)
    return str(array) if array.dtype.kind == "U" and array.ndim == 0 else None


def _of_picture(file) -> str | None:
    picture = Image.open(file, formats=["PNG", "GIF"])
    if picture.format == "PNG":
        text = picture.info.get(KEYWORD)
        return None if text is None else str(text)
    comment = picture.info.get("comment", b"")
    word, _, text = comment.decode("utf-8", "replace").partition(" ")
    return text if word == KEYWORD else None
