"""Images one after another: GIF by Pillow, MP4 by imageio-ffmpeg where it is there."""

import contextlib
import errno
import importlib.util
import io
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from jaxgan.data.pixels import of_channels
from jaxgan.run import atomic, marks
from jaxgan.types import UsageError

__all__ = ["SUFFIXES", "check", "save"]

SUFFIXES = ".gif", ".mp4"
SIDE = 256
"""Pixels of the longer side, about, that small images are enlarged to."""


def check(path: Path | str, option: str = "out", others: tuple = ()) -> None:
    """Refuses other files, and MP4 without the library that writes it.

    Args:
        path: the file.
        option: that names it.
        others: how its name may end, too.

    Raises:
        UsageError: naming the option.
    """
    if Path(path).suffix not in others + SUFFIXES:
        reason = f"must end in one of {', '.join(others + SUFFIXES)}."
        raise UsageError(option, path, reason)
    if Path(path).suffix == ".mp4" and not importlib.util.find_spec("imageio_ffmpeg"):
        reason = "needs a library: pip install 'jaxgan[video]'; or end it in .gif."
        raise UsageError(option, path, reason)


def save(
    path: Path | str,
    frames: np.ndarray,
    fps: int = 12,
    about: dict[str, Any] | None = None,
) -> None:
    """Writes frames, each pixel enlarged; a GIF repeats for ever.

    Args:
        path: ends in .gif or .mp4; its folder is made.
        frames: uint8 `[N, H, W, C]`, of which four channels are shown over white.
        fps: frames a second; of GIF, whose unit is 1/100 s, nearly.
        about: how they were made, of `provenance`; a GIF says it, an MP4 does not.

    Raises:
        UsageError: as `check`.
        OSError: it cannot be written.
    """
    check(path)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    scale = max(1, SIDE // max(frames.shape[1:3]))
    frames = of_channels(frames, 1 if frames.shape[-1] == 1 else 3)
    frames = frames.repeat(scale, 1).repeat(scale, 2)
    if path.suffix == ".gif":
        _save_gif(path, frames, fps, about)
    else:
        _save_mp4(path, frames, fps)


def _save_gif(path, frames, fps, about):
    pictures = [Image.fromarray(x[..., 0] if x.shape[-1] == 1 else x) for x in frames]
    first, rest = pictures[0], pictures[1:]
    lasts = max(20, round(1000 / fps))  # players take less for 100 ms
    made = io.BytesIO()
    how = {"append_images": rest, "duration": lasts, "loop": 0}
    first.save(made, "GIF", save_all=True, **how)
    data = made.getvalue()
    with atomic.replacing(path) as file:
        file.write(marks.gif(data, about) if about else data)


def _save_mp4(path, frames, fps):
    import imageio_ffmpeg

    frames = of_channels(frames, 3)
    odd = [(0, n % 2) for n in frames.shape[1:3]]  # H.264 halves colours
    frames = np.pad(frames, ((0, 0), *odd, (0, 0)), mode="edge")
    _, h, w, _ = frames.shape
    given = f"-f rawvideo -pix_fmt rgb24 -s {w}x{h} -r {fps} -i -".split()
    made = "-c:v libx264 -pix_fmt yuv420p -crf 18 -f mp4".split()
    # Not by its `write_frames`, which forks a process that has threads.
    ffmpeg = [
        imageio_ffmpeg.get_ffmpeg_exe(),
        "-loglevel",
        "error",
        "-y",
        *given,
        *made,
    ]
    partial = path.with_name(f"{path.name}.{os.getpid()}{atomic.PARTIAL}")
    try:
        args = [*ffmpeg, str(partial)]
        done = subprocess.run(args, input=frames.tobytes(), capture_output=True)
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            raise OSError(errno.EIO, said[-1] if said else "ffmpeg failed", str(path))
        partial.replace(path)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()
