"""Prepared TensorFlow Datasets, read without TensorFlow.

Nothing is ever downloaded or prepared: the prepared directory is found first, on disk,
and opened from its own metadata, so the dataset's code is not needed either.
"""

import contextlib
import io
import logging
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgan.data import archives, fit, pictures, pixels, records
from jaxgan.data.dataset import Dataset, make
from jaxgan.data.decoding import decode, reason
from jaxgan.data.source import Request, Source
from jaxgan.data.tree import some
from jaxgan.data.unpaired import two_domains
from jaxgan.types import UsageError

__all__ = ["source"]

_VERSION = re.compile(r"\d+\.\d+\.\d+")


def source(root: Path | str) -> Source:
    """What is prepared below a folder.

    A spec is `tfds:NAME[/CONFIG][:VERSION]`; the newest prepared version is read unless
    one is given. `tfds:cycle_gan/CONFIG` is two domains, of its splits `trainA` and
    `trainB`, or `testA` and `testB`.

    Args:
        root: the folder, `~` expanded; TFDS itself writes to `~/tensorflow_datasets`.
    """

    def splits(request):
        names = tuple(_opened(request, root)[0].info.splits)
        if not _of_cycle_gan(request):
            return names
        return tuple(name[:-1] for name in names if name.endswith("A"))

    def load(request):
        if not _of_cycle_gan(request):
            return _load(request, root)
        sides = (request._replace(split=f"{request.split}{side}") for side in "AB")
        return two_domains(request.spec, *(_load(side, root) for side in sides))

    return Source(
        "tfds",
        "tfds:NAME[/CONFIG][:VERSION]",
        "a prepared TensorFlow dataset, never downloaded",
        splits,
        load,
    )


def _of_cycle_gan(request):
    return request.argument.startswith("cycle_gan/")


def _load(request: Request, root) -> Dataset:
    """A split; the errors are those of data that is not as it must be."""
    builder, directory = _opened(request, root)
    _check_contents(request.spec, builder)
    with _quiet():
        examples = _examples(request, builder, directory)
        return _decode(request, examples, builder.info.features)


def _opened(request, root):
    """TFDS's builder of the data, and the directory that it is in."""
    directory = _prepared(request.spec, request.argument, Path(root).expanduser())
    import tensorflow_datasets as tfds

    try:
        with _quiet():
            return tfds.builder_from_directory(directory), directory
    # Damaged metadata meets the errors of JSON, of protobufs and of every feature.
    except Exception as error:
        raise UsageError(
            "data",
            request.spec,
            f": {directory} cannot be opened ({reason(error)}); prepare it again",
        ) from error


def _prepared(spec, name, root):
    """The directory of the newest (or the given) prepared version."""
    base, _, version = name.partition(":")
    if not archives.inside(base):
        reason = ": a name has no .., and no / at its start; give tfds:NAME[/CONFIG]"
        raise UsageError("data", spec, reason)
    versions = _versions(root / base)
    if versions and (not version or version in versions):
        return root / base / (version or versions[-1])
    if versions:
        raise UsageError(
            "data",
            spec,
            f": version {version} is not prepared in {root}; there is"
            f" {', '.join(versions)}",
        )
    below = sorted((root / base).iterdir()) if (root / base).is_dir() else ()
    configs = [path.name for path in below if _versions(path)]
    if configs:
        raise UsageError(
            "data",
            spec,
            f": say which config, tfds:{base}/CONFIG; prepared in {root}:"
            f" {', '.join(configs)}",
        )
    raise UsageError(
        "data",
        spec,
        f": it is not prepared in {root} and jaxgan does not download; where there is a"
        f" network and tensorflow, run: tfds build {base} --data_dir={root}",
    )


def _versions(path):
    names = [p.parent.name for p in path.glob("*/dataset_info.json")]
    whole = (name for name in names if _VERSION.fullmatch(name))
    return sorted(whole, key=lambda name: tuple(map(int, name.split("."))))


def _check_contents(spec, builder):
    image = _feature(builder.info.features, "image")
    if image is None or image.np_dtype != np.uint8 or len(image.shape) != 3:
        raise UsageError(
            "data",
            spec,
            ": it has no feature `image` of uint8 [H, W, C]; give a dataset of images",
        )


def _feature(features, name):
    is_dict = hasattr(features, "keys")
    return features[name] if is_dict and name in features else None


def _examples(request, builder, directory):
    """A sequence of example dicts."""
    spec, split = request.spec, request.split
    formats = {fmt.value for fmt in builder.info.available_file_formats()}
    if formats & {"array_record", "parquet"}:
        try:
            return builder.as_data_source(split=split)
        except ImportError as error:
            raise UsageError(
                "data",
                spec,
                f": it is prepared as {' and '.join(sorted(formats))} but"
                f" the library for that is missing ({error}); pip install array_record"
                " pyarrow",
            ) from error
    if "tfrecord" in formats:
        return _of_records(request, builder)
    raise UsageError(
        "data",
        spec,
        f": it is prepared as {' and '.join(sorted(formats))}, which only tensorflow"
        " reads; convert it where there is one: tfds convert_format"
        f" --dataset_version_dir={directory} --out_file_format=array_record",
    )


class _Examples(NamedTuple):
    """Examples of TFRecord files, read as they are asked for."""

    records: records.Records
    channels: int
    labelled: bool

    def __len__(self):
        return len(self.records.start)

    def __getitem__(self, item):
        features = records.example(self.records.content(item))
        mode = {1: "L", 3: "RGB", 4: "RGBA"}[self.channels]
        (encoded,) = features["image"]
        with pictures.opened(io.BytesIO(encoded)) as image:
            array = np.asarray(image if image.mode == mode else image.convert(mode))
        found = {"image": array[..., None] if array.ndim == 2 else array}
        if self.labelled:
            (found["label"],) = features["label"]
        return found


def _of_records(request, builder):
    """The same of TFRecord, which TFDS writes unless told otherwise."""
    spec, info = request.spec, builder.info
    features, split = info.features, info.splits[request.split]
    files = [Path(path) for path in split.filepaths]
    try:
        found = records.records(files)
    except (OSError, ValueError) as error:
        why = f": it cannot be read ({reason(error)}); prepare it again"
        raise UsageError("data", spec, why) from error
    if len(found.start) != split.num_examples:
        why = f": it has {len(found.start)} of {split.num_examples} examples"
        raise UsageError("data", spec, f"{why}; prepare it again")
    channels = features["image"].shape[-1] or 3
    return _Examples(found, channels, _feature(features, "label") is not None)


def _decode(request, examples, features):
    spec, how = request.spec, request.fit
    if len(examples) == 0:
        raise UsageError("data", spec, ": the split holds no examples")
    try:
        first = examples[0]["image"]
    # Damaged records meet decoders' errors of every type.
    except Exception as error:
        raise _unreadable(spec, 0, reason(error)) from error
    channels = how.count(1 if first.shape[-1] == 1 else 3)
    size = fit.fitted_size(first.shape[:2], how, spec, "example 0")
    class_names = tuple(getattr(_feature(features, "label"), "names", ()))
    labels = np.zeros(len(examples), np.int32)

    def read(item):
        example = examples[item]
        where, image = f"example {item}", example["image"]
        true = fit.fitted_size(image.shape[:2], how, spec, where)
        if true != size:
            raise fit.mixed_sizes(spec, {"example 0": size, where: true})
        if class_names:
            labels[item] = example["label"]
        return fit.apply_to_array(pixels.of_channels(image, channels), how)

    decoded = decode(read, len(examples), (*size, channels), request.progress)
    for item, why in decoded.failures.items():
        raise _unreadable(spec, item, why)
    # TFDS writes -1 where a test split's labels are withheld.
    labelled = bool(class_names) and labels.min() >= 0
    return make(
        spec,
        decoded.images,
        len(labels),
        (*size, channels),
        labels if labelled else None,
        class_names if labelled else (),
        _unseen(request, labels, class_names) if labelled else (),
    )


def _unseen(request, labels, class_names):
    """A note on classes that are named, and of which there is no training image."""
    unseen = sorted({*range(len(class_names))} - {*labels.tolist()})
    if not unseen or request.split != "train":
        return ()
    names = some([class_names[label] for label in unseen])
    text = f"of {len(unseen)} classes there is no image, so none is learned: {names}"
    return (f"{request.spec}: {text}",)


def _unreadable(spec, item, why):
    text = f": example {item} cannot be read ({why}); prepare it again"
    return UsageError("data", spec, text)


@contextlib.contextmanager
def _quiet():
    """Keeps back absl's advice to install OpenCV, the one thing TFDS logs here."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
