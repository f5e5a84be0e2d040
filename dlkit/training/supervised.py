"""Supervised classification: cross-entropy against the class of each sample."""

from __future__ import annotations

from typing import Any

import numpy as np

from dlkit.datasets import Splits
from dlkit.errors import TrainingError
from dlkit.frameworks import keras
from dlkit.recipe import Recipe
from dlkit.runtime.preprocessing import Preprocessing
from dlkit.training.fitting import fit_epochs
from dlkit.training.input_pipeline import labelled_batches, steps_of
from dlkit.training.optimizing import optimizer_for
from dlkit.training.watching import History, Watch


def fit(model: keras.Model, recipe: Recipe, splits: Splits, preprocessing: Preprocessing, watch: Watch) -> History:
    """Train `model` in place on the training split; the validation split is only watched.

    Raises:
        TrainingError: the loss is no longer a number, or the network does not end as a classifier does.
        OutputError: a checkpoint cannot be written, or is of another training.
    """
    part, steps, classes = recipe.training, steps_of(splits.train, recipe), model.output_shape[-1]
    validation = (preprocessing.apply(splits.validation.samples), np.eye(classes)[splits.validation.labels])
    model.compile(
        optimizer=optimizer_for(part, steps),
        loss=keras.losses.CategoricalCrossentropy(_gives_logits(model), label_smoothing=part.label_smoothing),
        metrics=["accuracy"],
        jit_compile=part.xla,
    )
    model.optimizer.build(model.trainable_variables)

    def batches(first: int) -> Any:
        return labelled_batches(splits.train, preprocessing, recipe, classes, first)

    return fit_epochs(model, [model.optimizer], part, batches, steps, watch, validation)


def _gives_logits(model: keras.Model) -> bool:
    """Whether the model ends before its softmax. Raises TrainingError if it ends in something else."""
    last = model.layers[-1].activation
    if last not in (keras.activations.softmax, keras.activations.linear):
        raise TrainingError(
            f"the network ends in {last.__name__}; a classifier is trained on softmax or linear: "
            "--set network.options.activation=softmax"
        )
    return bool(last is keras.activations.linear)
