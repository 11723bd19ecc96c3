"""Images in a .npz file, the embedded MNIST among them."""

import zipfile
import zlib
from importlib import resources
from pathlib import Path

import numpy as np

from jaxgan.types import UsageError

_WANTED = "an .npz file with `images`, uint8 [N, H, W, C] or [N, H, W]"


def read_mnist(split: str) -> tuple[np.ndarray, np.ndarray]:
    """The MNIST that comes with jaxgan (its source and licence: `MNIST.md` here).

    Args:
        split: `"train"` or `"test"`.

    Returns:
        uint8 `[60000 or 10000, 28, 28, 1]` and uint8 `[60000 or 10000]`.

    Raises:
        UsageError: this Python was built without LZMA.
    """
    with resources.files("jaxgan.data").joinpath("mnist.npz").open("rb") as file:
        try:
            with np.load(file, allow_pickle=False) as arrays:
                return arrays[f"x_{split}"][..., None], arrays[f"y_{split}"]
        except RuntimeError as error:
            raise UsageError(
                f"--data mnist: this Python cannot unpack it ({error}); use a Python"
                " built with lzma"
            ) from error


def read(spec: str, path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Reads `images` and, where there are any, `labels`.

    Args:
        spec: the spec, for messages.
        path: the file; `images` uint8 `[N, H, W, C]` with C 1 or 3, or `[N, H, W]`,
            and optionally `labels` int `[N]`, counted from 0.

    Returns:
        uint8 `[N, H, W, C]`, and int `[N]` or None.

    Raises:
        UsageError: the file is missing, damaged, or holds something else.
    """
    if not path.is_file():
        raise UsageError(f"--data {spec}: there is no file {path}; give {_WANTED}")
    try:
        # A file of ours: np.load leaves its own open where an archive is damaged.
        with path.open("rb") as file:
            arrays = np.load(file, allow_pickle=False)
            if isinstance(arrays, np.ndarray):
                raise UsageError(
                    f"--data {spec}: {path.name} is a single array; give {_WANTED}, as"
                    " np.savez(file, images=array) writes it"
                )
            held = ", ".join(arrays.files)
            images, labels = arrays.get("images"), arrays.get("labels")
    except UsageError:
        raise
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UsageError(
            f"--data {spec}: cannot read {path.name} ({error}); give {_WANTED}"
        ) from error
    # What numpy makes of a file that is no archive, and of arrays of objects.
    except ValueError as error:
        raise UsageError(
            f"--data {spec}: {path.name} is no .npz file of plain arrays; give"
            f" {_WANTED}"
        ) from error
    if images is None:
        raise UsageError(
            f"--data {spec}: {path.name} holds {held or 'nothing'}; give {_WANTED}"
        )
    return _checked_images(spec, images), _checked_labels(spec, labels, len(images))


def _checked_images(spec, images):
    if np.issubdtype(images.dtype, np.floating):
        signed = images.size and images.min() < 0
        span = "[-1, 1]" if signed else "[0, 1]"
        recipe = "(x + 1) * 127.5" if signed else "x * 255"
        raise UsageError(
            f"--data {spec}: `images` is {images.dtype} but must be uint8 in 0..255; if"
            f" it spans {span}, save np.round({recipe}).astype(np.uint8)"
        )
    if images.dtype != np.uint8:
        raise UsageError(
            f"--data {spec}: `images` is {images.dtype} but must be uint8 in 0..255"
        )
    images = images[..., None] if images.ndim == 3 else images
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or images.size == 0:
        raise UsageError(
            f"--data {spec}: `images` has shape {list(images.shape)} but must be"
            " [N, H, W, C] with C 1 or 3, or [N, H, W], and not empty"
        )
    return images


def _checked_labels(spec, labels, count):
    if labels is None:
        return None
    if labels.shape != (count,) or not np.issubdtype(labels.dtype, np.integer):
        raise UsageError(
            f"--data {spec}: `labels` is {labels.dtype} {list(labels.shape)} but must"
            f" be integers [{count}], one for each image"
        )
    if labels.min() < 0 or labels.max() >= 2**20:
        raise UsageError(
            f"--data {spec}: `labels` spans {labels.min()}..{labels.max()} but must"
            " count classes from 0"
        )
    return labels
