"""Supervised classification: cross-entropy against the class of each sample."""

from __future__ import annotations

import numpy as np

from dlkit.datasets import Splits
from dlkit.errors import TrainingError
from dlkit.frameworks import keras
from dlkit.progress import Advance
from dlkit.recipe import Recipe
from dlkit.runtime.preprocessing import Preprocessing
from dlkit.training.input_pipeline import labelled_batches
from dlkit.training.optimizing import optimizer_for
from dlkit.training.watching import History, watcher_of


def fit(model: keras.Model, recipe: Recipe, splits: Splits, preprocessing: Preprocessing, advance: Advance) -> History:
    """Train `model` in place on the training split; the validation split is only watched.

    Raises:
        TrainingError: the loss is no longer a number, or the network does not end as a classifier does.
    """
    part = recipe.training
    batches = labelled_batches(splits.train, preprocessing, recipe.augmentation, part.batch_size, recipe.seed)
    classes = model.output_shape[-1]
    batches = batches.map(lambda x, y: (x, keras.ops.one_hot(y, classes)))
    validation = (preprocessing.apply(splits.validation.samples), np.eye(classes)[splits.validation.labels])
    model.compile(
        optimizer=optimizer_for(part, len(splits.train)),
        loss=keras.losses.CategoricalCrossentropy(_gives_logits(model), label_smoothing=part.label_smoothing),
        metrics=["accuracy"],
    )
    watcher = watcher_of(part.epochs, advance)
    # shuffle=False: the batches are shuffled already.
    model.fit(batches, epochs=part.epochs, validation_data=validation, verbose=0, callbacks=[watcher], shuffle=False)
    return watcher.history_of_epochs


def _gives_logits(model: keras.Model) -> bool:
    """Whether the model ends before its softmax. Raises TrainingError if it ends in something else."""
    last = model.layers[-1].activation
    if last not in (keras.activations.softmax, keras.activations.linear):
        raise TrainingError(
            f"the network ends in {last.__name__}; a classifier is trained on softmax or linear: "
            "--set network.options.activation=softmax"
        )
    return bool(last is keras.activations.linear)
