"""A data set of `keras.datasets`, fetched if it is not there yet, with a validation split of our own."""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlkit.datasets import Split, Splits, stratified
from dlkit.errors import DataError, ExtraMissing
from dlkit.frameworks import keras

if TYPE_CHECKING:
    from numpy.typing import NDArray

HELD_OUT, SEED = 5000, 0
"""Validation samples, and what draws them; never changed, as bundles are measured on what is left."""


def splits_of_keras(name: str, addresses: tuple[str, ...], files: tuple[str, ...]) -> Splits:
    """The splits of `keras.datasets.NAME`, grey images with their channel.

    Args:
        addresses: of what is fetched.
        files: below ~/.keras/datasets, what Keras looks for before it fetches, in the same order.

    Raises:
        DataError: it is not there and cannot be fetched, or what is there is not it.
    """
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # bars of a download
            (x, y), (x_test, y_test) = getattr(keras.datasets, name).load_data()
    except ExtraMissing:
        raise
    except Exception as error:  # Keras raises a bare Exception where it cannot fetch
        raise DataError(_not_fetched(name, addresses, files, str(error))) from None
    labels = _labels(y)
    validation = np.sort(stratified(labels, HELD_OUT, SEED))
    train = np.setdiff1d(np.arange(len(labels)), validation)
    images = _images(x)
    return Splits(
        Split(images[train], labels[train]),
        Split(images[validation], labels[validation]),
        Split(_images(x_test), _labels(y_test)),
    )


def _images(x: NDArray[Any]) -> NDArray[np.uint8]:
    images: NDArray[np.uint8] = np.asarray(x, np.uint8)
    return images if images.ndim == 4 else images[..., np.newaxis]


def _labels(y: NDArray[Any]) -> NDArray[np.int64]:
    return np.asarray(y, np.int64).reshape(-1)


def _not_fetched(name: str, addresses: tuple[str, ...], files: tuple[str, ...], reason: str) -> str:
    reason = " ".join(reason.split())
    places = [home() / "datasets" / file for file in files]
    others = f" (and {len(files) - 1} others beside it)" if len(files) > 1 else ""
    return (
        f"{name}: could not be fetched from {addresses[0]}: {reason[:200]}; fetch it where there is a network and put "
        f"it at {places[0]}{others}"
    )


def home() -> Path:
    """Where Keras keeps what it fetches."""
    return Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"))
