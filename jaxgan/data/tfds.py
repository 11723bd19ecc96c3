"""Prepared TensorFlow Datasets, read without TensorFlow where their format allows.

Nothing is ever downloaded or prepared: the prepared directory is found first, on disk,
and opened from its own metadata, so the dataset's code is not needed either.
"""

import contextlib
import importlib.util
import logging
import os
import re
from pathlib import Path

import numpy as np

from jaxgan.data import dataset, fit, pixels
from jaxgan.types import UsageError

_VERSION = re.compile(r"\d+\.\d+\.\d+")


def load(spec: str, name: str, split: str, how: fit.Fit) -> dataset.Dataset:
    """Loads a split of a prepared dataset.

    Args:
        spec: the spec, for the name and messages.
        name: `NAME[/CONFIG][:VERSION]` below `$TFDS_DATA_DIR`, by default
            `~/tensorflow_datasets`; the newest prepared version unless one is given.
        split: one of the dataset's own splits.
        how: brings the images to one size.

    Raises:
        UsageError: it is not prepared, or cannot be read here, or has no such split or
            no uint8 images, or sizes differ.
    """
    directory = _prepared(spec, name)
    import tensorflow_datasets as tfds

    with _quiet():
        builder = _opened(spec, tfds, directory)
        _check_contents(spec, builder, split)
        examples = _examples(spec, tfds, builder, split, directory)
        return _decode(spec, examples, builder.info.features, how)


def _prepared(spec, name):
    """The directory of the newest (or the given) prepared version."""
    root = Path(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()
    base, _, version = name.partition(":")
    versions = _versions(root / base)
    if versions and (not version or version in versions):
        return root / base / (version or versions[-1])
    if versions:
        raise UsageError(
            f"--data {spec}: version {version} is not prepared in {root}; there is"
            f" {', '.join(versions)}"
        )
    below = sorted((root / base).iterdir()) if (root / base).is_dir() else ()
    configs = [path.name for path in below if _versions(path)]
    if configs:
        raise UsageError(
            f"--data {spec}: say which config, tfds:{base}/CONFIG; prepared in {root}:"
            f" {', '.join(configs)}"
        )
    raise UsageError(
        f"--data {spec}: it is not prepared in {root} (set TFDS_DATA_DIR if it is"
        " elsewhere) and jaxgan does not download; where there is a network and"
        f" tensorflow, run: tfds build {base} --file_format=array_record"
        f" --data_dir={root}"
    )


def _versions(path):
    names = [p.parent.name for p in path.glob("*/dataset_info.json")]
    whole = (name for name in names if _VERSION.fullmatch(name))
    return sorted(whole, key=lambda name: tuple(map(int, name.split("."))))


def _opened(spec, tfds, directory):
    try:
        return tfds.builder_from_directory(directory)
    # Damaged metadata meets the errors of JSON, of protobufs and of every feature.
    except Exception as error:
        raise UsageError(
            f"--data {spec}: {directory} cannot be opened ({dataset.reason(error)});"
            " prepare it again"
        ) from error


def _check_contents(spec, builder, split):
    splits = list(builder.info.splits)
    if split not in splits:
        raise UsageError(
            f"--data {spec}: it has no split {split!r}; its splits are"
            f" {', '.join(splits)}"
        )
    image = _feature(builder.info.features, "image")
    if image is None or image.np_dtype != np.uint8 or len(image.shape) != 3:
        raise UsageError(
            f"--data {spec}: it has no feature `image` of uint8 [H, W, C]; give a"
            " dataset of images"
        )


def _feature(features, name):
    is_dict = hasattr(features, "keys")
    return features[name] if is_dict and name in features else None


def _examples(spec, tfds, builder, split, directory):
    """A sequence of example dicts."""
    formats = {fmt.value for fmt in builder.info.available_file_formats()}
    if formats & {"array_record", "parquet"}:
        try:
            return builder.as_data_source(split=split)
        except ImportError as error:
            raise UsageError(
                f"--data {spec}: it is prepared as {' and '.join(sorted(formats))} but"
                f" the library for that is missing ({error}); pip install array_record"
                " pyarrow"
            ) from error
    if importlib.util.find_spec("tensorflow") is None:
        raise UsageError(
            f"--data {spec}: it is prepared as {' and '.join(sorted(formats))}, which"
            " only tensorflow reads; pip install tensorflow, or convert it where there"
            f" is one: tfds convert_format --dataset_version_dir={directory}"
            " --out_file_format=array_record"
        )
    # TFRecord has no random access: everything is read, in order, and kept.
    return list(tfds.as_numpy(builder.as_dataset(split=split)))


def _decode(spec, examples, features, how):
    if len(examples) == 0:
        raise UsageError(f"--data {spec}: the split holds no examples")
    first = examples[0]["image"]
    channels = 1 if first.shape[-1] == 1 else 3
    size = fit.fitted_size(first.shape[:2], how, f"--data {spec}: example 0")
    class_names = tuple(getattr(_feature(features, "label"), "names", ()))
    labels = np.zeros(len(examples), np.int32)

    def read(item):
        example = examples[item]
        where, image = f"example {item}", example["image"]
        true = fit.fitted_size(image.shape[:2], how, f"--data {spec}: {where}")
        if true != size:
            raise fit.mixed_sizes(spec, {"example 0": size, where: true})
        if class_names:
            labels[item] = example["label"]
        image = pixels.to_uint8(pixels.from_array(image), channels)
        return pixels.to_array(fit.apply(image, how))

    decoded = dataset.decode(read, len(examples), (*size, channels))
    for item, why in decoded.failures.items():
        raise UsageError(
            f"--data {spec}: example {item} cannot be read ({why}); prepare it again"
        )
    # TFDS writes -1 where a test split's labels are withheld.
    labelled = bool(class_names) and labels.min() >= 0
    return dataset.make(
        spec,
        decoded.images,
        len(labels),
        (*size, channels),
        labels if labelled else None,
        class_names if labelled else (),
    )


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
