"""Training by recipe over several devices or workers, each of which takes its part of every batch.

The same as on one device: order and augmentation of batches, loss, metrics, optimizer, checkpoints. Not the same:
batch normalisation takes the statistics of each part, and dropout and variational auto-encoders draw for each.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from dlkit.datasets import Splits
from dlkit.errors import TrainingError
from dlkit.frameworks import keras
from dlkit.frameworks import tensorflow as tf
from dlkit.networks import NETWORKS
from dlkit.recipe import Recipe
from dlkit.recipe_data import normal_samples, trained_on
from dlkit.runtime.preprocessing import Preprocessing
from dlkit.training import loop
from dlkit.training.input_pipeline import (
    forecast_batches,
    held_out,
    labelled_batches,
    rebuilt_batches,
    steps_of,
    targets_of,
)
from dlkit.training.optimizing import optimizer_for
from dlkit.training.reconstruction import check_reach
from dlkit.training.supervised import gives_logits
from dlkit.training.watching import Course, History, Keeper, Replicas, Watch

AT_ONCE = 256
"""Samples of the validation split in a batch."""


def check_replicated(recipe: Recipe, task: str) -> None:
    """Raise TrainingError for what is trained on one device only."""
    if task not in TASKS:
        raise TrainingError(f"{recipe.network.name} is for {task}, which is trained on one device only")
    for key, value, only in (
        ("training.precision", recipe.training.precision.replace("bfloat16", "float32"), "float32"),
        ("transfer.frozen_epochs", recipe.transfer.frozen_epochs, 0),
    ):
        if value != only:
            raise TrainingError(f"{key} = {value!r} is for training on one device; leave it out")


def fit(
    model: keras.Model, recipe: Recipe, splits: Splits, preprocessing: Preprocessing, watch: Watch, replicas: Replicas
) -> History:
    """Train `model`, made in the scope of the replicas' strategy, in place; on every worker.

    The chief alone reads and writes checkpoints; others follow what it has.

    Raises:
        TrainingError: a loss is no longer a number, or a worker is gone.
        OutputError: a checkpoint cannot be written, or is of another training.
    """
    part, steps = recipe.training, steps_of(trained_on(recipe, splits), recipe)
    task = TASKS[NETWORKS[recipe.network.name].task](model, recipe, splits, preprocessing)
    with replicas.strategy.scope():
        optimizer = optimizer_for(part, steps * part.epochs)
        optimizer.build(model.trainable_variables)
    course = Course(part, list(model.variables), [*model.variables, *optimizer.variables])
    if watch.checkpoints and watch.resume and (checkpoint := watch.checkpoints.newest()):
        course.take_up(checkpoint)
    keeper = Keeper(course, watch)

    def after(epoch: int, measured: dict[str, float]) -> bool:
        return keeper.epoch_is_done(measured)

    def batches(epoch: int) -> Any:
        return task.batches(epoch).take(steps)

    validation = task.validation
    if isinstance(validation, tuple):
        validation = tf.data.Dataset.from_tensor_slices(validation).batch(AT_ONCE)
    trained = loop.Replicated(model, optimizer, replicas.distribution, replicas.strategy, recipe.seed)
    if not course.is_over or replicas.distribution.workers > 1:
        epochs = course.done if course.is_over else part.epochs
        loop.fit(trained, task.objective, batches, validation, epochs, after, course.done)
    course.end()
    return course.history


@dataclasses.dataclass(frozen=True)
class Task:
    """What a recipe trains its network to do.

    Attributes:
        batches: epoch → batches (inputs, wanted) of it and of all that follow.
        validation: (inputs, wanted) of the validation split, whole or as a dataset of batches.
        objective: what is made small, and what is watched.
    """

    batches: Callable[[int], Any]
    validation: Any
    objective: loop.Objective


def _classification(model: keras.Model, recipe: Recipe, splits: Splits, preprocessing: Preprocessing) -> Task:
    part, classes = recipe.training, model.output_shape[-1]
    train = trained_on(recipe, splits)
    loss = keras.losses.CategoricalCrossentropy(gives_logits(model), part.label_smoothing, reduction=None)

    def batches(epoch: int) -> Any:
        found = labelled_batches(train, preprocessing, recipe, classes, epoch)
        return found.map(lambda inputs, *wanted: (inputs, wanted if len(wanted) > 1 else wanted[0]))

    def weighted(wanted: Any, given: Any) -> Any:
        if not isinstance(wanted, tuple):  # of the validation split, where every sample counts the same
            return loss(wanted, given)
        targets, weights = wanted
        return loss(targets, given) * weights

    def accuracy(wanted: Any, given: Any) -> Any:
        return keras.metrics.categorical_accuracy(wanted[0] if isinstance(wanted, tuple) else wanted, given)

    objective = loop.Objective(weighted, {"accuracy": accuracy})
    return Task(batches, held_out(splits.validation, preprocessing, recipe, classes), objective)


def _reconstruction(model: keras.Model, recipe: Recipe, splits: Splits, preprocessing: Preprocessing) -> Task:
    check_reach(model, recipe, preprocessing)
    watched = splits.validation if recipe.anomaly is None else normal_samples(recipe, splits.validation)
    return Task(
        lambda epoch: rebuilt_batches(splits.train, preprocessing, recipe, epoch),
        held_out(watched, preprocessing, recipe, None),
        loop.Objective(keras.losses.get(recipe.training.loss)),
    )


def _forecasting(model: keras.Model, recipe: Recipe, splits: Splits, preprocessing: Preprocessing) -> Task:
    watched = splits.validation
    return Task(
        lambda epoch: forecast_batches(splits.train, preprocessing, recipe, epoch),
        (preprocessing.apply(np.asarray(watched.samples)), targets_of(watched, preprocessing)),
        loop.Objective(keras.losses.get(recipe.training.loss)),
    )


TASKS: dict[str, Callable[..., Task]] = {
    "classification": _classification,
    "reconstruction": _reconstruction,
    "forecasting": _forecasting,
}
"""Task of a network → what is trained."""
