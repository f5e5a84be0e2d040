"""What a trained network is worth, by the metric of its task, on the validation and the test split."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from dlkit.datasets import Split, Splits
from dlkit.frameworks import keras
from dlkit.metrics import (
    accuracy,
    auc,
    beside_naive,
    confusion_matrix,
    mean_squared_error,
    psnr_db,
    skill,
    squared_errors,
)
from dlkit.recipe import Recipe
from dlkit.recipe_data import anomalous, asked_of, latent_noise, naive_of
from dlkit.runtime.preprocessing import Preprocessing
from dlkit.runtime.rows import Rows, batches_of
from dlkit.training.input_pipeline import targets_of
from dlkit.training.judging import Judge

if TYPE_CHECKING:
    from numpy.typing import NDArray

AT_ONCE = 1024
"""Samples whose inputs are in memory together; a whole number of batches of 256."""
GENERATED = 2000
"""Images of a generator that are judged."""
VALIDATION_NOISE, TEST_NOISE = 3, 4
"""What the noise for them adds to the seed; 1 and 2 are those of an export."""


@dataclasses.dataclass(frozen=True)
class Quality:
    """Of a float model on one split.

    Attributes:
        metric: "accuracy", "psnr_db", of an anomaly detector "auc", of a forecaster "skill" or, of a generator,
            "feature_distance".
        value: of what the model gives.
        given: the same of what the model was given, where noise was laid over it; None elsewhere.
        besides: what else is known of generated images, see `judging.Judgement`; or of a forecast, see
            `metrics.beside_naive`.
        confusion: of a classifier, how many samples of each class (a row) are taken for each (a column).
        warnings: why one of the numbers may mean less than it seems to.
    """

    metric: str
    value: float
    given: float | None = None
    besides: Mapping[str, float] = dataclasses.field(default_factory=dict)
    confusion: tuple[tuple[int, ...], ...] = ()
    warnings: tuple[str, ...] = ()


def classified(
    model: keras.Model, recipe: Recipe, splits: Splits, preprocessing: Preprocessing
) -> tuple[Quality, Quality]:
    """How often the first class is the right one."""

    def on(split: Split) -> Quality:
        outputs = np.concatenate([_outputs(model, inputs) for inputs in _inputs(split.samples, preprocessing)])
        return Quality("accuracy", accuracy(outputs, split.labels), confusion=confusion_matrix(outputs, split.labels))

    return on(splits.validation), on(splits.test)


def forecast(
    model: keras.Model, recipe: Recipe, splits: Splits, preprocessing: Preprocessing
) -> tuple[Quality, Quality]:
    """How much of the naive forecast's error is gone: 0 where the last value repeated is as good."""
    naive = naive_of(recipe, preprocessing)

    def on(split: Split) -> Quality:
        given, wanted = preprocessing.apply(np.asarray(split.samples)), targets_of(split, preprocessing)
        outputs = _outputs(model, given)
        return Quality("skill", skill(wanted, outputs, given), besides=beside_naive(wanted, outputs, given, naive))

    return on(splits.validation), on(splits.test)


def rebuilt(
    model: keras.Model, recipe: Recipe, splits: Splits, preprocessing: Preprocessing
) -> tuple[Quality, Quality]:
    """Peak signal-to-noise ratio of the reconstruction against the samples without noise."""

    def on(split: Split) -> Quality:
        found, given, counts = [], [], []
        for inputs, wanted in zip(
            _inputs(split.samples, preprocessing), _inputs(split.wanted, preprocessing), strict=True
        ):
            found.append(mean_squared_error(wanted, _outputs(model, inputs)))
            given.append(mean_squared_error(wanted, inputs))
            counts.append(len(inputs))

        def of(errors: list[float]) -> float:
            return psnr_db(float(np.average(errors, weights=counts)), preprocessing.span)

        return Quality("psnr_db", of(found), None if split.clean is None else of(given))

    return on(splits.validation), on(splits.test)


def detected(
    model: keras.Model, recipe: Recipe, splits: Splits, preprocessing: Preprocessing
) -> tuple[Quality, Quality]:
    """How well the error of the reconstruction tells normal samples from others: the area under the ROC curve."""

    def on(split: Split) -> Quality:
        batches = _inputs(split.samples, preprocessing)
        errors = np.concatenate([squared_errors(inputs, _outputs(model, inputs)) for inputs in batches])
        return Quality("auc", auc(errors, anomalous(recipe, split.labels)))

    return on(splits.validation), on(splits.test)


def generated(
    model: keras.Model, recipe: Recipe, splits: Splits, preprocessing: Preprocessing
) -> tuple[Quality, Quality]:
    """Distance of the features of images made of noise from those of held-out ones, as a classifier sees them."""
    judge = Judge(recipe, splits, preprocessing)

    def on(split: Split, seed: int) -> Quality:
        found = judge.judge(_made(model, recipe, seed), split, asked_of(recipe, GENERATED))
        return Quality("feature_distance", found.feature_distance, besides=found.besides)

    return on(splits.validation, recipe.seed + VALIDATION_NOISE), on(splits.test, recipe.seed + TEST_NOISE)


def images_for_test(model: keras.Model, recipe: Recipe) -> NDArray[np.float32]:
    """(GENERATED, H, W, C) what a generator makes of the noise by which it is measured beside the test split."""
    return _made(model, recipe, recipe.seed + TEST_NOISE)


def _made(model: keras.Model, recipe: Recipe, seed: int) -> NDArray[np.float32]:
    return _outputs(model, latent_noise(recipe, GENERATED, seed))


def _inputs(samples: Rows, preprocessing: Preprocessing) -> Iterator[NDArray[np.float32]]:
    """What the network reads, some samples at a time: all of them need not fit into memory."""
    return (preprocessing.apply(batch) for batch in batches_of(samples, AT_ONCE))


def _outputs(model: keras.Model, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    outputs: NDArray[np.float32] = model.predict(inputs, batch_size=256, verbose=0)
    return outputs
