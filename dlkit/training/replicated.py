"""A classifier's training by recipe over several devices or workers, each of which takes its part of every batch.

The same as on one device: order and augmentation of batches, loss, metrics, optimizer, checkpoints. Not the same:
batch normalisation takes the statistics of each part, and dropout draws for each.
"""

from __future__ import annotations

from typing import Any

from dlkit.datasets import Splits
from dlkit.errors import TrainingError
from dlkit.frameworks import keras
from dlkit.frameworks import tensorflow as tf
from dlkit.recipe import Recipe
from dlkit.recipe_data import trained_on
from dlkit.runtime.preprocessing import Preprocessing
from dlkit.training import loop
from dlkit.training.distribution import Distribution
from dlkit.training.input_pipeline import held_out, labelled_batches, steps_of
from dlkit.training.optimizing import optimizer_for
from dlkit.training.supervised import gives_logits
from dlkit.training.watching import Course, History, Keeper, Replicas, Watch

AT_ONCE = 256
"""Samples of the validation split in a batch."""


def check_replicated(recipe: Recipe, task: str, distribution: Distribution) -> None:
    """Raise TrainingError for what is trained on one device, or by one worker, only."""
    if recipe.training.patience and distribution.workers > 1:
        raise TrainingError("training.patience is for training by one worker; leave it out")
    if task != "classification":
        raise TrainingError(f"several devices or workers train classifiers; {recipe.network.name} is none")
    for key, value, only in (
        ("training.class_weights", recipe.training.class_weights, "none"),
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
    train = trained_on(recipe, splits)
    part, steps, classes = recipe.training, steps_of(train, recipe), model.output_shape[-1]
    with replicas.strategy.scope():
        optimizer = optimizer_for(part, steps * part.epochs)
        optimizer.build(model.trainable_variables)
    smoothing = {"from_logits": gives_logits(model), "label_smoothing": part.label_smoothing}
    loss = keras.losses.CategoricalCrossentropy(**smoothing, reduction=None)
    course = Course(part, list(model.variables), [*model.variables, *optimizer.variables])
    if watch.checkpoints and watch.resume and (checkpoint := watch.checkpoints.newest()):
        course.take_up(checkpoint)
    keeper = Keeper(course, watch)

    def after(epoch: int, measured: dict[str, float]) -> bool:
        over = keeper.epoch_is_done(measured)
        return over and replicas.distribution.is_chief  # others begin with an empty history where the chief goes on

    def batches(epoch: int) -> Any:
        return labelled_batches(train, preprocessing, recipe, classes, epoch).take(steps)

    validation = held_out(splits.validation, preprocessing, recipe, classes)
    if isinstance(validation, tuple):
        validation = tf.data.Dataset.from_tensor_slices(validation).batch(AT_ONCE)
    trained = loop.Replicated(model, optimizer, replicas.distribution, replicas.strategy, recipe.seed)
    objective = loop.Objective(loss, {"accuracy": keras.metrics.categorical_accuracy})
    if not course.is_over or replicas.distribution.workers > 1:
        epochs = course.done if course.is_over else part.epochs
        loop.fit(trained, objective, batches, validation, epochs, after, course.done)
    course.end()
    return course.history
