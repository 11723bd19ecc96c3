"""Images in a .npz file."""

from pathlib import Path

from numpy.lib.format import MAGIC_PREFIX

from jaxgan.data import archives, outside
from jaxgan.data.arrays import fitted, from_arrays
from jaxgan.data.dataset import Dataset
from jaxgan.data.source import Request, Source
from jaxgan.data.tree import some
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
        with outside.opened(path) as file:
            if file.read(len(MAGIC_PREFIX)) == MAGIC_PREFIX:
                raise UsageError(
                    "data",
                    spec,
                    f": {path.name} is a single array; give {_WANTED}, as"
                    " np.savez(file, images=array) writes it",
                )
            with archives.archive(file) as found:
                held = [n.removesuffix(".npy") for n in found.namelist()]
                arrays = {
                    name: archives.array(archives.contents(found, f"{name}.npy"))
                    for name in ("images", "labels")
                    if f"{name}.npy" in found.namelist()
                }
    except OSError as error:
        why = f": cannot read {path.name} ({error.strerror}); give {_WANTED}"
        raise UsageError("data", spec, why) from None
    # What is no archive, and arrays that are damaged or of objects.
    except ValueError as error:
        if isinstance(error, UsageError):
            raise
        why = f": {path.name} is no .npz file of plain arrays ({error}); give {_WANTED}"
        raise UsageError("data", spec, why) from None
    if "images" not in arrays:
        names = some(held, 10) or "nothing"
        raise UsageError("data", spec, f": {path.name} holds {names}; give {_WANTED}")
    return arrays["images"], arrays.get("labels")


SOURCE = Source(
    "npz",
    "npz:FILE",
    "arrays `images` and, optionally, `labels`, as `sample` writes them",
    lambda request: ("train",),
    load,
)
