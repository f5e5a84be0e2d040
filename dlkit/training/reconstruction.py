"""Auto-encoders: the input again, without the noise that was laid over it."""

from __future__ import annotations

import numpy as np

from dlkit.datasets import Splits
from dlkit.errors import TrainingError
from dlkit.frameworks import keras
from dlkit.progress import Advance
from dlkit.recipe import Recipe
from dlkit.runtime.preprocessing import Preprocessing
from dlkit.training.input_pipeline import rebuilt_batches
from dlkit.training.optimizing import optimizer_for
from dlkit.training.watching import History, watcher_of


def fit(model: keras.Model, recipe: Recipe, splits: Splits, preprocessing: Preprocessing, advance: Advance) -> History:
    """Train `model` in place on the training split; the validation split is only watched.

    A divergence that the network itself adds to its loss (that of a variational auto-encoder) counts as well.

    Raises:
        TrainingError: the loss is no longer a number, or the network cannot give what it is to give.
    """
    part, validation = recipe.training, splits.validation
    _check_reach(model, recipe, preprocessing)
    batches = rebuilt_batches(
        splits.train, preprocessing, recipe.augmentation, recipe.data.noise, part.batch_size, recipe.seed
    )
    held_out = preprocessing.apply(validation.samples), preprocessing.apply(validation.wanted)
    model.compile(optimizer=optimizer_for(part, len(splits.train)), loss=part.loss)
    watcher = watcher_of(part.epochs, advance)
    # shuffle=False: the batches are shuffled already.
    model.fit(batches, epochs=part.epochs, validation_data=held_out, verbose=0, callbacks=[watcher], shuffle=False)
    return watcher.history_of_epochs


def _check_reach(model: keras.Model, recipe: Recipe, preprocessing: Preprocessing) -> None:
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
