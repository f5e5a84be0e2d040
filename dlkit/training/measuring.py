"""What a trained network is worth, by the metric of its task."""

from __future__ import annotations

import dataclasses

import numpy as np

from dlkit.datasets import Split
from dlkit.frameworks import keras
from dlkit.metrics import accuracy, mean_squared_error, psnr_db
from dlkit.runtime.preprocessing import Preprocessing


@dataclasses.dataclass(frozen=True)
class Quality:
    """Of a float model on one split.

    Attributes:
        metric: "accuracy" or "psnr_db".
        value: of what the model gives.
        given: the same of what the model was given, where noise was laid over it; None elsewhere.
    """

    metric: str
    value: float
    given: float | None = None


def accuracy_of(model: keras.Model, split: Split, preprocessing: Preprocessing) -> Quality:
    """How often the first class is the right one."""
    return Quality("accuracy", accuracy(_outputs(model, split, preprocessing), split.labels))


def psnr_of(model: keras.Model, split: Split, preprocessing: Preprocessing) -> Quality:
    """Peak signal-to-noise ratio of the reconstruction against the samples without noise."""
    peak, wanted = preprocessing.span, preprocessing.apply(split.wanted)
    value = psnr_db(mean_squared_error(wanted, _outputs(model, split, preprocessing)), peak)
    if split.clean is None:
        return Quality("psnr_db", value)
    return Quality("psnr_db", value, psnr_db(mean_squared_error(wanted, preprocessing.apply(split.samples)), peak))


def _outputs(model: keras.Model, split: Split, preprocessing: Preprocessing) -> np.ndarray:
    outputs: np.ndarray = model.predict(preprocessing.apply(split.samples), batch_size=256, verbose=0)
    return outputs
