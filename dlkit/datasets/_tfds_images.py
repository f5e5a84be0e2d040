"""A data set of TFDS: what its builder knows before it downloads, and the images after that."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator
from typing import Any

import numpy as np

from dlkit.datasets import Dataset, Splits, Wanted
from dlkit.datasets._arrays import BYTES, Given, Labelled, dataset_of_arrays
from dlkit.datasets.tfds import TfdsOptions
from dlkit.errors import DataError
from dlkit.extras import require
from dlkit.frameworks import quieten
from dlkit.noise import native_noise_aside
from dlkit.runtime.preprocessing import Preprocessing, preprocessing_for

SPLITS = {"train": ("train",), "validation": ("validation", "valid", "val"), "test": ("test",)}
"""What TFDS calls each of ours."""


def dataset_of_tfds(options: TfdsOptions, wanted: Wanted) -> Dataset:
    """Raises ExtraMissing without the package, DataError for a name it does not know or data that are no images."""
    quieten()
    with _quiet():
        tfds = require("tensorflow_datasets")
        builder = _builder(tfds, options)
    image, label = _keys(builder, options.dataset)
    if wanted.image is None:
        raise DataError(f"{options.dataset}: holds images, and the network reads none; choose another network")
    names = tuple(builder.info.features[label].names)
    preprocessing = preprocessing_for("unit", wanted.image, wanted.image, BYTES, wanted.resize)
    return Dataset(
        name="tfds",
        shape=wanted.image,
        labels=names,
        raw_range=BYTES,
        samples=None,
        source=f"{builder.info.full_name}, {builder.info.homepage}",
        licence="see its source",
        load=lambda: _loaded(tfds, builder, options, (image, label), names, preprocessing),
        kept="yours",
    )


def _builder(tfds: Any, options: TfdsOptions) -> Any:
    try:
        return tfds.builder(options.dataset, data_dir=options.data_dir or None)
    except Exception as error:  # TFDS raises what its parts raise; each is about the name
        raise DataError(
            f"data.options.dataset = {options.dataset!r}: {_first_line(error)}; its names are at "
            "tensorflow.org/datasets/catalog"
        ) from None


def _keys(builder: Any, name: str) -> tuple[str, str]:
    """The features that hold an image and its class."""
    features, keys = builder.info.features, builder.info.supervised_keys
    if keys and len(keys) == 2:
        image, label = keys
        if len(features[image].shape or ()) == 3 and getattr(features[label], "names", None):
            return image, label
    raise DataError(f"data.options.dataset = {name!r}: holds no images with a class each, and only those are read")


def _loaded(
    tfds: Any,
    builder: Any,
    options: TfdsOptions,
    keys: tuple[str, str],
    names: tuple[str, ...],
    preprocessing: Preprocessing,
) -> Splits:
    """Raises DataError if it cannot be downloaded."""
    tfds.disable_progress_bar()
    try:
        with _quiet():
            builder.download_and_prepare()
    except Exception as error:  # TFDS raises what its parts raise
        raise DataError(
            f"{options.dataset}: could not be downloaded: {_first_line(error)}; prepare it where there is a "
            "network and name its folder: data.options.data_dir"
        ) from None
    given = {ours: name for ours, theirs in SPLITS.items() for name in theirs if name in builder.info.splits}
    if "train" not in given:
        raise DataError(f"{options.dataset}: has the splits {', '.join(builder.info.splits)}, and none called train")
    with _quiet():
        parts = {part: _read(tfds, builder, name, keys, preprocessing) for part, name in given.items()}
    return dataset_of_arrays(Given("tfds", options.dataset, parts, options, classes=names)).load()


def _read(tfds: Any, builder: Any, split: str, keys: tuple[str, str], preprocessing: Preprocessing) -> Labelled:
    """All images of a split, as a runner would fit their files."""
    require("PIL")
    from PIL import Image

    images, labels = [], []
    called = f"{builder.info.full_name}, {split}"
    for number, example in enumerate(tfds.as_numpy(builder.as_dataset(split=split))):
        pixels = example[keys[0]]
        picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
        images.append(np.round(preprocessing.raw_image(picture, f"{called}[{number}]")).astype(np.uint8))
        labels.append(int(example[keys[1]]))
    return Labelled(np.stack(images), np.asarray(labels, np.int64), called)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Bars of downloads, what is said of each try, and of devices; what fails is said once, by its error."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with native_noise_aside(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(before)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
