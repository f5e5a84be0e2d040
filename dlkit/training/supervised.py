"""Supervised classification: cross-entropy against the class of each sample."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from dlkit.datasets import Splits
from dlkit.errors import TrainingError
from dlkit.frameworks import keras
from dlkit.recipe import Recipe
from dlkit.recipe_data import trained_on
from dlkit.runtime.preprocessing import Preprocessing
from dlkit.training.fitting import Phase, fit_epochs
from dlkit.training.input_pipeline import held_out, labelled_batches, steps_of
from dlkit.training.optimizing import optimizer_for
from dlkit.training.watching import History, Watch


def fit(model: keras.Model, recipe: Recipe, splits: Splits, preprocessing: Preprocessing, watch: Watch) -> History:
    """Train `model` in place on the training split; the validation split is only watched, unless the recipe says so.

    Raises:
        TrainingError: the loss is no longer a number, or the network does not end as a classifier does.
        OutputError: a checkpoint cannot be written, or is of another training.
    """
    train = trained_on(recipe, splits)
    part, steps, classes = recipe.training, steps_of(train, recipe), model.output_shape[-1]
    validation = held_out(splits.validation, preprocessing, recipe, classes)
    loss = keras.losses.CategoricalCrossentropy(gives_logits(model), label_smoothing=part.label_smoothing)

    def compiled(epochs: int, rate: float) -> list[Any]:
        own = dataclasses.replace(part, learning_rate=rate)
        model.compile(optimizer=optimizer_for(own, steps * epochs), loss=loss, metrics=["accuracy"])
        model.optimizer.build(model.trainable_variables)
        return [model.optimizer]

    def batches(first: int) -> Any:
        return labelled_batches(train, preprocessing, recipe, classes, first)

    return fit_epochs(model, _phases(model, recipe, compiled), part, batches, steps, watch, validation)


def _phases(model: keras.Model, recipe: Recipe, compiled: Callable[[int, float], list[Any]]) -> list[Phase]:
    """One, or two where weights were taken over: the last layer alone, then all of them, by an optimizer each."""
    epochs, frozen, rate = recipe.training.epochs, recipe.transfer.frozen_epochs, recipe.training.learning_rate
    if not frozen:
        return [Phase(epochs, lambda: compiled(epochs, rate))]

    def with_body(trainable: bool, own_epochs: int, own_rate: float) -> list[Any]:
        for layer in model.layers:
            layer.trainable = trainable or layer is last_with_weights(model)
        return compiled(own_epochs, own_rate)

    slow = recipe.transfer.learning_rate or rate
    return [
        Phase(frozen, lambda: with_body(False, frozen, rate)),
        Phase(epochs, lambda: with_body(True, epochs - frozen, slow)),
    ]


def last_with_weights(model: keras.Model) -> keras.layers.Layer:
    """The layer that decides between the classes."""
    return next(layer for layer in reversed(model.layers) if layer.weights)


def gives_logits(model: keras.Model) -> bool:
    """Whether the model ends before its softmax. Raises TrainingError if it ends in something else."""
    last = model.layers[-1].activation
    if last not in (keras.activations.softmax, keras.activations.linear):
        raise TrainingError(
            f"the network ends in {last.__name__}; a classifier is trained on softmax or linear: "
            "--set network.options.activation=softmax"
        )
    return bool(last is keras.activations.linear)
