"""Forecasters: what comes after each window of a series, in the range of what the network reads."""

from __future__ import annotations

from typing import Any

import numpy as np

from dlkit.datasets import Splits
from dlkit.frameworks import keras
from dlkit.recipe import Recipe
from dlkit.runtime.preprocessing import Preprocessing
from dlkit.training.fitting import Phase, fit_epochs
from dlkit.training.input_pipeline import forecast_batches, steps_of, targets_of
from dlkit.training.optimizing import optimizer_for
from dlkit.training.watching import History, Watch


def fit(model: keras.Model, recipe: Recipe, splits: Splits, preprocessing: Preprocessing, watch: Watch) -> History:
    """Train `model` in place on the training split; the validation split is only watched.

    Raises:
        TrainingError: the loss is no longer a number.
        OutputError: a checkpoint cannot be written, or is of another training.
    """
    part, steps, held_out = recipe.training, steps_of(splits.train, recipe), splits.validation
    validation = preprocessing.apply(np.asarray(held_out.samples)), targets_of(held_out, preprocessing)

    def compiled() -> list[Any]:
        model.compile(optimizer=optimizer_for(part, steps * part.epochs), loss=part.loss)
        model.optimizer.build(model.trainable_variables)
        return [model.optimizer]

    def batches(first: int) -> Any:
        return forecast_batches(splits.train, preprocessing, recipe, first)

    return fit_epochs(model, [Phase(part.epochs, compiled)], part, batches, steps, watch, validation)
