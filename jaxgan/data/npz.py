"""Images in a .npz file."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from jaxgan.data.arrays import fitted, from_arrays
from jaxgan.data.dataset import Dataset
from jaxgan.data.source import Request, Source
from jaxgan.types import UsageError

__all__ = ["SOURCE", "load"]

_WANTED = "an .npz file with `images`, uint8 or uint16 [N, H, W, C] or [N, H, W]"


def load(request: Request) -> Dataset:
    """Loads `images` and, where there are any, `labels`.

    Args:
        request: its `path` is the file; `images` and `labels` as `from_arrays` takes
            them.

    Raises:
        UsageError: the file is missing, damaged, or holds something else.
    """
    images, labels = _read(request.spec, request.path)
    try:
        dataset = from_arrays(images, labels, name=request.spec)
    except UsageError as error:
        raise UsageError("data", request.spec, f": its {error}") from None
    return fitted(dataset, request.fit)


def _read(spec, path: Path):
    if not path.is_file():
        raise UsageError("data", spec, f": there is no file {path}; give {_WANTED}")
    try:
        # A file of ours: np.load leaves its own open where an archive is damaged.
        with path.open("rb") as file:
            arrays = np.load(file, allow_pickle=False)
            if isinstance(arrays, np.ndarray):
                raise UsageError(
                    "data",
                    spec,
                    f": {path.name} is a single array; give {_WANTED}, as"
                    " np.savez(file, images=array) writes it",
                )
            held = ", ".join(arrays.files)
            images, labels = arrays.get("images"), arrays.get("labels")
    except UsageError:
        raise
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UsageError(
            "data", spec, f": cannot read {path.name} ({error}); give {_WANTED}"
        ) from error
    # What numpy makes of a file that is no archive, and of arrays of objects.
    except ValueError as error:
        raise UsageError(
            "data",
            spec,
            f": {path.name} is no .npz file of plain arrays; give {_WANTED}",
        ) from error
    if images is None:
        raise UsageError(
            "data", spec, f": {path.name} holds {held or 'nothing'}; give {_WANTED}"
        )
    return images, labels


SOURCE = Source(
    "npz",
    "npz:FILE",
    "arrays `images` and, optionally, `labels`, as `sample` writes them",
    lambda request: ("train",),
    load,
)
