"""Auto-encoders: the input again, without the noise that was laid over it."""

from __future__ import annotations

from typing import Any

import numpy as np

from dlkit.datasets import Splits
from dlkit.errors import TrainingError
from dlkit.frameworks import keras
from dlkit.recipe import Recipe
from dlkit.runtime.preprocessing import Preprocessing
from dlkit.training.fitting import Phase, fit_epochs
from dlkit.training.input_pipeline import held_out, rebuilt_batches, steps_of
from dlkit.training.optimizing import optimizer_for
from dlkit.training.watching import History, Watch


def fit(model: keras.Model, recipe: Recipe, splits: Splits, preprocessing: Preprocessing, watch: Watch) -> History:
    """Train `model` in place on the training split; the validation split is only watched.

    A divergence that the network itself adds to its loss (that of a variational auto-encoder) counts as well.

    Raises:
        TrainingError: the loss is no longer a number, or the network cannot give what it is to give.
        OutputError: a checkpoint cannot be written, or is of another training.
    """
    check_reach(model, recipe, preprocessing)
    part, steps = recipe.training, steps_of(splits.train, recipe)
    validation = held_out(splits.validation, preprocessing, recipe, None)

    def compiled() -> list[Any]:
        model.compile(optimizer=optimizer_for(part, steps * part.epochs), loss=part.loss)
        model.optimizer.build(model.trainable_variables)
        return [model.optimizer]

    def batches(first: int) -> Any:
        return rebuilt_batches(splits.train, preprocessing, recipe, first)

    return fit_epochs(model, [Phase(part.epochs, compiled)], part, batches, steps, watch, validation)


def check_reach(model: keras.Model, recipe: Recipe, preprocessing: Preprocessing) -> None:
    """Raise TrainingError unless the last layer's values reach what the preprocessing makes, and the loss fits both."""
    ends = np.outer(preprocessing.raw_range, preprocessing.scale) + np.asarray(preprocessing.offset)
    low, high = float(ends.min()), float(ends.max())
    last = next(layer.activation for layer in reversed(model.layers) if hasattr(layer, "activation"))
    unit = low >= 0.0 and high <= 1.0
    if last is keras.activations.sigmoid and not unit:
        raise TrainingError(
            f"the network ends in sigmoid, 0 to 1, but data.preprocessing = {recipe.data.preprocessing!r} makes inputs "
            f"from {low:g} to {high:g}: --set data.preprocessing=unit or --set network.options.activation=linear"
        )
    if recipe.training.loss == "binary_crossentropy" and not (unit and last is keras.activations.sigmoid):
        raise TrainingError(
            "training.loss = 'binary_crossentropy' needs inputs from 0 to 1 and a network that ends in sigmoid: "
            "--set training.loss=mse"
        )
